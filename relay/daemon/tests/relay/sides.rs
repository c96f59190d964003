//! A relay with sides: what gets through, and what must not.

use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    os::fd::OwnedFd,
    time::Duration,
};

use crds::revision::{Object, decode};
use k8s_openapi::api::core::v1::ConfigMap;
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SocketFlags, SocketType, ipproto, recvfrom, socket_with,
    sockopt::{Timeout, set_ipv6_unicast_hops, set_socket_timeout},
};

use crate::{
    node::{BR, Node, Relay},
    pod::{
        CE, CLUSTER_IP, CUSTOMER, Ce, HOST, METADATA, NODE, POD, PORT, Pod, SIDE, SIDE6, checksum, ipv4, isp_a,
        revision, udp,
    },
};

const POD6: &str = "2001:db8:244::5";
const NODE6: &str = "2001:db8:244::1";

/// Long enough for a packet to arrive, were it let through.
const NEVER: Duration = Duration::from_millis(300);

#[test]
fn packets_cross_whatever_rp_filter_is() {
    for value in [0, 1, 2] {
        let pod = Pod::with_rp_filter(value);
        let relay = pod.relay(&[]);
        assert!(pod.crosses(), "rp_filter {value}: {}", relay.log());
        let state = relay.state();
        assert_eq!(state["obstacles"], serde_json::json!([]), "{state}");
        let (status, log) = relay.stop();
        assert_eq!(status.code(), Some(0), "{log}");
    }
}

#[test]
fn it_says_who_it_is_and_leaves_nothing_behind() {
    let pod = Pod::new();
    let before = pod.pod.picture();
    let relay = pod.relay(&[]);
    let state = relay.state();
    assert_eq!(state["revision"]["sequence"], 1, "{state}");
    assert_eq!(state["revision"]["source"], "Mounted");
    assert_eq!(state["revision"]["hash"], revision(1, &[isp_a()]).hash());
    assert_eq!((&state["pod"], &state["node"]), (&"default-0".into(), &"node-a".into()));
    assert_eq!(state["device"]["ipv4Source"], SIDE);
    let kept: ConfigMap = serde_json::from_str(&relay.get("/revision").unwrap().1).unwrap();
    assert_eq!(decode(&Object::files_of(&kept)), Ok(revision(1, &[isp_a()])));
    for probe in ["/livez", "/readyz", "/startupz"] {
        assert_eq!(relay.get(probe), Some((200, "ok\n".to_owned())));
    }
    let (status, log) = relay.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("WARN"), "{log}");
    assert_eq!(pod.pod.changes(&before), Vec::<String>::new());
}

/// Sockets that must hear nothing, wherever they are.
struct Ears(Vec<UdpSocket>);

impl Ears {
    /// At this port, of every address of the pod and of its cluster.
    fn new(pod: &Pod, port: u16) -> Self {
        let listen = move || {
            let socket = UdpSocket::bind((std::net::Ipv6Addr::UNSPECIFIED, port)).unwrap();
            socket.set_read_timeout(Some(NEVER)).unwrap();
            socket
        };
        Self(vec![pod.pod.inside(listen), pod.cluster.inside(listen)])
    }

    fn heard(&self) -> Option<(SocketAddr, Vec<u8>)> {
        self.0.iter().find_map(|socket| {
            let mut buffer = [0; 100];
            match socket.recv_from(&mut buffer) {
                Ok((length, from)) => Some((from, buffer[..length].to_vec())),
                Err(error) => {
                    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
                    None
                }
            }
        })
    }
}

/// IPv4 packets that came in somewhere.
fn ipv4_received(node: &Node) -> u64 {
    let text = node.inside(|| std::fs::read_to_string("/proc/thread-self/net/snmp").unwrap());
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Ip: "));
    let (names, numbers) = (lines.next().unwrap(), lines.next().unwrap());
    let place = names.split(' ').position(|name| name == "InReceives").unwrap();
    numbers.split(' ').nth(place).unwrap().parse().unwrap()
}

fn echo_request() -> Vec<u8> {
    let mut message = vec![8, 0, 0, 0, (PORT >> 8) as u8, PORT as u8, 0, 1];
    let sum = checksum(&message).to_be_bytes();
    message[2..4].copy_from_slice(&sum);
    message
}

/// A TCP segment that opens a connection, without a checksum: whoever got it would drop it late enough to be counted.
fn syn(port: u16) -> Vec<u8> {
    let mut segment = [PORT.to_be_bytes(), port.to_be_bytes()].concat();
    segment.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0]);
    segment
}

#[test]
fn a_customers_packets_reach_neither_the_cluster_nor_the_pod() {
    let pod = Pod::new();
    let relay = pod.relay(&[]);
    let (ears, ce) = (Ears::new(&pod, 5353), pod.ce());
    let (at_cluster, at_internet) = (ipv4_received(&pod.cluster), ipv4_received(&pod.internet));
    let customer: Ipv4Addr = CUSTOMER.parse().unwrap();
    let targets =
        [POD, CLUSTER_IP, NODE, METADATA, SIDE, "192.0.0.8", "192.0.0.13", "127.0.0.1", "0.0.0.0", "224.0.0.1"];
    let br = BR.parse().unwrap();
    for target in targets {
        let to: IpAddr = target.parse().unwrap();
        ce.send(br, &udp((customer, PORT), SocketAddr::new(to, 5353), b"let me in"));
        ce.send(br, &ipv4(1, customer, to, &echo_request()));
        ce.send(br, &ipv4(6, customer, to, &syn(9108)));
    }
    assert_eq!(ears.heard(), None);
    assert_eq!(ipv4_received(&pod.cluster), at_cluster, "the cluster sees none of them");
    // What is an address at all left by the next hop of the IPv4 side, as everything does; martians are named.
    relay.until("forwarded", |_| ipv4_received(&pod.internet) >= at_internet + 4 * 3);
    let martians =
        r#"culvert_dropped_packets_total{direction="from_ce",domain="isp-a",namespace="isps",reason="Martian"}"#;
    assert_eq!(relay.metric(martians), 3 * 3);
    assert!(pod.crosses(), "and the others cross");
}

#[test]
fn what_enters_by_the_ipv4_side_reaches_customers_and_nothing_else() {
    let pod = Pod::new();
    let relay = pod.relay(&[]);
    let ears = Ears::new(&pod, 5353);
    let refused = r#"culvert_refused_packets_total{family="IPv4",reason="NoRoute"}"#;
    let (before, at_cluster) = (relay.metric(refused), ipv4_received(&pod.cluster));
    let targets = [POD, CLUSTER_IP, NODE, METADATA, SIDE, "192.0.0.13", "8.8.8.8"];
    for target in targets {
        pod.internet.send_udp(&format!("{target}:5353"));
    }
    assert_eq!(ears.heard(), None);
    assert_eq!(ipv4_received(&pod.cluster), at_cluster);
    let counted = relay.metric(refused) - before;
    assert!(counted >= targets.len() as u64, "{counted} of {}", targets.len());
    assert!(pod.crosses());
}

#[test]
fn what_enters_by_the_ipv6_side_reaches_the_br_and_nothing_else() {
    let pod = Pod::new();
    let relay = pod.relay(&[]);
    let ears = Ears::new(&pod, 5353);
    let refused = r#"culvert_refused_packets_total{family="IPv6",reason="NoRoute"}"#;
    let before = relay.metric(refused);
    let targets = [POD6, NODE6, SIDE6, "100::4646:2", "2001:db8:ffff::1"];
    for target in targets {
        if target != SIDE6 {
            pod.core.ip(&format!("-6 route replace {target} via {SIDE6}"));
        }
        pod.core.inside(move || {
            let socket = UdpSocket::bind((CE, 0)).unwrap();
            socket.send_to(b"let me in", (target, 5353)).unwrap();
        });
    }
    assert_eq!(ears.heard(), None);
    let counted = relay.metric(refused) - before;
    assert!(counted >= targets.len() as u64, "{counted} of {}", targets.len());
    assert!(pod.crosses());
}

/// The sender of the next ICMP message of this type, at a raw socket.
fn icmp_from(socket: &OwnedFd, kind: u8, header: usize) -> IpAddr {
    loop {
        let mut buffer = [0; 2048];
        let (_, length, from) = recvfrom(socket, &mut buffer[..], RecvFlags::empty()).unwrap();
        if length > header && buffer[header] == kind {
            return SocketAddr::try_from(from.unwrap()).unwrap().ip();
        }
    }
}

fn raw(node: &Node, family: AddressFamily, protocol: Protocol) -> OwnedFd {
    let socket =
        node.inside(move || socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, Some(protocol)).unwrap());
    set_socket_timeout(&socket, Timeout::Recv, Some(Duration::from_secs(5))).unwrap();
    socket
}

#[test]
fn the_kernels_errors_leave_by_the_side_with_its_address() {
    let pod = Pod::new();
    let _relay = pod.relay(&[]);
    let icmp = raw(&pod.internet, AddressFamily::INET, ipproto::ICMP);
    let host = pod.host(0);
    host.set_ttl(1).unwrap();
    host.send_to(b"too far", (CUSTOMER, PORT)).unwrap();
    assert_eq!(icmp_from(&icmp, 11, 20), SIDE.parse::<IpAddr>().unwrap());

    let icmp6 = raw(&pod.core, AddressFamily::INET6, ipproto::ICMPV6);
    let ce: OwnedFd = raw(&pod.core, AddressFamily::INET6, ipproto::IPIP);
    rustix::net::bind(&ce, &SocketAddr::new(CE.parse().unwrap(), 0)).unwrap();
    set_ipv6_unicast_hops(&ce, Some(1)).unwrap();
    let inner = udp((CUSTOMER.parse().unwrap(), PORT), format!("{HOST}:9").parse().unwrap(), b"too far");
    Ce::from(ce).send(BR.parse().unwrap(), &inner);
    assert_eq!(icmp_from(&icmp6, 3, 0), SIDE6.parse::<IpAddr>().unwrap());
}

fn reasons(relay: &Relay<'_>) -> String {
    relay.get("/readyz").unwrap().1.trim().to_owned()
}

fn announced(pod: &Pod) -> usize {
    let routes = format!("{}{}", pod.pod.ip("route show table 4646"), pod.pod.ip("-6 route show table 4646"));
    let customers = routes.lines().filter(|line| line.contains("67.91.205.0/24") || line.contains(BR));
    customers.filter(|line| line.contains("dev culvert0") && !line.contains("metric 7597")).count()
}

#[test]
fn a_side_without_a_next_hop_is_down_and_both_families_are_withdrawn() {
    let pod = Pod::new();
    let relay = pod.relay(&[]);
    relay.until("announced", |_| announced(&pod) == 2);
    for (node, word) in [(&pod.internet, "IPv4SideDown"), (&pod.core, "IPv6SideDown")] {
        node.ip("link set far down");
        relay.until(word, |relay| reasons(relay).contains(word));
        relay.until("withdrawn", |_| announced(&pod) == 0);
        assert_eq!(relay.get("/livez").unwrap().0, 200);
        node.ip("link set far up");
        if word == "IPv6SideDown" {
            node.ip("address replace 2001:db8:1::fe/64 dev far nodad");
            node.ip("-6 route replace default via 2001:db8:1::1");
        } else {
            node.ip("route replace default via 198.51.100.1");
        }
        relay.until("up again", Relay::is_ready);
        relay.until("announced", |_| announced(&pod) == 2);
        assert!(pod.crosses());
    }
}

#[test]
fn a_next_hop_that_is_silent_is_down_though_the_link_is_up() {
    let pod = Pod::new();
    let relay = pod.relay(&["--next-hop", "net1=198.51.100.253"]);
    let hop = |address: &str| format!(r#"culvert_next_hop_up{{address="{address}",interface="net1"}}"#);
    assert_eq!((relay.metric(&hop("198.51.100.254")), relay.metric(&hop("198.51.100.253"))), (1, 0));
    pod.internet.ip("address add 198.51.100.253/24 dev far");
    relay.until("second", |relay| relay.metric(&hop("198.51.100.253")) == 1);
    relay.until("both", |_| pod.pod.ip("route show table 4646 default").matches("nexthop").count() == 2);
    assert!(pod.crosses());
}

#[test]
fn the_self_test_fails_when_forwarding_is_off() {
    let pod = Pod::new();
    let relay = pod.relay(&[]);
    pod.pod.sysctl("net.ipv6.conf.all.forwarding", 0);
    relay.until("IPv6", |relay| reasons(relay).contains("SelfTestToCE") && reasons(relay).contains("SelfTestFromCE"));
    let obstacles = relay.state()["obstacles"].to_string();
    assert!(obstacles.contains("IPv6ForwardingOff") && obstacles.contains("tuning"), "{obstacles}");
    assert_eq!(relay.get("/livez").unwrap().0, 200, "liveness is not readiness");
    relay.until("withdrawn", |_| announced(&pod) == 0);
    pod.pod.sysctl("net.ipv6.conf.all.forwarding", 1);
    relay.until("ready", Relay::is_ready);
    // IPv4's is a matter of the devices; the TUN's nobody sets again.
    pod.pod.sysctl("net.ipv4.conf.culvert0.forwarding", 0);
    relay.until("IPv4", |relay| reasons(relay).contains("SelfTestFromCE"));
    pod.pod.sysctl("net.ipv4.conf.culvert0.forwarding", 1);
    relay.until("ready", Relay::is_ready);
}

#[test]
fn the_self_test_fails_when_the_route_is_gone() {
    let pod = Pod::new();
    let relay = pod.relay(&[]);
    // A route that is deleted comes back; one that hides it stays.
    for (family, route, word) in [
        ("-6", "unreachable 100::4646:2/128 metric 1", "SelfTestToCE"),
        ("-4", "unreachable 198.18.0.0/15", "IPv4RouteMissing"),
        ("-6", "unreachable 2001:db8::/64", "IPv6RouteMissing"),
    ] {
        pod.pod.ip(&format!("{family} route add {route} table 4646"));
        relay.until(word, |relay| reasons(relay).contains(word));
        pod.pod.ip(&format!("{family} route delete {route} table 4646"));
        relay.until("ready", Relay::is_ready);
    }
}

/// All of them; new rules may stand at other numbers.
fn rules_and_routes(pod: &Pod) -> Vec<String> {
    let read = |what: &str| pod.pod.ip(what);
    let rules = [read("rule"), read("-6 rule")].concat();
    let rules = rules.lines().map(|rule| rule.split_once(":\t").unwrap().1.to_owned());
    let routes = [read("route show table 4646"), read("-6 route show table 4646")].concat();
    rules.chain(routes.lines().map(str::to_owned)).collect()
}

#[test]
fn what_somebody_changes_is_put_back() {
    let pod = Pod::new();
    let relay = pod.relay(&[]);
    let before = rules_and_routes(&pod);
    for change in [
        "route delete default table 4646",
        "-6 route flush table 4646 proto 97",
        "rule delete iif net1 unreachable",
        "rule delete iif lo from 198.51.100.1 lookup 4646",
    ] {
        pod.pod.ip(change);
        relay.until(change, |relay| rules_and_routes(&pod) == before && relay.is_ready());
    }
    pod.pod.sysctl("net.ipv4.conf.net1.forwarding", 0);
    pod.pod.sysctl("net.ipv4.conf.net1.rp_filter", 1);
    relay.until("settings", |_| pod.crosses());
}

#[test]
fn another_address_of_a_side_is_followed() {
    let pod = Pod::new();
    let relay = pod.relay(&[]);
    pod.pod.ip("address delete 198.51.100.1/24 dev net1");
    pod.pod.ip("address add 198.51.100.2/24 dev net1");
    pod.internet.ip("route replace default via 198.51.100.2");
    relay.until("source", |relay| relay.state()["device"]["ipv4Source"] == "198.51.100.2");
    relay.until("crosses", |relay| relay.is_ready() && pod.crosses());
    pod.internet.run("ping", &["-c", "1", "-W", "5", "198.51.100.2"]);
}

#[test]
fn what_is_missing_is_named_with_the_remedy() {
    let pod = Pod::new();
    pod.pod.sysctl("net.ipv6.conf.all.forwarding", 0);
    pod.mount(&revision(1, &[isp_a()]));
    let relay = pod.launch(&["--side", "net3=Both", "--next-hop", "net3=192.0.2.1"]);
    let named = |relay: &Relay<'_>, reason: &str| {
        relay.get("/state").is_some_and(|(_, state)| state.contains(&format!(r#""reason":"{reason}""#)))
    };
    for reason in ["InterfaceMissing", "IPv6ForwardingOff"] {
        relay.until(reason, |relay| named(relay, reason));
    }
    assert_eq!(relay.get("/startupz").unwrap().0, 200, "it has started, and says what it lacks");
    assert!(!relay.is_ready());
    pod.pod.sysctl("net.ipv6.conf.all.forwarding", 1);
    pod.pod.ip("link add net3 type veth peer name far3");
    relay.until("down", |relay| named(relay, "InterfaceDown") && !named(relay, "IPv6ForwardingOff"));
    relay.until("no address", |relay| named(relay, "AddressMissing"));
}

#[test]
fn a_pod_without_next_hops_says_so() {
    let pod = Pod::new();
    pod.mount(&revision(1, &[isp_a()]));
    let admin = format!("{POD}:9108");
    let mut command = std::process::Command::new("ip");
    command.args(["netns", "exec", &pod.pod.name, env!("CARGO_BIN_EXE_culvert-relay"), "run", "--queues", "1"]);
    command.args(["--side", "net1=IPv4", "--admin", &admin, "--revision-dir"]).arg(pod.mounted.path());
    let relay = pod.pod.spawn(command, &admin);
    for reason in ["NextHopMissing", "SideMissing"] {
        relay.until(reason, |relay| relay.get("/state").is_some_and(|(_, state)| state.contains(reason)));
    }
}

#[test]
fn a_place_holder_waits_until_it_is_told_to_end() {
    let node = Node::bare();
    let mut command = std::process::Command::new("ip");
    command.args(["netns", "exec", &node.name, env!("CARGO_BIN_EXE_culvert-relay"), "wait"]);
    let waiting = node.spawn(command, "127.0.0.1:9108");
    // Until it listens to signals, they end it.
    let status = format!("/proc/{}/status", waiting.id());
    waiting.until_so(|| {
        let status = std::fs::read_to_string(&status).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:\t")).unwrap();
        u64::from_str_radix(caught, 16).unwrap() >> (libc::SIGTERM - 1) & 1 == 1
    });
    waiting.signal("HUP");
    let (status, log) = waiting.stop();
    assert_eq!((status.code(), log.as_str()), (Some(0), ""));
}
