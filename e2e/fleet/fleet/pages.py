"""Metrics pages of pods, as a monitoring system reads them."""

import http.client

from lab.relay import Metrics, fetch
from lab.namespaces import Namespace

from .api import connect
from .relays import ADMIN_PORT, SPEAKER_PORT

# By program. The operator's is `metrics.port` of the chart.
PORTS = {"relay": ADMIN_PORT, "speaker": SPEAKER_PORT, "operator": 8080}


def page(reader: Namespace, address: str, program: str) -> str:
    """What a program of the pod at this address says of itself, read from that namespace."""
    port = PORTS[program]
    connection = http.client.HTTPConnection(address, port)
    connection.sock = connect(reader, address, port)
    status, text = fetch(connection, "/metrics")
    assert status == 200, f"{address}:{port}: {status}: {text}"
    return text


def metrics(reader: Namespace, address: str, program: str) -> Metrics:
    return Metrics(page(reader, address, program))
