//! Arbitrary bytes as a capture: whatever can be read reads the same when it is written, and through any buffer.

use std::{io::Cursor, path::Path};

use culvertctl::replay::{
    capture::{BUFFER, Capture},
    link::{self, Framed},
    pcap::{LAST, Writer},
};

/// Smaller than many a record, so that it has to be filled and shifted.
const SMALL: usize = 1 << 10;

/// When, and what.
type Frame = (u64, Vec<u8>);

/// Reads one input.
pub fn run(bytes: &[u8]) {
    let Some(whole) = read(bytes, BUFFER) else { return };
    if let Some(part) = read(bytes, SMALL) {
        assert!(whole.frames.starts_with(&part.frames), "the size of the buffer changes what is read");
    }
    let again = read(&written(&whole), BUFFER).expect("what was written begins as a capture does");
    assert!(again.is_whole, "what was written breaks off");
    assert_eq!(again.is_nanosecond, whole.is_nanosecond);
    let unit = if whole.is_nanosecond { 1 } else { 1000 };
    let can_be_said = |(time, frame): Frame| (time.min(LAST) / unit * unit, frame);
    assert_eq!(again.frames, whole.frames.into_iter().map(can_be_said).collect::<Vec<Frame>>());
}

struct Reading {
    is_nanosecond: bool,
    frames: Vec<Frame>,
    /// Whether it was read to its end.
    is_whole: bool,
}

/// `None` if it does not begin as a capture does.
fn read(bytes: &[u8], buffer: usize) -> Option<Reading> {
    let mut frames = Vec::new();
    let mut capture = Capture::new(Path::new("any.pcap"), Cursor::new(bytes.to_vec()), buffer)
        .inspect_err(|failure| said(&failure.to_string()))
        .ok()?;
    let result = capture.read(|record| {
        assert!(record.data.len() <= bytes.len(), "more than there is");
        match link::unwrap(record.link, record.data) {
            Framed::Ip(packet) => assert!(record.data.ends_with(packet), "a packet from somewhere else"),
            Framed::NotIp | Framed::CutShort => {}
        }
        frames.push((record.time, record.data.to_vec()));
        Ok(())
    });
    let is_whole = result.inspect_err(|failure| said(&failure.to_string())).is_ok();
    Some(Reading { is_nanosecond: capture.is_nanosecond(), frames, is_whole })
}

fn said(failure: &str) {
    assert!(failure.starts_with("any.pcap: ") && !failure.contains(char::is_control), "{failure:?}");
}

fn written(reading: &Reading) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes, reading.is_nanosecond).expect("memory takes all");
    for (time, frame) in &reading.frames {
        writer.write(*time, frame).expect("memory takes all");
    }
    bytes
}
