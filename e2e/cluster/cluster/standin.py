"""What announces as a relay would: a namespace on both segments with a BIRD, and no relay."""

import signal
from pathlib import Path

from lab.namespaces import Namespace, command
from lab.topology import BR, RULE

from .bird import Bird, announcer
from .fabric import IPV4, IPV6, SEGMENTS, Fabric
from .router import RELAY_AS, ROUTER_AS, Router

PREFIXES = {"ipv4": [str(RULE.ipv4_prefix)], "ipv6": [f"{BR}/128"]}


class StandIn:
    """It is there, and does not speak yet."""

    def __init__(self, fabric: Fabric, number: int, folder: Path, routers: list[Router] | None = None):
        """`routers`: whom it speaks to; all by default."""
        self.number = number
        self.routers = fabric.routers if routers is None else routers
        self.switch = fabric.switch
        self.space = Namespace.create(fabric.name, f"standin{number}")
        self.addresses = {"ipv4": str(IPV4.network[200 + number]), "ipv6": str(IPV6.network[0xF0000 + number])}
        self.bird = Bird(self.space, folder / self.space.node)
        for side in SEGMENTS:
            fabric.plug(self.space, side.name, side)
            self.space.ip(f"addr add {self.addresses[side.name]}/{side.network.prefixlen} dev {side.name}")
        self.peers = {
            side.name: [str(address) for machine, address in zip(fabric.routers, side.routers) if machine in self.routers]
            for side in SEGMENTS
        }

    def config(self, prefixes: dict[str, list[str]] | None = None, *how, **more) -> str:
        """BIRD's: it announces these prefixes. `how` is as `announcer` says."""
        router_id, asns = f"10.0.0.{self.number}", (RELAY_AS, ROUTER_AS)
        return announcer(router_id, self.addresses, self.peers, asns, prefixes or PREFIXES, *how, **more)

    def start(self, prefixes: dict[str, list[str]] | None = None) -> None:
        self.bird.start(self.config(prefixes))

    @property
    def ports(self) -> list[str]:
        """Of the switch, with its cables."""
        return [f"{self.space.node}-{side.name}" for side in SEGMENTS]

    def remove(self) -> None:
        self.bird.stop(signal.SIGKILL)
        self.switch.ip(*(f"link del {port}" for port in self.ports))  # at once; a namespace takes its time to go
        command("ip", "netns", "del", self.space.name)
