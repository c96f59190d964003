//! A Junos configuration's `map-e` softwire concentrators as `MapDomain` manifests. Read it in this order:
//!
//! | module | step |
//! |---|---|
//! | `lex` | words, braces and lines |
//! | `curly`, `set` | either form of a configuration, as one list of `statements` |
//! | `concentrator` | what each concentrator says, and what of it cannot be carried over |
//! | `manifest` | a concentrator as YAML, with Junos's defaults written out |
//! | `check` | the YAML through the reader that relays use; what that refuses, told by Junos's names and lines |
//!
//! `relay/JUNOS.md` is the table of what becomes of every knob.

use std::fmt;

use crds::manifest::Error;

use report::Report;

mod check;
mod concentrator;
mod curly;
mod lex;
mod manifest;
mod report;
mod set;
mod statements;
#[cfg(test)]
mod tests;

/// What came of a configuration.
#[derive(Debug)]
pub struct Imported {
    /// What was left out of the manifests.
    pub warnings: Vec<Warning>,
    /// The manifests, or everything that cannot be carried over.
    pub manifests: Result<String, Vec<Error>>,
}

/// Something that was left out on purpose. Shown as `FILE:LINE: warning: ...`.
#[derive(Debug)]
pub struct Warning {
    /// The configuration's name.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What was left out, and why.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: warning: {}", self.file, self.line, self.message)
    }
}

/// Reads `text`, called `name` in errors, and writes the manifests, in `namespace` if there is one.
#[must_use]
pub fn import(name: &str, text: &str, namespace: Option<&str>) -> Imported {
    let mut report = Report::new(name);
    let manifests = manifests(&without_prompts(text), namespace, &mut report);
    report.finish(manifests)
}

fn manifests(text: &str, namespace: Option<&str>, report: &mut Report) -> String {
    let read = if set::is_set_form(text) { set::read(text, report) } else { curly::read(text) };
    let statements = match read {
        Ok(statements) => statements,
        Err(broken) => {
            report.refuse(broken.line, "", broken.why);
            return String::new();
        }
    };
    let concentrators = concentrator::all(&statements, report);
    let documents = manifest::all(&concentrators, namespace, report);
    check::check(&documents, report);
    documents.iter().map(|document| document.text.as_str()).collect::<Vec<_>>().join(manifest::SEPARATOR)
}

/// What a terminal shows around a configuration is blanked: prompts, `{master}`, `[edit]`. Lines keep their numbers.
fn without_prompts(text: &str) -> String {
    let text = text.trim_start_matches('\u{feff}');
    text.lines().flat_map(|line| [typed(line), "\n"]).collect()
}

fn typed(line: &str) -> &str {
    let trimmed = line.trim();
    let (first, rest) = trimmed.split_once(char::is_whitespace).unwrap_or((trimmed, ""));
    let is_banner = trimmed == "[edit]" || (first.len() > 2 && rest.is_empty() && is_braced(first));
    match first {
        _ if is_banner => "",
        _ if first.contains('@') && first.ends_with('>') => "",
        _ if first.contains('@') && first.ends_with('#') => rest,
        _ => line,
    }
}

/// `{master:0}`: which of two routing engines answers.
fn is_braced(word: &str) -> bool {
    word.starts_with('{') && word.ends_with('}') && !word.contains(';')
}
