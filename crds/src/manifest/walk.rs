//! A tree against the schema: every field that is unknown, missing, there twice or of the wrong type; and what is
//! left, as JSON for serde.

use std::{borrow::Cow, fmt::Display};

use serde_json::Value as Json;

use super::{
    scalar,
    schema::{Field, Kind, Schema},
    suggest::suggest,
    tree::{Entry, Node, Value},
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
pub(super) fn walk(node: &Node<'_>, schema: &Schema) -> (Json, Vec<Finding>) {
    let mut walk = Walk { path: String::new(), findings: Vec::new() };
    let json = walk.value(node, node.line, schema).unwrap_or_default();
    (json, walk.findings)
}

struct Walk {
    path: String,
    findings: Vec<Finding>,
}

impl Walk {
    /// `None` if the value is wrong as a whole. `line` is where its field is named.
    fn value(&mut self, node: &Node<'_>, line: usize, schema: &Schema) -> Option<Json> {
        match (&schema.kind, &node.value) {
            (Kind::Any, _) => Some(Json::Null),
            (Kind::Object(fields), Value::Map(entries)) => Some(self.object(entries, line, fields)),
            (Kind::Map(schema), Value::Map(entries)) => Some(self.map(entries, schema)),
            (Kind::List(schema), Value::List(items)) => {
                Some(items.iter().enumerate().map(|(at, item)| self.item(at, item, schema)).collect())
            }
            (kind, Value::Scalar { text, plain }) => match scalar::read(kind, text, *plain) {
                Ok(json) => Some(json),
                Err(wrong) => self.wrong(line, wrong),
            },
            (kind, _) => self.wrong(line, scalar::wrong_shape(kind, node)),
        }
    }

    fn object(
        &mut self,
        entries: &[Entry<'_>],
        line: usize,
        fields: &std::collections::BTreeMap<String, Field>,
    ) -> Json {
        let mut object = serde_json::Map::new();
        for entry in entries {
            let Some(field) = fields.get(&*entry.key) else {
                let known = fields.keys().map(String::as_str);
                let message = format!("unknown field; {}", suggest(&entry.key, known));
                self.inside(&entry.key, |walk| walk.find(entry.line, message));
                continue;
            };
            let null = entry.value.is_null() && field.schema.may_be_null;
            if self.is_once(entry) && !null {
                let value = self.inside(&entry.key, |walk| walk.value(&entry.value, entry.line, &field.schema));
                object.extend(value.map(|value| (entry.key.to_string(), value)));
            }
        }
        let is_there = |name: &str| entries.iter().any(|entry| entry.key == name);
        for (name, _) in fields.iter().filter(|(name, field)| field.required && !is_there(name)) {
            self.inside(name, |walk| walk.find(line, "missing; it is required and has no default".to_owned()));
        }
        Json::Object(object)
    }

    fn map(&mut self, entries: &[Entry<'_>], schema: &Schema) -> Json {
        let mut map = serde_json::Map::new();
        for entry in entries {
            if self.is_once(entry) {
                let value = self.inside(&entry.key, |walk| walk.value(&entry.value, entry.line, schema));
                map.extend(value.map(|value| (entry.key.to_string(), value)));
            }
        }
        Json::Object(map)
    }

    fn item(&mut self, at: usize, node: &Node<'_>, schema: &Schema) -> Json {
        let before = self.findings.len();
        let length = self.path.len();
        self.path.push_str(&format!("[{at}]"));
        let value = self.value(node, node.line, schema);
        self.path.truncate(length);
        value.filter(|_| self.findings.len() == before).unwrap_or_default()
    }

    fn is_once(&mut self, entry: &Entry<'_>) -> bool {
        let Some(first) = entry.duplicate_of else { return true };
        let message = format!("found twice, first on line {first}: allowed once");
        self.inside(&entry.key, |walk| walk.find(entry.line, message));
        false
    }

    /// Does something with the path one step longer.
    fn inside<T>(&mut self, key: &str, act: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(&printable(key));
        let result = act(self);
        self.path.truncate(length);
        result
    }

    fn wrong(&mut self, line: usize, what: impl Display) -> Option<Json> {
        self.find(line, what.to_string());
        None
    }

    fn find(&mut self, line: usize, message: String) {
        self.findings.push(Finding { line, field: self.path.clone(), message });
    }
}

/// A key as it may stand in an error: on one line, and not longer than that.
fn printable(key: &str) -> Cow<'_, str> {
    if key.len() <= 64 && !key.contains(char::is_control) {
        return Cow::Borrowed(key);
    }
    key.chars().take(64).flat_map(char::escape_default).collect()
}
