//! The packets of all cases, and the domains that most of them use: what the other tests start from.

use std::{fs, path::Path};

use crate::layers;

/// The fleet of `cases/domains.yaml`.
pub(crate) fn fleet() -> mape::Fleet {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/domains.yaml");
    crds::manifest::load(&[file]).unwrap_or_else(|errors| panic!("{errors:?}")).fleet
}

/// Every packet of every case.
pub(crate) fn packets() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let folders =
        fs::read_dir(root).expect("the cases").map(|entry| entry.expect("a case").path()).filter(|path| path.is_dir());
    let mut folders: Vec<_> = folders.collect();
    folders.sort();
    let texts = folders.iter().map(|folder| fs::read_to_string(folder.join("case.txt")).expect("a case.txt"));
    let packets: Vec<Vec<u8>> = texts.flat_map(|text| text.lines().filter_map(packet).collect::<Vec<_>>()).collect();
    assert!(packets.len() > 100, "only {} packets found", packets.len());
    packets
}

fn packet(line: &str) -> Option<Vec<u8>> {
    match line.split_once(' ')? {
        ("in", packet) => Some(layers::parse(packet)),
        ("raw", bytes) => Some(layers::parse(&format!("hex={bytes}"))),
        _ => None,
    }
}
