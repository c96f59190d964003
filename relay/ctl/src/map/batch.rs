//! `map --batch`: a query a line on standard input, an answer a line on standard output, in order, without end.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    os::fd::AsFd,
};

use mape::{Domain, Fleet, Psid, Rule};

use super::answer::{Answer, port_ranges, word};
use crate::{failure::Failure, text};

mod query;

use query::Query;

/// A query longer than this is an error, not memory.
const LONGEST_LINE: u64 = 64 * 1024;

pub(super) fn run(fleet: &Fleet, out: &mut dyn Write) -> Result<crate::Answer, Failure> {
    let stdin = io::stdin().as_fd().try_clone_to_owned().map_err(Failure::Stdin)?;
    let mut input = BufReader::with_capacity(1 << 16, File::from(stdin));
    let batch = Batch::new(fleet);
    let mut line = Vec::new();
    while read_line(&mut input, &mut line).map_err(Failure::Stdin)? {
        let answer = batch.answer(&line).unwrap_or_else(|error| Answer::Error { error });
        let written = serde_json::to_writer(&mut *out, &answer).map_err(io::Error::from);
        written.and_then(|()| out.write_all(b"\n")).map_err(Failure::stdout)?;
        // Whoever waits for this answer before the next question must get it now.
        if !input.buffer().contains(&b'\n') {
            out.flush().map_err(Failure::stdout)?;
        }
    }
    Ok(crate::Answer::Yes)
}

/// Reads a line, without its end; of one that is too long only as much as shows that. `false` at the end of the input.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    if input.by_ref().take(LONGEST_LINE + 1).read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() as u64 > LONGEST_LINE {
        input.skip_until(b'\n')?;
    }
    Ok(true)
}

/// A fleet, and its rules by name.
struct Batch<'f> {
    fleet: &'f Fleet,
    rules: HashMap<&'f str, Vec<(&'f Domain, &'f Rule)>>,
}

impl<'f> Batch<'f> {
    fn new(fleet: &'f Fleet) -> Self {
        let mut rules: HashMap<&str, Vec<(&Domain, &Rule)>> = HashMap::new();
        for (domain, rule) in fleet.rules() {
            rules.entry(rule.name()).or_default().push((domain, rule));
        }
        Self { fleet, rules }
    }

    fn answer(&self, line: &[u8]) -> Result<Answer<'f>, String> {
        if line.len() as u64 > LONGEST_LINE {
            return Err(format!("the line is longer than {LONGEST_LINE} bytes"));
        }
        match Query::parse(line)? {
            Query::ToCe { ipv4, port } => Ok(match self.fleet.to_ce(ipv4, port) {
                Ok(target) => Answer::ToCe(target.into()),
                Err(refusal) => Answer::Drop { drop: word(refusal) },
            }),
            Query::Source { ipv6, br, ipv4, port } => Ok(match self.fleet.check_source(ipv6, br, ipv4, port) {
                Ok(target) => Answer::Passes { forward: true, owner: target.into() },
                Err(refusal) => Answer::Drop { drop: word(refusal) },
            }),
            Query::Assigned(prefix) => self
                .fleet
                .assigned(prefix)
                .map(|found| Answer::Assigned(found.into()))
                .map_err(|error| error.to_string()),
            Query::Ports { rule, domain, psid } => {
                let rule = self.rule(&rule, domain.as_deref())?;
                let psid = owned_psid(rule, psid)?;
                Ok(Answer::Ports { ports: port_ranges(rule, psid) })
            }
        }
    }

    fn rule(&self, name: &str, domain: Option<&str>) -> Result<&'f Rule, String> {
        let named = self.rules.get(name).map(Vec::as_slice).unwrap_or_default();
        let is_meant =
            |owner: &Domain| domain.is_none_or(|wanted| wanted == owner.name().name || is_path(owner, wanted));
        let meant: Vec<&(&Domain, &Rule)> = named.iter().filter(|(owner, _)| is_meant(owner)).collect();
        match (meant.as_slice(), domain) {
            ([(_, rule)], _) => Ok(rule),
            ([], Some(domain)) => Err(format!("rule: domain {domain} has no rule `{name}`")),
            ([], None) => Err(format!("rule: there is no rule `{name}`")),
            (several, _) => {
                let domains = several.iter().map(|(owner, _)| owner.name().to_string());
                Err(format!("rule: `{name}` is in domains {}; say which, by \"domain\"", text::list(domains)))
            }
        }
    }
}

/// Whether `wanted` is the domain's `namespace/name`.
fn is_path(domain: &Domain, wanted: &str) -> bool {
    let name = domain.name();
    wanted.split_once('/') == Some((&name.namespace, &name.name))
}

/// The PSID whose ports are asked for; `None` where the rule does not share its addresses.
fn owned_psid(rule: &Rule, psid: Option<u16>) -> Result<Option<Psid>, String> {
    let last = rule.layout().sharing_ratio() - 1;
    match (rule.fixed_psid(), psid) {
        (Some(own), Some(psid)) if own.0 != psid => {
            Err(format!("psid: found {psid}, allowed {}: the rule is for that one CE", own.0))
        }
        (Some(own), _) => Ok(Some(own)),
        (None, None) if last > 0 => Err(format!("psid: missing, allowed 0 to {last}")),
        (None, Some(psid)) if u32::from(psid) > last => Err(format!("psid: found {psid}, allowed {}", allowed(last))),
        (None, psid) => Ok(psid.filter(|_| last > 0).map(Psid)),
    }
}

fn allowed(last: u32) -> String {
    if last == 0 { "null or 0: the rule does not share its addresses".to_string() } else { format!("0 to {last}") }
}

/// The answer to one line, for tests.
#[cfg(test)]
pub(super) fn answer(fleet: &Fleet, line: &str) -> String {
    let answer = Batch::new(fleet).answer(line.as_bytes()).unwrap_or_else(|error| Answer::Error { error });
    serde_json::to_string(&answer).expect("answers are plain data")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{everything, seed};

    /// The capture on Juniper's MAP-E page.
    #[test]
    fn the_seed_comes_out_both_ways() {
        let fleet = seed();
        let owner = r#""domain":"isp-a","rule":"r1","psid":156,"prefix":"2001:db8:ce:29c::/64","ceAddress":"2001:db8:ce:29c:0:435b:cd02:9c""#;
        assert_eq!(answer(&fleet, r#"{"ipv4":"67.91.205.2","port":6600}"#), format!("{{{owner}}}"));
        let source = r#"{"ipv6":"2001:db8:ce:29c:0:435b:cd02:9c","ipv4":"67.91.205.2","port":6600}"#;
        assert_eq!(answer(&fleet, source), format!("{{\"forward\":true,{owner}}}"));
        for prefix in ["2001:db8:ce:29c::/64", "2001:db8:ce:29c::1", "2001:db8:ce:29c:8000::/65"] {
            let answer = answer(&fleet, &format!(r#"{{"prefix":"{prefix}"}}"#));
            let start = r#"{"ipv4":"67.91.205.2","psid":156,"ceAddress":"2001:db8:ce:29c:0:435b:cd02:9c","ports":[[6592,6607],"#;
            assert!(answer.starts_with(start), "{prefix}: {answer}");
            assert!(answer.ends_with("[63936,63951]]}"), "{prefix}: {answer}");
        }
        assert!(answer(&fleet, r#"{"rule":"r1","psid":156}"#).starts_with(r#"{"ports":[[6592,6607],"#));
    }

    #[test]
    fn refusals_have_the_names_of_the_drop_reasons() {
        let fleet = seed();
        let cases = [
            (r#"{"ipv4":"67.91.206.2","port":6600}"#, "NoRule"),
            (r#"{"ipv4":"67.91.205.2"}"#, "NoPort"),
            (r#"{"ipv4":"67.91.205.2","port":4095}"#, "ReservedPort"),
            (r#"{"ipv6":"2001:db8:ce:29d:0:435b:cd02:9c","ipv4":"67.91.205.2","port":6600}"#, "SpoofedSource"),
            (r#"{"ipv6":"2001:db8:ce:29c:0:435b:cd02:9c","ipv4":"67.91.205.3","port":6600}"#, "SpoofedSource"),
            (
                r#"{"ipv6":"2001:db8:ce:29c:0:435b:cd02:9c","ipv4":"67.91.205.2","port":6600,"br":"3001:db8::2"}"#,
                "SpoofedSource",
            ),
        ];
        for (line, word) in cases {
            assert_eq!(answer(&fleet, line), format!(r#"{{"drop":"{word}"}}"#), "{line}");
        }
    }

    #[test]
    fn every_kind_of_rule_answers() {
        let fleet = everything();
        let cases = [
            // A full address: no PSID, all ports.
            (
                r#"{"prefix":"2001:db8:f000:700::/56"}"#,
                r#"{"ipv4":"192.0.2.7","psid":null,"ceAddress":"2001:db8:f000:700:0:c000:207:0","ports":[[0,65535]]}"#,
            ),
            (r#"{"rule":"full","psid":0}"#, r#"{"ports":[[0,65535]]}"#),
            (r#"{"rule":"full"}"#, r#"{"ports":[[0,65535]]}"#),
            (
                r#"{"rule":"full","psid":1}"#,
                r#"{"error":"psid: found 1, allowed null or 0: the rule does not share its addresses"}"#,
            ),
            // A delegated prefix: the identifier carries it, padded with zeros.
            (r#"{"prefix":"2001:db8:e000:5000::/51"}"#, r#"{"error":"#),
            (
                r#"{"prefix":"2001:db8:e000:5000::/52"}"#,
                r#"{"ipv4":"198.51.100.80/28","psid":null,"ceAddress":"2001:db8:e000:5000:0:c633:6450:0","ports":[[0,65535]]}"#,
            ),
            (
                r#"{"ipv4":"198.51.100.93","port":7}"#,
                r#"{"domain":"kinds","rule":"delegated","psid":null,"prefix":"2001:db8:e000:5000::/52","ceAddress":"2001:db8:e000:5000:0:c633:6450:0"}"#,
            ),
            // One-CE rules on one /32.
            (
                r#"{"ipv4":"203.0.113.1","port":20000}"#,
                r#"{"domain":"kinds","rule":"one-b","psid":1,"prefix":"2001:db8:b::/56","ceAddress":"2001:db8:b::cb00:7101:1"}"#,
            ),
            (r#"{"ipv4":"203.0.113.1","port":60000}"#, r#"{"drop":"NoPort"}"#),
            (r#"{"rule":"one-b"}"#, r#"{"ports":[[16384,32767]]}"#),
            (r#"{"rule":"one-b","psid":1}"#, r#"{"ports":[[16384,32767]]}"#),
            (r#"{"rule":"one-b","psid":2}"#, r#"{"error":"psid: found 2, allowed 1: the rule is for that one CE"}"#),
            // A name in two domains.
            (
                r#"{"rule":"r1","psid":0}"#,
                r#"{"error":"rule: `r1` is in domains default/isp-a and other/kinds; say which, by \"domain\""}"#,
            ),
            (r#"{"rule":"r1","psid":0,"domain":"kinds"}"#, r#"{"ports":["#),
            (r#"{"rule":"r1","psid":0,"domain":"default/isp-a"}"#, r#"{"ports":["#),
            (r#"{"rule":"r1","psid":256,"domain":"isp-a"}"#, r#"{"error":"psid: found 256, allowed 0 to 255"}"#),
            (r#"{"rule":"r1","domain":"isp-a"}"#, r#"{"error":"psid: missing, allowed 0 to 255"}"#),
            (r#"{"rule":"r1","psid":0,"domain":"nobody"}"#, r#"{"error":"rule: domain nobody has no rule `r1`"}"#),
            (r#"{"rule":"none","psid":0}"#, r#"{"error":"rule: there is no rule `none`"}"#),
        ];
        for (line, start) in cases {
            let answer = answer(&fleet, line);
            assert!(answer.starts_with(start), "{line}: {answer}");
        }
    }

    #[test]
    fn lines_are_bounded() {
        let long = vec![b' '; 200_000];
        let mut input = BufReader::new(long.as_slice().chain(&b"\nnext\nlast"[..]));
        let mut line = Vec::new();
        let mut lengths = Vec::new();
        while read_line(&mut input, &mut line).unwrap() {
            lengths.push(line.len());
        }
        assert_eq!(lengths, [LONGEST_LINE as usize + 1, 4, 4]);
    }
}
