//! The policy rules of `--route-table NUMBER`:
//!
//! ```text
//! 0:     from all iif TUN lookup NUMBER           what leaves the TUN is routed by the relay's table,
//! 0:     from all iif TUN unreachable             and by nothing else: neither to this box nor by its main table
//! 0:     from all lookup local                    the kernel's own, which now comes behind them
//! 7597:  from all lookup NUMBER suppress_ifgroup default    everything else sees the routes to the TUN, and only
//!                                                 them: the next hops in the table lie on interfaces of group 0
//! ```

use futures_util::TryStreamExt;
use rtnetlink::{
    Handle, IpVersion, RuleAddRequest,
    packet_route::{
        AddressFamily,
        rule::{RuleAction, RuleAttribute, RuleMessage},
    },
};

use super::{PROTOCOL, netlink::Error};
use crate::failure::{Failure, host};

/// Where the rule for everything else stands: behind `local`, before `main` (32766).
const PRIORITY: u32 = 7597;

/// Installs the rules, and adopts those that a killed relay left.
pub(super) async fn install(netlink: &Handle, tun: &str, table: u32) -> Result<(), Failure> {
    remove(netlink, tun).await.map_err(|error| host("policy rules of an earlier relay cannot be removed", error))?;
    for family in [IpVersion::V4, IpVersion::V6] {
        install_family(netlink, &family, tun, table).await?;
    }
    Ok(())
}

async fn install_family(netlink: &Handle, family: &IpVersion, tun: &str, table: u32) -> Result<(), Failure> {
    let failed = |error: Error| host("policy rules cannot be added", error);
    let before = list(netlink, family).await.map_err(failed)?;
    let first: Vec<RuleMessage> = before.into_iter().filter_map(in_front).collect();
    for rule in [from_tun(family, tun, table), nothing_else(family, tun), to_tun(family, table)] {
        add(netlink, rule).await.map_err(failed)?;
    }
    // Rules of equal priority stand in the order they came. What was first (`lookup local`) is added again, behind ours,
    // before the old one goes: there is no moment without it.
    for rule in first {
        add(netlink, rule.clone()).await.map_err(failed)?;
        delete(netlink, rule).await.map_err(failed)?;
    }
    Ok(())
}

/// Removes all rules of a relay whose TUN has this name.
pub(super) async fn remove(netlink: &Handle, tun: &str) -> Result<(), Error> {
    for family in [IpVersion::V4, IpVersion::V6] {
        let rules = list(netlink, &family).await?;
        for rule in rules.into_iter().filter(|rule| is_ours(rule) && names(rule, tun)) {
            if let Some(table) = table(&rule) {
                delete(netlink, to_tun(&family, table)).await?;
            }
            delete(netlink, rule).await?;
        }
    }
    Ok(())
}

/// Whether all the rules of a relay whose TUN has this name are there.
pub(super) async fn are_complete(netlink: &Handle, tun: &str, table: u32) -> Result<bool, Error> {
    for family in [IpVersion::V4, IpVersion::V6] {
        let rules = list(netlink, &family).await?;
        let ours: Vec<_> = rules.iter().filter(|rule| is_ours(rule)).collect();
        let from_tun = ours.iter().filter(|rule| names(rule, tun)).count();
        let to_tun = ours.iter().any(|rule| self::table(rule) == Some(table) && !names(rule, tun));
        if from_tun != 2 || !to_tun {
            return Ok(false);
        }
    }
    Ok(true)
}

fn from_tun(family: &IpVersion, tun: &str, table: u32) -> RuleMessage {
    let mut rule = rule(family, 0, RuleAction::ToTable);
    rule.attributes.extend([RuleAttribute::Iifname(tun.to_owned()), RuleAttribute::Table(table)]);
    rule
}

fn nothing_else(family: &IpVersion, tun: &str) -> RuleMessage {
    let mut rule = rule(family, 0, RuleAction::Unreachable);
    rule.attributes.push(RuleAttribute::Iifname(tun.to_owned()));
    rule
}

fn to_tun(family: &IpVersion, table: u32) -> RuleMessage {
    let mut rule = rule(family, PRIORITY, RuleAction::ToTable);
    rule.attributes.extend([RuleAttribute::Table(table), RuleAttribute::SuppressIfGroup(0)]);
    rule
}

fn rule(family: &IpVersion, priority: u32, action: RuleAction) -> RuleMessage {
    let mut rule = RuleMessage::default();
    rule.header.family = match family {
        IpVersion::V4 => AddressFamily::Inet,
        IpVersion::V6 => AddressFamily::Inet6,
    };
    rule.header.action = action;
    rule.attributes = vec![RuleAttribute::Priority(priority), RuleAttribute::Protocol(PROTOCOL)];
    rule
}

/// The rule, if it is somebody else's and stands as far in front as ours shall; the kernel leaves priority 0 unsaid.
fn in_front(mut rule: RuleMessage) -> Option<RuleMessage> {
    let has_priority = rule.attributes.iter().any(|attribute| matches!(attribute, RuleAttribute::Priority(1..)));
    if has_priority || is_ours(&rule) {
        return None;
    }
    rule.attributes.push(RuleAttribute::Priority(0));
    Some(rule)
}

fn table(rule: &RuleMessage) -> Option<u32> {
    rule.attributes.iter().find_map(|attribute| match attribute {
        RuleAttribute::Table(table) if *table != 0 => Some(*table),
        _ => None,
    })
}

fn is_ours(rule: &RuleMessage) -> bool {
    rule.attributes.contains(&RuleAttribute::Protocol(PROTOCOL))
}

fn names(rule: &RuleMessage, tun: &str) -> bool {
    rule.attributes.iter().any(|attribute| matches!(attribute, RuleAttribute::Iifname(name) if name == tun))
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
