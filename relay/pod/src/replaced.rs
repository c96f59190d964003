//! IPv4 prefixes that larger or smaller ones have taken the place of, and that are announced a while longer: until routers
//! know the new ones. The relay keeps their routes, and the speaker lets them through.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use crds::routes;
use mape::{DomainConfig, Ipv4Net};

/// By prefix: what there is to know of who announced it, and until when it is.
#[derive(Debug, Clone)]
pub struct Replaced<T> {
    prefixes: BTreeMap<Ipv4Net, (T, Instant)>,
}

impl<T> Default for Replaced<T> {
    fn default() -> Self {
        Self { prefixes: BTreeMap::new() }
    }
}

impl<T> Replaced<T> {
    /// Takes note of what the domains in `new` announce in another shape than those in `old` did, until then. What was
    /// replaced before keeps its own time. `remember`: what there is to know of an old domain.
    pub fn depart<'c, D: Copy>(
        &mut self,
        old: impl IntoIterator<Item = (&'c DomainConfig, D)>,
        new: impl IntoIterator<Item = &'c DomainConfig>,
        until: Instant,
        remember: impl Fn(D) -> T,
    ) {
        let now: BTreeSet<Ipv4Net> = new.into_iter().flat_map(routes::announced).collect();
        for (config, domain) in old {
            for prefix in routes::announced(config).filter(|prefix| routes::replaced(*prefix, &now)) {
                self.prefixes.entry(prefix).or_insert_with(|| (remember(domain), until));
            }
        }
        self.prefixes.retain(|prefix, _| routes::replaced(*prefix, &now));
    }

    /// Forgets what has had its time: whether there was any.
    pub fn forget(&mut self, now: Instant) -> bool {
        let before = self.prefixes.len();
        self.prefixes.retain(|_, (_, until)| *until > now);
        self.prefixes.len() != before
    }

    /// What is still announced.
    pub fn announced(&self, now: Instant) -> impl Iterator<Item = (Ipv4Net, &T)> {
        let all = self.prefixes.iter().filter(move |(_, (_, until))| *until > now);
        all.map(|(prefix, (domain, _))| (*prefix, domain))
    }

    /// When something happens next.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.prefixes.values().map(|(_, until)| *until).min()
    }

    /// Whether there is nothing to wait for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.prefixes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mape::{DomainName, Options, RuleConfig, Version, options::Toggle};

    use super::*;

    const NOTICE: Duration = Duration::from_secs(10);

    fn domain(prefixes: &[&str], aggregates: &[&str]) -> [DomainConfig; 1] {
        let rule = |prefix: &&str| RuleConfig {
            name: "r".to_owned(),
            ipv4_prefix: prefix.parse().unwrap(),
            mape_prefix: "2001:db8:ce::/48".parse().unwrap(),
            ea_bits_length: 16,
            psid_offset: 4,
            psid_length: None,
            psid: None,
        };
        let mut options = Options::default();
        options.advertise.ipv4_aggregates = aggregates.iter().map(|prefix| prefix.parse().unwrap()).collect();
        let name = DomainName { namespace: "isps".to_owned(), name: "a".to_owned() };
        let (softwire_address, version) = ("3001:db8::1".parse().unwrap(), Version::Rfc7597);
        let rules = prefixes.iter().map(rule).collect();
        [DomainConfig { name, created: 0, softwire_address, version, rules, options }]
    }

    fn depart(replaced: &mut Replaced<String>, old: &[DomainConfig], new: &[DomainConfig], until: Instant) {
        replaced.depart(old.iter().map(|config| (config, &config.name)), new, until, ToString::to_string);
    }

    fn announced(replaced: &Replaced<String>, now: Instant) -> Vec<String> {
        replaced.announced(now).map(|(prefix, domain)| format!("{prefix} {domain}")).collect()
    }

    #[test]
    fn rules_stay_until_their_aggregate_is_known_and_the_other_way_round() {
        let rules = ["192.0.2.0/25", "192.0.2.128/25", "198.51.100.0/24"];
        let (plain, aggregated) = (domain(&rules, &[]), domain(&rules, &["192.0.2.0/24"]));
        let (mut replaced, start) = (Replaced::default(), Instant::now());
        depart(&mut replaced, &plain, &aggregated, start + NOTICE);
        assert_eq!(announced(&replaced, start), ["192.0.2.0/25 isps/a", "192.0.2.128/25 isps/a"]);
        assert_eq!(replaced.next(), Some(start + NOTICE));
        depart(&mut replaced, &aggregated, &plain, start + NOTICE * 2);
        assert_eq!(announced(&replaced, start), ["192.0.2.0/24 isps/a"], "what is back is replaced no more");
        assert_eq!(announced(&replaced, start + NOTICE * 2), Vec::<String>::new());
        assert!(!replaced.forget(start + NOTICE));
        assert!(replaced.forget(start + NOTICE * 2) && replaced.is_empty());
    }

    #[test]
    fn each_prefix_has_its_own_time() {
        let rules = ["192.0.2.0/25", "198.51.100.0/25"];
        let (mut replaced, start) = (Replaced::default(), Instant::now());
        let one = domain(&rules, &["192.0.2.0/24"]);
        depart(&mut replaced, &domain(&rules, &[]), &one, start + NOTICE);
        let both = domain(&rules, &["192.0.2.0/24", "198.51.100.0/24"]);
        depart(&mut replaced, &one, &both, start + NOTICE * 2);
        assert_eq!(announced(&replaced, start), ["192.0.2.0/25 isps/a", "198.51.100.0/25 isps/a"]);
        assert_eq!(announced(&replaced, start + NOTICE), ["198.51.100.0/25 isps/a"]);
    }

    #[test]
    fn what_is_removed_is_not_replaced() {
        let (mut replaced, now) = (Replaced::default(), Instant::now());
        let aggregated = domain(&["192.0.2.0/25"], &["192.0.2.0/24"]);
        depart(&mut replaced, &aggregated, &[], now + NOTICE);
        assert!(replaced.is_empty());
        // Nor what nobody announced.
        let mut quiet = domain(&["192.0.2.0/25"], &[]);
        quiet[0].options.advertise.auto_route = Toggle::Disabled;
        depart(&mut replaced, &quiet, &aggregated, now + NOTICE);
        assert!(replaced.is_empty());
        // Nor is anything once the prefix that took its place is gone.
        depart(&mut replaced, &domain(&["192.0.2.0/25"], &[]), &aggregated, now + NOTICE);
        assert!(!replaced.is_empty());
        depart(&mut replaced, &aggregated, &[], now + NOTICE);
        assert!(replaced.is_empty());
    }
}
