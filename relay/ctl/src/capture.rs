//! `culvertctl capture`: which packets come to a relay, and what becomes of each?

use std::{
    fs::File,
    io::{self, IsTerminal},
    path::Path,
    process::Stdio,
};

use crate::{
    Answer,
    cli::CaptureArgs,
    cluster::{Cluster, cannot_start},
    failure::Failure,
};

/// The relay's container and program in its pod.
const CONTAINER: &str = "relay";
const PROGRAM: &str = "/culvert-relay";

/// What is written is the relay's, byte for byte, and so are the sentences on standard error.
pub(crate) fn run(args: &CaptureArgs) -> Result<Answer, Failure> {
    let out = destination(&args.write)?;
    let flags = args.request.flags();
    let command: Vec<&str> = [PROGRAM, "capture"].into_iter().chain(flags.iter().map(String::as_str)).collect();
    let mut kubectl = Cluster::new(&args.kube).exec(&args.relay, CONTAINER, &command);
    let status = kubectl.stdin(Stdio::null()).stdout(out).status().map_err(|error| cannot_start(&error))?;
    if status.success() {
        return Ok(Answer::Yes);
    }
    let command = format!("kubectl exec {} -c {CONTAINER} -- {PROGRAM} capture", args.relay);
    Err(Failure::Kubectl { command, why: status.to_string() })
}

fn destination(path: &Path) -> Result<Stdio, Failure> {
    if path != Path::new("-") {
        return File::create(path).map(Stdio::from).map_err(|error| Failure::file(path, error));
    }
    if io::stdout().is_terminal() {
        return Err(Failure::usage("a capture is no text for a terminal: -w FILE, or a pipe to wireshark or tshark"));
    }
    Ok(Stdio::inherit())
}
