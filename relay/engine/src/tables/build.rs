//! From rules to cells.

use std::collections::BTreeMap;

use mape::{Fleet, Rule, options::DscpFromCe};

use super::{Bindings, RuleEntry, Tables, tag};
use crate::wire::is_martian;

/// A distinct IPv4 prefix and the cell that answers for it.
#[derive(Clone, Copy)]
struct Leaf {
    start: u32,
    length: u8,
    cell: u32,
}

pub(super) fn compile(fleet: &Fleet) -> Tables {
    let mut tables = Tables {
        directory: Box::new([0; 1 << 16]),
        cells: Vec::new(),
        rules: Vec::new(),
        groups: Vec::new(),
        bindings: Vec::new(),
    };
    for (block, cell) in (0u32..).zip(tables.directory.iter_mut()) {
        *cell = if is_martian((block >> 8) as u8) { tag::MARTIAN } else { 0 };
    }
    for (at, domain) in (0u32..).zip(fleet.domains()) {
        tables.rules.extend(domain.rules().iter().map(|rule| RuleEntry::new(rule, domain.version(), at)));
    }
    let mut leaves = leaves(fleet, &mut tables);
    leaves.sort_unstable_by_key(|leaf| (leaf.length, leaf.start));
    let split = leaves.partition_point(|leaf| leaf.length <= 16);
    let (short, long) = leaves.split_at(split);
    for leaf in short {
        paint(&mut tables.directory[..], leaf, 0, 16);
    }
    for (block, leaves) in by_block(long, 16) {
        let inherited = tables.directory[block as usize];
        tables.directory[block as usize] = table(&mut tables.cells, &leaves, 16, inherited);
    }
    tables
}

/// Adds a table for the /`depth` block that `leaves`, ascending in length, lie in; returns the cell that leads to it.
fn table(cells: &mut Vec<u32>, leaves: &[Leaf], depth: u8, inherited: u32) -> u32 {
    let longest = leaves.last().map_or(depth, |leaf| leaf.length);
    let flat = 1usize << (longest - depth) <= 256.max(8 * leaves.len());
    let width = if flat { longest - depth } else { 8 };
    let base = cells.len();
    cells.resize(base + (1 << width), inherited);
    let split = leaves.partition_point(|leaf| leaf.length <= depth + width);
    for leaf in &leaves[..split] {
        paint(&mut cells[base..], leaf, depth, width);
    }
    for (block, leaves) in by_block(&leaves[split..], depth + width) {
        let at = base + (block as usize & ((1 << width) - 1));
        let inherited = cells[at];
        cells[at] = table(cells, &leaves, depth + width, inherited);
    }
    let left = if depth == 16 { 16 - width } else { 8 - width };
    tag::TABLE | u32::from(left) << 26 | base as u32
}

/// Writes a leaf's cell over all cells of a table, for bits `depth` to `depth + width`, that it covers.
fn paint(cells: &mut [u32], leaf: &Leaf, depth: u8, width: u8) {
    let bits = u64::from(leaf.start) >> (32 - depth - width);
    let first = (bits & ((1 << width) - 1)) as usize;
    let count = 1usize << (depth + width - leaf.length);
    cells[first..first + count].fill(leaf.cell);
}

/// The leaves by their upper `length` bits.
fn by_block(leaves: &[Leaf], length: u8) -> BTreeMap<u32, Vec<Leaf>> {
    let mut blocks: BTreeMap<u32, Vec<Leaf>> = BTreeMap::new();
    for leaf in leaves {
        blocks.entry(leaf.start >> (32 - length)).or_default().push(*leaf);
    }
    blocks
}

/// One leaf for each distinct prefix; one-CE rules that share a /32 become a group.
fn leaves(fleet: &Fleet, tables: &mut Tables) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    let mut shared: BTreeMap<u32, Vec<(u32, &Rule)>> = BTreeMap::new();
    for (index, (domain, rule)) in (0u32..).zip(fleet.rules()) {
        let start = rule.ipv4_prefix().network().to_bits();
        if rule.fixed_psid().is_some() {
            shared.entry(start).or_default().push((index, rule));
        } else {
            let is_plain = tables.rules[index as usize].is_plain() && domain.options().dscp.from_ce == DscpFromCe::Keep;
            let kind = if is_plain { tag::PLAIN_RULE } else { tag::RULE };
            leaves.push(Leaf { start, length: rule.ipv4_prefix().prefix_len(), cell: kind | index });
        }
    }
    for (start, rules) in shared {
        let cell = tag::GROUP | tables.groups.len() as u32;
        group(tables, &rules);
        leaves.push(Leaf { start, length: 32, cell });
    }
    leaves
}

fn group(tables: &mut Tables, rules: &[(u32, &Rule)]) {
    let length = rules.iter().map(|(_, rule)| rule.layout().length()).max().unwrap_or(0);
    let offset = rules.first().map_or(0, |(_, rule)| rule.layout().offset());
    let range = |rule: &Rule| {
        let spare = length - rule.layout().length();
        let psid = rule.fixed_psid().map_or(0, |psid| u32::from(psid.0));
        (psid << spare, ((psid + 1) << spare) - 1)
    };
    let first = rules.iter().map(|(_, rule)| range(rule).0).min().unwrap_or(0);
    let last = rules.iter().map(|(_, rule)| range(rule).1).max().unwrap_or(0);
    let base = tables.bindings.len();
    tables.bindings.resize(base + (last - first + 1) as usize, 0);
    for (index, rule) in rules {
        let (from, to) = range(rule);
        tables.bindings[base + (from - first) as usize..=base + (to - first) as usize].fill(index + 1);
    }
    tables.groups.push(Bindings {
        base: base as u32,
        first_psid: first as u16,
        last_psid: last as u16,
        reserved_below: if offset > 0 { 1 << (16 - offset) } else { 0 },
        psid_mask: ((1u32 << length) - 1) as u16,
        psid_shift: (16 - offset - length).min(15),
    });
}
