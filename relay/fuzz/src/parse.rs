//! Arbitrary bytes as one packet: the engine and the reference model agree on its verdict, its reason, its domain and on
//! every byte that leaves, whoever takes the TTL.

use std::sync::{LazyLock, Mutex, PoisonError};

use engine::Now;
use mape::Fleet;
use reference::{Model, Ttl};

use crate::{
    compare::{Comparison, hex},
    fleet, input, model,
    subject::Subject,
};

static FLEET: LazyLock<Fleet> = LazyLock::new(fleet::fleet);
static BENCHES: LazyLock<Mutex<[Bench; 2]>> =
    LazyLock::new(|| Mutex::new([Ttl::Engine, Ttl::Kernel].map(|ttl| Bench::new(&FLEET, ttl))));

/// Compares one input's packet.
pub fn run(bytes: &[u8]) {
    let packet = input::packet(bytes, &FLEET);
    // A capture's filter reads it too.
    let headers = capture::Headers::of(&packet);
    assert!(headers.ports.is_none() || headers.inner.is_some(), "ports without an IPv4 header: {headers:?}");
    let mut benches = BENCHES.lock().unwrap_or_else(PoisonError::into_inner);
    benches.iter_mut().for_each(|bench| bench.compare(&packet));
}

/// Both sides, for one way to take the TTL. Compiling a fleet takes longer than a packet, so the engine stays; what it
/// remembers of earlier packets must not matter to one that comes long after.
struct Bench {
    ttl: Ttl,
    model: Vec<reference::Domain>,
    engine: Subject,
    now: u64,
}

/// Longer than any reassembly takes, in nanoseconds.
const LONG: u64 = 100_000_000_000;

impl Bench {
    fn new(fleet: &Fleet, ttl: Ttl) -> Self {
        let engine = Subject::new(fleet, ttl == Ttl::Kernel, 1);
        Self { ttl, model: model::for_model(fleet), engine, now: 0 }
    }

    fn compare(&mut self, packet: &[u8]) {
        self.now += LONG;
        self.engine.memory.expire(Now(self.now));
        let expected = Model::new(self.model.clone(), self.ttl).process(self.now, packet);
        let found = self.engine.process(self.now, packet);
        let compared = Comparison::default().outcomes(&expected, &found);
        compared.unwrap_or_else(|what| panic!("{:?} {what}\nin     {}", self.ttl, hex(packet)));
    }
}
