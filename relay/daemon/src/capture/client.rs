//! `culvert-relay capture`: asks the relay beside it, and passes on what it answers.

use std::{
    io::{self, Write},
    os::unix::net::UnixStream,
};

use ::capture::frame::{Frame, ask};

use crate::{cli::CaptureOptions, failure::Failure};

/// Writes the capture to the standard output, and how it ended to the standard error.
pub(crate) fn run(options: &CaptureOptions) -> Result<(), Failure> {
    let socket = options.socket.display();
    let broken = |what: &str, error: io::Error| Failure::Broken(format!("{what}: {error}"));
    let mut stream = UnixStream::connect(&options.socket)
        .map_err(|error| broken(&format!("no relay answers at {socket} (--socket)"), error))?;
    ask(&mut stream, &options.request).map_err(|error| broken("the relay does not listen", error))?;
    let mut out = io::stdout().lock();
    loop {
        match Frame::read(&mut stream).map_err(|error| broken("the relay broke off", error))? {
            Frame::Bytes(bytes) => {
                out.write_all(&bytes).and_then(|()| out.flush()).map_err(|error| broken("standard output", error))?;
            }
            Frame::End(why) => {
                let _ = writeln!(io::stderr(), "{why}");
                return Ok(());
            }
            Frame::Refused(why) => return Err(Failure::Broken(why)),
        }
    }
}
