//! The first look at packets: IPv4 goes to CEs, IPv6 comes from them; plain ones by the express way, run by run.

use crate::{
    Count, Direction, DropReason, Outcome, Packet, Verdict,
    engine::Visit,
    fragments::{Known, Waiting},
    from_ce, to_ce,
};

/// Judges a batch.
pub(crate) fn classify(visit: &mut Visit<'_>, batch: &mut [Packet<'_>], verdicts: &mut [Verdict]) {
    if visit.engine_takes_ttl() {
        judge::<true>(visit, batch, verdicts);
    } else {
        judge::<false>(visit, batch, verdicts);
    }
}

fn judge<const TAKE_TTL: bool>(visit: &mut Visit<'_>, batch: &mut [Packet<'_>], verdicts: &mut [Verdict]) {
    let mut done = 0;
    while done < batch.len() {
        let before = done;
        done += run(&mut batch[done..], &mut verdicts[done..], |packet| to_ce::express::<TAKE_TTL>(visit, packet));
        done += run(&mut batch[done..], &mut verdicts[done..], |packet| from_ce::express::<TAKE_TTL>(visit, packet));
        if done == before {
            verdicts[done] = full(visit, &mut batch[done], done);
            done += 1;
        }
    }
}

/// Takes packets the express way while it takes them, and says how many it took. A loop of its own for each direction
/// keeps what it needs in registers.
#[inline(never)]
fn run<'b>(
    batch: &mut [Packet<'b>],
    verdicts: &mut [Verdict],
    express: impl Fn(&mut Packet<'b>) -> Option<Verdict>,
) -> usize {
    let mut taken = 0;
    for (packet, verdict) in batch.iter_mut().zip(verdicts) {
        let Some(found) = express(packet) else { break };
        *verdict = found;
        taken += 1;
    }
    taken
}

/// The way of any packet.
fn full(visit: &mut Visit<'_>, packet: &mut Packet<'_>, cause: usize) -> Verdict {
    visit.cause = cause;
    visit.load = Count::one(packet.unpadded_length());
    visit.known = Known::default();
    let mut verdict = judge_one(visit, packet);
    // What it completed comes first, and may itself be a piece that completes something.
    let mut completed = verdict.outcome == Outcome::Joined;
    while let Some(mut next) = visit.released.pop_front() {
        let found = judge_released(visit, &mut next);
        if completed {
            verdict = found.elsewhere();
            completed = found.outcome == Outcome::Joined;
        }
    }
    verdict
}

/// A packet that the present one set free, or the datagram that it completed: what leaves becomes extras.
#[cold]
fn judge_released(visit: &mut Visit<'_>, waiting: &mut Waiting) -> Verdict {
    visit.load = waiting.load;
    visit.known = waiting.known;
    let mut packet = waiting.packet();
    let before = visit.extras.count();
    let verdict = judge_one(visit, &mut packet);
    if verdict.leaves() {
        visit.extras.insert(before, visit.cause, packet.bytes());
    }
    verdict
}

fn judge_one(visit: &mut Visit<'_>, packet: &mut Packet<'_>) -> Verdict {
    match packet.version() {
        _ if packet.bytes().is_empty() => visit.dropped(None, Direction::ToCe, DropReason::Truncated, false),
        4 => to_ce::full(visit, packet),
        6 => from_ce::full(visit, packet),
        _ => visit.dropped(None, Direction::ToCe, DropReason::BadHeader, false),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use mape::{DomainConfig, DomainName, Fleet, RuleConfig, Version};

    use super::*;
    use crate::{
        Defaults, Extras, HEADROOM, Memory, Now, Options, Snapshot, Ttl,
        wire::{IPV6_HEADER, first_word, halves, ipv4_header, ipv6_header, protocol, seal},
    };

    /// PSIDs of eight bits behind an offset of four: the ports below 4096 are nobody's.
    fn fleet() -> Fleet {
        let rule = RuleConfig {
            name: "shared".into(),
            ipv4_prefix: "67.91.205.0/24".parse().unwrap(),
            mape_prefix: "2001:db8:ce::/48".parse().unwrap(),
            ea_bits_length: 16,
            psid_offset: 4,
            psid_length: Some(8),
            psid: None,
        };
        let domain = DomainConfig {
            name: DomainName { namespace: "default".into(), name: "isp-a".into() },
            created: 0,
            softwire_address: "3001:db8:ffff::1".parse().unwrap(),
            version: Version::Rfc7597,
            rules: vec![rule],
            options: mape::Options::default(),
        };
        Fleet::new(vec![domain]).unwrap()
    }

    /// A UDP packet of `total` bytes.
    fn udp(total: usize, tos: u8, ttl: u8, [source, destination]: [[u8; 4]; 2], ports: [u16; 2]) -> Vec<u8> {
        let mut header = ipv4_header(tos, total, protocol::UDP, source.into(), destination.into());
        header[8] = ttl;
        seal(&mut header);
        let ports = [ports[0].to_be_bytes(), ports[1].to_be_bytes()].concat();
        let mut packet = [&header[..], &ports].concat();
        packet.resize(total, 0);
        packet
    }

    const INTERNET: [u8; 4] = [198, 51, 100, 10];
    const CUSTOMER: [u8; 4] = [67, 91, 205, 2];

    fn to_ce(total: usize, ttl: u8, source: [u8; 4], port: u16) -> Vec<u8> {
        udp(total, 0, ttl, [source, CUSTOMER], [53, port])
    }

    /// From the CE at `ce`.
    fn from_ce(total: usize, tos: u8, ttl: u8, ce: &str, port: u16) -> Vec<u8> {
        let addresses = [ce, "3001:db8:ffff::1"].map(|address| halves(address.parse().unwrap()));
        let header = ipv6_header(first_word(tos, 0), total, protocol::IPV4, addresses[0], addresses[1]);
        [&header[..], &udp(total, tos, ttl, [CUSTOMER, INTERNET], [port, 53])].concat()
    }

    /// How many of these packets go the express way, each in a buffer that ends where that way's look does.
    fn taken(ttl: Ttl, packets: &[Vec<u8>]) -> usize {
        let memory = Memory::new(1, 0);
        let snapshot = Snapshot::compile(&fleet(), &memory, &Defaults::default());
        let (mut extras, mut released, mut cut) = (Extras::new(), VecDeque::new(), 0);
        let visit = Visit {
            options: Options { ttl, worker: 0, secret: 0 },
            cut: &mut cut,
            released: &mut released,
            snapshot: &snapshot,
            now: Now(0),
            extras: &mut extras,
            cause: 0,
            load: Count::default(),
            known: Known::default(),
        };
        // An IPv4 header, and TCP's up to its flags.
        let room = HEADROOM + IPV6_HEADER + 34;
        let in_buffer = |packet: &Vec<u8>| {
            let mut buffer = [&[0; HEADROOM][..], packet].concat();
            buffer.resize(buffer.len().max(room), 0);
            buffer
        };
        let mut buffers: Vec<Vec<u8>> = packets.iter().map(in_buffer).collect();
        let packets = buffers.iter_mut().zip(packets);
        let mut batch: Vec<Packet<'_>> =
            packets.map(|(buffer, packet)| Packet::new(buffer, HEADROOM, packet.len())).collect();
        let mut verdicts = vec![Verdict::default(); batch.len()];
        let is_to_ce = batch[0].version() == 4;
        let taken = match (is_to_ce, ttl) {
            (true, Ttl::Engine) => run(&mut batch, &mut verdicts, |packet| to_ce::express::<true>(&visit, packet)),
            (true, Ttl::Kernel) => run(&mut batch, &mut verdicts, |packet| to_ce::express::<false>(&visit, packet)),
            (false, Ttl::Engine) => run(&mut batch, &mut verdicts, |packet| from_ce::express::<true>(&visit, packet)),
            (false, Ttl::Kernel) => run(&mut batch, &mut verdicts, |packet| from_ce::express::<false>(&visit, packet)),
        };
        assert!(verdicts[..taken].iter().all(|verdict| verdict.outcome == Outcome::Emit));
        taken
    }

    /// That the express way forwards as the full way would is for others to show; this is that it is not left for nothing.
    #[test]
    fn plain_packets_take_the_express_way() {
        let packets = [
            to_ce(28, 64, INTERNET, 6600),
            to_ce(1460, 64, INTERNET, 6600),
            to_ce(100, 2, INTERNET, 4096),
            to_ce(100, 64, [1, 0, 0, 1], 6600),
            to_ce(100, 64, [223, 255, 255, 255], u16::MAX),
            [to_ce(28, 64, INTERNET, 6600), vec![0xa5; 18]].concat(),
        ];
        assert_eq!(taken(Ttl::Engine, &packets), packets.len());
        assert_eq!(taken(Ttl::Kernel, &[to_ce(28, 1, INTERNET, 6600)]), 1, "the kernel takes the TTL");
        let (ce, first_ce) = ("2001:db8:ce:29c:0:435b:cd02:9c", "2001:db8:ce:200:0:435b:cd02:0");
        let packets = [
            from_ce(28, 0, 64, ce, 6600),
            from_ce(1460, 0, 64, ce, 6600),
            from_ce(100, 0xb9, 2, ce, 6600),
            from_ce(100, 3, 255, first_ce, 4096),
            [from_ce(28, 0, 64, ce, 6600), vec![0xa5; 18]].concat(),
        ];
        assert_eq!(taken(Ttl::Engine, &packets), packets.len());
        assert_eq!(taken(Ttl::Kernel, &[from_ce(28, 0, 1, ce, 6600)]), 1, "the kernel takes the TTL");
    }

    #[test]
    fn a_run_ends_where_a_packet_needs_more() {
        let plain = to_ce(28, 64, INTERNET, 6600);
        let reserved = to_ce(28, 64, INTERNET, 4095);
        assert_eq!(taken(Ttl::Engine, &[plain.clone(), plain.clone(), reserved, plain]), 2);
        assert_eq!(taken(Ttl::Engine, &[to_ce(28, 1, INTERNET, 6600)]), 0);
    }
}
