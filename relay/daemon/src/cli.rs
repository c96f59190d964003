//! The command line.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use ::pod::FleetName;
use clap::{Args, Parser, Subcommand};
use telemetry::Log;

mod pod;
mod probe;

pub(crate) use ::pod::Family;

pub(crate) use self::{
    pod::{Families, NextHop, Side},
    probe::ProbeOptions,
};
use crate::host::RouteTable;

/// The IPv4 dummy address, for relays that have no other (RFC 7600 §4.5 D).
const DUMMY: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 8);

/// A MAP-E border relay (RFC 7597) for any Linux box.
#[derive(Debug, Parser)]
#[command(name = "culvert-relay", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Forward traffic for the MAP domains of some manifests, until SIGTERM or SIGINT
    ///
    /// The relay opens a TUN device, routes the domains' IPv4 prefixes and BR addresses to it, encapsulates what comes in
    /// as IPv4 and decapsulates what comes in as IPv6. The kernel does the rest: it routes packets to the TUN and away
    /// from it. It reads the manifests again when they change, or at SIGHUP; what is wrong with them it logs, and keeps
    /// forwarding by what it has.
    #[command(after_long_help = include_str!("cli/help.txt"), after_help = "`--help` says what it needs and sets.")]
    Run(Box<Options>),

    /// Write what a relay on this box, or in this container, does with its packets to the standard output, as pcapng
    ///
    /// Each packet is as it came in, and has the verdict, the reason and the domain as its comment. It needs root, or the
    /// relay's user. One capture at a time; packets that nobody has time to write are counted as lost, and no packet waits.
    Capture(CaptureOptions),

    /// Make a fleet for a test, and send packets through each of its relays, both ways: what `helm test` runs in a pod
    ///
    /// The pod is on the fleet's networks: there it is the fleet's routers, the CE and the host in the Internet at once. It needs
    /// `CAP_NET_RAW`, and the right to create, get and delete that BorderRelay and a MapDomain of its name, and to get and list pods.
    Probe(ProbeOptions),

    /// Sleep until SIGTERM or SIGINT, and do nothing: the main container of a pod whose relay is a sidecar
    Wait,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct CaptureOptions {
    /// The relay's --capture-socket
    #[arg(long, value_name = "SOCKET", default_value = "/var/lib/culvert/capture.sock")]
    pub(crate) socket: PathBuf,
    #[command(flatten)]
    pub(crate) request: ::capture::Request,
    #[command(flatten)]
    pub(crate) log: Log,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// A file or directory of MapDomain manifests (YAML); may be given several times
    ///
    /// The variable takes several separated by `:`. Changes are noticed at once, a ConfigMap's symbolic links included.
    #[arg(long, short, value_name = "FILE|DIR", env = "CULVERT_CONFIG", value_delimiter = ':',
          required_unless_present_any = ["watch", "revision_dir"], conflicts_with_all = ["watch", "revision_dir"])]
    pub(crate) config: Vec<PathBuf>,

    /// The fleet this relay belongs to: whose revisions it takes
    #[arg(long, value_name = "NAMESPACE/NAME", env = "CULVERT_FLEET")]
    pub(crate) fleet: Option<FleetName>,

    /// Watch the fleet's revision through the API server: in a pod by its service account, elsewhere by KUBECONFIG
    #[arg(long, env = "CULVERT_WATCH", requires = "fleet")]
    pub(crate) watch: bool,

    /// A directory with the files of a revision, such as the mounted ConfigMaps: a start without the API server
    #[arg(long, value_name = "DIR", env = "CULVERT_REVISION_DIR")]
    pub(crate) revision_dir: Option<PathBuf>,

    /// A directory of the relay's own: the last good revision, and when which one was in use
    #[arg(long, value_name = "DIR", env = "CULVERT_STATE_DIR", conflicts_with = "config")]
    pub(crate) state_dir: Option<PathBuf>,

    /// A socket where `culvert-relay capture` may ask for packets [default: capture.sock in --state-dir, if that is given]
    #[arg(long, value_name = "SOCKET", env = "CULVERT_CAPTURE_SOCKET")]
    pub(crate) capture_socket: Option<PathBuf>,

    /// An interface where packets come and go, and the families it is for; may be given several times
    ///
    /// The relay then lets nothing else in by it: see "Sides" below.
    #[arg(long = "side", value_name = "NAME=IPv4|IPv6|Both", env = "CULVERT_SIDE", value_delimiter = ',')]
    pub(crate) sides: Vec<Side>,

    /// A router on a side, where packets leave to; may be given several times
    #[arg(
        long = "next-hop",
        value_name = "NAME=ADDRESS",
        env = "CULVERT_NEXT_HOP",
        value_delimiter = ',',
        requires = "sides"
    )]
    pub(crate) next_hops: Vec<NextHop>,

    /// The speaker's socket: which BGP peers are up, and so next hops on sides without --next-hop
    ///
    /// While nothing is heard there, nothing is announced.
    #[arg(long, value_name = "SOCKET", env = "CULVERT_PEER_STATE", requires = "sides")]
    pub(crate) peer_state: Option<PathBuf>,

    /// How long a relay that is asked to leave has its routes announced with GRACEFUL_SHUTDOWN (RFC 8326)
    ///
    /// They are withdrawn then, and it forwards on.
    #[arg(long, value_name = "SECONDS", env = "CULVERT_GRACEFUL_SHUTDOWN_SECONDS", default_value_t = 0,
          value_parser = clap::value_parser!(u32).range(..=3600))]
    pub(crate) graceful_shutdown_seconds: u32,

    /// How long routers may take to take notice of a withdrawn route
    ///
    /// What a change removes is withdrawn at once, and forwarded for both of these times together.
    #[arg(long, value_name = "SECONDS", env = "CULVERT_WITHDRAW_SECONDS", default_value_t = 0,
          value_parser = clap::value_parser!(u32).range(..=3600))]
    pub(crate) withdraw_seconds: u32,

    /// Name of the TUN device; it must not exist yet
    #[arg(long, value_name = "NAME", env = "CULVERT_TUN_NAME", default_value = "culvert0", value_parser = interface_name)]
    pub(crate) tun_name: String,

    /// How many queues the TUN has, and threads that serve them (default: one per CPU, at most 16)
    #[arg(long, value_name = "N", env = "CULVERT_QUEUES", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) queues: Option<u16>,

    /// How many packets the kernel holds for each queue while its thread is busy
    ///
    /// At least 10000: a shorter queue loses packets whenever the relay is not scheduled for a few milliseconds.
    #[arg(long, value_name = "PACKETS", env = "CULVERT_TUN_QUEUE_LENGTH", default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(10_000..=1_000_000))]
    pub(crate) tun_queue_length: u32,

    /// Address and port of the HTTP server for /metrics, /state, /livez and /readyz
    #[arg(long, value_name = "ADDRESS:PORT", env = "CULVERT_ADMIN", default_value = "127.0.0.1:9108")]
    pub(crate) admin: SocketAddr,

    /// IPv4 address that the relay speaks from: the hop that customers see in a traceroute
    ///
    /// Source of ICMP errors for domains without icmp.ipv4Source. Give a public address: others may be filtered on the
    /// way. The default is the address of the IPv4 side, or 192.0.0.8 where there is none (the dummy address, RFC 7600).
    #[arg(long, value_name = "ADDRESS", env = "CULVERT_IPV4_SOURCE")]
    pub(crate) ipv4_source: Option<Ipv4Addr>,

    /// Table for the relay's routes, and for packets that leave the TUN: main, or a number
    ///
    /// A number keeps customers' packets away from this box and its main table: see "Own table" below. The default is
    /// main, and 4646 with --side.
    #[arg(long, value_name = "main|NUMBER", env = "CULVERT_ROUTE_TABLE")]
    pub(crate) route_table: Option<RouteTable>,

    #[command(flatten)]
    pub(crate) log: Log,
}

impl Options {
    /// How many queues to open: as asked, or one per CPU and no more than help.
    pub(crate) fn queues(&self) -> usize {
        let cpus = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(16);
        self.queues.map_or_else(cpus, usize::from)
    }

    /// How long routers may take to find another way before one is withdrawn.
    pub(crate) fn notice(&self) -> Duration {
        Duration::from_secs(self.graceful_shutdown_seconds.into())
    }

    /// How long what is removed is still forwarded.
    pub(crate) fn drain(&self) -> Duration {
        self.notice() + Duration::from_secs(self.withdraw_seconds.into())
    }

    /// The address the relay speaks from, where its IPv4 side has this one.
    pub(crate) fn ipv4_source(&self, side: Option<Ipv4Addr>) -> Ipv4Addr {
        self.ipv4_source.or(side).unwrap_or(DUMMY)
    }

    /// The table of its routes.
    pub(crate) fn table(&self) -> RouteTable {
        let default = if self.sides.is_empty() { RouteTable::Main } else { RouteTable::Own(crds::routes::TABLE) };
        self.route_table.unwrap_or(default)
    }

    /// Where captures may be asked for, if anywhere.
    pub(crate) fn capture_socket(&self) -> Option<PathBuf> {
        self.capture_socket.clone().or_else(|| Some(self.state_dir.as_ref()?.join("capture.sock")))
    }

    /// Whether it works by revisions instead of manifests.
    pub(crate) fn by_revision(&self) -> bool {
        self.config.is_empty()
    }

    /// What the parser cannot see: contradictions between flags.
    ///
    /// # Errors
    /// A sentence about the flags.
    pub(crate) fn check(&self) -> Result<(), String> {
        if !self.sides.is_empty() && self.table() == RouteTable::Main {
            return Err(
                "--side needs a table of the relay's own: leave --route-table away, or give a number".to_owned()
            );
        }
        // The table behind it is used too, see `Ways`.
        let (false, RouteTable::Own(number)) = (self.sides.is_empty(), self.table()) else { return Ok(()) };
        if [252, u32::MAX].contains(&number) {
            return Err(format!("--route-table {number}: with --side the number behind it has to be free too"));
        }
        pod::check(&self.sides, &self.next_hops)
    }
}

fn interface_name(text: &str) -> Result<String, String> {
    let fits = (1..16).contains(&text.len()) && text != "." && text != "..";
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"/:%".contains(&byte));
    if fits && plain { Ok(text.to_owned()) } else { Err("1 to 15 letters, digits, `-`, `_` or `.`".to_owned()) }
}

impl FromStr for RouteTable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("main", _) | (_, Ok(254)) => Ok(Self::Main),
            (_, Ok(number)) if number > 0 && number != 253 && number != 255 => Ok(Self::Own(number)),
            (_, Ok(_)) => Err("tables 0, 253 and 255 are the kernel's own".to_owned()),
            (_, Err(_)) => Err("`main` or a number from 1 to 4294967295".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn options(arguments: &[&str]) -> Result<Options, clap::Error> {
        parse(&[&["--config", "isp-a.yaml"], arguments].concat())
    }

    fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
        let line = ["culvert-relay", "run"].iter().chain(arguments);
        Cli::try_parse_from(line).map(|cli| match cli.command {
            Command::Run(options) => *options,
            Command::Wait | Command::Capture(_) | Command::Probe(_) => unreachable!("the line says run"),
        })
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn only_a_config_is_required() {
        let options = options(&[]).unwrap();
        assert_eq!(options.tun_name, "culvert0");
        assert_eq!(options.table(), RouteTable::Main);
        assert_eq!(options.ipv4_source(None), Ipv4Addr::new(192, 0, 0, 8));
        assert_eq!(options.drain(), Duration::ZERO);
        assert!(options.sides.is_empty() && !options.by_revision());
        assert!((1..=16).contains(&options.queues()));
    }

    #[test]
    fn tables_are_named_or_numbered() {
        let table = |text| options(&["--route-table", text]).map(|options| options.table());
        assert_eq!(table("254").unwrap(), RouteTable::Main);
        assert_eq!(table("7597").unwrap(), RouteTable::Own(7597));
        for bad in ["0", "255", "local", "-1", "4294967296"] {
            assert!(table(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for bad in [
            ["--tun-queue-length", "500"],
            ["--queues", "0"],
            ["--tun-name", "tun%d"],
            ["--tun-name", "sixteen-letters-"],
            ["--admin", "localhost"],
            ["--ipv4-source", "2001:db8::1"],
            ["--log-format", "xml"],
        ] {
            assert!(options(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_pods_flags() {
        let line = "--fleet isps/default --watch --revision-dir /etc/culvert/revision --state-dir /var/lib/culvert \
                    --peer-state /run/culvert/peers.sock --side net1=IPv4 --side net2=IPv6 --next-hop net1=198.51.100.254 --next-hop net2=fe80::1 \
                    --admin [2001:db8::7]:9108 --graceful-shutdown-seconds 20 --withdraw-seconds 10";
        let options = parse(&line.split_whitespace().collect::<Vec<_>>()).unwrap();
        assert!(options.by_revision() && options.check().is_ok());
        assert_eq!(options.drain(), Duration::from_secs(30));
        assert_eq!(options.table(), RouteTable::Own(4646));
        let side = Ipv4Addr::new(198, 51, 100, 1);
        assert_eq!(options.ipv4_source(Some(side)), side);
    }

    #[test]
    fn flags_that_contradict_each_other_are_refused() {
        assert!(options(&["--peer-state", "peers.sock"]).is_err());
        for bad in
            [&["--config", "a", "--watch", "--fleet", "n/f"][..], &["--watch"], &["--config", "a", "--state-dir", "b"]]
        {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        for (flags, says) in [
            ("--side net1=IPv4 --route-table main", "--route-table"),
            ("--side net1=IPv4 --route-table 252", "--route-table 252"),
            ("--side net1=IPv4 --side net1=IPv6", "net1 twice"),
            ("--side net1=IPv4 --next-hop net2=192.0.2.1", "net2"),
            ("--side net1=IPv6 --next-hop net1=192.0.2.1", "192.0.2.1"),
        ] {
            let options = options(&flags.split(' ').collect::<Vec<_>>()).unwrap();
            let error = options.check().unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn captures_are_asked_for_in_the_state_directory() {
        assert_eq!(options(&[]).unwrap().capture_socket(), None);
        let socket =
            |flags: &[&str]| parse(&[&["--watch", "--fleet", "n/f"], flags].concat()).unwrap().capture_socket();
        assert_eq!(socket(&["--state-dir", "/s"]), Some("/s/capture.sock".into()));
        assert_eq!(socket(&["--state-dir", "/s", "--capture-socket", "/c"]), Some("/c".into()));
    }

    #[test]
    fn every_flag_has_a_variable() {
        let command = Cli::command();
        let run = command.find_subcommand("run").unwrap();
        for argument in run.get_arguments().filter(|argument| argument.get_id() != "help") {
            let name = argument.get_long().unwrap().to_uppercase().replace('-', "_");
            assert_eq!(argument.get_env().unwrap().to_str().unwrap(), format!("CULVERT_{name}"));
        }
    }
}
