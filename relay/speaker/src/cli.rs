//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use crds::routes::TABLE;
use pod::FleetName;
use telemetry::Log;

/// Announces what a relay serves, by BIRD.
#[derive(Debug, Parser)]
#[command(name = "culvert-speaker", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Keep BIRD running and configured, until SIGTERM: then drain, and end
    ///
    /// The fleet and its domains come from the fleet's revision; the relay in the same pod says by the metric of its routes
    /// what is announced, and reads from a socket which routers are up. SIGTERM begins the drain: GRACEFUL_SHUTDOWN, a wait,
    /// withdrawal, a wait, and the end of the sessions; a second one cuts the waits short.
    Run(Box<Options>),

    /// Print the bird.conf that a pod would have, passwords and all
    ///
    /// A pod's file says what `run` finds for itself:
    ///
    /// name: default-1
    /// node: node1
    /// interfaces: {net1: [198.51.100.11/24, "fe80::1/64"]}
    ///
    /// and, where it matters, `ways: {203.0.113.1: {interface: net1, source: 198.51.100.11}}` to peers several hops away,
    /// `peerNodes: {PEER: [node1]}` for peers with a nodeSelector, `passwords: {KEY: PASSWORD}`, and `phase`: Announcing,
    /// GracefulShutdown or Withdrawn. What keeps sessions away is told on standard error.
    #[command(verbatim_doc_comment)]
    Render(Rendering),

    /// Become BIRD, and end with the process that asked for it
    #[command(hide = true)]
    Bird {
        /// Who asked for it.
        #[arg(long)]
        parent: u32,
        /// The program and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// The fleet this speaker belongs to: whose revisions it takes
    #[arg(long, value_name = "NAMESPACE/NAME", env = "CULVERT_FLEET")]
    pub(crate) fleet: FleetName,

    /// Watch the fleet's revision through the API server: in a pod by its service account, elsewhere by KUBECONFIG
    #[arg(long, env = "CULVERT_WATCH", required_unless_present = "revision_dir")]
    pub(crate) watch: bool,

    /// A directory with the files of a revision, such as the mounted ConfigMaps: a start without the API server
    #[arg(long, value_name = "DIR", env = "CULVERT_REVISION_DIR")]
    pub(crate) revision_dir: Option<PathBuf>,

    /// A directory with passwords, a file for each key of the Secret
    #[arg(long, value_name = "DIR", env = "CULVERT_PASSWORDS_DIR")]
    pub(crate) passwords_dir: Option<PathBuf>,

    /// A directory that the relay reads: the socket peers.sock is made there
    #[arg(long, value_name = "DIR", env = "CULVERT_RUN_DIR", default_value = "/run/culvert")]
    pub(crate) run_dir: PathBuf,

    /// A directory of BIRD's own: bird.conf, with the passwords in it, and its control socket
    #[arg(long, value_name = "DIR", env = "CULVERT_BIRD_DIR", default_value = "/run/bird")]
    pub(crate) bird_dir: PathBuf,

    /// The program
    #[arg(long, value_name = "FILE", env = "CULVERT_BIRD", default_value = "/usr/sbin/bird")]
    pub(crate) bird: PathBuf,

    /// The table that has the relay's routes
    #[arg(long, value_name = "NUMBER", env = "CULVERT_ROUTE_TABLE", default_value_t = TABLE,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) route_table: u32,

    /// Address and port of the HTTP server for /metrics, /state, /livez, /readyz and /startupz
    #[arg(long, value_name = "ADDRESS:PORT", env = "CULVERT_ADMIN", default_value = "127.0.0.1:9109")]
    pub(crate) admin: SocketAddr,

    #[command(flatten)]
    pub(crate) log: Log,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Rendering {
    /// Files or directories with one BorderRelay and its MapDomains (YAML)
    #[arg(required = true, value_name = "FILE|DIR")]
    pub(crate) manifests: Vec<PathBuf>,

    /// The pod, as YAML
    #[arg(long, value_name = "FILE")]
    pub(crate) pod: PathBuf,

    /// The table that has the relay's routes
    #[arg(long, value_name = "NUMBER", default_value_t = TABLE)]
    pub(crate) route_table: u32,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_pods_flags() {
        let line = "culvert-speaker run --fleet isps/default --watch --revision-dir /etc/culvert/revision \
                    --passwords-dir /etc/culvert/passwords --run-dir /run/culvert --bird-dir /run/bird \
                    --bird /usr/sbin/bird --route-table 4646 --admin [2001:db8::7]:9109";
        let Command::Run(options) = Cli::parse_from(line.split_whitespace()).command else { panic!("run") };
        assert_eq!((options.route_table, options.fleet.to_string().as_str()), (4646, "isps/default"));
        let nothing_to_read = ["culvert-speaker", "run", "--fleet", "isps/default"];
        assert!(Cli::try_parse_from(nothing_to_read).is_err());
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
