//! What Kubernetes' own API reviewers and `kube-api-linter` ask of a schema, asked of ours.

use crds::yaml;
use serde_json::Value;

/// Types that are Kubernetes' own: they are as they are.
const FOREIGN: [&str; 9] = [
    ".metadata",
    ".spec.podTemplate.affinity",
    ".spec.podTemplate.imagePullSecrets[]",
    ".spec.podTemplate.resources",
    ".spec.podTemplate.speaker.resources",
    ".spec.podTemplate.tolerations[]",
    ".spec.podTemplate.topologySpreadConstraints[]",
    ".status.conditions[]",
    ".status.conditions[].type",
];

#[test]
fn the_schemas_are_as_reviewers_want_them() {
    let mut complaints = Vec::new();
    for definition in [yaml::map_domain(), yaml::border_relay()] {
        let kind = definition["spec"]["names"]["kind"].as_str().unwrap_or_default().to_owned();
        let mut lint = |path: &str, schema: &Value| {
            let found = structural(schema).into_iter().chain(own(path, schema));
            complaints.extend(found.map(|complaint| format!("{kind}{path}: {complaint}")));
        };
        each("", &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"], &mut lint);
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// A schema that breaks a rule is found out: the linter itself works.
#[test]
fn each_rule_finds_what_breaks_it() {
    let complaints = |schema: Value| {
        let found: Vec<&str> = structural(&schema).into_iter().chain(own(".spec.x", &schema)).collect();
        found.join("; ")
    };
    let cases = [
        (serde_json::json!({"type": "string", "maxLength": 1}), "teaches nothing"),
        (serde_json::json!({"type": "string", "description": "x"}), "a string without an end"),
        (serde_json::json!({"type": "array", "description": "x", "maxItems": 1}), "says not how lists are merged"),
        (
            serde_json::json!({"type": "integer", "description": "x", "format": "uint8", "minimum": 0, "maximum": 1}),
            "an unknown format",
        ),
        (serde_json::json!({"type": "integer", "description": "x"}), "a number without bounds"),
        (
            serde_json::json!({"type": "integer", "description": "x", "minimum": 0, "maximum": 1, "nullable": true}),
            "nullable",
        ),
        (serde_json::json!({"type": "boolean", "description": "x"}), "a boolean; two words leave room for a third"),
        (serde_json::json!({"type": "number", "description": "x"}), "a number that need not be whole"),
        (serde_json::json!({"description": "x"}), "no type"),
        (serde_json::json!({"type": "string", "description": "x", "enum": ["a"]}), "a word that is not in CamelCase"),
        (serde_json::json!({"type": "object", "description": "x", "anyOf": []}), "not structural"),
        (serde_json::json!({"type": "object", "description": "x", "additionalProperties": {}}), "a map without an end"),
        (
            serde_json::json!({"type": "object", "description": "x", "required": ["a"], "properties": {"a": {"default": 1}}}),
            "required, and has a default",
        ),
        (
            serde_json::json!({"type": "object", "description": "x", "properties": {"idleTime": {}}}),
            "a time without its unit",
        ),
    ];
    for (schema, complaint) in cases {
        assert_eq!(complaints(schema.clone()), complaint, "{schema}");
    }
}

fn each(path: &str, schema: &Value, check: &mut impl FnMut(&str, &Value)) {
    check(path, schema);
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        each(&format!("{path}.{name}"), field, check);
    }
    for (key, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        if let Some(inner) = schema.get(key) {
            each(&format!("{path}{suffix}"), inner, check);
        }
    }
}

/// What the API server refuses or warns about.
fn structural(schema: &Value) -> Vec<&'static str> {
    let has = |key: &str| schema.get(key).is_some();
    let forbidden =
        ["$ref", "definitions", "$defs", "oneOf", "anyOf", "allOf", "not", "const"].iter().any(|key| has(key));
    let formats = ["int32", "int64", "date-time"];
    let known = schema["format"].as_str().is_none_or(|format| formats.contains(&format));
    complaints([
        (forbidden, "not structural"),
        (!has("type") && !has("x-kubernetes-int-or-string"), "no type"),
        (!known, "an unknown format"),
        (schema["nullable"].is_boolean(), "nullable"),
    ])
}

/// What we owe beyond that where the type is our own.
fn own(path: &str, schema: &Value) -> Vec<&'static str> {
    if FOREIGN.iter().any(|foreign| path == *foreign || path.starts_with(&format!("{foreign}."))) {
        return Vec::new();
    }
    let has = |key: &str| schema.get(key).is_some();
    let is = |kind: &str| schema["type"] == kind;
    let words: Vec<&str> = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let is_value = path.ends_with("[]") || path.ends_with("{}");
    let in_status = path.starts_with(".status");
    let fields = || schema["properties"].as_object().into_iter().flatten();
    let required = |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
    complaints([
        (!has("description") && !is_value, "teaches nothing"),
        (
            is("string") && !has("enum") && !has("maxLength") && !in_status && !path.ends_with("{}"),
            "a string without an end",
        ),
        (is("array") && !has("maxItems"), "a list without an end"),
        (is("array") && !has("x-kubernetes-list-type"), "says not how lists are merged"),
        (is("integer") && !in_status && !(has("minimum") && has("maximum")), "a number without bounds"),
        (is("boolean"), "a boolean; two words leave room for a third"),
        (is("number"), "a number that need not be whole"),
        (has("additionalProperties") && !has("maxProperties"), "a map without an end"),
        (
            words.iter().any(|word| !word.starts_with(|c: char| c.is_ascii_uppercase())),
            "a word that is not in CamelCase",
        ),
        (fields().any(|(name, field)| field.get("default").is_some() && required(name)), "required, and has a default"),
        (fields().any(|(name, _)| is_time_without_unit(name)), "a time without its unit"),
    ])
}

fn is_time_without_unit(name: &str) -> bool {
    let name = name.to_lowercase();
    let says_time =
        ["time", "timeout", "interval", "period", "delay", "duration", "retry"].iter().any(|end| name.ends_with(end));
    says_time && !name.ends_with("seconds")
}

fn complaints<const N: usize>(checks: [(bool, &'static str); N]) -> Vec<&'static str> {
    checks.into_iter().filter_map(|(wrong, complaint)| wrong.then_some(complaint)).collect()
}
