//! What the operator tells a relay about its pod: sides, next hops.

use std::{net::IpAddr, str::FromStr};

use ::pod::Family;

/// The families of a side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Families {
    One(Family),
    Both,
}

/// An interface on a segment with a router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Side {
    pub(crate) interface: String,
    pub(crate) families: Families,
}

/// A router on a side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NextHop {
    pub(crate) interface: String,
    pub(crate) address: IpAddr,
}

impl Families {
    pub(crate) fn contain(self, family: Family) -> bool {
        self == Self::Both || self == Self::One(family)
    }
}

impl NextHop {
    /// The family whose packets it takes: an IPv6 router takes IPv4 where its side is for nothing else (RFC 8950).
    pub(crate) fn family(&self, sides: &[Side]) -> Family {
        let side = sides.iter().find(|side| side.interface == self.interface);
        match side.map(|side| side.families) {
            Some(Families::One(family)) => family,
            _ => Family::of(self.address),
        }
    }
}

/// Whether the sides and next hops fit together.
///
/// # Errors
/// A sentence that names the flag.
pub(super) fn check(sides: &[Side], next_hops: &[NextHop]) -> Result<(), String> {
    for (place, side) in sides.iter().enumerate() {
        if sides[..place].iter().any(|earlier| earlier.interface == side.interface) {
            return Err(format!("--side names {} twice: one with `Both` is meant", side.interface));
        }
    }
    for NextHop { interface, address } in next_hops {
        let Some(side) = sides.iter().find(|side| side.interface == *interface) else {
            return Err(format!("--next-hop {interface}={address}: no --side is {interface}"));
        };
        if address.is_ipv4() && !side.families.contain(Family::Ipv4) {
            return Err(format!("--next-hop {interface}={address}: {interface} is an IPv6 side"));
        }
    }
    Ok(())
}

impl FromStr for Side {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (interface, families) = pair(text, "NAME=IPv4, NAME=IPv6 or NAME=Both")?;
        let families = match families {
            "IPv4" => Families::One(Family::Ipv4),
            "IPv6" => Families::One(Family::Ipv6),
            "Both" => Families::Both,
            other => return Err(format!("`{other}` is neither IPv4, IPv6 nor Both")),
        };
        Ok(Self { interface, families })
    }
}

impl FromStr for NextHop {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (interface, address) = pair(text, "NAME=ADDRESS")?;
        let address: IpAddr = address.parse().map_err(|_| format!("`{address}` is no address"))?;
        let host = match address {
            IpAddr::V4(v4) => !(v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast() || v4.is_loopback()),
            IpAddr::V6(v6) => !(v6.is_unspecified() || v6.is_multicast() || v6.is_loopback()),
        };
        if host { Ok(Self { interface, address }) } else { Err(format!("`{address}` is no router's address")) }
    }
}

fn pair<'t>(text: &'t str, form: &str) -> Result<(String, &'t str), String> {
    let (interface, rest) = text.split_once('=').ok_or_else(|| form.to_owned())?;
    Ok((super::interface_name(interface)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_and_next_hops_are_read() {
        let side: Side = "net1=Both".parse().unwrap();
        assert!(side.families.contain(Family::Ipv4) && side.families.contain(Family::Ipv6));
        let hop: NextHop = "net1=2001:db8::1".parse().unwrap();
        assert_eq!(hop.address, "2001:db8::1".parse::<IpAddr>().unwrap());
        for bad in ["net1", "net1=", "net1=IPv5", "=IPv4", "a/b=IPv4"] {
            assert!(bad.parse::<Side>().is_err(), "{bad}");
        }
        for bad in ["net1=0.0.0.0", "net1=ff02::1", "net1=127.0.0.1", "net1=router"] {
            assert!(bad.parse::<NextHop>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_ipv6_router_takes_ipv4_on_a_side_that_is_for_ipv4() {
        let sides = ["a=IPv4", "b=IPv6", "c=Both"].map(|side| side.parse::<Side>().unwrap());
        let family = |hop: &str| hop.parse::<NextHop>().unwrap().family(&sides);
        assert_eq!(family("a=fe80::1"), Family::Ipv4);
        assert_eq!(family("b=fe80::1"), Family::Ipv6);
        assert_eq!([family("c=fe80::1"), family("c=192.0.2.1")], [Family::Ipv6, Family::Ipv4]);
    }
}
