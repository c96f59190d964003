"""The demo: the lab as a story for a network engineer."""

import shutil
import sys
import time

from . import packets, screen
from .customer import LAN_HOST, Customer
from .lab import Lab, Missing, eventually
from .packets import Packet
from .relay import Relay
from .runner import tidy_up, workspace
from .screen import bold, cyan, dim, green, red, yellow
from .suite import LabSuite
from .topology import BR, INTERNET, RELAY_SOURCE, RULE
from .traffic import WEB_PORT, connect, finish_download, start_download, web_server
from .wire import send_ipv6

FILE_SIZE = 50_000_000
PAUSE = 0.7 if screen.TERMINAL else 0  # for the eye

MANIFEST = f"""\
apiVersion: culvert.dev/v1alpha1
kind: MapDomain
metadata: {{name: isp-a, namespace: lab}}
spec:
  softwireAddress: "{BR}"
  version: RFC7597
  rules:
  - name: r1
    ipv4Prefix: 67.91.205.0/24
    mapePrefix: "2001:db8:ce::/48"
    eaBitsLength: 16
    psidOffset: 4
  icmp: {{ipv4Source: {RELAY_SOURCE}}}
"""


def main() -> int:
    try:
        suite = LabSuite()
        suite.check_machine()
        tidy_up(suite)
        with workspace() as folder, suite.run(folder):
            inside = folder / "demo"
            inside.mkdir()
            code = tell(inside, suite.binary)
            if code == 0:
                shutil.rmtree(inside)
            return code
    except Missing as missing:
        print(f"demo: {missing}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ndemo: interrupted; everything it made is gone", file=sys.stderr)
        return 130


def tell(folder, binary) -> int:
    started = time.monotonic()
    sys.stdout.reconfigure(errors="replace")  # a terminal without UTF-8 gets a plainer picture
    print(f"\n{bold('Culvert')}, a MAP-E border relay (RFC 7597), between two customers and the Internet\n")
    lab = Lab(folder, binary)
    try:
        with lab:
            play(lab)
    except Exception as error:
        print(f"\n{red('It did not work')}: {error}\nThe relay's log is in {folder}", file=sys.stderr)
        return 1
    done("network namespaces removed: nothing of this is left on the machine")
    print(f"\n{dim(f'{time.monotonic() - started:.0f} seconds')}\n")
    return 0


def play(lab: Lab) -> None:
    show_network(lab)
    show_manifest()
    relay = lab.launch(MANIFEST)
    relay.wait_ready()
    done(f"culvert-relay forwards: a TUN device, and routes to it for {RULE.ipv4_prefix} and {BR}")
    for customer in lab.customers[:2]:
        show_connection(lab, customer)
    show_download(lab)
    show_traceroute(lab)
    show_spoof(lab, relay)
    show_counters(relay)
    heading("Torn down")
    assert relay.stop() == 0, relay.log
    lab.check_nothing_is_left()
    done("culvert-relay ended at SIGTERM; devices, addresses, routes, rules and sysctls are as before")


def heading(text: str) -> None:
    time.sleep(PAUSE)
    print(f"\n{bold(text)}\n")


def done(text: str) -> None:
    print(f"  {green('✓')} {text}")


def show_network(lab: Lab) -> None:
    one, two = lab.customers[:2]
    rows = [
        (
            f"customer {c.number}",
            f"host  {LAN_HOST}",
            f"NAPT  {c.public}, PSID {c.psid:#04x}",
            f"      ports {ports(c)}, …",
            f"CE    {c.address}",
        )
        for c in (one, two)
    ]
    width = max(len(text) for row in rows for text in row)
    frame = f"┌{'─' * (width + 2)}┐"
    floor = f"└{'─' * (width // 2)}┬{'─' * (width + 1 - width // 2)}┘"
    print(f"   {frame}  {frame}")
    for left, right in zip(*rows):
        paint = bold if left.startswith("customer") else cyan if left.startswith("CE") else str
        print(f"   │ {paint(f'{left:{width}}')} │  │ {paint(f'{right:{width}}')} │")
    print(f"   {floor}  {floor}")
    left = 3 + 1 + width // 2
    right = left + width + 6
    middle = (left + right) // 2
    bar = f"{' ' * left}└{'─' * (middle - left - 1)}┬{'─' * (right - middle - 1)}┘"
    print(bar)
    below(middle, "core", "a router of the IPv6-only network")
    below(middle, f"culvert-relay {BR}", "the border relay", bold)
    below(middle, "transit", "a router of the IPv4 Internet")
    below(middle, f"server {INTERNET}", "", last=True)
    print()
    done("network namespaces, veth pairs; the customers are unmodified Linux (seg6 lightweight tunnel, nftables)")


def below(column: int, name: str, what: str, paint=str, last: bool = False) -> None:
    """A node in the middle of the drawing, and the wire that leaves it."""
    start = " " * (column - len(name) // 2)
    print(f"{start}{paint(name)}" + (f"   {dim(what)}" if what else ""))
    if not last:
        print(f"{' ' * column}│")


def ports(customer: Customer) -> str:
    return ", ".join(f"{ports.start}-{ports.stop - 1}" for ports in customer.ports[:2])


def show_manifest() -> None:
    heading("The relay's whole configuration")
    for line in MANIFEST.splitlines():
        print(f"    {line}")
    print()


def show_connection(lab: Lab, customer: Customer) -> None:
    """The first two packets of a TCP connection, on both sides of the relay."""
    heading(f"Customer {customer.number} opens a connection: {LAN_HOST} > {INTERNET}:{WEB_PORT}")
    ipv6, ipv4 = lab.capture(lab.core, "relay"), lab.capture(lab.network.transit, "relay")
    if customer.number == 1:
        lab.web = web_server(lab, FILE_SIZE)
    connect(customer.lan, source_port=customer.port)
    syns = {}
    for name, capture in (("IPv6", ipv6), ("IPv4", ipv4)):
        eventually(lambda: len(capture.packets(lambda p: packets.is_syn(p.innermost))) == 2)
        syns[name] = capture.packets(lambda p: packets.is_syn(p.innermost))
        capture.close()
    (asked6, answered6), (asked4, answered4) = syns["IPv6"], syns["IPv4"]
    assert asked6.source == answered6.destination == customer.address, "another CE address than expected"
    for side, packet in (("IPv6", asked6), ("IPv4", asked4), ("IPv4", answered4), ("IPv6", answered6)):
        print(line(side, packet))
    print()
    suffix = int(customer.public) & int(RULE.ipv4_prefix.hostmask)
    why = f"EA bits {suffix:02x}{customer.psid:02x}: the IPv4 suffix {suffix:#04x}, then the PSID {customer.psid:#04x}"
    done(f"{customer.public} port {customer.port} ⇄ {cyan(str(customer.address))}   {dim(why)}")


def line(side: str, packet: Packet) -> str:
    """A packet in one line, the outer header in a column of its own."""
    outer = f"{packet.source} > {packet.destination}" if packet.protocol == packets.IPIP else ""
    inner = packet.innermost
    arrow = f"{inner.source}:{inner.ports[0]} > {inner.destination}:{inner.ports[1]}"
    flags = packets.what(inner).split(",")[0]
    return f"    {dim(side)}  {cyan(f'{outer:49}')} {dim('│' if outer else ' ')} {arrow:36} {flags}"


def show_download(lab: Lab) -> None:
    heading(f"Both fetch a file of {FILE_SIZE // 1_000_000} MB at the same time")
    url, digest = lab.web
    downloads = [(customer, start_download(lab, customer, url)) for customer in lab.customers[:2]]
    for customer, download in downloads:
        assert finish_download(*download) == digest, f"customer {customer.number} got another file"
        done(f"customer {customer.number}: curl {url}  {dim('sha256')} {digest[:16]}… {dim('as at the server')}")


def show_traceroute(lab: Lab) -> None:
    heading("The relay is one hop, and speaks from an address of its own")
    said = lab.customers[0].lan.run("traceroute", "-n", "-q", "1", "-N", "1", str(INTERNET))
    hops = [hop.split()[1] for hop in said.splitlines()[1:]]
    assert hops[0] == str(RELAY_SOURCE), said
    for number, (hop, what) in enumerate(zip(hops, ("culvert-relay", "transit", "server")), start=1):
        print(f"    {dim(f'{number}')}  {hop:15}  {dim(what)}")


def show_spoof(lab: Lab, relay: Relay) -> None:
    one, two = lab.customers[:2]
    heading(f"Customer 1 sends from port {two.port}, which is customer 2's")
    core = lab.capture(lab.core, "relay")
    spoof = packets.udp((one.public, two.port), (INTERNET, WEB_PORT), b"not mine")
    send_ipv6(one.ce, packets.encapsulate(one.address, BR, spoof))
    refusal = core.wait(lambda p: p.protocol == packets.ICMPV6 and p.icmp == (1, 5))
    assert refusal, "the relay did not answer"
    counted = relay.metrics().dropped("from_ce", "SpoofedSource")
    assert counted == 1, f"SpoofedSource counts {counted}"
    print(line("IPv6", core.packets(lambda p: p.protocol == packets.IPIP)[0]))
    print(f"    {dim('IPv6')}  {cyan(f'{refusal.source} > {refusal.destination}')}   {yellow(packets.what(refusal))}\n")
    done(f"dropped, counted as {yellow('SpoofedSource')}, and the sender is told why: ICMPv6 1/5 (RFC 4443)")


def show_counters(relay: Relay) -> None:
    heading("What /metrics counted")
    metrics = relay.metrics()
    print(dim(f"    {'direction':9}  {'outcome':15}  {'packets':>10}  {'bytes':>13}"))
    for direction in ("from_ce", "to_ce"):
        outcomes = [("forwarded", {})] + [
            (reason, {"reason": reason}) for way, reason in sorted(metrics.drops()) if way == direction
        ]
        for outcome, labels in outcomes:
            kind, paint = ("dropped", yellow) if labels else ("forwarded", str)
            count = metrics.total(f"culvert_{kind}_packets_total", direction=direction, **labels)
            size = metrics.total(f"culvert_{kind}_bytes_total", direction=direction, **labels)
            print(f"    {direction:9}  {paint(f'{outcome:15}')}  {count:10,}  {size:13,}")
