//! Conditions: what is so, in a word, and why, in a sentence.

use std::borrow::Cow;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use mape::Problem;

/// As long as a message may be. Kubernetes takes 32,768 characters; people take fewer.
const MESSAGE_LENGTH: usize = 1500;

/// As many problems as a message lists.
const LISTED: usize = 5;

/// Why something is as it is: one word for machines, a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The word, in CamelCase.
    pub reason: Cow<'static, str>,
    /// The sentence.
    pub message: String,
}

impl Cause {
    /// A cause with a word of ours.
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason: reason.into(), message: message.into() }
    }

    /// A cause with somebody else's word and sentence, which may be anything.
    #[must_use]
    pub fn told(reason: &str, message: &str) -> Self {
        let first = reason.starts_with(|first: char| first.is_ascii_alphabetic());
        let is_word = first && reason.len() <= 64 && reason.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let reason = if is_word { Cow::Owned(reason.to_owned()) } else { Cow::Borrowed("Unknown") };
        Self { reason, message: cut(message) }
    }
}

/// What a condition says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// It is so.
    True,
    /// It is not.
    False,
    /// Nobody can tell.
    Unknown,
}

impl Truth {
    fn word(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// A condition in the making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// `Accepted`, `Programmed`, ...
    pub about: &'static str,
    /// What it says.
    pub truth: Truth,
    /// Why.
    pub cause: Cause,
}

impl Finding {
    /// It is so.
    #[must_use]
    pub fn is(about: &'static str, cause: Cause) -> Self {
        Self { about, truth: Truth::True, cause }
    }

    /// It is not.
    #[must_use]
    pub fn is_not(about: &'static str, cause: Cause) -> Self {
        Self { about, truth: Truth::False, cause }
    }

    /// Nobody can tell.
    #[must_use]
    pub fn is_unknown(about: &'static str, cause: Cause) -> Self {
        Self { about, truth: Truth::Unknown, cause }
    }
}

/// The conditions to write: those that say what they said keep their time.
#[must_use]
pub fn conditions(before: &[Condition], found: Vec<Finding>, generation: i64, now: Timestamp) -> Vec<Condition> {
    let condition = |Finding { about, truth, cause }: Finding| {
        let same = before.iter().find(|old| old.type_ == about && old.status == truth.word());
        Condition {
            type_: about.to_owned(),
            status: truth.word().to_owned(),
            reason: cause.reason.into_owned(),
            message: cut(&cause.message),
            observed_generation: Some(generation),
            last_transition_time: same.map_or(Time(now), |old| old.last_transition_time.clone()),
        }
    };
    found.into_iter().map(condition).collect()
}

/// Whether the condition of that name is true.
#[must_use]
pub fn is_true(conditions: &[Condition], about: &str) -> bool {
    conditions.iter().any(|condition| condition.type_ == about && condition.status == "True")
}

/// Problems in one message, each with its field.
#[must_use]
pub fn listed(problems: &[Problem]) -> String {
    let few: Vec<String> = problems.iter().take(LISTED).map(ToString::to_string).collect();
    let rest = problems.len().saturating_sub(LISTED);
    let more = if rest > 0 { format!("; and {rest} more") } else { String::new() };
    few.join("; ") + &more
}

/// `1 relay`, `2 relays`.
#[must_use]
pub fn many(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn cut(message: &str) -> String {
    let plain = message.trim();
    match plain.char_indices().nth(MESSAGE_LENGTH) {
        Some((end, _)) => format!("{}...", &plain[..end]),
        None => plain.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_condition_keeps_its_time_as_long_as_it_says_the_same() {
        let found = |truth, message: &str| {
            vec![Finding { about: "Ready", truth, cause: Cause::new("Word", message.to_owned()) }]
        };
        let first = conditions(&[], found(Truth::True, "a"), 1, at(1));
        let second = conditions(&first, found(Truth::True, "b"), 2, at(2));
        let third = conditions(&second, found(Truth::False, "b"), 2, at(3));
        assert_eq!((second[0].last_transition_time.0, &*second[0].message), (at(1), "b"));
        assert_eq!((third[0].last_transition_time.0, third[0].observed_generation), (at(3), Some(2)));
    }

    #[test]
    fn what_others_say_is_made_a_word_and_a_sentence_of_bounded_length() {
        let told = Cause::told("not a word", &"ä".repeat(5000));
        assert_eq!(told.reason, "Unknown");
        assert_eq!(told.message.chars().count(), MESSAGE_LENGTH + 3);
        assert_eq!(Cause::told("ForwardingOff", "x").reason, "ForwardingOff");
    }
}
