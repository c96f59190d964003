"""The examples: what the API server and `culvertctl` say of them, and whether they fit together."""

import json
import os
import re
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path

from install.helm import CRDS, NAMESPACE
from install.suite import Stage
from lab.lab import REPOSITORY, Missing

EXAMPLES = REPOSITORY / "deploy" / "examples"
FLEETS = "culvert-system"


def test_the_api_server_takes_the_examples(stage: Stage):
    """every example, by itself: no refusal, no warning, no unknown field"""
    prepare(stage)
    files = sorted(EXAMPLES.rglob("*.yaml"))
    assert len(files) >= 7, files
    for file in files:
        if file.name != "namespaces.yaml":  # applied by `prepare`
            stage.server.accept("-f", str(file))


def test_culvertctl_takes_the_examples(_stage: Stage):
    """fleets and domains are valid, and each fleet allows what it would serve"""
    files = sorted(EXAMPLES.glob("*.yaml"))
    done = subprocess.run([culvertctl(), "check", "-f", *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_networks_fit_the_fleets(stage: Stage):
    """every network of a fleet is there, turns forwarding on for its sides, and has the routers beside its addresses"""
    prepare(stage)
    networks = [network for file in sorted(EXAMPLES.glob("cluster/network*.yaml")) for network in read(stage, file)]
    for fleet in (thing for file in EXAMPLES.glob("*.yaml") for thing in read(stage, file) if thing["kind"] == "BorderRelay"):
        for interface in fleet["spec"]["dataplane"]["interfaces"]:
            fitting = [network for network in networks if network["metadata"]["name"] == interface["network"]]
            assert fitting, f"no example makes {interface['network']} of {fleet['metadata']['name']}"
            for network in fitting:
                check(network, interface, routers(fleet, interface))


def test_the_commands_in_the_documents(_stage: Stage):
    """every file that a document of deploy and charts names is there, and so is every example in the list"""
    documents = [REPOSITORY / "README.md", *REPOSITORY.glob("charts/*/README.md"), *REPOSITORY.glob("charts/*/templates/NOTES.txt"),
                 *REPOSITORY.glob("deploy/*/README.md")]
    for document in documents:
        for path in re.findall(r"(?:deploy/examples|charts)/[\w./-]+[\w]", document.read_text()):
            assert (REPOSITORY / path).exists(), f"{document}: {path}"
    listed = set(re.findall(r"^\| `([\w/.-]+)`", (EXAMPLES / "README.md").read_text(), re.MULTILINE))
    assert listed == {str(file.relative_to(EXAMPLES)) for file in EXAMPLES.rglob("*.yaml")}


def culvertctl() -> Path:
    program = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")) / "release" / "culvertctl"
    if not program.exists():
        raise Missing(f"{program} is missing: run `make build`")
    return program


def prepare(stage: Stage) -> None:
    """The types, and the namespaces: these from their example."""
    server = stage.server
    server.kubectl("apply", "--server-side", "-f", f"{CRDS}/templates")
    server.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "--all")
    server.wait_types()
    server.kubectl("apply", "-f", str(EXAMPLES / "cluster" / "namespaces.yaml"))
    levels = {
        namespace["metadata"]["name"]: namespace["metadata"]["labels"].get("pod-security.kubernetes.io/enforce")
        for namespace in json.loads(server.kubectl("get", "namespaces", "-o", "json"))["items"]
    }
    assert (levels[FLEETS], levels[NAMESPACE]) == ("privileged", "restricted"), levels


def read(stage: Stage, file: Path) -> list[dict]:
    return stage.server.accept("-f", str(file))


def routers(fleet: dict, interface: dict) -> list[str]:
    """Whom packets go to: next hops, or the addresses of the peers."""
    hops = [hop for hop in interface["nextHops"] if hop != "FromPeers"]
    peers = [peer["address"] for peer in fleet["spec"].get("bgp", {}).get("peers", []) if "address" in peer]
    version = {"IPv4": {4}, "IPv6": {6}, "Both": {4, 6}}[interface["side"]]
    return [address for address in hops or peers if ip_address(address).version in version]


def check(network: dict, interface: dict, addresses: list[str]) -> None:
    name = network["metadata"]["name"]
    make, tune = json.loads(network["spec"]["config"])["plugins"]
    assert tune["type"] == "tuning"
    wanted = {}
    if interface["side"] != "IPv6":
        wanted |= {"net.ipv4.ip_forward": "1", "net.ipv4.conf.all.rp_filter": "0", "net.ipv4.conf.IFNAME.rp_filter": "0"}
    if interface["side"] != "IPv4":
        wanted |= {"net.ipv6.conf.all.forwarding": "1", "net.ipv6.conf.IFNAME.accept_ra": "2"}
    assert tune["sysctl"] == wanted, f"{name}: {tune['sysctl']}"
    assert (make["type"] == "sriov") == ("k8s.v1.cni.cncf.io/resourceName" in network["metadata"].get("annotations", {}))
    ranges = make["ipam"]["ipRanges"]
    for address in map(ip_address, addresses):
        pool = next(pool for pool in ranges if ip_network(pool["range"]).version == address.version)
        assert address in ip_network(pool["range"]), f"{name}: {address} is not on the segment {pool['range']}"
        taken = ip_address(pool["range_start"]) <= address <= ip_address(pool["range_end"])
        assert not taken, f"{name}: a relay may get the router's address {address}"
