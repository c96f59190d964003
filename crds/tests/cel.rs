//! The CEL rules, offline. The last word is the API server's: `make api` plays the same cases there, and random ones.

use kube::core::cel::{CompiledSchema, ValidationErrors, Validator, apply_defaults, compile_schema};
use serde_json::Value;
use specs::{By, Case, Specs};

#[path = "support/specs.rs"]
mod specs;

#[test]
fn every_rule_refuses_what_it_should_and_nothing_else() {
    let specs = Specs::read();
    let schemas = [Schema::new(&crds::yaml::map_domain()), Schema::new(&crds::yaml::border_relay())];
    let offline = specs.cases.iter().filter(|case| !case.online_only);
    let failures: Vec<String> = offline.filter_map(|case| check(&specs, &schemas, case).err()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A rule without a case is a rule that nobody has seen refuse anything.
#[test]
fn every_rule_has_a_case() {
    let specs = Specs::read();
    let mut messages = Vec::new();
    [crds::yaml::map_domain(), crds::yaml::border_relay()].iter().for_each(|it| collect(it, &mut messages));
    assert!(messages.len() > 40, "{}", messages.len());
    let cases = || specs.cases.iter().filter(|case| case.refused == Some(By::Cel) && !case.says.is_empty());
    let without: Vec<_> = messages.iter().filter(|rule| !cases().any(|case| rule.contains(&case.says))).collect();
    assert!(without.is_empty(), "{without:#?}");
}

fn check(specs: &Specs, schemas: &[Schema; 2], case: &Case) -> Result<(), String> {
    let object = specs.object(&case.kind, &case.name, &case.set);
    let old = case.was.as_ref().map(|was| specs.object(&case.kind, &case.name, was));
    let said = schemas[usize::from(case.kind == "BorderRelay")].refusals(&object, old.as_ref());
    let ours: Vec<String> = specs::refusals(&object).iter().map(ToString::to_string).collect();
    let as_expected = match case.refused {
        None => said.is_empty() && ours.is_empty(),
        Some(By::Cel) => said.iter().any(|it| it.contains(&case.says)) && (case.transition || !ours.is_empty()),
        // What types and ranges refuse, the rules never see.
        Some(By::Schema) => !ours.is_empty(),
        Some(By::Rust) => said.is_empty() && ours.iter().any(|it| it.contains(&case.says)),
    };
    let Case { kind, name, set, .. } = case;
    let differs = || {
        format!("{kind} {name} {set:?}: expected {:?} `{}`\n  CEL: {said:?}\n  ours: {ours:?}", case.refused, case.says)
    };
    if as_expected { Ok(()) } else { Err(differs()) }
}

/// A schema whose rules are ready to be evaluated.
struct Schema {
    json: Value,
    compiled: CompiledSchema,
}

impl Schema {
    fn new(definition: &Value) -> Self {
        let json = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
        Self { compiled: compile_schema(&json), json }
    }

    fn refusals(&self, object: &Value, old: Option<&Value>) -> Vec<String> {
        let (object, old) = (apply_defaults(&self.json, object), old.map(|old| apply_defaults(&self.json, old)));
        let verdict = Validator::new().validate_compiled(&self.compiled, &object, old.as_ref());
        verdict.err().into_iter().flat_map(ValidationErrors::into_vec).map(|error| error.message).collect()
    }
}

fn collect(schema: &Value, into: &mut Vec<String>) {
    match schema {
        Value::Object(fields) => {
            let rules = fields.get("x-kubernetes-validations").and_then(Value::as_array);
            into.extend(
                rules.into_iter().flatten().map(|rule| rule["message"].as_str().unwrap_or_default().to_owned()),
            );
            fields.values().for_each(|field| collect(field, into));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
        _ => {}
    }
}
