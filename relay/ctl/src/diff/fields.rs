//! Two specs, field by field.

use std::collections::BTreeSet;

use crds::MapDomainSpec;
use serde::Serialize;
use serde_json::Value;

/// A field that differs; `None` where there is no such field.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Field {
    /// As in `rules[r1].psidOffset`: rules are named, since their order means nothing.
    pub(super) field: String,
    pub(super) from: Option<Value>,
    pub(super) to: Option<Value>,
}

/// All fields that differ.
pub(super) fn compare(from: &MapDomainSpec, to: &MapDomainSpec) -> Vec<Field> {
    let value = |spec: &MapDomainSpec| serde_json::to_value(spec).expect("a spec has a JSON form");
    let mut found = Vec::new();
    walk("", Some(&value(from)), Some(&value(to)), &mut found);
    found
}

/// A value as people write it.
pub(super) fn shown(value: &Option<Value>) -> String {
    match value {
        None => "(none)".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}

fn walk(path: &str, old: Option<&Value>, new: Option<&Value>, found: &mut Vec<Field>) {
    match (old, new) {
        (old, new) if old == new => {}
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for key in keys {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                walk(&path, old.get(key), new.get(key), found);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) if path == "rules" => {
            let names: BTreeSet<&str> = old.iter().chain(new).filter_map(name).collect();
            for wanted in names {
                let of = |rules: &'_ [Value]| rules.iter().position(|rule| name(rule) == Some(wanted));
                let (old, new) = (of(old).map(|at| &old[at]), of(new).map(|at| &new[at]));
                walk(&format!("{path}[{wanted}]"), old, new, found);
            }
        }
        (from, to) => found.push(Field { field: path.to_owned(), from: from.cloned(), to: to.cloned() }),
    }
}

fn name(rule: &Value) -> Option<&str> {
    rule.get("name").and_then(Value::as_str)
}
