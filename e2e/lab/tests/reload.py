"""New configuration while traffic flows."""

import json
import time

from lab.lab import Lab, eventually
from lab.relay import Relay, document, manifest
from lab.traffic import Background, exchange, stream_in, stream_out

RELOADS = 20


def test_reload_loses_nothing(lab: Lab):
    """20 reloads while numbered packets flow both ways for two customers: every packet arrives once, in order"""
    with lab.relay() as relay:
        streams = [
            stream_out(lab, lab.customers[0], 7001),
            stream_out(lab, lab.customers[1], 7002),
            stream_in(lab, lab.customers[0]),
            stream_in(lab, lab.customers[2]),
        ]
        for number in range(RELOADS):
            sent = streams[0].sent
            reload(relay, both(manifest(mtu={"v6": 1500 - number}), other_domain(number)))
            assert eventually(lambda: streams[0].sent > sent + 20), "the stream has stopped"
        for stream in streams:
            stream.stop()
        losses = [loss for stream in streams if (loss := stream.loss())]
        assert not losses, losses
        metrics = relay.metrics()
        sent_out, sent_in = (sum(stream.sent for stream in way) for way in (streams[:2], streams[2:]))
        counted = metrics.forwarded("from_ce"), metrics.forwarded("to_ce")
        assert counted == (sent_out, sent_in), f"sent {sent_out}, {sent_in}; counted {counted}"
        assert metrics.drops() == {}, metrics.drops()


def test_reload_while_scraped(lab: Lab):
    """reloads and endless readers of /metrics and /state do not get in each other's way"""
    with lab.relay() as relay:
        readers = [Background(lambda: relay.metrics()) for _ in range(2)] + [Background(lambda: relay.state())]
        try:
            for number in range(RELOADS):
                alone = manifest(mtu={"v6": 1500 - number})
                reload(relay, alone if number % 2 else both(alone, other_domain(number)))  # routes come and go
        finally:
            for reader in readers:
                reader.stop()
        assert all(reader.rounds > RELOADS for reader in readers), [reader.rounds for reader in readers]
        complaints = [line for line in relay.log.splitlines() if " WARN " in line or " ERROR " in line]
        assert not complaints, "\n".join(complaints)


def test_reload_beside_a_busy_file(lab: Lab):
    """a file next to the configuration that is written all the time (a log) does not keep a reload from happening"""
    with lab.relay() as relay:
        log = relay.folder / "busy.log"
        writer = Background(lambda: (log.write_text("busy"), time.sleep(0.01)))
        try:
            reload(relay, manifest(mtu={"v6": 1400}))
        finally:
            writer.stop()
        assert writer.rounds > 5, writer.rounds


def test_reload_refuses_a_bad_file(lab: Lab):
    """a bad file changes nothing: traffic flows, and the log, a metric and /state say why; a good one mends it"""
    with lab.relay() as relay:
        exchange(lab, lab.customers[0])
        bad = json.loads(manifest())
        bad["spec"]["rules"][0]["psidLength"] = 9
        failures = relay.metrics().reload_failures()
        before = relay.state()
        relay.write_config(json.dumps(bad))
        told = eventually(lambda: relay.metrics().reload_failures() == failures + 1)
        assert told, f"no metric tells of the bad file:\n{relay.metrics()}"
        assert "psidLength" in relay.log, f"the log does not name the field:\n{relay.log}"
        after = relay.state()
        assert "psidLength" in json.dumps(after["config"]["lastError"]), f"/state does not name the field: {after}"
        assert active(after) == active(before), f"/state shows another configuration: {after}"
        assert relay.is_ready(), "the relay is not ready any more"
        exchange(lab, lab.customers[0], 7001)
        reload(relay, manifest(mtu={"v6": 1400}))
        assert relay.state()["config"]["lastError"] is None, f"/state still complains: {relay.state()}"
        exchange(lab, lab.customers[0], 7002)


def test_reload_adds_and_removes_routes(lab: Lab):
    """a domain that comes brings its routes, one that goes takes them along"""
    with lab.relay() as relay:
        other = other_domain(0)
        assert "10.64.0.0/16" not in lab.relay_node.show("route")
        reload(relay, both(manifest(), other))
        assert eventually(lambda: "10.64.0.0/16" in lab.relay_node.show("route")), lab.relay_node.show("route")
        assert "3001:db8:eeee::1" in lab.relay_node.show("-6", "route"), lab.relay_node.show("-6", "route")
        reload(relay, manifest())
        assert eventually(lambda: "10.64.0.0/16" not in lab.relay_node.show("route")), lab.relay_node.show("route")
        assert "3001:db8:eeee::1" not in lab.relay_node.show("-6", "route"), lab.relay_node.show("-6", "route")
        exchange(lab, lab.customers[0])


def other_domain(number: int) -> str:
    """A second domain, of other customers; its rule changes with `number`."""
    rule = {
        "name": "r1", "ipv4Prefix": "10.64.0.0/16", "mapePrefix": "2001:db8:f000::/40", "eaBitsLength": 24,
        "psidOffset": 6, "psidLength": 8,
    }
    spec = {"softwireAddress": "3001:db8:eeee::1", "version": "RFC7597", "rules": [rule], "mtu": {"v6": 1280 + number}}
    return document("isp-b", spec)


def both(one: str, other: str) -> str:
    return f"{one}\n---\n{other}\n"


def active(state: dict) -> str:
    return state["config"]["hash"]


def reload(relay: Relay, config: str):
    """Writes another configuration and waits until the relay works by it."""
    before = active(relay.state())
    relay.write_config(config)
    assert eventually(lambda: active(relay.state()) != before), f"the new file was not taken:\n{relay.log}"
