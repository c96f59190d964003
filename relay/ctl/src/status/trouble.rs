//! Conditions that are not as they should be.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Serialize;

/// What is wrong, in the operator's words.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Trouble {
    /// The condition.
    #[serde(rename = "type")]
    pub(super) about: String,
    pub(super) status: String,
    pub(super) reason: String,
    pub(super) message: String,
}

/// Conditions that have to be true; all others are there only when something is wrong.
const GOOD: [&str; 4] = ["Accepted", "Programmed", "Advertised", "Ready"];

/// Why nothing is announced where nobody wants it: without `spec.bgp`, and with `advertise.autoRoute: Disabled`.
const NOT_WANTED: [&str; 2] = ["NotConfigured", "AutoRouteDisabled"];

/// All that is wrong, the causes first. `generation` is that of the spec: what was said of an older one does not count.
pub(super) fn troubles(conditions: &[Condition], generation: Option<i64>) -> Vec<Trouble> {
    if !conditions.iter().any(|condition| condition.observed_generation >= generation) {
        return vec![unseen()];
    }
    let is_good = |condition: &&Condition| GOOD.contains(&&*condition.type_);
    let bad = conditions.iter().filter(|condition| !is_good(condition) && condition.status == "True");
    let good = GOOD.iter().filter_map(|about| conditions.iter().find(|condition| condition.type_ == *about));
    let is_bad = |condition: &&Condition| condition.status != "True" && !NOT_WANTED.contains(&&*condition.reason);
    bad.chain(good.filter(is_bad)).map(Trouble::from).collect()
}

/// A condition's word for a table: `True`, or why not.
pub(super) fn word(conditions: &[Condition], about: &str) -> String {
    match conditions.iter().find(|condition| condition.type_ == about) {
        Some(condition) if condition.status == "True" => "True".to_owned(),
        Some(condition) => condition.reason.clone(),
        None => "-".to_owned(),
    }
}

/// The operator does not run, or has not come to it yet.
fn unseen() -> Trouble {
    Trouble {
        about: "Accepted".to_owned(),
        status: "Unknown".to_owned(),
        reason: "NotSeen".to_owned(),
        message: "the operator has not looked at this spec yet: does it run?".to_owned(),
    }
}

impl From<&Condition> for Trouble {
    fn from(condition: &Condition) -> Self {
        Self {
            about: condition.type_.clone(),
            status: condition.status.clone(),
            reason: condition.reason.clone(),
            message: condition.message.clone(),
        }
    }
}
