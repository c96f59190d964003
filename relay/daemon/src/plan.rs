//! Which routes and addresses a fleet wants on this box: pure, so that a reload can compare before it changes anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use ipnet::{IpNet, Ipv6Net};
use mape::{
    Domain, DomainConfig, DomainName, Fleet, Ipv4Net, Rule,
    options::{Advertise, Toggle},
};

/// Everything that shall be on the box for a fleet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Plan {
    /// The routes to the TUN.
    pub(crate) routes: BTreeMap<IpNet, Route>,
    /// The TUN's addresses: what the relay, and the kernel for it, speaks from.
    pub(crate) addresses: BTreeSet<Ipv4Addr>,
    /// There are MAP-E prefixes among the routes.
    pub(crate) has_mape_prefixes: bool,
}

/// What a route to the TUN carries besides its prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    /// Who asked for it first.
    pub(crate) domain: DomainName,
    /// What the kernel's own ICMP errors to these CEs come from; only IPv4.
    pub(crate) source: Option<Ipv4Addr>,
    pub(crate) announcement: Announcement,
}

/// What a route says to whoever announces routes; the later, the less. By all of them packets are forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Announcement {
    /// To be announced.
    Full,
    /// To be announced with GRACEFUL_SHUTDOWN (RFC 8326).
    Leaving,
    /// Not to be announced.
    #[default]
    Local,
}

impl Announcement {
    /// How /state names it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Full => "Full",
            Self::Leaving => "Leaving",
            Self::Local => "Local",
        }
    }
}

/// What lies between two plans. Routes that stay the same are in neither.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Change {
    pub(crate) new_addresses: Vec<Ipv4Addr>,
    pub(crate) old_addresses: Vec<Ipv4Addr>,
    /// Prefixes that no route led here before.
    pub(crate) new_routes: Vec<(IpNet, Route)>,
    /// Routes that stay, and are announced less than before.
    pub(crate) quieter_routes: Vec<(IpNet, Route)>,
    /// Routes that stay, and are announced more than before, or have another source.
    pub(crate) louder_routes: Vec<(IpNet, Route)>,
    pub(crate) old_routes: Vec<IpNet>,
    /// The same, of prefixes that lie in others to which routes lead.
    pub(crate) covered_routes: Vec<IpNet>,
}

impl Plan {
    /// What `fleet` wants from a relay that speaks from `ipv4_source`.
    ///
    /// # Errors
    /// If `ipv4_source` is a customer's: as an address of this box it would take the customer's packets.
    pub(crate) fn new(fleet: &Fleet, ipv4_source: Ipv4Addr) -> Result<Self, String> {
        if let Some((domain, rule)) = fleet.longest(ipv4_source).next() {
            return Err(format!(
                "--ipv4-source {ipv4_source} lies in {} of rule {} in {}: it must be no customer's address",
                rule.ipv4_prefix(),
                rule.name(),
                domain.name()
            ));
        }
        let mut plan = Self { addresses: BTreeSet::from([ipv4_source]), ..Self::default() };
        for domain in fleet.domains() {
            let source = own_source(fleet, domain).unwrap_or(ipv4_source);
            plan.addresses.insert(source);
            if domain.options().advertise.auto_route == Toggle::Enabled {
                plan.add_routes(domain, source);
            }
        }
        Ok(plan)
    }

    /// Adds the MAP-E prefixes of domains that want them announced. Packets to CEs must have another way to leave then.
    pub(crate) fn with_mape_prefixes(mut self, fleet: &Fleet) -> Self {
        let announced = |domain: &&Domain| {
            let Advertise { auto_route, mape_prefixes, .. } = &domain.options().advertise;
            (auto_route, mape_prefixes) == (&Toggle::Enabled, &Toggle::Enabled)
        };
        for domain in fleet.domains().iter().filter(announced) {
            for rule in domain.rules() {
                self.has_mape_prefixes = true;
                self.routes.entry(rule.mape_prefix().into()).or_insert_with(|| Route {
                    domain: domain.name().clone(),
                    source: None,
                    announcement: Announcement::Full,
                });
            }
        }
        self
    }

    /// Adds what leaves: routes that are not announced, where none is wanted.
    pub(crate) fn with_leaving<'c>(
        mut self,
        leaving: impl Iterator<Item = &'c DomainConfig>,
        ipv4_source: Ipv4Addr,
    ) -> Self {
        for config in leaving.filter(|config| config.options.advertise.auto_route == Toggle::Enabled) {
            let route = |source| Route { domain: config.name.clone(), source, announcement: Announcement::Local };
            let br_address = Ipv6Net::from(config.softwire_address);
            self.routes.entry(br_address.into()).or_insert_with(|| route(None));
            for rule in &config.rules {
                self.routes.entry(rule.ipv4_prefix.into()).or_insert_with(|| route(Some(ipv4_source)));
            }
        }
        self
    }

    /// Adds what others are announced instead of, where no other route is wanted.
    pub(crate) fn with_replaced<'n>(
        mut self,
        replaced: impl Iterator<Item = (Ipv4Net, &'n DomainName)>,
        ipv4_source: Ipv4Addr,
    ) -> Self {
        for (prefix, domain) in replaced {
            let (domain, announcement) = (domain.clone(), Announcement::Full);
            self.routes.entry(prefix.into()).or_insert(Route { domain, source: Some(ipv4_source), announcement });
        }
        self
    }

    /// The same, with no route announced more than this.
    pub(crate) fn at_most(mut self, limit: Announcement) -> Self {
        self.routes.values_mut().for_each(|route| route.announcement = route.announcement.max(limit));
        self
    }

    /// The same, without addresses that the box has already.
    pub(crate) fn without_addresses(mut self, present: &BTreeSet<Ipv4Addr>) -> Self {
        self.addresses.retain(|address| !present.contains(address));
        self
    }

    fn add_routes(&mut self, domain: &Domain, source: Ipv4Addr) {
        let route = |source| Route { domain: domain.name().clone(), source, announcement: Announcement::Full };
        let br_address = Ipv6Net::from(domain.softwire_address());
        self.routes.entry(br_address.into()).or_insert_with(|| route(None));
        for prefix in domain.options().advertise.ipv4_routes(domain.rules().iter().map(Rule::ipv4_prefix)) {
            self.routes.entry(prefix.into()).or_insert_with(|| route(Some(source)));
        }
    }

    fn covers(&self, prefix: IpNet) -> bool {
        std::iter::successors(prefix.supernet(), IpNet::supernet).any(|larger| self.routes.contains_key(&larger))
    }

    /// What has to change for `self` to become `wanted`.
    pub(crate) fn change_to(&self, wanted: &Self) -> Change {
        let old = self.routes.keys().filter(|prefix| !wanted.routes.contains_key(prefix)).copied();
        let (covered_routes, old_routes) = old.partition(|prefix| wanted.covers(*prefix));
        let mut change = Change {
            new_addresses: wanted.addresses.difference(&self.addresses).copied().collect(),
            old_addresses: self.addresses.difference(&wanted.addresses).copied().collect(),
            old_routes,
            covered_routes,
            ..Change::default()
        };
        for (prefix, route) in &wanted.routes {
            let list = match self.routes.get(prefix) {
                None => &mut change.new_routes,
                Some(old) if old.announcement < route.announcement => &mut change.quieter_routes,
                Some(old) if (old.announcement, old.source) != (route.announcement, route.source) => {
                    &mut change.louder_routes
                }
                Some(_) => continue,
            };
            list.push((*prefix, route.clone()));
        }
        change
    }
}

/// The domain's own ICMP source, if the box may have it as an address: not if it is a customer's too, since then the
/// customer's packets must get through. (The engine uses it all the same; the route to the TUN makes it valid there.)
fn own_source(fleet: &Fleet, domain: &Domain) -> Option<Ipv4Addr> {
    domain.options().icmp.ipv4_source.filter(|source| fleet.longest(*source).next().is_none())
}

#[cfg(test)]
mod tests {
    use mape::{Options, RuleConfig, Version};

    use super::*;

    const SOURCE: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 8);

    fn domain(name: &str, br_address: &str, prefixes: &[&str]) -> DomainConfig {
        let rule = |(number, prefix): (usize, &&str)| RuleConfig {
            name: format!("r{number}"),
            ipv4_prefix: prefix.parse().unwrap(),
            mape_prefix: format!("2001:db8:{}{number}::/48", name.len()).parse().unwrap(),
            ea_bits_length: 16,
            psid_offset: 4,
            psid_length: None,
            psid: None,
        };
        DomainConfig {
            name: DomainName { namespace: "default".to_owned(), name: name.to_owned() },
            created: 0,
            softwire_address: br_address.parse().unwrap(),
            version: Version::Rfc7597,
            rules: prefixes.iter().enumerate().map(rule).collect(),
            options: Options::default(),
        }
    }

    fn plan(domains: &[DomainConfig]) -> Plan {
        Plan::new(&Fleet::new(domains.to_vec()).unwrap(), SOURCE).unwrap()
    }

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn prefixes(plan: &Plan) -> Vec<IpNet> {
        plan.routes.keys().copied().collect()
    }

    #[test]
    fn a_domain_wants_its_prefixes_and_its_br_address() {
        let plan = plan(&[domain("a", "3001:db8::1", &["67.91.205.0/24", "67.91.206.0/24"])]);
        assert_eq!(prefixes(&plan), [net("67.91.205.0/24"), net("67.91.206.0/24"), net("3001:db8::1/128")]);
        assert_eq!(plan.routes[&net("67.91.205.0/24")].source, Some(SOURCE));
        assert_eq!(plan.routes[&net("3001:db8::1/128")].source, None);
        assert_eq!(plan.addresses, BTreeSet::from([SOURCE]));
    }

    #[test]
    fn a_domain_without_auto_route_wants_none() {
        let mut quiet = domain("a", "3001:db8::1", &["67.91.205.0/24"]);
        quiet.options.advertise.auto_route = Toggle::Disabled;
        assert!(plan(&[quiet]).routes.is_empty());
    }

    #[test]
    fn mape_prefixes_are_routes_where_a_domain_wants_them() {
        let mut with = domain("a", "3001:db8::1", &["67.91.205.0/24"]);
        with.options.advertise.mape_prefixes = Toggle::Enabled;
        let mut quiet = domain("bb", "3001:db8::2", &["67.91.206.0/24"]);
        quiet.options.advertise =
            Advertise { auto_route: Toggle::Disabled, mape_prefixes: Toggle::Enabled, ..Advertise::default() };
        let without = domain("ccc", "3001:db8::3", &["67.91.207.0/24"]);
        let fleet = Fleet::new(vec![with, quiet, without.clone()]).unwrap();
        let plan = Plan::new(&fleet, SOURCE).unwrap();
        assert!(!plan.has_mape_prefixes);
        let before = plan.routes.len();
        let plan = plan.with_mape_prefixes(&fleet);
        assert!(plan.has_mape_prefixes && plan.routes.len() == before + 1);
        assert_eq!(plan.routes[&net("2001:db8:10::/48")].announcement, Announcement::Full);
        let fleet = Fleet::new(vec![without]).unwrap();
        assert!(!Plan::new(&fleet, SOURCE).unwrap().with_mape_prefixes(&fleet).has_mape_prefixes);
    }

    #[test]
    fn an_aggregate_is_a_route_instead_of_the_rules_in_it() {
        let mut with = domain("a", "3001:db8::1", &["67.91.205.0/24", "67.91.206.0/24", "192.0.2.0/24"]);
        with.options.advertise.ipv4_aggregates = vec!["67.91.0.0/16".parse().unwrap()];
        let plan = plan(&[with]);
        assert_eq!(prefixes(&plan), [net("67.91.0.0/16"), net("192.0.2.0/24"), net("3001:db8::1/128")]);
        assert_eq!(plan.routes[&net("67.91.0.0/16")].source, Some(SOURCE));
    }

    #[test]
    fn what_is_replaced_stays_announced_unless_something_else_is_wanted() {
        let leaves = domain("bb", "3001:db8::2", &["67.91.206.0/24"]);
        let name = leaves.name.clone();
        let replaced = ["67.91.205.0/24", "67.91.206.0/24", "67.91.0.0/16"].map(|net| (net.parse().unwrap(), &name));
        let plan = plan(&[domain("a", "3001:db8::1", &["67.91.205.0/24"])])
            .with_leaving([leaves.clone()].iter(), SOURCE)
            .with_replaced(replaced.into_iter(), SOURCE);
        let of = |prefix| plan.routes[&net(prefix)].announcement;
        assert_eq!([of("67.91.205.0/24"), of("67.91.0.0/16")], [Announcement::Full; 2]);
        assert_eq!(of("67.91.206.0/24"), Announcement::Local);
        assert_eq!(plan.routes[&net("67.91.205.0/24")].domain.name, "a");
    }

    #[test]
    fn a_shared_br_address_is_one_route() {
        let plan =
            plan(&[domain("a", "3001:db8::1", &["67.91.205.0/24"]), domain("bb", "3001:db8::1", &["67.91.206.0/24"])]);
        assert_eq!(plan.routes.len(), 3);
    }

    #[test]
    fn a_source_of_its_own_becomes_an_address_unless_it_is_a_customers() {
        let own: Ipv4Addr = "198.51.100.1".parse().unwrap();
        let mut with_own = domain("a", "3001:db8::1", &["67.91.205.0/24"]);
        with_own.options.icmp.ipv4_source = Some(own);
        let plan_with_own = plan(&[with_own.clone()]);
        assert_eq!(plan_with_own.addresses, BTreeSet::from([SOURCE, own]));
        assert_eq!(plan_with_own.routes[&net("67.91.205.0/24")].source, Some(own));

        with_own.options.icmp.ipv4_source = Some("67.91.205.1".parse().unwrap());
        let customers = plan(&[with_own]);
        assert_eq!(customers.addresses, BTreeSet::from([SOURCE]));
        assert_eq!(customers.routes[&net("67.91.205.0/24")].source, Some(SOURCE));
    }

    #[test]
    fn the_relays_source_may_not_be_a_customers() {
        let fleet = Fleet::new(vec![domain("a", "3001:db8::1", &["67.91.205.0/24"])]).unwrap();
        let error = Plan::new(&fleet, "67.91.205.9".parse().unwrap()).unwrap_err();
        assert!(error.contains("67.91.205.0/24 of rule r0 in default/a"), "{error}");
    }

    #[test]
    fn what_leaves_is_routed_and_not_announced() {
        let (stays, leaves) =
            (domain("a", "3001:db8::1", &["67.91.205.0/24"]), domain("bb", "3001:db8::2", &["67.91.206.0/24"]));
        let before = plan(&[stays.clone(), leaves.clone()]);
        let after = plan(&[stays]).with_leaving([leaves].iter(), SOURCE);
        assert_eq!(prefixes(&after), prefixes(&before));
        let change = before.change_to(&after);
        let quieter: Vec<_> = change.quieter_routes.iter().map(|(prefix, _)| *prefix).collect();
        assert_eq!(quieter, [net("67.91.206.0/24"), net("3001:db8::2/128")]);
        assert!(change.louder_routes.is_empty());
        let again = after.change_to(&before);
        assert_eq!((again.quieter_routes.len(), again.louder_routes.len()), (0, 2));
    }

    #[test]
    fn a_relay_that_leaves_announces_no_route_more_than_it_did() {
        let (stays, leaves) =
            (domain("a", "3001:db8::1", &["67.91.205.0/24"]), domain("bb", "3001:db8::2", &["67.91.206.0/24"]));
        let plan = plan(&[stays]).with_leaving([leaves].iter(), SOURCE).at_most(Announcement::Leaving);
        let of = |prefix| plan.routes[&net(prefix)].announcement;
        assert_eq!([of("67.91.205.0/24"), of("3001:db8::1/128")], [Announcement::Leaving; 2]);
        assert_eq!([of("67.91.206.0/24"), of("3001:db8::2/128")], [Announcement::Local; 2]);
    }

    #[test]
    fn what_lies_in_another_route_goes_apart_from_what_does_not() {
        let before = plan(&[domain("a", "3001:db8::1", &["67.91.205.0/24", "192.0.2.0/24"])]);
        let mut aggregated = domain("a", "3001:db8::1", &["67.91.205.0/24"]);
        aggregated.options.advertise.ipv4_aggregates = vec!["67.91.0.0/16".parse().unwrap()];
        let change = before.change_to(&plan(&[aggregated]));
        assert_eq!(
            (change.old_routes, change.covered_routes),
            (vec![net("192.0.2.0/24")], vec![net("67.91.205.0/24")])
        );
    }

    #[test]
    fn a_change_touches_only_what_differs() {
        let before = plan(&[domain("a", "3001:db8::1", &["67.91.205.0/24", "67.91.206.0/24"])]);
        let mut later = domain("a", "3001:db8::1", &["67.91.205.0/24", "67.91.207.0/24"]);
        let after = plan(&[later.clone()]);
        let change = before.change_to(&after);
        assert_eq!(change.new_routes.iter().map(|(prefix, _)| *prefix).collect::<Vec<_>>(), [net("67.91.207.0/24")]);
        assert_eq!(change.old_routes, [net("67.91.206.0/24")]);
        assert!(change.quieter_routes.is_empty() && change.louder_routes.is_empty());

        later.options.icmp.ipv4_source = Some("198.51.100.1".parse().unwrap());
        let change = after.change_to(&plan(&[later]));
        assert_eq!(change.louder_routes.len(), 2);
        assert!(change.new_routes.is_empty() && change.old_routes.is_empty());
        assert_eq!(change.new_addresses.len(), 1);
        assert_eq!(after.change_to(&after), Change::default());
    }
}
