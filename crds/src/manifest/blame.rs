//! The fields of one domain that have an error already: a second one about the same would only confuse.

use std::collections::BTreeSet;

use mape::{DomainConfig, Options, RuleConfig};

/// The fields that were reported. Of a rule, one wrong field blames the whole: the others depend on it.
#[derive(Debug, Clone, Default)]
pub(super) struct Blame {
    fields: BTreeSet<String>,
}

impl Blame {
    pub(super) fn is_some(&self) -> bool {
        !self.fields.is_empty()
    }

    pub(super) fn add(&mut self, field: &str) {
        self.fields.insert(root(field).to_owned());
        if field.starts_with("spec.mtu") {
            // How large a segment may be depends on it.
            self.fields.insert("spec.tcpMssClamp".to_owned());
        }
    }

    /// Whether `field` or something around it was reported.
    pub(super) fn covers(&self, field: &str) -> bool {
        let ends = field.match_indices(['.', '[']).map(|(end, _)| end).chain([field.len()]);
        ends.map(|end| &field[..end]).any(|outer| self.fields.contains(outer))
    }

    /// Puts sound stand-ins, made from numbers that nobody else has, in the place of what was reported, so that the
    /// rest can be compared with the rest of the fleet. `None` if too little is left.
    pub(super) fn replace(
        &self,
        mut config: DomainConfig,
        numbers: &mut impl Iterator<Item = u32>,
    ) -> Option<DomainConfig> {
        for field in &self.fields {
            match (field.as_str(), rule_of(field)) {
                ("spec.rules", _) => return None,
                ("spec.softwireAddress", _) => config.softwire_address = stand_in_address(0).into(),
                (_, Some(at)) => *config.rules.get_mut(at)? = stand_in(numbers.next()?),
                _ => config.options = Options::default(),
            }
        }
        Some(config)
    }
}

/// `spec.rules[3]` of `spec.rules[3].psid`; any other field itself.
fn root(field: &str) -> &str {
    let end = field.strip_prefix("spec.rules[").and_then(|_| field.find(']'));
    end.map_or(field, |end| &field[..=end])
}

fn rule_of(root: &str) -> Option<usize> {
    root.strip_prefix("spec.rules[")?.strip_suffix(']')?.parse().ok()
}

/// A sound rule that collides with no other: a /32 and a /128 of its own, at the far ends of unicast space.
fn stand_in(number: u32) -> RuleConfig {
    let ipv4 = 0xdff0_0000 | (number & 0xf_ffff);
    RuleConfig {
        name: format!("stand-in-{number}"),
        ipv4_prefix: mape::Ipv4Net::new_assert(ipv4.into(), 32),
        mape_prefix: mape::Ipv6Net::new_assert(stand_in_address(number).into(), 128),
        ea_bits_length: 0,
        psid_offset: 0,
        psid_length: None,
        psid: None,
    }
}

fn stand_in_address(number: u32) -> u128 {
    0x3fff_ffff_ffff_ffff_0000_0000_0000_0000 | u128::from(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_covered_by_itself_its_rule_and_what_is_around_it() {
        let mut blame = Blame::default();
        ["spec.rules[1].psid", "spec.icmp"].into_iter().for_each(|field| blame.add(field));
        let covered = ["spec.rules[1]", "spec.rules[1].name", "spec.icmp", "spec.icmp.echo"];
        let others = ["spec.rules", "spec.rules[11]", "spec.rules[0].psid", "spec.icmpv6", "spec"];
        assert!(covered.iter().all(|field| blame.covers(field)));
        assert!(!others.iter().any(|field| blame.covers(field)));
    }
}
