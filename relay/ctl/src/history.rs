//! `culvertctl history`: which revision did relays forward by, and since when?

use std::{
    fs,
    io::{self, Read, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Answer,
    cli::{HistoryArgs, Output},
    failure::Failure,
    text,
};

/// As much of a hash as tells revisions apart on a terminal.
const SHOWN_HASH: usize = 12;

pub(crate) fn run(args: &HistoryArgs, out: &mut dyn Write) -> Result<Answer, Failure> {
    let mut entries = Vec::new();
    for file in &args.files {
        let text = read(file)?;
        entries.extend(parse(&text).map_err(|why| Failure::History(format!("{}: {why}", file.display())))?);
    }
    entries.sort_by(|one, other| one.activation.at.cmp(&other.activation.at));
    let printed = match args.output {
        Output::Text => print(out, &entries),
        Output::Json => text::json(out, &entries),
    };
    printed.map(|()| Answer::Yes).map_err(Failure::stdout)
}

fn read(file: &Path) -> Result<String, Failure> {
    if file == Path::new("-") {
        let mut text = String::new();
        return io::stdin().read_to_string(&mut text).map(|_| text).map_err(Failure::Stdin);
    }
    fs::read_to_string(file).map_err(|error| Failure::file(file, error))
}

/// A relay's `/state`, as far as it is about this.
#[derive(Deserialize)]
struct State {
    pod: Option<String>,
    history: Vec<Activation>,
}

/// A revision, or manifests, went into use: what a relay writes down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Activation {
    /// When (RFC 3339, in UTC: in the order of time as text).
    at: String,
    /// The revision's number; manifests have none.
    sequence: Option<u64>,
    hash: String,
    domains: u64,
    rules: u64,
}

/// An activation, and the relay that it was at if that is known.
#[derive(Debug, Serialize)]
struct Entry {
    relay: Option<String>,
    #[serde(flatten)]
    activation: Activation,
}

/// One `/state` after the other, or the lines of a `history.jsonl`.
fn parse(text: &str) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    let mut documents = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    while let Some(document) = documents.next() {
        let line = text[..documents.byte_offset()].lines().count().max(1);
        let document = document.map_err(|error| format!("no JSON: {error}"))?;
        entries.extend(of_document(document).map_err(|error| {
            format!("line {line}: neither a relay's /state nor a line of its history.jsonl: {error}")
        })?);
    }
    Ok(entries)
}

fn of_document(document: Value) -> Result<Vec<Entry>, serde_json::Error> {
    if document.get("history").is_none() {
        return Ok(vec![Entry { relay: None, activation: serde_json::from_value(document)? }]);
    }
    let State { pod, history } = serde_json::from_value(document)?;
    Ok(history.into_iter().map(|activation| Entry { relay: pod.clone(), activation }).collect())
}

fn print(out: &mut dyn Write, entries: &[Entry]) -> io::Result<()> {
    let rows: Vec<[String; 6]> = entries.iter().map(Entry::row).collect();
    text::table(out, ["SINCE", "RELAY", "REVISION", "DOMAINS", "RULES", "HASH"], &rows)
}

impl Entry {
    fn row(&self) -> [String; 6] {
        let Activation { at, sequence, hash, domains, rules } = &self.activation;
        [
            at.clone(),
            self.relay.clone().unwrap_or_else(|| "-".to_owned()),
            sequence.map_or_else(|| "-".to_owned(), |number| number.to_string()),
            domains.to_string(),
            rules.to_string(),
            hash.chars().take(SHOWN_HASH).collect(),
        ]
    }
}
