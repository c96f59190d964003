//! `culvertctl map --batch`.

use std::{
    io::{BufRead, BufReader, Write},
    process::Stdio,
};

use super::{Bench, command};

const ARGUMENTS: [&str; 4] = ["map", "-f", "seed.yaml", "--batch"];

const OWNER: &str = r#""domain":"isp-a","rule":"r1","psid":156,"prefix":"2001:db8:ce:29c::/64","ceAddress":"2001:db8:ce:29c:0:435b:cd02:9c""#;

#[test]
fn every_kind_of_query_gets_its_answer_in_order() {
    let input = concat!(
        r#"{"ipv4":"67.91.205.2","port":6600}"#,
        "\n",
        r#"{"ipv4":"67.91.206.2","port":6600}"#,
        "\n",
        r#"{"ipv6":"2001:db8:ce:29c:0:435b:cd02:9c","ipv4":"67.91.205.2","port":6600}"#,
        "\n",
        r#"{"ipv6":"2001:db8:ce:29c::","ipv4":"67.91.205.2","port":6600}"#,
        "\r\n",
        r#"{"prefix":"2001:db8:ce:29c::/64"}"#,
        "\n",
        r#"{"rule":"r1","psid":156}"#,
    );
    let ran = Bench::new().run_with_input(&ARGUMENTS, input);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let ranges: Vec<String> =
        (1..16).map(|block| block * 4096 + 156 * 16).map(|first| format!("[{first},{}]", first + 15)).collect();
    let ports = format!(r#""ports":[{}]"#, ranges.join(","));
    let expected = [
        format!("{{{OWNER}}}"),
        r#"{"drop":"NoRule"}"#.to_string(),
        format!(r#"{{"forward":true,{OWNER}}}"#),
        r#"{"drop":"SpoofedSource"}"#.to_string(),
        format!(r#"{{"ipv4":"67.91.205.2","psid":156,"ceAddress":"2001:db8:ce:29c:0:435b:cd02:9c",{ports}}}"#),
        format!("{{{ports}}}"),
    ];
    assert_eq!(ran.stdout.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn bad_lines_get_errors_and_the_stream_goes_on() {
    let mut input = Vec::new();
    let bad: [&[u8]; 9] = [
        b"",
        b"what?",
        b"{\"ipv4\":\"67.91.205.2\",\"port\":6600",
        b"{\"ipv4\":\"\xff\xfe\",\"port\":6600}",
        b"{\"ipv4\":\"67.91.205.2\",\"port\":65536}",
        b"{\"ipv4\":\"67.91.205.2\",\"port\":\"6600\"}",
        b"{\"prefix\":\"2001:db8:ce::/63\"}",
        b"{\"rule\":\"r1\",\"psid\":256}",
        b"{\"rule\":\"r2\",\"psid\":1}",
    ];
    for line in bad {
        input.extend_from_slice(line);
        input.extend_from_slice(b"\n{\"ipv4\":\"67.91.205.2\",\"port\":6600}\n");
    }
    let ran = Bench::new().run_with_input(&ARGUMENTS, input);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!((ran.code, lines.len()), (0, 18));
    for pair in lines.chunks(2) {
        let error = super::json(pair[0]);
        assert!(error["error"].as_str().is_some_and(|error| !error.is_empty()), "{}", pair[0]);
        assert_eq!(pair[1], format!("{{{OWNER}}}"));
    }
}

/// A script may wait for each answer before it asks again.
#[test]
fn it_works_as_a_coprocess() {
    let bench = Bench::new();
    let mut child =
        command(bench.folder.path()).args(ARGUMENTS).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut questions = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..3 {
        questions.write_all(b"{\"ipv4\":\"67.91.205.2\",\"port\":6600}\n{\"ipv4\"").unwrap();
        assert_eq!(answers.next().unwrap().unwrap(), format!("{{{OWNER}}}"));
        questions.write_all(b":\"8.8.8.8\"}\n").unwrap();
        assert_eq!(answers.next().unwrap().unwrap(), r#"{"drop":"NoRule"}"#);
    }
    drop(questions);
    assert!(child.wait().unwrap().success());
}
