//! BGP, BFD and ping between a pod and its routers, by addresses of the sides and by link-local ones.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, TcpStream, UdpSocket},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, SocketFlags, SocketType, bind, connect, socket_with,
        sockopt::{Timeout, set_socket_reuseaddr, set_socket_reuseport, set_socket_timeout},
    },
};

use serde_json::Value;

use crate::{
    node::{Node, PATIENCE},
    pod::{Pod, SIDE, SIDE6, isp_a, revision},
    speaker::{Speaker, peer},
};

/// Long enough for a packet to arrive, were it let through.
const NEVER: Duration = Duration::from_millis(300);

#[test]
fn bgp_bfd_and_ping_reach_the_sides_own_addresses() {
    let pod = Pod::new();
    let _relay = pod.relay(&[]);
    let listen = |port: u16| pod.pod.inside(move || TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).unwrap());
    let (_bgp, _other) = (listen(179), listen(8080));
    for (node, side) in [(&pod.internet, SIDE), (&pod.core, SIDE6)] {
        let side: IpAddr = side.parse().unwrap();
        assert!(connects(node, SocketAddr::new(side, 179)), "BGP to {side}");
        assert!(!connects(node, SocketAddr::new(side, 8080)), "another port of {side}");
        node.run("ping", &["-c", "1", "-W", "5", &side.to_string()]);
    }
    assert!(!connects(&pod.internet, SocketAddr::new(SIDE.parse().unwrap(), 9108)), "the admin server");
    // And the other way: the pod's speaker connects to a router.
    let _router = pod.internet.inside(|| TcpListener::bind("198.51.100.254:179").unwrap());
    assert!(connects(&pod.pod, "198.51.100.254:179".parse().unwrap()));
    for (port, arrives) in [(3784, true), (4784, true), (3783, false)] {
        let bfd = pod.pod.inside(move || UdpSocket::bind((SIDE, port)).unwrap());
        bfd.set_read_timeout(Some(if arrives { NEVER * 10 } else { NEVER })).unwrap();
        pod.internet.send_udp(&format!("{SIDE}:{port}"));
        assert_eq!(bfd.recv(&mut [0; 10]).is_ok(), arrives, "port {port}");
    }
}

/// A router with `port: 1179`: the speaker tells the relay, which lets its answers in, and nobody else's.
#[test]
fn answers_of_a_router_at_another_port_come_in_for_as_long_as_it_is_a_peer() {
    let (pod, speaker) = (Pod::new(), Speaker::start());
    pod.mount(&revision(1, &[isp_a()]));
    let [net1, net2] = [("net1", "198.51.100.254", "IPv4"), ("net2", "2001:db8:1::fe", "IPv6")]
        .map(|(side, router, family)| peer(side, side, router, &[family], true));
    let at = |peer: &Value, port: u16| {
        let mut peer = peer.clone();
        peer["port"] = port.into();
        peer
    };
    speaker.says(&[net1.clone(), net2.clone()]);
    let relay = pod.launch(&["--peer-state", speaker.socket().to_str().unwrap()]).ready();
    let listen =
        |node: &Node, port: u16| node.inside(move || TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).unwrap());
    let routers = [(&pod.internet, SIDE, "198.51.100.254"), (&pod.core, SIDE6, "2001:db8:1::fe")];
    let listeners = routers.map(|(node, ..)| [179, 1179, 1180].map(|port| listen(node, port)));
    let _admin = listen(&pod.pod, 9109);
    let reach = |side: &str, router: &str, port: u16| {
        let (side, router): (IpAddr, IpAddr) = (side.parse().unwrap(), router.parse().unwrap());
        connects_from(&pod.pod, SocketAddr::new(side, 0), SocketAddr::new(router, port))
    };
    let reached = || routers.map(|(_, side, router)| [179, 1179, 1180].map(|port| reach(side, router, port)));
    assert_eq!(reached(), [[true, false, false]; 2]);
    let refused =
        |family: &str| relay.metric(&format!(r#"culvert_refused_packets_total{{family="{family}",reason="NoRoute"}}"#));
    let before = ["IPv4", "IPv6"].map(refused);
    // The session is not up yet: it cannot be before the rule is there.
    speaker.says(&[at(&net1, 1179), at(&net2, 1179)]);
    relay.until("let in", |_| reached() == [[true, true, false]; 2]);
    let after = ["IPv4", "IPv6"].map(refused);
    assert!(after[0] > before[0] && after[1] > before[1], "{before:?} {after:?}");
    // Another address of the same segment is no peer.
    pod.internet.ip("address add 198.51.100.253/24 dev far");
    assert!(!reach(SIDE, "198.51.100.253", 1179));
    // What looks after the rules from time to time leaves them as they are.
    sleep(Duration::from_secs(6));
    assert_eq!(reached(), [[true, true, false]; 2]);
    assert!(!relay.log().contains("somebody changed"), "{}", relay.log());
    speaker.says(&[net1.clone(), at(&net2, 1180)]);
    relay.until("shut", |_| reached() == [[true, false, false], [true, false, true]]);
    speaker.says(&[at(&net1, 1179), at(&net2, 1179)]);
    relay.until("let in again", |_| reached() == [[true, true, false]; 2]);
    // Who calls from there reaches no server of the pod by it.
    drop(listeners);
    for (node, side, router) in routers {
        let (side, router): (IpAddr, IpAddr) = (side.parse().unwrap(), router.parse().unwrap());
        assert!(!connects_from(node, SocketAddr::new(router, 1179), SocketAddr::new(side, 9109)), "9109 of {side}");
    }
    assert!(pod.crosses() && relay.is_ready());
}

/// The link-local address of an interface.
fn link_local(node: &Node, interface: &str) -> Ipv6Addr {
    let addresses = node.ip(&format!("-6 -br address show dev {interface} scope link"));
    addresses.split_whitespace().nth(2).unwrap().split('/').next().unwrap().parse().unwrap()
}

/// An address with the interface by which it is meant, as the node numbers them.
fn scoped(node: &Node, interface: &str, address: Ipv6Addr, port: u16) -> SocketAddr {
    let line = node.ip(&format!("-o link show {interface}"));
    let index = line.split(':').next().unwrap().parse().unwrap();
    SocketAddrV6::new(address, port, 0, index).into()
}

/// Unnumbered sessions, and BFD for them.
#[test]
fn bgp_bfd_and_ping_work_between_link_local_addresses() {
    let pod = Pod::new();
    let _relay = pod.relay(&[]);
    let listen =
        |node: &Node, port: u16| node.inside(move || TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).unwrap());
    let (_bgp, _other) = (listen(&pod.pod, 179), listen(&pod.pod, 8080));
    for (node, side) in [(&pod.internet, "net1"), (&pod.core, "net2")] {
        let (here, there) = (link_local(&pod.pod, side), link_local(node, "far"));
        assert!(connects(node, scoped(node, "far", here, 179)), "BGP to {side}");
        assert!(!connects(node, scoped(node, "far", here, 8080)), "another port of {side}");
        let _router = listen(node, 179);
        assert!(connects(&pod.pod, scoped(&pod.pod, side, there, 179)), "BGP from {side}");
        for (port, arrives) in [(3784, true), (3785, true), (4784, true), (3783, false), (9109, false)] {
            let bfd = pod.pod.inside(move || UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)).unwrap());
            bfd.set_read_timeout(Some(if arrives { NEVER * 10 } else { NEVER })).unwrap();
            let to = scoped(node, "far", here, port);
            node.inside(move || _ = UdpSocket::bind("[::]:0").unwrap().send_to(b"BFD", to).unwrap());
            assert_eq!(bfd.recv(&mut [0; 10]).is_ok(), arrives, "port {port} of {side}");
        }
        node.run("ping", &["-c", "1", "-W", "5", &format!("{here}%far")]);
        pod.pod.run("ping", &["-c", "1", "-W", "5", &format!("{there}%{side}")]);
        // To whoever it is, without the next hop in between.
        let way = pod.pod.ip(&format!("-6 route get fe80::46 oif {side} ipproto ipv6-icmp"));
        assert!(way.contains(&format!("dev {side}")) && !way.contains("via"), "{way}");
    }
}

#[test]
fn the_pods_own_sessions_find_their_way_and_open_no_other_door() {
    let pod = Pod::new();
    let _relay = pod.relay(&[]);
    let listen =
        |node: &Node, port: u16| node.inside(move || TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).unwrap());
    let _admin = listen(&pod.pod, 9109);
    for (node, side, router) in [(&pod.internet, SIDE, "198.51.100.254"), (&pod.core, SIDE6, "2001:db8:1::fe")] {
        let listens = listen(node, 179);
        let (side, router): (IpAddr, IpAddr) = (side.parse().unwrap(), router.parse().unwrap());
        // From the side's address, as BIRD does.
        assert!(connects_from(&pod.pod, SocketAddr::new(side, 0), SocketAddr::new(router, 179)), "from {side}");
        drop(listens);
        // Who calls from port 179 reaches no server of the pod by it.
        assert!(!connects_from(node, SocketAddr::new(router, 179), SocketAddr::new(side, 9109)), "9109 of {side}");
        assert!(!connects(node, SocketAddr::new(side, 9109)), "9109 of {side}");
    }
}

/// Whether a TCP connection from this address to that can be made.
fn connects_from(node: &Node, from: SocketAddr, to: SocketAddr) -> bool {
    node.inside(move || {
        let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(family, SocketType::STREAM, flags, None).unwrap();
        set_socket_reuseaddr(&socket, true).unwrap();
        set_socket_reuseport(&socket, true).unwrap();
        set_socket_timeout(&socket, Timeout::Send, Some(Duration::from_millis(500))).unwrap();
        // A listener that a test has dropped is there for a moment more in what another test starts, between fork and exec.
        let begun = Instant::now();
        while let Err(error) = bind(&socket, &from) {
            assert!(error == Errno::ADDRINUSE && begun.elapsed() < PATIENCE, "{from}: {error}");
            sleep(Duration::from_millis(20));
        }
        connect(&socket, &to).is_ok()
    })
}

/// Whether a TCP connection from there to here can be made.
fn connects(from: &Node, to: SocketAddr) -> bool {
    from.inside(move || TcpStream::connect_timeout(&to, Duration::from_millis(500)).is_ok())
}
