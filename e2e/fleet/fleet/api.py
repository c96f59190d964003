"""The API server by plain HTTPS: for what has to be quick, or asked often. All else is kubectl's."""

import contextlib
import http.client
import json
import socket
import ssl
from urllib.parse import quote

from cluster.cluster import Cluster
from cluster.fabric import API_ADDRESS
from lab.namespaces import Namespace

PORT = 6443
GROUP = "/apis/culvert.dev/v1alpha1"
MERGE_PATCH = "application/merge-patch+json"


class Refused(Exception):
    """The API server says no; `status` is its number."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


class Api:
    """The administrator's connection; or, with a token, its owner's, from where he is."""

    def __init__(self, cluster: Cluster, namespace: Namespace | None = None, token: str | None = None):
        self.namespace = namespace or cluster.fabric.control
        self.trust = ssl.create_default_context(cafile=str(cluster.pki / "ca.crt"))
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        if not token:
            self.trust.load_cert_chain(str(cluster.pki / "admin.crt"), str(cluster.pki / "admin.key"))

    def get(self, path: str) -> dict:
        return self.request("GET", path)

    def patch(self, path: str, change: dict) -> dict:
        """A merge patch: what is named changes, `None` removes."""
        return self.request("PATCH", path, change, MERGE_PATCH)

    def object(self, kind: str, namespace: str, name: str) -> dict:
        """A BorderRelay or MapDomain."""
        return self.get(path_of(kind, namespace, name))

    def request(self, method: str, path: str, body: dict | None = None, kind: str = "application/json") -> dict:
        with self.connection() as connection:
            return self.ask(connection, method, path, body, kind)

    @contextlib.contextmanager
    def connection(self):
        """For many requests, one after the other."""
        raw = connect(self.namespace, str(API_ADDRESS), PORT)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = http.client.HTTPConnection(str(API_ADDRESS), PORT)
        connection.sock = self.trust.wrap_socket(raw, server_hostname=str(API_ADDRESS))
        try:
            yield connection
        finally:
            connection.close()

    def ask(self, connection, method: str, path: str, body: dict | None = None, kind: str = "application/json") -> dict:
        status, text = self.answer(connection, method, path, body, kind)
        if status >= 300:
            raise Refused(status, f"{method} {path}: {status}: {text}")
        return json.loads(text)

    def answer(self, connection, method: str, path: str, body: dict | None, kind: str, **headers: str) -> tuple[int, str]:
        """Whatever it is."""
        connection.request(method, path, body and json.dumps(body), {"Content-Type": kind, **self.headers, **headers})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def path_of(kind: str, namespace: str, name: str) -> str:
    return f"{GROUP}/namespaces/{quote(namespace)}/{kind.lower()}s/{quote(name)}"


def connect(namespace: Namespace, address: str, port: int, seconds: float = 5) -> socket.socket:
    made = namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.settimeout(seconds)
    try:
        made.connect((address, port))
    except OSError:
        made.close()
        raise
    return made
