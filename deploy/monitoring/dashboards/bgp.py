"""What a fleet announces, and to whom."""

from .grafana import NO_YES, UP_DOWN, YES_NO, Dashboard, Query, Row, number, series, states
from .labels import FLEETS, NAMESPACE, PEER, PEERS, PODS, RELAY, TO_RELAY

SESSION = "{{pod}} {{peer}}"


def worst(metric: str, legend: str = "{{pod}}") -> Query:
    return Query(f"max by (pod) ({metric}{{{RELAY}}})", legend)


NOW = Row("Now", (
    number("Sessions that are up", "none", "Up, with BFD where they have it, of all that there should be.",
           Query(f"sum(culvert_bgp_session_up{{{PEER}}})", "up"), Query(f"count(culvert_bgp_session_up{{{PEER}}})", "all"), width=6),
    number("BFD that is up", "none", "Sessions whose BFD is up, of those that have it.",
           Query(f"sum(culvert_bfd_session_up{{{PEER}}})", "up"), Query(f"count(culvert_bfd_session_up{{{PEER}}})", "all"), width=6),
    number("Prefixes, fewest", "none", "What the relay with the fewest announces, of what the fleet has.",
           Query(f"min by (family) (culvert_bgp_announced_prefixes{{{RELAY}}})", "{{family}} announced"),
           Query(f"max by (family) (culvert_bgp_wanted_prefixes{{{RELAY}}})", "{{family}} wanted"), width=8),
    number("BIRD", "none",
           "Which BIRD runs, and in how many pods.",
           Query(f"count by (bird) (culvert_bgp_build_info{{{RELAY}}})", "{{bird}}")),
))

SESSIONS = Row("Sessions", (
    states("Sessions", "Up: established, and BFD up where it has BFD.",
           Query(f"max by (pod, peer) (culvert_bgp_session_up{{{PEER}}})", SESSION), mappings=UP_DOWN, link=TO_RELAY),
    states("BFD", "What BFD says of the path to each router.",
           Query(f"max by (pod, peer) (culvert_bfd_session_up{{{PEER}}})", SESSION), mappings=UP_DOWN, link=TO_RELAY),
    series("Routers, by how many relays they have", "none", "Sessions that are up, of each router. All are equal at rest.",
           Query(f"sum by (peer) (culvert_bgp_session_up{{{PEER}}})", "{{peer}}")),
    series("Time since a session changed", "s", "A session that comes and goes stays near the bottom.",
           Query(f"time() - max by (pod, peer) (culvert_bgp_session_since_timestamp_seconds{{{PEER}}})", SESSION)),
    series("Prefixes, by session", "none", "What is announced to each router.",
           Query(f"max by (pod, peer, family) (culvert_bgp_session_announced_prefixes{{{PEER}}})", f"{SESSION} {{{{family}}}}")),
))

PREFIXES = Row("Prefixes", (
    series("Announced", "none", "Prefixes that are announced to anybody, by relay.",
           Query(f"max by (pod, family) (culvert_bgp_announced_prefixes{{{RELAY}}})", "{{pod}} {{family}}")),
    series("Missing", "none", "What may be announced and is not. A relay that is not ready announces nothing.",
           Query(f"max by (pod, family) (culvert_bgp_wanted_prefixes{{{RELAY}}} - culvert_bgp_announced_prefixes{{{RELAY}}})",
                 "{{pod}} {{family}}")),
    series("Revision", "none", "The one that BIRD announces by, and the one that the relay forwards by.",
           worst("culvert_bgp_revision_sequence", "{{pod}} BIRD"), worst("culvert_revision_sequence", "{{pod}} relay")),
))

SPEAKERS = Row("Speakers", (
    states("Ready",
           "Whether each family that has peers has a session.", worst("culvert_bgp_ready"), mappings=YES_NO, width=8),
    states("BIRD runs", "Without it nothing is announced.", worst("culvert_bgp_bird_up"), mappings=YES_NO, width=8),
    states("Draining", "Whether the pod takes its leave.", worst("culvert_bgp_draining"), mappings=NO_YES, width=8),
    series("Starts of BIRD", "none",
           "More than one since the pod began: it has ended by itself.", worst("culvert_bgp_bird_starts_total")),
    series("Configurations", "none", "How many BIRD took, and how many it refused, since the pod began.",
           Query(f"max by (pod, result) (culvert_bgp_configure_total{{{RELAY}}})", "{{pod}} {{result}}")),
    series("What is missing", "none", "1 for each obstacle; /state of the speaker says what to do.",
           Query(f"max by (pod, reason) (culvert_bgp_obstacle{{{RELAY}}})", "{{pod}} {{reason}}")),
    series("Generation of the fleet", "none",
           "The generation of the BorderRelay that BIRD works by.", worst("culvert_bgp_fleet_generation"), width=12),
    series("The API server is away", "s",
           "For how long the speaker has not heard it.", worst("culvert_bgp_api_away_seconds"), width=12),
))

DASHBOARD = Dashboard(
    "culvert-bgp", "BGP", "What a fleet announces, and to whom: sessions, BFD, prefixes, BIRD.",
    (NAMESPACE, FLEETS, PODS, PEERS), (NOW, SESSIONS, PREFIXES, SPEAKERS),
)
