//! A fleet with a million one-CE bindings: how long it takes to check and index, and how much memory it holds.
//!
//! ```sh
//! cargo run --release -p mape --example million
//! ```

use std::{
    alloc::{GlobalAlloc, Layout, System},
    net::{Ipv4Addr, Ipv6Addr},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Instant,
};

use mape::{DomainConfig, DomainName, Fleet, Ipv4Net, Ipv6Net, Options, RuleConfig, Version, domain, fleet};

/// 256 CEs on each address: 4,096 addresses.
const PSID_LENGTH: u8 = 8;

fn main() {
    let bindings = fleet::MAX_RULES as u32;
    let numbers: Vec<u32> = (0..bindings).collect();
    let configs = numbers.chunks(domain::MAX_RULES_PER_DOMAIN).map(domain).collect();
    let written = held();

    let start = Instant::now();
    let fleet = Fleet::new(configs).expect("every binding has an address, a PSID and a prefix of its own");
    let (checked, peak) = (start.elapsed(), PEAK.load(Relaxed));

    let start = Instant::now();
    for number in &numbers {
        let (ipv4, psid) = place(*number);
        let port = 1024 | psid << 2; // offset 6: the first ports that PSID has
        let target = fleet.to_ce(ipv4, Some(port)).expect("every binding owns a port");
        assert_eq!(target.end_user_prefix, prefix(*number));
    }
    let mapped = start.elapsed();

    println!("{bindings} bindings in {} domains, {} lookup cells", fleet.domains().len(), fleet.lookup_cells());
    println!("checked and indexed in {checked:.2?}, {:.0?} a binding", checked / bindings);
    println!(
        "mapped each once in {mapped:.2?}, {:.0?} a packet (by the plain index, not the relay's tables)",
        mapped / bindings
    );
    println!(
        "memory: {} as written, {} as a fleet, {} at most",
        mebibytes(written),
        mebibytes(held()),
        mebibytes(peak)
    );
}

fn domain(numbers: &[u32]) -> DomainConfig {
    DomainConfig {
        name: DomainName { namespace: "default".into(), name: format!("d{}", numbers[0]) },
        created: 0,
        softwire_address: Ipv6Addr::new(0x3001, 0xdb8, 0xffff, 0, 0, 0, 0, 1),
        version: Version::Rfc7597,
        rules: numbers.iter().map(|number| binding(*number)).collect(),
        options: Options::default(),
    }
}

fn binding(number: u32) -> RuleConfig {
    let (ipv4, psid) = place(number);
    RuleConfig {
        name: format!("ce-{number}"),
        ipv4_prefix: Ipv4Net::new_assert(ipv4, 32),
        mape_prefix: prefix(number),
        ea_bits_length: 0,
        psid_offset: 6,
        psid_length: Some(PSID_LENGTH),
        psid: Some(psid),
    }
}

fn place(number: u32) -> (Ipv4Addr, u16) {
    ((10 << 24 | number >> PSID_LENGTH).into(), (number & ((1 << PSID_LENGTH) - 1)) as u16)
}

fn prefix(number: u32) -> Ipv6Net {
    Ipv6Net::new_assert((0x2001_0db8 << 96 | u128::from(number) << 72).into(), 56)
}

fn mebibytes(bytes: usize) -> String {
    format!("{} MiB", bytes >> 20)
}

fn held() -> usize {
    HELD.load(Relaxed)
}

/// Counts the bytes that are allocated, and the most there ever were.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is handed to the system's allocator unchanged; the counters are no part of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(held, Relaxed);
        // SAFETY: the caller keeps GlobalAlloc's contract, which is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}
