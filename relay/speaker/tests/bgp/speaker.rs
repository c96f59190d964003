//! The speaker's process, with the files that its pod would have.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    time::{Duration, Instant},
};

use crds::{
    BorderRelay, BorderRelaySpec,
    border_relay::PodTemplate,
    revision::{
        Domain, Revision, encode,
        fleet::{FILE, FleetFile},
    },
};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::lab::{Lab, PATIENCE, ROUTER4, ROUTER6, until};

/// The process, ended in the end.
pub(crate) struct Speaker<'l> {
    lab: &'l Lab,
    process: Child,
    log: NamedTempFile,
}

/// What the operator writes.
pub(crate) struct Files<'l> {
    lab: &'l Lab,
    sequence: u64,
    generation: i64,
}

impl<'l> Files<'l> {
    pub(crate) fn new(lab: &'l Lab) -> Self {
        lab.subfolder("passwords");
        Self { lab, sequence: 0, generation: 0 }
    }

    /// What almost every test begins with: a fleet with sessions with both addresses of the router, which serves `isp-a`.
    pub(crate) fn of_isp_a(lab: &'l Lab) -> Self {
        Self::of_isp_a_by(lab, &both())
    }

    /// The same without BFD.
    pub(crate) fn without_bfd(lab: &'l Lab) -> Self {
        Self::of_isp_a_by(lab, &both_without_bfd())
    }

    fn of_isp_a_by(lab: &'l Lab, bgp: &Value) -> Self {
        let mut files = Self::new(lab);
        files.fleet(bgp);
        files.revision(vec![isp_a()]);
        files
    }

    /// A new generation of the fleet: what `spec.bgp` says.
    pub(crate) fn fleet(&mut self, bgp: &Value) {
        self.generation += 1;
        let spec = json!({
            "dataplane": {"interfaces": [{"name": "net1", "network": "fabric"}]},
            "bgp": bgp,
            "allowed": {"ipv4Prefixes": ["192.0.2.0/24"], "softwirePrefixes": ["2001:db8:ffff::/48"]},
            // Long enough to be looked at, however slow the machine is.
            "drain": {"gracefulShutdownSeconds": 10, "withdrawSeconds": 10}});
        let spec: BorderRelaySpec = serde_json::from_value(spec).unwrap();
        let mut relay = BorderRelay::new("default", BorderRelaySpec { pod_template: PodTemplate::default(), ..spec });
        relay.metadata.generation = Some(self.generation);
        self.write(FILE, &FleetFile::new(&relay, Default::default()).encode());
    }

    /// A new revision.
    pub(crate) fn revision(&mut self, domains: Vec<Domain>) {
        self.sequence += 1;
        let revision = Revision { fleet: "default".to_owned(), sequence: self.sequence, domains, traceparent: None };
        for object in encode(&revision).unwrap().iter().rev() {
            object.files.iter().for_each(|(name, bytes)| self.write(name, bytes));
        }
    }

    pub(crate) fn password(&self, key: &str, password: &str) {
        fs::write(self.lab.path("passwords").join(key), password).unwrap();
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let folder = self.lab.subfolder("revision");
        fs::write(folder.join(".fresh"), bytes).unwrap();
        fs::rename(folder.join(".fresh"), folder.join(name)).unwrap();
    }
}

/// `spec.bgp` with these peers.
pub(crate) fn bgp(peers: &[Value]) -> Value {
    json!({"localASN": 64512, "peers": peers})
}

/// A peer with this address, and BFD as the router has it.
pub(crate) fn peer(name: &str, address: &str, more: &Value) -> Value {
    let bfd = json!({"transmitIntervalMilliseconds": 100, "receiveIntervalMilliseconds": 100, "detectMultiplier": 3});
    let mut peer = json!({"name": name, "address": address, "peerASN": 64500, "bfd": bfd, "connectRetrySeconds": 1});
    for (key, value) in more.as_object().into_iter().flatten() {
        peer[key] = value.clone();
    }
    peer
}

/// The router by both its addresses.
pub(crate) fn both() -> Value {
    bgp(&[peer("tor1-v4", ROUTER4, &json!({})), peer("tor1-v6", ROUTER6, &json!({}))])
}

/// The same without BFD, which takes a machine that stands still for a moment for a path that has died: for tests that a session
/// which ends in between would fail. [`Router::without_bfd`](crate::router::Router::without_bfd) is the other end.
pub(crate) fn both_without_bfd() -> Value {
    bgp(&[peer("tor1-v4", ROUTER4, &without_bfd()), peer("tor1-v6", ROUTER6, &without_bfd())])
}

/// What [`peer`] is told of a peer without BFD.
pub(crate) fn without_bfd() -> Value {
    json!({"bfd": {"mode": "Disabled"}})
}

/// A domain, with what only a speaker wants to know.
pub(crate) fn domain(name: &str, br_address: &str, prefixes: &[&str], communities: &[&str]) -> Domain {
    let rule = |(at, prefix): (usize, &&str)| mape::RuleConfig {
        name: format!("r{at}"),
        ipv4_prefix: prefix.parse().unwrap(),
        mape_prefix: format!("2001:db8:c0{at:02x}::/48").parse().unwrap(),
        ea_bits_length: 16,
        psid_offset: 4,
        psid_length: None,
        psid: None,
    };
    let config = mape::DomainConfig {
        name: mape::DomainName { namespace: "isps".to_owned(), name: name.to_owned() },
        created: 0,
        softwire_address: br_address.parse().unwrap(),
        version: mape::Version::Rfc7597,
        rules: prefixes.iter().enumerate().map(rule).collect(),
        options: mape::Options::default(),
    };
    Domain { config, communities: communities.iter().map(|it| (*it).to_owned()).collect(), local_preference: None }
}

/// The domain of most tests.
pub(crate) fn isp_a() -> Domain {
    domain("isp-a", BR, &[PREFIX], &[])
}

pub(crate) const BR: &str = "2001:db8:ffff::1";
pub(crate) const BR_PREFIX: &str = "2001:db8:ffff::1/128";
pub(crate) const PREFIX: &str = "192.0.2.0/25";

impl<'l> Speaker<'l> {
    /// Starts it with what a container lets it do, and no more.
    pub(crate) fn start(lab: &'l Lab) -> Self {
        let log = NamedTempFile::new().unwrap();
        let capabilities = "-all,+net_bind_service,+net_raw";
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &lab.pod, "setpriv", "--no-new-privs"]);
        command.args(["--bounding-set", capabilities, "--inh-caps", capabilities]);
        command.args([env!("CARGO_BIN_EXE_culvert-speaker"), "run", "--fleet", "isps/default", "--log-level", "debug"]);
        command.args(["--bird", "/usr/sbin/bird", "--admin", "127.0.0.1:9109"]);
        for (flag, folder) in [
            ("--revision-dir", "revision"),
            ("--passwords-dir", "passwords"),
            ("--run-dir", "run"),
            ("--bird-dir", "bird"),
        ] {
            command.arg(flag).arg(lab.subfolder(folder));
        }
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.env("POD_NAME", "default-1").env("NODE_NAME", "node1");
        let process = command.stderr(log.reopen().unwrap()).spawn().unwrap();
        let speaker = Self { lab, process, log };
        until("peer socket", || speaker.socket().exists().then_some(()), || speaker.log());
        speaker
    }

    fn socket(&self) -> PathBuf {
        self.lab.path("run/peers.sock")
    }

    /// Connects as the relay does.
    pub(crate) fn listen(&self) -> Listener {
        let stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Listener(BufReader::new(stream))
    }

    /// The status code and body of an admin page.
    pub(crate) fn get(&self, path: &str) -> (String, String) {
        let url = format!("http://127.0.0.1:9109{path}");
        let curl = ["netns", "exec", &self.lab.pod, "curl", "-s", "-w", "\n%{http_code}", &url];
        let output = Command::new("ip").args(curl).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, code) = text.rsplit_once('\n').unwrap_or_default();
        (code.to_owned(), body.to_owned())
    }

    pub(crate) fn state(&self) -> Value {
        serde_json::from_str(&self.get("/state").1).unwrap_or(Value::Null)
    }

    /// Waits for a state.
    pub(crate) fn until(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        until(what, || Some(self.state()).filter(&fits), || (self.state(), self.log()))
    }

    pub(crate) fn until_ready(&self) -> Value {
        self.until("ready", |state| state["ready"] == true)
    }

    /// A metric's value: the line begins so.
    pub(crate) fn metric(&self, line: &str) -> String {
        let page = self.get("/metrics").1;
        let found = page.lines().find_map(|it| it.strip_prefix(line)).map(|value| value.trim().to_owned());
        found.unwrap_or_else(|| panic!("{line}: {page}"))
    }

    /// The process ID of its BIRD.
    pub(crate) fn bird(&self) -> u32 {
        let id = self.process.id();
        let text = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        text.split_whitespace().next().unwrap_or_else(|| panic!("no BIRD: {}", self.log())).parse().unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        crate::lab::run("kill", &[&format!("-{name}"), &self.process.id().to_string()]);
    }

    /// Waits for it to end by itself.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let begun = Instant::now();
        while self.process.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < PATIENCE, "it does not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        (self.process.wait().unwrap(), self.log())
    }

    /// Everything it said so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log.path()).unwrap()
    }
}

impl Drop for Speaker<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether a process is there.
pub(crate) fn is_there(id: u32) -> bool {
    Path::new(&format!("/proc/{id}")).exists()
}

/// Reads what the relay would.
pub(crate) struct Listener(BufReader<UnixStream>);

impl Listener {
    /// The next line.
    pub(crate) fn next(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// Reads until a line says this of every peer.
    pub(crate) fn until_all(&mut self, what: &str, up: bool) -> Value {
        let begun = Instant::now();
        loop {
            let line = self.next();
            let peers = line["peers"].as_array().unwrap();
            if !peers.is_empty() && peers.iter().all(|peer| peer["up"] == up) {
                println!("peer state, {what}: {:.0?}", begun.elapsed());
                return line;
            }
            assert!(begun.elapsed() < PATIENCE, "{what}: {line}");
        }
    }
}
