//! The rules of a relay with sides. For an IPv4 side `net1` with the address 198.51.100.1:
//!
//! ```text
//! 1000:   from all iif culvert0 lookup 4646             what leaves the TUN is routed by the relay's table,
//! 1001:   from all iif culvert0 unreachable             and by nothing else
//! 1002:   from all iif culvert0-t lookup 4646 suppress_ifgroup default    the self-test enters as by a side
//! 1003:   from all iif culvert0-t unreachable
//! 1004:   from all iif net1 lookup 4646 suppress_ifgroup default    what enters by a side goes to the TUN,
//! 1005:   from all to 198.51.100.1 iif net1 ipproto tcp dport 179 lookup local       or to the pod's BGP
//! 1006:   from all to 198.51.100.1 iif net1 ipproto tcp sport 179 dport 32768-60999 lookup local
//!         (and one more for each router that listens elsewhere: from 198.51.100.254 .. sport 1179 ..),
//! 1007:   from all to 198.51.100.1 iif net1 ipproto udp dport 3784-3785 lookup local     and BFD,
//! 1008:   from all to 198.51.100.1 iif net1 ipproto udp dport 4784 lookup local
//! 1009:   from all iif net1 ipproto tcp unreachable     to no other socket of the pod
//! 1010:   from all iif net1 ipproto udp unreachable     (UDP-Lite, SCTP, DCCP likewise),
//! 1014:   from all to 198.51.100.1 iif net1 lookup local    and to the side's own address for ICMP and ARP;
//! 1015:   from all iif net1 unreachable                 nowhere else: to no other address of the pod, nor by `main`
//! 9000:   from all lookup local                         the kernel's own, which was at 0
//! 10016:  from 0.0.0.0 iif lo ipproto icmp lookup 4646  the kernel's errors about customers' packets
//! 10017:  from 0.0.0.0 iif lo ipproto icmp unreachable
//! 10018:  from 198.51.100.1 iif lo lookup 4646          what the pod says as a side
//! 10019:  from all iif lo lookup 4646 suppress_ifgroup default    the way back to customers, for rp_filter
//! ```
//!
//! Customers' packets meet the first five at most. For IPv6 there are two more things: what the box sends to link-local
//! addresses finds its way in `main`, and where MAP-E prefixes lead to the TUN, what leaves is looked up in 4647 instead of
//! 4646, which holds the same next hops and nothing else.
//!
//! ARP asks the routing rules too whether an address is the box's own, as a packet without a protocol: so the sockets are
//! closed one transport at a time, instead of ICMP alone being let in.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::{IpNet, Ipv6Net};
use rtnetlink::IpVersion;

use super::{DEFAULT_GROUP, Rule};
use crate::peers::BGP;

const LOCAL: u32 = 255;
const MAIN: u32 = 254;

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// Every transport that a socket can listen by: TCP, UDP, DCCP, SCTP, UDP-Lite.
const TRANSPORTS: [u8; 5] = [TCP, UDP, 33, 132, 136];

/// BFD: control and echo over one hop (RFC 5881 §4), control over several (RFC 5883 §5).
const BFD: [(u16, u16); 2] = [(3784, 3785), (4784, 4784)];

/// The interfaces where customers' packets come and go, and all addresses that rules depend on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Sides {
    pub(crate) interfaces: Vec<Interface>,
    /// The device by which the relay tests itself.
    pub(crate) test: String,
    /// Addresses of the box that are neither on a side nor the relay's.
    pub(crate) others: Vec<IpAddr>,
    /// From which ports this box connects to others.
    pub(crate) ephemeral: (u16, u16),
}

/// A side, and its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    pub(crate) addresses: Vec<IpAddr>,
    /// Routers that listen elsewhere than at port 179, and where.
    pub(crate) odd_ports: BTreeSet<(IpAddr, u16)>,
}

impl Sides {
    /// All rules but those of the TUN. `table` holds what leads to it, `out` what leads away from the box.
    pub(super) fn rules(&self, family: &IpVersion, table: u32, out: u32) -> Vec<Rule> {
        let test = Rule::first().iif(&self.test);
        let mut rules = vec![test.clone().lookup(table).past(DEFAULT_GROUP), test.unreachable()];
        for interface in &self.interfaces {
            rules.extend(self.entering(interface, family, table));
        }
        rules.extend(self.kernels_errors(family, out));
        let own = self.interfaces.iter().flat_map(|interface| &interface.addresses);
        let from_side = |address: IpNet| Rule::behind_local().sent_here().from(address).lookup(out);
        rules.extend(of(family, own).filter(|address| !is_link_local(address)).map(from_side));
        rules.push(Rule::behind_local().sent_here().lookup(table).past(DEFAULT_GROUP));
        rules
    }

    /// What may enter by a side.
    fn entering(&self, interface: &Interface, family: &IpVersion, table: u32) -> Vec<Rule> {
        let enters = || Rule::first().iif(&interface.name);
        let mut rules = vec![enters().lookup(table).past(DEFAULT_GROUP)];
        for address in of(family, &interface.addresses) {
            let own = |protocol| enters().to(address).protocol(protocol).lookup(LOCAL);
            let (first, last) = self.ephemeral;
            rules.push(own(TCP).destination_ports(BGP, BGP));
            let answers = |rule: Rule, port| rule.source_ports(port, port).destination_ports(first, last);
            rules.push(answers(own(TCP), BGP));
            let odd = interface.odd_ports.iter().filter(|(router, _)| router.is_ipv4() == address.addr().is_ipv4());
            rules.extend(odd.map(|(router, port)| answers(own(TCP).from(IpNet::from(*router)), *port)));
            rules.extend(BFD.map(|(first, last)| own(UDP).destination_ports(first, last)));
        }
        rules.extend(TRANSPORTS.map(|transport| enters().protocol(transport).unreachable()));
        rules.extend(of(family, &interface.addresses).map(|address| enters().to(address).lookup(LOCAL)));
        if *family == IpVersion::V6 {
            // Neighbour discovery, and the queries of switches that snoop on MLD.
            rules.push(enters().to(LINK_LOCAL_MULTICAST).lookup(LOCAL));
        }
        rules.push(enters().unreachable());
        rules
    }

    /// The kernel's own ICMP errors about customers' packets leave by the sides. Their source is not known before their
    /// route is: for IPv4 a rule can tell that; for IPv6, where it cannot, all else that sends ICMP has an address.
    fn kernels_errors(&self, family: &IpVersion, out: u32) -> Vec<Rule> {
        let sent = || Rule::behind_local().sent_here();
        match family {
            IpVersion::V4 => {
                let errors = || sent().from(IpNet::from(IpAddr::V4(Ipv4Addr::UNSPECIFIED))).protocol(ICMP);
                vec![errors().lookup(out), errors().unreachable()]
            }
            IpVersion::V6 => {
                let others = of(family, &self.others).map(|address| sent().from(address).lookup(MAIN));
                // The next hops lead past neighbours, which answer on their own segment only.
                let neighbours = sent().to(LINK_LOCAL).lookup(MAIN);
                [neighbours].into_iter().chain(others).chain([sent().protocol(ICMPV6).lookup(out)]).collect()
            }
        }
    }
}

/// fe80::/10
const LINK_LOCAL: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10);

/// ff02::/16
const LINK_LOCAL_MULTICAST: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0), 16);

/// Those of a family.
fn of<'a>(family: &IpVersion, addresses: impl IntoIterator<Item = &'a IpAddr>) -> impl Iterator<Item = IpNet> {
    let v4 = *family == IpVersion::V4;
    addresses.into_iter().filter(move |address| address.is_ipv4() == v4).map(|address| IpNet::from(*address))
}

fn is_link_local(net: &IpNet) -> bool {
    matches!(net, IpNet::V6(net) if net.addr().is_unicast_link_local())
}
