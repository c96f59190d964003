"""The charts: what Helm makes of them, and what the API server says to that."""

import json
import re
import subprocess

from install.helm import CRDS, CULVERT, HELMS, NAMESPACE, VALUES, accepted, render, try_render, workspace_version
from install.suite import Stage
from lab.lab import REPOSITORY

TYPES = ("borderrelays.culvert.dev", "mapdomains.culvert.dev")


def test_lint(stage: Stage):
    """both Helms find nothing to complain of in both charts"""
    for helm in HELMS:
        said = stage.server.must(helm, "lint", "--strict", CRDS, CULVERT)
        assert "2 chart(s) linted, 0 chart(s) failed" in said, said


def test_documentation(_stage: Stage):
    """the table of values and the schema say what values.yaml says; the versions are the workspace's"""
    done = subprocess.run([REPOSITORY / "charts" / "describe", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for chart in (CRDS, CULVERT):
        text = (REPOSITORY / chart / "Chart.yaml").read_text()
        found = re.findall(r"^(?:version|appVersion): (\S+)$", text, re.MULTILINE)
        assert found == [workspace_version()] * 2, f"{chart}: {found}"


def test_the_api_server_takes_every_rendering(stage: Stage):
    """no refusal, no warning, no unknown field; both Helms say the same; the operator's pods pass Pod Security's `restricted`"""
    for name, values in VALUES.items():
        one, other = (without_birth(accepted(stage.server, values, helm)) for helm in HELMS)
        assert one == other, name
        assert {"Deployment", "PodDisruptionBudget", "Service"} <= {thing["kind"] for thing in one}, name
    # A warning is seen: this pod is not `restricted`.
    weaker = render(stage.server, "helm").replace("runAsNonRoot: true", "runAsNonRoot: false")
    done = stage.server.judge("-f", "-", stdin=weaker)
    assert done.returncode != 0 and 'would violate PodSecurity "restricted' in done.stderr, done.stderr


def test_values_reach_the_pods(stage: Stage):
    """images, environment, placement: what the values say is what the deployment has"""
    usual = deployment(accepted(stage.server, VALUES["default"]))
    container = usual["containers"][0]
    version = workspace_version()
    assert container["image"] == f"localhost/culvert-operator:{version}"
    for name in ("relay", "speaker"):
        assert environment(container)[f"CULVERT_{name.upper()}_IMAGE"] == f"localhost/culvert-{name}:{version}"
    assert environment(container)["CULVERT_API_SERVER_PORTS"] == "443,6443"
    assert not {"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_METRICS_EXPORTER", "CULVERT_NAMESPACES"} & set(environment(container))
    assert [spread["topologyKey"] for spread in usual["topologySpreadConstraints"]] == [
        "kubernetes.io/hostname", "topology.kubernetes.io/zone"]

    everything = accepted(stage.server, VALUES["everything"])
    assert let_out(everything) == [{8443}, {9108, 9109}, {4317, 53}, {5140}]
    other = deployment(everything)
    container = other["containers"][0]
    assert container["image"] == "registry.example.com:5000/culvert/op:v1"
    assert {
        "CULVERT_RELAY_IMAGE": "registry.example.com:5000/culvert/re@sha256:" + "0123456789abcdef" * 4,
        "CULVERT_NAMESPACES": "fleets-a,fleets-b",
        "CULVERT_RELAY_PRIORITY_CLASS": "network",
        "CULVERT_API_SERVER_PORTS": "8443",
        "CULVERT_METRICS_ADDRESS": "[::]:9999",
        "CULVERT_LOG_FORMAT": "text",
        "CULVERT_LOG_LEVEL": "debug",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.monitoring:4317",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_SERVICE_NAME": "culvert",
    }.items() <= environment(container).items()
    clients = json.loads(environment(container)["CULVERT_RELAY_CLIENTS"])
    assert [one["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for one in clients] == ["monitoring", NAMESPACE]
    assert container["ports"][0]["containerPort"] == 9999
    assert other["serviceAccountName"] == "robot" and other["imagePullSecrets"] == [{"name": "registry"}]
    assert other["priorityClassName"] == "system-node-critical"
    assert other["nodeSelector"] == {"kubernetes.io/os": "linux", "example.com/control": "yes"}
    spread = other["topologySpreadConstraints"]
    assert [entry["topologyKey"] for entry in spread] == ["rack"]
    assert spread[0]["labelSelector"]["matchLabels"]["app.kubernetes.io/name"] == "culvert-operator"


def let_out(rendered: list[dict]) -> list[set[int]]:
    """The ports that the operators' network policy lets them out by: the API server's, relays', the collector's, others."""
    policy = next(thing for thing in rendered if thing["kind"] == "NetworkPolicy")
    return [{port["port"] for port in rule["ports"]} for rule in policy["spec"]["egress"]]


def test_what_helm_test_runs(stage: Stage):
    """without networks: no capability, no relay; with them: NET_RAW alone, a pod and a fleet on the same networks; Pod Security
    admits the one to `restricted`; the fleet is one that the API server takes"""
    pod, fleet = tested(accepted(stage.server, VALUES["default"]))
    assert (pod["metadata"]["namespace"], fleet["metadata"]["namespace"]) == (NAMESPACE, NAMESPACE)
    assert fleet["spec"]["replicas"] == 0 and pod["spec"]["securityContext"]["runAsNonRoot"]
    assert pod["spec"]["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}

    pod, fleet = tested(accepted(stage.server, VALUES["everything"]))
    assert (pod["metadata"]["namespace"], fleet["metadata"]["namespace"]) == ("fleets-b", "fleets-b")
    networks = pod["metadata"]["annotations"]["k8s.v1.cni.cncf.io/networks"]
    assert networks == "fleets-b/fabric-ipv4@net1,networks/fabric-ipv6@net2"
    assert pod["spec"]["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["NET_RAW"]}
    template = fleet["spec"]["podTemplate"]
    assert (fleet["spec"]["replicas"], fleet["spec"]["dataplane"]["sysctls"], template["imagePullPolicy"]) == (2, "Pod", "Always")
    assert template["imagePullSecrets"] == pod["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    assert template["nodeSelector"] == pod["spec"]["nodeSelector"] == {"kubernetes.io/os": "linux", "example.com/fabric": "yes"}
    # What the test adds: next hops, and what is allowed.
    for interface in fleet["spec"]["dataplane"]["interfaces"]:
        interface["nextHops"] = ["192.0.2.1"] if interface["side"] == "IPv4" else ["2001:db8::1"]
    fleet["spec"]["allowed"] = {"ipv4Prefixes": ["198.18.0.0/24"], "softwirePrefixes": ["2001:2::/48"]}
    stage.server.must("helm", "install", "culvert-crds", CRDS, "--namespace", NAMESPACE)
    try:
        stage.server.kubectl("wait", "--for=condition=Established", "--timeout=30s", *(f"crd/{name}" for name in TYPES))
        stage.server.accept("-f", "-", stdin=json.dumps(fleet))
    finally:
        stage.server.must("helm", "uninstall", "culvert-crds", "--namespace", NAMESPACE)
        stage.server.kubectl("delete", "crd", *TYPES)

    nothing = accepted(stage.server, VALUES["nothing"])
    assert not [thing for thing in nothing if thing["metadata"]["name"] == "culvert-test"], nothing


def test_wrong_values(stage: Stage):
    """a wrong value is refused, by its name, by both Helms"""
    for helm in HELMS:
        for setting, *words in (
            ("replica=2", "replica"),
            ("replicas=two", "replicas"),
            ("replicas=-1", "replicas"),
            ("images.relay.tags=v1", "relay", "tags"),
            ("images.relay.digest=sha256:12", "relay", "digest"),
            ("images.registry=https://registry.example.com", "registry"),
            ("images.pullPolicy=Sometimes", "pullPolicy"),
            ("watchNamespaces={Fleets}", "watchNamespaces"),
            ("log.format=xml", "format"),
            ("otlp.endpoint=collector:4317", "endpoint"),
            ("otlp.endpoint=https://collector:4317", "endpoint"),
            ("otlp.endpoint=http://collector", "endpoint"),
            ("metrics.port=80", "port"),
            ("monitoring.podMonitor.enable=true", "podMonitor", "enable"),
            ("monitoring.prometheusRule.minimumRelays=0", "minimumRelays"),
            ("monitoring.interval=soon", "interval"),
            ("dashboards.label=a label", "label"),
            ("relays.apiServerPorts={x}", "apiServerPorts"),
            ("relays.networkPolicy.from=all", "from"),
            ("admissionPolicy.enabled=maybe", "enabled"),
            ("resources.limit.cpu=1", "resources", "limit"),
            ("serviceAccount.create=false", "serviceAccount.name"),
            ("test.interfaces[0].name=net1", "test", "network"),
            ("test.relays=0", "test", "relays"),
        ):
            done = try_render(stage.server, helm, "--set", setting)
            assert done.returncode != 0, f"{helm} takes {setting}"
            assert all(word in done.stderr for word in words), f"{helm} {setting}: {done.stderr}"


def test_install_and_remove(stage: Stage):
    """both Helms install, upgrade and remove; the types and their objects outlive it; the notes tell the next command"""
    server = stage.server
    for helm in HELMS:
        said = server.must(helm, "install", "culvert", CULVERT, "--namespace", NAMESPACE, "--create-namespace")
        assert "The types are missing" in said and "helm install culvert-crds" in said, said
        server.must(helm, "uninstall", "culvert", "--namespace", NAMESPACE)

        said = server.must(helm, "install", "culvert-crds", CRDS, "--namespace", NAMESPACE)
        assert f"helm install culvert charts/culvert --namespace {NAMESPACE}" in said, said
        server.kubectl("wait", "--for=condition=Established", "--timeout=30s", *(f"crd/{name}" for name in TYPES))
        server.wait_types()
        said = server.must(helm, "install", "culvert", CULVERT, "--namespace", NAMESPACE)
        assert "types are missing" not in said, said
        for command in ("kubectl label namespace culvert-system", "kubectl apply -f deploy/examples/cluster/"):
            assert command in said, said

        server.make_namespace("culvert-system")
        server.kubectl("apply", "-f", "deploy/examples/isp-a.yaml")
        server.must(helm, "upgrade", "culvert", CULVERT, "--namespace", NAMESPACE, "--set", "replicas=3")
        found = server.kubectl("get", "deployment", "--namespace", NAMESPACE, "-o", "jsonpath={.items[*].spec.replicas}")
        assert found == "3"
        for release in ("culvert", "culvert-crds"):
            server.must(helm, "uninstall", release, "--namespace", NAMESPACE)
        kinds = "deployment,clusterrole,serviceaccount,role,validatingadmissionpolicy,validatingadmissionpolicybinding"
        assert server.kubectl("get", kinds, "--all-namespaces", "-o", "name", "-l", "app.kubernetes.io/part-of=culvert") == ""
        kept = server.kubectl("get", "crd", "-o", "name", "-l", "app.kubernetes.io/part-of=culvert").split()
        assert kept == [f"customresourcedefinition.apiextensions.k8s.io/{name}" for name in TYPES], kept
        assert server.kubectl("get", "mapdomains", "--namespace", "culvert-system", "-o", "name").strip()
        # The same release takes them over again.
        server.must(helm, "install", "culvert-crds", CRDS, "--namespace", NAMESPACE)
        server.must(helm, "uninstall", "culvert-crds", "--namespace", NAMESPACE)
        server.kubectl("delete", "crd", *TYPES)
        server.wait_types(there=False)


def without_birth(things: list[dict]) -> list[dict]:
    """What only says when and as what an object was made."""
    for thing in things:
        for field in ("uid", "creationTimestamp", "managedFields"):
            thing["metadata"].pop(field, None)
        if thing["kind"] == "Service":
            thing["spec"].pop("clusterIPs", None)
        if thing["kind"] == "Pod":  # the token's volume has a random name
            thing["spec"].pop("volumes")
            thing["spec"]["containers"][0].pop("volumeMounts")
    return sorted(things, key=lambda thing: (thing["kind"], thing["metadata"]["name"], thing["metadata"].get("namespace", "")))


def deployment(things: list[dict]) -> dict:
    """The pods' spec."""
    return next(thing for thing in things if thing["kind"] == "Deployment")["spec"]["template"]["spec"]


def tested(things: list[dict]) -> tuple[dict, dict]:
    """The pod of `helm test`, and the fleet that it makes."""
    pod = next(thing for thing in things if thing["kind"] == "Pod")
    return pod, json.loads(environment(pod["spec"]["containers"][0])["CULVERT_PROBE_FLEET"])


def environment(container: dict) -> dict[str, str]:
    return {entry["name"]: entry.get("value") for entry in container["env"]}
