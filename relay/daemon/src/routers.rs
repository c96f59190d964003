//! Next hops: which there are, and which of them are alive.
//!
//! A next hop that a flag gives is alive while its interface has a carrier and it answers ARP or neighbour discovery.
//! One that is a BGP peer is alive while its interface has a carrier, the speaker says that it is up, and it has not been
//! asked for in vain: the speaker knows by the session that the router wants these packets, and by BFD, many times in a
//! second, that its data plane is there both ways, so that no answer has to be waited for; but a session without BFD stays up
//! for as long as its hold time, and whoever does not answer the kernel gets no packets whatever others say.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use crate::{
    cli::{Family, NextHop, Side},
    host::{Answer, HopView, SideView},
    peers::Peer,
};

/// A router's address, and the index of the interface that leads there.
type Place = (u32, IpAddr);

/// All routers on the sides.
#[derive(Debug, Clone, Default)]
pub(crate) struct Routers {
    sides: Vec<Side>,
    /// By flags.
    given: Vec<NextHop>,
    /// By the speaker: on interfaces without a given one.
    peers: Vec<Peer>,
    /// What the kernel knows of them.
    answers: BTreeMap<Place, Answer>,
    /// Those that were asked for in vain, until they answer.
    mute: BTreeSet<Place>,
}

impl Routers {
    pub(crate) fn new(sides: &[Side], given: &[NextHop]) -> Self {
        Self { sides: sides.to_vec(), given: given.to_vec(), ..Self::default() }
    }

    /// The kernel has been looked at.
    pub(crate) fn saw(&mut self, answers: BTreeMap<Place, Answer>) {
        self.answers = answers;
        self.find_mute();
    }

    /// The speaker has told of its peers.
    pub(crate) fn told(&mut self, mut peers: Vec<Peer>) {
        peers.retain(|peer| self.given.iter().all(|hop| hop.interface != peer.interface));
        self.peers = peers;
        self.find_mute();
    }

    /// Who did not answer is asked again at once, and most of the time is being asked: so it is remembered.
    fn find_mute(&mut self) {
        let Self { peers, answers, mute, .. } = self;
        let is_peer = |(_, address): &Place| peers.iter().any(|peer| peer.address == *address);
        for (place, answer) in answers.iter().filter(|(place, _)| is_peer(place)) {
            match answer {
                Answer::Yes => _ = mute.remove(place),
                Answer::No => _ = mute.insert(*place),
                Answer::Asked => {}
            }
        }
        mute.retain(is_peer);
    }

    /// The next hops on the sides as they are now.
    pub(crate) fn hops(&self, sides: &[SideView]) -> Vec<HopView> {
        let given = self.given.iter().map(|hop| self.given(hop, sides));
        given.chain(self.peers.iter().flat_map(|peer| self.peer(peer, sides))).collect()
    }

    fn given(&self, NextHop { interface, address }: &NextHop, sides: &[SideView]) -> HopView {
        let side = sides.iter().find(|side| side.interface == *interface);
        let link = side.and_then(|side| side.link);
        let answers = |index| self.answers.get(&(index, *address)) == Some(&Answer::Yes);
        let hop = NextHop { interface: interface.clone(), address: *address };
        HopView {
            family: hop.family(&self.sides),
            interface: hop.interface,
            address: hop.address,
            peer: None,
            index: link.map(|link| link.index),
            alive: link.is_some_and(|link| link.up && answers(link.index)),
        }
    }

    fn peer(&self, peer: &Peer, sides: &[SideView]) -> Vec<HopView> {
        let Some(side) = sides.iter().find(|side| side.interface == peer.interface) else { return Vec::new() };
        if !self.is_on_segment(peer.address, side) {
            return Vec::new();
        }
        let mute = |index| self.mute.contains(&(index, peer.address));
        // IPv4 packets may have an IPv6 next hop (RFC 8950), not the other way round.
        let takes = |family: &&Family| **family == Family::Ipv4 || peer.address.is_ipv6();
        let families = peer.families.iter().filter(|family| side.families.contain(**family)).filter(takes);
        let hop = |family: &Family| HopView {
            interface: peer.interface.clone(),
            address: peer.address,
            family: *family,
            peer: Some((peer.name.clone(), peer.state.clone())),
            index: side.link.map(|link| link.index),
            alive: peer.up && side.link.is_some_and(|link| link.up && !mute(link.index)),
        };
        families.map(hop).collect()
    }

    /// Whether a peer is no further than a side's segment: packets can be sent to it then.
    fn is_on_segment(&self, address: IpAddr, side: &SideView) -> bool {
        let is_link_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        let is_neighbour = || side.link.is_some_and(|link| self.answers.contains_key(&(link.index, address)));
        is_link_local || side.addresses.iter().any(|net| net.contains(&address)) || is_neighbour()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Link;

    fn sides() -> Vec<SideView> {
        let side = |interface: &str, families: &str, index, address: &str| {
            let side: Side = format!("{interface}={families}").parse().unwrap();
            SideView {
                interface: side.interface,
                families: side.families,
                link: Some(Link { index, up: true, ipv4_forwarding: true, rp_filter: 0 }),
                addresses: vec![address.parse().unwrap()],
            }
        };
        vec![side("net1", "IPv4", 2, "198.51.100.11/24"), side("net2", "IPv6", 3, "2001:db8:100::11/64")]
    }

    fn routers(given: &[&str]) -> Routers {
        let given: Vec<NextHop> = given.iter().map(|hop| hop.parse().unwrap()).collect();
        Routers::new(&["net1=IPv4", "net2=IPv6"].map(|side| side.parse().unwrap()), &given)
    }

    fn peer(interface: &str, address: &str, families: &[Family]) -> Peer {
        Peer {
            name: "tor1".to_owned(),
            interface: interface.to_owned(),
            address: address.parse().unwrap(),
            port: crate::peers::BGP,
            families: families.to_vec(),
            up: true,
            state: "Established, BFD Up".to_owned(),
        }
    }

    fn alive(routers: &Routers) -> Vec<(Family, bool)> {
        routers.hops(&sides()).iter().map(|hop| (hop.family, hop.alive)).collect()
    }

    fn answer(index: u32, address: &str, answer: Answer) -> BTreeMap<Place, Answer> {
        BTreeMap::from([((index, address.parse().unwrap()), answer)])
    }

    #[test]
    fn a_given_router_has_to_answer() {
        let mut routers = routers(&["net1=198.51.100.1"]);
        assert_eq!(alive(&routers), [(Family::Ipv4, false)]);
        for (said, is_alive) in [(Answer::Asked, false), (Answer::Yes, true), (Answer::No, false)] {
            routers.saw(answer(2, "198.51.100.1", said));
            assert_eq!(alive(&routers), [(Family::Ipv4, is_alive)], "{said:?}");
        }
        // Whoever gives next hops does not want others there.
        routers.told(vec![peer("net1", "198.51.100.2", &[Family::Ipv4])]);
        assert_eq!(alive(&routers).len(), 1);
    }

    #[test]
    fn a_peer_need_not_answer_but_must_not_be_mute() {
        let mut routers = routers(&[]);
        routers.told(vec![peer("net1", "198.51.100.1", &[Family::Ipv4])]);
        for (said, is_alive) in [
            (Answer::Asked, true),
            (Answer::Yes, true),
            (Answer::No, false),
            (Answer::Asked, false),
            (Answer::Yes, true),
        ] {
            routers.saw(answer(2, "198.51.100.1", said));
            assert_eq!(alive(&routers), [(Family::Ipv4, is_alive)], "{said:?}");
        }
        let down = Peer { up: false, ..peer("net1", "198.51.100.1", &[Family::Ipv4]) };
        routers.told(vec![down]);
        assert_eq!(alive(&routers), [(Family::Ipv4, false)]);
    }

    #[test]
    fn a_family_has_the_peers_that_take_its_packets_on_its_side() {
        let mut routers = routers(&[]);
        let hops = |routers: &mut Routers, peer: Peer| {
            routers.told(vec![peer]);
            alive(routers).into_iter().map(|(family, _)| family).collect::<Vec<_>>()
        };
        let both = Family::ALL;
        assert_eq!(hops(&mut routers, peer("net1", "fe80::1", &both)), [Family::Ipv4]);
        assert_eq!(hops(&mut routers, peer("net2", "fe80::1", &both)), [Family::Ipv6]);
        assert_eq!(hops(&mut routers, peer("net2", "198.51.100.1", &both)), []);
        assert_eq!(hops(&mut routers, peer("eth0", "198.51.100.1", &both)), []);
        // Several hops away: packets cannot be sent to it.
        assert_eq!(hops(&mut routers, peer("net1", "203.0.113.1", &both)), []);
        routers.saw(answer(2, "203.0.113.1", Answer::Yes));
        assert_eq!(hops(&mut routers, peer("net1", "203.0.113.1", &both)), [Family::Ipv4]);
    }
}
