//! The command line. What `--help` prints is the manual.

use std::{net::Ipv4Addr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::explain::PacketArgs;

mod cluster;

pub(crate) use cluster::{By, CaptureArgs, DiffArgs, FleetArgs, KubeArgs, LiveArgs, StatusArgs, TopArgs};
use cluster::{CAPTURE_EXAMPLES, DIFF_EXAMPLES, LIVE, STATUS_EXAMPLES, TOP_EXAMPLES};

/// Asks a MAP-E border relay's configuration what it would do, and fleets in a cluster what they do.
#[derive(Debug, Parser)]
#[command(name = "culvertctl", version, propagate_version = true, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 yes; 1 no: a manifest is invalid, nobody owns the address, a file cannot be read, the packet is dropped, a \
fleet is not well; 2 the command line makes no sense. `diff` has those of diff: 0 the same, 1 different, 2 trouble.

check, map, replay, explain and diff read the MapDomain manifests that are applied to a cluster or given to a relay. Files may hold \
several documents; of a directory all .yaml, .yml and .json files count. With --fleet they take what a fleet in a cluster \
forwards by. Clusters are reached by kubectl, with its configuration; as kubectl-culvert on the PATH this program is `kubectl \
culvert`.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Validate manifests and print what follows from them
    #[command(after_help = CHECK_EXAMPLES)]
    Check(CheckArgs),
    /// Find the CE that owns an IPv4 address and port, or what a CE's prefix was given
    #[command(after_help = MAP_EXAMPLES)]
    Map(MapArgs),
    /// Run a capture through the relay's packet engine
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay(ReplayArgs),
    /// Tell what the relay does with one packet, and why
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(ExplainArgs),
    /// Turn another router's configuration into manifests
    Import(ImportArgs),
    /// Show the fleets of a cluster: relays, domains, and what is wrong
    #[command(after_help = STATUS_EXAMPLES)]
    Status(StatusArgs),
    /// Show how fast relays forward now, and what they drop
    #[command(after_help = TOP_EXAMPLES)]
    Top(TopArgs),
    /// Record packets at a relay, each with what became of it
    #[command(after_help = CAPTURE_EXAMPLES)]
    Capture(CaptureArgs),
    /// Compare the domains in a cluster, or manifests, with what a fleet forwards by
    #[command(after_help = DIFF_EXAMPLES)]
    Diff(DiffArgs),
    /// Tell which revision a relay forwarded by, and since when
    #[command(after_help = HISTORY_EXAMPLES)]
    History(HistoryArgs),
}

/// How an answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Manifests: files, directories, or - for standard input
    #[arg(short, long = "file", value_name = "FILE", num_args = 1.., required_unless_present = "fleet",
          conflicts_with_all = LIVE)]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) live: LiveArgs,
    /// How to print the answer
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

const CHECK_EXAMPLES: &str = "\
Examples:
  culvertctl check -f isp-a.yaml
  culvertctl check -f domains/ other.yaml -o json
  kubectl get mapdomains -A -o yaml | culvertctl check -f -
  culvertctl check -n culvert-system --fleet default

Every error of every manifest is printed to standard error, one a line, as FILE:LINE: FIELD: what was found, what is \
allowed and why. All the manifests are checked as one fleet: two that contradict each other are an error.";

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("place").required(true))]
pub(crate) struct HistoryArgs {
    /// The history.jsonl of a relay's --state-dir, or what it answers at /state; - for standard input
    #[arg(short, long, value_name = "FILE", group = "place")]
    pub(crate) file: Option<PathBuf>,
    /// A relay's HTTP server: its last twenty activations
    #[arg(short, long, value_name = "http://ADDRESS:PORT", group = "place")]
    pub(crate) state: Option<String>,
    /// A relay in a cluster, a pod: its last twenty activations
    #[arg(long, value_name = "POD", group = "place")]
    pub(crate) relay: Option<String>,
    #[command(flatten)]
    pub(crate) kube: KubeArgs,
    /// Only what was in use at this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<jiff::Timestamp>,
    /// How to print the answer
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

const HISTORY_EXAMPLES: &str = "\
Examples:
  culvertctl history --file history.jsonl
  culvertctl history --state http://10.244.1.5:9108
  culvertctl history --file history.jsonl --at 2026-11-24T14:00:00Z
  culvertctl history -n culvert-system --relay default-relay-7c9f-x2x5q

MAP keeps no log of who had which address and port: it follows from the revision that was in use. The hash is the one that \
`culvertctl check -o json` prints for the manifests. The exit code of --at is 1 if nothing is known of that time.";

/// Where domains come from.
#[derive(Debug, Args)]
pub(crate) struct Manifests {
    /// Manifests: a file, a directory, or - for standard input; may be given several times
    #[arg(short, long = "file", value_name = "FILE", required_unless_present = "fleet", conflicts_with_all = LIVE)]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) live: LiveArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MapArgs {
    #[command(flatten)]
    pub(crate) manifests: Manifests,
    /// ADDRESS:PORT, an IPv4 address alone where it is not shared, or an IPv6 address or prefix of a CE
    #[arg(value_name = "ADDRESS", required_unless_present = "batch", conflicts_with = "batch")]
    pub(crate) query: Option<String>,
    /// Answer queries from standard input: one JSON object a line, one answer a line
    #[arg(long)]
    pub(crate) batch: bool,
    /// How to print the answer
    #[arg(short, long, value_enum, default_value_t = Output::Text, conflicts_with = "batch")]
    pub(crate) output: Output,
}

const MAP_EXAMPLES: &str = r#"Examples:
  culvertctl map -f isp-a.yaml 67.91.205.2:6600       who owns this address and port?
  culvertctl map -f isp-a.yaml 2001:db8:ce:29c::      what was this CE given?
  culvertctl map -f isp-a.yaml --batch < queries      many questions; works as a coprocess too
  culvertctl map -n culvert-system --fleet default 67.91.205.2:6600

Queries of --batch, and their answers (psid is null where no port is shared):
  {"ipv4":"67.91.205.2","port":6600}
    {"domain":"isp-a","rule":"r1","psid":156,"prefix":"2001:db8:ce:29c::/64",
     "ceAddress":"2001:db8:ce:29c:0:435b:cd02:9c"}    or {"drop":"NoRule"}
  {"ipv6":"2001:db8:ce:29c:0:435b:cd02:9c","ipv4":"67.91.205.2","port":6600}
    would a packet from this CE address with this inner source pass? "br" may name the address it is sent to
    {"forward":true,"domain":..,"rule":..,"psid":..,"prefix":..,"ceAddress":..}    or {"drop":"SpoofedSource"}
  {"prefix":"2001:db8:ce:29c::/64"}
    {"ipv4":"67.91.205.2","psid":156,"ceAddress":"2001:db8:ce:29c:0:435b:cd02:9c","ports":[[6592,6607],..]}
  {"rule":"r1","psid":156}    "domain" tells rules of one name apart
    {"ports":[[6592,6607],..]}
  anything else
    {"error":"what is wrong with it"}

Answers come in the order of the queries. The exit code of --batch is 0 when every line has its answer."#;

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    pub(crate) manifests: Manifests,
    /// The capture: pcap or pcapng; raw IP, Ethernet (VLAN tags are skipped), Linux cooked or loopback
    #[arg(value_name = "IN.pcap")]
    pub(crate) input: PathBuf,
    /// Where to write the packets that come out: pcap, LINKTYPE_RAW
    #[arg(value_name = "OUT.pcap")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) relay: RelayArgs,
}

/// What a relay knows beside its manifests.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct RelayArgs {
    /// The source of ICMPv4 errors where a domain sets no icmp.ipv4Source: the address of the relay's IPv4 side
    #[arg(long, value_name = "ADDRESS", default_value = "192.0.0.8")]
    pub(crate) ipv4_source: Ipv4Addr,
}

const REPLAY_EXAMPLES: &str = r#"Examples:
  culvertctl replay -f isp-a.yaml in.pcap out.pcap
  culvertctl replay -f isp-a.yaml in.pcap out.pcap | grep SpoofedSource

The packets go through the engine that the relay runs, one by one, at the times of the capture. Each one gives a line:
  {"packet":1,"verdict":"emit","reason":null,"domain":"isp-a","emitted":[1]}
  verdict   emit, drop, hold (waits for other fragments) or punt (not for the relay: left to the host)
  reason    why it was dropped or punted: the drop reasons of the relay's metrics
  domain    the MapDomain it was counted for, or null
  emitted   which packets of OUT.pcap it caused, from 1: itself, fragments, held packets, ICMP errors, echo replies
A frame that carries no IP, ARP for instance, is a punt as NotForRelay. A packet that the capture cut short is dropped \
as Truncated. A capture that breaks off or is corrupt is replayed up to there; then the exit code is 1."#;

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) manifests: Manifests,
    #[command(flatten)]
    pub(crate) packet: PacketArgs,
    #[command(flatten)]
    pub(crate) relay: RelayArgs,
    /// How to print the answer
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  culvertctl explain -f isp-a.yaml --to-ce --dst 67.91.205.2:6600
  culvertctl explain -f isp-a.yaml --to-ce --dst 67.91.205.2:6600 --proto tcp --size 1500 --df
  culvertctl explain -f isp-a.yaml --from-ce --outer-src 2001:db8:ce:29c:0:435b:cd02:9c --src 67.91.205.2:6600
  culvertctl explain -f isp-a.yaml --hex '45 00 00 1c ...'
  culvertctl explain -n culvert-system --fleet default --to-ce --dst 67.91.205.2:6600

The packet is built, run through the engine that the relay runs, and its way is told step by step: which rule, which \
bits, which check failed, and what would have passed. For ICMP the port is the identifier of an echo request. Whatever \
the options cannot say, --hex can: an IP packet from its first byte, as tcpdump -x prints it.

The exit code is 0 if the packet is forwarded or answered, 1 if not.";

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    #[command(subcommand)]
    pub(crate) from: ImportFrom,
}

/// Whose configuration it is.
#[derive(Debug, Subcommand)]
pub(crate) enum ImportFrom {
    /// The map-e softwire concentrators of a Juniper router, one MapDomain for each
    #[command(after_help = JUNOS_EXAMPLES)]
    Junos(JunosArgs),
}

#[derive(Debug, Args)]
pub(crate) struct JunosArgs {
    /// The configuration, with braces or as set commands; - for standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The namespace to write into the manifests; without it they have none
    #[arg(long, value_name = "NAMESPACE", value_parser = namespace)]
    pub(crate) namespace: Option<String>,
}

/// An RFC 1123 label.
fn namespace(text: &str) -> Result<String, String> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let sound = (1..=63).contains(&text.len()) && text.bytes().all(inner) && text.trim_matches('-') == text;
    let allowed = "1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit";
    if sound { Ok(text.to_string()) } else { Err(allowed.to_string()) }
}

const JUNOS_EXAMPLES: &str = "\
Examples:
  culvertctl import junos router.conf > domains.yaml
  culvertctl import junos --namespace culvert-system router.conf | kubectl apply -f -
  ssh router 'show configuration services softwire | display inheritance | display set' | culvertctl import junos -

Reads what `show configuration` prints, all of it or from `services` down, with or without `| display set`. Whatever \
is not under `services softwire softwire-concentrator map-e` is ignored. What Junos leaves to its defaults is written \
out, since ours differ: psid-offset 4, mtu-v6 9192, no reassembly. Names become lower case with hyphens.

What cannot be carried over is an error, FILE:LINE: STATEMENT: why, all of them at once, and then nothing is printed. \
What is inactive is skipped with a warning. What is printed has passed the checks of `culvertctl check`.";
