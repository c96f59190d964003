"""etcd, the API server and the two controllers of Kubernetes, in the namespace `control`."""

import json
from pathlib import Path

from lab.namespaces import Namespace

from .fabric import API_ADDRESS, SERVICES
from .programs import Programs

ETCD = "http://127.0.0.1:2379"

# What pods ask of the API server is noted, a line of JSON each, when it has been answered: for tests that count.
AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [
        {"level": "None", "userGroups": ["system:serviceaccounts:kube-system"]},
        {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
        {"level": "None"},
    ],
}


class ControlPlane:
    """`start` and `stop` take the names of PROGRAMS."""

    PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")

    def __init__(self, namespace: Namespace, folder: Path):
        self.cluster_folder = folder
        self.folder = folder / "control"
        self.pki = folder / "pki"
        self.programs = Programs(namespace, self.folder, namespace.argv)

    @property
    def audit_log(self) -> Path:
        return self.folder / "audit.log"

    def start(self, name: str) -> None:
        flags = {
            "etcd": self.etcd,
            "kube-apiserver": self.api_server,
            "kube-controller-manager": self.controller_manager,
            "kube-scheduler": self.scheduler,
        }[name]()
        self.programs.start(name, str(self.cluster_folder / "bin" / name), *flags)

    def stop(self, name: str, *how) -> None:
        self.programs.stop(name, *how)

    def etcd(self) -> list[str]:
        return [
            f"--data-dir={self.folder}/etcd",
            f"--listen-client-urls={ETCD}",
            f"--advertise-client-urls={ETCD}",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--unsafe-no-fsync",  # a cluster of an hour, not of a year
            "--log-level=warn",
        ]

    def api_server(self) -> list[str]:
        policy = self.folder / "audit.json"
        policy.write_text(json.dumps(AUDIT))
        return [
            f"--etcd-servers={ETCD}",
            f"--bind-address={API_ADDRESS}",
            f"--client-ca-file={self.pki}/ca.crt",
            f"--tls-cert-file={self.pki}/apiserver.crt",
            f"--tls-private-key-file={self.pki}/apiserver.key",
            f"--service-account-key-file={self.pki}/service-accounts.pub",
            f"--service-account-signing-key-file={self.pki}/service-accounts.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-cluster-ip-range={SERVICES}",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged",  # as anywhere: who must not is kept from it by other means
            "--enable-admission-plugins=NodeRestriction",
            f"--kubelet-client-certificate={self.pki}/admin.crt",
            f"--kubelet-client-key={self.pki}/admin.key",
            f"--kubelet-certificate-authority={self.pki}/ca.crt",
            "--kubelet-preferred-address-types=InternalIP",  # node names are in no DNS
            f"--audit-policy-file={policy}",
            f"--audit-log-path={self.audit_log}",
        ]

    def controller_manager(self) -> list[str]:
        return [
            f"--kubeconfig={self.pki}/controller-manager.kubeconfig",
            f"--service-account-private-key-file={self.pki}/service-accounts.key",
            f"--root-ca-file={self.pki}/ca.crt",
            "--use-service-account-credentials",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            f"--flex-volume-plugin-dir={self.folder}/volume-plugins",  # or it makes one in /usr
        ]

    def scheduler(self) -> list[str]:
        return [f"--kubeconfig={self.pki}/scheduler.kubeconfig", "--leader-elect=false", "--bind-address=127.0.0.1"]
