//! What must hold for any bytes at all: each target is a function that panics if it does not. `src/bin` gives them to
//! libFuzzer, `tests/corpus.rs` gives them what is committed in `corpus`.
//!
//! | target | any bytes as | must give |
//! |---|---|---|
//! | [`process`] | a sequence of packets with their times | sound packets, to and from the right CEs, the same at any batch size |
//! | [`parse`] | one packet | what the reference model says, byte for byte |
//! | [`manifests`] | YAML or JSON | errors with lines that exist, or a fleet that compiles and reads the same when written |
//! | [`pcap`] | a capture | records that read the same when written, or an error |
//! | [`junos`] | a Junos configuration | manifests that load, or errors with lines that exist |
#![forbid(unsafe_code)]

pub mod junos;
pub mod manifests;
pub mod parse;
pub mod pcap;
pub mod process;

mod fleet;
mod input;
mod sound;

// The differential test of `reference` plays what it makes up; `parse` plays what libFuzzer does.
#[path = "../../reference/tests/differential/compare.rs"]
mod compare;
#[path = "../../reference/tests/differential/model.rs"]
mod model;
#[path = "../../reference/tests/differential/subject.rs"]
mod subject;
