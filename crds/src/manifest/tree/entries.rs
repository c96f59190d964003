//! A map's entries, as gathered: merge keys spread out, keys that stand twice marked.

use std::collections::{BTreeMap, BTreeSet};

use super::{Child, Entry, Value};

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
    let known: BTreeSet<&str> = own.iter().map(|entry| &*entry.key).collect();
    let mut added: BTreeMap<&str, Entry<'t>> = BTreeMap::new();
    for merge in &merges {
        for entry in sources(&merge.value).flat_map(entries_of).filter(|entry| !known.contains(&*entry.key)) {
            added.entry(&entry.key).or_insert_with(|| Entry { line: merge.line, duplicate_of: None, ..entry.clone() });
        }
    }
    let added: Vec<Entry<'t>> = added.into_values().collect();
    own.extend(added);
    own
}

/// One map or a list of them, the first strongest.
fn sources<'n, 't>(node: &'n Child<'t>) -> Box<dyn Iterator<Item = &'n Child<'t>> + 'n> {
    match &node.value {
        Value::List(items) => Box::new(items.iter()),
        _ => Box::new(std::iter::once(node)),
    }
}

fn entries_of<'n, 't>(node: &'n Child<'t>) -> &'n [Entry<'t>] {
    if let Value::Map(entries) = &node.value { entries } else { &[] }
}
