"""BIRD in a namespace: how Internet and core learn from the routers, and what tests have for a relay that announces."""

import signal
from pathlib import Path

from lab.namespaces import Namespace

from .programs import Programs

# Both ends notice within three of these that the other has gone. FRR's profile says the same (router.py).
BFD = "min rx interval 100 ms; min tx interval 100 ms; multiplier 3;"


class Bird:
    """One BIRD with a folder for its files. It is reached by any process that knows the folder."""

    def __init__(self, namespace: Namespace, folder: Path):
        self.folder = folder
        self.programs = Programs(namespace, folder, namespace.argv)

    def start(self, config: str) -> None:
        """Starts it; it answers when this returns."""
        self.folder.mkdir(exist_ok=True)
        self.config.write_text(config)
        files = ["-c", str(self.config), "-s", str(self.socket), "-P", str(self.folder / "bird-itself.pid")]
        self.programs.start("bird", "bird", "-f", *files)
        self.programs.wait_until("bird", self.answers, "it answered")

    def reconfigure(self, config: str) -> None:
        self.config.write_text(config)
        said = self.ask("configure")
        assert "Reconfigur" in said, f"BIRD refuses:\n{said}\n{config}"

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.programs.stop("bird", how)

    def ask(self, *words: str) -> str:
        """What birdc prints."""
        return self.programs.namespace.run("birdc", "-s", str(self.socket), *words)

    def answers(self) -> bool:
        done = self.programs.namespace.try_run("birdc", "-s", str(self.socket), "show", "status")
        return "Daemon is up and running" in done.stdout

    @property
    def config(self) -> Path:
        return self.folder / "bird.conf"

    @property
    def socket(self) -> Path:
        return self.folder / "bird.ctl"


def customer_of_routers(asn: int, router_id: str, routers: dict[str, str], router_asn: int, family: str) -> str:
    """The configuration of one who sends by whatever routes the routers tell it, over equal ones in equal shares, and
    over none whose router is silent. `routers` has their addresses by name, `family` is ipv4 or ipv6."""
    sessions = "".join(f"""
protocol bgp {name} {{
    local as {asn};
    neighbor {address} as {router_asn};
    bfd;
    graceful restart off;
    connect delay time 1;
    connect retry time 1;
    error wait time 1, 1;
    {family} {{ import all; export none; }};
}}
""" for name, address in routers.items())
    return f"""
router id {router_id};
protocol device {{ }}
protocol bfd {{
    interface "*" {{ {BFD} }};
}}
protocol kernel {{
    merge paths on;
    {family} {{ export where source = RTS_BGP; }};
}}
{sessions}"""


def announcer(router_id: str, addresses: dict[str, str], routers: dict[str, list[str]], asns: tuple[int, int],
              prefixes: dict[str, list[str]], export: str = "accept", all_over_ipv6: bool = False) -> str:
    """The configuration of one who announces prefixes as a relay would. `addresses` has its own by family (ipv4, ipv6),
    `routers` theirs; `export` is what its filter does with each prefix. `all_over_ipv6`: there are IPv6 sessions only, and
    IPv4 prefixes have IPv6 next hops (RFC 8950).

    With much to say, BIRD 2.0.12 may wait for its next timer before it says the rest (seen: up to 3 s): scanning devices
    every second is one."""
    local, remote = asns
    statics = "".join(f"""
protocol static static_{family} {{
    {family};
    {" ".join(f"route {prefix} blackhole;" for prefix in prefixes[family])}
}}
""" for family in prefixes)
    channels = {family: f"{family} {{ import none; export filter announced; }};" for family in addresses}
    if all_over_ipv6:
        del channels["ipv4"]
        channels["ipv6"] += " ipv4 { import none; export filter announced; extended next hop; };"
    sessions = "".join(f"""
protocol bgp {family}_{place} {{
    local {addresses[family]} as {local};
    neighbor {router} as {remote};
    strict bind;
    bfd;
    ttl security on;
    graceful restart off;
    connect delay time 1;
    connect retry time 1;
    error wait time 1, 1;
    {channels[family]}
}}
""" for family in channels for place, router in enumerate(routers[family], start=1))
    return f"""
router id {router_id};
protocol device {{ scan time 1; }}
protocol bfd {{
    interface "*" {{ {BFD} }};
}}
filter announced {{
    if source != RTS_STATIC then reject;
    {export};
}}
{statics}{sessions}"""
