//! A packet allocates nothing: not on the way through, and not when it is dropped with an answer.

use engine::{Counters, Defaults, Engine, Extras, HEADROOM, Now, Options, Packet, Snapshot, Ttl, Verdict};

#[path = "support/corpus.rs"]
mod corpus;
#[path = "support/layers.rs"]
mod layers;

#[test]
fn no_packet_allocates() {
    let fleet = corpus::fleet();
    let counters = Counters::new(1);
    let snapshot = Snapshot::compile(&fleet, &counters, &Defaults::default());
    let mut engine = Engine::new(Options { ttl: Ttl::Engine, worker: 0, secret: 0 });
    let mut extras = Extras::new();
    let packets = corpus::packets();
    let is_cut = |verdict: &Verdict, extras: &Extras| verdict.leaves() && extras.packets().next().is_some();
    let mut cut = 0;
    for bytes in &packets {
        let mut buffer = [vec![0; HEADROOM], bytes.clone()].concat();
        let mut batch = [Packet::new(&mut buffer, HEADROOM, bytes.len())];
        let mut verdicts = [Verdict::default()];
        let measured = allocation_counter::measure(|| {
            engine.process(&snapshot, Now(0), &mut batch, &mut verdicts, &mut extras);
        });
        if is_cut(&verdicts[0], &extras) {
            cut += 1;
        }
        assert_eq!(measured.count_total, 0, "{:?} for {bytes:02x?}", verdicts[0]);
    }
    assert!(cut >= 3, "only {cut} packets were cut into fragments");
}
