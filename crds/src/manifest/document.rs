//! A document as what it is: a domain, a fleet, a list of objects, or something that is not for us.

use mape::Problem;
use serde_json::{Value as Json, json};

use super::{
    Error, Fleet, Manifest, Skipped, Source,
    blame::Blame,
    files::Input,
    scalar::shown,
    schema,
    tree::{Document, Fault, Node, Value},
    walk::{Finding, walk},
};
use crate::{BorderRelay, GROUP, MapDomain, MapDomainSpec, VERSION, convert};

/// Everything that was read from one input.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) drafts: Vec<Draft>,
    pub(super) fleets: Vec<Fleet>,
    pub(super) skipped: Vec<Skipped>,
    pub(super) errors: Vec<Error>,
}

/// A domain whose text was read, so far as it could be.
pub(super) struct Draft {
    pub(super) manifest: Manifest,
    /// The fields that have an error already, and stand-ins for their values.
    pub(super) blame: Blame,
    pub(super) place: Place,
}

/// Which object of an input: its document, and its place in that if it is a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) document: usize,
    pub(super) item: Option<usize>,
}

impl Place {
    pub(super) fn find<'d, 't>(self, documents: &'d [Document<'t>]) -> Option<&'d Node<'t>> {
        let root = documents.get(self.document)?.root.as_deref()?;
        let Some(item) = self.item else { return Some(root) };
        match &root.get("items")?.value.value {
            Value::List(items) => items.get(item).map(|item| &**item),
            _ => None,
        }
    }
}

/// Reads all objects of an input.
pub(super) fn read(input: &Input) -> Contents {
    let mut reader = Reader { input, contents: Contents::default() };
    let documents = super::tree::documents(&input.text);
    let mut is_empty = true;
    for (at, document) in documents.into_iter().enumerate() {
        is_empty &= reader.document(at, document);
    }
    if is_empty {
        let message = "this file is empty: found no MapDomain or BorderRelay; remove it if that is meant".to_owned();
        reader.contents.errors.push(Error { file: input.file.clone(), line: None, field: String::new(), message });
    }
    reader.contents
}

struct Reader<'i> {
    input: &'i Input,
    contents: Contents,
}

/// What an object is, by its `apiVersion` and `kind`.
enum Identity {
    Domain,
    Fleet,
    List,
    Foreign { api_version: String, kind: String },
}

impl Reader<'_> {
    /// Returns whether there is nothing in it.
    fn document(&mut self, document: usize, found: Document<'_>) -> bool {
        let root = found.root.filter(|root| !root.is_null());
        let is_empty = root.is_none() && found.faults.is_empty();
        let is_foreign = root.as_ref().is_some_and(|root| matches!(identify(root), Ok(Identity::Foreign { .. })));
        // Others may write YAML that we do not read.
        for Fault { line, message } in found.faults.into_iter().filter(|_| !is_foreign) {
            self.error(Finding { line, field: String::new(), message });
        }
        if let Some(root) = root {
            self.object(&root, Place { document, item: None });
        }
        is_empty
    }

    fn object(&mut self, node: &Node<'_>, place: Place) {
        match identify(node) {
            Ok(Identity::Domain) => self.domain(node, place),
            Ok(Identity::Fleet) => self.fleet(node),
            Ok(Identity::List) => self.list(node, place),
            Ok(Identity::Foreign { api_version, kind }) => {
                let name = node.get("metadata").and_then(|metadata| metadata.value.get("name"));
                let name = name.and_then(|name| name.value.text()).map(str::to_owned);
                self.contents.skipped.push(Skipped { source: self.source(node.line), api_version, kind, name });
            }
            Err(finding) => self.error(finding),
        }
    }

    fn list(&mut self, node: &Node<'_>, place: Place) {
        let found = match node.get("items").map(|items| &items.value) {
            Some(items) if items.is_null() => return,
            Some(items) => items,
            None => return self.error(finding(node.line, "items", "missing; a list has items")),
        };
        let Value::List(items) = &found.value else {
            return self.error(finding(found.line, "items", "found no list, allowed a list of objects"));
        };
        for (at, item) in items.iter().enumerate() {
            if place.item.is_some() {
                return self.error(finding(node.line, "items", "found a list in a list, allowed objects"));
            }
            self.object(item, Place { item: Some(at), ..place });
        }
    }

    fn domain(&mut self, node: &Node<'_>, place: Place) {
        let (json, findings) = walk(node, schema::map_domain());
        let mut blame = Blame::default();
        for finding in findings {
            blame.add(&finding.field);
            self.error(finding);
        }
        let domain = match assemble(json) {
            Ok(domain) => domain,
            Err(_) if blame.is_some() => return,
            Err(error) => return self.error(finding(node.line, "spec", &error.to_string())),
        };
        let (config, problems) = convert::read(&domain);
        for problem in problems.into_iter().filter(|problem| !blame.covers(&problem.field)).collect::<Vec<_>>() {
            blame.add(&problem.field);
            let message = said(&problem);
            self.error(Finding { line: node.line_of(&problem.field), field: problem.field, message });
        }
        if !blame.covers("metadata.name") && !blame.covers("metadata.namespace") {
            let manifest = manifest(config, domain.spec, self.source(node.line));
            self.contents.drafts.push(Draft { manifest, blame, place });
        }
    }

    fn fleet(&mut self, node: &Node<'_>) {
        let (json, findings) = walk(node, schema::border_relay());
        let mut blame = Blame::default();
        for finding in findings {
            blame.add(&finding.field);
            self.error(finding);
        }
        let relay: BorderRelay = match serde_json::from_value(json) {
            Ok(relay) => relay,
            Err(_) if blame.is_some() => return,
            Err(error) => return self.error(finding(node.line, "spec", &error.to_string())),
        };
        let (config, problems) = convert::read_fleet(&relay);
        for problem in problems.into_iter().filter(|problem| !blame.covers(&problem.field)) {
            let message = said(&problem);
            self.error(Finding { line: node.line_of(&problem.field), field: problem.field, message });
        }
        self.contents.fleets.push(Fleet { config, source: self.source(node.line) });
    }

    fn source(&self, line: usize) -> Source {
        Source { file: self.input.file.clone(), line }
    }

    fn error(&mut self, finding: Finding) {
        let Finding { line, field, message } = finding;
        self.contents.errors.push(Error { file: self.input.file.clone(), line: Some(line), field, message });
    }
}

fn identify(node: &Node<'_>) -> Result<Identity, Finding> {
    let Value::Map(_) = &node.value else {
        let found = if matches!(node.value, Value::List(_)) { "a list" } else { "a bare value" };
        let message = format!("found {found}, allowed an object with apiVersion, kind, metadata and spec");
        return Err(finding(node.line, "", &message));
    };
    let text = |key: &str| node.get(key).and_then(|entry| entry.value.text());
    let line = |key: &str| node.get(key).map_or(node.line, |entry| entry.line);
    let ours = format!("{GROUP}/{VERSION}");
    match (text("apiVersion"), text("kind")) {
        // What else is wrong with these shows when they are compared with the schema.
        (None, Some("MapDomain")) => Ok(Identity::Domain),
        (None, Some("BorderRelay")) => Ok(Identity::Fleet),
        (Some(version), None) if version == ours => Ok(Identity::Domain),
        (None, _) => Err(finding(
            line("apiVersion"),
            "apiVersion",
            &format!("missing; of a MapDomain or BorderRelay it is {ours}"),
        )),
        (_, None) => Err(finding(line("kind"), "kind", "missing; it is required and has no default")),
        (Some("v1"), Some("List")) => Ok(Identity::List),
        (Some(version), Some(kind)) if version.split('/').next() != Some(GROUP) => {
            Ok(Identity::Foreign { api_version: version.to_owned(), kind: kind.to_owned() })
        }
        (Some(version), Some(_)) if version != ours => {
            Err(finding(line("apiVersion"), "apiVersion", &format!("found `{}`, allowed {ours}", shown(version))))
        }
        (Some(_), Some("MapDomain")) => Ok(Identity::Domain),
        (Some(_), Some("MapDomainList" | "BorderRelayList")) => Ok(Identity::List),
        (Some(_), Some("BorderRelay")) => Ok(Identity::Fleet),
        (Some(_), Some(kind)) => {
            Err(finding(line("kind"), "kind", &format!("found `{}`, allowed MapDomain or BorderRelay", shown(kind))))
        }
    }
}

fn finding(line: usize, field: &str, message: &str) -> Finding {
    Finding { line, field: field.to_owned(), message: message.to_owned() }
}

/// A `MapDomain` out of what was sound. What is missing has been reported; stand-ins let all else be checked.
fn assemble(mut json: Json) -> serde_json::Result<MapDomain> {
    let metadata = &json["metadata"];
    let known = ["name", "namespace", "creationTimestamp"].into_iter();
    let metadata: Json = known.filter_map(|key| Some((key.to_owned(), metadata.get(key)?.clone()))).collect();
    let mut spec = json["spec"].take();
    if let Some(spec) = spec.as_object_mut() {
        spec.entry("softwireAddress").or_insert_with(|| json!("::"));
        let rules = spec.entry("rules").or_insert_with(|| json!([]));
        rules.as_array_mut().into_iter().flatten().filter(|rule| rule.is_null()).for_each(|rule| *rule = no_rule());
        if spec.get("relayRefs").and_then(Json::as_array).is_some_and(|refs| refs.contains(&Json::Null)) {
            spec.remove("relayRefs");
        }
        if let Some(communities) = spec.get_mut("advertise").and_then(|it| it.get_mut("communities")) {
            communities.as_array_mut().into_iter().for_each(|items| items.retain(|item| !item.is_null()));
        }
    }
    Ok(MapDomain { metadata: serde_json::from_value(metadata)?, spec: serde_json::from_value(spec)?, status: None })
}

/// Keeps the place of a rule that could not be read. No field of it is sound, so it collides with no other.
fn no_rule() -> Json {
    json!({"name": "?", "ipv4Prefix": "0.0.0.0/32", "mapePrefix": "::/128", "eaBitsLength": 0, "psidOffset": 0})
}

/// A problem without its field.
pub(super) fn said(problem: &Problem) -> String {
    format!("found {}, allowed {}: {}", shown(&problem.found), problem.allowed, problem.why)
}

fn manifest(config: mape::DomainConfig, spec: MapDomainSpec, source: Source) -> Manifest {
    Manifest {
        config,
        relay_refs: spec.relay_refs.into_iter().map(|fleet| fleet.name).collect(),
        local_preference: spec.advertise.local_preference(),
        communities: spec.advertise.communities,
        source,
    }
}
