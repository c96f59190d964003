//! What is asked on the command line.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4},
    str::FromStr,
};

use mape::Ipv6Net;

/// Which way to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// Who owns this IPv4 address and port?
    ToCe(Ipv4Addr, Option<u16>),
    /// What was the CE with this prefix, or the address in it, given?
    Assigned(Ipv6Net),
}

impl FromStr for Question {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(socket) = text.parse::<SocketAddrV4>() {
            return Ok(Self::ToCe(*socket.ip(), Some(socket.port())));
        }
        match text.parse() {
            Ok(IpAddr::V4(address)) => Ok(Self::ToCe(address, None)),
            _ => prefix(text).map(Self::Assigned).ok_or_else(|| misread(text)),
        }
    }
}

/// An IPv6 prefix, or an address as a prefix of 128 bits.
pub(crate) fn prefix(text: &str) -> Option<Ipv6Net> {
    let address = || text.parse::<Ipv6Addr>().ok().map(Ipv6Net::from);
    text.parse().ok().or_else(address)
}

fn misread(text: &str) -> String {
    format!(
        "`{text}` is no address that could be looked up; give an IPv4 address and port (67.91.205.2:6600), an IPv4 \
        address (67.91.205.2), an IPv6 address (2001:db8:ce:29c::) or an IPv6 prefix (2001:db8:ce:29c::/64)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        let address = Ipv4Addr::new(67, 91, 205, 2);
        assert_eq!("67.91.205.2:6600".parse(), Ok(Question::ToCe(address, Some(6600))));
        assert_eq!("67.91.205.2".parse(), Ok(Question::ToCe(address, None)));
        let whole: Ipv6Net = "2001:db8:ce:29c::/128".parse().unwrap();
        assert_eq!("2001:db8:ce:29c::".parse(), Ok(Question::Assigned(whole)));
        let subnet: Ipv6Net = "2001:db8:ce:29c::/64".parse().unwrap();
        assert_eq!("2001:db8:ce:29c::/64".parse(), Ok(Question::Assigned(subnet)));
        for wrong in ["", "67.91.205.2:", "67.91.205.2:65536", "67.91.205.0/24", "2001:db8::/129", "host:80"] {
            assert!(wrong.parse::<Question>().is_err(), "{wrong}");
        }
    }
}
