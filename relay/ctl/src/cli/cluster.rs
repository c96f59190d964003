//! What commands ask of a cluster is said by the same flags as to kubectl.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Output;

/// Which cluster, and where in it.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct KubeArgs {
    /// The namespace of the fleet [default: that of kubectl's context]
    #[arg(short, long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// The context of kubectl's configuration
    #[arg(long, value_name = "CONTEXT")]
    pub(crate) context: Option<String>,
    /// kubectl's configuration
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
}

/// A fleet in a cluster.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct FleetArgs {
    /// The fleet, a BorderRelay [default: the only one]
    #[arg(long, value_name = "NAME")]
    pub(crate) fleet: Option<String>,
    #[command(flatten)]
    pub(crate) kube: KubeArgs,
}

/// A fleet in a cluster instead of manifests.
#[derive(Debug, Clone, Args)]
pub(crate) struct LiveArgs {
    /// Instead of manifests: what this fleet (a BorderRelay in a cluster) forwards by, its revision
    #[arg(long, value_name = "NAME")]
    pub(crate) fleet: Option<String>,
    #[command(flatten)]
    pub(crate) kube: KubeArgs,
}

/// The flags of [`LiveArgs`]: manifests need none of them.
pub(super) const LIVE: [&str; 4] = ["fleet", "namespace", "context", "kubeconfig"];

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Only this fleet, a BorderRelay
    #[arg(long, value_name = "NAME")]
    pub(crate) fleet: Option<String>,
    /// The fleets of all namespaces
    #[arg(short = 'A', long, conflicts_with_all = ["namespace", "fleet"])]
    pub(crate) all_namespaces: bool,
    /// Ask relays too how many packets per second cross, which takes a second
    #[arg(long)]
    pub(crate) rates: bool,
    #[command(flatten)]
    pub(crate) kube: KubeArgs,
    /// How to print the answer
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

pub(super) const STATUS_EXAMPLES: &str = "\
Examples:
  culvertctl status -n culvert-system
  culvertctl status -A
  kubectl culvert status -n culvert-system --fleet default -o json

Reads what the operator last wrote about fleets, relays and domains: it needs the right to list borderrelays and \
mapdomains, and for --rates those of `culvertctl top`, which says more about them. The exit code is 1 if anything is not as it should be.";

#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    #[command(flatten)]
    pub(crate) fleet: FleetArgs,
    /// What has a line
    #[arg(long, value_enum, default_value_t = By::Domain)]
    pub(crate) by: By,
    /// How long to count, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=3600))]
    pub(crate) interval: u16,
    /// Count once and end
    #[arg(long)]
    pub(crate) once: bool,
    /// How to print the answer
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

/// What rates are added up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// The domain, over all relays.
    Domain,
    /// The relay, over all domains.
    Relay,
}

pub(super) const TOP_EXAMPLES: &str = "\
Examples:
  culvertctl top -n culvert-system
  culvertctl top --fleet default --by relay --interval 10
  culvertctl top --once -o json

Packets and bits per second that relays forward in each direction, and packets that are dropped, by reason: between two \
looks at all relays' /state. On a terminal the screen is drawn anew after each interval, elsewhere one follows the other; \
as JSON each is one line. It needs the rights to get borderrelays, list pods, and get pods/proxy.";

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// Manifests that may be applied, instead of the domains in the cluster; may be given several times
    #[arg(short, long = "file", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) fleet: FleetArgs,
    /// How to print the answer
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

pub(super) const DIFF_EXAMPLES: &str = "\
Examples:
  culvertctl diff -n culvert-system
  culvertctl diff -n culvert-system --fleet default -f domains/

Without files: the domains in the cluster that name the fleet, against its revision, and that against what each relay says \
it holds. With files: what applying them would change of the revision; domains that are not in the files stay, and \
manifests without a namespace are taken to be for the fleet's. Defaults and derived numbers are written out on both sides.

It needs the rights to get borderrelays, mapdomains and the ConfigMaps FLEET-revision..; without files to list pods and get \
pods/proxy too. Exit codes: 0 all the same, 1 something differs, 2 trouble.";

#[derive(Debug, Args)]
pub(crate) struct CaptureArgs {
    /// The relay, a pod
    #[arg(long, value_name = "POD")]
    pub(crate) relay: String,
    #[command(flatten)]
    pub(crate) kube: KubeArgs,
    /// Where to write the capture: a file, or - for standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub(crate) write: PathBuf,
    #[command(flatten)]
    pub(crate) request: capture::Request,
}

pub(super) const CAPTURE_EXAMPLES: &str = "\
Examples:
  culvertctl capture -n culvert-system --relay default-relay-7c9f-x2x5q -w drops.pcapng --verdict drop
  culvertctl capture --relay default-relay-7c9f-x2x5q --address 67.91.205.2 --port 6600 | wireshark -k -i -
  culvertctl capture --relay default-relay-7c9f-x2x5q --reason SpoofedSource --packets 1 | tshark -r - -T fields -e frame.comment

Writes pcapng: each packet as it came in, with a comment such as `verdict drop SpoofedSource (answered), from_ce, domain \
culvert-system/isp-a, queue 1`. How many there were, and how many were lost because nobody took them in time, is said at the end and in \
the file. Relays never wait for a capture; each has one at a time.

It runs `kubectl exec POD -c relay -- /culvert-relay capture`: it needs the rights to get pods and create pods/exec, which the API \
server can audit. Packets are what customers say to each other: without --snap-length 96 bytes are kept, which is room for the headers \
of a tunnel packet, and a few dozen bytes more where there are fewer.";
