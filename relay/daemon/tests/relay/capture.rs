//! `culvert-relay capture`: packets that cross, with what became of them.

use std::{
    cell::RefCell,
    fs,
    io::Read,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    thread,
};

use ::capture::frame::Frame;
use pcap_parser::{Block, parse_block_le};
use rustix::{process::Uid, thread::set_thread_uid};

use crate::{
    node::{BR, Node, Relay},
    pod::{CUSTOMER, HOST, Pod, udp},
};

/// A port of another customer's.
const FOREIGN: u16 = 4936;

fn socket(pod: &Pod) -> PathBuf {
    pod.state.path().join("capture.sock")
}

fn client(pod: &Pod, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_culvert-relay"));
    command.arg("capture").arg("--socket").arg(socket(pod)).args(flags);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Begins a capture, which may have to wait until the one before is over.
fn begin(pod: &Pod, relay: &Relay<'_>, flags: &[&str]) -> Child {
    let begun = relay.log().matches("a capture begins").count();
    let child = RefCell::new(client(pod, flags).spawn().unwrap());
    relay.until("a capture begins", |relay| {
        if child.borrow_mut().try_wait().unwrap().is_some() {
            *child.borrow_mut() = client(pod, flags).spawn().unwrap();
        }
        relay.log().matches("a capture begins").count() > begun
    });
    child.into_inner()
}

/// Length, bytes and comment of each packet.
fn packets(file: &[u8]) -> Vec<(u32, Vec<u8>, String)> {
    let (mut rest, mut found) = (file, Vec::new());
    while !rest.is_empty() {
        let (behind, block) = parse_block_le(rest).unwrap();
        if let Block::EnhancedPacket(packet) = block {
            let comment = &packet.options[0];
            let comment = String::from_utf8(comment.value[..comment.len.into()].to_vec()).unwrap();
            found.push((packet.origlen, packet.data[..packet.caplen as usize].to_vec(), comment));
        }
        rest = behind;
    }
    found
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// One each way, and one whose source is another customer's.
#[test]
fn packets_come_with_their_verdicts() {
    let pod = Pod::new();
    let relay = pod.relay(&[]);
    let child = begin(&pod, &relay, &["--address", CUSTOMER, "--packets", "3", "--snap-length", "60"]);
    assert!(pod.crosses(), "{}", relay.log());
    let host = format!("{HOST}:9").parse().unwrap();
    pod.ce().send(BR.parse().unwrap(), &udp((CUSTOMER.parse().unwrap(), FOREIGN), host, b"not mine"));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("3 packets captured, 0 more lost"), "{}", said(&output));
    let packets = packets(&output.stdout);
    let comments: Vec<_> = packets.iter().map(|(_, _, comment)| comment.split(", queue").next().unwrap()).collect();
    let domain = "domain isps/isp-a";
    let expected = [
        format!("verdict emit, to_ce, {domain}"),
        format!("verdict emit, from_ce, {domain}"),
        format!("verdict drop SpoofedSource (answered), from_ce, {domain}"),
    ];
    assert_eq!(comments, expected);
    // As they came in: an IPv4 packet of 33 bytes, and two in IPv6 of which the first 60 bytes were kept.
    let sizes: Vec<_> = packets.iter().map(|(length, bytes, _)| (*length, bytes.len(), bytes[0] >> 4)).collect();
    assert_eq!(sizes, [(33, 33, 4), (75, 60, 6), (76, 60, 6)]);
    let (log, file) = (relay.log(), socket(&pod));
    assert!(log.contains("a capture ended: 3 packets"), "{log}");
    drop(relay.stop());
    assert!(!file.exists());
}

#[test]
fn a_filter_is_asked_of_the_verdict_too() {
    let pod = Pod::new();
    let relay = pod.relay(&[]);
    let child = begin(&pod, &relay, &["--domain", "isp-a", "--verdict", "drop", "--packets", "1"]);
    assert!(pod.crosses(), "{}", relay.log());
    let host = format!("{HOST}:9").parse().unwrap();
    pod.ce().send(BR.parse().unwrap(), &udp((CUSTOMER.parse().unwrap(), FOREIGN), host, b"not mine"));
    let output = child.wait_with_output().unwrap();
    let found = packets(&output.stdout);
    assert!(found.len() == 1 && found[0].2.contains("SpoofedSource"), "{found:?} {}", said(&output));
}

/// Only one looks at a time, and who leaves makes room for the next.
#[test]
fn one_at_a_time_and_it_ends_with_its_reader() {
    let pod = Pod::new();
    let relay = pod.relay(&[]);
    let mut first = begin(&pod, &relay, &["--port", "1", "--seconds", "3600"]);
    let second = client(&pod, &["--packets", "1"]).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(said(&second).contains("another capture is on"), "{}", said(&second));
    first.kill().unwrap();
    first.wait().unwrap();
    let mut third = begin(&pod, &relay, &["--port", "1", "--seconds", "3600"]);
    // It makes room first, and then says so.
    relay.until("the first is over", |relay| relay.log().contains("a capture ended before its time"));
    // The relay's end is the capture's.
    drop(relay.stop());
    assert_eq!(third.wait().unwrap().code(), Some(1));
    let mut why = String::new();
    third.stderr.take().unwrap().read_to_string(&mut why).unwrap();
    assert!(why.contains("the relay broke off"), "{why}");
    let last = client(&pod, &[]).output().unwrap();
    assert!(said(&last).contains("no relay answers at"), "{}", said(&last));
}

/// A capture that nothing is in ends when its time does.
#[test]
fn time_ends_it_too() {
    let pod = Pod::new();
    let relay = pod.relay(&[]);
    let output = begin(&pod, &relay, &["--port", "1", "--seconds", "1"]).wait_with_output().unwrap();
    assert!(output.status.success() && packets(&output.stdout).is_empty(), "{}", said(&output));
}

/// Even where the socket's file lets them in.
#[test]
fn other_users_may_not() {
    let pod = Pod::new();
    let relay = pod.relay(&[]);
    for path in [pod.state.path(), &socket(&pod)] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let path = socket(&pod);
    let ask = move || {
        set_thread_uid(Uid::from_raw(65534)).unwrap();
        Frame::read(&mut UnixStream::connect(path).unwrap()).unwrap()
    };
    let Frame::Refused(why) = thread::spawn(ask).join().unwrap() else { panic!("{}", relay.log()) };
    assert!(why.contains("only root"), "{why}");
}

/// Without a state directory there is a socket only where one is asked for.
#[test]
fn a_relay_of_manifests_has_a_socket_on_request() {
    let node = Node::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("here.sock");
    // Left by a relay that was killed.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    node.write("isp-a.yaml", &crate::node::isp_a());
    let relay = node.relay(&["--capture-socket", path.to_str().unwrap()]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_culvert-relay"));
    let output = command.args(["capture", "--seconds", "1", "--packets", "1", "--socket"]).arg(&path).output().unwrap();
    assert!(output.status.success(), "{} {}", said(&output), relay.log());
}
