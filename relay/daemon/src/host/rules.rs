//! Policy rules: which packet is routed by which table. Without sides there are three, as `--help` shows them; with sides
//! see [`sides`].

mod sides;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use futures_util::TryStreamExt;
use ipnet::IpNet;
use rtnetlink::{
    Handle, IpVersion, RuleAddRequest,
    packet_route::{
        AddressFamily, IpProtocol,
        rule::{RuleAction, RuleAttribute, RuleMessage, RulePortRange},
    },
};

pub(super) use self::sides::{Interface, Sides};
use super::{PROTOCOL, netlink::Error};
use crate::failure::{Failure, host};

/// Where the rules behind `local` stand, before `main` (32766).
const BEHIND_LOCAL: u32 = 7597;

/// The group of interfaces that nobody has put into another: routes that leave by one of them can be looked past.
const DEFAULT_GROUP: u32 = 0;

/// Which rules a relay wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The name of the TUN.
    pub(super) tun: String,
    /// The relay's own table.
    pub(super) table: u32,
    /// The table that holds the ways out for IPv6: the same, or one apart.
    pub(super) ipv6_out: u32,
    /// Its sides, if it has any.
    pub(super) sides: Option<Sides>,
}

/// Installs the rules, if they are not all there as they shall be, and adopts those that a killed relay left. The new ones
/// are there before the old ones go. Whether anything had to be done.
pub(super) async fn install(netlink: &Handle, wanted: &Wanted) -> Result<bool, Failure> {
    let mut changed = false;
    for family in [IpVersion::V4, IpVersion::V6] {
        let failed = |error: Error| host("policy rules cannot be set", error);
        changed |= install_family(netlink, &family, wanted).await.map_err(failed)?;
    }
    Ok(changed)
}

async fn install_family(netlink: &Handle, family: &IpVersion, wanted: &Wanted) -> Result<bool, Error> {
    let before = list(netlink, family).await?;
    let (ours, others): (Vec<RuleMessage>, Vec<RuleMessage>) = before.into_iter().partition(|rule| wanted.owns(rule));
    let found: Vec<Option<Rule>> = ours.iter().map(Rule::read).collect();
    let rules = wanted.rules(family);
    let are_there = |places: Places| rules.iter().map(|rule| Some(rule.at(places))).eq(found.iter().cloned());
    if wanted.places().into_iter().any(are_there) {
        return Ok(false);
    }
    // In front of complete rules a part of them does no harm, in this order; behind them none of them counts yet.
    let [first, second] = wanted.places();
    let taken = found.iter().flatten().any(|rule| first.has(rule));
    let places = if taken { second } else { first };
    for rule in &rules {
        add(netlink, rule.at(places).message(family)).await?;
    }
    // `lookup local` is added again, behind ours, before the old one goes: there is no moment without it.
    for rule in
        others.into_iter().filter(|rule| priority(rule) < places.local || places.local == 0 && priority(rule) == 0)
    {
        add(netlink, with_priority(rule.clone(), places.local)).await?;
        delete(netlink, with_priority(rule.clone(), priority(&rule))).await?;
    }
    // The last of them first: each lookup has to stand before the `unreachable` that ends it. Of equal rules the first
    // goes, which is the old one.
    for rule in ours.into_iter().rev() {
        delete(netlink, rule).await?;
    }
    Ok(true)
}

/// Removes all the rules of such a relay.
pub(super) async fn remove(netlink: &Handle, wanted: &Wanted) -> Result<(), Error> {
    let [places, _] = wanted.places();
    for family in [IpVersion::V4, IpVersion::V6] {
        let (ours, others): (Vec<RuleMessage>, Vec<RuleMessage>) =
            list(netlink, &family).await?.into_iter().partition(|rule| wanted.owns(rule));
        for rule in others.into_iter().filter(|rule| places.local > 0 && priority(rule) == places.local) {
            add(netlink, with_priority(rule.clone(), 0)).await?;
            delete(netlink, rule).await?;
        }
        for rule in ours.into_iter().rev() {
            delete(netlink, rule).await?;
        }
    }
    Ok(())
}

/// Where the rules stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Places {
    /// Those in front of `local`.
    first: u32,
    /// `local` itself.
    local: u32,
    /// Those behind it, in front of `main` (32766).
    behind: u32,
    /// Whether each has a place of its own: a rule is deleted by what it says, and what it leaves unsaid could be said by
    /// one before it, unless their places differ.
    apart: bool,
}

impl Places {
    fn has(&self, rule: &Rule) -> bool {
        self.apart && (self.first..self.first + ROOM).contains(&rule.priority)
    }
}

/// For one relay beside others.
const SHARED: Places = Places { first: 0, local: 0, behind: BEHIND_LOCAL, apart: false };

/// For a relay with a network namespace to itself: the new rules stand at one of these while the old ones stand at the
/// other.
const ALONE: [Places; 2] = [
    Places { first: 1000, local: 9000, behind: 10_000, apart: true },
    Places { first: 1000 + ROOM, local: 9000, behind: 10_000 + ROOM, apart: true },
];

/// As many rules as one of them has room for: some 300 addresses.
const ROOM: u32 = 4000;

impl Wanted {
    fn places(&self) -> [Places; 2] {
        if self.sides.is_some() { ALONE } else { [SHARED; 2] }
    }

    /// The rules, in order.
    fn rules(&self, family: &IpVersion) -> Vec<Rule> {
        let out = if *family == IpVersion::V6 { self.ipv6_out } else { self.table };
        let from_tun = [
            Rule::first().iif(&self.tun).lookup(out),
            // What leaves the TUN is routed by the relay's table and by nothing else.
            Rule::first().iif(&self.tun).unreachable(),
        ];
        let others = match &self.sides {
            None => vec![Rule::behind_local().lookup(self.table).past(DEFAULT_GROUP)],
            Some(sides) => sides.rules(family, self.table, out),
        };
        let mut rules: Vec<Rule> = from_tun.into_iter().chain(others).collect();
        for (number, rule) in (0..).zip(&mut rules) {
            rule.number = number;
        }
        rules
    }

    /// Whether a rule is this relay's, or that of one before it with the same names. A relay with sides has its network
    /// namespace to itself.
    fn owns(&self, message: &RuleMessage) -> bool {
        if !message.attributes.contains(&RuleAttribute::Protocol(PROTOCOL)) {
            return false;
        }
        let Some(rule) = Rule::read(message).filter(|_| self.sides.is_none()) else {
            return true;
        };
        match &rule.iif {
            Some(interface) => *interface == self.tun,
            None => rule.action == Action::Lookup(self.table),
        }
    }
}

/// A rule, as far as the relay uses what rules can do.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    priority: u32,
    /// Its place in the list.
    number: u32,
    iif: Option<String>,
    from: Option<IpNet>,
    to: Option<IpNet>,
    protocol: Option<u8>,
    source_ports: Option<(u16, u16)>,
    destination_ports: Option<(u16, u16)>,
    action: Action,
    /// Routes that leave by an interface of this group do not count.
    past: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Lookup(u32),
    Unreachable,
}

impl Rule {
    /// In front of everything, `local` included.
    fn first() -> Self {
        Self {
            priority: 0,
            number: 0,
            iif: None,
            from: None,
            to: None,
            protocol: None,
            source_ports: None,
            destination_ports: None,
            action: Action::Unreachable,
            past: None,
        }
    }

    fn behind_local() -> Self {
        Self { priority: BEHIND_LOCAL, ..Self::first() }
    }

    /// The rule at its place.
    fn at(&self, places: Places) -> Self {
        let base = if self.priority == 0 { places.first } else { places.behind };
        let priority = if places.apart { base + self.number } else { base };
        Self { priority, number: 0, ..self.clone() }
    }

    fn iif(self, interface: &str) -> Self {
        Self { iif: Some(interface.to_owned()), ..self }
    }

    /// What the kernel of this box sends itself.
    fn sent_here(self) -> Self {
        self.iif("lo")
    }

    fn from(self, net: impl Into<IpNet>) -> Self {
        Self { from: Some(net.into()), ..self }
    }

    fn to(self, net: impl Into<IpNet>) -> Self {
        Self { to: Some(net.into()), ..self }
    }

    fn protocol(self, number: u8) -> Self {
        Self { protocol: Some(number), ..self }
    }

    fn source_ports(self, first: u16, last: u16) -> Self {
        Self { source_ports: Some((first, last)), ..self }
    }

    fn destination_ports(self, first: u16, last: u16) -> Self {
        Self { destination_ports: Some((first, last)), ..self }
    }

    fn lookup(self, table: u32) -> Self {
        Self { action: Action::Lookup(table), ..self }
    }

    fn unreachable(self) -> Self {
        Self { action: Action::Unreachable, ..self }
    }

    fn past(self, group: u32) -> Self {
        Self { past: Some(group), ..self }
    }

    fn message(&self, family: &IpVersion) -> RuleMessage {
        let mut message = RuleMessage::default();
        message.header.family = match family {
            IpVersion::V4 => AddressFamily::Inet,
            IpVersion::V6 => AddressFamily::Inet6,
        };
        message.header.action = match self.action {
            Action::Lookup(_) => RuleAction::ToTable,
            Action::Unreachable => RuleAction::Unreachable,
        };
        message.header.src_len = self.from.map_or(0, |net| net.prefix_len());
        message.header.dst_len = self.to.map_or(0, |net| net.prefix_len());
        message.attributes = self.attributes();
        message
    }

    fn attributes(&self) -> Vec<RuleAttribute> {
        let Self { priority, number: _, iif, from, to, protocol, source_ports, destination_ports, action, past } = self;
        let range = |(start, end): (u16, u16)| RulePortRange { start, end };
        let table = match action {
            Action::Lookup(table) => Some(RuleAttribute::Table(*table)),
            Action::Unreachable => None,
        };
        [
            Some(RuleAttribute::Priority(*priority)),
            Some(RuleAttribute::Protocol(PROTOCOL)),
            iif.clone().map(RuleAttribute::Iifname),
            from.map(|net| RuleAttribute::Source(net.addr())),
            to.map(|net| RuleAttribute::Destination(net.addr())),
            protocol.map(|number| RuleAttribute::IpProtocol(IpProtocol::from(i32::from(number)))),
            source_ports.map(range).map(RuleAttribute::SourcePortRange),
            destination_ports.map(range).map(RuleAttribute::DestinationPortRange),
            table,
            past.map(RuleAttribute::SuppressIfGroup),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// What the kernel lists; `None` if the relay never makes such a rule.
    fn read(message: &RuleMessage) -> Option<Self> {
        let mut rule = Self::first();
        let mut table = message.header.table.into();
        let any = match message.header.family {
            AddressFamily::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            _ => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let net = |address, length| IpNet::new(address, length).ok().filter(|_| length > 0);
        (rule.from, rule.to) = (net(any, message.header.src_len), net(any, message.header.dst_len));
        for attribute in &message.attributes {
            match attribute {
                RuleAttribute::Priority(priority) => rule.priority = *priority,
                RuleAttribute::Iifname(name) => rule.iif = Some(name.clone()),
                RuleAttribute::Source(address) => rule.from = net(*address, message.header.src_len),
                RuleAttribute::Destination(address) => rule.to = net(*address, message.header.dst_len),
                RuleAttribute::IpProtocol(protocol) => rule.protocol = u8::try_from(i32::from(*protocol)).ok(),
                RuleAttribute::SourcePortRange(range) => rule.source_ports = Some((range.start, range.end)),
                RuleAttribute::DestinationPortRange(range) => rule.destination_ports = Some((range.start, range.end)),
                RuleAttribute::Table(number) => table = *number,
                RuleAttribute::SuppressIfGroup(group) if *group != u32::MAX => rule.past = Some(*group),
                _ => {}
            }
        }
        rule.action = match message.header.action {
            RuleAction::ToTable => Action::Lookup(table),
            RuleAction::Unreachable => Action::Unreachable,
            _ => return None,
        };
        Some(rule)
    }
}

/// The kernel leaves priority 0 unsaid.
fn priority(rule: &RuleMessage) -> u32 {
    let said = rule.attributes.iter().find_map(|attribute| match attribute {
        RuleAttribute::Priority(priority) => Some(*priority),
        _ => None,
    });
    said.unwrap_or(0)
}

fn with_priority(mut rule: RuleMessage, priority: u32) -> RuleMessage {
    rule.attributes.retain(|attribute| !matches!(attribute, RuleAttribute::Priority(_)));
    rule.attributes.push(RuleAttribute::Priority(priority));
    rule
}

async fn list(netlink: &Handle, family: &IpVersion) -> Result<Vec<RuleMessage>, Error> {
    Ok(netlink.rule().get(family.clone()).execute().try_collect().await?)
}

async fn add(netlink: &Handle, rule: RuleMessage) -> Result<(), Error> {
    // Without `replace` an equal rule, such as the one to be moved, would be refused.
    let mut request: RuleAddRequest = netlink.rule().add().replace();
    *request.message_mut() = rule;
    Ok(request.execute().await?)
}

/// Deletes a rule, if it is there.
async fn delete(netlink: &Handle, rule: RuleMessage) -> Result<(), Error> {
    match netlink.rule().del(rule).execute().await.map_err(Error::from) {
        Err(error) if error.is(libc::ENOENT) => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(sides: Option<Sides>) -> Wanted {
        Wanted { tun: "culvert0".to_owned(), table: 4646, ipv6_out: 4646, sides }
    }

    #[test]
    fn a_rule_is_read_as_it_was_written() {
        let every = Rule::first()
            .iif("net1")
            .from("192.0.2.0/24".parse::<IpNet>().unwrap())
            .to("198.51.100.1/32".parse::<IpNet>().unwrap())
            .protocol(6)
            .source_ports(179, 179)
            .destination_ports(1024, 2048)
            .lookup(4646)
            .past(0);
        for rule in
            [every, Rule::behind_local().unreachable(), Rule::first().from("0.0.0.0/32".parse::<IpNet>().unwrap())]
        {
            assert_eq!(Rule::read(&rule.message(&IpVersion::V4)), Some(rule));
        }
    }

    #[test]
    fn a_relay_without_sides_leaves_others_rules_alone() {
        let mine = wanted(None);
        let other = Wanted { tun: "culvert1".to_owned(), table: 7597, ipv6_out: 7597, sides: None };
        for rule in other.rules(&IpVersion::V4) {
            assert!(!mine.owns(&rule.message(&IpVersion::V4)), "{rule:?}");
        }
        for rule in mine.rules(&IpVersion::V4) {
            assert!(mine.owns(&rule.message(&IpVersion::V4)), "{rule:?}");
        }
    }
}
