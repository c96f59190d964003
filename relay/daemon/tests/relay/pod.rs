//! A pod on two segments, and everything around it: a network namespace each.
//!
//! ```text
//!   cluster 10.244.1.1 ---- eth0 10.244.1.5 | pod |
//!   (node, ClusterIP, metadata)             |     | net1 198.51.100.1 ---- 198.51.100.254 Internet, 203.0.113.10
//!                                           |     | net2 2001:db8:1::1 --- 2001:db8:1::fe core, the CE
//! ```

use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    os::fd::OwnedFd,
    path::PathBuf,
    process::Command,
    time::Duration,
};

use crds::revision::{Domain, Files, Revision, drain, encode};
use mape::{DomainConfig, DomainName, Options, RuleConfig, Version};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, ipproto, recv, sendto, socket_with},
};
use tempfile::TempDir;

use crate::node::{BR, Node, Relay};

pub(crate) const POD: &str = "10.244.1.5";
pub(crate) const SIDE: &str = "198.51.100.1";
pub(crate) const SIDE6: &str = "2001:db8:1::1";
pub(crate) const CLUSTER_IP: &str = "10.96.0.1";
pub(crate) const NODE: &str = "10.244.1.1";
pub(crate) const METADATA: &str = "169.254.169.254";
pub(crate) const HOST: &str = "203.0.113.10";
pub(crate) const CUSTOMER: &str = "67.91.205.2";
/// Where the customer's port 6600 is (2001:db8:ce:2 and PSID 0x9c).
pub(crate) const CE: &str = "2001:db8:ce:29c:0:435b:cd02:9c";
pub(crate) const PORT: u16 = 6600;

/// Each phase of a drain is long enough to be looked at, however slow the machine is.
pub(crate) const LONG_DRAIN: [&str; 4] = ["--graceful-shutdown-seconds", "10", "--withdraw-seconds", "10"];

/// As Kubernetes runs it: root without any capability but CAP_NET_ADMIN, and `/proc/sys` read only.
const CONTAINER: &str = "
    mount --bind /proc/sys /proc/sys
    mount -o remount,ro,bind /proc/sys
    exec setpriv --no-new-privs --bounding-set=-all,+net_admin --inh-caps=-all,+net_admin -- \"$@\"";

/// The namespaces, and the pod's volumes.
pub(crate) struct Pod {
    pub(crate) pod: Node,
    pub(crate) cluster: Node,
    pub(crate) internet: Node,
    pub(crate) core: Node,
    /// The mounted revision.
    pub(crate) mounted: TempDir,
    /// The relay's own directory.
    pub(crate) state: TempDir,
}

impl Pod {
    pub(crate) fn new() -> Self {
        Self::with_rp_filter(0)
    }

    /// A pod whose `net.ipv4.conf.all.rp_filter`, and that of each interface, is this.
    pub(crate) fn with_rp_filter(value: u32) -> Self {
        let [pod, cluster, internet, core] = [(); 4].map(|()| Node::bare());
        pod.sysctl("net.ipv4.conf.all.rp_filter", value);
        pod.sysctl("net.ipv4.conf.default.rp_filter", value);
        // What the plugin `tuning` of the NetworkAttachmentDefinition does.
        pod.sysctl("net.ipv6.conf.all.forwarding", 1);
        for node in [&pod, &cluster, &internet, &core] {
            // Link-local addresses are there at once.
            node.sysctl("net.ipv6.conf.default.accept_dad", 0);
        }
        for (link, other) in [("eth0", &cluster), ("net1", &internet), ("net2", &core)] {
            pod.ip(&format!("link add {link} type veth peer name far netns {}", other.name));
            pod.ip(&format!("link set {link} up"));
            other.ip("link set far up");
        }
        pod.ip(&format!("address add {POD}/24 dev eth0"));
        pod.ip("address add 2001:db8:244::5/64 dev eth0 nodad");
        pod.ip("address add 198.51.100.1/24 dev net1");
        pod.ip("address add 2001:db8:1::1/64 dev net2 nodad");
        cluster.ip(&format!("address add {NODE}/24 dev far"));
        cluster.ip("address add 2001:db8:244::1/64 dev far nodad");
        for address in [CLUSTER_IP, METADATA] {
            cluster.ip(&format!("address add {address}/32 dev lo"));
        }
        internet.ip("address add 198.51.100.254/24 dev far");
        internet.ip(&format!("address add {HOST}/32 dev lo"));
        core.ip("address add 2001:db8:1::fe/64 dev far nodad");
        core.ip(&format!("address add {CE}/128 dev lo nodad"));
        // A pod's way into its cluster: nothing of the customers' may take it.
        pod.ip(&format!("route add default via {NODE}"));
        pod.ip("-6 route add default via 2001:db8:244::1");
        cluster.ip(&format!("route add default via {POD}"));
        internet.ip("route add default via 198.51.100.1");
        core.ip("-6 route add default via 2001:db8:1::1");
        let [mounted, state] = [(); 2].map(|()| TempDir::new().unwrap());
        Self { pod, cluster, internet, core, mounted, state }
    }

    /// Starts a relay as the operator would.
    pub(crate) fn launch(&self, flags: &[&str]) -> Relay<'_> {
        self.launch_with(flags, &[])
    }

    pub(crate) fn launch_with(&self, flags: &[&str], variables: &[(&str, String)]) -> Relay<'_> {
        let admin = format!("{POD}:9108");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.pod.name, "env", "POD_NAME=default-0", "NODE_NAME=node-a"]);
        command.args(variables.iter().map(|(name, value)| format!("{name}={value}")));
        command.args(["unshare", "--mount", "sh", "-ec", CONTAINER, "sh", env!("CARGO_BIN_EXE_culvert-relay"), "run"]);
        command.args(["--fleet", "isps/default", "--side", "net1=IPv4", "--side", "net2=IPv6", "--admin", &admin]);
        if !flags.contains(&"--peer-state") {
            command.args(["--next-hop", "net1=198.51.100.254", "--next-hop", "net2=2001:db8:1::fe"]);
        }
        command.arg("--revision-dir").arg(self.mounted.path()).arg("--state-dir").arg(self.state.path());
        if !flags.contains(&"--queues") {
            command.args(["--queues", "2"]);
        }
        self.pod.spawn(tap(command, flags), &admin)
    }

    /// Starts a relay with a revision of one domain, and waits until it forwards.
    pub(crate) fn relay(&self, flags: &[&str]) -> Relay<'_> {
        self.mount(&revision(1, &[isp_a()]));
        self.launch(flags).ready()
    }

    /// Puts a revision where it is mounted, swapped in one step as the kubelet does.
    pub(crate) fn mount(&self, revision: &Revision) {
        self.mount_files(&files(revision));
    }

    pub(crate) fn mount_files(&self, files: &Files) {
        let folder = self.mounted.path();
        let previous = fs::read_link(folder.join("..data")).ok();
        let number = 1 + previous.as_ref().map_or(0, |name| name.to_str().unwrap()[2..].parse::<u32>().unwrap());
        let name = format!("..{number}");
        fs::create_dir(folder.join(&name)).unwrap();
        for (file, bytes) in files {
            fs::write(folder.join(&name).join(file), bytes).unwrap();
        }
        std::os::unix::fs::symlink(&name, folder.join("..fresh")).unwrap();
        fs::rename(folder.join("..fresh"), folder.join("..data")).unwrap();
        for file in files.keys().filter(|file| !folder.join(file).exists()) {
            std::os::unix::fs::symlink(format!("..data/{file}"), folder.join(file)).unwrap();
        }
        if let Some(previous) = previous {
            fs::remove_dir_all(folder.join(previous)).unwrap();
        }
    }

    /// The metrics of all routes to the TUN but the self-test's, as the kernel has them; it leaves 0 unsaid.
    pub(crate) fn metrics(&self) -> BTreeSet<String> {
        let routes = ["-4", "-6"].map(|family| self.pod.ip(&format!("{family} route show table 4646"))).concat();
        let is_test = |line: &str| line.starts_with("192.0.0.") || line.starts_with("100::");
        let metric = |line: &str| Some(line.split_once("metric ")?.1.split(' ').next()?.to_owned());
        let to_tun = routes.lines().filter(|line| line.contains("dev culvert0 ") && !is_test(line));
        to_tun.map(|line| metric(line).unwrap_or_default()).collect()
    }

    /// A host in the Internet, at this port.
    pub(crate) fn host(&self, port: u16) -> UdpSocket {
        self.internet.inside(move || {
            let socket = UdpSocket::bind((HOST, port)).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            socket
        })
    }

    /// The CE: takes and gives what is in its tunnel.
    pub(crate) fn ce(&self) -> Ce {
        self.ce_at(CE.parse().unwrap())
    }

    pub(crate) fn ce_at(&self, address: Ipv6Addr) -> Ce {
        self.core.inside(move || {
            let socket =
                socket_with(AddressFamily::INET6, SocketType::RAW, SocketFlags::CLOEXEC, Some(ipproto::IPIP)).unwrap();
            bind(&socket, &SocketAddr::new(address.into(), 0)).unwrap();
            Ce(socket)
        })
    }

    /// Sends UDP from an Internet host to a customer and back, until both have come through: whether they did at once.
    pub(crate) fn crosses(&self) -> bool {
        let (host, ce) = (self.host(0), self.ce());
        host.send_to(b"to CE", (CUSTOMER, PORT)).unwrap();
        let Some(inner) = ce.receive(Duration::from_secs(2)) else { return false };
        assert_eq!(&inner[28..], b"to CE");
        let to = SocketAddr::new(HOST.parse().unwrap(), host.local_addr().unwrap().port());
        ce.send(BR.parse().unwrap(), &udp((CUSTOMER.parse().unwrap(), PORT), to, b"from CE"));
        host.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let mut buffer = [0; 100];
        host.recv(&mut buffer).is_ok_and(|length| &buffer[..length] == b"from CE")
    }
}

fn tap(mut command: Command, flags: &[&str]) -> Command {
    command.args(flags);
    command
}

/// A CE's end of the tunnel.
pub(crate) struct Ce(OwnedFd);

impl From<OwnedFd> for Ce {
    fn from(socket: OwnedFd) -> Self {
        Self(socket)
    }
}

impl Ce {
    /// For its options.
    pub(crate) fn socket(&self) -> &OwnedFd {
        &self.0
    }

    /// Sends an IPv4 packet to this BR address.
    pub(crate) fn send(&self, br: Ipv6Addr, packet: &[u8]) {
        sendto(&self.0, packet, SendFlags::empty(), &SocketAddr::new(br.into(), 0)).unwrap();
    }

    /// The next IPv4 packet, if one comes in time.
    pub(crate) fn receive(&self, patience: Duration) -> Option<Vec<u8>> {
        let mut ready = [PollFd::new(&self.0, PollFlags::IN)];
        let timeout = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: patience.subsec_nanos().into() };
        if poll(&mut ready, Some(&timeout)).unwrap() == 0 {
            return None;
        }
        let mut buffer = vec![0; 2048];
        let (length, _) = recv(&self.0, &mut buffer[..], RecvFlags::empty()).unwrap();
        buffer.truncate(length);
        Some(buffer)
    }
}

/// UDP over IPv4.
pub(crate) fn udp(from: (Ipv4Addr, u16), to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let ports = [from.1.to_be_bytes(), to.port().to_be_bytes()].concat();
    let length = (8 + payload.len() as u16).to_be_bytes();
    ipv4(17, from.0, to.ip(), &[&ports[..], &length, &[0, 0], payload].concat())
}

/// An IPv4 packet of any protocol.
pub(crate) fn ipv4(protocol: u8, from: Ipv4Addr, to: IpAddr, payload: &[u8]) -> Vec<u8> {
    let IpAddr::V4(to) = to else { panic!("{to} is no IPv4 address") };
    let length = (20 + payload.len() as u16).to_be_bytes();
    let mut header =
        [&[0x45, 0][..], &length, &[0, 0, 0, 0, 64, protocol, 0, 0], &from.octets(), &to.octets()].concat();
    let sum = checksum(&header).to_be_bytes();
    header[10..12].copy_from_slice(&sum);
    [header, payload.to_vec()].concat()
}

/// RFC 1071.
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !(sum as u16)
}

/// A revision's files.
pub(crate) fn files(revision: &Revision) -> Files {
    encode(revision).unwrap().into_iter().flat_map(|object| object.files).collect()
}

/// The same, and pods that have to leave.
pub(crate) fn files_with_drain(revision: &Revision, pods: &[&str]) -> Files {
    let pods: BTreeSet<String> = pods.iter().map(|pod| (*pod).to_owned()).collect();
    let mut files = files(revision);
    files.insert(drain::FILE.to_owned(), drain::encode(&pods));
    files
}

/// A revision of fleet `default`.
pub(crate) fn revision(sequence: u64, domains: &[DomainConfig]) -> Revision {
    let domain =
        |config: &DomainConfig| Domain { config: config.clone(), communities: Vec::new(), local_preference: None };
    Revision { fleet: "default".to_owned(), sequence, domains: domains.iter().map(domain).collect(), traceparent: None }
}

/// Metrics, to compare with.
pub(crate) fn set_of(metrics: &[&str]) -> BTreeSet<String> {
    metrics.iter().map(|metric| (*metric).to_owned()).collect()
}

/// A domain with a rule for each (IPv4 prefix, IPv6 prefix).
pub(crate) fn domain(name: &str, br: &str, rules: &[(&str, &str)]) -> DomainConfig {
    let rule = |(number, (ipv4, ipv6)): (usize, &(&str, &str))| RuleConfig {
        name: format!("r{number}"),
        ipv4_prefix: ipv4.parse().unwrap(),
        mape_prefix: ipv6.parse().unwrap(),
        ea_bits_length: 16,
        psid_offset: 4,
        psid_length: Some(8),
        psid: None,
    };
    DomainConfig {
        name: DomainName { namespace: "isps".to_owned(), name: name.to_owned() },
        created: 1_700_000_000,
        softwire_address: br.parse().unwrap(),
        version: Version::Rfc7597,
        rules: rules.iter().enumerate().map(rule).collect(),
        options: Options::default(),
    }
}

/// The rule whose CE has the tests' tunnel.
pub(crate) const RULE: (&str, &str) = ("67.91.205.0/24", "2001:db8:ce::/48");

/// Another rule.
pub(crate) const OTHER: (&str, &str) = ("67.91.206.0/24", "2001:db8:cf::/48");

pub(crate) fn isp_a() -> DomainConfig {
    domain("isp-a", BR, &[RULE])
}

/// The path of a file of the state directory.
pub(crate) fn history(pod: &Pod) -> PathBuf {
    pod.state.path().join("history.jsonl")
}
