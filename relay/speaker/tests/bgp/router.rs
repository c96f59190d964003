//! A router: FRR's zebra, bgpd and bfdd, in its own namespace.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::lab::{Lab, POD4, POD6, run, until};

const DAEMONS: [&str; 3] = ["zebra", "bgpd", "bfdd"];

/// Where FRR keeps sockets of instances with names, whatever it is told.
const SOCKETS: &str = "/var/run/frr";

/// Fast enough for tests, slow enough for a busy machine.
const BFD: &str = "bfd\n profile fast\n  transmit-interval 100\n  receive-interval 100\n  detect-multiplier 3\n";

/// The processes, ended in the end.
pub(crate) struct Router<'l> {
    lab: &'l Lab,
    processes: Vec<Child>,
}

impl<'l> Router<'l> {
    /// A router that has sessions with the pod's IPv4 and IPv6 addresses.
    pub(crate) fn start(lab: &'l Lab) -> Self {
        let bgp = [neighbour(POD4, "64512", "ipv4"), neighbour(POD6, "64512", "ipv6")].concat();
        Self::configured(lab, "64500", &bgp)
    }

    /// The same without BFD.
    pub(crate) fn without_bfd(lab: &'l Lab) -> Self {
        let neighbour = |address, family| neighbour_with(address, "remote-as 64512", family, &[]);
        Self::configured(lab, "64500", &[neighbour(POD4, "ipv4"), neighbour(POD6, "ipv6")].concat())
    }

    /// A router of this system with these lines below `router bgp`.
    pub(crate) fn configured(lab: &'l Lab, asn: &str, bgp: &str) -> Self {
        Self::listening(lab, asn, bgp, 179)
    }

    /// The same, which listens at this port.
    pub(crate) fn listening(lab: &'l Lab, asn: &str, bgp: &str, port: u16) -> Self {
        let bgp = format!(
            "router bgp {asn}\n bgp router-id 198.51.100.1\n bgp log-neighbor-changes\n \
             no bgp ebgp-requires-policy\n no bgp default ipv4-unicast\n{bgp}"
        );
        Self::verbatim(lab, &bgp, BFD, port)
    }

    /// A router by these lines for bgpd and bfdd, and nothing else.
    pub(crate) fn verbatim(lab: &'l Lab, bgp: &str, bfd: &str, port: u16) -> Self {
        let folder = lab.subfolder("frr");
        let bgp = format!("log stdout\n{bgp}");
        for (daemon, config) in DAEMONS.into_iter().zip(["log stdout\n", &bgp, bfd]) {
            fs::write(folder.join(format!("{daemon}.conf")), config).unwrap();
        }
        run("chown", &["-R", "frr:frr", folder.to_str().unwrap()]);
        // Its service would make it, and has not run.
        run("install", &["-d", "-o", "frr", "-g", "frr", SOCKETS]);
        run("chmod", &["755", lab.folder.path().to_str().unwrap()]);
        let mut router = Self { lab, processes: Vec::new() };
        for daemon in DAEMONS {
            let port = port.to_string();
            let more: &[&str] = if daemon == "bgpd" { &["-p", &port] } else { &[] };
            router.processes.push(spawn(lab, &folder, daemon, more));
            let socket = folder.join(format!("{daemon}.vty"));
            until(daemon, || socket.exists().then_some(()), || fs::read_to_string(folder.join("log")));
        }
        router
    }

    /// What vtysh says.
    pub(crate) fn ask(&self, commands: &[&str]) -> String {
        let folder = self.lab.path("frr");
        let asked = commands.iter().flat_map(|command| ["-c", command]);
        let vtysh = ["netns", "exec", &self.lab.router, "vtysh", "--vty_socket", folder.to_str().unwrap()];
        run("ip", &vtysh.into_iter().chain(asked).collect::<Vec<_>>())
    }

    pub(crate) fn json(&self, command: &str) -> Value {
        serde_json::from_str(&self.ask(&[command])).unwrap_or(Value::Null)
    }

    /// Whether the session with this neighbour is established.
    pub(crate) fn has_session(&self, neighbour: &str) -> bool {
        self.neighbour(neighbour)["bgpState"] == "Established"
    }

    pub(crate) fn neighbour(&self, neighbour: &str) -> Value {
        self.json(&format!("show bgp neighbors {neighbour} json"))[neighbour].clone()
    }

    /// The path to a prefix, if there is one.
    pub(crate) fn path(&self, prefix: &str) -> Option<Value> {
        let family = if prefix.contains(':') { "ipv6" } else { "ipv4" };
        let table = self.json(&format!("show bgp {family} unicast {prefix} json"));
        table["paths"].as_array().and_then(|paths| paths.first().cloned())
    }

    /// All prefixes that it has learnt.
    pub(crate) fn prefixes(&self) -> Vec<String> {
        let of = |family: &str| {
            let table = self.json(&format!("show bgp {family} unicast json"));
            table["routes"].as_object().map(|routes| routes.keys().cloned().collect::<Vec<_>>()).unwrap_or_default()
        };
        [of("ipv4"), of("ipv6")].concat()
    }

    pub(crate) fn until_session(&self, neighbour: &str) {
        until(&format!("session with {neighbour}"), || self.has_session(neighbour).then_some(()), || self.log());
    }

    /// Waits until there is a path to a prefix that is as it should be.
    pub(crate) fn until_path(&self, prefix: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let find = || self.path(prefix).filter(&fits);
        until(&format!("path to {prefix}"), find, || (self.path(prefix), self.prefixes(), self.log()))
    }

    pub(crate) fn until_no_path(&self, prefix: &str) {
        let is_gone = || self.path(prefix).is_none().then_some(());
        until(&format!("no path to {prefix}"), is_gone, || (self.path(prefix), self.log()));
    }

    /// Everything it said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.lab.path("frr").join("bgpd.log")).unwrap_or_default()
    }
}

impl Drop for Router<'_> {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = fs::remove_dir_all(Path::new(SOCKETS).join(&self.lab.name));
    }
}

fn spawn(lab: &Lab, folder: &Path, daemon: &str, more: &[&str]) -> Child {
    let program = format!("/usr/lib/frr/{daemon}");
    assert!(Path::new(&program).exists(), "{program} is needed: scripts/install-tools installs Debian's frr");
    let in_folder = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let log = File::create(in_folder(&format!("{daemon}.log"))).unwrap();
    let mut command = Command::new("ip");
    command.args([
        "netns",
        "exec",
        &lab.router,
        &program,
        "-N",
        &lab.name,
        "-u",
        "frr",
        "-g",
        "frr",
        "--log",
        "stdout",
    ]);
    command.args(["--vty_socket", folder.to_str().unwrap(), "-z", &in_folder("zserv.api")]);
    command.args(["-f", &in_folder(&format!("{daemon}.conf")), "-i", &in_folder(&format!("{daemon}.pid"))]);
    command.args(more);
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

/// The lines of a neighbour with BFD.
pub(crate) fn neighbour(address: &str, asn: &str, families: &str) -> String {
    neighbour_with(address, &format!("remote-as {asn}"), families, &["bfd profile fast"])
}

/// The lines of a neighbour: how it begins, and more that is said of it.
pub(crate) fn neighbour_with(name: &str, begin: &str, families: &str, more: &[&str]) -> String {
    let lines = [begin, "timers connect 1"].into_iter().chain(more.iter().copied());
    let said: String = lines.map(|line| format!(" neighbor {name} {line}\n")).collect();
    let activate =
        |family: &str| format!(" address-family {family} unicast\n  neighbor {name} activate\n exit-address-family\n");
    said + &families.split(' ').map(activate).collect::<String>()
}
