//! One rule's bits: do they fit together (RFC 7597 §5)?

use super::{
    Fields,
    options::{is_martian, is_routable},
};
use crate::{PortLayout, Psid, Rule, RuleConfig, domain::MAX_RULES_PER_DOMAIN};
use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};
use ipnet::Ipv4Net;

/// The domain's rules, without those that are unsound and reported.
pub(super) fn all(fields: &mut Fields<'_>) -> Vec<Rule> {
    let rules = &fields.config.rules;
    let why = "a domain is its rules (RFC 7597 s.3), and one object holds no more";
    fields.within("spec.rules", rules.len() as u32, 1..=MAX_RULES_PER_DOMAIN as u32, why);
    names(fields);
    rules.iter().enumerate().filter_map(|(at, rule)| one(fields, at, rule)).collect()
}

fn names(fields: &mut Fields<'_>) {
    let mut seen = BTreeMap::new();
    for (at, rule) in fields.config.rules.iter().enumerate() {
        let field = format!("spec.rules[{at}].name");
        if !is_label(&rule.name) {
            let allowed = "1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit";
            fields.refuse(&field, quoted(&rule.name), allowed, "it is used as a label (RFC 1123)");
        } else if let Some(first) = seen.insert(rule.name.as_str(), at) {
            let why = format!("spec.rules[{first}] has that name already");
            fields.refuse(&field, quoted(&rule.name), "a name of its own", why);
        }
    }
}

/// Checks one rule. Every check that its fields allow is made, so that all problems show at once.
fn one(fields: &mut Fields<'_>, at: usize, rule: &RuleConfig) -> Option<Rule> {
    let mut rule_fields = RuleFields { path: format!("spec.rules[{at}]"), rule, fields };
    let prefixes = [rule_fields.ipv4_prefix(), rule_fields.mape_prefix()];
    let length = rule_fields.psid_length()?;
    let layout = rule_fields.layout(length);
    let psid = rule_fields.psid(length)?;
    let layout = layout?;
    prefixes.iter().all(|sound| *sound).then(|| Rule {
        name: rule.name.clone(),
        ipv4_prefix: rule.ipv4_prefix,
        mape_prefix: rule.mape_prefix,
        ea_bits_length: rule.ea_bits_length,
        layout,
        psid,
    })
}

struct RuleFields<'a, 'b> {
    path: String,
    rule: &'a RuleConfig,
    fields: &'a mut Fields<'b>,
}

impl RuleFields<'_, '_> {
    fn ipv4_prefix(&mut self) -> bool {
        let prefix = self.rule.ipv4_prefix;
        match ipv4_complaint(prefix) {
            Some((allowed, why)) => self.refuse("ipv4Prefix", prefix, allowed, why),
            None => true,
        }
    }

    fn mape_prefix(&mut self) -> bool {
        let prefix = self.rule.mape_prefix;
        if prefix != prefix.trunc() {
            return self.refuse("mapePrefix", prefix, prefix.trunc(), "a prefix has no host bits");
        }
        if prefix.prefix_len() == 0 || !is_routable(prefix.network()) {
            let why = "CEs are reached there across the IPv6 network (RFC 7597 s.5.2)";
            return self.refuse("mapePrefix", prefix, "routable unicast space", why);
        }
        true
    }

    /// The PSID length that the EA bits say, or the one given where there are none.
    fn psid_length(&mut self) -> Option<u8> {
        let RuleConfig { ea_bits_length: ea, psid_length: given, .. } = *self.rule;
        let host_bits = 32 - self.rule.ipv4_prefix.prefix_len();
        let mut sound = true;
        if ea > 48 {
            let why = "32 bits of an IPv4 address and 16 of a port are all there is (RFC 7597 s.5.2)";
            sound = self.refuse("eaBitsLength", ea, "0 to 48", why);
        }
        let end_user = u16::from(self.rule.mape_prefix.prefix_len()) + u16::from(ea);
        if end_user > 128 {
            let why = format!(
                "with mapePrefix's /{} it makes an End-user prefix of {end_user} bits, and an IPv6 \
                address has 128",
                self.rule.mape_prefix.prefix_len()
            );
            sound = self.refuse("eaBitsLength", ea, format!("0 to {}", 128 - self.rule.mape_prefix.prefix_len()), why);
        }
        if let Some(length) = given.filter(|length| *length > 16) {
            self.refuse("psidLength", length, "0 to 16", "a port has 16 bits (RFC 7597 s.5.1)");
            return None;
        }
        if ea == 0 {
            return sound.then_some(given.unwrap_or(0));
        }
        let derived = ea.saturating_sub(host_bits);
        if let Some(length) = given.filter(|length| *length != derived) {
            let why = format!(
                "eaBitsLength ({ea}) less the {host_bits} host bits of {} is the PSID (RFC 7597 s.5.2); \
                leave it out to have it derived",
                self.rule.ipv4_prefix
            );
            sound = self.refuse("psidLength", length, derived, why);
        }
        sound.then_some(derived)
    }

    fn layout(&mut self, length: u8) -> Option<PortLayout> {
        let offset = self.rule.psid_offset;
        if offset > 16 {
            let why = "a port has 16 bits (RFC 7597 s.5.1)";
            self.refuse("psidOffset", offset, "0 to 16", why);
            return None;
        }
        let layout = PortLayout::new(offset, length);
        if layout.is_none() && length <= 16 {
            let why = format!("offset and PSID (psidLength {length}) share the 16 bits of a port (RFC 7597 s.5.1)");
            self.refuse("psidOffset", offset, format!("0 to {}", 16 - length), why);
        } else if layout.is_none() {
            let why = format!("it leaves {length} bits for the PSID, and a port has 16 (RFC 7597 s.5.1)");
            let most = 48 - self.rule.ipv4_prefix.prefix_len();
            self.refuse("eaBitsLength", self.rule.ea_bits_length, format!("0 to {most}"), why);
        }
        layout
    }

    /// The PSID that the rule itself must state, or must not. `None` if that is wrong.
    fn psid(&mut self, length: u8) -> Option<Option<Psid>> {
        let RuleConfig { ea_bits_length: ea, psid, ipv4_prefix, .. } = *self.rule;
        let one_ce = ea == 0 && length > 0;
        let sound = match psid {
            None if one_ce => {
                let why = "without EA bits nothing else says which share of the ports the CE owns (RFC 7597, A.5)";
                self.refuse("psid", "none", format!("0 to {}", (1u32 << length) - 1), why)
            }
            Some(psid) if ea > 0 => {
                self.refuse("psid", psid, "none", "the EA bits carry the PSID; it is for rules with eaBitsLength 0")
            }
            Some(psid) if length == 0 => self.refuse("psid", psid, "none", "with psidLength 0 the CE owns every port"),
            Some(psid) if u32::from(psid) >= 1 << length => {
                let why = format!("it has psidLength ({length}) bits");
                self.refuse("psid", psid, format!("0 to {}", (1u32 << length) - 1), why)
            }
            _ => true,
        };
        if one_ce && ipv4_prefix.prefix_len() != 32 {
            let why = "a CE with a share of the ports has one address (RFC 7597 s.5.2)";
            self.refuse("ipv4Prefix", ipv4_prefix, "a /32", why);
            return None;
        }
        sound.then(|| psid.map(Psid))
    }

    /// Reports a problem; returns `false`, what a failed check says.
    fn refuse(
        &mut self,
        field: &str,
        found: impl core::fmt::Display,
        allowed: impl core::fmt::Display,
        why: impl Into<alloc::borrow::Cow<'static, str>>,
    ) -> bool {
        self.fields.refuse(&format!("{}.{field}", self.path), found, allowed, why);
        false
    }
}

/// What may stand in place of an IPv4 prefix that can be nobody's, and why.
pub(super) fn ipv4_complaint(prefix: Ipv4Net) -> Option<(String, &'static str)> {
    if prefix != prefix.trunc() {
        return Some((prefix.trunc().to_string(), "a prefix has no host bits"));
    }
    if is_martian(prefix.network()) || is_martian(prefix.broadcast()) {
        let why = "0/8, 127/8, 224/4 and 240/4 are nobody's to give away (RFC 6890, RFC 1812 s.5.3.7)";
        return Some(("unicast space".to_string(), why));
    }
    let why = "no registry ever allocated more, and it would swallow the Internet";
    (prefix.prefix_len() < 8).then(|| ("/8 to /32".to_string(), why))
}

/// An RFC 1123 label, as Kubernetes wants names to be.
fn is_label(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

fn quoted(name: &str) -> String {
    format!("`{name}`")
}
