//! A plan's sessions, as BIRD has them: pure.

use std::{collections::BTreeMap, net::IpAddr};

use jiff::Timestamp;

use crate::{
    bird::read::{Bfd, Protocol},
    keeper::Look,
    plan::{Reach, Session, Spoken},
    shared::{Count, SessionState},
};

/// What BIRD would say of a session that it does not have.
const DOWN: &str = "Down";

/// Since when sessions are as they are.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    before: BTreeMap<(String, Option<IpAddr>), SessionState>,
}

impl Sessions {
    /// The sessions of a plan in one look at BIRD; without a look, BIRD does not run.
    pub(crate) fn read(&mut self, plan: &[Session], look: Option<&Look>, now: Timestamp) -> Vec<SessionState> {
        let mut found: Vec<SessionState> =
            plan.iter().flat_map(|session| states(session, look.unwrap_or(&Look::default()), now)).collect();
        for state in &mut found {
            let before = self.before.get(&(state.peer.clone(), state.address));
            let same = |before: &&SessionState| (&before.state, before.up) == (&state.state, state.up);
            if let Some(before) = before.filter(same) {
                state.since = before.since;
            }
        }
        let key = |state: &SessionState| ((state.peer.clone(), state.address), state.clone());
        self.before = found.iter().map(key).collect();
        found
    }
}

/// A peer's: one, or as many as routers on a link without addresses have begun.
fn states(session: &Session, look: &Look, now: Timestamp) -> Vec<SessionState> {
    let own = look.protocols.iter().find(|it| it.spoken() == Some(Spoken::Peer(&session.name)));
    let begun: Vec<&Protocol> = look
        .protocols
        .iter()
        .filter(|it| it.spoken() == Some(Spoken::Begun(&session.name)) && it.state != DOWN)
        .collect();
    match session.reach {
        Reach::Unnumbered { .. } if !begun.is_empty() => {
            begun.into_iter().map(|protocol| state(session, Some(protocol), look, now)).collect()
        }
        _ => vec![state(session, own, look, now)],
    }
}

fn state(session: &Session, protocol: Option<&Protocol>, look: &Look, now: Timestamp) -> SessionState {
    let address = match session.reach {
        Reach::Direct { address, .. } | Reach::Multihop { address, .. } => Some(address),
        Reach::Unnumbered { .. } => protocol.and_then(|protocol| protocol.address),
    };
    let bfd = session.bfd.map(|_| address.and_then(|address| bfd(session, address, look)).unwrap_or(DOWN));
    let established = protocol.is_some_and(Protocol::is_established);
    SessionState {
        peer: session.peer.clone(),
        address,
        port: session.port,
        interface: session.interface.clone(),
        local: session.local,
        asn: session.asn,
        state: protocol.map_or(DOWN, |protocol| &protocol.state).to_owned(),
        since: now,
        bfd: bfd.map(str::to_owned),
        up: established && bfd.is_none_or(|state| state == "Up"),
        last_error: protocol.and_then(|protocol| protocol.last_error.clone()),
        families: session.families.clone(),
        announced: protocol
            .filter(|_| established)
            .map_or_else(Count::default, |protocol| Count::of(|family| protocol.channel(family).exported)),
    }
}

fn bfd<'l>(session: &Session, address: IpAddr, look: &'l Look) -> Option<&'l str> {
    let is_multihop = matches!(session.reach, Reach::Multihop { .. });
    let is_its = |it: &&Bfd| it.address == address && (is_multihop || it.interface == session.interface);
    look.bfd.iter().find(is_its).map(|it| it.state.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Plan, tests as plan};

    fn session(at: usize) -> Session {
        let (fleet, pod) = (plan::fleet(), plan::pod());
        Plan::new(&plan::input(&fleet, &pod)).sessions.remove(at)
    }

    fn protocol(name: &str, state: &str, address: &str) -> Protocol {
        let address = Some(address.parse().unwrap());
        Protocol { name: name.to_owned(), state: state.to_owned(), address, ..Protocol::default() }
    }

    fn bfd(address: &str, interface: &str, state: &str) -> Bfd {
        Bfd { address: address.parse().unwrap(), interface: interface.to_owned(), state: state.to_owned() }
    }

    #[test]
    fn a_session_is_up_with_its_bfd_only() {
        let plan = [session(0)];
        let mut sessions = Sessions::default();
        let mut up = |state: &str, bfd_state: &str| {
            let look = Look {
                protocols: vec![protocol("peer_everywhere", state, "198.51.100.1")],
                bfd: vec![bfd("198.51.100.1", "net2", "Up"), bfd("198.51.100.1", "net1", bfd_state)],
            };
            sessions.read(&plan, Some(&look), Timestamp::UNIX_EPOCH)[0].up
        };
        assert!(up("Established", "Up"));
        assert!(!up("Established", "Down") && !up("Established", "Init") && !up("Active", "Up"));
    }

    #[test]
    fn since_is_when_it_changed() {
        let plan = [session(0)];
        let mut sessions = Sessions::default();
        let mut since = |state: &str, at: i64| {
            let look = Look { protocols: vec![protocol("peer_everywhere", state, "198.51.100.1")], ..Look::default() };
            sessions.read(&plan, Some(&look), Timestamp::new(at, 0).unwrap())[0].since.as_second()
        };
        assert_eq!(
            [since("Active", 1), since("Active", 2), since("Established", 3), since("Established", 4)],
            [1, 1, 3, 3]
        );
        assert_eq!(sessions.read(&plan, None, Timestamp::new(5, 0).unwrap())[0].state, "Down");
    }

    #[test]
    fn a_peer_without_an_address_is_whoever_called() {
        let plan = [session(2)];
        let passive = protocol("peer_calls", "Passive", "fe80::");
        let mut look = Look { protocols: vec![Protocol { address: None, ..passive }], ..Look::default() };
        let read = |look: &Look| Sessions::default().read(&plan, Some(look), Timestamp::UNIX_EPOCH);
        let states = read(&look);
        assert_eq!((states.len(), states[0].state.as_str(), states[0].address), (1, "Passive", None));
        look.protocols.push(protocol("dyn_calls_x1", "Down", "fe80::7"));
        look.protocols.push(protocol("dyn_calls_x2", "Established", "fe80::8"));
        look.bfd.push(bfd("fe80::8", "net1", "Up"));
        let states = read(&look);
        assert_eq!((states.len(), states[0].up, states[0].address), (1, true, Some("fe80::8".parse().unwrap())));
    }
}
