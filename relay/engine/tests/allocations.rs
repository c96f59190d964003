//! A packet allocates nothing: not on the way through, not when it is cut, and not when it is dropped with an answer. Only
//! fragments that wait take memory, and a datagram's first fragment once for each place that the store grows by.

use engine::{Defaults, Engine, Extras, HEADROOM, Memory, Now, Options, Outcome, Packet, Snapshot, Ttl, Verdict};

#[path = "support/corpus.rs"]
mod corpus;
#[path = "support/layers.rs"]
mod layers;

#[test]
fn no_packet_allocates() {
    let fleet = corpus::fleet();
    let memory = Memory::new(1, 0);
    let snapshot = Snapshot::compile(&fleet, &memory, &Defaults::default());
    let mut engine = Engine::new(Options { ttl: Ttl::Engine, worker: 0, secret: 0 });
    let mut extras = Extras::new();
    let packets = corpus::packets();
    let is_cut = |verdict: &Verdict, extras: &Extras| verdict.leaves() && extras.packets().next().is_some();
    let mut cut = 0;
    // The second time all of the first one's datagrams are forgotten, and their places are there.
    for (round, bytes) in packets.iter().map(|bytes| (0, bytes)).chain(packets.iter().map(|bytes| (1, bytes))) {
        let mut buffer = [vec![0; HEADROOM], bytes.clone()].concat();
        let mut batch = [Packet::new(&mut buffer, HEADROOM, bytes.len())];
        let mut verdicts = [Verdict::default()];
        let measured = allocation_counter::measure(|| {
            engine.process(&snapshot, Now(round * 10_000_000_000), &mut batch, &mut verdicts, &mut extras);
        });
        if is_cut(&verdicts[0], &extras) {
            cut += 1;
        }
        // A piece of a datagram that is joined takes memory even if the datagram is worthless in the end.
        let is_piece = bytes.first() == Some(&0x60) && bytes.get(6) == Some(&44);
        if round == 0 || is_piece || matches!(verdicts[0].outcome, Outcome::Hold | Outcome::Joined) {
            continue;
        }
        assert_eq!(measured.count_total, 0, "{:?} for {bytes:02x?}", verdicts[0]);
    }
    assert!(cut >= 3, "only {cut} packets were cut into fragments");
}
