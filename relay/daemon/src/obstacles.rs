//! What a relay with sides is missing, and what to do about it: a word for the operator's conditions, and a sentence.

pub(crate) use pod::Obstacle;

use crate::{
    cli::{Families, Family},
    host::{HopView, SideView, View, accept_ra, forwarding_ipv6, rp_filter_all},
    peers::Speech,
};

/// Settings that only the box's administrator can change, where `/proc/sys` is not writable.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Settings {
    pub(crate) ipv6_forwarding: bool,
    pub(crate) rp_filter_all: i32,
    /// `accept_ra` of each IPv6 side.
    pub(crate) accept_ra: Vec<(String, u32)>,
}

impl Settings {
    /// Reads them.
    pub(crate) fn read(view: &View) -> Self {
        let sides = view.sides.iter().filter(|side| side.families.contain(Family::Ipv6));
        let accept_ra = sides.filter_map(|side| Some((side.interface.clone(), accept_ra(&side.interface)?)));
        Self { ipv6_forwarding: forwarding_ipv6(), rp_filter_all: rp_filter_all(), accept_ra: accept_ra.collect() }
    }
}

/// Everything that is missing.
pub(crate) fn find(view: &View, settings: &Settings, speech: Option<&Speech>) -> Vec<Obstacle> {
    let mut found: Vec<Obstacle> = Family::ALL.into_iter().filter_map(|family| without_side(view, family)).collect();
    for side in &view.sides {
        found.extend(of_side(side, settings));
    }
    found.extend(Family::ALL.into_iter().filter_map(|family| without_next_hop(view, speech, family)));
    found.extend(speech.and_then(|speech| silent(speech.silence.as_deref()?)));
    if !settings.ipv6_forwarding {
        found.push(Obstacle::new(
            "IPv6ForwardingOff",
            "net.ipv6.conf.all.forwarding is 0: add the plugin `{\"type\": \"tuning\", \"sysctl\": \
             {\"net.ipv6.conf.all.forwarding\": \"1\"}}` to the NetworkAttachmentDefinition of the IPv6 side, or the sysctl to \
             spec.podTemplate",
        ));
    }
    found
}

/// The families that have no next hop that answers.
pub(crate) fn families_down(view: &View) -> Vec<Family> {
    Family::ALL.into_iter().filter(|family| view.alive(*family).next().is_none()).collect()
}

fn without_side(view: &View, family: Family) -> Option<Obstacle> {
    let word = family.word();
    let has = view.sides.iter().any(|side| side.families.contain(family));
    (!has).then(|| {
        Obstacle::new("SideMissing", format!("no interface is for {word}: give one `side: {word}` or `side: Both`"))
    })
}

fn of_side(side: &SideView, settings: &Settings) -> Vec<Obstacle> {
    let name = &side.interface;
    let Some(link) = &side.link else {
        let message = format!(
            "there is no interface {name}: its NetworkAttachmentDefinition was not attached; is Multus installed, and is \
             `network` the NAD's namespace and name?"
        );
        return vec![Obstacle::new("InterfaceMissing", message)];
    };
    let mut found = Vec::new();
    if !link.up {
        found.push(Obstacle::new(
            "InterfaceDown",
            format!("{name} is down or has no carrier: look at its cable, VF or bridge"),
        ));
    }
    let both = [Family::Ipv4, Family::Ipv6].into_iter().filter(|family| side.families.contain(*family));
    found.extend(both.filter_map(|family| without_address(side, family, settings)));
    if side.families != Families::One(Family::Ipv6) {
        if !link.ipv4_forwarding {
            let message = format!(
                "net.ipv4.conf.{name}.forwarding is 0 and cannot be set: add the plugin `tuning` with that sysctl to the \
                 NetworkAttachmentDefinition of {name}"
            );
            found.push(Obstacle::new("IPv4ForwardingOff", message));
        }
        if settings.rp_filter_all.max(link.rp_filter) == 1 {
            let message = format!(
                "rp_filter of {name} is strict (1), which drops what comes back another way: set net.ipv4.conf.{name}.rp_filter \
                 to 2 by the plugin `tuning`"
            );
            found.push(Obstacle::new("StrictReversePathFilter", message));
        }
    }
    found
}

fn without_address(side: &SideView, family: Family, settings: &Settings) -> Option<Obstacle> {
    let (name, word) = (&side.interface, family.word());
    if side.addresses.iter().any(|net| Family::of(net.addr()) == family && !is_link_local(net.addr())) {
        return None;
    }
    let ignores = settings.accept_ra.iter().any(|(side, value)| side == name && *value != 2);
    let hint = if family == Family::Ipv6 && ignores {
        format!(", or set net.ipv6.conf.{name}.accept_ra to 2 by the plugin `tuning` if a router announces the prefix")
    } else {
        String::new()
    };
    let message = format!("{name} has no {word} address: let the NetworkAttachmentDefinition's `ipam` give one{hint}");
    Some(Obstacle::new("AddressMissing", message))
}

fn is_link_local(address: std::net::IpAddr) -> bool {
    matches!(address, std::net::IpAddr::V6(v6) if v6.is_unicast_link_local())
}

fn silent(why: &str) -> Option<Obstacle> {
    let message = format!(
        "the speaker is silent ({why}), so nothing is announced; packets leave by the next hops that it named last: look at \
         the container `speaker` and its log"
    );
    Some(Obstacle::new("SpeakerSilent", message))
}

fn without_next_hop(view: &View, speech: Option<&Speech>, family: Family) -> Option<Obstacle> {
    if view.alive(family).next().is_some() {
        return None;
    }
    let hops: Vec<&HopView> = view.hops.iter().filter(|hop| hop.family == family).collect();
    if hops.is_empty() {
        return never_had_one(speech, family);
    }
    let word = family.word();
    let list = hops.iter().map(|hop| describe(hop)).collect::<Vec<_>>().join(", ");
    let message = if hops.iter().any(|hop| hop.peer.is_some()) {
        format!("no {word} next hop is up ({list}): look at these routers, their sessions and the segment to them")
    } else {
        format!("no {word} next hop answers ({list}): are the addresses right, and on the same segment?")
    };
    Some(Obstacle::new("NextHopDown", message))
}

fn never_had_one(speech: Option<&Speech>, family: Family) -> Option<Obstacle> {
    let word = family.word();
    let remedy = match speech {
        None => "list the routers' addresses in spec.dataplane.interfaces[].nextHops, or BGP peers in spec.bgp.peers",
        Some(Speech { silence: None, .. }) => {
            "no BGP peer on its segment takes these packets; add one to spec.bgp.peers (for IPv4 by an IPv6 session: with \
             extendedNextHop), or list the routers' addresses in spec.dataplane.interfaces[].nextHops"
        }
        // That is told already.
        Some(_) => return None,
    };
    Some(Obstacle::new("NextHopMissing", format!("the {word} side has no next hop: {remedy}")))
}

fn describe(HopView { interface, address, peer, .. }: &HopView) -> String {
    match peer {
        Some((name, state)) => format!("{name} {address} on {interface}: {state}"),
        None => format!("{address} on {interface}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Link;

    fn side(interface: &str, family: Family, addresses: &[&str]) -> SideView {
        SideView {
            interface: interface.to_owned(),
            families: Families::One(family),
            link: Some(Link { index: 2, up: true, ipv4_forwarding: true, rp_filter: 0 }),
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        }
    }

    fn hop(address: &str, family: Family) -> HopView {
        let (interface, address) = ("net".to_owned(), address.parse().unwrap());
        HopView { interface, address, family, peer: None, index: Some(2), alive: true }
    }

    fn sound() -> (View, Settings) {
        let sides =
            vec![side("net1", Family::Ipv4, &["198.51.100.1/24"]), side("net2", Family::Ipv6, &["2001:db8::1/64"])];
        let hops = vec![hop("198.51.100.254", Family::Ipv4), hop("fe80::1", Family::Ipv6)];
        let settings = Settings { ipv6_forwarding: true, rp_filter_all: 2, accept_ra: vec![("net2".to_owned(), 0)] };
        (View { sides, hops, ..View::default() }, settings)
    }

    fn reasons(view: &View, settings: &Settings) -> Vec<&'static str> {
        find(view, settings, None).iter().map(|obstacle| obstacle.reason).collect()
    }

    #[test]
    fn a_sound_pod_has_none() {
        let (view, settings) = sound();
        assert_eq!(find(&view, &settings, None), []);
        assert_eq!(families_down(&view), []);
    }

    #[test]
    fn each_thing_that_is_missing_is_named() {
        type Break = fn(&mut View, &mut Settings);
        let cases: [(&str, Break); 9] = [
            ("IPv6ForwardingOff", |_, settings| settings.ipv6_forwarding = false),
            ("StrictReversePathFilter", |_, settings| settings.rp_filter_all = 1),
            ("InterfaceMissing", |view, _| view.sides[1].link = None),
            ("InterfaceDown", |view, _| view.sides[0].link.as_mut().unwrap().up = false),
            ("IPv4ForwardingOff", |view, _| view.sides[0].link.as_mut().unwrap().ipv4_forwarding = false),
            ("AddressMissing", |view, _| view.sides[1].addresses = vec!["fe80::7/64".parse().unwrap()]),
            ("NextHopDown", |view, _| view.hops[0].alive = false),
            ("NextHopMissing", |view, _| _ = view.hops.pop()),
            ("SideMissing", |view, _| _ = view.sides.remove(0)),
        ];
        for (reason, change) in cases {
            let (mut view, mut settings) = sound();
            change(&mut view, &mut settings);
            assert_eq!(reasons(&view, &settings), [reason]);
        }
    }

    #[test]
    fn a_side_without_an_address_says_what_accept_ra_has_to_do_with_it() {
        let (mut view, settings) = sound();
        view.sides[1].addresses.clear();
        assert!(find(&view, &settings, None)[0].message.contains("net.ipv6.conf.net2.accept_ra to 2"));
    }

    #[test]
    fn what_the_speaker_says_is_told() {
        let (mut view, settings) = sound();
        let told = |view: &View, silence: Option<&str>| {
            let speech = Speech { peers: Vec::new(), silence: silence.map(str::to_owned) };
            let found = find(view, &settings, Some(&speech));
            found.into_iter().map(|obstacle| (obstacle.reason, obstacle.message)).collect::<Vec<_>>()
        };
        assert_eq!(told(&view, None), []);
        view.hops[0].peer = Some(("tor1".to_owned(), "Connect, BFD Down".to_owned()));
        view.hops[0].alive = false;
        let [(reason, message)] = &told(&view, None)[..] else { panic!("not one") };
        assert_eq!(*reason, "NextHopDown");
        assert!(message.contains("tor1 198.51.100.254 on net: Connect, BFD Down"), "{message}");
        view.hops.remove(0);
        assert_eq!(told(&view, None)[0].0, "NextHopMissing");
        assert!(told(&view, None)[0].1.contains("extendedNextHop"));
        let silent = told(&view, Some("the connection has ended"));
        assert!(silent.len() == 1 && silent[0].0 == "SpeakerSilent" && silent[0].1.contains("has ended"), "{silent:?}");
    }
}
