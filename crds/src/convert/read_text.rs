//! Addresses, prefixes and names in text.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use mape::{Ipv4Net, Ipv6Net};

/// Why a text is not what it should be.
pub(crate) struct Complaint {
    pub(crate) allowed: &'static str,
    pub(crate) why: &'static str,
}

/// What `is_label` accepts.
pub(super) const LABEL: &str = "1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit";

pub(super) fn ipv6_address(text: &str) -> Result<Ipv6Addr, Complaint> {
    let why = || match text {
        _ if is::<Ipv4Addr>(text) => "that is an IPv4 address",
        _ if is::<Ipv6Net>(text) => "that is a prefix: leave out its length",
        _ if text.contains('%') => "a zone means something on one machine only",
        _ => "it cannot be read as one",
    };
    text.parse().map_err(|_| Complaint { allowed: "an IPv6 address such as 2001:db8::1", why: why() })
}

pub(super) fn ipv4_address(text: &str) -> Result<Ipv4Addr, Complaint> {
    let why = || match text {
        _ if is::<Ipv6Addr>(text) => "that is an IPv6 address",
        _ if is::<Ipv4Net>(text) => "that is a prefix: leave out its length",
        _ => "it cannot be read as one",
    };
    text.parse().map_err(|_| Complaint { allowed: "an IPv4 address such as 192.0.2.1", why: why() })
}

pub(super) fn ipv4_prefix(text: &str) -> Result<Ipv4Net, Complaint> {
    let why = || match text {
        _ if is::<Ipv6Net>(text) => "that is an IPv6 prefix",
        _ if is::<Ipv4Addr>(text) => "its length is missing",
        _ => "it cannot be read as one",
    };
    text.parse().map_err(|_| Complaint { allowed: "an IPv4 prefix such as 192.0.2.0/24", why: why() })
}

pub(super) fn ipv6_prefix(text: &str) -> Result<Ipv6Net, Complaint> {
    let why = || match text {
        _ if is::<Ipv4Net>(text) => "that is an IPv4 prefix",
        _ if is::<Ipv6Addr>(text) => "its length is missing",
        _ => "it cannot be read as one",
    };
    text.parse().map_err(|_| Complaint { allowed: "an IPv6 prefix such as 2001:db8::/32", why: why() })
}

fn is<T: FromStr>(text: &str) -> bool {
    text.parse::<T>().is_ok()
}

/// A BGP community: two numbers of 16 bits (RFC 1997) or three of 32 (RFC 8092).
pub(super) fn community(text: &str) -> Result<(), Complaint> {
    let digits = |part: &&str| part.bytes().all(|byte| byte.is_ascii_digit());
    let sound = match text.split(':').collect::<Vec<_>>()[..] {
        [a, b] => [a, b].iter().all(|part| digits(part) && part.parse::<u16>().is_ok()),
        [a, b, c] => [a, b, c].iter().all(|part| digits(part) && part.parse::<u32>().is_ok()),
        _ => false,
    };
    let why = "a community is two numbers up to 65535 (RFC 1997) or three up to 4294967295 (RFC 8092)";
    sound.then_some(()).ok_or(Complaint { allowed: "64512:200 or 4200000000:1:2, for example", why })
}

/// An RFC 1123 label: what namespaces and fleets are called.
pub(super) fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_part(text)
}

/// An RFC 1123 subdomain: what objects are called.
pub(super) fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_part)
}

fn is_part(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}
