//! The socket, and a thread for each who asks there.

use std::{
    fs,
    io::{self, BufWriter, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use ::capture::{
    Request,
    frame::{Frame, asked},
    pcapng,
};

use super::tap::{Reader, now};
use crate::shared::Shared;

/// How long a request may take to come, and a reader to take what it asked for.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often something is written while nothing comes, to see whether there still is a reader.
const SIGN: Duration = Duration::from_secs(1);

/// As many bytes as a frame of the answer has.
const FRAME: usize = 64 << 10;

/// The socket's file, which goes when this does.
pub(crate) struct Server(PathBuf);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Serves at that path until the process ends. One that a killed relay has left is replaced.
///
/// # Errors
/// Why there can be no socket.
pub(crate) fn serve(path: &Path, shared: Arc<Shared>) -> io::Result<Server> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    let server = Server(path.to_owned());
    thread::Builder::new().name("culvert-capture".to_owned()).spawn(move || accept(&listener, &shared))?;
    Ok(server)
}

fn accept(listener: &UnixListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        let shared = Arc::clone(shared);
        let answer = move |stream: UnixStream| {
            if let Err(error) = answer(&stream, &shared) {
                tracing::info!(%error, "a capture ended before its time");
            }
        };
        let thread = thread::Builder::new().name("culvert-capture".to_owned());
        if let Err(error) = stream.and_then(|stream| thread.spawn(move || answer(stream))) {
            tracing::warn!(%error, "somebody who asks for a capture cannot be answered");
            // Of descriptors or threads, there may be more in a moment.
            thread::sleep(PATIENCE);
        }
    }
}

fn answer(stream: &UnixStream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // Whoever may connect is bound by the file's mode; one that was made more open than it should is not enough.
    let user = rustix::net::sockopt::socket_peercred(stream)?.uid;
    if !user.is_root() && user != rustix::process::geteuid() {
        return refuse(stream, "only root, or the user that the relay runs as, may capture");
    }
    let request = match asked(stream) {
        Ok(request) => request,
        Err(error) => return refuse(stream, &error.to_string()),
    };
    let Some(reader) = shared.tap.begin(request.clone()) else {
        return refuse(stream, "another capture is on: one at a time");
    };
    let filter = request.flags().join(" ");
    tracing::info!(filter, "a capture begins");
    let why = capture(stream, &reader, &request, &filter, &shared.device_name())?;
    tracing::info!(filter, "a capture ended: {why}");
    Frame::End(why).write(&mut &*stream)
}

fn refuse(mut stream: &UnixStream, why: &str) -> io::Result<()> {
    Frame::Refused(why.to_owned()).write(&mut stream)
}

/// Writes packets until there are enough, or time is over; says which, in a sentence.
fn capture(
    stream: &UnixStream,
    reader: &Reader<'_>,
    request: &Request,
    filter: &str,
    device: &str,
) -> io::Result<String> {
    let mut out = BufWriter::with_capacity(FRAME, Framed(stream));
    pcapng::begin(&mut out, device, filter, request.snap_length)?;
    let end = Instant::now() + Duration::from_secs(request.seconds.into());
    let mut written = 0;
    while written < request.packets && Instant::now() < end {
        match next(&mut out, reader, end)? {
            Some(record) => {
                pcapng::packet(&mut out, &record)?;
                written += 1;
            }
            None => pcapng::statistics(&mut out, now(), reader.counts())?,
        }
    }
    let counts = reader.counts();
    pcapng::statistics(&mut out, now(), counts)?;
    out.flush()?;
    Ok(format!("{written} packets captured, {} more lost for want of time to write them", counts.lost))
}

/// The next packet, if one comes in a while. All there is goes out before anybody waits.
fn next(out: &mut impl Write, reader: &Reader<'_>, end: Instant) -> io::Result<Option<pcapng::Packet>> {
    if let Ok(record) = reader.records.try_recv() {
        return Ok(Some(record));
    }
    out.flush()?;
    let left = end.saturating_duration_since(Instant::now());
    Ok(reader.records.recv_timeout(left.min(SIGN)).ok())
}

/// Bytes as frames.
struct Framed<'s>(&'s UnixStream);

impl Write for Framed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let part = &bytes[..bytes.len().min(FRAME)];
        Frame::Bytes(part.to_vec()).write(&mut self.0)?;
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
