//! What is said twice is said alike: defaults and ranges, here, in the schema and in `mape`.
#![expect(clippy::unwrap_used, reason = "a panic is a test's way to fail")]

use crds::{MapDomain, manifest, yaml};
use mape::{DomainConfig, Options};
use serde_json::{Value, json};

fn domain(change: impl FnOnce(&mut Value)) -> MapDomain {
    let mut domain = json!({
        "apiVersion": "culvert.dev/v1alpha1",
        "kind": "MapDomain",
        "metadata": {"name": "isp-a"},
        "spec": {
            "softwireAddress": "3001:db8:ffff::1",
            "rules": [{
                "name": "r1", "ipv4Prefix": "67.91.205.0/24", "mapePrefix": "2001:db8:ce::/48",
                "eaBitsLength": 16, "psidOffset": 4
            }],
        },
    });
    change(&mut domain["spec"]);
    serde_json::from_value(domain).unwrap()
}

#[test]
fn a_domain_that_says_nothing_more_has_the_defaults_of_mape() {
    let config = DomainConfig::try_from(&domain(|_| ())).unwrap();
    assert_eq!(config.options, Options::default());
    assert_eq!(config.version, mape::Version::default());
    assert_eq!(config.name.to_string(), "default/isp-a");
}

/// The API server writes defaults into objects: they must be those that serde fills in where it does not.
#[test]
fn the_defaults_in_the_schema_are_those_of_serde() {
    let sparse = json!(domain(|_| ()).spec);
    let definition = yaml::map_domain();
    let fields = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
    for (name, field) in fields.as_object().unwrap() {
        if let Some(default) = field.get("default") {
            assert_eq!(&sparse[name], default, "spec.{name}");
        }
        for (inner, field) in field["properties"].as_object().into_iter().flatten() {
            if let Some(default) = field.get("default") {
                assert_eq!(&sparse[name][inner], default, "spec.{name}.{inner}");
            }
        }
    }
}

/// Every number: just outside its range in the schema, and so far outside that the narrower type of `mape` cannot
/// hold it. Both are refused, at that field.
#[test]
fn every_number_outside_its_range_in_the_schema_is_refused() {
    let definition = yaml::map_domain();
    let spec = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut numbers = Vec::new();
    ranges("", spec, &mut numbers);
    assert!(numbers.len() >= 12, "{numbers:?}");
    for (path, least, most) in numbers {
        for number in [i64::MIN, least - 1, most + 1, i64::MAX] {
            let pointer = path.replace("[]", "/0").replace('.', "/");
            let field = format!("spec{}", path.replace("[]", "[0]"));
            let domain = domain(|spec| set(spec, &pointer, number));
            let text = serde_saphyr::to_string(&domain).unwrap();
            let errors = manifest::parse("a.yaml", &text).expect_err(&field);
            assert!(errors.iter().any(|error| error.field == field), "{field} {number}: {errors:?}");
            assert!(errors.iter().all(|error| error.line.is_some()), "{errors:?}");
        }
    }
}

fn ranges(path: &str, schema: &Value, into: &mut Vec<(String, i64, i64)>) {
    if let (Some(least), Some(most)) = (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
        into.push((path.to_owned(), least, most));
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        ranges(&format!("{path}.{name}"), field, into);
    }
    if let Some(items) = schema.get("items") {
        ranges(&format!("{path}[]"), items, into);
    }
}

fn set(spec: &mut Value, pointer: &str, number: i64) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    if spec.pointer(parent).is_none() {
        spec[parent.trim_start_matches('/')] = json!({});
    }
    spec.pointer_mut(parent).unwrap()[name] = json!(number);
}
