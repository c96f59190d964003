//! The self-test: would this relay forward a packet now?
//!
//! Its packets come in by a device of the relay's own as customers' packets do by a side. The kernel forwards them to the TUN by the
//! relay's rules and table, a worker turns them into what a CE (or a host) would get, by the same tables as all others,
//! and the kernel forwards that away from the TUN, again by the relay's rules and table: back to the device they came from.
//!
//! ```text
//!    to CE:  culvert0-t -> kernel -> culvert0 -> worker: encapsulates -> culvert0 -> kernel -> culvert0-t
//!  from CE:  culvert0-t -> kernel -> culvert0 -> worker: decapsulates -> culvert0 -> kernel -> culvert0-t
//! ```
//!
//! Which queue of the TUN a packet gets is the kernel's choice, by a hash with a secret; so there are packets of many
//! flows until every worker has had one. Each worker notes the flows it saw ([`Notes`]), and has passed when one of them came
//! back whole.

mod packet;
mod round;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::OwnedFd,
    sync::Arc,
    time::Duration,
};

use self::nonces::Nonces;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use mape::{DomainConfig, DomainName, Options, RuleConfig, Version};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::mpsc::UnboundedSender,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

pub(crate) use self::round::{Notes, Round};
use crate::{
    plan::{Announcement, Route},
    shared::Shared,
};

/// The customer's address, out of those that RFC 6890 keeps for protocols; the Internet never sees it.
pub(crate) const CUSTOMER: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 12);

/// Who the customer talks to.
const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 13);

/// The BR address and the CE's, out of the prefix that is for packets to be thrown away (RFC 6666).
const BR: Ipv6Addr = Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0x4646, 1);
const CE: Ipv6Addr = Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0x4646, 2);

/// How often it runs.
const PERIOD: Duration = Duration::from_secs(1);

/// How often it runs until it has passed for the first time.
const EAGER: Duration = Duration::from_millis(50);

/// How long a round waits for its packets.
const PATIENCE: Duration = Duration::from_millis(700);

/// The device's name for the TUN of this name: interface names have at most 15 characters.
pub(crate) fn device(tun: &str) -> String {
    format!("{}-t", &tun[..tun.len().min(13)])
}

/// What leads from the device to the TUN.
pub(crate) fn routes() -> [(IpNet, Route); 2] {
    let route = || Route { domain: name(), source: None, announcement: Announcement::Local };
    [(Ipv4Net::from(CUSTOMER).into(), route()), (Ipv6Net::from(BR).into(), route())]
}

/// What leads from the TUN to the device.
pub(crate) fn ends() -> [IpAddr; 2] {
    [HOST.into(), CE.into()]
}

/// Its domain: one CE with one address.
pub(crate) fn domain() -> DomainConfig {
    let rule = RuleConfig {
        name: "self-test".to_owned(),
        ipv4_prefix: CUSTOMER.into(),
        mape_prefix: CE.into(),
        ea_bits_length: 0,
        psid_offset: 0,
        psid_length: Some(0),
        psid: None,
    };
    DomainConfig {
        name: name(),
        created: i64::MAX,
        softwire_address: BR,
        version: Version::Rfc7597,
        rules: vec![rule],
        options: Options::default(),
    }
}

/// Kubernetes knows no such name, so that it is nobody's domain.
fn name() -> DomainName {
    DomainName { namespace: "(relay)".to_owned(), name: "(self-test)".to_owned() }
}

/// Whether something was counted for the self-test.
pub(crate) fn is(name: &DomainName) -> bool {
    *name == self::name()
}

/// A direction, as a packet of the test goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    ToCe,
    FromCe,
}

impl Way {
    pub(crate) const ALL: [Self; 2] = [Self::ToCe, Self::FromCe];

    /// Its label, as the counters of packets have it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::ToCe => "to_ce",
            Self::FromCe => "from_ce",
        }
    }
}

/// Tests forever, and tells `shared`; says on `ended` why it cannot.
pub(crate) async fn run(device: OwnedFd, shared: Arc<Shared>, ended: UnboundedSender<String>) {
    // SAFETY: the `OwnedFd` is an open file of its own, and stays in the `AsyncFd`, which is never taken apart.
    let device = match unsafe { AsyncFd::register_with_interest(device, Interest::READABLE) } {
        Ok(device) => device,
        Err(error) => {
            let _ = ended.send(format!("the self-test's device cannot be waited for: {error}"));
            return;
        }
    };
    let mut nonces = Nonces::new();
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut passed = false;
    loop {
        if passed {
            ticks.tick().await;
        } else {
            sleep(EAGER).await;
        }
        let round = test(&device, &shared.notes, nonces.next()).await;
        passed = round.all_passed();
        shared.self_tested(&round);
    }
}

/// One round: packets of ever more flows, until every worker has passed or time is over.
async fn test(device: &AsyncFd<OwnedFd>, notes: &Notes, nonce: u64) -> Round {
    let mut round = Round::new(notes.workers(), nonce);
    let end = Instant::now() + PATIENCE;
    notes.begin(nonce);
    while !round.all_passed() && Instant::now() < end {
        for packet in round.more_packets() {
            // A device that is down or full takes none: then none comes back.
            let _ = rustix::io::write(device.get_ref(), &packet);
        }
        let wave = (Instant::now() + PATIENCE / 10).min(end);
        while !round.all_passed() && receive(device, &mut round, notes, wave).await {}
    }
    notes.end();
    round
}

/// Takes what is there, or waits for it until then. `false`: the time is over.
async fn receive(device: &AsyncFd<OwnedFd>, round: &mut Round, notes: &Notes, until: Instant) -> bool {
    let Ok(ready) = tokio::time::timeout_at(until, device.readable()).await else { return false };
    let Ok(mut ready) = ready else { return false };
    let mut buffer = [0; 2048];
    while let Ok(length) = rustix::io::read(device.get_ref(), &mut buffer) {
        round.returned(&buffer[..length], notes);
    }
    ready.clear_ready();
    true
}

mod nonces {
    //! Numbers that nobody outside can guess.

    use std::hash::{BuildHasher, RandomState};

    pub(super) struct Nonces {
        secret: RandomState,
        number: u64,
    }

    impl Nonces {
        pub(super) fn new() -> Self {
            Self { secret: RandomState::new(), number: 0 }
        }

        pub(super) fn next(&mut self) -> u64 {
            self.number += 1;
            self.secret.hash_one(self.number).max(1)
        }
    }
}

#[cfg(test)]
mod tests {
    use mape::Fleet;

    use super::*;

    #[test]
    fn its_domain_is_sound_and_maps_as_its_packets_expect() {
        let fleet = Fleet::new(vec![domain()]).unwrap();
        let target = fleet.to_ce(CUSTOMER, Some(1024)).unwrap();
        assert_eq!(target.ce_address, CE);
        assert!(fleet.check_source(CE, Some(BR), CUSTOMER, Some(1024)).is_ok());
    }

    #[test]
    fn its_device_has_a_name_of_its_own() {
        assert_eq!(device("culvert0"), "culvert0-t");
        assert_eq!(device("fifteen-letters"), "fifteen-lette-t");
    }
}
