//! The index: which revision it is, and what belongs to it.

use serde::{Deserialize, Serialize};

use super::{CHUNK_BYTES, Error, FORMAT_VERSION, Files, MAX_BYTES, MAX_CHUNKS};
use crate::canonical::sha256;

/// Which revision it is, and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// The format, [`FORMAT_VERSION`] at most.
    pub format_version: u32,
    /// The fleet: the name of its `BorderRelay`.
    pub fleet: String,
    /// The revision's number.
    pub sequence: u64,
    /// SHA-256, in hex, of what the domains say.
    pub hash: String,
    /// How many domains there are.
    pub domains: u64,
    /// How many mapping rules they have together.
    pub rules: u64,
    /// How many bytes the domains have, unpacked.
    pub bytes: u64,
    /// The chunks, in order.
    pub chunks: Vec<Chunk>,
    /// What led to the revision: a W3C `traceparent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// A part of the packed domains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The ConfigMap that holds it.
    pub object: String,
    /// Its file there, unlike that of any other chunk.
    pub file: String,
    /// SHA-256 of it, in hex.
    pub sha256: String,
    /// How many bytes it has.
    pub bytes: u64,
}

impl Index {
    /// Reads the bytes of [`INDEX`](super::INDEX).
    ///
    /// # Errors
    /// [`Error::NewerFormat`], [`Error::BadIndex`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Version {
            format_version: u64,
        }
        let bad = |error: serde_json::Error| Error::BadIndex(error.to_string());
        let Version { format_version } = serde_json::from_slice(bytes).map_err(bad)?;
        if format_version > FORMAT_VERSION.into() {
            return Err(Error::NewerFormat(format_version));
        }
        let index: Self = serde_json::from_slice(bytes).map_err(bad)?;
        index.complaint().map_or(Ok(index), |complaint| Err(Error::BadIndex(complaint)))
    }

    /// The chunks' bytes, in one, if they are all there and belong to this revision.
    ///
    /// # Errors
    /// [`Error::Incomplete`].
    pub fn collect(&self, files: &Files) -> Result<Vec<u8>, Error> {
        let (mut missing, mut stale, mut packed) = (Vec::new(), Vec::new(), Vec::new());
        for chunk in &self.chunks {
            match files.get(&chunk.file) {
                None => missing.push(chunk.file.clone()),
                Some(bytes) if !chunk.is(bytes) => stale.push(chunk.file.clone()),
                Some(bytes) => packed.extend_from_slice(bytes),
            }
        }
        let complete = missing.is_empty() && stale.is_empty();
        if complete { Ok(packed) } else { Err(Error::Incomplete { sequence: self.sequence, missing, stale }) }
    }

    fn complaint(&self) -> Option<String> {
        if self.format_version == 0 {
            return Some("formats begin with 1".to_owned());
        }
        if i64::try_from(self.sequence).is_err() {
            return Some(format!("sequence {} has more than 63 bits", self.sequence));
        }
        if self.bytes > MAX_BYTES {
            return Some(format!("{} bytes of domains, and {MAX_BYTES} are allowed", self.bytes));
        }
        if !(1..=MAX_CHUNKS).contains(&self.chunks.len()) {
            return Some(format!("{} chunks, and 1 to {MAX_CHUNKS} are allowed", self.chunks.len()));
        }
        let files: std::collections::BTreeSet<&str> = self.chunks.iter().map(|chunk| &*chunk.file).collect();
        if files.len() != self.chunks.len() {
            return Some("two chunks have one file".to_owned());
        }
        self.chunks.iter().find_map(Chunk::complaint)
    }
}

impl Chunk {
    fn is(&self, bytes: &[u8]) -> bool {
        self.bytes == bytes.len() as u64 && self.sha256 == sha256(bytes)
    }

    /// A name that leads elsewhere than into its own directory or namespace is none.
    fn complaint(&self) -> Option<String> {
        let is_plain = |name: &str| {
            let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
            (1..=253).contains(&name.len()) && name.bytes().all(inner) && !name.starts_with('.')
        };
        if !is_plain(&self.object) || !is_plain(&self.file) {
            return Some(format!("a chunk cannot be `{:.99}` in `{:.99}`", self.file, self.object));
        }
        let too_large = self.bytes > CHUNK_BYTES as u64;
        too_large.then(|| format!("{} has {} bytes, and {CHUNK_BYTES} are allowed", self.file, self.bytes))
    }
}
