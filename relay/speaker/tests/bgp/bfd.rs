//! A path that has died without a word.

use std::time::Instant;

use crate::{
    lab::{Lab, run},
    router::Router,
    speaker::{Files, PREFIX, Speaker},
};

#[test]
fn packets_that_are_silently_dropped_are_noticed() {
    let lab = Lab::new();
    let router = Router::start(&lab);
    Files::of_isp_a(&lab);
    lab.route(PREFIX, "");
    let speaker = Speaker::start(&lab);
    let mut relay = speaker.listen();
    relay.until_all("up", true);
    router.until_path(PREFIX, |_| true);
    let nft = |rules: &str| run("ip", &["netns", "exec", &lab.router, "nft", rules]);
    // Carriers stay up, and nothing comes through.
    nft(
        "add table netdev cut; add chain netdev cut inward { type filter hook ingress device eth1 priority 0; policy drop; }",
    );
    let begun = Instant::now();
    let line = relay.until_all("down, BFD at 100 ms x 3", false);
    println!("carrier up, all dropped: both sessions down in {:.0?}", begun.elapsed());
    // Down, or Init: what the router sends still arrives.
    assert_ne!(line["peers"][0]["bfd"], "Up", "{line}");
    nft("delete table netdev cut");
    relay.until_all("up again", true);
    router.until_path(PREFIX, |_| true);
    assert_eq!(speaker.metric("culvert_bgp_bird_starts_total"), "1");
}
