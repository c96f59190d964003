//! Which revision was in use when: the only log that MAP needs, since who had an address and a port at some time follows
//! from it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};

const FILE: &str = "history.jsonl";

/// As many bytes as the file may have before its older half goes.
const MAX_BYTES: u64 = 4 << 20;

/// As many activations as /state shows.
pub(crate) const SHOWN: usize = 20;

/// A revision, or manifests, went into use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Activation {
    /// The revision's number; manifests have none.
    pub(crate) sequence: Option<u64>,
    pub(crate) hash: String,
    /// When (RFC 3339).
    pub(crate) at: String,
    pub(crate) domains: usize,
    pub(crate) rules: usize,
}

/// The newest ones in the file, oldest first. A last line that is cut off is none.
///
/// # Errors
/// If the file is there and cannot be read.
pub(crate) fn load(state: &Path) -> io::Result<Vec<Activation>> {
    let text = match fs::read_to_string(state.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text?,
    };
    let mut last: Vec<Activation> =
        text.lines().rev().filter_map(|line| serde_json::from_str(line).ok()).take(SHOWN).collect();
    last.reverse();
    Ok(last)
}

/// Adds one.
///
/// # Errors
/// What the file system says.
pub(crate) fn append(state: &Path, activation: &Activation) -> io::Result<()> {
    let path = state.join(FILE);
    halve(&path)?;
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    let mut line = Vec::new();
    // Behind a line that was cut off.
    if !ends_with_a_line(&path)? {
        line.push(b'\n');
    }
    line.extend(serde_json::to_vec(activation)?);
    line.push(b'\n');
    file.write_all(&line)?;
    file.sync_all()
}

fn ends_with_a_line(path: &Path) -> io::Result<bool> {
    let text = fs::read(path)?;
    Ok(text.last().is_none_or(|byte| *byte == b'\n'))
}

/// Keeps the newer half of a file that is full.
fn halve(path: &Path) -> io::Result<()> {
    if !fs::metadata(path).is_ok_and(|found| found.len() > MAX_BYTES) {
        return Ok(());
    }
    let text = fs::read_to_string(path)?;
    let lines: Vec<&str> = text.lines().collect();
    let fresh = path.with_extension("new");
    let mut file = File::create(&fresh)?;
    for line in &lines[lines.len() / 2..] {
        writeln!(file, "{line}")?;
    }
    file.sync_all()?;
    fs::rename(fresh, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activation(sequence: u64) -> Activation {
        Activation {
            sequence: Some(sequence),
            hash: "ab".repeat(32),
            at: "2026-11-24T14:00:00Z".to_owned(),
            domains: 1,
            rules: 2,
        }
    }

    #[test]
    fn the_newest_are_shown_in_order() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(load(state.path()).unwrap(), []);
        (1..=30).for_each(|sequence| append(state.path(), &activation(sequence)).unwrap());
        let shown: Vec<_> = load(state.path()).unwrap().iter().filter_map(|it| it.sequence).collect();
        assert_eq!(shown, (11..=30).collect::<Vec<_>>());
    }

    #[test]
    fn a_line_that_was_cut_off_hurts_no_other() {
        let state = tempfile::tempdir().unwrap();
        append(state.path(), &activation(1)).unwrap();
        let path = state.path().join(FILE);
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str(r#"{"sequence": 2, "ha"#);
        fs::write(&path, text).unwrap();
        append(state.path(), &activation(3)).unwrap();
        assert_eq!(load(state.path()).unwrap(), [activation(1), activation(3)]);
    }

    #[test]
    fn it_does_not_grow_forever() {
        let state = tempfile::tempdir().unwrap();
        let line = serde_json::to_string(&activation(1)).unwrap() + "\n";
        fs::write(state.path().join(FILE), line.repeat(MAX_BYTES as usize / line.len() + 1)).unwrap();
        append(state.path(), &activation(2)).unwrap();
        let size = fs::metadata(state.path().join(FILE)).unwrap().len();
        assert!(size < MAX_BYTES / 2 + 1000, "{size}");
        assert_eq!(load(state.path()).unwrap().last(), Some(&activation(2)));
    }
}
