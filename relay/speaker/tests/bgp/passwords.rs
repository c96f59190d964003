//! Passwords: no session without the one that it should have.

use serde_json::json;

use crate::{
    lab::{Lab, POD4, ROUTER4},
    router::{Router, neighbour_with},
    speaker::{Files, PREFIX, Speaker, bgp, isp_a, peer},
};

#[test]
fn a_session_with_a_password_has_it_or_is_not_there() {
    let lab = Lab::new();
    let more = ["bfd profile fast", "password correct"];
    let router = Router::configured(&lab, "64500", &neighbour_with(POD4, "remote-as 64512", "ipv4", &more));
    let mut files = Files::new(&lab);
    let secret = json!({"passwordSecretRef": {"name": "bgp", "key": "tor1"}});
    files.fleet(&bgp(&[peer("tor1", ROUTER4, &secret)]));
    files.revision(vec![isp_a()]);
    lab.route(PREFIX, "");
    let speaker = Speaker::start(&lab);
    let state = speaker.until("missing, and else nothing", |state| {
        state["obstacles"][0]["reason"] == "PasswordMissing" && state["readyReasons"] == json!(["IPv4SessionsDown"])
    });
    assert!(state["obstacles"][0]["message"].as_str().unwrap().contains("Secret bgp, key tor1"), "{state}");
    assert_eq!(state["sessions"], json!([]));
    files.password("tor1", "");
    files.password("other", "correct");
    speaker.until("still missing", |state| state["obstacles"][0]["reason"] == "PasswordMissing");
    files.password("tor1", "wrong");
    speaker.until("tried", |state| state["sessions"][0]["peer"] == "tor1" && state["obstacles"] == json!([]));
    // BIRD has tried to connect more than once.
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert!(!router.has_session(POD4), "a wrong password");
    files.password("tor1", "correct\n");
    router.until_session(POD4);
    router.until_path(PREFIX, |_| true);
    speaker.until_ready();
    assert!(!speaker.log().contains("correct"), "a password in the log");
}
