"""What Prometheus and Grafana show of a real fleet, under traffic and faults."""

import contextlib
import json
import re
import subprocess
import threading
import time
from dataclasses import dataclass, field

from cluster.fabric import INTERNET, IPV4
from cluster.router import ROUTER_AS
from fleet import dashboards, manifests
from fleet.dashboards import Answer
from fleet.installation import target
from fleet.manifests import DOMAIN, FLEET, HALVES, small_rule
from fleet.pages import PORTS, page
from fleet.prometheus import MONITORING, Labels, Prometheus
from fleet.scene import Scene
from lab import packets
from lab.relay import LABEL, SERIES
from lab.topology import BR
from lab.wire import send_ipv4, send_ipv6

RATE = 400  # datagrams a second each way: to be seen, not to be a load
CALM = 20  # seconds before anything happens
SHOWN = 8  # seconds for which something lasts, so that every scrape and rate has seen it
ERRORS = 20  # `icmp.errorsPerSecond`, fewer than the noise would have
NOISE = 0.01  # seconds from bad packet to bad packet
ABSENT, SECRET, STRANGER = "absent", "secret", "stranger"  # two routers and a domain

# What the story below makes Prometheus see of these, besides what every relay always says: label values that must be there.
PROVOKED = {
    "culvert_fleet_relays": {"state": {"wanted", "ready", "programmed", "advertised", "draining"}},
    "culvert_fleet_domains": {"state": {"served", "refused"}},
    "culvert_fleet_condition": {"condition": {"Accepted", "Programmed", "Advertised", "Ready"}},
    "culvert_domain_relays": {"state": {"wanted", "ready", "programmed", "advertised"}},
    "culvert_not_ready": {"reason": {"IPv4SideDown", "Draining"}},
    "culvert_withdrawals_total": {"reason": {"IPv4SideDown"}},
    "culvert_obstacle": {},
    "culvert_bgp_obstacle": {"reason": {"PasswordMissing"}},
    "culvert_revision_refused": {"reason": {"NewerFormat"}},
    "culvert_domain_refused": {"domain": {STRANGER}, "reason": {"NotAllowed"}},
    "culvert_dropped_packets_total": {"reason": {"ReservedPort"}},
    "culvert_icmp_sent_total": {"kind": {"error", "echo_reply"}},
    "culvert_icmp_suppressed_total": {"kind": {"error"}},
    "culvert_operator_reconciles_total": {"kind": {"BorderRelay", "MapDomain"}, "result": {"ok"}},
    "culvert_bgp_configure_total": {"result": {"accepted"}},
}
# Alerts whose conditions it makes true, though not for as long as they ask for.
ALARMS = {
    "CulvertDomainFewRelays", "CulvertDomainRefused", "CulvertFleetShort", "CulvertNoOperatorLeads", "CulvertRelayNotReady",
    "CulvertRevisionRefused", "CulvertObstacle", "CulvertBgpSessionDown", "CulvertRouterLost", "CulvertPrefixesMissing",
}


@dataclass
class Story:
    """When what happened."""

    start: float = field(default_factory=time.time)
    events: list[tuple[float, str]] = field(default_factory=list)
    end: float = 0

    def tell(self, what: str) -> None:
        self.events.append((time.time(), what))


def test_monitoring(scene: Scene):
    """Prometheus scrapes a fleet under traffic and faults: every query of every dashboard shows what it promises, no alert's
    condition is true before the faults, and theirs are during them"""
    scene.start_fleet(2, bgp=manifests.bgp())
    scene.apply(domain(scene))
    scene.expect("MapDomain", DOMAIN, Programmed=True)
    with Prometheus(scene.api, scene.folder) as prometheus:
        prometheus.wait(f'culvert_ready{{namespace="{scene.name}"}} == 1', 2)
        prometheus.wait("culvert_operator_leader == 1", 1)
        story = Story()
        with scene.meter(rate=RATE):
            calm(scene, prometheus, story)
            with noise(scene):
                misfortunes(scene, prometheus, story)
        story.end = time.time()
        check_pages(scene)
        check_alerts(scene, prometheus, story)
        check_choices(scene, prometheus, story)
        answers = dashboards.ask(prometheus, variables(scene), story.start, story.end)
        keep(story, answers)
        check_answers(scene, prometheus, answers, story)
    scene.say(f"{len(answers)} queries, {sum(len(answer.series) for answer in answers)} series in {story.end - story.start:.0f} s")


def domain(scene: Scene, *more: dict) -> dict:
    return manifests.domain(scene.name, rules=[*HALVES, *more], icmp={"errorsPerSecond": ERRORS, "echoPerSecond": ERRORS})


def calm(scene: Scene, prometheus: Prometheus, story: Story) -> None:
    """Nothing happens; no alert may say otherwise."""
    time.sleep(CALM)
    told = alarms(scene, prometheus, story.start, time.time())
    assert not told, f"nothing has happened, and yet: {told}"
    scene.say(f"{len(alerts())} alerts are silent while nothing happens")


def misfortunes(scene: Scene, prometheus: Prometheus, story: Story) -> None:
    for number in (1, 2):  # a rate needs two
        story.tell("rule added")
        scene.apply(domain(scene, *map(small_rule, range(1, number + 1))))
        scene.expect("MapDomain", DOMAIN, Programmed=True)
        time.sleep(SHOWN / 2)
    wrong_objects(scene, prometheus, story)
    silent_side(scene, prometheus, story)
    newer_format(scene, prometheus, story)
    story.tell("relay replaced")
    scene.kubectl("delete", "pod", scene.relays()[0].name, "--timeout=60s")
    scene.expect_announced(scene.wait_relays(2, 120))
    time.sleep(SHOWN)


def wrong_objects(scene: Scene, prometheus: Prometheus, story: Story) -> None:
    """A domain that the fleet may not serve, a router that is not there, and one whose password nobody has written down."""
    story.tell("wrong objects")
    own = f'namespace="{scene.name}"'
    rule = small_rule(1) | {"ipv4Prefix": "100.64.0.0/24"}
    scene.apply(manifests.domain(scene.name, STRANGER, rules=[rule], softwireAddress="3001:db8:ffff::2"))
    usual = manifests.bgp()
    absent = {"name": ABSENT, "address": str(IPV4.network[-2]), "peerASN": ROUTER_AS}
    secret = {"name": SECRET, "address": str(IPV4.network[-3]), "peerASN": ROUTER_AS, "passwordSecretRef": {"name": f"{FLEET}-bgp"}}
    path = scene.path("BorderRelay", FLEET)
    scene.api.patch(path, {"spec": {"bgp": usual | {"peers": [*usual["peers"], absent, secret]}}})
    prometheus.wait(f"culvert_domain_refused{{{own}}} == 1", 1)
    prometheus.wait(f'culvert_bgp_session_up{{{own}, peer="{ABSENT}"}} == 0', 2)
    prometheus.wait(f"culvert_bgp_obstacle{{{own}}} == 1", 2)
    time.sleep(SHOWN)
    scene.api.patch(path, {"spec": {"bgp": usual}})
    scene.kubectl("delete", "mapdomain", STRANGER)
    for gone in ("culvert_domain_refused", "culvert_bgp_obstacle"):
        prometheus.wait(f"{gone}{{{own}}} == 1", 0)
    prometheus.wait(f"culvert_bgp_session_up{{{own}}} == 0", 0)


def silent_side(scene: Scene, prometheus: Prometheus, story: Story) -> None:
    cut, other = scene.relays()
    story.tell("IPv4 side of a relay silent")
    scene.fabric.silence(f"{cut.node}-ipv4")
    try:
        scene.expect_paths([other])
        prometheus.wait(f'culvert_domain_relays{{namespace="{scene.name}", domain="{DOMAIN}", state="ready"}} == 1', 1)
        time.sleep(SHOWN)
    finally:
        scene.fabric.unsilence()
    story.tell("and back")
    scene.expect_announced([cut, other])
    prometheus.wait(f'culvert_ready{{namespace="{scene.name}"}} == 1', 2)


def newer_format(scene: Scene, prometheus: Prometheus, story: Story) -> None:
    """No operator is there, and somebody writes a revision of a format that relays do not know."""
    story.tell("operators gone, revision unreadable")
    scene.culvert.scale(0)
    scene.culvert.wait_operators(0)
    try:
        path = f"/api/v1/namespaces/{scene.name}/configmaps/{FLEET}-revision"
        scene.api.patch(path, {"data": {"index.json": json.dumps({"formatVersion": 9999})}})
        prometheus.wait(f'culvert_revision_refused{{namespace="{scene.name}"}} == 1', 2)
        time.sleep(SHOWN)
    finally:
        story.tell("operators back")
        scene.culvert.scale(2)
        scene.culvert.wait_operators(2)
    prometheus.wait(f'culvert_revision_refused{{namespace="{scene.name}"}}', 0)
    prometheus.wait("culvert_operator_leader == 1", 1)
    scene.expect("MapDomain", DOMAIN, Programmed=True)


@contextlib.contextmanager
def noise(scene: Scene):
    """A customer with wrong rules, a scan from the Internet, and somebody who pings the BR address."""
    ends, customer = threading.Event(), scene.fabric.customer(1)
    server = (str(INTERNET[0]), 9)
    wrong = packets.encapsulate(customer.address, BR, packets.udp((customer.public, 1000), server, b"reserved"))
    scan = packets.udp(server, (customer.public, 80), b"scan")
    ping = packets.ipv6(customer.address, BR, packets.ICMPV6, echo_request(customer.address))

    def send() -> None:
        while not ends.wait(NOISE):
            with contextlib.suppress(OSError):  # no route, for a moment
                send_ipv6(customer.ce, wrong, ping)
                send_ipv4(scene.fabric.internet, scan)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join(10)


def echo_request(source) -> bytes:
    """ICMPv6, without its IPv6 header."""
    return packets.icmpv6(source, BR, 128, 0, b"culvert")[40:]


# What was seen


def check_pages(scene: Scene) -> None:
    """What programs say in earnest, promtool takes, and the files in deploy/monitoring/metrics have all of it."""
    for program in PORTS:
        known = names((MONITORING / "metrics" / f"{program}.prom").read_text())
        pods = scene.culvert.operators() if program == "operator" else scene.relay_objects()
        for pod in pods:
            text = page(scene.fabric.control, pod["status"]["podIP"], program)
            done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
            assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"
            found = names(text)
            assert found and found <= known, f"{program}: deploy/monitoring/metrics lacks {found - known}"


def names(text: str) -> set[tuple[str, str]]:
    """Each series' name with its labels."""
    lines = (SERIES.fullmatch(line) for line in text.splitlines())
    return {(match[1], label) for match in lines if match for label in ("", *(label for label, _ in LABEL.findall(match[2] or "")))}


def alerts() -> dict[str, str]:
    """The condition of each alert, by its name."""
    text = (MONITORING / "rules.yaml").read_text()
    found = re.findall(r"- alert: (\w+)\n    expr: (?:\|\n)?((?:.+)(?:\n      .*)*)", text)
    assert len(found) == text.count("- alert:"), "rules.yaml has an alert that is written otherwise"
    return dict(found)


def alarms(scene: Scene, prometheus: Prometheus, start: float, end: float) -> dict[str, list[Labels]]:
    """The alerts whose conditions were true, of whom. Pods of earlier tests may still be going."""
    told = {}
    for name, expr in alerts().items():
        found = [labels for labels, _ in prometheus.range(expr, start, end)]
        told[name] = [labels for labels in found if labels.get("namespace", scene.name) == scene.name]
    return {name: found for name, found in told.items() if found}


def check_alerts(scene: Scene, prometheus: Prometheus, story: Story) -> None:
    told = set(alarms(scene, prometheus, story.start, story.end))
    assert ALARMS <= told, f"{ALARMS - told} would not have been told"
    scene.say(f"conditions of alerts that were true during the faults: {', '.join(sorted(told))}")


def variables(scene: Scene) -> dict[str, str]:
    return {"namespace": scene.name, "fleet": FLEET, "domain": DOMAIN, "pod": ".*", "peer": ".*"}


def check_choices(scene: Scene, prometheus: Prometheus, story: Story) -> None:
    """Namespace, fleet, relay, router and domain can be chosen."""
    peers = {peer["name"] for peer in manifests.bgp()["peers"]}
    expected = {"namespace": {scene.name}, "fleet": {FLEET}, "domain": {DOMAIN}, "peer": peers,
                "pod": {relay.name for relay in scene.relays()}}
    for (board, name), found in dashboards.choices(prometheus, variables(scene), story.start, story.end).items():
        assert expected[name] <= found and "" not in found, f"{board}: {name} may be {found}, not {expected[name]}"


def check_answers(scene: Scene, prometheus: Prometheus, answers: list[Answer], story: Story) -> None:
    """Every query has series; each has all labels of its legend, and there is one for each relay, router and so on."""
    ready = prometheus.range(f'culvert_ready{{namespace="{scene.name}"}}', story.start, story.end)
    pods = {labels["pod"] for labels, _ in ready}
    assert len(pods) >= 3, f"a relay was replaced, and only {pods} were seen"
    whole = {"pod": pods, "peer": {peer["name"] for peer in manifests.bgp()["peers"]}, "direction": {"to_ce", "from_ce"},
             "family": {"IPv4", "IPv6"}}
    problems = [problem for answer in answers for problem in check(answer, whole)]
    assert not problems, "\n".join(["", *problems])


def check(answer: Answer, whole: dict[str, set[str]]) -> list[str]:
    if not answer.series:
        return [f"nothing: {answer}"]
    expr = answer.target["expr"]
    special = [known for metric, known in PROVOKED.items() if metric in expr]
    problems = []
    for label in answer.wanted_labels:
        found = answer.values(label)
        expected = set().union(*(known.get(label, set()) for known in special))
        if not special and "culvert_operator" not in expr:  # the pods of operators are others
            expected = whole.get(label, set())
        if "" in found or not expected <= found:
            problems.append(f"{label} is {found}, not {expected}: {answer}")
    return problems


def keep(story: Story, answers: list[Answer]) -> None:
    """For the pictures."""
    panels: dict[tuple[str, str], dict] = {}
    for answer in answers:
        defaults = answer.panel["fieldConfig"]["defaults"]
        colours = {value: how["color"] for one in defaults.get("mappings", []) for value, how in one["options"].items()}
        title = answer.panel["title"]
        about = {"dashboard": answer.dashboard, "title": title, "kind": answer.panel["type"], "unit": defaults["unit"],
                 "colours": colours, "series": []}
        shown = panels.setdefault((answer.dashboard, title), about)["series"]
        shown += [{"name": answer.name(labels), "points": points} for labels, points in answer.series]
    whole = {"start": story.start, "end": story.end, "events": story.events, "panels": list(panels.values())}
    (target() / "monitoring.json").write_text(json.dumps(whole))
