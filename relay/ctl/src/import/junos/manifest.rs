//! A concentrator as a `MapDomain`.
//!
//! What the configuration leaves to Junos's defaults is written out: ours differ. What Junos has no knob for is left
//! to ours.

use std::{collections::HashMap, fmt::Write};

use mape::Ipv4Net;

use super::{
    concentrator::{Concentrator, title},
    report::Report,
};

/// What stands between two manifests.
pub(super) const SEPARATOR: &str = "---\n";

/// Junos's psid-offset where none is written.
const PSID_OFFSET: &str = "4";

/// Junos's mtu-v6 where none is written.
const MTU_V6: &str = "9192";

/// A manifest and where it comes from.
pub(super) struct Document<'c, 't> {
    pub(super) concentrator: &'c Concentrator<'t>,
    pub(super) text: String,
}

/// The manifests of all concentrators whose names can be told apart.
pub(super) fn all<'c, 't>(
    concentrators: &'c [Concentrator<'t>],
    namespace: Option<&str>,
    report: &mut Report,
) -> Vec<Document<'c, 't>> {
    let mut taken: HashMap<String, &Concentrator<'_>> = HashMap::new();
    let mut documents = Vec::new();
    for concentrator in concentrators {
        let name = kubernetes_name(concentrator.name);
        if let Some(other) = taken.get(&name) {
            let why = format!("its name here would be {name}, as that of {}, line {}", title(other.name), other.line);
            report.refuse(concentrator.line, &concentrator.called(""), why);
            continue;
        }
        documents.push(Document { concentrator, text: text(concentrator, &name, namespace) });
        taken.insert(name, concentrator);
    }
    documents
}

/// Lower case, and hyphens for what Kubernetes does not take. What is left of an odd name may still be refused.
fn kubernetes_name(name: &str) -> String {
    let hyphen = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
    name.chars().map(hyphen).collect::<String>().trim_matches('-').to_string()
}

fn text(concentrator: &Concentrator<'_>, name: &str, namespace: Option<&str>) -> String {
    let mut yaml = Yaml { text: format!("# {} of Junos\n", title(concentrator.name)) };
    yaml.line("apiVersion: ", Some(format!("{}/{}", crds::GROUP, crds::VERSION)));
    yaml.line("kind: ", Some("MapDomain".to_string()));
    yaml.line("metadata:", Some(String::new()));
    yaml.line("  name: ", Some(label(name)));
    yaml.line("  namespace: ", namespace.map(label));
    yaml.line("spec:", Some(String::new()));
    yaml.line("  softwireAddress: ", concentrator.value("softwire-address").map(quoted));
    let version = if concentrator.has("version-03") { "Draft03" } else { "RFC7597" };
    yaml.line("  version: ", Some(version.to_string()));
    rule(&mut yaml, concentrator);
    options(&mut yaml, concentrator);
    yaml.text
}

fn rule(yaml: &mut Yaml, concentrator: &Concentrator<'_>) {
    yaml.line("  rules:", Some(String::new()));
    yaml.line("  - name: ", Some("r1".to_string()));
    yaml.line("    ipv4Prefix: ", concentrator.value("ipv4-prefix").map(ipv4_prefix));
    yaml.line("    mapePrefix: ", concentrator.value("mape-prefix").map(quoted));
    yaml.line("    eaBitsLength: ", concentrator.value("ea-bits-len").map(number));
    yaml.line("    psidOffset: ", Some(number_or(concentrator, "psid-offset", PSID_OFFSET)));
    yaml.line("    psidLength: ", concentrator.value("psid-length").map(number));
}

fn options(yaml: &mut Yaml, concentrator: &Concentrator<'_>) {
    let toggle = |enabled| Some(if enabled { "Enabled" } else { "Disabled" }.to_string());
    let v4 = match (concentrator.has("v4-reassembly"), concentrator.has("v4-partial-reassembly")) {
        (true, true) => "Full # v4-partial-reassembly is part of it",
        (true, false) => "Full",
        (false, true) => "Virtual",
        (false, false) => "Disabled",
    };
    yaml.line("  mtu:", Some(String::new()));
    yaml.line("    v6: ", Some(number_or(concentrator, "mtu-v6", MTU_V6)));
    yaml.line("  reassembly:", Some(String::new()));
    yaml.line("    v4: ", Some(v4.to_string()));
    yaml.line("    v6: ", toggle(concentrator.has("v6-reassembly")));
    yaml.line("  advertise:", Some(String::new()));
    yaml.line("    autoRoute: ", toggle(!concentrator.has("disable-auto-route")));
}

struct Yaml {
    text: String,
}

impl Yaml {
    /// A field, if there is anything to say. One that is missing and required is told of by the check.
    fn line(&mut self, key: &str, value: Option<String>) {
        if let Some(value) = value {
            let _ = writeln!(self.text, "{key}{value}");
        }
    }
}

fn number_or(concentrator: &Concentrator<'_>, knob: &str, default: &str) -> String {
    match concentrator.value(knob) {
        Some(value) => number(value),
        None if concentrator.has(knob) => quoted(""),
        None => format!("{default} # not written in Junos: its default"),
    }
}

/// What is no number is left to the check to refuse.
fn number(value: &str) -> String {
    value.parse::<i64>().map_or_else(|_| quoted(value), |number| number.to_string())
}

fn ipv4_prefix(value: &str) -> String {
    if value.parse::<Ipv4Net>().is_ok() { value.to_string() } else { quoted(value) }
}

/// YAML would take some names for numbers or words of its own.
fn label(name: &str) -> String {
    let words = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"];
    let is_plain = name.starts_with(|first: char| first.is_ascii_alphabetic()) && !words.contains(&name);
    if is_plain { name.to_string() } else { quoted(name) }
}

/// A quoted string of YAML, whatever it holds; no value of ours holds more than plain ASCII.
fn quoted(value: &str) -> String {
    let plain = |letter: char| if matches!(letter, ' '..='~') { letter } else { '?' };
    serde_json::Value::String(value.chars().map(plain).collect()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_those_of_kubernetes() {
        let names = ["MAPE-DOMAIN1", "swire01_rd1", "a.b", "_x_", "é", "1"].map(kubernetes_name);
        assert_eq!(names, ["mape-domain1", "swire01-rd1", "a-b", "x", "", "1"]);
        assert_eq!(["isp-a", "1", "no", ""].map(label), ["isp-a", "\"1\"", "\"no\"", "\"\""]);
    }
}
