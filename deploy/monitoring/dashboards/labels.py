"""The labels by which dashboards select, and the choices at their top. `namespace`, `fleet`, `pod` and `node` come from how
relays are scraped (scrape.yaml, or the chart's PodMonitor)."""

from .grafana import Variable, to

FLEET = 'namespace="$namespace", fleet="$fleet"'
RELAY = f'{FLEET}, pod=~"$pod"'
PEER = f'{RELAY}, peer=~"$peer"'
DOMAIN = 'namespace="$namespace", domain="$domain"'

NAMESPACE = Variable("namespace", "Namespace", "culvert_ready")
FLEETS = Variable("fleet", "Fleet", 'culvert_ready{namespace="$namespace"}')
PODS = Variable("pod", "Relay", f"culvert_ready{{{FLEET}}}", many=True)
PEERS = Variable("peer", "Router", f"culvert_bgp_session_up{{{FLEET}}}", many=True)
# Every relay has a series of it for each of its domains, with traffic and without.
DOMAINS = Variable("domain", "Domain", 'culvert_reassembly_datagrams{namespace="$namespace"}')

OF_FLEET = {"namespace": "${namespace}", "fleet": "${fleet}"}
TO_RELAY = to("culvert-relay", "This relay", **OF_FLEET, pod="${__field.labels.pod}")
TO_BGP = to("culvert-bgp", "Its sessions", **OF_FLEET, pod="${__field.labels.pod}")
TO_DOMAIN = to("culvert-domain", "This domain", namespace="${namespace}", domain="${__field.labels.domain}")


def or_none(expr: str, selector: str) -> str:
    """Of every relay: what has never happened has no series, and no panel should look broken for it."""
    return f"{expr} or 0 * max by (pod) (culvert_ready{{{selector}}})"
