//! Aggregates: one route instead of many, and no moment without either.

use mape::DomainConfig;

use crate::{
    node::{BR, Relay},
    pod::{LONG_DRAIN, OTHER, Pod, RULE, domain, isp_a, revision},
    traffic::during,
};

const AGGREGATE: &str = "67.91.0.0/16";

fn aggregated(rules: &[(&str, &str)]) -> DomainConfig {
    let mut domain = domain("isp-a", BR, rules);
    domain.options.advertise.ipv4_aggregates = vec![AGGREGATE.parse().unwrap()];
    domain
}

/// Customers' prefixes that are routes to the TUN, and whether they are announced.
fn routes(pod: &Pod) -> Vec<(String, bool)> {
    let routes = pod.pod.ip("route show table 4646");
    let customers = routes.lines().filter(|line| line.starts_with("67.91."));
    let read = |line: &str| (line.split(' ').next().unwrap().to_owned(), !line.contains("metric 7597"));
    customers.map(read).collect()
}

fn announced(prefixes: &[&str]) -> Vec<(String, bool)> {
    prefixes.iter().map(|prefix| ((*prefix).to_owned(), true)).collect()
}

fn take(pod: &Pod, relay: &Relay<'_>, number: u64, domains: &[DomainConfig]) {
    pod.mount(&revision(number, domains));
    relay.until("taken", |relay| relay.state()["revision"]["sequence"] == number);
}

#[test]
fn packets_to_addresses_of_an_aggregate_that_no_rule_has_are_counted() {
    let pod = Pod::new();
    pod.mount(&revision(1, &[aggregated(&[RULE])]));
    let relay = pod.launch(&[]).ready();
    relay.until("announced", |_| routes(&pod) == announced(&[AGGREGATE]));
    assert_eq!(relay.state()["revision"]["formatVersion"], 2);
    let refused = r#"culvert_refused_packets_total{family="IPv4",reason="NoRoute"}"#;
    let no_rule = r#"culvert_dropped_packets_total{direction="to_ce",domain="",namespace="",reason="NoRule"}"#;
    let before = relay.metric(refused);
    assert_eq!(relay.metric(no_rule), 0);
    pod.internet.send_udp("67.91.7.7:5353");
    relay.until("counted", |relay| relay.metric(no_rule) == 1);
    assert_eq!(relay.metric(refused), before);
    assert!(pod.crosses());
}

#[test]
fn the_new_shape_is_announced_before_the_old_one_goes() {
    let pod = Pod::new();
    pod.mount(&revision(1, &[domain("isp-a", BR, &[RULE, OTHER])]));
    let relay = pod.launch(&LONG_DRAIN).ready();
    relay.until("announced", |_| routes(&pod) == announced(&[RULE.0, OTHER.0]));
    let traffic = during(&pod, || {
        for (number, domain, shape) in [
            (2, aggregated(&[RULE, OTHER]), &[AGGREGATE][..]),
            (3, domain("isp-a", BR, &[RULE, OTHER]), &[RULE.0, OTHER.0]),
            (4, aggregated(&[RULE, OTHER]), &[AGGREGATE]),
        ] {
            take(&pod, &relay, number, &[domain]);
            assert_eq!(routes(&pod), announced(&[AGGREGATE, RULE.0, OTHER.0]), "both shapes");
            assert_eq!(relay.state()["leaving"], true);
            relay.until("the new one alone", |_| routes(&pod) == announced(shape));
        }
    });
    println!("aggregates come and go: {traffic}");
    assert_eq!(traffic.lost(), 0);
    relay.until("told", |relay| relay.state()["leaving"] == false);
}

#[test]
fn a_rule_that_leaves_with_its_aggregate_is_forwarded_until_it_has_drained() {
    let pod = Pod::new();
    pod.mount(&revision(1, &[aggregated(&[RULE, OTHER])]));
    let relay = pod.launch(&LONG_DRAIN).ready();
    relay.until("announced", |_| routes(&pod) == announced(&[AGGREGATE]));
    let traffic = during(&pod, || {
        // The customer's rule leaves a domain that stays: the aggregate is replaced, the rule is local.
        take(&pod, &relay, 2, &[domain("isp-a", BR, &[OTHER])]);
        let (rule, other) = ((RULE.0.to_owned(), false), (OTHER.0.to_owned(), true));
        assert_eq!(routes(&pod), [(AGGREGATE.to_owned(), true), rule.clone(), other.clone()]);
        relay.until("local only", |_| routes(&pod) == [rule.clone(), other.clone()]);
        take(&pod, &relay, 3, &[aggregated(&[RULE, OTHER])]);
        relay.until("back", |_| routes(&pod) == announced(&[AGGREGATE]));
        // All of it leaves: nothing takes the aggregate's place.
        take(&pod, &relay, 4, &[]);
        assert_eq!(routes(&pod), [(RULE.0.to_owned(), false), (OTHER.0.to_owned(), false)]);
    });
    println!("an aggregate and its rules leave: {traffic}");
    assert_eq!(traffic.lost(), 0);
    relay.until("gone", |_| routes(&pod).is_empty());
    take(&pod, &relay, 5, &[isp_a()]);
    relay.until("announced", |_| routes(&pod) == announced(&[RULE.0]));
}
