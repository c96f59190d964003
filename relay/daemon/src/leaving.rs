//! What a change removed and is still served for a while: its routes no longer announce it, and packets that come all the
//! same get through.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use mape::{DomainConfig, DomainName, Fleet, Ipv4Net, Problem, RuleConfig};

/// How long packets are forwarded after their route is gone: what is in the TUN's queue then must get through.
pub(crate) const FLUSH: Duration = Duration::from_millis(200);

/// Domains and rules on their way out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Leaving {
    items: Vec<Item>,
}

#[derive(Debug, Clone)]
struct Item {
    /// The domain, with those rules only that leave.
    config: DomainConfig,
    /// Until then there are routes.
    routes_until: Instant,
}

impl Leaving {
    /// Takes note of what `new` lacks of `old`; what came back is no longer leaving, each of the others keeps its own
    /// time.
    pub(crate) fn depart(&mut self, old: &[DomainConfig], new: &[DomainConfig], now: Instant, drain: Duration) {
        let present = Present::new(new);
        self.items.iter_mut().for_each(|item| present.strip(&mut item.config));
        let mut departing: Vec<DomainConfig> = old.to_vec();
        departing.iter_mut().for_each(|config| present.strip(config));
        let routes_until = now + drain;
        self.items.extend(departing.into_iter().map(|config| Item { config, routes_until }));
        self.items.retain(|item| !item.config.rules.is_empty());
    }

    /// Forgets what has had its time; whether there was any.
    pub(crate) fn forget(&mut self, now: Instant) -> bool {
        let before = self.items.len();
        self.items.retain(|item| item.tables_until() > now);
        self.items.len() != before
    }

    /// What is still forwarded.
    pub(crate) fn forwarded(&self) -> impl Iterator<Item = &DomainConfig> {
        self.items.iter().map(|item| &item.config)
    }

    /// What still has routes.
    pub(crate) fn routed(&self, now: Instant) -> impl Iterator<Item = &DomainConfig> {
        self.items.iter().filter(move |item| item.routes_until > now).map(|item| &item.config)
    }

    /// When something happens next.
    pub(crate) fn next(&self, now: Instant) -> Option<Instant> {
        let time = |item: &Item| if item.routes_until > now { item.routes_until } else { item.tables_until() };
        self.items.iter().map(time).min()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl Item {
    fn tables_until(&self) -> Instant {
        self.routes_until + FLUSH
    }
}

/// What is there after a change.
struct Present<'c> {
    rules: BTreeMap<Ipv4Net, Vec<&'c RuleConfig>>,
}

impl<'c> Present<'c> {
    fn new(configs: &'c [DomainConfig]) -> Self {
        let mut rules: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for rule in configs.iter().flat_map(|config| &config.rules) {
            rules.entry(rule.ipv4_prefix).or_default().push(rule);
        }
        Self { rules }
    }

    /// Takes the rules away that are there, or whose addresses a shorter rule has now: the newest says whose they are.
    fn strip(&self, config: &mut DomainConfig) {
        config.rules.retain(|rule| !self.has(rule) && !self.covers(rule.ipv4_prefix));
    }

    fn has(&self, rule: &RuleConfig) -> bool {
        let same = |other: &&RuleConfig| {
            let RuleConfig { name: _, ipv4_prefix, mape_prefix, ea_bits_length, psid_offset, psid_length: _, psid } =
                other;
            (*ipv4_prefix, *mape_prefix) == (rule.ipv4_prefix, rule.mape_prefix)
                && (*ea_bits_length, *psid_offset, *psid) == (rule.ea_bits_length, rule.psid_offset, rule.psid)
        };
        self.rules.get(&rule.ipv4_prefix).is_some_and(|others| others.iter().any(same))
    }

    fn covers(&self, prefix: Ipv4Net) -> bool {
        std::iter::successors(prefix.supernet(), Ipv4Net::supernet).any(|shorter| self.rules.contains_key(&shorter))
    }
}

/// Everything that is forwarded: `wanted`, which is sound, and what of `extra` does not contradict it.
pub(crate) fn together<'c>(wanted: &[DomainConfig], extra: impl Iterator<Item = &'c DomainConfig>) -> Option<Fleet> {
    let mut union = Union::new(wanted, extra);
    while !union.is_plain() {
        match Fleet::new(union.configs()) {
            Ok(fleet) => return Some(fleet),
            Err(problems) => union.give_way(&problems),
        }
    }
    None
}

/// Domains, and for each the rules that it has beside its own.
struct Union<'c> {
    wanted: &'c [DomainConfig],
    extra: BTreeMap<DomainName, DomainConfig>,
}

impl<'c> Union<'c> {
    fn new<'e>(wanted: &'c [DomainConfig], extra: impl Iterator<Item = &'e DomainConfig>) -> Self {
        let mut by_name: BTreeMap<DomainName, DomainConfig> = BTreeMap::new();
        for config in extra {
            let known = by_name.entry(config.name.clone()).or_insert_with(|| without_rules(config));
            for rule in &config.rules {
                let name = format!("leaving-{}", known.rules.len());
                known.rules.push(RuleConfig { name, ..rule.clone() });
            }
        }
        Self { wanted, extra: by_name }
    }

    fn is_plain(&self) -> bool {
        self.extra.is_empty()
    }

    fn configs(&self) -> Vec<DomainConfig> {
        let mut configs = self.wanted.to_vec();
        for (name, extra) in &self.extra {
            match configs.iter_mut().find(|config| config.name == *name) {
                Some(config) => config.rules.extend(extra.rules.iter().cloned()),
                None => configs.push(extra.clone()),
            }
        }
        configs
    }

    /// Drops the rules that are blamed; all of them if none is.
    fn give_way(&mut self, problems: &[Problem]) {
        let mut blamed: BTreeMap<DomainName, BTreeSet<usize>> = BTreeMap::new();
        for problem in problems {
            if let Some(place) = self.place(problem) {
                blamed.entry(problem.domain.clone()).or_default().insert(place);
            }
        }
        if blamed.is_empty() {
            self.extra.clear();
        }
        for (name, places) in blamed {
            if let Some(config) = self.extra.get_mut(&name) {
                let mut place = 0..;
                config.rules.retain(|_| place.next().is_none_or(|place: usize| !places.contains(&place)));
            }
        }
        self.extra.retain(|_, config| !config.rules.is_empty());
    }

    /// Which of its domain's extra rules a problem is about.
    fn place(&self, problem: &Problem) -> Option<usize> {
        let index: usize = problem.field.strip_prefix("spec.rules[")?.split_once(']')?.0.parse().ok()?;
        let own =
            self.wanted.iter().find(|config| config.name == problem.domain).map_or(0, |config| config.rules.len());
        let extra = self.extra.get(&problem.domain)?.rules.len();
        index.checked_sub(own).filter(|place| *place < extra)
    }
}

/// Youngest of all: what contradicts something that is wanted is what has to change. Tables know no aggregates, which would
/// have to hold a rule.
fn without_rules(config: &DomainConfig) -> DomainConfig {
    let mut config = DomainConfig { created: i64::MAX, rules: Vec::new(), ..config.clone() };
    config.options.advertise.ipv4_aggregates = Vec::new();
    config
}

#[cfg(test)]
mod tests {
    use mape::{Options, Version};

    use super::*;

    const DRAIN: Duration = Duration::from_secs(30);

    fn domain(name: &str, prefixes: &[(&str, &str)]) -> DomainConfig {
        let rule = |(number, (ipv4, ipv6)): (usize, &(&str, &str))| RuleConfig {
            name: format!("r{number}"),
            ipv4_prefix: ipv4.parse().unwrap(),
            mape_prefix: ipv6.parse().unwrap(),
            ea_bits_length: 16,
            psid_offset: 4,
            psid_length: None,
            psid: None,
        };
        DomainConfig {
            name: DomainName { namespace: "isps".to_owned(), name: name.to_owned() },
            created: 0,
            softwire_address: "3001:db8::1".parse().unwrap(),
            version: Version::Rfc7597,
            rules: prefixes.iter().enumerate().map(rule).collect(),
            options: Options::default(),
        }
    }

    const A: (&str, &str) = ("192.0.2.0/24", "2001:db8:a::/48");
    const B: (&str, &str) = ("198.51.100.0/24", "2001:db8:b::/48");
    const C: (&str, &str) = ("203.0.113.0/24", "2001:db8:c::/48");

    fn prefixes(fleet: &Fleet) -> Vec<String> {
        fleet.rules().map(|(domain, rule)| format!("{} {}", domain.name().name, rule.ipv4_prefix())).collect()
    }

    #[test]
    fn what_is_removed_is_forwarded_on_and_routed_until_its_time_is_over() {
        let (old, new) = ([domain("a", &[A, B])], [domain("a", &[A])]);
        let (mut leaving, start) = (Leaving::default(), Instant::now());
        leaving.depart(&old, &new, start, DRAIN);
        let fleet = together(&new, leaving.forwarded()).unwrap();
        assert_eq!(prefixes(&fleet), ["a 192.0.2.0/24", "a 198.51.100.0/24"]);
        assert_eq!(leaving.routed(start).count(), 1);
        assert_eq!(leaving.next(start), Some(start + DRAIN));
        assert_eq!(leaving.routed(start + DRAIN).count(), 0);
        assert!(!leaving.forget(start + DRAIN), "what is in the queue gets through");
        assert_eq!(leaving.next(start + DRAIN), Some(start + DRAIN + FLUSH));
        assert!(leaving.forget(start + DRAIN + FLUSH) && leaving.is_empty());
        assert!(together(&new, leaving.forwarded()).is_none());
    }

    #[test]
    fn a_rule_that_moves_or_comes_back_does_not_leave() {
        let (old, moved) = ([domain("a", &[A, B])], [domain("a", &[A]), domain("b", &[B])]);
        let (mut leaving, start) = (Leaving::default(), Instant::now());
        leaving.depart(&old, &moved, start, DRAIN);
        assert!(leaving.is_empty());
        leaving.depart(&moved, &old[..0], start, DRAIN);
        leaving.depart(&[], &[domain("a", &[A])], start, DRAIN);
        let left: Vec<_> = leaving.forwarded().map(|config| config.rules[0].ipv4_prefix.to_string()).collect();
        assert_eq!(left, ["198.51.100.0/24"]);
    }

    #[test]
    fn each_departure_has_its_own_time() {
        let (mut leaving, start) = (Leaving::default(), Instant::now());
        leaving.depart(&[domain("a", &[A, B, C])], &[domain("a", &[A, B])], start, DRAIN);
        let later = start + DRAIN / 2;
        leaving.depart(&[domain("a", &[A, B])], &[domain("a", &[A])], later, DRAIN);
        assert_eq!(leaving.routed(start + DRAIN).count(), 1);
        assert_eq!(leaving.next(later), Some(start + DRAIN));
        assert!(leaving.forget(start + DRAIN + FLUSH) && !leaving.is_empty());
    }

    #[test]
    fn what_leaves_an_aggregate_is_forwarded_on() {
        let with = |prefixes: &[(&str, &str)], aggregates: &[&str]| {
            let mut domain = domain("a", prefixes);
            domain.options.advertise.ipv4_aggregates = aggregates.iter().map(|net| net.parse().unwrap()).collect();
            [domain]
        };
        let (old, start) = (with(&[A, B], &["192.0.2.0/23", "198.51.0.0/16"]), Instant::now());
        for new in [with(&[A], &["192.0.2.0/23"]).to_vec(), with(&[A], &[]).to_vec(), Vec::new()] {
            let mut leaving = Leaving::default();
            leaving.depart(&old, &new, start, DRAIN);
            let fleet = together(&new, leaving.forwarded()).unwrap();
            assert_eq!(prefixes(&fleet), ["a 192.0.2.0/24", "a 198.51.100.0/24"]);
        }
    }

    #[test]
    fn the_newest_says_whose_an_address_is() {
        let changed = ("192.0.2.0/24", "2001:db8:dd::/48");
        let shorter = ("192.0.0.0/20", "2001:db8:ee::/48");
        let (old, start) = ([domain("a", &[A, B])], Instant::now());
        for new in [[domain("b", &[changed])], [domain("b", &[shorter])]] {
            let mut leaving = Leaving::default();
            leaving.depart(&old, &new, start, DRAIN);
            let fleet = together(&new, leaving.forwarded()).unwrap();
            let owner = fleet.to_ce("192.0.2.1".parse().unwrap(), Some(6600)).unwrap().domain;
            assert_eq!(owner.name().name, "b");
            assert!(prefixes(&fleet).contains(&"a 198.51.100.0/24".to_owned()), "what contradicts nothing stays");
        }
    }
}
