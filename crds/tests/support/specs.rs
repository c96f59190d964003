//! The cases of `tests/specs.yaml`, and what our code says of an object.

use std::collections::BTreeMap;

use crds::{BorderRelay, FleetConfig, MapDomain};
use mape::{DomainConfig, Fleet, Problem};
use serde::Deserialize;
use serde_json::{Value, json};

/// Changes to a spec: JSON pointers and what is put there; null removes.
pub(crate) type Changes = BTreeMap<String, Value>;

/// All of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Specs {
    /// A sound spec of each kind.
    pub(crate) bases: BTreeMap<String, Value>,
    pub(crate) cases: Vec<Case>,
}

/// A change, and what is said of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Case {
    pub(crate) kind: String,
    #[serde(default = "usual_name")]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) set: Changes,
    /// The old object of an update.
    #[serde(default)]
    pub(crate) was: Option<Changes>,
    #[serde(default)]
    pub(crate) refused: Option<By>,
    /// A part of the message.
    #[serde(default)]
    pub(crate) says: String,
    /// Whether it is refused for what it was before: our code sees one object at a time.
    #[serde(default)]
    pub(crate) transition: bool,
    /// Whether only a real API server refuses it.
    #[serde(default)]
    pub(crate) online_only: bool,
}

/// Who refuses.
#[derive(Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    #[serde(rename = "CEL")]
    Cel,
    Schema,
    Rust,
}

fn usual_name() -> String {
    "spec-under-test".to_owned()
}

impl Specs {
    pub(crate) fn read() -> Self {
        serde_saphyr::from_str(include_str!("../specs.yaml")).expect("the cases are well-formed")
    }

    /// An object of `kind` with these changes to the sound spec.
    pub(crate) fn object(&self, kind: &str, name: &str, changes: &Changes) -> Value {
        let mut spec = self.bases[kind].clone();
        changes.iter().for_each(|(pointer, value)| set(&mut spec, pointer, value));
        let metadata = json!({"name": name});
        json!({"apiVersion": "culvert.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
    }
}

/// Puts `value` where `pointer` leads; null removes what is there.
fn set(spec: &mut Value, pointer: &str, value: &Value) {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer begins with /");
    match (spec.pointer_mut(parent), value) {
        (Some(Value::Object(fields)), Value::Null) => _ = fields.remove(name),
        (Some(Value::Object(fields)), value) => _ = fields.insert(name.to_owned(), value.clone()),
        (Some(Value::Array(items)), value) => {
            let at: usize = name.parse().expect("an index");
            items[at] = value.clone();
        }
        _ => panic!("{pointer} leads nowhere"),
    }
}

/// All that our code has against an object.
pub(crate) fn refusals(object: &Value) -> Vec<Problem> {
    let problems = match object["kind"].as_str() {
        Some("MapDomain") => parse::<MapDomain>(object).and_then(|domain| {
            let config = DomainConfig::try_from(&domain)?;
            Fleet::new(vec![config]).map(drop)
        }),
        _ => parse::<BorderRelay>(object).and_then(|relay| FleetConfig::try_from(&relay).map(drop)),
    };
    problems.err().unwrap_or_default()
}

fn parse<K: for<'de> Deserialize<'de>>(object: &Value) -> Result<K, Vec<Problem>> {
    serde_json::from_value(stored(object)).map_err(|error| {
        let domain = mape::DomainName { namespace: "default".to_owned(), name: String::new() };
        let (found, allowed) = (error.to_string(), "another type".to_owned());
        vec![Problem { domain, field: "spec".to_owned(), found, allowed, why: "serde".into(), conflicts_with: None }]
    })
}

/// As the API server stores it: a field that is null is none.
fn stored(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.iter().filter(|(_, it)| !it.is_null()).map(|(name, it)| (name.clone(), stored(it))).collect()
        }
        Value::Array(items) => items.iter().map(stored).collect(),
        other => other.clone(),
    }
}
