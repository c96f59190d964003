//! `relay/JUNOS.md` names tests, metrics and drop reasons: do they exist?

use std::path::{Path, PathBuf};

const TABLE: &str = include_str!("../../../JUNOS.md");

/// Another test holds its drop reasons to the code.
const ARCHITECTURE: &str = include_str!("../../../../ARCHITECTURE.md");

/// Generated from what the programs export.
const METRICS: &str = include_str!("../../../../docs/metrics.md");

#[test]
fn every_row_is_shown_by_something_that_exists() {
    let rows: Vec<&str> =
        TABLE.lines().filter(|line| line.starts_with("| ") && !line.ends_with("| shown by |")).collect();
    assert!(rows.len() > 30, "the tables have another form");
    let nowhere: Vec<&str> = rows.iter().flat_map(|row| shown_by(row)).filter(|name| !is_there(name)).collect();
    let unshown: Vec<&&str> = rows.iter().filter(|row| shown_by(row).is_empty()).collect();
    assert!(unshown.is_empty(), "nothing shows {unshown:#?}");
    assert!(nowhere.is_empty(), "not there: {nowhere:?}");
}

#[test]
fn every_metric_and_drop_reason_exists() {
    let reasons = TABLE.split("reason=").skip(1).flat_map(|rest| rest.split('"').nth(1).unwrap().split(r"\|"));
    let documented = |reason: &str| ARCHITECTURE.contains(&format!(" | `{reason}` | "));
    let unknown: Vec<&str> = reasons.filter(|reason| !documented(reason)).collect();
    assert!(unknown.is_empty(), "no drop reasons: {unknown:?}");
    let unknown = unknown_metrics(TABLE.split('`').filter(|code| code.starts_with("culvert_")));
    assert!(unknown.is_empty(), "no metrics: {unknown:?}");
}

/// Those of these series, with or without labels, whose metric no program has.
pub(crate) fn unknown_metrics<'p>(series: impl IntoIterator<Item = &'p str>) -> Vec<&'p str> {
    let names = series.into_iter().map(|series| series.split('{').next().unwrap());
    names.filter(|name| !METRICS.contains(&format!("| `{name}` |"))).collect()
}

/// The names in the last cell.
fn shown_by(row: &str) -> Vec<&str> {
    let cell = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
    cell.split('`').skip(1).step_by(2).collect()
}

fn is_there(name: &str) -> bool {
    let (place, rest) = name.split_once('/').unwrap_or_else(|| panic!("{name}: neither a case nor a test"));
    let (file, function) = rest.split_once("::").unwrap_or((rest, ""));
    match place {
        "cases" => root().join("relay/engine/tests/cases").join(rest).join("case.txt").is_file(),
        "ctl" => holds(&format!("relay/ctl/tests/cli/{file}.rs"), &format!("\nfn {function}()")),
        "daemon" => holds(&format!("relay/daemon/tests/relay/{file}.rs"), &format!("\nfn {function}()")),
        "lab" => holds(&format!("e2e/lab/tests/{file}.py"), &format!("\ndef {function}(")),
        _ => panic!("{name}: neither a case nor a test"),
    }
}

fn holds(file: &str, definition: &str) -> bool {
    std::fs::read_to_string(root().join(file)).is_ok_and(|text| text.contains(definition))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
