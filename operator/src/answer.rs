//! How the containers of a relay's pod answer when they are asked how they are.

use serde::{Deserialize, de::DeserializeOwned};

/// What such a container says.
pub trait Told: DeserializeOwned + Clone + PartialEq + Send + Sync + 'static {
    /// The port that it answers on.
    const PORT: u16;

    /// It grows with every change that is worth telling.
    fn sequence(&self) -> u64;
}

/// How it answered last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<S> {
    /// With this.
    State(S),
    /// Not at all, for this reason.
    Silence(String),
}

impl<S> Answer<S> {
    /// What it said, if it did.
    #[must_use]
    pub fn state(&self) -> Option<&S> {
        match self {
            Self::State(state) => Some(state),
            Self::Silence(_) => None,
        }
    }
}

/// A word and a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Said {
    /// The word.
    pub reason: String,
    /// The sentence.
    pub message: String,
}
