"""A router at the top of the rack: FRR as Debian has it, in a machine of its own, so at the paths it has anywhere.

Relays call it: it takes sessions from their AS on both segments. It spreads flows over all equal paths, learns from its
kernel nothing but what it is connected to, tells Internet and core what relays announce, and relays nothing.
"""

import json
import shutil
from pathlib import Path

from lab.namespaces import Namespace

from .machine import Machine

FRR = Path("/usr/lib/frr")
ROUTER_AS, RELAY_AS, INTERNET_AS, CORE_AS = 64500, 64512, 64501, 64502
MAXIMUM_PATHS = 64

BFD = """
bfd
 profile fast
  detect-multiplier 3
  receive-interval 100
  transmit-interval 100
 exit
exit
"""


class Router(Machine):
    """`programs` has zebra, bfdd and bgpd."""

    PROGRAMS = ("zebra", "bfdd", "bgpd")

    def __init__(self, namespace: Namespace, folder: Path, router_id: str):
        node = namespace.node
        super().__init__(namespace, folder / node, {f"{node}/log": "/var/log", f"{node}/tmp": "/var/tmp"})
        self.router_id = router_id

    def start(self, bgp: str) -> None:
        """Boots it, and starts FRR with these lines about BGP."""
        self.boot()
        self.run("install", "--directory", "--owner=frr", "--group=frr", "/run/frr", "/var/tmp/frr")
        for program, config in {"zebra": "", "bfdd": BFD, "bgpd": bgp}.items():
            (self.folder / f"{program}.conf").write_text(f"hostname {self.name}\nlog stdout\n{config}")
        self.start_programs()

    def start_programs(self) -> None:
        """Starts those that do not run. The others connect to zebra: it goes first."""
        for program in self.PROGRAMS:
            if not self.programs.is_running(program):
                self.programs.start(program, *self.argv_of(program))
            self.programs.wait_until(program, lambda program=program: self.answers(program), "it answered")

    def argv_of(self, program: str) -> list[str]:
        # IPv6 routes are replaced in one step, as IPv4's are: without the flag zebra deletes first, and packets are lost.
        flags = ["--v6-rr-semantics"] if program == "zebra" else []
        return [str(FRR / program), "--config_file", f"/run/cluster/{self.name}/{program}.conf", *flags]

    def answers(self, program: str) -> bool:
        return self.succeeds("vtysh", "-d", program, "-c", "show version")

    def stop_programs(self, *how) -> None:
        """The router's death: nothing speaks for it any more. What it would forward, its kernel still does."""
        for program in reversed(self.PROGRAMS):
            self.programs.stop(program, *how)

    def configure(self, *lines: str) -> None:
        """Has it configured as by hand: `router bgp 64500`, `neighbor ...`."""
        self.run("vtysh", *(word for line in ("configure terminal", *lines) for word in ("-c", line)))

    def show(self, *words: str) -> dict:
        """What `show WORDS json` says."""
        return json.loads(self.run("vtysh", "-c", f"show {' '.join(words)} json"))

    def do(self, command: str) -> None:
        """An operator's command: `clear bgp 198.51.100.64`."""
        self.run("vtysh", "-c", command)

    def next_hops(self, prefix: str) -> list[str]:
        """Where its kernel sends a prefix."""
        return next_hops(self.namespace, prefix)

    def paths(self, prefix: str) -> set[str]:
        """Whose announcements of a prefix it uses: addresses of BGP neighbours."""
        family = "ipv6" if ":" in prefix else "ipv4"
        paths = self.show("bgp", family, "unicast", prefix).get("paths", [])
        return {path["peer"]["peerId"] for path in paths
                if path.get("multipath") or path.get("bestpath", {}).get("overall")}

    def heard(self, peers: set[str]) -> set[str]:
        """Every prefix that any of these BGP neighbours announces to it, whether it uses it or not."""
        routes = [item for family in ("ipv4", "ipv6") for item in self.show("bgp", family, "unicast")["routes"].items()]
        return {prefix for prefix, paths in routes if peers & {path.get("peerId") for path in paths}}

    def sessions(self) -> dict[str, dict]:
        """BGP sessions by the other's address."""
        return self.show("bgp", "neighbors")

    def established(self) -> set[str]:
        return {peer for peer, one in self.sessions().items() if one.get("bgpState") == "Established"}

    def watched(self) -> set[str]:
        """Whom BFD sees: it takes a second or two longer than BGP to begin."""
        sessions = json.loads(self.run("vtysh", "-c", "show bfd peers json"))
        return {one["peer"] for one in sessions if one["status"] == "up"}

    def lost(self) -> dict[str, int]:
        """How often BFD has lost each of those whom it sees, or saw a moment ago."""
        counters = json.loads(self.run("vtysh", "-c", "show bfd peers counters json"))
        return {one["peer"]: one["session-down"] for one in counters}


def next_hops(space: Namespace, prefix: str) -> list[str]:
    """The gateways of a namespace's route to exactly this prefix, or to `default`; none if it has no such route."""
    family = "-6" if ":" in prefix else "-4"
    routes = json.loads(space.show("-json", family, "route", "show", "exact", prefix) or "[]")
    hops = [hop for route in routes for hop in route.get("nexthops", [route])]
    gateways = [hop.get("gateway") or hop.get("via", {}).get("host") for hop in hops]  # `via`: of the other family
    return sorted(filter(None, gateways))


def missing() -> list[str]:
    return [program for program in (*(str(FRR / name) for name in Router.PROGRAMS), "vtysh", "bird")
            if shutil.which(program) is None]


def bgp(router_id: str, relays: list[str], internet: str, core: str) -> str:
    """The BGP of a router: whoever calls from these networks is a relay; Internet and core have one address each."""
    ranges = "\n".join(f" bgp listen range {network} peer-group RELAYS{6 if ':' in network else 4}" for network in relays)
    groups = "\n".join(f""" neighbor RELAYS{family} peer-group
 neighbor RELAYS{family} remote-as {RELAY_AS}
 neighbor RELAYS{family} bfd profile fast
 neighbor RELAYS{family} ttl-security hops 1""" for family in (4, 6))
    others = "\n".join(f""" neighbor {address} remote-as {asn}
 neighbor {address} bfd profile fast
 neighbor {address} timers connect 1""" for address, asn in ((internet, INTERNET_AS), (core, CORE_AS)))
    return f"""
ip prefix-list NOTHING seq 5 deny any
ipv6 prefix-list NOTHING seq 5 deny any
router bgp {ROUTER_AS}
 bgp router-id {router_id}
 bgp log-neighbor-changes
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 bgp bestpath as-path multipath-relax
 bgp listen limit 1024
{groups}
 neighbor RELAYS6 capability extended-nexthop
{ranges}
{others}
 address-family ipv4 unicast
  maximum-paths {MAXIMUM_PATHS}
  neighbor RELAYS4 activate
  neighbor RELAYS4 prefix-list NOTHING out
  neighbor RELAYS6 activate
  neighbor RELAYS6 prefix-list NOTHING out
  neighbor {internet} activate
  neighbor {internet} default-originate
 exit-address-family
 address-family ipv6 unicast
  maximum-paths {MAXIMUM_PATHS}
  neighbor RELAYS6 activate
  neighbor RELAYS6 prefix-list NOTHING out
  neighbor {core} activate
  neighbor {core} default-originate
 exit-address-family
exit
"""
