//! What the speaker says of its peers: it writes a line of JSON to whoever connects to its socket, at once, at every
//! change, and at least every second.
//!
//! A speaker that is gone or hangs says nothing. What it said last is kept then: packets on their way need a next hop.

use std::{collections::BTreeSet, net::IpAddr, path::PathBuf, time::Duration};

use pod::{PeerEntry, PeerLine};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::UnixStream,
    sync::watch,
    time::{Instant, sleep, timeout_at},
};

use crate::{cli::Family, host::OddPort};

/// A speaker that has not said a word for so long is silent.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long until it is called again.
const RETRY: Duration = Duration::from_millis(100);

/// Where routers listen, unless they say otherwise (RFC 4271 §8).
pub(crate) const BGP: u16 = 179;

/// No speaker has so much to say in a line: some thousands of peers.
const LONGEST_LINE: u64 = 1 << 20;

/// What was heard last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Speech {
    pub(crate) peers: Vec<Peer>,
    /// Why nothing is heard, while nothing is.
    pub(crate) silence: Option<String>,
}

/// A router that the speaker talks to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) name: String,
    /// The interface that leads to it.
    pub(crate) interface: String,
    pub(crate) address: IpAddr,
    /// The TCP port that it listens on.
    pub(crate) port: u16,
    /// Whose packets may be sent to it.
    pub(crate) families: Vec<Family>,
    /// Its session is established, and BFD does not say otherwise.
    pub(crate) up: bool,
    /// The same in words.
    pub(crate) state: String,
}

impl Speech {
    /// Before the first word.
    pub(crate) fn none_yet() -> Self {
        Self { peers: Vec::new(), silence: Some("it has not been heard yet".to_owned()) }
    }

    /// The routers that listen elsewhere than others do.
    pub(crate) fn odd_ports(&self) -> BTreeSet<OddPort> {
        let odd = self.peers.iter().filter(|peer| peer.port != BGP);
        let port = |Peer { interface, address, port, .. }: &Peer| OddPort {
            interface: interface.clone(),
            router: *address,
            port: *port,
        };
        odd.map(port).collect()
    }
}

/// Listens from now on, and tells of every change.
pub(crate) fn listen(socket: PathBuf) -> watch::Receiver<Speech> {
    let (sender, receiver) = watch::channel(Speech::none_yet());
    tokio::spawn(async move {
        loop {
            let why = match UnixStream::connect(&socket).await {
                Ok(stream) => hear(stream, &sender).await,
                Err(error) => format!("nobody answers at {}: {error}", socket.display()),
            };
            sender.send_if_modified(|speech| {
                let is_news = speech.silence.as_ref() != Some(&why);
                speech.silence = Some(why);
                is_news
            });
            sleep(RETRY).await;
        }
    });
    receiver
}

/// Hears until there is silence, and says why.
async fn hear(stream: UnixStream, tell: &watch::Sender<Speech>) -> String {
    let mut lines = BufReader::new(stream);
    let mut deadline = Instant::now() + PATIENCE;
    let mut bad = None;
    loop {
        let mut line = String::new();
        let mut limited = (&mut lines).take(LONGEST_LINE);
        match timeout_at(deadline, limited.read_line(&mut line)).await {
            Err(_) => {
                let meanwhile = bad.map(|error| format!(", but {error}")).unwrap_or_default();
                return format!("it has said nothing for {} s{meanwhile}", PATIENCE.as_secs());
            }
            Ok(Ok(_)) if line.ends_with('\n') => {}
            Ok(Ok(_)) => return "the connection has ended".to_owned(),
            Ok(Err(error)) => return format!("the connection has failed: {error}"),
        }
        match read(&line) {
            Ok(peers) => {
                deadline = Instant::now() + PATIENCE;
                let speech = Speech { peers, silence: None };
                tell.send_if_modified(|last| {
                    *last != speech && {
                        *last = speech;
                        true
                    }
                });
            }
            Err(error) => bad = Some(error),
        }
    }
}

/// The peers of a line that have an address.
fn read(line: &str) -> Result<Vec<Peer>, String> {
    let line: PeerLine = serde_json::from_str(line).map_err(|error| format!("a line that cannot be read: {error}"))?;
    Ok(line.peers.into_iter().filter_map(Peer::new).collect())
}

impl Peer {
    fn new(entry: PeerEntry) -> Option<Self> {
        let PeerEntry { name, interface, address, port, families, session, bfd, up, since: _ } = entry;
        let families = Family::ALL.into_iter().filter(|family| families.iter().any(|word| word == family.word()));
        let session = session.unwrap_or_else(|| if up { "up" } else { "down" }.to_owned());
        let bfd = bfd.map(|bfd| format!(", BFD {bfd}")).unwrap_or_default();
        Some(Self {
            name,
            interface: interface?,
            address: address?.parse().ok()?,
            port: port.unwrap_or(BGP),
            families: families.collect(),
            up,
            state: format!("{session}{bfd}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    const TOR1: &str = r#"{"name":"tor1","interface":"net1","address":"198.51.100.1","families":["IPv4"],"session":"Established","bfd":"Up","up":true,"since":"2026-01-01T00:00:00Z"}"#;

    fn line(peers: &[&str]) -> String {
        format!("{{\"sequence\":7,\"peers\":[{}]}}\n", peers.join(","))
    }

    #[test]
    fn a_line_is_read() {
        let without = r#"{"name":"tor2","interface":null,"address":null,"families":[],"session":"Idle","bfd":null,"up":false,"since":"2026-01-01T00:00:00Z"}"#;
        let both = r#"{"name":"tor3","interface":"net2","address":"fe80::1","port":1179,"families":["IPv4","IPv6"],"up":false}"#;
        let peers = read(&line(&[TOR1, without, both])).unwrap();
        let [tor1, tor3] = peers.as_slice() else { panic!("{peers:?}") };
        assert_eq!((tor1.up, tor1.state.as_str()), (true, "Established, BFD Up"));
        assert_eq!((tor1.families.as_slice(), tor3.families.as_slice()), (&[Family::Ipv4][..], &Family::ALL[..]));
        assert_eq!((tor3.up, tor3.state.as_str()), (false, "down"));
        let odd = Speech { peers, silence: None }.odd_ports();
        let router = "fe80::1".parse().unwrap();
        assert_eq!(odd, BTreeSet::from([OddPort { interface: "net2".to_owned(), router, port: 1179 }]));
        assert!(read("{}").is_err());
    }

    async fn until(heard: &mut watch::Receiver<Speech>, is_so: impl FnMut(&Speech) -> bool) -> Speech {
        heard.wait_for(is_so).await.unwrap().clone()
    }

    #[tokio::test]
    async fn what_a_silent_speaker_said_last_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("peers.sock");
        let mut heard = listen(socket.clone());
        until(&mut heard, |speech| speech.silence.as_ref().is_some_and(|why| why.contains("peers.sock"))).await;
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let (mut speaker, _) = listener.accept().await.unwrap();
        speaker.write_all(line(&[TOR1]).as_bytes()).await.unwrap();
        let said = until(&mut heard, |speech| speech.silence.is_none()).await;
        assert_eq!(said.peers[0].name, "tor1");
        drop(speaker);
        let silent = until(&mut heard, |speech| speech.silence.is_some()).await;
        assert_eq!(silent.peers, said.peers);
        // One that hangs is called again, one that talks nonsense too.
        for words in ["", "nonsense\n"] {
            let (mut speaker, _) = listener.accept().await.unwrap();
            speaker.write_all(words.as_bytes()).await.unwrap();
        }
        let (mut hangs, _) = listener.accept().await.unwrap();
        hangs.write_all(line(&[]).as_bytes()).await.unwrap();
        until(&mut heard, |speech| speech.silence.is_none() && speech.peers.is_empty()).await;
        hangs.write_all(b"nonsense\n").await.unwrap();
        let silent = until(&mut heard, |speech| speech.silence.is_some()).await;
        assert!(silent.silence.unwrap().contains("for 3 s, but a line that cannot be read"));
    }
}
