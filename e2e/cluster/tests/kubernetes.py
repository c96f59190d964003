"""Kubernetes itself: nodes, pods, services, and its programs ended and started again."""

import json
import signal

from cluster.scene import Scene
from lab.lab import eventually

SERVE = "hostname > /tmp/index.html; httpd -p 8080 -h /tmp"


def test_nodes(scene: Scene):
    """both nodes are Ready, of the version that is pinned"""
    wanted = scene.cluster.program("kubelet").readlink().parent.name.split("-")[1]
    found = {
        node["metadata"]["name"]: node["status"]["nodeInfo"]["kubeletVersion"]
        for node in scene.cluster.get("nodes")["items"]
        if any((one["type"], one["status"]) == ("Ready", "True") for one in node["status"]["conditions"])
    }
    assert found == {"node1": wanted, "node2": wanted}, found


def test_pods_talk(scene: Scene):
    """pods of both nodes reach each other by address and by a service's ClusterIP"""
    for number in (1, 2):
        scene.start_pod(f"web{number}", number, script=SERVE)
    scene.wait_ready("web1", "web2")
    scene.kubectl("expose", "pod", "web2", "--port=80", "--target-port=8080")
    service = scene.get("service", "web2")["spec"]["clusterIP"]
    assert fetch(scene, "web1", f"{scene.pod_ip('web2')}:8080") == ("web2", "")
    assert fetch(scene, "web2", f"{scene.pod_ip('web1')}:8080") == ("web1", "")
    for pod in ("web1", "web2"):  # from the other node, and from the same one; kube-proxy takes a moment
        reached = eventually(lambda pod=pod: fetch(scene, pod, service) == ("web2", ""), 20)
        assert reached, f"{pod} at {service}: {fetch(scene, pod, service)}"


def fetch(scene: Scene, pod: str, address: str) -> tuple[str, str]:
    """What comes, and what wget complains of."""
    done = scene.try_exec(pod, "timeout", "5", "wget", "-qO-", f"http://{address}/")
    return done.stdout.strip(), done.stderr.strip()


def test_api_from_pods(scene: Scene):
    """a pod reaches the API server by its ClusterIP, knows its certificate, and is who its service account says"""
    for number in (1, 2):
        scene.start_pod(f"client{number}", number)
    scene.wait_ready("client1", "client2")
    for pod in ("client1", "client2"):
        assert "gitVersion" in scene.exec(pod, "kubectl", "get", "--raw", "/version")
        assert scene.exec(pod, "sh", "-c", "echo $KUBERNETES_SERVICE_HOST").strip() == "10.96.0.1"
        refused = scene.try_exec(pod, "kubectl", "get", "pods").stderr
        assert f"system:serviceaccount:{scene.name}:default" in refused, refused


def test_exec_and_logs(scene: Scene):
    """`kubectl exec` and `kubectl logs` reach both nodes' kubelets"""
    for number in (1, 2):
        scene.start_pod(f"pod{number}", number, script=f"echo I am on {number}")
    scene.wait_ready("pod1", "pod2")
    for number in (1, 2):
        assert scene.kubectl("logs", f"pod{number}") == f"I am on {number}\n"
        assert scene.exec(f"pod{number}", "hostname") == f"pod{number}\n"
        assert scene.try_exec(f"pod{number}", "sh", "-c", "exit 3").returncode == 3


def test_control_plane_restarts(scene: Scene):
    """etcd and API server are killed and started again: what was stored is there, pods never stopped"""
    control = scene.cluster.control
    scene.pod("web", 1, script=SERVE)
    started = container(scene, "web")
    control.stop("kube-apiserver", signal.SIGKILL)
    assert not scene.cluster.api_answers(), "the API server answers though it was killed, so this test shows nothing"
    control.stop("etcd", signal.SIGKILL)
    control.start("etcd")
    scene.cluster.start_api_server()
    assert eventually(lambda: container(scene, "web") == started, 20), "the pod is another"
    scene.pod("later", 2)


def test_node_restarts(scene: Scene):
    """kubelet and containerd of a node are killed and started again: the pod's container never stopped"""
    node = scene.cluster.nodes[2]
    scene.pod("web", 2, script=SERVE)
    started = container(scene, "web")
    for program in ("kubelet", "containerd"):
        node.stop(program, signal.SIGKILL)
        assert not node.machine.programs.is_running(program)
    for program in ("containerd", "kubelet"):
        node.start(program)
    assert eventually(lambda: scene.try_exec("web", "true").returncode == 0, 30), "no exec after the restart"
    assert container(scene, "web") == started, "the container is another"
    scene.pod("later", 2)


def container(scene: Scene, pod: str) -> str:
    """The id of the pod's container and when it started."""
    status = scene.get("pod", pod)["status"]["containerStatuses"][0]
    return json.dumps([status["containerID"], status["state"]])
