//! `culvertctl history`.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use crate::{Bench, Ran};

fn ctl(arguments: &[&str], input: &str) -> Ran {
    Bench::new().run_with_input(arguments, input)
}

const LINES: &str = r#"{"sequence":1,"hash":"aa","at":"2026-11-24T10:00:00Z","domains":1,"rules":2}
{"sequence":2,"hash":"bb","at":"2026-11-24T11:00:00Z","domains":3,"rules":4}
"#;

#[test]
fn a_file_is_shown_and_asked() {
    let ran = ctl(&["history", "--file", "-"], LINES);
    assert_eq!((ran.code, ran.stdout.lines().count()), (0, 3), "{}", ran.stdout);
    let at = |time| ctl(&["history", "--file", "-", "--at", time, "-o", "json"], LINES);
    let ran = at("2026-11-24T10:30:00Z");
    let found: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, &found[0]["hash"], found.as_array().unwrap().len()), (0, &"aa".into(), 1));
    assert_eq!(at("2026-11-24T09:00:00Z").code, 1);
    assert_eq!(at("yesterday").code, 2);
    assert_eq!(ctl(&["history"], "").code, 2);
    let ran = ctl(&["history", "--file", "/nonexistent"], "");
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("/nonexistent"), "{}", ran.stderr);
}

/// A server that answers once.
fn once(body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let length = connection.read(&mut request).unwrap();
        assert!(request[..length].starts_with(b"GET /state HTTP/1.1\r\n"));
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        connection.write_all((head + &body).as_bytes()).unwrap();
    });
    url
}

#[test]
fn a_relay_is_asked() {
    let lines: Vec<serde_json::Value> = LINES.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let url = once(serde_json::json!({"version": "0.1.0", "history": lines}).to_string());
    let ran = ctl(&["history", "--state", &url], "");
    assert_eq!((ran.code, ran.stdout.lines().count()), (0, 3), "{}", ran.stderr);
    let url = once("{}".to_owned());
    let ran = ctl(&["history", "--state", &url], "");
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("this is not a relay's state"), "{}", ran.stderr);
    let ran = ctl(&["history", "--state", "http://127.0.0.1:1"], "");
    assert!(ran.code == 1 && ran.stderr.contains("http://127.0.0.1:1/state"), "{}", ran.stderr);
}
