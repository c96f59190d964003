//! Files to a revision. Whatever is in them, no more memory is used than the index may promise.

use std::{
    cmp::Ordering,
    io::{BufRead, BufReader, Read},
};

use flate2::bufread::GzDecoder;
use kube::core::ObjectMeta;

use super::{Domain, Error, Files, INDEX, Index, Revision};
use crate::{MapDomain, canonical::Canonical, convert, map_domain::default_relay_refs};

/// Reads a revision from its files, whichever ConfigMaps or directory they come from.
///
/// # Errors
/// What is missing, so far or for good: [`Error::is_not_yet`] tells which.
pub fn decode(files: &Files) -> Result<Revision, Error> {
    let index = Index::parse(files.get(INDEX).ok_or(Error::NoIndex)?)?;
    let packed = index.collect(files)?;
    let domains = unpack(&packed, index.bytes)?;
    let revision = Revision { fleet: index.fleet, sequence: index.sequence, domains, traceparent: index.traceparent };
    count("domains", index.domains, revision.domains.len())?;
    count("rules", index.rules, revision.rules())?;
    let found = revision.hash();
    if found == index.hash { Ok(revision) } else { Err(Error::WrongHash { promised: index.hash, found }) }
}

fn count(what: &'static str, promised: u64, found: usize) -> Result<(), Error> {
    let found = found as u64;
    if promised == found { Ok(()) } else { Err(Error::WrongCount { what, promised, found }) }
}

/// The domains, by namespace and name as they were written. Line by line: the whole text may be far larger than what it
/// says.
fn unpack(packed: &[u8], promised: u64) -> Result<Vec<Domain>, Error> {
    let mut packed = packed;
    let mut lines = BufReader::new(GzDecoder::new(&mut packed).take(promised + 1));
    let (mut line, mut found, mut domains) = (Vec::new(), 0, Vec::<Domain>::new());
    loop {
        line.clear();
        let length = lines.read_until(b'\n', &mut line).map_err(|error| Error::BadGzip(error.to_string()))?;
        found += length as u64;
        if found > promised || (length == 0 && found < promised) {
            return Err(Error::WrongLength { promised, found });
        }
        if length == 0 {
            break;
        }
        let domain = domain(&line, domains.len() + 1)?;
        let order = domains.last().map_or(Ordering::Less, |last| last.config.name.cmp(&domain.config.name));
        match order {
            Ordering::Less => domains.push(domain),
            Ordering::Equal => return Err(Error::Twice(domain.config.name)),
            Ordering::Greater => {
                return Err(Error::BadLine { line: domains.len() + 1, why: "out of order".to_owned() });
            }
        }
    }
    drop(lines);
    if packed.is_empty() { Ok(domains) } else { Err(Error::BadGzip("there is more behind its end".to_owned())) }
}

fn domain(text: &[u8], line: usize) -> Result<Domain, Error> {
    let Canonical { namespace, name, created, mut spec } =
        serde_json::from_slice(text).map_err(|error| Error::BadLine { line, why: error.to_string() })?;
    let advertise = spec.advertise.clone();
    spec.relay_refs = default_relay_refs();
    let metadata = ObjectMeta { name: Some(name), namespace: Some(namespace), ..ObjectMeta::default() };
    let (config, problems) = convert::read(&MapDomain { metadata, spec, status: None });
    if !problems.is_empty() {
        return Err(Error::BadDomain { name: config.name, problems });
    }
    Ok(Domain::new(mape::DomainConfig { created, ..config }, &advertise))
}
