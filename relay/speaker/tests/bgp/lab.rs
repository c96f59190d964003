//! A pod and a router with a cable between them.

use std::{
    fmt::Debug,
    fs,
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    thread::sleep,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// The machine may be busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const POD4: &str = "198.51.100.11";
pub(crate) const POD6: &str = "2001:db8:100::11";
pub(crate) const ROUTER4: &str = "198.51.100.1";
pub(crate) const ROUTER6: &str = "2001:db8:100::1";

/// The namespaces and a folder, removed in the end.
pub(crate) struct Lab {
    pub(crate) name: String,
    pub(crate) pod: String,
    pub(crate) router: String,
    pub(crate) folder: TempDir,
}

impl Lab {
    /// The pod's net1 leads to the router's eth1; its culvert0 is where a relay's TUN would be.
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("speaker-{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let (pod, router) = (format!("{name}-pod"), format!("{name}-tor"));
        let lab = Self { name, pod, router, folder: TempDir::new().unwrap() };
        for namespace in [&lab.pod, &lab.router] {
            run("ip", &["netns", "add", namespace]);
            run("ip", &["-n", namespace, "link", "set", "lo", "up"]);
        }
        let cable =
            ["link", "add", "net1", "netns", &lab.pod, "type", "veth", "peer", "name", "eth1", "netns", &lab.router];
        run("ip", &cable);
        lab.in_pod("link set net1 up");
        lab.in_router("link set eth1 up");
        lab.in_pod(&format!("address add {POD4}/24 dev net1"));
        lab.in_pod(&format!("address add {POD6}/64 dev net1 nodad"));
        lab.in_router(&format!("address add {ROUTER4}/24 dev eth1"));
        lab.in_router(&format!("address add {ROUTER6}/64 dev eth1 nodad"));
        lab.add_tun();
        lab
    }

    /// A device for the relay's routes; what is at its other end does not matter.
    pub(crate) fn add_tun(&self) {
        self.in_pod("link add culvert0 type veth peer name nowhere");
        self.in_pod("link set nowhere up");
        self.in_pod("link set culvert0 up");
    }

    /// Runs `ip` in the pod.
    pub(crate) fn in_pod(&self, arguments: &str) -> String {
        self.ip(&self.pod, arguments)
    }

    /// Runs `ip` at the router.
    pub(crate) fn in_router(&self, arguments: &str) -> String {
        self.ip(&self.router, arguments)
    }

    fn ip(&self, namespace: &str, arguments: &str) -> String {
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        run("ip", &[&["-n", namespace], &arguments[..]].concat())
    }

    /// Adds a route as a relay does.
    pub(crate) fn route(&self, prefix: &str, more: &str) {
        self.in_pod(&format!("route add {prefix} dev culvert0 table 4646 proto 97 {more}"));
    }

    /// Removes one of this metric.
    pub(crate) fn unroute(&self, prefix: &str, metric: u32) {
        self.in_pod(&format!("route del {prefix} dev culvert0 table 4646 proto 97 metric {metric}"));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A folder in the lab's.
    pub(crate) fn subfolder(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        path
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for namespace in [&self.pod, &self.router] {
            let _ = Command::new("ip").args(["netns", "delete", namespace]).status();
        }
    }
}

pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until something is found, and says how long that took.
pub(crate) fn until<T, D: Debug>(what: &str, mut find: impl FnMut() -> Option<T>, tell: impl Fn() -> D) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = find() {
            println!("{what}: {:.0?}", begun.elapsed());
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}: never; {:?}", tell());
        sleep(Duration::from_millis(10));
    }
}
