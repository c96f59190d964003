//! What is missing around a container.

/// Something that is missing: a word for the operator's conditions, and a sentence that says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// The word, in CamelCase.
    pub reason: &'static str,
    /// The sentence.
    pub message: String,
}

impl Obstacle {
    /// With a word of ours.
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}
