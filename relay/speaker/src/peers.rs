//! Peer state for the relay: whoever connects to the socket gets a line of JSON at once, at every change, and every second.
//!
//! It is only told what was just seen: when BIRD does not answer, nobody is told anything, and the relay closes its gate.

use std::{io, path::Path, sync::Arc, time::Duration};

use tokio::{
    io::AsyncWriteExt,
    net::{UnixListener, UnixStream},
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    shared::{Peers, Shared},
    state::peer_line,
};

/// How often at least.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Who does not read for this long is not told any more: it can connect again.
const PATIENCE: Duration = Duration::from_secs(3);

/// Makes the socket, anew if an earlier speaker left it.
///
/// # Errors
/// If it cannot be made.
pub(crate) fn listen(folder: &Path) -> Result<UnixListener, String> {
    let path = folder.join("peers.sock");
    if let Err(error) = std::fs::remove_file(&path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(format!("{}: {error}", path.display()));
    }
    UnixListener::bind(&path).map_err(|error| format!("{} (--run-dir): {error}", path.display()))
}

/// Tells whoever connects, until the runtime ends.
pub(crate) async fn serve(listener: UnixListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let peers = shared.peers.subscribe();
                tokio::spawn(tell(stream, peers));
            }
            Err(error) => {
                tracing::warn!(%error, "nobody can connect to the peer socket");
                sleep(HEARTBEAT).await;
            }
        }
    }
}

/// Ends when the other side does, or does not read.
async fn tell(mut stream: UnixStream, mut peers: watch::Receiver<Peers>) {
    let mut told = None;
    let mut last = tokio::time::Instant::now();
    peers.mark_changed();
    // Each look at BIRD marks a change: no look, no heartbeat.
    while peers.changed().await.is_ok() {
        let (sequence, line) = {
            let now = peers.borrow_and_update();
            (now.sequence, serde_json::to_string(&peer_line(&now)))
        };
        let is_due = told != Some(sequence) || last.elapsed() >= HEARTBEAT - Duration::from_millis(200);
        let Some(line) = line.ok().filter(|_| is_due && sequence > 0) else { continue };
        match timeout(PATIENCE, stream.write_all(format!("{line}\n").as_bytes())).await {
            Ok(Ok(())) => (told, last) = (Some(sequence), tokio::time::Instant::now()),
            _ => return,
        }
    }
}
