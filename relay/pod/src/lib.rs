//! What the containers of a relay's pod have in common, relay and speaker: above all the revision that the pod works by, where
//! it comes from, and which one wins.
//!
//! ```text
//! api        watches the ConfigMaps through the API server --.
//! mounted    the same ConfigMaps as files in the pod ---------+--> choice: the highest number --> relay, speaker
//! (relay)    what was in use before this container -----------'
//! ```
//!
//! And how they say what they say: what they show of themselves ([`Board`]), what one tells the
//! other ([`PeerLine`]), which prefixes stay announced while others take their place ([`Replaced`]), and the words for
//! families ([`Family`]) and for what is missing ([`Obstacle`]).
#![forbid(unsafe_code)]

pub mod api;
mod board;
pub mod choice;
mod family;
mod fleet_name;
pub mod mounted;
mod obstacle;
mod peers;
mod replaced;
mod watch;

use std::collections::BTreeSet;

use crds::revision::{Files, drain};
use tokio::sync::mpsc::{Receiver, Sender, channel};

pub use self::{
    board::{Board, Reports},
    family::Family,
    fleet_name::FleetName,
    obstacle::Obstacle,
    peers::{PeerEntry, PeerLine},
    replaced::Replaced,
    watch::Watch,
};

/// Where a revision comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The API server.
    Api,
    /// The mounted copy.
    Mounted,
    /// What was in use before.
    LastGood,
    /// Manifests: no revision.
    Files,
}

impl Source {
    /// How /state names it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Api => "Api",
            Self::Mounted => "Mounted",
            Self::LastGood => "LastGood",
            Self::Files => "Files",
        }
    }
}

/// Files that may be a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Who has them.
    pub source: Source,
    /// All of them.
    pub files: Files,
}

impl Offer {
    /// The pods that have to leave, if this source says so.
    #[must_use]
    pub fn draining(&self) -> BTreeSet<String> {
        drain::decode(self.files.get(drain::FILE).map(Vec::as_slice))
    }
}

/// Where offers come in.
#[must_use]
pub fn offers() -> (Sender<Offer>, Receiver<Offer>) {
    channel(4)
}
