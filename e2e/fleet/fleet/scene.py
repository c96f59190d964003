"""What one test has: Culvert on a cluster, and a namespace in which it makes fleets and domains."""

import time
from pathlib import Path

from cluster import scene as cluster_scene
from cluster.cluster import Cluster
from lab.lab import eventually
from lab.topology import BR, RULE

from . import manifests
from .api import Api, Refused, path_of
from .installation import Installation, program
from .ledger import Ledger, table
from .manifests import DOMAIN, FLEET, SERVED
from .meter import Meter
from .relays import SIDE4, SIDE6, RelayPod, addresses_of
from .traffic import Traffic, Window

PATIENCE = 60


class Scene(cluster_scene.Scene):
    def __init__(self, cluster: Cluster, folder: Path, installation: Installation, say):
        """`say` takes a figure that a person reads; no test depends on it."""
        super().__init__(cluster, folder.name)
        self.folder, self.say = folder, say
        self.fabric = cluster.fabric
        self.api = Api(cluster)
        self.culvert = installation

    def create(self) -> None:
        self.cluster.kubectl("wait", "--for=delete", f"namespace/{self.name}", "--timeout=60s")  # one of before
        super().create()
        self.kubectl("label", "namespace", self.name, "pod-security.kubernetes.io/enforce=privileged")

    def __exit__(self, *error) -> None:
        """Nobody waits for the end of what nobody needs: the next test has other names."""
        self.spread([])
        self.cluster.kubectl("delete", "namespace", self.name, "--wait=false")

    # Objects

    def apply(self, *objects: dict) -> None:
        self.cluster.apply(*objects)

    def start_fleet(self, replicas: int = 2, **spec) -> list[RelayPod]:
        """A fleet that serves the customers' domain, and all routes to it; returns its relays. With `bgp` it announces
        itself, else the routers are told."""
        self.apply(manifests.fleet(self.name, replicas=replicas, **spec), manifests.domain(self.name))
        self.expect("BorderRelay", FLEET, Accepted=True, Programmed=True, Ready=True)
        self.expect("MapDomain", DOMAIN, Accepted=True, Programmed=True, Ready=True)
        relays = self.wait_relays(replicas)
        if "bgp" in spec:
            self.expect_announced(relays)
        else:
            self.spread(relays)
        return relays

    def scale(self, replicas: int) -> None:
        self.kubectl("scale", f"borderrelay/{FLEET}", f"--replicas={replicas}")

    def object(self, kind: str, name: str) -> dict:
        return self.api.object(kind, self.name, name)

    def path(self, kind: str, name: str) -> str:
        return path_of(kind, self.name, name)

    def conditions(self, kind: str, name: str) -> dict[str, dict]:
        """What an object's status says of its newest spec."""
        found = self.object(kind, name)
        generation = found["metadata"]["generation"]
        conditions = found.get("status", {}).get("conditions", [])
        return {one["type"]: one for one in conditions if one.get("observedGeneration") == generation}

    def expect(self, kind: str, name: str, words: tuple[str, ...] = (), **wanted: bool | str) -> dict[str, dict]:
        """Waits until conditions are as wanted: true, false, or false for that reason; their messages have these words."""

        def fits() -> bool:
            found = self.conditions(kind, name)
            return all(holds(found.get(about), expected) for about, expected in wanted.items()) and all(
                any(word in found[about]["message"] for about in wanted) for word in words)

        if not eventually(lambda: pause(fits), PATIENCE):
            raise AssertionError(f"{kind} {name}: {wanted} {words or ''} expected; it says\n{self.told(kind, name)}")
        return self.conditions(kind, name)

    def told(self, kind: str, name: str) -> str:
        conditions = self.object(kind, name).get("status", {}).get("conditions", [])
        return "\n".join(f"  {one['type']}={one['status']} {one['reason']}: {one['message']}" for one in conditions)

    # Relays

    def relays(self, fleet: str = FLEET) -> list[RelayPod]:
        """The fleet's pods, those that leave included."""
        return sorted((RelayPod(self.fabric, pod) for pod in self.relay_objects(fleet)), key=lambda relay: relay.name)

    def relay_objects(self, fleet: str = FLEET) -> list[dict]:
        """The same as the API server has them."""
        labels = f"app.kubernetes.io/name=culvert-relay,app.kubernetes.io/instance={fleet}"
        return self.api.get(f"/api/v1/namespaces/{self.name}/pods?labelSelector={labels.replace(',', '%2C')}")["items"]

    def wait_relays(self, count: int, seconds: float = PATIENCE) -> list[RelayPod]:
        """Waits until so many relays, and no others, are ready."""

        def ready() -> bool:
            found = self.relays()
            return len(found) == count and all(relay.ready for relay in found)

        assert eventually(lambda: pause(ready), seconds), f"not {count} ready relays: {self.kubectl('get', 'pods', '-o', 'wide')}"
        return self.relays()

    def wait_replaced(self, before: list[RelayPod], seconds: float = 180) -> list[RelayPod]:
        """Waits until as many relays as these are ready, and none of these is left."""
        gone = {relay.uid for relay in before}
        replaced = eventually(lambda: pause(lambda: not gone & {relay.uid for relay in self.relays()}), seconds)
        assert replaced, self.kubectl("get", "pods", "-o", "wide")
        return self.wait_relays(len(before), seconds)

    def spread(self, relays: list[RelayPod]) -> None:
        """Has the routers send both families to these relays, whatever is announced."""
        self.fabric.spread(str(RULE.ipv4_prefix), [relay.addresses[SIDE4] for relay in relays])
        self.fabric.spread(f"{BR}/128", [relay.addresses[SIDE6] for relay in relays])

    def expect_announced(self, relays: list[RelayPod], prefixes: list[str] = SERVED) -> None:
        """Waits until both routers send these prefixes to exactly these relays, Internet and core send to both routers, and
        BFD watches over all of it."""
        self.expect_paths(relays, prefixes)
        wanted = addresses_of(relays)
        for router in self.fabric.routers:
            seen = eventually(lambda router=router: pause(lambda: wanted <= router.watched()), PATIENCE)
            assert seen, f"BFD of {router.name} sees only {router.watched()} of {wanted}"

    def expect_paths(self, relays: list[RelayPod], prefixes: list[str] = SERVED) -> None:
        """The same, but for BFD."""
        names = {router.name for router in self.fabric.routers}

        def fits(prefix: str) -> bool:
            family, side = ("ipv6", SIDE6) if ":" in prefix else ("ipv4", SIDE4)
            return self.fabric.sends_by(family, prefix) == names and all(
                router.paths(prefix) == {relay.addresses[side] for relay in relays}
                and len(router.next_hops(prefix)) == len(relays) for router in self.fabric.routers)

        for prefix in prefixes:
            assert eventually(lambda prefix=prefix: pause(lambda: fits(prefix)), PATIENCE), (
                f"{prefix} is not announced by {[relay.name for relay in relays]} alone: "
                f"{[(router.name, router.paths(prefix)) for router in self.fabric.routers]}")

    # Traffic

    def traffic(self, **options) -> Traffic:
        return Traffic(self.fabric, say=self.say, **options)

    def meter(self, **options) -> Meter:
        return Meter(self.fabric, program("culvert-meter"), self.folder, **options)

    def ledger(self) -> Ledger:
        return Ledger(self.fabric, [relay for relay in self.relays() if relay.ip and relay.is_ready()])

    def lost_nothing(self, window: Window, before: Ledger) -> None:
        """No datagram and no TCP record of a window is missing; if one is, says which, and what was counted meanwhile."""
        if window.lost() or window.unfinished:
            counted = table(self.ledger().since(before)) or "      nothing"
            raise AssertionError(f"{window.detail()}\n    counted meanwhile:\n{counted}")

    def culvertctl(self, *words: str) -> str:
        return self.culvert.culvertctl(*words)


class Playground(Scene):
    """The same for a person: it may be there already, and stays."""

    def create(self) -> None:
        if self.cluster.try_kubectl("get", "namespace", self.name).returncode != 0:
            super().create()

    def __exit__(self, *error) -> None:
        pass


def holds(condition: dict | None, expected: bool | str) -> bool:
    if condition is None:
        return False
    if isinstance(expected, bool):
        return condition["status"] == str(expected)
    return condition["status"] != "True" and condition["reason"] == expected


def pause(question):
    """An answer, and a moment for others before it is asked again; nobody there is no answer."""
    try:
        answer = question()
    except (Refused, OSError):
        answer = None
    if not answer:
        time.sleep(0.1)
    return answer
