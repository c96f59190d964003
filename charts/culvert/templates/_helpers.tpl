{{/* The name of everything that the chart makes: of the release, so that several may stand in one namespace. */}}
{{- define "culvert.name" -}}
{{- printf "%s-operator" (.Release.Name | trunc 54 | trimSuffix "-") -}}
{{- end }}

{{/* What has no namespace says whose it is. */}}
{{- define "culvert.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "culvert.name" .) -}}
{{- end }}

{{- define "culvert.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "culvert.name" .) -}}
{{- else -}}
{{- required "serviceAccount.name: say which one, as serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "culvert.selector" -}}
app.kubernetes.io/name: culvert-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The operator as a NetworkPolicy's peer. */}}
{{- define "culvert.peer" -}}
namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ .Release.Namespace }}}}
podSelector:
  matchLabels: {{- include "culvert.selector" . | nindent 4 }}
{{- end }}

{{- define "culvert.labels" -}}
{{ include "culvert.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: culvert
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* `dict "root" $ "image" .Values.images.relay`: registry/repository:tag or registry/repository@digest. */}}
{{- define "culvert.image" -}}
{{- $name := printf "%s/%s" .root.Values.images.registry .image.repository -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (.image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end }}

{{/* The spread of the values, or over nodes and zones. A constraint without a labelSelector is about the operator. */}}
{{- define "culvert.spread" -}}
{{- $selector := dict "matchLabels" (include "culvert.selector" . | fromYaml) -}}
{{- $spread := list -}}
{{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" -}}
{{- $spread = append $spread (dict "maxSkew" 1 "topologyKey" $key "whenUnsatisfiable" "ScheduleAnyway") -}}
{{- end -}}
{{- $wanted := list -}}
{{- range .Values.topologySpreadConstraints | default $spread -}}
{{- $wanted = append $wanted (merge (dict) . (hasKey . "labelSelector" | ternary (dict) (dict "labelSelector" $selector))) -}}
{{- end -}}
{{- toYaml $wanted -}}
{{- end }}

{{/* Monitors and rules have what Prometheus selects them by. */}}
{{- define "culvert.monitorLabels" -}}
{{- merge (include "culvert.labels" . | fromYaml) .Values.monitoring.labels | toYaml -}}
{{- end }}
