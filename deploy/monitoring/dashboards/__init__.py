"""The Grafana dashboards as code: one file each, panels in the order in which they are seen."""

from . import bgp, domain, fleet, relay
from .grafana import Dashboard

ALL: list[Dashboard] = [fleet.DASHBOARD, relay.DASHBOARD, domain.DASHBOARD, bgp.DASHBOARD]
