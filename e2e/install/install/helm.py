"""The charts, rendered and installed by both Helms."""

import subprocess

from lab.lab import REPOSITORY

from .server import ACCOUNT, ApiServer

HELMS = ("helm3", "helm")
CRDS = "charts/culvert-crds"
CULVERT = "charts/culvert"
NAMESPACE = "culvert-operator"
KUBERNETES = "1.31.0"  # the oldest that the charts take: `helm template` asks no API server which it is

# Every value that is not what it is by default, so that every line of every template is rendered.
EVERYTHING = """
replicas: 3
images:
  registry: registry.example.com:5000/culvert
  pullPolicy: Always
  pullSecrets: [{name: registry}]
  operator: {repository: op, tag: v1}
  relay: {repository: re, digest: "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}
watchNamespaces: [fleets-a, fleets-b]
relays:
  priorityClassName: network
  apiServerPorts: [8443]
  networkPolicy: {from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]}
log: {format: text, level: debug}
otlp: {endpoint: "http://collector.monitoring:4317", metrics: false}
extraEnv: [{name: OTEL_SERVICE_NAME, value: culvert}]
metrics: {port: 9999}
monitoring:
  labels: {release: prometheus}
  interval: 15s
  podMonitor: {enabled: true}
  serviceMonitor: {enabled: true}
  prometheusRule: {enabled: true, minimumRelays: 3, runbooks: "https://wiki.example.com/culvert/"}
dashboards: {enabled: true, namespace: fleets-a, label: example.com/dashboard, labelValue: "yes", folderAnnotation: example.com/folder, folder: Networks}
serviceAccount: {name: robot, annotations: {example.com/a: b}}
networkPolicy:
  from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]
  egress: {enabled: true, more: [{ports: [{port: 5140, protocol: UDP}]}]}
resources: {requests: {cpu: 1, memory: 1Gi}, limits: {cpu: 2, memory: 1Gi}}
priorityClassName: system-node-critical
nodeSelector: {example.com/control: "yes"}
tolerations: [{key: node-role.kubernetes.io/control-plane, operator: Exists, effect: NoSchedule}]
affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Exists}]}]}}}
topologySpreadConstraints: [{maxSkew: 2, topologyKey: rack, whenUnsatisfiable: DoNotSchedule}]
podLabels: {example.com/team: network}
podAnnotations: {example.com/note: hello}
test:
  interfaces: [{name: net1, side: IPv4, network: fabric-ipv4}, {name: net2, side: IPv6, network: networks/fabric-ipv6}]
  namespace: fleets-b
  relays: 2
  timeoutSeconds: 30
  sysctls: Pod
  nodeSelector: {example.com/fabric: "yes"}
  tolerations: [{key: example.com/fabric, operator: Exists}]
  resources: {requests: {example.com/vf: 1}, limits: {example.com/vf: 1}}
"""
NOTHING = """
replicas: 1
watchNamespaces: [fleets-a]
serviceAccount: {create: false, name: somebody}
rbac: {create: false}
networkPolicy: {enabled: false}
admissionPolicy: {enabled: false}
relays: {priorityClassName: ""}
priorityClassName: ""
nodeSelector: {}
test: {enabled: false}
"""
VALUES = {"default": "{}", "everything": EVERYTHING, "nothing": NOTHING}


def try_render(server: ApiServer, helm: str, *words: str, values: str = "{}") -> subprocess.CompletedProcess:
    release = ("culvert", CULVERT, "--namespace", NAMESPACE, "--kube-version", KUBERNETES)
    return server.run(helm, "template", *release, "--values", "-", *words, stdin=values)


def render(server: ApiServer, helm: str, *words: str, values: str = "{}") -> str:
    done = try_render(server, helm, *words, values=values)
    assert done.returncode == 0, done.stderr
    return done.stdout


def accepted(server: ApiServer, values: str, helm: str = "helm") -> list[dict]:
    """The objects. The namespaces that the values name exist; the operator's is `restricted`."""
    server.make_namespace(NAMESPACE, "restricted")
    for fleets in ("fleets-a", "fleets-b"):
        server.make_namespace(fleets)
    # A pod's account has to be there before the pod is looked at, and what is only judged makes none.
    rendered = render(server, helm, values=values).replace("serviceAccountName: culvert-test", f"serviceAccountName: {ACCOUNT}")
    return server.accept("-f", "-", stdin=rendered)


def workspace_version() -> str:
    manifest = (REPOSITORY / "Cargo.toml").read_text()
    return manifest.split("[workspace.package]")[1].split('version = "')[1].split('"')[0]
