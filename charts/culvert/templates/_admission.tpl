{{/*
What the operator's rights cannot say: a right to write Deployments is a right to write any. These policies say which, as
`must` in CEL; `says` is what whoever breaks a rule is told. They are about what operator/src/fleet/build makes: a test applies
that, and much else.
*/}}
{{- define "culvert.admissionPolicies" -}}
- name: fleets
  says: Only what belongs to a fleet is written or deleted.
  operations: [CREATE, UPDATE, DELETE]
  resources:
    "": [configmaps, serviceaccounts]
    apps: [deployments]
    policy: [poddisruptionbudgets]
    networking.k8s.io: [networkpolicies]
    rbac.authorization.k8s.io: [roles, rolebindings]
  variables:
  - name: owned
    is: >-
      object == null || object.metadata.?ownerReferences.orValue([]).exists(it, it.kind == 'BorderRelay' &&
      it.apiVersion.startsWith('culvert.dev/') && it.?controller.orValue(false))
  - name: wasOurs
    is: >-
      oldObject == null || oldObject.metadata.?labels['app.kubernetes.io/managed-by'].orValue('') == 'culvert-operator' ||
      oldObject.metadata.?ownerReferences.orValue([]).exists(it, it.kind == 'BorderRelay' && it.apiVersion.startsWith('culvert.dev/'))
  rules:
  - must: variables.owned
    says: the object has no BorderRelay as its owner
  - must: variables.wasOurs
    says: the object is not of a fleet
  - must: "!request.namespace.startsWith('kube-')"
    says: "there are no fleets in Kubernetes' own namespaces"
  - must: >-
      request.resource.resource == 'configmaps' ? request.name.matches('-revision(-[0-9]+)?$') : request.name.endsWith('-relay')
    says: no object of a fleet has this name
- name: relays
  says: Deployments are of relays, no more privileged than relays are.
  operations: [CREATE, UPDATE]
  resources:
    apps: [deployments]
  variables:
  - name: pod
    is: object.spec.template.spec
  - name: containers
    is: variables.pod.containers + variables.pod.?initContainers.orValue([])
  - name: volumes
    is: variables.pod.?volumes.orValue([])
  rules:
  - must: "!variables.pod.?hostNetwork.orValue(false) && !variables.pod.?hostPID.orValue(false) && !variables.pod.?hostIPC.orValue(false)"
    says: a relay has no namespace of its node
  - must: >-
      variables.pod.?serviceAccountName.orValue('') == object.metadata.name &&
      !variables.pod.?automountServiceAccountToken.orValue(true)
    says: "a relay has its fleet's service account, and only the containers that need it have the token"
  - must: variables.pod.?securityContext.?seccompProfile.?type.orValue('') == 'RuntimeDefault'
    says: "a relay has the runtime's seccomp profile"
  - must: >-
      variables.pod.?securityContext.?sysctls.orValue([]).all(it,
      it.name in ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding'])
    says: of sysctls, a relay sets forwarding
  - must: >-
      variables.containers.all(it, !it.?securityContext.?privileged.orValue(false) &&
      !it.?securityContext.?allowPrivilegeEscalation.orValue(true) && it.?securityContext.?readOnlyRootFilesystem.orValue(false) &&
      !has(it.securityContext.seccompProfile) && !has(it.securityContext.procMount))
    says: no container is privileged, may become so, or changes its own files
  - must: >-
      variables.containers.all(it, it.?securityContext.?capabilities.?drop.orValue([]).exists(one, one == 'ALL') &&
      it.?securityContext.?capabilities.?add.orValue([]).all(one, one in ['NET_ADMIN', 'NET_BIND_SERVICE', 'NET_RAW']))
    says: no container has a capability but NET_ADMIN, NET_BIND_SERVICE and NET_RAW
  - must: variables.containers.all(it, it.?ports.orValue([]).all(port, !has(port.hostPort)))
    says: no port is the node's
  - must: >-
      variables.volumes.all(it, has(it.emptyDir) || has(it.projected) || (has(it.secret) && it.name == 'passwords') ||
      (has(it.hostPath) && it.hostPath.path == '/dev/net/tun' && it.hostPath.?type.orValue('') == 'CharDevice'))
    says: "of the node, a relay has /dev/net/tun; of Secrets, its routers' passwords"
  - must: >-
      variables.volumes.all(it, !has(it.projected) || it.projected.?sources.orValue([]).all(one,
      has(one.configMap) || has(one.downwardAPI) || (has(one.serviceAccountToken) && !has(one.serviceAccountToken.audience))))
    says: a relay has config maps, and the token for the API server
- name: accounts
  says: Service accounts are given nothing, and are mounted where a pod asks for it. (OpenShift itself gives them something.)
  operations: [CREATE, UPDATE]
  resources:
    "": [serviceaccounts]
  variables:
  - name: before
    is: "oldObject == null ? [] : oldObject.?secrets.orValue([]).map(it, it.?name.orValue(''))"
  rules:
  - must: >-
      !object.?automountServiceAccountToken.orValue(true) &&
      object.?secrets.orValue([]).all(it, it.?name.orValue('') in variables.before)
    says: "a relay's service account holds nothing"
- name: roles
  says: Roles let relays read config maps by name.
  operations: [CREATE, UPDATE]
  resources:
    rbac.authorization.k8s.io: [roles]
  rules:
  - must: >-
      object.?rules.orValue([]).all(it, it.?apiGroups.orValue([]) == [''] && it.?resources.orValue([]) == ['configmaps'] &&
      it.?resourceNames.orValue([]).size() > 0 && it.resourceNames.all(name, name.matches('-revision(-[0-9]+)?$')) &&
      it.verbs.all(verb, verb in ['get', 'list', 'watch']))
    says: a relay reads revisions, by their names
- name: bindings
  says: Roles are bound to the service account of their own name.
  operations: [CREATE, UPDATE]
  resources:
    rbac.authorization.k8s.io: [rolebindings]
  rules:
  - must: >-
      object.roleRef.kind == 'Role' && object.roleRef.name == object.metadata.name &&
      object.?subjects.orValue([]).all(it, it.kind == 'ServiceAccount' && it.name == object.metadata.name &&
      it.?namespace.orValue('') == object.metadata.namespace)
    says: "a fleet's role is its relays' alone"
- name: networks
  says: Network policies are about relays.
  operations: [CREATE, UPDATE]
  resources:
    networking.k8s.io: [networkpolicies]
  rules:
  - must: object.spec.?podSelector.?matchLabels['app.kubernetes.io/name'].orValue('') == 'culvert-relay'
    says: the policy is about other pods
- name: disruptions
  says: Disruption budgets are about relays.
  operations: [CREATE, UPDATE]
  resources:
    policy: [poddisruptionbudgets]
  rules:
  - must: object.spec.?selector.?matchLabels['app.kubernetes.io/name'].orValue('') == 'culvert-relay'
    says: the budget is about other pods
{{- end }}
