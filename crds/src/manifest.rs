//! Files of manifests as one [`mape::Fleet`], or all that is wrong with them, with file and line.
//!
//! YAML and JSON, several documents in a file, lists of objects, whole folders. What is not ours is skipped and
//! recorded; what is ours and wrong is an error, and every error of every file is reported at once.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use mape::DomainConfig;

use files::Input;
use scalar::shown;
use together::Drafts;

mod blame;
mod document;
mod error;
mod files;
mod scalar;
mod schema;
mod suggest;
mod together;
mod tree;
mod walk;

pub use error::Error;

use crate::{
    FleetConfig,
    canonical::{self, Canonical},
};

/// All the domains of some files: sound each and together.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The domains, in the order of the files and documents.
    pub domains: Vec<Manifest>,
    /// The same domains, compiled and checked together.
    pub fleet: mape::Fleet,
    /// The fleets, `BorderRelay` objects, in the order of the files and documents. What a relay forwards by does not depend
    /// on them; a domain that names one of them is checked against what it allows.
    pub fleets: Vec<Fleet>,
    /// SHA-256, in hex, of a canonical encoding of the domains: equal if and only if they say the same.
    pub hash: String,
    /// The objects that are not for us: those of other API groups.
    pub skipped: Vec<Skipped>,
}

/// One `MapDomain`, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The domain.
    pub config: DomainConfig,
    /// The fleets that serve it.
    pub relay_refs: Vec<String>,
    /// The BGP communities of its announcements.
    pub communities: Vec<String>,
    /// The BGP local preference of its announcements, if it states one.
    pub local_preference: Option<u32>,
    /// Where it is written.
    pub source: Source,
}

impl Manifest {
    fn canonical(&self) -> Canonical {
        Canonical::new(&self.config, &self.communities, self.local_preference)
    }
}

/// One `BorderRelay`, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Fleet {
    /// What it means.
    pub config: FleetConfig,
    /// Where it is written.
    pub source: Source,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// The file as it was named, or found in a folder; [`STDIN`] for the standard input.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
}

/// An object that is not for us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Where it is written.
    pub source: Source,
    /// Its `apiVersion`.
    pub api_version: String,
    /// Its `kind`.
    pub kind: String,
    /// Its name, if it has one.
    pub name: Option<String>,
}

/// What the standard input, `-` among the paths, is called in errors.
pub const STDIN: &str = "<stdin>";

/// Reads files, folders (their `*.yaml`, `*.yml` and `*.json`, sorted, not their folders) and, as `-`, the standard
/// input.
///
/// # Errors
/// Everything that is wrong with any of them, in the order of the files and lines.
pub fn load(paths: &[PathBuf]) -> Result<Loaded, Vec<Error>> {
    let (inputs, errors) = files::read(paths);
    load_inputs(&inputs, errors)
}

/// Reads one text, called `name` in errors.
///
/// # Errors
/// Everything that is wrong with it, in the order of its lines.
pub fn parse(name: impl AsRef<Path>, text: &str) -> Result<Loaded, Vec<Error>> {
    load_inputs(&[Input { file: name.as_ref().to_owned(), text: text.to_owned() }], Vec::new())
}

fn load_inputs(inputs: &[Input], mut errors: Vec<Error>) -> Result<Loaded, Vec<Error>> {
    let (mut drafts, mut fleets, mut skipped) = (Drafts::new(), Vec::new(), Vec::new());
    for (at, input) in inputs.iter().enumerate() {
        let contents = document::read(input);
        drafts.extend(contents.drafts.into_iter().map(|draft| (at, draft)));
        fleets.extend(contents.fleets);
        skipped.extend(contents.skipped);
        errors.extend(contents.errors);
    }
    if drafts.is_empty() && fleets.is_empty() && errors.is_empty() {
        errors.extend(inputs.first().map(|input| nothing_in(input, &skipped)));
    }
    errors.extend(together::fleets(inputs, &drafts, &fleets));
    match together::compile(inputs, &mut drafts) {
        Ok(fleet) if errors.is_empty() => Ok(finish(drafts, fleet, fleets, skipped)),
        Ok(_) => Err(in_order(inputs, errors)),
        Err(more) => Err(in_order(inputs, errors.into_iter().chain(more).collect())),
    }
}

fn finish(drafts: Drafts, fleet: mape::Fleet, fleets: Vec<Fleet>, skipped: Vec<Skipped>) -> Loaded {
    let domains: Vec<Manifest> = drafts.into_iter().map(|(_, draft)| draft.manifest).collect();
    let hash = canonical::hash(domains.iter().map(Manifest::canonical));
    Loaded { domains, fleet, fleets, hash, skipped }
}

/// Nothing to forward by is never what someone meant.
fn nothing_in(input: &Input, skipped: &[Skipped]) -> Error {
    let first = skipped.iter().take(3);
    let others: Vec<String> = first.map(|it| shown(&format!("{} {}", it.api_version, it.kind))).collect();
    let more = if skipped.len() > others.len() { ", ..." } else { "" };
    let found = if others.is_empty() { "nothing".to_owned() } else { others.join(", ") + more };
    let message = format!("no MapDomain or BorderRelay in any file: found {found}");
    Error { file: input.file.clone(), line: None, field: String::new(), message }
}

/// By file, in the order given, then by line.
fn in_order(inputs: &[Input], mut errors: Vec<Error>) -> Vec<Error> {
    let places: HashMap<&Path, usize> = inputs.iter().enumerate().map(|(at, input)| (&*input.file, at)).collect();
    errors.sort_by_key(|error| (places.get(&*error.file).copied(), error.line));
    errors
}
