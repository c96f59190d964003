//! `relay/JUNOS.md` claims that tests show each of its rows: do they exist?

use std::path::{Path, PathBuf};

const TABLE: &str = include_str!("../../../JUNOS.md");

/// Cases that the table names before they are there. Whoever writes one takes it off.
const TO_COME: [&str; 5] = [
    "cases/fragments_disabled",
    "cases/fragments_full",
    "cases/fragments_virtual_from_ce",
    "cases/fragments_virtual_to_ce",
    "cases/outer_fragments",
];

#[test]
fn every_row_is_shown_by_something_that_exists() {
    let rows: Vec<&str> =
        TABLE.lines().filter(|line| line.starts_with("| ") && !line.ends_with("| shown by |")).collect();
    assert!(rows.len() > 30, "the tables have another form");
    let nowhere: Vec<&str> = rows.iter().flat_map(|row| shown_by(row)).filter(|name| !is_there(name)).collect();
    let unshown: Vec<&&str> = rows.iter().filter(|row| shown_by(row).is_empty()).collect();
    assert!(unshown.is_empty(), "nothing shows {unshown:#?}");
    assert_eq!(nowhere, nowhere_yet(&rows), "on the left: named by the table, but not there");
}

#[test]
fn what_is_to_come_has_not_come() {
    let here: Vec<&&str> = TO_COME.iter().filter(|name| is_there(name)).collect();
    assert!(here.is_empty(), "take these off TO_COME: {here:?}");
}

/// Those of the named cases that are known to be missing.
fn nowhere_yet<'t>(rows: &[&'t str]) -> Vec<&'t str> {
    rows.iter().flat_map(|row| shown_by(row)).filter(|name| TO_COME.contains(name)).collect()
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
