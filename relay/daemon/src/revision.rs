//! The revision that the relay forwards by: where it comes from, and which one wins.
//!
//! ```text
//! api        watches the ConfigMaps through the API server --.
//! mounted    the same ConfigMaps as files in the pod ---------+--> choice: the highest number --> relay: activate
//! last_good  what was in use before this container ----------'                  |                    |
//!            ^------------------------------------------------------------------+-- keeps it, and --> history
//! ```

pub(crate) mod api;
pub(crate) mod choice;
pub(crate) mod history;
pub(crate) mod last_good;
pub(crate) mod mounted;

use std::collections::BTreeSet;

use crds::revision::{Files, drain};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Where a revision comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
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
    pub(crate) fn word(self) -> &'static str {
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
pub(crate) struct Offer {
    pub(crate) source: Source,
    pub(crate) files: Files,
}

impl Offer {
    /// The pods that have to leave, if this source says so.
    pub(crate) fn draining(&self) -> BTreeSet<String> {
        drain::decode(self.files.get(drain::FILE).map(Vec::as_slice))
    }
}

/// Where offers come in.
pub(crate) fn offers() -> (Sender<Offer>, Receiver<Offer>) {
    channel(4)
}
