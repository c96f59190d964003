//! The manifests through the reader that relays use, before anyone sees them.

use crds::manifest::{self, Error};

use super::{
    manifest::{Document, SEPARATOR},
    report::Report,
};

/// Which knob a field comes from.
const FIELDS: [(&str, &str); 10] = [
    ("metadata.name", ""),
    ("spec.softwireAddress", "softwire-address"),
    ("spec.mtu.v6", "mtu-v6"),
    ("spec.rules[0].ipv4Prefix", "ipv4-prefix"),
    ("spec.rules[0].mapePrefix", "mape-prefix"),
    ("spec.rules[0].eaBitsLength", "ea-bits-len"),
    ("spec.rules[0].psidOffset", "psid-offset"),
    ("spec.rules[0].psidLength", "psid-length"),
    // Junos has no knob for it; with EA bits there is no need.
    ("spec.rules[0].psid", "psid-length"),
    ("spec.rules", ""),
];

/// What the manifests are called while nobody has seen them.
const NAME: &str = "<manifests>";

/// Refuses what a relay would refuse: each value, and what lies between concentrators.
pub(super) fn check(documents: &[Document<'_, '_>], report: &mut Report) {
    let texts: Vec<&str> = documents.iter().map(|document| document.text.as_str()).collect();
    // Without any there is an error already, a better one.
    let refused = if texts.is_empty() { None } else { manifest::parse(NAME, &texts.join(SEPARATOR)).err() };
    for error in refused.into_iter().flatten() {
        refuse(&error, documents, report);
    }
}

fn refuse(error: &Error, documents: &[Document<'_, '_>], report: &mut Report) {
    let message = told_by_junos(&error.message, documents, &report.file);
    let Some(document) = error.line.and_then(|line| at(line, documents)) else {
        return report.refuse(None, &error.field, message);
    };
    let concentrator = document.concentrator;
    match FIELDS.iter().find(|(field, _)| *field == error.field) {
        Some((_, knob)) => report.refuse(concentrator.line_of(knob), &concentrator.called(knob), message),
        None => report.refuse(concentrator.line, &concentrator.called(&error.field), message),
    }
}

/// The document that has this line of all the text.
fn at<'d, 'c, 't>(line: usize, documents: &'d [Document<'c, 't>]) -> Option<&'d Document<'c, 't>> {
    let mut last = 0;
    documents.iter().find(|document| {
        last += document.text.lines().count() + SEPARATOR.lines().count();
        line <= last
    })
}

/// The message, with places in the configuration for places in the manifests.
fn told_by_junos(message: &str, documents: &[Document<'_, '_>], file: &str) -> String {
    let Some((before, after)) = message.split_once(&format!("{NAME}:")) else { return message.to_string() };
    let digits = after.len() - after.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    let (line, after) = after.split_at(digits);
    let other = line.parse().ok().and_then(|line| at(line, documents));
    other.map_or_else(|| message.to_string(), |other| format!("{before}{file}:{}{after}", other.concentrator.line))
}
