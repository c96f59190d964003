"""A domain: who carries it, its traffic, and what becomes of packets that go no further."""

from .grafana import Dashboard, Query, Row, number, rate, series
from .labels import DOMAIN, DOMAINS, NAMESPACE, TO_RELAY

FORWARDED = rate("culvert_forwarded_packets_total", DOMAIN, "direction")
DROPPED = rate("culvert_dropped_packets_total", DOMAIN, "direction")

NOW = Row("Now", (
    number("Relays now", "none",
           "Relays of the fleets that serve the domain, by how far they are with it as it is now. `ready` carry its traffic.",
           Query(f"sum by (state) (max by (fleet, state) (culvert_domain_relays{{{DOMAIN}}}))", "{{state}}"), width=10),
    number("Packets now", "pps",
           "Both directions, now.", Query(f"sum({FORWARDED})", "forwarded"), Query(f"sum({DROPPED})", "dropped"), width=7),
    number("Dropped now", "percentunit",
           "Of all packets of the domain.",
           Query(f"sum({DROPPED}) / (sum({DROPPED}) + sum({FORWARDED}))", "dropped"), width=7),
))

TRAFFIC = Row("Traffic", (
    series("Packets", "pps",
           "Packets of the domain that were forwarded. A packet from one CE to another counts in both directions.",
           Query(FORWARDED, "{{direction}}")),
    series("Bits", "bps", "The same in bits, as the packets came in.",
           Query(f'8 * {rate("culvert_forwarded_bytes_total", DOMAIN, "direction")}', "{{direction}}")),
    series("Size of a packet", "bytes", "The mean, as it came in.",
           Query(f'{rate("culvert_forwarded_bytes_total", DOMAIN, "direction")} / ({FORWARDED} > 0)', "{{direction}}")),
    series("Packets, by relay", "pps",
           "Both directions together.", Query(rate("culvert_forwarded_packets_total", DOMAIN, "fleet", "pod"), "{{pod}}"),
           stack=True, link=TO_RELAY | {"url": TO_RELAY["url"].replace("${fleet}", "${__field.labels.fleet}")}, width=12),
    series("Relays", "none", "By how far they are with the domain as it is now. All four are equal at rest.",
           Query(f"sum by (state) (max by (fleet, state) (culvert_domain_relays{{{DOMAIN}}}))", "{{state}}"), width=12),
))

DROPS = Row("Packets that go no further", (
    series("From CEs, by reason", "pps",
           "`SpoofedSource`: the CE's address does not belong to its IPv4 address and port: it has other rules.",
           Query(rate("culvert_dropped_packets_total", f'{DOMAIN}, direction="from_ce"', "reason"), "{{reason}}"), stack=True),
    series("To CEs, by reason", "pps", "`NoPort`, `ReservedPort`: nobody owns that port; scans look like this.",
           Query(rate("culvert_dropped_packets_total", f'{DOMAIN}, direction="to_ce"', "reason"), "{{reason}}"), stack=True),
    series("Dropped", "percentunit",
           "Of all packets, by direction.", Query(f"{DROPPED} / ({DROPPED} + {FORWARDED})", "{{direction}}")),
    series("ICMP sent", "pps", "Errors, answers to echo requests, errors of others that were passed on.",
           Query(rate("culvert_icmp_sent_total", DOMAIN, "kind"), "{{kind}}")),
    series("ICMP held back", "pps", "By `icmp.errorsPerSecond` and `icmp.echoPerSecond`.",
           Query(rate("culvert_icmp_suppressed_total", DOMAIN, "kind"), "{{kind}}")),
    series("Refused by a fleet", "none",
           "1 while a fleet that some domain of the namespace names does not serve it, by reason.",
           Query('max by (domain, fleet, reason) (culvert_domain_refused{namespace="$namespace"})', "{{domain}} {{fleet}} {{reason}}")),
))

FRAGMENTS = Row("Fragments", (
    series("Waiting for fragments", "none", "Incomplete datagrams, by relay; `reassembly.maxDatagrams` bounds them.",
           Query(f"sum by (pod) (culvert_reassembly_datagrams{{{DOMAIN}}})", "{{pod}}"), width=12),
    series("Memory of fragments", "bytes",
           "What those take, by relay.", Query(f"sum by (pod) (culvert_reassembly_bytes{{{DOMAIN}}})", "{{pod}}"), width=12),
))

DASHBOARD = Dashboard(
    "culvert-domain", "Domain", "A MAP domain: who carries it, its traffic, and what becomes of packets that go no further.",
    (NAMESPACE, DOMAINS), (NOW, TRAFFIC, DROPS, FRAGMENTS),
)
