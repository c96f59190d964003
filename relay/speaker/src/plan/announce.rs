//! What may be announced: what the domains of the fleet say, as far as the fleet is allowed to.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use crds::{fleet::AllowedPrefixes, revision::Domain, routes};
use mape::{DomainName, Ipv4Net, Ipv6Net, options::Toggle};

use super::Family;

/// All of it, by what is said about it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Announcements {
    pub(crate) groups: Vec<Group>,
    /// How many of the IPv4 prefixes nobody waits for: others are announced instead of them.
    replaced: usize,
}

/// Prefixes that are announced alike.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Group {
    /// Whose they are, for people.
    pub(crate) domains: BTreeSet<DomainName>,
    pub(crate) prefixes: Prefixes,
    pub(crate) communities: BTreeSet<Community>,
    pub(crate) local_preference: Option<u32>,
}

/// Prefixes of both families.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Prefixes {
    pub(crate) ipv4: BTreeSet<Ipv4Net>,
    pub(crate) ipv6: BTreeSet<Ipv6Net>,
}

/// A BGP community.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Community {
    /// RFC 1997.
    Standard(u16, u16),
    /// RFC 8092.
    Large(u32, u32, u32),
}

/// What a domain says about its prefixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attributes {
    domain: DomainName,
    communities: BTreeSet<Community>,
    local_preference: Option<u32>,
}

/// What is said about a prefix. Domains may share one (a BR address, an IPv4 address by its ports): then it has the communities
/// of all of them and the highest of their preferences.
#[derive(Debug, Clone, Default)]
struct Said {
    domains: BTreeSet<DomainName>,
    communities: BTreeSet<Community>,
    local_preference: Option<u32>,
}

impl Announcements {
    pub(super) fn new(allowed: &AllowedPrefixes, domains: &[Domain], replaced: &[(Ipv4Net, &Attributes)]) -> Self {
        let (mut ipv4, mut ipv6) = (BTreeMap::<Ipv4Net, Said>::new(), BTreeMap::<Ipv6Net, Said>::new());
        for domain in domains {
            let prefixes = of_domain(domain);
            let (may4, may6) = (&allowed.ipv4, &allowed.softwire);
            let attributes = Attributes::of(domain);
            for net in prefixes.ipv4.into_iter().filter(|net| may4.iter().any(|allowed| allowed.contains(net))) {
                ipv4.entry(net).or_default().say(&attributes);
            }
            for net in prefixes.ipv6.into_iter().filter(|net| may6.iter().any(|allowed| allowed.contains(net))) {
                ipv6.entry(net).or_default().say(&attributes);
            }
        }
        let wanted = ipv4.len();
        for (net, attributes) in replaced {
            if allowed.ipv4.iter().any(|allowed| allowed.contains(net)) {
                ipv4.entry(*net).or_insert_with(|| Said::from(*attributes));
            }
        }
        let replaced = ipv4.len() - wanted;
        let mut groups = BTreeMap::new();
        for (net, said) in ipv4 {
            group(&mut groups, said).prefixes.ipv4.insert(net);
        }
        for (net, said) in ipv6 {
            group(&mut groups, said).prefixes.ipv6.insert(net);
        }
        Self { groups: groups.into_values().collect(), replaced }
    }

    /// How many prefixes of a family shall be announced.
    pub(crate) fn count(&self, family: Family) -> usize {
        let all: usize = self.groups.iter().map(|group| group.prefixes.count(family)).sum();
        all - if family == Family::Ipv4 { self.replaced } else { 0 }
    }
}

/// A domain's prefixes: what its relay has routes for.
fn of_domain(domain: &Domain) -> Prefixes {
    let config = &domain.config;
    let advertise = &config.options.advertise;
    if advertise.auto_route == Toggle::Disabled {
        return Prefixes::default();
    }
    let mape = config.rules.iter().filter(|_| advertise.mape_prefixes == Toggle::Enabled).map(|rule| rule.mape_prefix);
    Prefixes {
        ipv4: routes::announced(config).collect(),
        ipv6: mape.map(|net| net.trunc()).chain([Ipv6Net::from(config.softwire_address)]).collect(),
    }
}

type Key = (Option<u32>, BTreeSet<Community>);

fn group(groups: &mut BTreeMap<Key, Group>, said: Said) -> &mut Group {
    let Said { domains, communities, local_preference } = said;
    let group = groups.entry((local_preference, communities.clone())).or_default();
    group.domains.extend(domains);
    (group.communities, group.local_preference) = (communities, local_preference);
    group
}

impl Attributes {
    pub(crate) fn of(domain: &Domain) -> Self {
        let communities = domain.communities.iter().filter_map(|text| text.parse().ok()).collect();
        Self { domain: domain.config.name.clone(), communities, local_preference: domain.local_preference }
    }
}

impl From<&Attributes> for Said {
    fn from(attributes: &Attributes) -> Self {
        let mut said = Self::default();
        said.say(attributes);
        said
    }
}

impl Said {
    fn say(&mut self, Attributes { domain, communities, local_preference }: &Attributes) {
        self.domains.insert(domain.clone());
        self.communities.extend(communities);
        self.local_preference = self.local_preference.max(*local_preference);
    }
}

impl Prefixes {
    pub(crate) fn count(&self, family: Family) -> usize {
        match family {
            Family::Ipv4 => self.ipv4.len(),
            Family::Ipv6 => self.ipv6.len(),
        }
    }
}

impl FromStr for Community {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no community");
        let parts = text.split(':').collect::<Vec<_>>();
        let large = |at: usize| parts[at].parse::<u32>().map_err(|_| wrong());
        let small = |at: usize| parts[at].parse::<u16>().map_err(|_| wrong());
        match parts.len() {
            2 => Ok(Self::Standard(small(0)?, small(1)?)),
            3 => Ok(Self::Large(large(0)?, large(1)?, large(2)?)),
            _ => Err(wrong()),
        }
    }
}

/// As BIRD writes it.
impl fmt::Display for Community {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard(a, b) => write!(f, "({a}, {b})"),
            Self::Large(a, b, c) => write!(f, "({a}, {b}, {c})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::domain;

    fn allowed() -> AllowedPrefixes {
        AllowedPrefixes {
            ipv4: vec!["192.0.2.0/24".parse().unwrap()],
            softwire: vec!["2001:db8:ffff::/48".parse().unwrap()],
        }
    }

    #[test]
    fn what_is_not_allowed_is_not_announced() {
        let domains =
            [domain("a", "2001:db8:ffff::1", &["192.0.2.0/25", "198.51.100.0/24"]), domain("b", "2001:db8::1", &[])];
        let announcements = Announcements::new(&allowed(), &domains, &[]);
        assert_eq!((announcements.count(Family::Ipv4), announcements.count(Family::Ipv6)), (1, 1));
        let wider = [domain("a", "2001:db8::1", &["192.0.0.0/16", "0.0.0.0/0"])];
        assert_eq!(Announcements::new(&allowed(), &wider, &[]), Announcements::default());
    }

    #[test]
    fn a_shared_address_has_what_all_its_domains_say() {
        let mut domains = ["a", "b"].map(|name| domain(name, "2001:db8:ffff::1", &[]));
        (domains[0].communities, domains[1].communities) = (vec!["64512:1".to_owned()], vec!["1:2:3".to_owned()]);
        (domains[0].local_preference, domains[1].local_preference) = (Some(50), Some(200));
        let [group] = &Announcements::new(&allowed(), &domains, &[]).groups[..] else { panic!("one group") };
        assert_eq!(group.communities, [Community::Standard(64512, 1), Community::Large(1, 2, 3)].into());
        assert_eq!((group.local_preference, group.domains.len()), (Some(200), 2));
    }

    #[test]
    fn an_aggregate_is_announced_instead_of_the_rules_in_it() {
        let mut domains = [domain("a", "2001:db8:ffff::1", &["192.0.2.0/26", "192.0.2.64/26", "192.0.2.128/25"])];
        domains[0].config.options.advertise.ipv4_aggregates = vec!["192.0.2.0/25".parse().unwrap()];
        let announcements = Announcements::new(&allowed(), &domains, &[]);
        let expected = ["192.0.2.0/25", "192.0.2.128/25"].map(|net| net.parse().unwrap()).into();
        assert_eq!(announcements.groups[0].prefixes.ipv4, expected);
        // One that `allowed` does not hold is not announced, and neither are its rules.
        domains[0].config.options.advertise.ipv4_aggregates = vec!["192.0.2.0/23".parse().unwrap()];
        assert_eq!(Announcements::new(&allowed(), &domains, &[]).count(Family::Ipv4), 0);
    }

    #[test]
    fn what_is_replaced_may_be_announced_and_is_not_waited_for() {
        let domains = [domain("a", "2001:db8:ffff::1", &["192.0.2.0/25"])];
        let before = Domain { communities: vec!["64512:1".to_owned()], ..domain("b", "2001:db8:ffff::1", &[]) };
        let before = Attributes::of(&before);
        let replaced = ["192.0.2.0/24", "192.0.2.0/25", "192.0.0.0/16"].map(|net| (net.parse().unwrap(), &before));
        let announcements = Announcements::new(&allowed(), &domains, &replaced);
        assert_eq!(announcements.count(Family::Ipv4), 1);
        let prefixes = |group: &Group| group.prefixes.ipv4.iter().map(ToString::to_string).collect::<Vec<_>>();
        let all: Vec<_> = announcements.groups.iter().map(|group| (prefixes(group), group.communities.len())).collect();
        assert_eq!(all, [(vec!["192.0.2.0/25".to_owned()], 0), (vec!["192.0.2.0/24".to_owned()], 1)]);
    }

    #[test]
    fn communities_are_numbers_that_fit() {
        for bad in ["", "1", "1:65536", "1:2:3:4", "no-export", "1:2) -> accept", "1:2:4294967296"] {
            assert!(bad.parse::<Community>().is_err(), "{bad}");
        }
    }
}
