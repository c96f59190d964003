//! What a speaker says about itself: the answer to `GET /state`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    answer::{Said, Told},
    relay::Revision,
};

/// Where a speaker answers, for probes and metrics too.
pub const ADMIN_PORT: u16 = 9109;

/// The answer. What it says more is not for the operator; what it does not say is as for a speaker that has just started.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct State {
    /// Grows with every change of what is below.
    pub state_sequence: u64,
    /// Whether BIRD runs by the newest configuration, and has the sessions that it needs.
    pub ready: bool,
    /// Why it is not, in words.
    pub ready_reasons: Vec<String>,
    /// The generation of the `BorderRelay` that its configuration is from.
    pub fleet_generation: i64,
    /// The revision that its configuration is from.
    pub revision: Option<Revision>,
    /// What is missing around it, and what to do about that.
    pub obstacles: Vec<Said>,
    /// Whether it is on its way out.
    pub draining: bool,
    /// Its sessions, one with each router.
    pub sessions: Vec<Session>,
    /// How many prefixes of each family it announces if its relay lets it: `IPv4`, `IPv6`.
    pub wanted: BTreeMap<String, u64>,
}

/// A session with a router.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Session {
    /// What the fleet calls the router.
    pub peer: String,
    /// The router's address.
    pub address: String,
    /// Whether the session is established, and BFD up if it has that.
    pub up: bool,
    /// What BIRD calls its state.
    pub state: String,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// The families that it carries.
    pub families: Vec<String>,
    /// How many prefixes of each family the router was told.
    pub announced: BTreeMap<String, u64>,
}

impl Told for State {
    const PORT: u16 = ADMIN_PORT;

    fn sequence(&self) -> u64 {
        self.state_sequence
    }
}

impl State {
    /// Whether some router that is up has all prefixes of every family that there are any of.
    #[must_use]
    pub fn announces(&self) -> bool {
        self.wanted.iter().all(|(family, wanted)| {
            let told = |session: &&Session| {
                session.up && session.announced.get(family).copied().unwrap_or_default() >= *wanted
            };
            *wanted == 0 || self.sessions.iter().any(|session| told(&session))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(sessions: &str) -> State {
        serde_json::from_str(&format!(r#"{{"wanted": {{"IPv4": 2, "IPv6": 1}}, "sessions": [{sessions}]}}"#)).unwrap()
    }

    #[test]
    fn each_family_has_to_be_announced_whole_to_a_router_that_is_up() {
        let v4 = r#"{"peer": "a", "up": true, "families": ["IPv4"], "announced": {"IPv4": 2}}"#;
        let v6 = r#"{"peer": "b", "up": true, "families": ["IPv6"], "announced": {"IPv6": 1}}"#;
        assert!(state(&format!("{v4}, {v6}")).announces());
        assert!(!state(v4).announces() && !state(v6).announces());
        assert!(!state(&format!("{}, {v6}", v4.replace("true", "false"))).announces());
        assert!(!state(&format!("{}, {v6}", v4.replace('2', "1"))).announces());
        assert!(State::default().announces(), "nothing is asked for");
    }
}
