//! The committed YAML is what the types say.

use std::{fs, path::Path};

use crds::yaml;

#[test]
fn the_committed_files_are_those_that_the_types_generate() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("yaml");
    for (name, text) in yaml::files() {
        let committed = fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(committed == text, "crds/yaml/{name} is out of date: run `{}`", yaml::REGENERATE);
    }
    assert_eq!(fs::read_dir(folder).unwrap().count(), yaml::files().len(), "a file there that no type makes");
}

/// What Kubernetes refuses in a definition: types it does not know, formats it warns about, references.
#[test]
fn the_schema_is_structural() {
    for definition in [yaml::map_domain(), yaml::border_relay()] {
        check("", &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]);
    }
}

fn check(path: &str, schema: &serde_json::Value) {
    for forbidden in ["$ref", "definitions", "$defs", "oneOf", "anyOf", "allOf", "const"] {
        assert!(schema.get(forbidden).is_none(), "{path}: {forbidden}");
    }
    assert!(schema.get("type").is_some() || schema.get("x-kubernetes-int-or-string").is_some(), "{path}: no type");
    if let Some(format) = schema.get("format") {
        assert!(["int64", "date-time"].iter().any(|known| format == known), "{path}: {format}");
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let of_the_object = path.is_empty() && name != "spec";
        assert!(field.get("description").is_some() || of_the_object, "{path}.{name} teaches nothing");
        check(&format!("{path}.{name}"), field);
    }
    if let Some(items) = schema.get("items") {
        check(&format!("{path}[]"), items);
    }
}
