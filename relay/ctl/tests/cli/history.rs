//! `culvertctl history`.

use super::{Bench, json};

const STATE: &str = r#"{"pod":"default-relay-a","ready":true,"history":[
  {"sequence":1,"hash":"aaaaaaaaaaaaaaaa","at":"2026-11-24T14:00:00Z","domains":1,"rules":2},
  {"sequence":2,"hash":"bbbbbbbbbbbbbbbb","at":"2026-11-24T14:10:00Z","domains":1,"rules":3}]}
"#;
const LINE: &str =
    r#"{"sequence":null,"hash":"cccccccccccccccc","at":"2026-11-24T14:05:00Z","domains":4,"rules":5}"#;

#[test]
fn relays_are_one_table_in_the_order_of_time() {
    let bench = Bench::new();
    bench.write("state.json", STATE);
    let ran = bench.run_with_input(&["history", "state.json", "-"], LINE);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let rows: Vec<Vec<&str>> = ran.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["SINCE", "RELAY", "REVISION", "DOMAINS", "RULES", "HASH"]);
    assert_eq!(rows[1], ["2026-11-24T14:00:00Z", "default-relay-a", "1", "1", "2", "aaaaaaaaaaaa"]);
    assert_eq!(rows[2], ["2026-11-24T14:05:00Z", "-", "-", "4", "5", "cccccccccccc"]);
    assert_eq!(rows[3][2..4], ["2", "1"]);
    assert_eq!(rows.len(), 4);
}

#[test]
fn json_has_whole_hashes() {
    let ran = Bench::new().run_with_input(&["history", "-o", "json", "-"], STATE);
    let shown = json(&ran.stdout);
    assert_eq!(shown[1]["hash"], "bbbbbbbbbbbbbbbb");
    assert_eq!(shown[1]["relay"], "default-relay-a");
}

#[test]
fn what_is_no_history_is_named() {
    let bench = Bench::new();
    bench.write("bad.json", format!("{LINE}\n{{\"sequence\":1}}\n"));
    for (arguments, says) in [
        (["history", "bad.json"], "bad.json: line 2: neither a relay's /state nor a line of its history.jsonl"),
        (["history", "seed.yaml"], "seed.yaml: no JSON"),
        (["history", "none.json"], "none.json"),
    ] {
        let ran = bench.run(&arguments);
        assert_eq!(ran.code, 1, "{arguments:?}");
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
    }
}
