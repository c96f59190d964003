//! All domains of all files: do they fit together?

use std::collections::HashMap;

use mape::{DomainConfig, DomainName, Fleet, Problem};

use super::{
    Error, Manifest, Source,
    document::{Draft, said},
    files::Input,
    tree::{self, Document},
};
use crate::{FleetConfig, manifest};

/// Drafts with the number of their input.
pub(super) type Drafts = Vec<(usize, Draft)>;

/// Compiles the drafts, or says all that is wrong with their values and all that lies between them.
pub(super) fn compile(inputs: &[Input], drafts: &mut Drafts) -> Result<Fleet, Vec<Error>> {
    let mut errors = duplicates(inputs, drafts);
    let mut problems = Vec::new();
    let as_read = drafts.iter().map(|(_, draft)| draft.manifest.config.clone()).collect();
    match Fleet::new(as_read) {
        Ok(fleet) if errors.is_empty() => return Ok(fleet),
        Ok(_) => {}
        Err(found) => {
            blame(drafts, found, &mut problems);
            // A value that is wrong hides what lies between domains: look again without it.
            blame(drafts, Fleet::new(sound(drafts)).err().unwrap_or_default(), &mut problems);
        }
    }
    errors.extend(locate(inputs, drafts, problems));
    Err(errors)
}

/// What is wrong between fleets, and between them and the domains that name them.
pub(super) fn fleets(inputs: &[Input], drafts: &Drafts, fleets: &[manifest::Fleet]) -> Vec<Error> {
    let mut errors = Vec::new();
    for (at, fleet) in fleets.iter().enumerate() {
        if let Some(first) = fleets[..at].iter().find(|other| other.config.name == fleet.config.name) {
            let Source { file, line } = &first.source;
            let why = format!("{}:{line} has that namespace and name", file.display());
            let message = format!("found {}, allowed a name of its own: {why}", fleet.config.name);
            let Source { file, line } = fleet.source.clone();
            errors.push(Error { file, line: Some(line), field: "metadata.name".to_owned(), message });
        }
    }
    let mut problems = Vec::new();
    for (at, (_, draft)) in drafts.iter().enumerate() {
        let refused = fleets.iter().filter(|fleet| serves(fleet, draft)).flat_map(|fleet| {
            let FleetConfig { name, allowed, .. } = &fleet.config;
            allowed.refuse(name, &draft.manifest.config)
        });
        problems.extend(refused.filter(|it| !draft.blame.covers(&it.field)).map(|problem| (at, problem)));
    }
    errors.extend(locate(inputs, drafts, problems));
    errors
}

fn serves(fleet: &manifest::Fleet, draft: &Draft) -> bool {
    let DomainName { namespace, name } = &fleet.config.name;
    let Manifest { config, relay_refs, .. } = &draft.manifest;
    config.name.namespace == *namespace && relay_refs.contains(name)
}

/// Takes out the drafts whose namespace and name another one before has.
fn duplicates(inputs: &[Input], drafts: &mut Drafts) -> Vec<Error> {
    let mut seen: HashMap<DomainName, usize> = HashMap::new();
    let mut again = Vec::new();
    for (at, (_, draft)) in drafts.iter().enumerate() {
        if let Some(first) = seen.get(&draft.manifest.config.name) {
            again.push((at, *first));
        } else {
            seen.insert(draft.manifest.config.name.clone(), at);
        }
    }
    let problem = |(at, first): &(usize, usize)| {
        let name = drafts[*at].1.manifest.config.name.clone();
        let source = &drafts[*first].1.manifest.source;
        let why = format!("{}:{} has that namespace and name", source.file.display(), source.line);
        let (found, allowed) = (name.to_string(), "a name of its own".to_owned());
        let field = "metadata.name".to_owned();
        (*at, Problem { domain: name, field, found, allowed, why: why.into(), conflicts_with: None })
    };
    let errors = locate(inputs, drafts, again.iter().map(problem).collect());
    for (at, _) in again.into_iter().rev() {
        drafts.remove(at);
    }
    errors
}

/// The drafts with stand-ins for all that was reported.
fn sound(drafts: &Drafts) -> Vec<DomainConfig> {
    let mut numbers = 1..;
    let replaced = |(_, draft): &(usize, Draft)| draft.blame.replace(draft.manifest.config.clone(), &mut numbers);
    drafts.iter().filter_map(replaced).collect()
}

/// Sorts new problems to their drafts, leaving out what is a consequence of others.
fn blame(drafts: &mut Drafts, found: Vec<Problem>, problems: &mut Vec<(usize, Problem)>) {
    let by_name: HashMap<DomainName, usize> =
        drafts.iter().enumerate().map(|(at, (_, draft))| (draft.manifest.config.name.clone(), at)).collect();
    let before = problems.len();
    for problem in found {
        if let Some(at) = by_name.get(&problem.domain).filter(|at| !drafts[**at].1.blame.covers(&problem.field)) {
            problems.push((*at, problem));
        }
    }
    // Only now: several may concern one rule.
    for (at, problem) in &problems[before..] {
        drafts[*at].1.blame.add(&problem.field);
    }
}

/// Finds the lines. Texts are parsed anew, one at a time: keeping every tree would cost more than the domains.
fn locate(inputs: &[Input], drafts: &Drafts, mut problems: Vec<(usize, Problem)>) -> Vec<Error> {
    problems.sort_by_key(|(at, _)| drafts[*at].0);
    let manifests = drafts.iter().map(|(_, draft)| &draft.manifest);
    let sources = manifests.map(|manifest| (&manifest.config.name, &manifest.source)).collect();
    let mut errors = Vec::with_capacity(problems.len());
    for group in problems.chunk_by(|(a, _), (b, _)| drafts[*a].0 == drafts[*b].0) {
        let documents = tree::documents(&inputs[drafts[group[0].0].0].text);
        errors.extend(group.iter().map(|(at, problem)| error(&drafts[*at].1, problem, &documents, &sources)));
    }
    errors
}

fn error(
    draft: &Draft,
    problem: &Problem,
    documents: &[Document<'_>],
    sources: &HashMap<&DomainName, &Source>,
) -> Error {
    let Source { file, line } = &draft.manifest.source;
    let line = draft.place.find(documents).map_or(*line, |node| node.line_of(&problem.field));
    let other = problem.conflicts_with.as_ref().and_then(|other| sources.get(other));
    let place = other.map(|source| format!(" ({}:{})", source.file.display(), source.line)).unwrap_or_default();
    let message = said(problem) + &place;
    Error { file: file.clone(), line: Some(line), field: problem.field.clone(), message }
}
