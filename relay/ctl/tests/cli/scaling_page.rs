//! `docs/scaling.md` names metrics, fields, conditions and drop reasons: do they exist?

use std::path::Path;

use crate::junos_table::unknown_metrics;

const PAGE: &str = include_str!("../../../../docs/scaling.md");
const ARCHITECTURE: &str = include_str!("../../../../ARCHITECTURE.md");

/// What stands between backquotes, without the blocks that are routers' configuration.
fn words() -> Vec<&'static str> {
    let outside = PAGE.split("```").step_by(2);
    outside.flat_map(|text| text.split('`').skip(1).step_by(2)).collect()
}

fn source(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_metric_exists() {
    let names: Vec<&str> = words().into_iter().filter(|word| word.starts_with("culvert_")).collect();
    assert!(names.len() > 5, "{names:?}");
    let unknown = unknown_metrics(names);
    assert!(unknown.is_empty(), "no metrics: {unknown:?}");
}

#[test]
fn every_field_exists() {
    let kinds = [crds::yaml::map_domain(), crds::yaml::border_relay()];
    let is_there = |path: &str| {
        kinds.iter().any(|kind| {
            let root = &kind["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
            let place = if path.starts_with("status.") { root } else { &root["properties"]["spec"] };
            let found = path.split('.').try_fold(place, |place, step| {
                let field = place["properties"].get(step.trim_end_matches("[]"))?;
                Some(if step.ends_with("[]") { &field["items"] } else { field })
            });
            found.is_some()
        })
    };
    let is_path = |word: &&str| {
        let plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".[]".contains(&byte));
        plain && word.contains('.')
    };
    let paths: Vec<&str> = words().into_iter().filter(is_path).collect();
    assert!(paths.len() > 5, "{paths:?}");
    let unknown: Vec<&str> = paths.into_iter().filter(|path| !is_there(path)).collect();
    assert!(unknown.is_empty(), "no fields: {unknown:?}");
}

#[test]
fn every_condition_and_drop_reason_exists() {
    let operator = source("operator/README.md");
    let named = |kind: &str| {
        let lead = format!("{kind} `");
        let after = PAGE.split(lead.as_str()).skip(1).map(|rest| rest.split('`').next().unwrap());
        after.collect::<Vec<_>>()
    };
    let (conditions, reasons) = (named("condition"), named("reason"));
    assert!(!conditions.is_empty() && reasons.len() > 1, "{conditions:?} {reasons:?}");
    let unknown: Vec<&&str> = conditions.iter().filter(|name| !operator.contains(&format!("`{name}`"))).collect();
    assert!(unknown.is_empty(), "no conditions: {unknown:?}");
    let unknown: Vec<&&str> =
        reasons.iter().filter(|name| !ARCHITECTURE.contains(&format!(" | `{name}` | "))).collect();
    assert!(unknown.is_empty(), "no drop reasons: {unknown:?}");
}
