//! YAML text as a tree of nodes that know their lines. JSON is YAML too.
//!
//! A tree and not serde: a deserializer stops at the first problem, and we owe people all of them, each with its line.

use std::{borrow::Cow, ops::Deref, rc::Rc};

use super::scalar::is_null;

mod build;
mod entries;

pub(super) use build::documents;

/// One document of a text.
pub(super) struct Document<'t> {
    /// What it says; `None` if it says nothing or is not YAML.
    pub(super) root: Option<Child<'t>>,
    /// What keeps it from being YAML that we read.
    pub(super) faults: Vec<Fault>,
}

/// Something wrong with the text, rather than with what it says.
pub(super) struct Fault {
    pub(super) line: usize,
    pub(super) message: String,
}

/// A value and where it begins.
#[derive(Clone)]
pub(super) struct Node<'t> {
    pub(super) line: usize,
    pub(super) value: Value<'t>,
    /// How many nodes a walk through this one would meet.
    size: usize,
    /// How deep such a walk would go.
    depth: usize,
}

#[derive(Clone)]
pub(super) enum Value<'t> {
    /// Text, in quotes or plain: what a plain one means depends on what is wanted.
    Scalar {
        text: Cow<'t, str>,
        plain: bool,
    },
    List(Vec<Child<'t>>),
    Map(Vec<Entry<'t>>),
}

#[derive(Clone)]
pub(super) struct Entry<'t> {
    pub(super) key: Cow<'t, str>,
    pub(super) line: usize,
    pub(super) value: Child<'t>,
    /// The line of the same key before this one.
    pub(super) duplicate_of: Option<usize>,
}

/// A node in another. Aliases share that of their anchor, so that many aliases of many cost nothing.
#[derive(Clone)]
pub(super) enum Child<'t> {
    Own(Node<'t>),
    Shared(Rc<Node<'t>>),
}

impl<'t> Deref for Child<'t> {
    type Target = Node<'t>;

    fn deref(&self) -> &Node<'t> {
        match self {
            Self::Own(node) => node,
            Self::Shared(node) => node,
        }
    }
}

impl<'t> Node<'t> {
    /// The value of a map's first entry with this key.
    pub(super) fn get(&self, key: &str) -> Option<&Entry<'t>> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The text of a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Whether it says nothing: an empty value, `~` or `null`.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if is_null(text))
    }

    /// The line of `field`, a path such as `spec.rules[1].psid`, or of the nearest thing around it that is there.
    pub(super) fn line_of(&self, field: &str) -> usize {
        let mut line = self.line;
        let mut node = self;
        for step in field.split(['.', '[']).filter(|step| !step.is_empty()) {
            let next = match step.strip_suffix(']') {
                Some(index) => index.parse().ok().and_then(|at: usize| node.item(at)).map(|item| (item.line, item)),
                None => node.get(step).map(|entry| (entry.line, &*entry.value)),
            };
            let Some((next_line, next_node)) = next else { return line };
            (line, node) = (next_line, next_node);
        }
        line
    }

    fn item(&self, at: usize) -> Option<&Self> {
        match &self.value {
            Value::List(items) => items.get(at).map(|item| &**item),
            _ => None,
        }
    }
}
