"""The fabric around the nodes."""

from cluster.fabric import IPV4, IPV6
from cluster.scene import Scene
from lab.topology import INTERNET

ANYCAST4 = "67.91.205.1"
ANYCAST6 = "3001:db8:ffff::1"
FLOWS = 40


def test_internet_and_customers(scene: Scene):
    """a pod's addresses on the segments are reached from the Internet and from every CE"""
    scene.pod("pod", 2, "default/ipv4a,default/ipv6a", capabilities=("NET_ADMIN",))
    scene.exec("pod", "ip", "route", "add", "203.0.113.0/24", "via", str(IPV4.router))
    scene.exec("pod", "ip", "-6", "route", "add", "default", "via", str(IPV6.router))
    networks, fabric = scene.networks("pod"), scene.cluster.fabric
    fabric.internet.run("ping", "-c", "1", "-W", "5", networks["net1"]["ips"][0])
    scene.ping("pod", INTERNET)
    for customer in fabric.customers:
        customer.ce.run("ping", "-c", "1", "-W", "5", networks["net2"]["ips"][0])


def test_equal_routes(scene: Scene):
    """the routers spread flows over pods of both nodes by ports, of both families, and follows a change"""
    pods = ["one", "two"]
    for number, pod in enumerate(pods, start=1):
        scene.start_pod(pod, number, "default/ipv4,default/ipv6", capabilities=("NET_ADMIN",), script=f"""
            ip addr add {ANYCAST4}/32 dev lo
            ip -6 addr add {ANYCAST6}/128 dev lo
            ip route add 203.0.113.0/24 via {IPV4.router}
            ip -6 route add default via {IPV6.router}
            hostname > /tmp/index.html
            httpd -p 8080 -h /tmp
        """)
    scene.wait_ready(*pods)
    fabric = scene.cluster.fabric
    ways = [
        (fabric.internet, ANYCAST4, f"{ANYCAST4}/32", "net1"),
        (fabric.customer(1).ce, f"[{ANYCAST6}]", f"{ANYCAST6}/128", "net2"),
    ]
    for client, host, prefix, interface in ways:
        hops = [scene.networks(pod)[interface]["ips"][0] for pod in pods]
        fabric.spread(prefix, hops)
        answers = [fetch(client, host) for _ in range(FLOWS)]
        assert set(answers) == set(pods), f"not both answered: {answers}"
        fabric.spread(prefix, hops[1:])
        assert {fetch(client, host) for _ in range(FLOWS)} == {"two"}
        fabric.spread(prefix, [])
        assert client.try_run("curl", "--silent", "--max-time", "5", f"http://{host}:8080/").returncode != 0


def fetch(client, host: str) -> str:
    return client.run("curl", "--silent", "--show-error", "--max-time", "10", f"http://{host}:8080/").strip()
