//! What BIRD says about sessions, BFD and routes, read.

use std::{collections::BTreeSet, net::IpAddr};

use super::control::Line;
use crate::plan::{Family, Spoken, spoken};

/// A BGP session, as BIRD has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Protocol {
    /// BIRD's name for it.
    pub(crate) name: String,
    /// BIRD's word: Established, Active, Connect, Passive, ...
    pub(crate) state: String,
    pub(crate) address: Option<IpAddr>,
    pub(crate) last_error: Option<String>,
    /// By family: how many prefixes are announced.
    pub(crate) ipv4: Channel,
    pub(crate) ipv6: Channel,
}

/// What a session does for a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Channel {
    /// How many prefixes are announced now.
    pub(crate) exported: u64,
    /// How many updates and withdrawals there were: if it has grown, others may be announced.
    pub(crate) changes: u64,
}

/// A BFD session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bfd {
    pub(crate) address: IpAddr,
    /// `---` for several hops.
    pub(crate) interface: String,
    /// Up, Down, Init or AdminDown.
    pub(crate) state: String,
}

impl Protocol {
    pub(crate) fn is_established(&self) -> bool {
        self.state == "Established"
    }

    pub(crate) fn channel(&self, family: Family) -> Channel {
        match family {
            Family::Ipv4 => self.ipv4,
            Family::Ipv6 => self.ipv6,
        }
    }

    /// Whose it is.
    pub(crate) fn spoken(&self) -> Option<Spoken<'_>> {
        spoken(&self.name)
    }
}

/// The answer to `show protocols all`: the BGP sessions.
pub(crate) fn protocols(lines: &[Line]) -> Vec<Protocol> {
    let mut found: Vec<Protocol> = Vec::new();
    let mut family = None;
    for line in lines {
        match line.code {
            1002 => {
                family = None;
                found.push(summary(&line.text));
            }
            1006 => {
                let Some(protocol) = found.last_mut() else { continue };
                detail(protocol, &mut family, line.text.trim());
            }
            _ => {}
        }
    }
    found.retain(|protocol| protocol.spoken().is_some());
    found
}

/// `peer_tor1  BGP        ---        up     2026-11-24 18:08:54.127  Established`
fn summary(text: &str) -> Protocol {
    let mut words = text.split_whitespace();
    let name = words.next().unwrap_or_default().to_owned();
    let state = match words.nth(2) {
        Some("up") => "Established",
        Some("start") => "Idle",
        _ => "Down",
    };
    Protocol { name, state: state.to_owned(), ..Protocol::default() }
}

fn detail(protocol: &mut Protocol, family: &mut Option<Family>, text: &str) {
    if let Some(channel) = text.strip_prefix("Channel ") {
        *family = match channel {
            "ipv4" => Some(Family::Ipv4),
            "ipv6" => Some(Family::Ipv6),
            _ => None,
        };
        return;
    }
    let Some((key, value)) = text.split_once(':') else { return };
    let value = value.trim();
    let channel = family.map(|family| match family {
        Family::Ipv4 => &mut protocol.ipv4,
        Family::Ipv6 => &mut protocol.ipv6,
    });
    match (key, channel) {
        ("BGP state", _) => value.clone_into(&mut protocol.state),
        ("Neighbor address", _) => protocol.address = value.split('%').next().and_then(|text| text.parse().ok()),
        ("Last error", _) => protocol.last_error = Some(value.to_owned()),
        ("Routes", Some(channel)) => channel.exported = number_before(value, "exported"),
        ("Export updates" | "Export withdraws", Some(channel)) => {
            channel.changes += value.split_whitespace().last().and_then(|text| text.parse().ok()).unwrap_or(0);
        }
        _ => {}
    }
}

/// `0 imported, 12 exported, 0 preferred`
fn number_before(text: &str, word: &str) -> u64 {
    let part = text.split(", ").find_map(|part| part.strip_suffix(word));
    part.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

/// The answer to `show bfd sessions`.
pub(crate) fn bfd(lines: &[Line]) -> Vec<Bfd> {
    let one = |line: &Line| {
        let mut words = line.text.split_whitespace();
        let address = words.next()?.parse().ok()?;
        Some(Bfd { address, interface: words.next()?.to_owned(), state: words.next()?.to_owned() })
    };
    lines.iter().filter(|line| line.code == 1020).filter_map(one).collect()
}

/// The answer to `show route export NAME`: the prefixes, of both families.
pub(crate) fn prefixes(lines: &[Line]) -> BTreeSet<String> {
    let first = |line: &Line| line.text.split(' ').next().filter(|word| word.contains('/')).map(str::to_owned);
    lines.iter().filter(|line| line.code == 1007).filter_map(first).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What BIRD 2.0.12 said of a session with FRR, shortened.
    const PROTOCOLS: &str = "\
2002 Name       Proto      Table      State  Since         Info
1002 device1    Device     ---        up     2026-11-24 18:08:53.213  
1006 
1002 relay4     Kernel     master4    up     2026-11-24 18:08:53.213  
1006   Channel ipv4
1006     Routes:         7 imported, 3 exported, 0 preferred
1002 peer_tor1_6 BGP        ---        up     2026-11-24 18:08:54.040  Established   
1006   BGP state:          Established
1006     Neighbor address: 2001:db8:100::1%net1
1006     Session:          external AS4
1006   Channel ipv6
1006     State:          UP
1006     Routes:         0 imported, 12 exported, 0 preferred
1006     Route change stats:     received   rejected   filtered    ignored   accepted
1006       Export updates:             14          0          0        ---         13
1006       Export withdraws:            2        ---        ---        ---          2
1006   Channel ipv4
1006     Routes:         0 imported, 1 exported, 0 preferred
1002 peer_tor2  BGP        ---        start  2026-11-24 18:08:54.127  Active        Socket: Connection refused
1006   BGP state:          Active
1006     Neighbor address: 198.51.100.2
1006     Last error:       Socket: Connection refused
1002 dyn_tor3_x1 BGP        ---        down   2026-11-24 18:13:31.781  ";

    fn lines(text: &str) -> Vec<Line> {
        let line = |text: &str| Line { code: text[..4].parse().unwrap(), text: text[5..].to_owned() };
        text.lines().map(line).collect()
    }

    #[test]
    fn sessions_are_read() {
        let found = protocols(&lines(PROTOCOLS));
        let names: Vec<_> = found.iter().map(|it| (it.name.as_str(), it.state.as_str())).collect();
        assert_eq!(names, [("peer_tor1_6", "Established"), ("peer_tor2", "Active"), ("dyn_tor3_x1", "Down")]);
        assert_eq!(found[0].address, Some("2001:db8:100::1".parse().unwrap()));
        assert_eq!(found[0].ipv6, Channel { exported: 12, changes: 15 });
        assert_eq!(found[0].ipv4, Channel { exported: 1, changes: 0 });
        assert_eq!(found[1].last_error.as_deref(), Some("Socket: Connection refused"));
    }

    #[test]
    fn bfd_sessions_are_read() {
        let text = "\
1020 bfd1:
1020 IP address                Interface  State      Since         Interval  Timeout
1020 198.51.100.1              net1       Up         2026-11-24 18:08:55.585    0.100    0.300
1020 203.0.113.9               ---        Down       2026-11-24 18:08:55.621    0.100    0.300
0000 ";
        let found = bfd(&lines(text));
        let one = |address: &str, interface: &str, state: &str| Bfd {
            address: address.parse().unwrap(),
            interface: interface.to_owned(),
            state: state.to_owned(),
        };
        assert_eq!(found, [one("198.51.100.1", "net1", "Up"), one("203.0.113.9", "---", "Down")]);
    }

    #[test]
    fn prefixes_are_read() {
        let text = "\
1007 Table master4:
1007 10.1.0.0/16          unicast [relay4 18:09:16.365] * (10)
1007 \tdev culvert0
1007 Table master6:
1007 3001:db8:ffff::1/128 unicast [relay6 18:09:16.359] * (10)
0000 ";
        let found: Vec<String> = prefixes(&lines(text)).into_iter().collect();
        assert_eq!(found, ["10.1.0.0/16", "3001:db8:ffff::1/128"]);
    }
}
