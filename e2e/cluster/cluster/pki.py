"""The cluster's certificates and kubeconfigs, each self-contained, made anew for every cluster."""

import base64
import json
from pathlib import Path

from lab.namespaces import command

from .fabric import API_ADDRESS, API_CLUSTER_IP, NODES, node_address

DAYS = "3650"
EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")

# Who speaks to the API server: file name, subject. The names are those that Kubernetes's own roles are bound to.
CLIENTS = {
    "admin": "/O=system:masters/CN=admin",
    "controller-manager": "/CN=system:kube-controller-manager",
    "scheduler": "/CN=system:kube-scheduler",
    "proxy": "/CN=system:kube-proxy",
    "meta-plugin": "/CN=culvert:meta-plugin",
}


def make_pki(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    openssl("req", "-x509", *EC, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=culvert", "-days", DAYS,
            folder=folder)
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "service-accounts.key", folder=folder)
    openssl("ec", "-in", "service-accounts.key", "-pubout", "-out", "service-accounts.pub", folder=folder)
    served = f"DNS:kubernetes.default.svc,IP:{API_CLUSTER_IP},IP:{API_ADDRESS},IP:127.0.0.1"
    make_certificate(folder, "apiserver", "/CN=kube-apiserver", served)
    for name, subject in CLIENTS.items():
        make_certificate(folder, name, subject, f"DNS:{name}")
        write_kubeconfig(folder, name)
    for number in NODES:
        name = f"node{number}"
        subject = f"/O=system:nodes/CN=system:node:{name}"
        make_certificate(folder, name, subject, f"DNS:{name},IP:{node_address(number)}")
        write_kubeconfig(folder, name)


def make_certificate(folder: Path, name: str, subject: str, alternative_names: str) -> None:
    request, extensions = f"{name}.csr", f"{name}.ext"
    (folder / extensions).write_text(f"subjectAltName={alternative_names}\nextendedKeyUsage=serverAuth,clientAuth\n")
    openssl("req", *EC, "-keyout", f"{name}.key", "-out", request, "-subj", subject, folder=folder)
    openssl("x509", "-req", "-in", request, "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out",
            f"{name}.crt", "-days", DAYS, "-extfile", extensions, folder=folder)
    for scaffold in (request, extensions):
        (folder / scaffold).unlink()


def write_kubeconfig(folder: Path, name: str) -> None:
    server = {"server": f"https://{API_ADDRESS}:6443", "certificate-authority-data": encoded(folder / "ca.crt")}
    user = {
        "client-certificate-data": encoded(folder / f"{name}.crt"),
        "client-key-data": encoded(folder / f"{name}.key"),
    }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "culvert", "cluster": server}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": "culvert", "context": {"cluster": "culvert", "user": name}}],
        "current-context": "culvert",
    }
    path = folder / f"{name}.kubeconfig"
    path.write_text(json.dumps(config, indent=1))
    path.chmod(0o600)  # helm warns of one that others may read


def encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def openssl(*words: str, folder: Path) -> None:
    command("openssl", *words, folder=folder)
