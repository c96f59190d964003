{{/* What the operator does in a namespace with fleets and domains: all that it may do there. No `*`, no secrets. */}}
{{- define "culvert.rules" -}}
# What users write. The operator reads it, and reports in the status; the specs are never its own to change.
- apiGroups: [culvert.dev]
  resources: [mapdomains, borderrelays]
  verbs: [get, list, watch]
- apiGroups: [culvert.dev]
  resources: [mapdomains/status, borderrelays/status]
  verbs: [patch]
# Owner references that block deletion, where the API server asks for it (OwnerReferencesPermissionEnforcement).
- apiGroups: [culvert.dev]
  resources: [borderrelays/finalizers]
  verbs: [update]
# What a fleet is made of, by server-side apply. The owner reference removes it; only chunks of a revision that has become
# smaller are deleted.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get, list, watch, create, patch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch]
# Relays read their own revision and nothing else. Nobody can grant more than he has: of use to a pod is reading config maps.
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  verbs: [get, list, watch, create, patch]
# Relays: where they are, so that their state can be read.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
# The device that an interface's network names.
- apiGroups: [k8s.cni.cncf.io]
  resources: [network-attachment-definitions]
  verbs: [get, list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{/* What it does outside of any namespace, or to namespaces. */}}
{{- define "culvert.clusterRules" -}}
# Cordons and taints: the relays of such a node drain.
- apiGroups: [""]
  resources: [nodes]
  verbs: [get, list, watch]
# Whether a fleet's namespace admits pods with NET_ADMIN.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get, list, watch]
{{- end }}
