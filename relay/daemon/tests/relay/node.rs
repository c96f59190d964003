//! A box to run a relay on: a network namespace with an IPv4 and an IPv6 side.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    os::{fd::AsFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tempfile::TempDir;

pub(crate) const ADMIN: &str = "127.0.0.1:9108";
/// The machine may be busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A network namespace, removed in the end.
pub(crate) struct Node {
    pub(crate) name: String,
    /// Manifests.
    pub(crate) folder: TempDir,
}

impl Node {
    /// A box with nothing but loopback.
    pub(crate) fn bare() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("relay-test-{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        run("ip", &["netns", "add", &name]);
        let node = Self { name, folder: TempDir::new().unwrap() };
        node.ip("link set lo up");
        node
    }

    /// A box that forwards, with a way to the Internet and one to the CEs.
    pub(crate) fn new() -> Self {
        let node = Self::bare();
        node.sysctl("net.ipv4.ip_forward", 1);
        node.sysctl("net.ipv6.conf.all.forwarding", 1);
        node.ip("link add inet type veth peer name far4");
        node.ip("link add core type veth peer name far6");
        for link in ["inet", "core", "far4", "far6"] {
            node.ip(&format!("link set {link} addrgenmode none up"));
        }
        node.ip("address add 198.51.100.1/24 dev inet");
        node.ip("address add 2001:db8:1::1/64 dev core nodad");
        node.ip("-6 route add 2001:db8:ce::/48 dev core");
        node.settle();
        node
    }

    /// Waits until the kernel has noticed that its links are up, which it does in its own time: routes follow from it.
    fn settle(&self) {
        let begun = Instant::now();
        let is_settled = || {
            let routes = self.ip("-6 route show table local");
            let is_up = |link: &str| routes.contains(&format!("multicast ff00::/8 dev {link} "));
            let has_address = routes.contains("anycast 2001:db8:1:: dev core ");
            has_address
                && ["inet", "core", "far4", "far6"].into_iter().all(is_up)
                && !self.ip("-br link").contains("LOWERLAYERDOWN")
        };
        while !is_settled() {
            assert!(begun.elapsed() < PATIENCE, "the links do not come up: {}", self.picture());
            sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn sysctl(&self, key: &str, value: u32) {
        self.run("sysctl", &["-qw", &format!("{key}={value}")]);
    }

    /// Runs `ip` in the namespace; its output.
    pub(crate) fn ip(&self, arguments: &str) -> String {
        self.run("ip", &arguments.split(' ').collect::<Vec<_>>())
    }

    /// Runs a program in the namespace, which has to succeed; its output.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> String {
        run("ip", &[&["netns", "exec", &self.name, program], arguments].concat())
    }

    /// Everything that a relay may change: links, addresses, routes, rules.
    pub(crate) fn picture(&self) -> String {
        ["-br link", "-br address", "route show table all", "-6 route show table all", "rule", "-6 rule"]
            .map(|what| self.ip(what))
            .join("\n")
    }

    /// What has come and gone since a picture, line by line.
    pub(crate) fn changes(&self, before: &str) -> Vec<String> {
        let after = self.picture();
        let gone = before.lines().filter(|line| !after.lines().any(|other| other == *line));
        let come = after.lines().filter(|line| !before.lines().any(|other| other == *line));
        gone.map(|line| format!("- {line}")).chain(come.map(|line| format!("+ {line}"))).collect()
    }

    /// Writes a manifest of this name, as careful editors do.
    pub(crate) fn write(&self, name: &str, manifest: &str) -> PathBuf {
        let (fresh, path) = (self.folder.path().join("fresh"), self.folder.path().join(name));
        fs::write(&fresh, manifest).unwrap();
        fs::rename(fresh, &path).unwrap();
        path
    }

    /// Starts a relay on this box's manifests; `wrapper` is a command that starts it.
    pub(crate) fn launch(&self, wrapper: &[&str], flags: &[&str]) -> Relay<'_> {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).args(wrapper);
        command.args([env!("CARGO_BIN_EXE_culvert-relay"), "run", "--queues", "2", "--config"]).arg(self.folder.path());
        command.args(flags);
        self.spawn(command, ADMIN)
    }

    /// Starts a relay by this command, whose HTTP server is at that address.
    pub(crate) fn spawn(&self, mut command: Command, admin: &str) -> Relay<'_> {
        // A file, as nobody reads while it runs, and a full pipe would stop it.
        let log = tempfile::NamedTempFile::new().unwrap();
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        let process = command.stderr(log.reopen().unwrap()).spawn().unwrap();
        Relay { node: self, process, log, admin: admin.parse().unwrap() }
    }

    /// Starts a relay and waits until it forwards.
    pub(crate) fn relay(&self, flags: &[&str]) -> Relay<'_> {
        self.launch(&[], flags).ready()
    }

    /// Lets everybody read a manifest.
    pub(crate) fn share(&self, manifest: &Path) {
        for path in [self.folder.path(), manifest] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    /// Sends a UDP packet from this box.
    pub(crate) fn send_udp(&self, to: &str) {
        let to = to.to_owned();
        self.inside(move || UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"hello", to).unwrap());
    }

    /// Does something as a process in the namespace would.
    pub(crate) fn inside<T: Send + 'static>(&self, act: impl FnOnce() -> T + Send + 'static) -> T {
        let namespace = fs::File::open(format!("/run/netns/{}", self.name)).unwrap();
        let enter = move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            act()
        };
        thread::spawn(enter).join().unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).status();
    }
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A relay process, killed in the end.
pub(crate) struct Relay<'n> {
    node: &'n Node,
    process: Child,
    log: tempfile::NamedTempFile,
    admin: SocketAddr,
}

impl Relay<'_> {
    /// Waits until it forwards.
    pub(crate) fn ready(mut self) -> Self {
        let begun = Instant::now();
        while !self.is_ready() {
            if let Some(status) = self.process.try_wait().unwrap() {
                panic!("ended with {status}: {}", self.log());
            }
            assert!(begun.elapsed() < PATIENCE, "not ready: {:?} {}", self.get("/state"), self.log());
            sleep(Duration::from_millis(20));
        }
        self
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// The status code and body of an admin page, if the server is there.
    pub(crate) fn get(&self, path: &str) -> Option<(u16, String)> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n");
        let admin = self.admin;
        self.node.inside(move || {
            let mut connection = TcpStream::connect(admin).ok()?;
            connection.write_all(request.as_bytes()).ok()?;
            let mut answer = String::new();
            connection.read_to_string(&mut answer).ok()?;
            let (head, body) = answer.split_once("\r\n\r\n")?;
            Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
        })
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.get("/readyz").is_some_and(|(status, _)| status == 200)
    }

    pub(crate) fn state(&self) -> serde_json::Value {
        serde_json::from_str(&self.get("/state").unwrap().1).unwrap()
    }

    /// The value of one series, 0 if it is not there.
    pub(crate) fn metric(&self, series: &str) -> u64 {
        let (status, text) = self.get("/metrics").unwrap();
        assert_eq!(status, 200, "{text}");
        let found = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        found.map_or(0, |value| value.parse().unwrap())
    }

    /// Waits until something is so.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            assert!(begun.elapsed() < PATIENCE, "{what}: not in time; {}; {}", self.state(), self.log());
            sleep(Duration::from_millis(20));
        }
    }

    /// Waits until something is so, of a process without a server.
    pub(crate) fn until_so(&self, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < PATIENCE, "not in time; {}", self.log());
            sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        run("kill", &[&format!("-{name}"), &self.process.id().to_string()]);
    }

    /// Waits for it to end by itself: its exit status and everything it said.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let begun = Instant::now();
        while self.process.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < PATIENCE, "it does not end");
            sleep(Duration::from_millis(20));
        }
        (self.process.wait().unwrap(), self.log())
    }

    /// Ends it as an init system would.
    pub(crate) fn stop(self) -> (ExitStatus, String) {
        self.signal("TERM");
        self.end()
    }

    /// Everything it said so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log.path()).unwrap()
    }
}

impl Drop for Relay<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A manifest of one rule.
pub(crate) fn manifest(name: &str, br_address: &str, prefix: &str, more: &str) -> String {
    let number = name.len();
    format!(
        "apiVersion: culvert.dev/v1alpha1
kind: MapDomain
metadata: {{name: {name}, namespace: test}}
spec:
  softwireAddress: \"{br_address}\"
  version: RFC7597
  rules:
  - {{name: r1, ipv4Prefix: {prefix}, mapePrefix: \"2001:db8:ce{number}::/48\", eaBitsLength: 16, psidOffset: 4}}
{more}"
    )
}

/// The manifest that most tests use.
pub(crate) fn isp_a() -> String {
    manifest("isp-a", BR, "67.91.205.0/24", "")
}

pub(crate) const BR: &str = "3001:db8:ffff::1";
