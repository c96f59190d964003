//! Threads that stand still: what is told of them, and that the relay ends by itself.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    node::Relay,
    pod::{Pod, set_of},
};

#[test]
fn the_self_test_fails_when_one_worker_hangs() {
    let pod = Pod::new();
    let relay = pod.relay(&[]);
    let passed = |queue: usize| format!(r#"culvert_self_test_passed{{direction="to_ce",queue="{queue}"}}"#);
    let stopped = Stopped::thread(relay.id(), "culvert-tun-1");
    relay.until("not ready", |relay| relay.get("/readyz").unwrap().1.contains("SelfTest"));
    relay.until("the other works", |relay| relay.metric(&passed(0)) == 1 && relay.metric(&passed(1)) == 0);
    drop(stopped);
    relay.until("ready", Relay::is_ready);
}

#[test]
fn a_relay_whose_worker_hangs_ends_by_itself() {
    ends_without("culvert-tun-1", "workers [1] hang");
}

#[test]
fn a_relay_whose_control_thread_hangs_ends_by_itself() {
    ends_without("culvert-control", "the control thread hangs");
}

/// The process ends when this thread stands still, and its routes with it.
fn ends_without(thread: &str, log_says: &str) {
    let pod = Pod::new();
    let relay = pod.relay(&[]);
    relay.until("announced", |_| pod.metrics() == set_of(&["", "1024"]));
    let (stopped, begun) = (Stopped::thread(relay.id(), thread), Instant::now());
    if thread.contains("tun") {
        relay.until("withdrawn", |_| pod.metrics() == set_of(&["7597"]));
        println!("{thread} stands still: withdrawn after {:?}", begun.elapsed());
        relay.until("not alive", |relay| relay.get("/livez").is_some_and(|(status, _)| status == 503));
        println!("{thread} stands still: /livez says so after {:?}", begun.elapsed());
    }
    stopped.ends();
    println!("{thread} stands still: the process ends after {:?}", begun.elapsed());
    let (status, log) = relay.end();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains(log_says), "{log}");
    assert!(pod.metrics().is_empty() && !pod.pod.ip("-br link").contains("culvert0"));
}

/// One thread of a process, stopped as by a debugger.
struct Stopped(i32);

impl Stopped {
    fn thread(process: u32, name: &str) -> Self {
        let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
        let thread = threads
            .map(|thread| thread.unwrap().path())
            .find(|thread| std::fs::read_to_string(thread.join("comm")).is_ok_and(|comm| comm.trim() == name));
        let id: i32 = thread.unwrap().file_name().unwrap().to_str().unwrap().parse().unwrap();
        Self::trace(libc::PTRACE_SEIZE, id);
        Self::trace(libc::PTRACE_INTERRUPT, id);
        let mut status = 0;
        // SAFETY: `status` is a valid place for the answer; the thread is traced by this one.
        assert_eq!(unsafe { libc::waitpid(id, &raw mut status, libc::__WALL) }, id);
        Self(id)
    }

    /// Waits until it is gone with its process.
    fn ends(self) {
        let begun = Instant::now();
        let mut status = 0;
        loop {
            // SAFETY: `status` is a valid place for the answer; the thread is traced by this one.
            let found = unsafe { libc::waitpid(self.0, &raw mut status, libc::__WALL | libc::WNOHANG) };
            if found == self.0 && (libc::WIFEXITED(status) || libc::WIFSIGNALED(status)) {
                return std::mem::forget(self);
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not end");
            sleep(Duration::from_millis(20));
        }
    }

    fn trace(request: libc::c_uint, id: i32) {
        // SAFETY: none of the three requests reads or writes memory of ours.
        let result = unsafe { libc::ptrace(request, id, 0, 0) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        Self::trace(libc::PTRACE_DETACH, self.0);
    }
}
