"""Dashboards, panels and queries, and the JSON that Grafana reads (schema version 39, Grafana 10.4 and newer)."""

from dataclasses import dataclass, field

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS = 24  # of Grafana's grid
TAG = "culvert"
TIMES = "${__url_time_range}&var-datasource=${datasource}"

YES_NO = [{"type": "value", "options": {
    "0": {"text": "no", "color": "red", "index": 0}, "1": {"text": "yes", "color": "green", "index": 1}}}]
NO_YES = [{"type": "value", "options": {
    "0": {"text": "no", "color": "green", "index": 0}, "1": {"text": "yes", "color": "orange", "index": 1}}}]
LEADS = [{"type": "value", "options": {
    "0": {"text": "waits", "color": "blue", "index": 0}, "1": {"text": "leads", "color": "green", "index": 1}}}]
UP_DOWN = [{"type": "value", "options": {
    "0": {"text": "down", "color": "red", "index": 0}, "1": {"text": "up", "color": "green", "index": 1}}}]


@dataclass(frozen=True)
class Query:
    """PromQL, and what its series are called: `{{label}}` stands for a label's value."""

    expr: str
    legend: str


@dataclass(frozen=True)
class Panel:
    kind: str  # Grafana's name
    title: str
    description: str
    unit: str  # Grafana's name
    queries: tuple[Query, ...]
    width: int
    height: int
    custom: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)
    defaults: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Variable:
    """A choice at the top. The values are those of a label."""

    name: str
    label: str
    metric: str
    many: bool = False


@dataclass(frozen=True)
class Dashboard:
    uid: str
    title: str
    description: str
    variables: tuple[Variable, ...]
    rows: tuple[Row, ...]

    @property
    def queries(self) -> list[tuple[Panel, Query]]:
        return [(panel, query) for row in self.rows for panel in row.panels for query in panel.queries]


# What panels show


def series(title: str, unit: str, description: str, *queries: Query,
           width: int = 8, stack: bool = False, link: dict | None = None) -> Panel:
    """Lines over time."""
    custom = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 15 if stack else 0, "showPoints": "never", "spanNulls": False,
              "stacking": {"mode": "normal" if stack else "none", "group": "A"}}
    options = {"legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]},
               "tooltip": {"mode": "multi", "sort": "desc"}}
    defaults = {"min": 0} | ({"links": [link]} if link else {})
    return Panel("timeseries", title, description, unit, queries, width, 8, custom, options, defaults)


def number(title: str, unit: str, description: str, *queries: Query,
           width: int = 4, mappings: list | None = None, link: dict | None = None) -> Panel:
    """What it is now, as large numbers."""
    options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "textMode": "value_and_name", "colorMode": "value", "graphMode": "none"}
    defaults = ({"mappings": mappings} if mappings else {}) | ({"links": [link]} if link else {})
    return Panel("stat", title, description, unit, queries, width, 5, {}, options, defaults)


def states(title: str, description: str, *queries: Query, mappings: list, width: int = 12, link: dict | None = None) -> Panel:
    """A bar for each thing: when it was up and when it was not."""
    options = {"showValue": "never", "mergeValues": True, "legend": {"displayMode": "list", "placement": "bottom"}}
    defaults = {"mappings": mappings} | ({"links": [link]} if link else {})
    return Panel("state-timeline", title, description, "none", queries, width, 8, {"fillOpacity": 70, "lineWidth": 0}, options, defaults)


def to(dashboard: str, title: str, **variables: str) -> dict:
    """A link from a series to another dashboard, which then shows what these variables say."""
    chosen = "".join(f"&var-{name}={value}" for name, value in variables.items())
    return {"title": title, "url": f"/d/{dashboard}?{TIMES}{chosen}"}


def rate(metric: str, selector: str, *by: str) -> str:
    """A second, summed over all but some labels."""
    return f"sum by ({', '.join(by)}) (rate({metric}{{{selector}}}[$__rate_interval]))"


def quantile(share: float, histogram: str, selector: str, *by: str) -> str:
    """What so large a share of the observed values does not exceed."""
    return f"histogram_quantile({share}, {rate(f'{histogram}_bucket', selector, *by, 'le')})"


# What Grafana reads


def render(dashboard: Dashboard) -> dict:
    return {
        "uid": dashboard.uid,
        "title": f"Culvert / {dashboard.title}",
        "description": dashboard.description,
        "tags": [TAG],
        "schemaVersion": 39,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "links": [{"type": "dashboards", "title": "Culvert", "tags": [TAG], "asDropdown": False, "includeVars": True, "keepTime": True}],
        "templating": {"list": [datasource(), *map(variable, dashboard.variables)]},
        "annotations": {"list": []},
        "panels": placed(dashboard.rows),
    }


def datasource() -> dict:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "hide": 0}


def variable(wanted: Variable) -> dict:
    query = f"label_values({wanted.metric}, {wanted.name})"
    return {
        "name": wanted.name, "label": wanted.label, "type": "query", "datasource": SOURCE, "definition": query,
        "query": {"query": query, "refId": wanted.name}, "refresh": 2, "sort": 1, "hide": 0,
        "multi": wanted.many, "includeAll": wanted.many,
    } | ({"allValue": ".*", "current": {"text": ["All"], "value": ["$__all"]}} if wanted.many else {})


def placed(rows: tuple[Row, ...]) -> list[dict]:
    """From left to right, a new line where a panel does not fit."""
    found, top = [], 0
    for row in rows:
        found.append({"type": "row", "title": row.title, "collapsed": False, "panels": [], "gridPos": place(0, top, COLUMNS, 1)})
        left, top, bottom = 0, top + 1, top + 1
        for panel in row.panels:
            if left + panel.width > COLUMNS:
                left, top = 0, bottom
            found.append(drawn(panel, place(left, top, panel.width, panel.height)))
            left, bottom = left + panel.width, max(bottom, top + panel.height)
        top = bottom
    return [{"id": number} | panel for number, panel in enumerate(found, start=1)]


def place(left: int, top: int, width: int, height: int) -> dict:
    return {"x": left, "y": top, "w": width, "h": height}


def drawn(panel: Panel, where: dict) -> dict:
    defaults = {"unit": panel.unit, "noValue": "none", "custom": panel.custom} | panel.defaults
    targets = [
        {"refId": chr(ord("A") + at), "datasource": SOURCE, "expr": query.expr, "legendFormat": query.legend, "range": True}
        for at, query in enumerate(panel.queries)
    ]
    return {
        "type": panel.kind, "title": panel.title, "description": panel.description, "datasource": SOURCE, "gridPos": where,
        "targets": targets, "fieldConfig": {"defaults": defaults, "overrides": []}, "options": panel.options,
    }
