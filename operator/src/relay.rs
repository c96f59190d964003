//! What a relay says about itself: the answer to `GET /state`.

use serde::Deserialize;

use crate::answer::{Said, Told};

/// Where a relay answers, for probes and metrics too.
pub const ADMIN_PORT: u16 = 9108;

/// The answer. What it says more is not for the operator; what it does not say is as for a relay that has just started.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct State {
    /// Grows with every change of what is below.
    pub state_sequence: u64,
    /// Whether it would forward a packet now.
    pub ready: bool,
    /// Why it would not, in words.
    pub ready_reasons: Vec<String>,
    /// What it forwards by.
    pub revision: Option<Revision>,
    /// Why it cannot take the newest revision.
    pub revision_error: Option<Said>,
    /// What is missing around it, and what to do about that.
    pub obstacles: Vec<Said>,
    /// Whether it is on its way out.
    pub draining: bool,
    /// How many packets it has dropped in the last minute.
    pub dropped_last_minute: u64,
}

impl Told for State {
    const PORT: u16 = ADMIN_PORT;

    fn sequence(&self) -> u64 {
        self.state_sequence
    }
}

/// What a relay forwards by.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Revision {
    /// Its number.
    pub sequence: u64,
    /// Its hash.
    pub hash: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_whatever_else_it_says() {
        let text = r#"{"version":"0.1.0","stateSequence":7,"pod":"p","node":"n","ready":false,"readyReasons":["NoNextHop"],
            "revision":{"sequence":5,"hash":"ab","formatVersion":1,"domains":1,"rules":2,"since":"x","source":"Api"},
            "revisionError":null,"obstacles":[{"reason":"ForwardingOff","message":"turn it on"}],"draining":true,
            "domains":[{"namespace":"a","name":"b","forwarded":1}],"history":[]}"#;
        let state: State = serde_json::from_str(text).unwrap();
        assert_eq!(state.revision, Some(Revision { sequence: 5, hash: "ab".to_owned() }));
        assert_eq!((state.state_sequence, state.draining, &*state.obstacles[0].reason), (7, true, "ForwardingOff"));
        assert_eq!(serde_json::from_str::<State>("{}").unwrap(), State::default());
    }
}
