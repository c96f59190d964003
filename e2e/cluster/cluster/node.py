"""A node: a machine with containerd, the CNI plugins, a kubelet and kube-proxy, at the paths they have anywhere."""

import json
from pathlib import Path

from lab.lab import Missing
from lab.namespaces import Namespace

from . import cgroups
from .fabric import PODS, node_address, pod_network
from .images import PAUSE
from .machine import Machine

PLUGINS = Path("/usr/lib/cni")
INSIDE = "/run/cluster"  # where the machine sees the cluster's folder
SOCKET = "/run/containerd/containerd.sock"


class Node:
    """`start` and `stop` take the names of PROGRAMS."""

    PROGRAMS = ("containerd", "kubelet", "kube-proxy")

    def __init__(self, number: int, namespace: Namespace, folder: Path):
        self.number = number
        self.namespace = namespace
        own = {"containerd": "/var/lib/containerd", "kubelet": "/var/lib/kubelet", "cni": "/var/lib/cni", "log": "/var/log"}
        self.machine = Machine(namespace, folder / namespace.node, {
            **{f"{namespace.node}/{part}": place for part, place in own.items()},
            "networks": "/var/lib/cni/networks",  # the same for all nodes
        })

    @property
    def name(self) -> str:
        return self.machine.name

    @property
    def cgroup(self) -> str:
        """The control group that its pods are in; the machine's other nodes have others."""
        return self.namespace.name

    def boot(self) -> None:
        self.machine.boot()
        self.install_plugins()
        self.configure()
        cgroups.create(self.cgroup)
        self.start("containerd")

    def boot_again(self) -> None:
        """After its machine was killed: what a node does when its power is back."""
        self.machine.boot()
        for name in self.PROGRAMS:
            self.start(name)

    def start(self, name: str) -> None:
        """Starts a program; of containerd, waits until it answers."""
        argv = {"containerd": self.containerd, "kubelet": self.kubelet, "kube-proxy": self.proxy}[name]()
        self.machine.programs.start(name, *argv)
        if name == "containerd":
            self.machine.programs.wait_until(name, self.containerd_answers, "it answered")

    def stop(self, name: str, *how) -> None:
        self.machine.programs.stop(name, *how)

    def load_image(self, archive: Path) -> None:
        self.machine.feed(archive, "ctr", "--namespace", "k8s.io", "images", "import", "-")

    def containerd_answers(self) -> bool:
        return self.machine.succeeds("ctr", "version")

    def containerd(self) -> list[str]:
        return ["containerd", "--config", f"{INSIDE}/{self.name}/containerd.toml"]

    def kubelet(self) -> list[str]:
        return [
            f"{INSIDE}/bin/kubelet",
            f"--config={INSIDE}/{self.name}/kubelet.json",
            f"--kubeconfig={INSIDE}/pki/{self.name}.kubeconfig",
            f"--hostname-override={self.name}",
            f"--node-ip={node_address(self.number)}",
        ]

    def proxy(self) -> list[str]:
        return [
            f"{INSIDE}/bin/kube-proxy",
            f"--kubeconfig={INSIDE}/pki/proxy.kubeconfig",
            f"--hostname-override={self.name}",
            "--proxy-mode=nftables",
            f"--cluster-cidr={PODS}",
            "--healthz-bind-address=127.0.0.1:10256",
            "--metrics-bind-address=127.0.0.1:10249",
            # The limits of connection tracking are the whole machine's: left alone.
            "--conntrack-max-per-core=0",
            "--conntrack-min=0",
            "--conntrack-tcp-timeout-established=0",
            "--conntrack-tcp-timeout-close-wait=0",
        ]

    def install_plugins(self) -> None:
        """Debian's plugins and ours in one folder: containerd searches a single one."""
        if not PLUGINS.is_dir():
            raise Missing(f"{PLUGINS} is missing: run scripts/install-tools cluster")
        folder = self.machine.folder / "plugins"
        folder.mkdir()
        for plugin in (*PLUGINS.iterdir(), folder.parent.parent / "bin" / "meta-plugin"):
            (folder / plugin.name).symlink_to(plugin.resolve())

    def configure(self) -> None:
        folder = self.machine.folder
        (folder / "containerd.toml").write_text(self.containerd_config())
        (folder / "kubelet.json").write_text(json.dumps(self.kubelet_config(), indent=1))
        networks = folder / "net.d"
        networks.mkdir()
        (networks / "10-pods.conflist").write_text(json.dumps(self.network_config(), indent=1))

    def containerd_config(self) -> str:
        return f"""version = 2
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true  # runc may lack CAP_SYS_RESOURCE here
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{INSIDE}/{self.name}/plugins"
    conf_dir = "{INSIDE}/{self.name}/net.d"
"""

    def network_config(self) -> dict:
        """The pod network, and our plugin in front of it for all other networks."""
        ipam = {
            "type": "host-local",
            "dataDir": "/var/lib/cni/pods",
            "ranges": [[{"subnet": str(pod_network(self.number))}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        }
        bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": True, "ipam": ipam}
        plugin = {
            "type": "meta-plugin",
            "kubeconfig": f"{INSIDE}/pki/meta-plugin.kubeconfig",
            "stateDir": "/var/lib/cni/meta-plugin",
            "clusterNetwork": {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge]},
        }
        return {"cniVersion": "1.0.0", "name": "pods", "plugins": [plugin]}

    def kubelet_config(self) -> dict:
        pki = f"{INSIDE}/pki"
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": str(node_address(self.number)),
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": f"{pki}/ca.crt"},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": f"{pki}/{self.name}.crt",
            "tlsPrivateKeyFile": f"{pki}/{self.name}.key",
            "containerRuntimeEndpoint": f"unix://{SOCKET}",
            "volumePluginDir": "/var/lib/kubelet/volume-plugins",
            "resolvConf": "",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self.cgroup}",
            "enforceNodeAllocatable": [],
            "failCgroupV1": False,
            "failSwapOn": False,
            "localStorageCapacityIsolation": False,
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,
            "allowedUnsafeSysctls": ["net.*"],
            "healthzPort": 0,
        }
