"""A fleet: is it whole, what does it carry, who does not take part, what does the operator do."""

from .grafana import LEADS, YES_NO, Dashboard, Query, Row, number, quantile, rate, series, states, to
from .labels import FLEET, FLEETS, NAMESPACE, OF_FLEET, TO_BGP, TO_DOMAIN, TO_RELAY, or_none

SHARES = rate("culvert_forwarded_packets_total", FLEET, "pod")
OF_DOMAINS = f'{FLEET}, domain!=""'

NOW = Row("Now", (
    number("Relays", "none",
           "How many there should be that are not draining, and how far they are. `advertised`: routers know all that it serves.",
           Query(f"max by (state) (culvert_fleet_relays{{{FLEET}}})", "{{state}}"), width=8),
    number("Conditions", "none", "Of the BorderRelay. `Degraded` is there only while it is true.",
           Query(f"max by (condition) (culvert_fleet_condition{{{FLEET}}})", "{{condition}}"), width=8, mappings=YES_NO),
    number("Domains", "none", "Domains that name the fleet, by whether it serves them.",
           Query(f"max by (state) (culvert_fleet_domains{{{FLEET}}})", "{{state}}")),
    number("Sessions", "none", "BGP sessions that are up, with BFD where they have it, of all that the fleet should have.",
           Query(f"sum(culvert_bgp_session_up{{{FLEET}}})", "up"), Query(f"count(culvert_bgp_session_up{{{FLEET}}})", "all"),
           link=to("culvert-bgp", "All sessions", **OF_FLEET)),
))

TRAFFIC = Row("Traffic", (
    series("Packets", "pps", "Packets that crossed the fleet.",
           Query(rate("culvert_forwarded_packets_total", FLEET, "direction"), "{{direction}}")),
    series("Bits", "bps", "The same in bits, as the packets came in.",
           Query(f'8 * {rate("culvert_forwarded_bytes_total", FLEET, "direction")}', "{{direction}}")),
    series("Dropped, by reason", "pps", "Packets that went no further. `NoRule` and `NotForRelay` belong to no domain.",
           Query(rate("culvert_dropped_packets_total", FLEET, "reason"), "{{reason}}"), stack=True),
    series("Packets, by relay", "pps", "The share of each relay: about equal if routers spread flows well.",
           Query(SHARES, "{{pod}}"), stack=True, link=TO_RELAY),
    series("Busiest relay against the mean", "none",
           "1 is even. Above 1.5 a router hashes too little, or a relay is missing in one.",
           Query(f"max({SHARES}) / avg({SHARES})", "busiest / mean")),
    series("Bits, the ten largest domains", "bps", "Both directions together.",
           Query(f"topk(10, 8 * {rate('culvert_forwarded_bytes_total', OF_DOMAINS, 'domain')})", "{{domain}}"), link=TO_DOMAIN),
))

RELAYS = Row("Relays", (
    states("Ready", "Whether a relay would forward a packet. If not, it announces nothing.",
           Query(f"max by (pod) (culvert_ready{{{FLEET}}})", "{{pod}}"), mappings=YES_NO, link=TO_RELAY),
    states("Announced", "Whether a relay's routes are announced, as the relay sees it.",
           Query(f"max by (pod) (culvert_announcing{{{FLEET}}})", "{{pod}}"), mappings=YES_NO, link=TO_BGP),
    series("Not ready, by reason", "none", "How many relays are not ready for each reason; a relay may have several.",
           Query(f"sum by (reason) (culvert_not_ready{{{FLEET}}})", "{{reason}}")),
    series("Withdrawals, by reason", "none",
           "How often relays have withdrawn their routes since they started: what is over before the next scrape shows here.",
           Query(f"sum by (pod, reason) (culvert_withdrawals_total{{{FLEET}}})", "{{pod}} {{reason}}"), link=TO_RELAY),
    series("Dropped for want of capacity", "pps",
           "What the kernel dropped at the TUN and at the other interfaces: relays are too few, or a link is bad.",
           Query(or_none(rate("culvert_tun_dropped_packets_total", FLEET, "pod"), FLEET), "{{pod}} TUN"),
           Query(or_none(rate("culvert_interface_dropped_packets_total", FLEET, "pod"), FLEET), "{{pod}} interfaces"), link=TO_RELAY),
))

REVISIONS = Row("Revisions and the operator", (
    series("Revision", "none", "The number of the fleet's current revision, and of the one that each relay forwards by.",
           Query(f"max(culvert_fleet_revision{{{FLEET}}})", "fleet"),
           Query(f"max by (pod) (culvert_revision_sequence{{{FLEET}}})", "{{pod}}"), link=TO_RELAY),
    series("From a change to all relays", "s",
           "From a MapDomain's change until all relays that are not draining forward by it.",
           Query(quantile(0.5, "culvert_revision_propagation_seconds", FLEET), "half of them"),
           Query(quantile(0.99, "culvert_revision_propagation_seconds", FLEET), "99 of 100")),
    series("The API server is away", "s", "For how long a relay or its speaker has not heard it. They work on.",
           Query(f"max by (pod) (culvert_api_away_seconds{{{FLEET}}})", "{{pod}} relay"),
           Query(f"max by (pod) (culvert_bgp_api_away_seconds{{{FLEET}}})", "{{pod}} speaker")),
    series("Looks at objects", "ops", "How often the operators look at an object, by kind and result. At rest there are few.",
           Query("sum by (kind, result) (rate(culvert_operator_reconciles_total[$__rate_interval]))", "{{kind}} {{result}}")),
    series("Time of a look", "s", "99 of 100 looks at an object take no longer.",
           Query(quantile(0.99, "culvert_operator_reconcile_seconds", "", "kind"), "{{kind}}")),
    states("Who leads",
           "One operator leads; the others wait.",
           Query("max by (pod) (culvert_operator_leader)", "{{pod}}"), mappings=LEADS, width=8),
))

DASHBOARD = Dashboard(
    "culvert-fleet", "Fleet", "A fleet of MAP-E border relays: is it whole, what does it carry, who does not take part.",
    (NAMESPACE, FLEETS), (NOW, TRAFFIC, RELAYS, REVISIONS),
)
