//! A tree against the schema: every field that is unknown, missing, there twice or of the wrong type; and what is
//! left, as JSON for serde.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::Value as Json;

use super::{
    scalar,
    schema::{Field, Kind, Schema},
    suggest::suggest,
    tree::{Child, Entry, Node, Value},
};

/// One thing wrong with one object.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) line: usize,
    /// Its path in the object.
    pub(super) field: String,
    pub(super) message: String,
}

/// What `node` says, without the fields that are wrong; an item of a list that is wrong anywhere is null, so that
/// those behind it keep their places.
pub(super) fn walk<'n>(node: &'n Node<'_>, schema: &'n Schema) -> (Json, Vec<Finding>) {
    let mut walk = Walk { path: Vec::new(), findings: Vec::new() };
    let json = walk.value(node, node.line, schema).unwrap_or_default();
    (json, walk.findings)
}

struct Walk<'n> {
    path: Vec<Step<'n>>,
    findings: Vec<Finding>,
}

enum Step<'n> {
    Key(&'n str),
    Item(usize),
}

impl<'n> Walk<'n> {
    /// `None` if the value is wrong as a whole. `line` is where its field is named.
    fn value(&mut self, node: &'n Node<'_>, line: usize, schema: &'n Schema) -> Option<Json> {
        let wrong = match (&schema.kind, &node.value) {
            (Kind::Any, _) => return Some(Json::Null),
            (Kind::Object(fields), Value::Map(entries)) => return Some(self.object(entries, line, fields)),
            (Kind::Map(schema), Value::Map(entries)) => return Some(self.map(entries, schema)),
            (Kind::List(schema), Value::List(items)) => return Some(self.list(items, schema)),
            (kind, Value::Scalar { text, plain }) => match scalar::read(kind, text, *plain) {
                Ok(json) => return Some(json),
                Err(wrong) => wrong,
            },
            (kind, _) => scalar::wrong_shape(kind, node),
        };
        self.find(line, wrong);
        None
    }

    fn object(&mut self, entries: &'n [Entry<'_>], line: usize, fields: &'n BTreeMap<String, Field>) -> Json {
        let mut object = serde_json::Map::new();
        for entry in entries {
            let Some(field) = fields.get(&*entry.key) else {
                let message = format!("unknown field; {}", suggest(&entry.key, fields.keys().map(String::as_str)));
                self.find_at(Step::Key(&entry.key), entry.line, message);
                continue;
            };
            if field.required || !entry.value.is_null() {
                self.entry(entry, &field.schema, &mut object);
            }
        }
        let is_there = |name: &str| entries.iter().any(|entry| entry.key == name);
        for (name, _) in fields.iter().filter(|(name, field)| field.required && !is_there(name)) {
            self.find_at(Step::Key(name), line, "missing; it is required and has no default".to_owned());
        }
        Json::Object(object)
    }

    fn map(&mut self, entries: &'n [Entry<'_>], schema: &'n Schema) -> Json {
        let mut map = serde_json::Map::new();
        for entry in entries {
            self.entry(entry, schema, &mut map);
        }
        Json::Object(map)
    }

    fn entry(&mut self, entry: &'n Entry<'_>, schema: &'n Schema, into: &mut serde_json::Map<String, Json>) {
        if let Some(first) = entry.duplicate_of {
            let message = format!("found twice, first on line {first}: allowed once");
            return self.find_at(Step::Key(&entry.key), entry.line, message);
        }
        self.path.push(Step::Key(&entry.key));
        if let Some(value) = self.value(&entry.value, entry.line, schema) {
            into.insert(entry.key.to_string(), value);
        }
        self.path.pop();
    }

    fn list(&mut self, items: &'n [Child<'_>], schema: &'n Schema) -> Json {
        let mut list = Vec::with_capacity(items.len());
        for (at, item) in items.iter().enumerate() {
            let before = self.findings.len();
            self.path.push(Step::Item(at));
            let value = self.value(item, item.line, schema);
            self.path.pop();
            list.push(value.filter(|_| self.findings.len() == before).unwrap_or_default());
        }
        Json::Array(list)
    }

    fn find_at(&mut self, step: Step<'n>, line: usize, message: String) {
        self.path.push(step);
        self.find(line, message);
        self.path.pop();
    }

    fn find(&mut self, line: usize, message: String) {
        let field = self.path.iter().fold(String::new(), |path, step| match step {
            Step::Key(key) if path.is_empty() => printable(key).into_owned(),
            Step::Key(key) => path + "." + &printable(key),
            Step::Item(at) => format!("{path}[{at}]"),
        });
        self.findings.push(Finding { line, field, message });
    }
}

/// A key as it may stand in an error: on one line, and not longer than that.
fn printable(key: &str) -> Cow<'_, str> {
    if key.len() <= 64 && !key.contains(char::is_control) {
        return Cow::Borrowed(key);
    }
    key.chars().take(64).flat_map(char::escape_default).collect()
}
