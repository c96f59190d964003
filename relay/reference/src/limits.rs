//! How often the relay may speak for itself.

use std::net::IpAddr;

use crate::{Model, counts::Message};

const SECOND: u64 = 1_000_000_000;

/// Time in which tokens grow, at most a second of it: a burst is as large as the rate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    credit: u64,
    at: u64,
}

impl Bucket {
    fn full(now: u64) -> Self {
        Self { credit: SECOND, at: now }
    }

    fn take(&mut self, rate: u32, now: u64) -> bool {
        self.credit = SECOND.min(self.credit + (now - self.at));
        self.at = now;
        let Some(cost) = SECOND.checked_div(rate.into()) else { return false };
        let enough = self.credit >= cost;
        if enough {
            self.credit -= cost;
        }
        enough
    }
}

impl Model {
    /// Whether a message may leave now: the domain's bucket is asked, then the destination's. It is counted either way.
    pub(crate) fn may_say(&mut self, domain: usize, message: Message, to: IpAddr) -> bool {
        let options = &self.domains[domain].options;
        let is_echo = message == Message::EchoReply;
        let rate = if is_echo { options.echo_per_second } else { options.errors_per_second };
        let now = self.now;
        let of_domain = self.domain_buckets.entry((domain, is_echo)).or_insert(Bucket::full(now)).take(rate, now);
        let allowed =
            of_domain && self.destination_buckets.entry((to, is_echo)).or_insert(Bucket::full(now)).take(rate, now);
        let counts = if allowed { &mut self.counts.icmp_sent } else { &mut self.counts.icmp_suppressed };
        *counts.entry((domain, message)).or_default() += 1;
        allowed
    }
}
