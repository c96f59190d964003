//! A speaker in the test's own hands: it writes what is asked for to whoever connects, and again all the time.

use std::{
    io::Write,
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, sleep},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Ends with the test.
pub(crate) struct Speaker {
    folder: TempDir,
    voice: Arc<Voice>,
}

#[derive(Default)]
struct Voice {
    said: Mutex<Said>,
    /// It hangs: connections stay, and nothing is said.
    hangs: AtomicBool,
    /// It is gone: connections end, and nobody answers.
    gone: AtomicBool,
    over: AtomicBool,
}

#[derive(Default)]
struct Said {
    sequence: u64,
    peers: Vec<Value>,
    listeners: Vec<UnixStream>,
}

/// A peer as the contract has it.
pub(crate) fn peer(name: &str, interface: &str, address: &str, families: &[&str], up: bool) -> Value {
    let (session, bfd) = if up { ("Established", "Up") } else { ("Idle", "Down") };
    json!({"name": name, "interface": interface, "address": address, "families": families, "session": session,
           "bfd": bfd, "up": up, "since": "2026-01-01T00:00:00Z"})
}

impl Speaker {
    pub(crate) fn start() -> Self {
        let speaker = Self { folder: TempDir::new().unwrap(), voice: Arc::default() };
        let listener = UnixListener::bind(speaker.socket()).unwrap();
        listener.set_nonblocking(true).unwrap();
        let voice = Arc::clone(&speaker.voice);
        thread::spawn(move || {
            while !voice.over.load(Relaxed) {
                while let Ok((connection, _)) = listener.accept() {
                    if !voice.gone.load(Relaxed) {
                        voice.said.lock().unwrap().listeners.push(connection);
                    }
                }
                voice.speak();
                sleep(Duration::from_millis(50));
            }
        });
        speaker
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("peers.sock")
    }

    /// Says from now on that its peers are these.
    pub(crate) fn says(&self, peers: &[Value]) {
        self.voice.said.lock().unwrap().peers = peers.to_vec();
        self.voice.speak();
    }

    pub(crate) fn hangs(&self, hangs: bool) {
        self.voice.hangs.store(hangs, Relaxed);
    }

    pub(crate) fn is_gone(&self, gone: bool) {
        self.voice.gone.store(gone, Relaxed);
        let listeners = std::mem::take(&mut self.voice.said.lock().unwrap().listeners);
        listeners.iter().for_each(|listener| _ = listener.shutdown(Shutdown::Both));
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.voice.over.store(true, Relaxed);
    }
}

impl Voice {
    fn speak(&self) {
        if self.hangs.load(Relaxed) {
            return;
        }
        let mut said = self.said.lock().unwrap();
        said.sequence += 1;
        let line = json!({"sequence": said.sequence, "peers": said.peers}).to_string() + "\n";
        said.listeners.retain(|mut listener| listener.write_all(line.as_bytes()).is_ok());
    }
}
