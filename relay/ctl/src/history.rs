//! `culvertctl history`: which revision did a relay forward by, and since when?

use std::{
    io::{self, Read, Write},
    path::Path,
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Answer,
    cli::{HistoryArgs, Output},
    cluster::Cluster,
    failure::Failure,
    text,
};

/// As long as a relay may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// As many bytes as an answer may have: a relay of 1,000 domains sends less than one.
const MAX_ANSWER: u64 = 64 << 20;

pub(crate) fn run(args: &HistoryArgs, out: &mut dyn Write) -> Result<Answer, Failure> {
    let mut history = match (&args.file, &args.state, &args.relay) {
        (Some(file), _, _) => read(&file.display().to_string(), &contents(file)?)?,
        (_, Some(url), _) => ask(url)?,
        (_, _, Some(pod)) => Cluster::new(&args.kube).relay(pod)?.history,
        (None, None, None) => return Err(Failure::usage("one of --file, --state and --relay is needed")),
    };
    if let Some(time) = args.at {
        history = in_use(history, time).into_iter().collect();
    }
    let answer = if args.at.is_some() && history.is_empty() { Answer::No } else { Answer::Yes };
    let printed = match args.output {
        Output::Text => print(out, &history),
        Output::Json => text::json(out, &history),
    };
    printed.map(|()| answer).map_err(Failure::stdout)
}

/// A revision went into use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Activation {
    /// Its number; manifests have none.
    sequence: Option<u64>,
    hash: String,
    at: Timestamp,
    domains: u64,
    rules: u64,
}

fn contents(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    if file == Path::new("-") {
        io::stdin().read_to_string(&mut text).map_err(Failure::Stdin)?;
        return Ok(text);
    }
    std::fs::read_to_string(file).map_err(|error| Failure::file(file, error))
}

/// A relay's state, as far as it is about this.
#[derive(Deserialize)]
struct State {
    history: Vec<Activation>,
}

/// Reads a history, or the state that a relay answered. A last line without its end was being written when the relay ended, and never came into use.
fn read(place: &str, text: &str) -> Result<Vec<Activation>, Failure> {
    if let Ok(State { history }) = serde_json::from_str(text) {
        return Ok(history);
    }
    let mut history = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(activation) => history.push(activation),
            Err(error) if error.is_eof() => {}
            Err(error) => {
                return Err(Failure::History { place: place.to_owned(), line: number + 1, why: error.to_string() });
            }
        }
    }
    Ok(history)
}

/// Asks a relay for its state.
fn ask(url: &str) -> Result<Vec<Activation>, Failure> {
    let url = if url.ends_with("/state") { url.to_owned() } else { format!("{}/state", url.trim_end_matches('/')) };
    let failed = |why: String| Failure::Relay { url: url.clone(), why };
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build().into();
    let mut answer = agent.get(&url).call().map_err(|error| failed(error.to_string()))?;
    let text = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_string();
    let text = text.map_err(|error| failed(error.to_string()))?;
    let state: State =
        serde_json::from_str(&text).map_err(|error| failed(format!("this is not a relay's state: {error}")))?;
    Ok(state.history)
}

/// What was in use at a time: the last that went into use until then.
fn in_use(history: Vec<Activation>, time: Timestamp) -> Option<Activation> {
    history.into_iter().filter(|activation| activation.at <= time).max_by_key(|activation| activation.at)
}

fn print(out: &mut dyn Write, history: &[Activation]) -> io::Result<()> {
    let row = |it: &Activation| {
        let revision = it.sequence.map_or_else(|| "-".to_owned(), |sequence| sequence.to_string());
        [revision, format!("{:.0}", it.at), it.domains.to_string(), it.rules.to_string(), it.hash.clone()]
    };
    let rows: Vec<_> = history.iter().map(row).collect();
    text::table(out, ["REVISION", "IN-USE-SINCE", "DOMAINS", "RULES", "HASH"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(sequence: u64, at: &str) -> String {
        format!(r#"{{"sequence":{sequence},"hash":"ab","at":"{at}","domains":1,"rules":2}}"#)
    }

    fn history() -> Vec<Activation> {
        let lines =
            [line(1, "2026-11-24T10:00:00Z"), line(2, "2026-11-24T11:00:00.5Z"), line(3, "2026-11-24T12:00:00Z")];
        read("history.jsonl", &lines.join("\n")).unwrap()
    }

    #[test]
    fn a_time_falls_to_the_last_revision_before_it() {
        let at = |time: &str| in_use(history(), time.parse().unwrap()).and_then(|it| it.sequence);
        assert_eq!(at("2026-11-24T09:59:59Z"), None);
        assert_eq!(at("2026-11-24T10:00:00Z"), Some(1));
        assert_eq!(at("2026-11-24T13:00:00+02:00"), Some(1));
        assert_eq!(at("2026-11-24T11:00:01Z"), Some(2));
        assert_eq!(at("2030-01-01T00:00:00Z"), Some(3));
    }

    #[test]
    fn a_line_that_was_cut_off_is_none_and_a_wrong_one_is_named() {
        let whole = line(1, "2026-11-24T10:00:00Z");
        assert_eq!(read("-", &format!("{whole}\n{}", &whole[..20])).unwrap().len(), 1);
        let error = read("h.jsonl", &format!("{whole}\n{{\"sequence\":\"x\"}}\n")).unwrap_err().to_string();
        assert!(error.starts_with("h.jsonl:2: "), "{error}");
    }

    #[test]
    fn what_a_relay_answered_is_a_history_too() {
        let lines = [line(1, "2026-11-24T10:00:00Z"), line(2, "2026-11-24T11:00:00.5Z")];
        let state = format!(r#"{{"pod":"a","ready":true,"history":[{}]}}"#, lines.join(","));
        assert_eq!(read("-", &state).unwrap(), history()[..2]);
    }

    #[test]
    fn it_prints_a_table() {
        let mut out = Vec::new();
        print(&mut out, &history()[..2]).unwrap();
        let expected = "REVISION  IN-USE-SINCE          DOMAINS  RULES  HASH\n\
                        1         2026-11-24T10:00:00Z  1        2      ab\n\
                        2         2026-11-24T11:00:00Z  1        2      ab\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
