//! A revision to its files. Equal revisions have equal bytes: to write one again changes nothing.

use std::io::{self, Write};

use flate2::{Compression, write::GzEncoder};
use mape::DomainName;

use super::{CHUNK_BYTES, Chunk, Error, Files, INDEX, Index, MAX_BYTES, MAX_CHUNKS, Object, Revision};
use super::{Domain, format_version, object::object_name};
use crate::canonical::sha256;

/// The ConfigMaps of a revision; the one with the index is the first. Write it last.
///
/// # Errors
/// [`Error::TooLarge`], [`Error::Twice`], and [`Error::Unwritable`] for a number, fleet or trace that none can read.
pub fn encode(revision: &Revision) -> Result<Vec<Object>, Error> {
    let domains = sorted(revision)?;
    let (packed, bytes) = pack(&domains).map_err(|error| Error::Unwritable(error.to_string()))?;
    let parts: Vec<&[u8]> = packed.chunks(CHUNK_BYTES).collect();
    if bytes > MAX_BYTES || parts.len() > MAX_CHUNKS {
        return Err(Error::TooLarge { bytes, chunks: parts.len() });
    }
    let chunks = parts.iter().enumerate().map(|(at, part)| chunk(revision, at, parts.len(), part)).collect();
    let index = Index {
        format_version: format_version(revision.domains.iter().map(|domain| &domain.config)),
        fleet: revision.fleet.clone(),
        sequence: revision.sequence,
        hash: revision.hash(),
        domains: domains.len() as u64,
        rules: revision.rules() as u64,
        bytes,
        chunks,
        traceparent: revision.traceparent.clone(),
    };
    objects(&index, &parts)
}

/// The domains by namespace and name.
fn sorted(revision: &Revision) -> Result<Vec<&Domain>, Error> {
    let name = |domain: &Domain| -> DomainName { domain.config.name.clone() };
    let mut domains: Vec<&Domain> = revision.domains.iter().collect();
    domains.sort_by(|a, b| a.config.name.cmp(&b.config.name));
    let twice = domains.windows(2).find(|pair| pair[0].config.name == pair[1].config.name);
    twice.map_or(Ok(()), |pair| Err(Error::Twice(name(pair[0]))))?;
    Ok(domains)
}

/// The packed domains, and how many bytes they were.
fn pack(domains: &[&Domain]) -> io::Result<(Vec<u8>, u64)> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    let (mut line, mut bytes) = (Vec::new(), 0);
    for domain in domains {
        // Whole lines: a compressor that is fed in bits takes several times as long.
        line.clear();
        domain.canonical().write(&mut line)?;
        gzip.write_all(&line)?;
        bytes += line.len() as u64;
    }
    Ok((gzip.finish()?, bytes))
}

/// A lone chunk lies beside the index, so that both change in one step.
fn chunk(revision: &Revision, at: usize, of: usize, part: &[u8]) -> Chunk {
    let object = object_name(&revision.fleet, if of == 1 { 0 } else { at + 1 });
    Chunk { object, file: format!("domains-{at}.gz"), sha256: sha256(part), bytes: part.len() as u64 }
}

fn objects(index: &Index, parts: &[&[u8]]) -> Result<Vec<Object>, Error> {
    let mut text = serde_json::to_vec_pretty(index).expect("plain data has a JSON form");
    text.push(b'\n');
    // What is written must be readable.
    Index::parse(&text).map_err(|error| Error::Unwritable(error.to_string()))?;
    let mut objects =
        vec![Object { name: object_name(&index.fleet, 0), files: Files::from([(INDEX.to_owned(), text)]) }];
    for (chunk, part) in index.chunks.iter().zip(parts) {
        if chunk.object != objects[0].name {
            objects.push(Object { name: chunk.object.clone(), files: Files::new() });
        }
        let object = objects.last_mut().expect("the index is there");
        object.files.insert(chunk.file.clone(), part.to_vec());
    }
    Ok(objects)
}
