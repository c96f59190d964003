//! Random specs: sound ones with a few fields changed, to values at the edges of what is allowed.

use serde_json::{Value, json};

use crate::specs::{Changes, Specs};

/// The `at`th spec: its kind, and changes to the sound one.
pub(crate) fn spec(seed: u64, at: u64) -> (&'static str, Changes) {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ at.wrapping_mul(0xbf58_476d_1ce4_e5b9));
    let (kind, fields) = if random.below(2) == 0 { ("MapDomain", DOMAIN) } else { ("BorderRelay", RELAY) };
    // Mostly few: one wrong field hides all others.
    let number = 1 + random.below(2) * random.below(4);
    let changes = (0..number).map(|_| {
        let (pointer, pool) = fields[random.below(fields.len())];
        (pointer.to_owned(), value(&mut random, pool))
    });
    (kind, changes.collect())
}

/// What a field may become.
#[derive(Clone, Copy)]
enum Pool {
    Number(i64, i64),
    Word(&'static [&'static str]),
    Ipv4Prefix,
    Ipv4Prefixes,
    Ipv6Prefix,
    Address,
    Addresses,
    Community,
    Map,
    Nested(&'static str, &'static Pool),
}
use Pool::*;

const NAMES: Pool =
    Word(&["a", "a-b", "-a", "a-", "A", "a.b", "", "a_b", "0", "r1", "r2", "net1", "net2", "leaf-a", "eth0"]);
const TOGGLE: Pool = Word(&["Enabled", "Disabled", "enabled"]);

const DOMAIN: &[(&str, Pool)] = &[
    ("/softwireAddress", Address),
    ("/version", Word(&["RFC7597", "Draft03", "Draft3"])),
    ("/relayRefs/0/name", NAMES),
    ("/rules/0/name", NAMES),
    ("/rules/0/ipv4Prefix", Ipv4Prefix),
    ("/rules/0/mapePrefix", Ipv6Prefix),
    ("/rules/0/eaBitsLength", Number(0, 48)),
    ("/rules/0/psidOffset", Number(0, 16)),
    ("/rules/0/psidLength", Number(0, 16)),
    ("/rules/0/psid", Number(0, 65535)),
    ("/rules/1/ipv4Prefix", Ipv4Prefix),
    ("/rules/1/mapePrefix", Ipv6Prefix),
    ("/rules/1/eaBitsLength", Number(0, 48)),
    ("/rules/1/psidOffset", Number(0, 16)),
    ("/rules/1/psidLength", Number(0, 16)),
    ("/rules/1/psid", Number(0, 65535)),
    ("/mtu", Nested("v6", &Number(1280, 16384))),
    ("/tcpMssClamp", Number(536, 16304)),
    ("/tcpMssClamp", Word(&["Auto", "Disabled", "auto", ""])),
    ("/fragmentation", Word(&["Inner", "Outer", "None"])),
    ("/reassembly", Nested("timeoutSeconds", &Number(1, 60))),
    ("/reassembly", Nested("v4", &Word(&["Full", "Virtual", "Half"]))),
    ("/dscp", Nested("toCE", &Number(0, 63))),
    ("/hairpin", TOGGLE),
    ("/icmp", Nested("ipv4Source", &Address)),
    ("/icmp", Nested("errorsPerSecond", &Number(0, 1_000_000))),
    ("/advertise", Nested("communities", &Community)),
    ("/advertise", Nested("localPreference", &Number(0, 4_294_967_295))),
    ("/advertise", Nested("ipv4Aggregates", &Ipv4Prefixes)),
];

const RELAY: &[(&str, Pool)] = &[
    ("/replicas", Number(0, 512)),
    ("/bgp/expectedMaxPaths", Number(1, 512)),
    ("/bgp/localASN", Number(1, 4_294_967_294)),
    ("/bgp/localASN", Number(23456, 65535)),
    ("/bgp/routerID", Word(&["PodHash", "FromIPv4Side", "192.0.2.1"])),
    ("/bgp/gracefulRestart", TOGGLE),
    ("/bgp/peers/0/name", NAMES),
    ("/bgp/peers/0/address", Address),
    ("/bgp/peers/1/address", Address),
    ("/bgp/peers/0/interface", NAMES),
    ("/bgp/peers/1/interface", NAMES),
    ("/bgp/peers/0/extendedNextHop", TOGGLE),
    ("/bgp/peers/1/extendedNextHop", TOGGLE),
    ("/bgp/peers/0/multihopTTL", Number(2, 255)),
    ("/bgp/peers/0/holdTimeSeconds", Number(3, 65535)),
    ("/bgp/peers/0/keepaliveTimeSeconds", Number(1, 21845)),
    ("/bgp/peers/0/keepaliveTimeSeconds", Number(30, 30)),
    ("/bgp/peers/0/communities", Community),
    ("/bgp/peers/0/nodeSelector", Map),
    ("/bgp/peers/0/bfd", Nested("mode", &TOGGLE)),
    ("/bgp/peers/1/bfd", Nested("detectMultiplier", &Number(2, 255))),
    ("/bgp/peers/0/passwordSecretRef", Nested("name", &NAMES)),
    ("/dataplane/interfaces/0/name", NAMES),
    ("/dataplane/interfaces/1/name", NAMES),
    ("/dataplane/interfaces/0/side", Word(&["IPv4", "IPv6", "Both", "ipv4"])),
    ("/dataplane/interfaces/1/side", Word(&["IPv4", "IPv6", "Both"])),
    (
        "/dataplane/interfaces/0/network",
        Word(&["a", "a/b", "a/b.c", "a.b/c", "/a", "a/", "a/b/c", "A", "a..b", "a-.b"]),
    ),
    ("/dataplane/interfaces/0/nextHops", Addresses),
    ("/dataplane/interfaces/1/nextHops", Addresses),
    ("/dataplane/queues", Number(1, 256)),
    ("/allowed/ipv4Prefixes/0", Ipv4Prefix),
    ("/allowed/softwirePrefixes/0", Ipv6Prefix),
    ("/drain", Nested("gracefulShutdownSeconds", &Number(0, 300))),
    ("/drain", Nested("withdrawSeconds", &Number(23, 24))),
    ("/rollout", Nested("maxUnavailable", &Number(0, 512))),
    ("/rollout", Nested("maxSurge", &Number(0, 512))),
    ("/podTemplate", Nested("labels", &Map)),
    ("/podTemplate", Nested("annotations", &Map)),
    ("/podTemplate", Nested("terminationGracePeriodSeconds", &Number(17, 3600))),
    ("/podTemplate", Nested("image", &Word(&["a", "a b", "", "r.example/a:1@sha256:0", "a\t"]))),
    (
        "/podTemplate",
        Nested(
            "resources",
            &Nested(
                "limits",
                &Nested(
                    "cpu",
                    &Word(&["1", "1.5Gi", ".5", "1.", ".", "1e3", "1E-3", "+1m", "1 m", "m", "", "1x", "1eE"]),
                ),
            ),
        ),
    ),
];

fn value(random: &mut Random, pool: Pool) -> Value {
    // Now and then, nothing.
    if random.below(24) == 0 {
        return Value::Null;
    }
    match pool {
        Number(least, most) => number(random, least, most),
        Word(words) => json!(random.of(words)),
        Ipv4Prefix => json!(format!("{}/{}", random.of(IPV4), random.of(LENGTHS))),
        Ipv6Prefix => json!(format!("{}/{}", random.of(IPV6), random.of(LENGTHS))),
        Address => json!(address(random)),
        Addresses => (0..random.below(4))
            .map(|_| json!(if random.below(5) == 0 { "FromPeers" } else { address(random) }))
            .collect(),
        Ipv4Prefixes => {
            (0..random.below(4)).map(|_| json!(format!("{}/{}", random.of(IPV4), random.of(LENGTHS)))).collect()
        }
        Community => (0..random.below(4)).map(|_| json!(community(random))).collect(),
        Map => {
            let keys =
                ["a", "a/b", "culvert.dev/x", "app.kubernetes.io/name", "A.b_c-1", "-", "a/b/c", "a b", "k8s.io/"];
            json!({random.of(&keys): random.of(&["", "a", "A_b.c", "-a", "a b", "a/b"])})
        }
        Nested(name, inner) => json!({name: value(random, *inner)}),
    }
}

/// At the edges, just outside, or anywhere between.
fn number(random: &mut Random, least: i64, most: i64) -> Value {
    let between = least + (random.next() % (most - least + 1).unsigned_abs()).cast_signed();
    let edges = [least, most, least - 1, most + 1, least + 1, between, between, between];
    json!(random.of(&edges))
}

fn address(random: &mut Random) -> &'static str {
    if random.below(2) == 0 { random.of(IPV4) } else { random.of(IPV6) }
}

fn community(random: &mut Random) -> String {
    let parts = 1 + random.below(4);
    let part =
        |random: &mut Random| random.of(&["0", "1", "65535", "65536", "4294967295", "4294967296", "007", "", "x"]);
    (0..parts).map(|_| part(random)).collect::<Vec<_>>().join(":")
}

const IPV4: &[&str] = &[
    "198.51.100.0",
    "198.51.100.1",
    "203.0.113.1",
    "203.0.113.0",
    "10.0.0.0",
    "8.0.0.0",
    "0.0.0.0",
    "127.0.0.1",
    "127.0.0.0",
    "224.0.0.0",
    "239.255.0.0",
    "240.0.0.0",
    "255.255.255.255",
    "169.254.0.1",
    "010.0.0.0",
    "1.2.3",
    "1.2.3.4.5",
    "256.1.1.1",
    "192.0.2.1",
    "192.0.2.2",
    "192.0.2.128",
    "223.255.255.255",
    "128.0.0.0",
    "",
];

const IPV6: &[&str] = &[
    "2001:db8:ce::",
    "2001:db8:cf::",
    "2001:db8:cf:0:0:cb00:7101:34",
    "2001:db8::1",
    "2001:DB8::",
    "fe80::1",
    "fe80::",
    "fec0::1",
    "fd00::",
    "ff02::1",
    "ff00::",
    "::",
    "::1",
    "::ffff:192.0.2.1",
    "::ffff:0:0",
    "::192.0.2.1",
    "64:ff9b::192.0.2.1",
    "1::2::3",
    "2001:db8::%eth0",
    "2001:0db8:0000:0000:0000:0000:0000:0001",
    "2001:00db8::1",
    "1:2:3:4:5:6:7:8",
    "1:2:3:4:5:6:7",
    "::1.2.3.04",
    "4000::",
];

const LENGTHS: &[&str] = &[
    "0", "1", "7", "8", "9", "16", "20", "24", "25", "31", "32", "33", "40", "48", "56", "64", "96", "112", "120",
    "128", "129", "024", "+24", "", "-1", "24 ",
];

/// The largest objects that the schema takes: the rules cost the API server no more than it spends on one.
pub(crate) fn largest(specs: &Specs) -> [Value; 2] {
    let rule = |at: usize| {
        let ipv4 = format!("10.{}.{}.0/24", at / 250, at % 250);
        let name = format!("{at:063}");
        json!({"name": name, "ipv4Prefix": ipv4, "mapePrefix": format!("2001:db8:{:x}::/48", at + 1), "eaBitsLength": 16, "psidOffset": 4, "psidLength": 8})
    };
    let refs = |at: usize| json!({"name": format!("{at:063}")});
    let communities: Vec<Value> = (0..32).map(|at| json!(format!("4294967295:4294967295:{at:010}"))).collect();
    let aggregates: Vec<Value> = (0..32).map(|at| json!(format!("10.0.{}.0/21", 8 * at))).collect();
    let domain = [
        ("/rules", (0..1000).map(rule).collect()),
        ("/relayRefs", (0..8).map(refs).collect()),
        ("/advertise", json!({"communities": communities, "ipv4Aggregates": aggregates})),
    ];
    let hops: Vec<Value> =
        (1..=8).flat_map(|at| [json!(format!("192.0.2.{at}")), json!(format!("2001:db8:0:1:2:3:4:{at:x}"))]).collect();
    let interface = |at: usize| json!({"name": format!("net{at:012}"), "network": format!("{0:063}/{0:0189}", at), "nextHops": hops});
    let peer = |at: usize| {
        let interface = format!("net{:012}", at % 8);
        let labels: serde_json::Map<String, Value> =
            (0..16).map(|at| (format!("example.com/{at:063}"), json!(format!("{at:063}")))).collect();
        json!({"name": format!("{at:063}"), "address": format!("2001:db8::{at:x}:1"), "interface": interface, "peerASN": 64500 + at,
            "communities": communities, "nodeSelector": labels})
    };
    let relay = [
        ("/replicas", json!(512)),
        ("/dataplane/interfaces", (0..8).map(interface).collect()),
        ("/bgp", json!({"localASN": 64512, "expectedMaxPaths": 512, "peers": (0..16).map(peer).collect::<Value>()})),
        ("/allowed/ipv4Prefixes", (0..256).map(|at| json!(format!("10.{at}.128.0/24"))).collect()),
        ("/allowed/softwirePrefixes", (0..256).map(|at| json!(format!("2001:db8:{at:x}:8000::/64"))).collect()),
    ];
    let object = |kind, changes: &[(&str, Value)]| {
        let changes = changes.iter().map(|(pointer, value)| ((*pointer).to_owned(), value.clone())).collect();
        specs.object(kind, "largest", &changes)
    };
    [object("MapDomain", &domain), object("BorderRelay", &relay)]
}

/// SplitMix64: a spec is a function of seed and number, so that one can be had again.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most as u64).unwrap_or_default()
    }

    fn of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }
}
