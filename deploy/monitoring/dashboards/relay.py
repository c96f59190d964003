"""One relay or some: what crosses them, where packets are lost, what they think of themselves."""

from .grafana import NO_YES, UP_DOWN, YES_NO, Dashboard, Query, Row, number, rate, series, states
from .labels import FLEETS, NAMESPACE, PODS, RELAY, TO_BGP, TO_DOMAIN, or_none


def worst(metric: str) -> Query:
    return Query(f"max by (pod) ({metric}{{{RELAY}}})", "{{pod}}")


def by_queue(counter: str) -> str:
    return rate(counter, RELAY, "pod", "queue")


QUEUE = "{{pod}} {{queue}}"

NOW = Row("Now", (
    number("Ready", "none", "Whether it would forward a packet.", worst("culvert_ready"), width=6, mappings=YES_NO),
    number("Announced", "none",
           "Whether its routes are announced.", worst("culvert_announcing"), width=6, mappings=YES_NO, link=TO_BGP),
    number("Draining", "none",
           "Whether it has been asked to leave. It forwards on.", worst("culvert_draining"), width=6, mappings=NO_YES),
    number("Version", "none", "Which build it is, and on which node.",
           Query(f"max by (pod, node, version) (culvert_build_info{{{RELAY}}})", "{{pod}} {{version}} {{node}}"), width=6),
))

TRAFFIC = Row("Traffic", (
    series("Packets", "pps", "Packets that crossed the relay.",
           Query(rate("culvert_forwarded_packets_total", RELAY, "pod", "direction"), "{{pod}} {{direction}}")),
    series("Bits", "bps", "The same in bits, as the packets came in.",
           Query(f'8 * {rate("culvert_forwarded_bytes_total", RELAY, "pod", "direction")}', "{{pod}} {{direction}}")),
    series("Packets, by domain", "pps", "Both directions together.",
           Query(rate("culvert_forwarded_packets_total", f'{RELAY}, domain!=""', "domain"), "{{domain}}"), link=TO_DOMAIN),
    series("Dropped, by reason", "pps", "Packets that went no further.",
           Query(rate("culvert_dropped_packets_total", RELAY, "direction", "reason"), "{{direction}} {{reason}}"), stack=True),
    series("ICMP sent", "pps", "Errors, answers to echo requests, and errors of others that were passed on.",
           Query(rate("culvert_icmp_sent_total", RELAY, "kind"), "{{kind}}")),
    series("ICMP held back", "pps", "What a rate limit held back.",
           Query(rate("culvert_icmp_suppressed_total", RELAY, "kind"), "{{kind}}")),
))

MACHINE = Row("Where packets are lost", (
    series("Packets, by queue", "pps", "Read from the TUN device: each queue has a worker of its own.",
           Query(by_queue("culvert_tun_received_packets_total"), QUEUE)),
    series("Packets in a batch", "none",
           "How many packets a worker gets at once. It grows with the load: near the largest batch, the worker has no time left.",
           Query(f"{by_queue('culvert_tun_received_packets_total')} / ({by_queue('culvert_worker_batches_total')} > 0)", QUEUE)),
    series("Sent, by queue", "pps", "Written to the TUN device.",
           Query(by_queue("culvert_tun_sent_packets_total"), QUEUE)),
    series("Dropped before the relay", "pps", "The TUN's queue was full: the workers are too slow.",
           Query(or_none(rate("culvert_tun_dropped_packets_total", RELAY, "pod"), RELAY), "{{pod}}")),
    series("Dropped at interfaces", "pps", "What the kernel dropped at the other interfaces, both directions.",
           Query(or_none(rate("culvert_interface_dropped_packets_total", RELAY, "pod"), RELAY), "{{pod}}")),
    series("Not taken back", "pps", "Packets that were processed and that the kernel did not take.",
           Query(or_none(rate("culvert_tun_write_errors_total", RELAY, "pod"), RELAY), "{{pod}}")),
    series("Refused by routing", "pps",
           "What entered by a side and is neither for customers nor for the BR address, and what came by the wrong side.",
           Query(rate("culvert_refused_packets_total", RELAY, "pod", "family", "reason"), "{{pod}} {{family}} {{reason}}")),
    series("Waiting for fragments", "none",
           "Incomplete datagrams.", Query(f"sum by (pod) (culvert_reassembly_datagrams{{{RELAY}}})", "{{pod}}")),
    series("Memory of fragments", "bytes",
           "What those take.", Query(f"sum by (pod) (culvert_reassembly_bytes{{{RELAY}}})", "{{pod}}")),
))

ITSELF = Row("What it thinks of itself", (
    states("Next hops", "Whether packets may leave by a router.",
           Query(f"max by (pod, interface, address) (culvert_next_hop_up{{{RELAY}}})", "{{pod}} {{interface}} {{address}}"),
           mappings=UP_DOWN),
    states("Self-test", "Whether a worker's packets of the self-test come back.",
           Query(f"max by (pod, direction, queue) (culvert_self_test_passed{{{RELAY}}})", "{{pod}} {{direction}} {{queue}}"),
           mappings=YES_NO),
    series("Not ready, by reason", "none",
           "1 for each reason.", Query(f"max by (pod, reason) (culvert_not_ready{{{RELAY}}})", "{{pod}} {{reason}}")),
    series("Withdrawals, by reason", "none", "How often it has withdrawn its routes since it started.",
           Query(f"sum by (pod, reason) (culvert_withdrawals_total{{{RELAY}}})", "{{pod}} {{reason}}")),
    series("What is missing", "none", "1 for each obstacle; /state says what to do.",
           Query(f"max by (pod, reason) (culvert_obstacle{{{RELAY}}})", "{{pod}} {{reason}}")),
))

REVISIONS = Row("What it forwards by", (
    series("Revision", "none", "Its number.", worst("culvert_revision_sequence")),
    series("Refused revision", "none", "1 while a newer one cannot be used, by reason.",
           Query(f"max by (pod, reason) (culvert_revision_refused{{{RELAY}}})", "{{pod}} {{reason}}")),
    series("The API server is away", "s", "For how long it has not answered.", worst("culvert_api_away_seconds")),
    series("Domains, rules, routes", "none", "What is in use, and routes to the TUN.",
           *(Query(f"max by (pod) (culvert_{what}{{{RELAY}}})", f"{{{{pod}}}} {what}") for what in ("domains", "rules", "routes"))),
    series("Size of the tables", "bytes", "The compiled rules.", worst("culvert_table_bytes")),
    series("In use since", "dateTimeFromNow", "When the revision was activated.",
           Query(f"1000 * max by (pod) (culvert_config_activated_timestamp_seconds{{{RELAY}}})", "{{pod}}")),
))

DASHBOARD = Dashboard(
    "culvert-relay", "Relay", "Relays one by one: what crosses them, where packets are lost, what they think of themselves.",
    (NAMESPACE, FLEETS, PODS), (NOW, TRAFFIC, MACHINE, ITSELF, REVISIONS),
)
