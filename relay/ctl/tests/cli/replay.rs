//! `culvertctl replay`.

use super::{
    Bench, Ran, json,
    pcap::{Pcap, from_ce, ipv4, pcapng, read, to_ce},
};

const CE_ADDRESS: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0xce, 2, 0x9c, 0, 0, 0x43, 0x5b, 0xcd, 2, 0, 0x9c];

fn replay(bench: &Bench, capture: &[u8]) -> Ran {
    bench.write("in.pcap", capture);
    bench.run(&["replay", "-f", "seed.yaml", "in.pcap", "out.pcap"])
}

fn out(bench: &Bench) -> Vec<u8> {
    std::fs::read(bench.path("out.pcap")).unwrap()
}

#[test]
fn every_packet_gets_a_line_and_what_comes_out_is_written() {
    let bench = Bench::new();
    let records = vec![
        (100, 1, to_ce(6600)),
        (100, 2, from_ce(0x9c)),
        (100, 3, from_ce(0x9d)),
        (100, 4, to_ce(80)),
        (100, 5, ipv4([198, 51, 100, 10], 1, [8, 8, 8, 8], 53, 28)),
        (100, 6, ipv4([198, 51, 100, 10], 1, [67, 91, 205, 2], 6600, 3000)),
        (100, 7, vec![0x45, 0, 0]),
    ];
    let ran = replay(&bench, &Pcap::of(records).bytes());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let expected = [
        r#"{"packet":1,"verdict":"emit","reason":null,"domain":"isp-a","emitted":[1]}"#,
        r#"{"packet":2,"verdict":"emit","reason":null,"domain":"isp-a","emitted":[2]}"#,
        r#"{"packet":3,"verdict":"drop","reason":"SpoofedSource","domain":"isp-a","emitted":[3]}"#,
        r#"{"packet":4,"verdict":"drop","reason":"ReservedPort","domain":"isp-a","emitted":[]}"#,
        r#"{"packet":5,"verdict":"punt","reason":"NoRule","domain":null,"emitted":[]}"#,
        r#"{"packet":6,"verdict":"emit","reason":null,"domain":"isp-a","emitted":[4,5,6]}"#,
        r#"{"packet":7,"verdict":"drop","reason":"Truncated","domain":null,"emitted":[]}"#,
    ];
    assert_eq!(ran.stdout.lines().collect::<Vec<_>>(), expected);
    for part in ["7 packets in, 6 packets out", "3  emit", "1  drop SpoofedSource", "1  punt NoRule"] {
        assert!(ran.stderr.contains(part), "{part}\n{}", ran.stderr);
    }
    let (is_nanosecond, link, packets) = read(&out(&bench));
    assert_eq!((is_nanosecond, link, packets.len()), (false, 101, 6));
    let times: Vec<(u32, u32)> = packets.iter().map(|(seconds, fraction, _)| (*seconds, *fraction)).collect();
    assert_eq!(times, [(100, 1), (100, 2), (100, 3), (100, 6), (100, 6), (100, 6)]);
    assert_eq!(packets[0].2[24..40], CE_ADDRESS);
    assert_eq!(packets[1].2[8], 63, "its TTL is one less");
    assert_eq!(packets[2].2[40..42], [1, 5], "ICMPv6: source address failed ingress/egress policy");
    assert_eq!(std::fs::read_dir(bench.folder.path()).unwrap().count(), 3, "nothing is left beside the capture");
}

/// Each link type, in each byte order and precision, gives the same.
#[test]
fn every_link_type_and_byte_order_is_read() {
    let ethernet = |tail: &[u8]| [[2u8; 12].as_slice(), tail, &to_ce(6600)].concat();
    let frames = [
        (101, to_ce(6600)),
        (12, to_ce(6600)),
        (14, to_ce(6600)),
        (228, to_ce(6600)),
        (229, from_ce(0x9c)),
        (1, ethernet(&[8, 0])),
        (1, ethernet(&[0x81, 0, 0, 5, 8, 0])),
        (1, [ethernet(&[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 8, 0]), vec![0xee; 18]].concat()),
        (113, [[0; 14].as_slice(), &[8, 0], &to_ce(6600)].concat()),
        (276, [[8, 0].as_slice(), &[0; 18], &to_ce(6600)].concat()),
        (0, [[2, 0, 0, 0].as_slice(), &to_ce(6600)].concat()),
        (108, [[0, 0, 0, 2].as_slice(), &to_ce(6600)].concat()),
    ];
    for (link, frame) in frames {
        for (is_big_endian, is_nanosecond) in [(false, false), (false, true), (true, false), (true, true)] {
            let bench = Bench::new();
            let records = vec![(1_700_000_000, 123_456, frame.clone())];
            let ran = replay(&bench, &Pcap { is_big_endian, is_nanosecond, link, records }.bytes());
            let line = json(&ran.stdout);
            assert_eq!((ran.code, line["verdict"].as_str()), (0, Some("emit")), "{link}: {}", ran.stderr);
            let (written_in_nanoseconds, _, packets) = read(&out(&bench));
            assert_eq!(written_in_nanoseconds, is_nanosecond);
            assert_eq!((packets[0].0, packets[0].1), (1_700_000_000, 123_456), "{link}");
            if link != 229 {
                assert_eq!((packets[0].2.len(), &packets[0].2[24..40]), (68, CE_ADDRESS.as_slice()), "{link}");
            }
        }
    }
}

#[test]
fn pcapng_is_read_with_its_time_resolution() {
    for (resolution, units) in [(6u8, 1_700_000_000_123_456u64), (9, 1_700_000_000_123_456_000), (3, 1_700_000_000_123)]
    {
        let bench = Bench::new();
        let ran = replay(&bench, &pcapng(101, resolution, &[(units, to_ce(6600)), (units, to_ce(80))]));
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert_eq!(ran.stdout.lines().count(), 2);
        let (is_nanosecond, _, packets) = read(&out(&bench));
        let fraction = if resolution == 3 { 123_000_000 } else { 123_456_000 };
        assert_eq!((is_nanosecond, packets[0].0, packets[0].1), (true, 1_700_000_000, fraction));
    }
}

/// The clock of the rate limits is the capture's; it may stand still or go back.
#[test]
fn rate_limits_follow_the_capture() {
    let bench = Bench::new();
    let at = |seconds: u32| (seconds, 0, from_ce(0x9d));
    let mut records: Vec<_> = (0..150).map(|_| at(1000)).collect();
    records.push(at(500));
    records.extend((0..150).map(|_| at(1001)));
    let ran = replay(&bench, &Pcap::of(records).bytes());
    let answered: Vec<bool> = ran.stdout.lines().map(|line| json(line)["emitted"] != json("[]")).collect();
    let count = |range: std::ops::Range<usize>| answered[range].iter().filter(|answered| **answered).count();
    assert_eq!((count(0..150), count(150..151), count(151..301)), (100, 0, 100));
}

#[test]
fn frames_that_are_no_ip_are_punted_and_cut_ones_dropped() {
    let bench = Bench::new();
    let arp = [[0xff; 12].as_slice(), &[8, 6], &[0; 28]].concat();
    let cut = [[2; 12].as_slice(), &[8, 0], &to_ce(6600)[..24]].concat();
    let records = vec![(1, 0, arp), (1, 0, vec![0; 10]), (1, 0, cut)];
    let ran = replay(&bench, &Pcap { link: 1, records, ..Pcap::default() }.bytes());
    let expected = [
        r#"{"packet":1,"verdict":"punt","reason":"NotForRelay","domain":null,"emitted":[]}"#,
        r#"{"packet":2,"verdict":"drop","reason":"Truncated","domain":null,"emitted":[]}"#,
        r#"{"packet":3,"verdict":"drop","reason":"Truncated","domain":null,"emitted":[]}"#,
    ];
    assert_eq!(ran.stdout.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn the_largest_packet_fits() {
    let bench = Bench::new();
    let records = vec![(1, 0, ipv4([198, 51, 100, 10], 1, [67, 91, 205, 2], 6600, 65535))];
    let ran = replay(&bench, &Pcap::of(records).bytes());
    assert_eq!(json(&ran.stdout)["emitted"].as_array().unwrap().len(), 46, "{}", ran.stdout);
}

#[test]
fn an_empty_capture_gives_an_empty_capture() {
    let bench = Bench::new();
    let ran = replay(&bench, &Pcap::default().bytes());
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""));
    assert_eq!(out(&bench).len(), 24);
}

#[test]
fn a_capture_that_breaks_off_keeps_what_there_was() {
    let bench = Bench::new();
    let whole = Pcap::of(vec![(1, 0, to_ce(6600)), (2, 0, to_ce(6600))]).bytes();
    let ran = replay(&bench, &whole[..whole.len() - 5]);
    assert_eq!((ran.code, ran.stdout.lines().count()), (1, 1));
    assert!(ran.stderr.contains("in.pcap: the record at byte 68, after packet 1, breaks off here"), "{}", ran.stderr);
    assert_eq!(read(&out(&bench)).2.len(), 1);
    let mut corrupt = whole;
    corrupt[68 + 8..68 + 12].copy_from_slice(&[0xff; 4]);
    let ran = replay(&bench, &corrupt);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("the record at byte 68, after packet 1, is corrupt"), "{}", ran.stderr);
}

#[test]
fn what_is_no_capture_is_refused_and_nothing_is_written() {
    let bench = Bench::new();
    for (content, part) in [
        (b"".as_slice(), "is empty"),
        (b"hello, this is no capture at all", "is neither pcap nor pcapng"),
        (&Pcap::default().bytes()[..10], "breaks off in its header"),
        (&Pcap { link: 105, ..Pcap::default() }.bytes(), "link type 105"),
    ] {
        let ran = replay(&bench, content);
        assert_eq!(ran.code, 1, "{part}");
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
        assert!(!bench.path("out.pcap").exists(), "{part}");
    }
    let ran = bench.run(&["replay", "-f", "seed.yaml", "none.pcap", "out.pcap"]);
    assert!(ran.code == 1 && ran.stderr.contains("none.pcap: "), "{}", ran.stderr);
}

#[test]
fn the_input_is_never_overwritten() {
    let bench = Bench::new();
    let capture = Pcap::of(vec![(1, 0, to_ce(6600))]).bytes();
    bench.write("in.pcap", &capture);
    std::os::unix::fs::symlink("in.pcap", bench.path("link.pcap")).unwrap();
    for output in ["in.pcap", "./in.pcap", "link.pcap"] {
        let ran = bench.run(&["replay", "-f", "seed.yaml", "in.pcap", output]);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert_eq!(std::fs::read(bench.path("in.pcap")).unwrap(), capture);
    }
}

#[test]
fn a_pipe_is_read_and_a_device_is_not_replaced() {
    let bench = Bench::new();
    let capture = Pcap::of(vec![(1, 0, to_ce(6600))]).bytes();
    let ran = bench.run_with_input(&["replay", "-f", "seed.yaml", "-", "/dev/null"], capture);
    assert_eq!((ran.code, ran.stdout.lines().count()), (0, 1), "{}", ran.stderr);
    use std::os::unix::fs::FileTypeExt;
    assert!(std::fs::metadata("/dev/null").unwrap().file_type().is_char_device());
}

#[test]
fn icmp_errors_come_from_the_given_address() {
    let bench = Bench::new();
    let mut packet = ipv4([198, 51, 100, 10], 1, [67, 91, 205, 2], 6600, 28);
    // TTL 64 to 1, and the checksum with it.
    packet[8] = 1;
    packet[10] = packet[10].wrapping_add(63);
    bench.write("in.pcap", Pcap::of(vec![(1, 0, packet)]).bytes());
    let ran = bench.run(&["replay", "-f", "seed.yaml", "--ipv4-source", "203.0.113.9", "in.pcap", "out.pcap"]);
    assert_eq!(json(&ran.stdout)["reason"], "TtlExpired", "{}", ran.stdout);
    assert_eq!(read(&out(&bench)).2[0].2[12..16], [203, 0, 113, 9]);
}
