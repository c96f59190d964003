//! A map's entries, as gathered: merge keys spread out, keys that stand twice marked.

use std::{collections::BTreeMap, rc::Rc};

use super::{Entry, Node, Value};

/// Marks every key that stands there twice.
pub(super) fn mark_duplicates(entries: &mut [Entry<'_>]) {
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by(|a, b| entries[*a].key.cmp(&entries[*b].key).then(a.cmp(b)));
    for pair in order.windows(2) {
        if entries[pair[0]].key == entries[pair[1]].key {
            entries[pair[1]].duplicate_of = Some(entries[pair[0]].line);
        }
    }
}

/// Replaces `<<: *map` by the entries of that map, except where a key has its own (YAML 1.1, as kubectl reads it).
pub(super) fn merge<'t>(entries: Vec<Entry<'t>>) -> Vec<Entry<'t>> {
    let is_merge = |entry: &Entry<'_>| entry.key == "<<" && !matches!(entry.value.value, Value::Scalar { .. });
    if !entries.iter().any(is_merge) {
        return entries;
    }
    let (merges, mut own): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_merge);
    let mut added = BTreeMap::new();
    for merge in &merges {
        for (key, value) in sources(&merge.value).flat_map(pairs) {
            added.entry(key.to_owned()).or_insert((merge.line, Rc::clone(value)));
        }
    }
    added.retain(|key, _| own.iter().all(|entry| entry.key != key.as_str()));
    own.extend(added.into_iter().map(|(key, (line, value))| Entry {
        key: key.into(),
        line,
        value,
        duplicate_of: None,
    }));
    own
}

/// One map or a list of them, the first strongest.
fn sources<'n, 't>(node: &'n Rc<Node<'t>>) -> Box<dyn Iterator<Item = &'n Rc<Node<'t>>> + 'n> {
    match &node.value {
        Value::List(items) => Box::new(items.iter()),
        _ => Box::new(std::iter::once(node)),
    }
}

fn pairs<'n, 't>(node: &'n Rc<Node<'t>>) -> impl Iterator<Item = (&'n str, &'n Rc<Node<'t>>)> {
    let entries = if let Value::Map(entries) = &node.value { entries.as_slice() } else { &[] };
    entries.iter().map(|entry| (&*entry.key, &entry.value))
}
