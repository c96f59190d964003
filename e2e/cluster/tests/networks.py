"""Additional networks, by the annotation of the de-facto standard."""

import subprocess
from ipaddress import ip_address

from cluster.binaries import HERE, environment
from cluster.fabric import IPV4, IPV6, SEGMENTS
from cluster.scene import Scene
from lab.lab import eventually

MAC = "02:00:5e:00:53:07"  # of the documentation's range (RFC 7042), as a local one


def test_meta_plugin_units(_scene: Scene):
    """the plugin's own tests: both forms of the annotation, order, undoing, DEL without the API server"""
    argv = ["go", "test", "-trimpath", "./..."]
    done = subprocess.run(argv, cwd=HERE / "meta-plugin", env=environment(), capture_output=True, text=True)
    assert done.returncode == 0 and "ok" in done.stdout, done.stdout + done.stderr


def test_host_device_and_macvlan(scene: Scene):
    """one pod on each node: net1 by host-device, net2 by macvlan, as network-status says; both reach the router"""
    for number in (1, 2):
        scene.start_pod(f"pod{number}", number, "default/ipv4a, default/ipv6")
    scene.wait_ready("pod1", "pod2")
    for pod in ("pod1", "pod2"):
        networks = scene.networks(pod)
        named = {interface: entry["name"] for interface, entry in networks.items()}
        assert named == {"eth0": "pods", "net1": "default/ipv4a", "net2": "default/ipv6"}, named
        assert networks["eth0"]["default"] and networks["eth0"]["ips"] == [scene.pod_ip(pod)]
        check_interfaces(scene, pod)
        scene.ping(pod, IPV4.router)
        scene.ping(pod, IPV6.router)
    assert scene.networks("pod1")["net1"]["ips"] != scene.networks("pod2")["net1"]["ips"]


def check_interfaces(scene: Scene, pod: str):
    """Addresses and MACs are what the annotation says."""
    for interface, entry in scene.networks(pod).items():
        shown = scene.exec(pod, "ip", "addr", "show", interface)
        assert entry["mac"] in shown, f"{entry} but {shown}"
        assert len(entry["ips"]) == 1 and f" {entry['ips'][0]}/" in shown, f"{entry} but {shown}"


def test_tuning(scene: Scene):
    """the networks' tuning turns forwarding on, unprivileged; a pod without them has it off"""
    scene.start_pod("tuned", 1, "default/ipv4@four,default/ipv6@six")
    scene.start_pod("plain", 1)
    scene.wait_ready("tuned", "plain")
    forwarding = ("ipv4/ip_forward", "ipv6/conf/all/forwarding")
    assert [scene.sysctl("plain", path) for path in forwarding] == ["0", "0"]
    assert [scene.sysctl("tuned", path) for path in forwarding] == ["1", "1"]
    assert scene.sysctl("tuned", "ipv4/conf/all/rp_filter") == "0"
    assert scene.sysctl("tuned", "ipv4/conf/four/rp_filter") == "0"
    assert scene.sysctl("tuned", "ipv6/conf/six/accept_ra") == "2"


def test_macvlan(scene: Scene):
    """five pods on two nodes share the segments: every address is given once, all reach each other and the router"""
    pods = {f"pod{number}": 1 + number % 2 for number in range(5)}
    for pod, node in pods.items():
        scene.start_pod(pod, node, "default/ipv4,default/ipv6")
    scene.wait_ready(*pods)
    for place, segment in enumerate(SEGMENTS, start=1):
        addresses = [scene.networks(pod)[f"net{place}"]["ips"][0] for pod in pods]
        assert len(set(addresses)) == len(pods), f"an address was given twice: {addresses}"
        assert all(ip_address(address) in segment.network for address in addresses), addresses
        for target in (segment.router, *addresses):
            scene.ping("pod0", target)


def test_json_annotation(scene: Scene):
    """the JSON form: names of interfaces, a MAC address, an address of one's own"""
    scene.cluster.apply({
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": "fixed", "namespace": scene.name},
        "spec": {"config": """{
            "cniVersion": "1.0.0", "type": "macvlan", "master": "ipv4", "mode": "bridge",
            "capabilities": {"ips": true, "mac": true}, "ipam": {"type": "static"}
        }"""},
    })
    address = "198.51.100.200"
    scene.pod("pod", 1, [
        {"name": "fixed", "interface": "wan", "ips": [f"{address}/24"], "mac": MAC},
        {"name": "ipv6", "namespace": "default"},
    ])
    networks = scene.networks("pod")
    assert list(networks) == ["eth0", "wan", "net2"], networks
    assert networks["wan"] == {
        "name": f"{scene.name}/fixed", "interface": "wan", "ips": [address], "mac": MAC, "dns": {},
    }, networks["wan"]
    check_interfaces(scene, "pod")
    scene.ping("pod", IPV4.router)


def test_device_comes_back(scene: Scene):
    """a pod's end gives the link back to its node, and the next pod takes it"""
    node = scene.cluster.nodes[1].namespace
    for pod in ("first", "second"):
        assert "ipv4b" in node.show("link", "show", "ipv4b")
        scene.pod(pod, 1, "default/ipv4b")
        assert not has_link(node, "ipv4b"), "the node still has the link that the pod was given"
        scene.ping(pod, IPV4.router)
        scene.delete(pod)
        assert eventually(lambda: has_link(node, "ipv4b"), 20), "the link did not come back"


def has_link(node, device: str) -> bool:
    return f" {device}@" in node.show("link")


def test_missing_network(scene: Scene):
    """a network that is not there: an event names it; the pod starts once it is"""
    scene.start_pod("pod", 1, "nowhere")
    says = f"there is no NetworkAttachmentDefinition nowhere in namespace {scene.name}"
    assert eventually(lambda: says in events(scene), 30), events(scene)
    assert scene.get("pod", "pod")["status"]["phase"] == "Pending"
    config = scene.cluster.get("network-attachment-definition", "ipv4")["spec"]["config"]
    scene.cluster.apply({
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": "nowhere", "namespace": scene.name},
        "spec": {"config": config},
    })
    scene.wait_ready("pod")
    scene.ping("pod", IPV4.router)


def test_bad_annotation(scene: Scene):
    """an annotation with a mistake: an event says which"""
    scene.start_pod("pod", 1, '[{"name": "ipv4", "bandwidth": 1}]')
    assert eventually(lambda: 'unknown field "bandwidth"' in events(scene).replace("\\", ""), 30), events(scene)


def events(scene: Scene) -> str:
    return "\n".join(event["message"] for event in scene.get("events")["items"])
