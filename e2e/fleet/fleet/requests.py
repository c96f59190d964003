"""What Culvert's pods ask of the API server, from its audit log."""

import json
from collections import Counter

from cluster.cluster import Cluster

from .installation import NAMESPACE

OPERATOR = f"system:serviceaccount:{NAMESPACE}:"
WRITES = {"create", "update", "patch", "delete"}
LEASES = "leases"  # renewed every two seconds, whatever happens


class Requests:
    """Those of the operators from now on."""

    def __init__(self, cluster: Cluster):
        self.log = cluster.control.audit_log
        self.place = self.log.stat().st_size

    def so_far(self) -> Counter:
        """How often, by verb and resource; leases are left out."""
        with open(self.log) as log:
            log.seek(self.place)
            events = [json.loads(line) for line in log if line.endswith("\n")]
        return Counter(asked(event) for event in events if is_operators(event))


def is_operators(event: dict) -> bool:
    return event["user"]["username"].startswith(OPERATOR) and event.get("objectRef", {}).get("resource") != LEASES


def asked(event: dict) -> tuple[str, str]:
    about = event.get("objectRef", {})
    resource = about.get("resource", event["requestURI"])
    return event["verb"], f"{resource}/{about['subresource']}" if "subresource" in about else resource


def writes(counts: Counter) -> int:
    return sum(count for (verb, _), count in counts.items() if verb in WRITES)
