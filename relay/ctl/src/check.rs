//! `culvertctl check`: are the manifests valid, and what follows from them?

use std::io::{self, Write};

use crds::{
    Revision,
    manifest::{self, Error, Loaded, Skipped, Source},
};
use mape::{DomainConfig, Rule};
use serde::Serialize;

use crate::{
    Answer,
    cli::{CheckArgs, Output},
    failure::Failure,
    manifests, text,
};

pub(crate) fn run(args: &CheckArgs, out: &mut dyn Write) -> Result<Answer, Failure> {
    if let Some(revision) = manifests::live(&args.live)? {
        return live(&revision, args.output, out);
    }
    let loaded = match manifest::load(&args.files) {
        Ok(loaded) => loaded,
        Err(errors) => return refuse(&errors, args.output, out),
    };
    let Loaded { domains, fleet, fleets, hash, skipped } = &loaded;
    let domains = domains.iter().map(|manifest| Domain::new(&manifest.config, Some(&manifest.source), fleet)).collect();
    let checked = Checked { revision: None, domains, fleets: fleets.iter().map(Fleet::new).collect(), hash };
    answer(&checked, skipped, args.output, out)
}

/// The same of what a fleet in a cluster forwards by.
fn live(revision: &Revision, output: Output, out: &mut dyn Write) -> Result<Answer, Failure> {
    let fleet = manifests::compile(revision)?;
    let domains = revision.domains.iter().map(|domain| Domain::new(&domain.config, None, &fleet)).collect();
    let (sequence, hash) = (Some(revision.sequence), revision.hash());
    answer(&Checked { revision: sequence, domains, fleets: Vec::new(), hash: &hash }, &[], output, out)
}

fn answer(checked: &Checked<'_>, skipped: &[Skipped], output: Output, out: &mut dyn Write) -> Result<Answer, Failure> {
    let printed = match output {
        Output::Text => print(out, checked, skipped),
        Output::Json => text::json(out, checked),
    };
    printed.map(|()| Answer::Yes).map_err(Failure::stdout)
}

/// The errors are always on standard error; for programs, which read standard output, there too.
fn refuse(errors: &[Error], output: Output, out: &mut dyn Write) -> Result<Answer, Failure> {
    if output == Output::Json {
        let errors = errors.iter().map(Refused::from).collect();
        text::json(out, &Unsound { errors }).map_err(Failure::stdout)?;
    }
    Err(manifests::report(errors))
}

#[derive(Serialize)]
struct Unsound<'e> {
    errors: Vec<Refused<'e>>,
}

#[derive(Serialize)]
struct Refused<'e> {
    file: String,
    line: Option<usize>,
    field: &'e str,
    message: &'e str,
}

impl<'e> From<&'e Error> for Refused<'e> {
    fn from(error: &'e Error) -> Self {
        let Error { file, line, field, message } = error;
        Self { file: file.display().to_string(), line: *line, field, message }
    }
}

#[derive(Serialize)]
struct Checked<'l> {
    /// The number, where it is what a fleet in a cluster forwards by.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
    domains: Vec<Domain<'l>>,
    fleets: Vec<Fleet<'l>>,
    /// What the relays report of the revision they forward by.
    hash: &'l str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Domain<'l> {
    namespace: &'l str,
    name: &'l str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    softwire_address: String,
    rules: Vec<Derived<'l>>,
}

/// A `BorderRelay`, in numbers.
#[derive(Serialize)]
struct Fleet<'l> {
    namespace: &'l str,
    name: &'l str,
    file: String,
    line: u64,
    replicas: u16,
    interfaces: u64,
    peers: u64,
}

/// A rule, and the numbers that follow from it: those of a `MapDomain`'s status under the same names, and more.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Derived<'l> {
    name: &'l str,
    ipv4_prefix: String,
    mape_prefix: String,
    ea_bits_length: u8,
    psid_offset: u8,
    psid_length: u8,
    /// The one PSID of a rule without EA bits.
    psid: Option<u16>,
    sharing_ratio: u32,
    ports_per_ce: u32,
    ces: u64,
    end_user_prefix_length: u8,
    /// What one CE is given: 32, an address, unless the rule delegates prefixes.
    ipv4_length_per_ce: u8,
}

impl<'l> Domain<'l> {
    fn new(config: &'l DomainConfig, source: Option<&Source>, fleet: &'l mape::Fleet) -> Self {
        let name = &config.name;
        let sound = fleet.domains().iter().find(|domain| domain.name() == name);
        Self {
            namespace: &name.namespace,
            name: &name.name,
            file: source.map(|source| source.file.display().to_string()),
            line: source.map(|source| source.line as u64),
            softwire_address: config.softwire_address.to_string(),
            rules: sound.into_iter().flat_map(mape::Domain::rules).map(Derived::new).collect(),
        }
    }
}

impl<'l> Fleet<'l> {
    fn new(fleet: &'l manifest::Fleet) -> Self {
        let config = &fleet.config;
        Self {
            namespace: &config.name.namespace,
            name: &config.name.name,
            file: fleet.source.file.display().to_string(),
            line: fleet.source.line as u64,
            replicas: config.replicas,
            interfaces: config.interfaces.len() as u64,
            peers: config.bgp.as_ref().map_or(0, |bgp| bgp.peers.len() as u64),
        }
    }
}

impl<'l> Derived<'l> {
    fn new(rule: &'l Rule) -> Self {
        Self {
            name: rule.name(),
            ipv4_prefix: rule.ipv4_prefix().to_string(),
            mape_prefix: rule.mape_prefix().to_string(),
            ea_bits_length: rule.ea_bits_length(),
            psid_offset: rule.layout().offset(),
            psid_length: rule.layout().length(),
            psid: rule.fixed_psid().map(|psid| psid.0),
            sharing_ratio: rule.layout().sharing_ratio(),
            ports_per_ce: rule.layout().ports_per_ce(),
            ces: rule.ces(),
            end_user_prefix_length: rule.end_user_length(),
            ipv4_length_per_ce: rule.delegated_length(),
        }
    }

    fn row(&self, domain: &Domain<'_>) -> [String; 11] {
        [
            format!("{}/{}", domain.namespace, domain.name),
            self.name.to_string(),
            self.ipv4_prefix.clone(),
            self.mape_prefix.clone(),
            self.ea_bits_length.to_string(),
            self.psid_offset.to_string(),
            self.psid.map_or_else(|| self.psid_length.to_string(), |psid| format!("{} ({psid})", self.psid_length)),
            format!("1:{}", self.sharing_ratio),
            self.ports_per_ce.to_string(),
            self.ces.to_string(),
            format!("/{}", self.end_user_prefix_length),
        ]
    }
}

const HEAD: [&str; 11] = [
    "DOMAIN",
    "RULE",
    "IPV4-PREFIX",
    "MAPE-PREFIX",
    "EA-BITS",
    "PSID-OFFSET",
    "PSID-LENGTH",
    "SHARING",
    "PORTS-PER-CE",
    "CES",
    "END-USER-PREFIX",
];

fn print(out: &mut dyn Write, checked: &Checked<'_>, skipped: &[Skipped]) -> io::Result<()> {
    let Checked { revision, domains, fleets, hash: _ } = checked;
    let row = |domain| move |rule: &Derived<'_>| rule.row(domain);
    let rows: Vec<[String; 11]> = domains.iter().flat_map(|domain| domain.rules.iter().map(row(domain))).collect();
    if !rows.is_empty() {
        text::table(out, HEAD, &rows)?;
        writeln!(out)?;
    }
    for Fleet { namespace, name, file, line, replicas, interfaces, peers } in fleets {
        let [relays, interfaces, peers] =
            [text::count(*replicas, "relay"), text::count(*interfaces, "interface"), text::count(*peers, "BGP peer")];
        writeln!(out, "{file}:{line}: BorderRelay {namespace}/{name}: {relays}, {interfaces}, {peers}")?;
    }
    for Skipped { source, kind, name, .. } in skipped {
        let (file, line, name) = (source.file.display(), source.line, name.as_deref().unwrap_or("without a name"));
        writeln!(out, "{file}:{line}: skipped {kind} {name}: not of Culvert")?;
    }
    let fleets =
        if fleets.is_empty() { String::new() } else { ", ".to_owned() + &text::count(fleets.len() as u64, "fleet") };
    let (domains, rules) = (text::count(domains.len() as u64, "domain"), text::count(rows.len() as u64, "rule"));
    let revision = revision.map(|sequence| format!("revision {sequence}: ")).unwrap_or_default();
    writeln!(out, "{revision}{domains}, {rules}{fleets}: valid")
}
