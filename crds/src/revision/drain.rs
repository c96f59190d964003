//! The pods that have to leave: a file beside the revision, which changes without it.
//!
//! The operator writes it when a node is cordoned or a fleet shrinks. A pod that finds its name there drains as it would at
//! SIGTERM, and comes back when the name is gone.

use std::collections::BTreeSet;

/// Its file, in the ConfigMap of the index: one name a line.
pub const FILE: &str = "drain";

/// The file for these pods.
#[must_use]
pub fn encode(pods: &BTreeSet<String>) -> Vec<u8> {
    pods.iter().flat_map(|pod| [pod.as_bytes(), b"\n"].concat()).collect()
}

/// The pods in the file; none if there is no file. What is no name names nobody.
#[must_use]
pub fn decode(file: Option<&[u8]>) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(file.unwrap_or_default());
    text.lines().map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}
