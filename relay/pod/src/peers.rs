//! What a speaker tells the relay beside it of routers: a line of JSON at once to whoever connects to its socket, at every
//! change, and at least every second.

use serde::{Deserialize, Serialize};

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerLine {
    /// Grows with every change.
    #[serde(default)]
    pub sequence: u64,
    /// The routers that the pod has sessions with.
    pub peers: Vec<PeerEntry>,
}

/// A router in a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerEntry {
    /// What the fleet calls it.
    pub name: String,
    /// The interface that leads to it. A router that has never called may have none.
    #[serde(default)]
    pub interface: Option<String>,
    /// Its address, likewise.
    #[serde(default)]
    pub address: Option<String>,
    /// The TCP port that the router listens on: 179 (RFC 4271 s.8) if it says nothing.
    #[serde(default)]
    pub port: Option<u16>,
    /// The words of the families whose packets may be sent to it ([`Family::word`](crate::Family::word)).
    pub families: Vec<String>,
    /// BIRD's word for the session.
    #[serde(default)]
    pub session: Option<String>,
    /// BIRD's word for BFD, if the session has it.
    #[serde(default)]
    pub bfd: Option<String>,
    /// The session is established, and BFD up if it has that.
    pub up: bool,
    /// Since when it is as it is (RFC 3339).
    #[serde(default)]
    pub since: Option<String>,
}
