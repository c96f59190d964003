//! `/state`: everything there is to know, as JSON, and the lines that a relay reads.

use std::collections::BTreeMap;

use pod::{PeerEntry, PeerLine, api::Away};
use serde::Serialize;

use crate::{
    plan::Family,
    shared::{Announced, Count, Peers, SessionState, Shared, Status},
};

/// As many prefixes as are listed for each family.
const LISTED: usize = 1000;

/// The document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct State {
    version: &'static str,
    /// The number of the last change of anything but counters.
    state_sequence: u64,
    started: String,
    fleet: String,
    pod: String,
    node: String,
    ready: bool,
    /// Why it is not ready, a word each.
    ready_reasons: Vec<&'static str>,
    fleet_generation: Option<i64>,
    revision: Option<RevisionState>,
    /// Since when the API server does not answer, and what is wrong.
    api_away: Option<AwayState>,
    /// What is missing, and what to do about it.
    obstacles: Vec<ReasonState>,
    draining: bool,
    bird: BirdState,
    sessions: Vec<SessionDocument>,
    announced: BTreeMap<&'static str, Vec<String>>,
    wanted: BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
struct RevisionState {
    sequence: u64,
    hash: String,
}

#[derive(Serialize)]
struct ReasonState {
    reason: &'static str,
    message: String,
}

#[derive(Serialize)]
struct AwayState {
    since: String,
    message: String,
}

#[derive(Serialize)]
struct BirdState {
    version: String,
    running: bool,
    since: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionDocument {
    peer: String,
    address: Option<String>,
    interface: String,
    local_address: String,
    asn: u32,
    state: String,
    since: String,
    bfd: Option<String>,
    up: bool,
    last_error: Option<String>,
    families: Vec<&'static str>,
    announced: BTreeMap<&'static str, u64>,
}

impl State {
    /// How things are now.
    pub(crate) fn read(shared: &Shared) -> Self {
        // Before the status: a change in between is told again rather than never.
        let state_sequence = *shared.board.changes().borrow();
        let status = shared.look();
        let ready_reasons = status.reasons();
        let obstacles = status.all_obstacles().into_iter();
        let Status { fleet_generation, revision, draining, bird, sessions, announced, wanted, .. } = status;
        Self {
            version: env!("CARGO_PKG_VERSION"),
            state_sequence,
            started: shared.started.to_string(),
            fleet: shared.fleet.to_string(),
            pod: shared.pod.clone(),
            node: shared.node.clone(),
            ready: ready_reasons.is_empty(),
            ready_reasons,
            fleet_generation,
            revision: revision.map(|it| RevisionState { sequence: it.sequence, hash: it.hash }),
            api_away: shared.contact.away().map(AwayState::from),
            obstacles: obstacles.map(|it| ReasonState { reason: it.reason, message: it.message }).collect(),
            draining,
            bird: BirdState {
                version: bird.version,
                running: bird.running,
                since: bird.since.map(|since| since.to_string()),
            },
            sessions: sessions.into_iter().map(SessionDocument::from).collect(),
            announced: listed(announced),
            wanted: by_family(wanted),
        }
    }
}

impl From<Away> for AwayState {
    fn from(Away { since, why }: Away) -> Self {
        Self { since: since.to_string(), message: why }
    }
}

impl From<SessionState> for SessionDocument {
    fn from(session: SessionState) -> Self {
        Self {
            peer: session.peer,
            address: session.address.map(|address| address.to_string()),
            interface: session.interface,
            local_address: session.local.to_string(),
            asn: session.asn,
            state: session.state,
            since: session.since.to_string(),
            bfd: session.bfd,
            up: session.up,
            last_error: session.last_error,
            families: session.families.into_iter().map(Family::word).collect(),
            announced: by_family(session.announced),
        }
    }
}

/// What a relay is told. Routers that have not called yet have no address, and are no next hops.
pub(crate) fn peer_line(peers: &Peers) -> PeerLine {
    let entry = |session: &SessionState| {
        Some(PeerEntry {
            name: session.peer.clone(),
            interface: Some(session.interface.clone()),
            address: Some(session.address?.to_string()),
            port: Some(session.port),
            families: session.families.iter().map(|family| family.word().to_owned()).collect(),
            session: Some(session.state.clone()),
            bfd: session.bfd.clone(),
            up: session.up,
            since: Some(session.since.to_string()),
        })
    };
    PeerLine { sequence: peers.sequence, peers: peers.sessions.iter().filter_map(entry).collect() }
}

fn listed(announced: Announced) -> BTreeMap<&'static str, Vec<String>> {
    let few = |mut prefixes: Vec<String>| {
        prefixes.truncate(LISTED);
        prefixes
    };
    [(Family::Ipv4.word(), few(announced.ipv4)), (Family::Ipv6.word(), few(announced.ipv6))].into()
}

fn by_family(count: Count) -> BTreeMap<&'static str, u64> {
    Family::ALL.map(|family| (family.word(), count.get(family))).into()
}
