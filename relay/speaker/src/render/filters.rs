//! What goes where: from the relay's routes into BIRD, and from there to a peer.
//!
//! Everything is refused that is not named: a relay that was taken over cannot announce more than the fleet's domains
//! hold, and those not more than `allowed` does.

use std::{
    collections::BTreeSet,
    fmt::{self, Display, Formatter},
};

use crds::routes::{LEAVING, LOCAL, PROTOCOL};

use crate::plan::{Announcements, Community, Family, Group, Phase, Session};

/// GRACEFUL_SHUTDOWN (RFC 8326): routers take another path, if there is one.
const GRACEFUL_SHUTDOWN: Community = Community::Standard(65535, 0);

/// As many domains as a comment names.
const NAMED: usize = 4;

/// What names end in.
pub(super) fn number(family: Family) -> u8 {
    match family {
        Family::Ipv4 => 4,
        Family::Ipv6 => 6,
    }
}

/// The prefixes that may be announced, by what is said about them.
pub(super) fn sets(f: &mut Formatter<'_>, announcements: &Announcements, family: Family) -> fmt::Result {
    for (at, group) in groups(announcements, family) {
        writeln!(f, "\n# {}", owners(group))?;
        writeln!(f, "define group{at}_ipv{} = [", number(family))?;
        match family {
            Family::Ipv4 => lines(f, &group.prefixes.ipv4)?,
            Family::Ipv6 => lines(f, &group.prefixes.ipv6)?,
        }
        writeln!(f, "];")?;
    }
    Ok(())
}

fn groups(announcements: &Announcements, family: Family) -> impl Iterator<Item = (usize, &Group)> {
    announcements.groups.iter().enumerate().filter(move |(_, group)| group.prefixes.count(family) > 0)
}

fn owners(group: &Group) -> String {
    // They are names of Kubernetes objects; a line break would end the comment.
    let plain = |name: String| name.chars().filter(|c| c.is_ascii_alphanumeric() || "-./".contains(*c)).collect();
    let names: Vec<String> = group.domains.iter().take(NAMED).map(|name| plain(name.to_string())).collect();
    let others = group.domains.len() - names.len();
    let more = if others > 0 { format!(" and {others} others") } else { String::new() };
    names.join(", ") + &more
}

fn lines<N: Display>(f: &mut Formatter<'_>, prefixes: &BTreeSet<N>) -> fmt::Result {
    for (at, prefix) in prefixes.iter().enumerate() {
        let comma = if at + 1 < prefixes.len() { "," } else { "" };
        writeln!(f, "\t{prefix}{comma}")?;
    }
    Ok(())
}

/// What the relay's routes say, by their metric.
pub(super) fn from_relay(f: &mut Formatter<'_>, announcements: &Announcements, family: Family) -> fmt::Result {
    let number = number(family);
    writeln!(f, "\nfilter from_relay{number} {{")?;
    writeln!(f, "\tif krt_source != {PROTOCOL} then reject;")?;
    writeln!(f, "\tif krt_metric = {LOCAL} then reject;")?;
    let mut is_any = false;
    for (at, group) in groups(announcements, family) {
        let lead = if is_any { "\telse if" } else { "\tif" };
        writeln!(f, "{lead} net ~ group{at}_ipv{number} then {{{}}}", said(group))?;
        is_any = true;
    }
    let refuse = if is_any { "\telse reject;" } else { "\treject;" };
    writeln!(f, "{refuse}")?;
    if is_any {
        writeln!(f, "\tif krt_metric = {LEAVING} then {{{} bgp_local_pref = 0; }}", add(GRACEFUL_SHUTDOWN))?;
        writeln!(f, "\taccept;")?;
    }
    writeln!(f, "}}")
}

fn said(group: &Group) -> String {
    let communities = group.communities.iter().map(|community| add(*community));
    let preference = group.local_preference.map(|preference| format!(" bgp_local_pref = {preference};"));
    let said: String = communities.chain(preference).collect();
    if said.is_empty() { said } else { said + " " }
}

fn add(community: Community) -> String {
    let kind = match community {
        Community::Standard(..) => "bgp_community",
        Community::Large(..) => "bgp_large_community",
    };
    format!(" {kind}.add({community});")
}

/// What is said to this peer besides, and how the pod's leave goes.
pub(super) fn to_peer(f: &mut Formatter<'_>, session: &Session, phase: Phase) -> fmt::Result {
    writeln!(f, "\nfilter to_{} {{", session.name)?;
    if phase == Phase::Withdrawn {
        writeln!(f, "\treject;")?;
        return writeln!(f, "}}");
    }
    for community in &session.communities {
        writeln!(f, "\t{}", add(*community).trim_start())?;
    }
    if let Some(med) = session.med {
        writeln!(f, "\tbgp_med = {med};")?;
    }
    for _ in 0..session.as_path_prepend {
        writeln!(f, "\tbgp_path.prepend({});", session.local_asn)?;
    }
    if phase == Phase::GracefulShutdown {
        writeln!(f, "\t{}", add(GRACEFUL_SHUTDOWN).trim_start())?;
        writeln!(f, "\tbgp_local_pref = 0;")?;
    }
    writeln!(f, "\taccept;\n}}")
}
