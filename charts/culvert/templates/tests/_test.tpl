{{/* The test's pod, its fleet and its domain, its account and its role. */}}
{{- define "culvert.testName" -}}
{{- printf "%s-test" (.Release.Name | trunc 54 | trimSuffix "-") -}}
{{- end }}

{{- define "culvert.testNamespace" -}}
{{- .Values.test.namespace | default (.Values.watchNamespaces | default (list .Release.Namespace) | first) -}}
{{- end }}

{{- define "culvert.testLabels" -}}
{{- $ours := dict "app.kubernetes.io/name" "culvert-test" "app.kubernetes.io/part-of" "culvert" -}}
{{- merge $ours (include "culvert.labels" . | fromYaml) | toYaml -}}
{{- end }}

{{/* The test's networks, as Multus reads them: NAMESPACE/NAME@INTERFACE, ... */}}
{{- define "culvert.testNetworks" -}}
{{- $networks := list -}}
{{- range .Values.test.interfaces -}}
{{- $network := contains "/" .network | ternary .network (printf "%s/%s" (include "culvert.testNamespace" $) .network) -}}
{{- $networks = append $networks (printf "%s@%s" $network .name) -}}
{{- end -}}
{{- join "," $networks -}}
{{- end }}

{{/* The fleet, without what the test knows itself: next hops, and what is allowed. Without networks it has no relays. */}}
{{- define "culvert.testFleet" -}}
apiVersion: culvert.dev/v1alpha1
kind: BorderRelay
metadata:
  name: {{ include "culvert.testName" . }}
  namespace: {{ include "culvert.testNamespace" . }}
  labels: {app.kubernetes.io/name: culvert-test, app.kubernetes.io/instance: {{ .Release.Name | quote }}}
spec:
  replicas: {{ .Values.test.interfaces | empty | ternary 0 .Values.test.relays }}
  dataplane:
    interfaces: {{- .Values.test.interfaces | default (list (dict "name" "net1" "network" "none")) | toYaml | nindent 6 }}
    sysctls: {{ .Values.test.sysctls }}
  allowed: {ipv4Prefixes: [], softwirePrefixes: []}
  drain: {gracefulShutdownSeconds: 0, withdrawSeconds: 0}
  podTemplate:
    imagePullPolicy: {{ .Values.images.pullPolicy }}
    imagePullSecrets: {{- toYaml .Values.images.pullSecrets | nindent 6 }}
    nodeSelector: {{- toYaml .Values.test.nodeSelector | nindent 6 }}
    tolerations: {{- toYaml .Values.test.tolerations | nindent 6 }}
    terminationGracePeriodSeconds: 5
    # As many nodes as there are relays,
    topologySpreadConstraints: [{topologyKey: kubernetes.io/hostname, maxSkew: 1, whenUnsatisfiable: DoNotSchedule, nodeTaintsPolicy: Honor}]
    # the first on another node than the test's pod, if it can be: so packets cross the wire, and each has a device that a node has once.
    affinity:
      podAntiAffinity:
        preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 100
          podAffinityTerm:
            topologyKey: kubernetes.io/hostname
            labelSelector: {matchLabels: {app.kubernetes.io/name: culvert-test, app.kubernetes.io/instance: {{ .Release.Name | quote }}}}
{{- end }}
