//! Addresses, prefixes and names in text.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use mape::{IpNet, Ipv4Net, Ipv6Net};

/// Why a text is not what it should be.
pub(crate) struct Complaint {
    pub(crate) allowed: &'static str,
    pub(crate) why: &'static str,
}

/// What `is_label` accepts.
pub(super) const LABEL: &str = "1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit";

/// What `is_subdomain` accepts.
pub(super) const SUBDOMAIN: &str =
    "1 to 253 of a-z, 0-9, - and ., each part beginning and ending with a letter or digit";

/// An IPv4 or IPv6 address of a host.
pub(super) fn host(text: &str) -> Result<IpAddr, Complaint> {
    let allowed = "an address of a router, such as 192.0.2.1 or 2001:db8::1";
    let why = match text.parse() {
        Ok(address) if is_host(address) => return Ok(address),
        Ok(_) => "no packet goes there: it is unspecified, loopback, multicast or reserved",
        Err(_) if is::<Ipv4Net>(text) || is::<Ipv6Net>(text) => "that is a prefix: leave out its length",
        Err(_) if text.contains('%') => "a zone has a field of its own, `interface`",
        Err(_) => "it cannot be read as one",
    };
    Err(Complaint { allowed, why })
}

fn is_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !matches!(address.octets()[0], 0 | 127 | 224..),
        IpAddr::V6(address) => {
            let nobody = address.is_unspecified() || address.is_loopback() || address.is_multicast();
            !nobody && address.to_ipv4_mapped().is_none()
        }
    }
}

/// Whether an address means something on one segment only.
pub(super) fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

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
    prefix(text, Ipv4Net::new).ok_or_else(|| Complaint { allowed: "an IPv4 prefix such as 192.0.2.0/24", why: why() })
}

pub(super) fn ipv6_prefix(text: &str) -> Result<Ipv6Net, Complaint> {
    let read: Option<Ipv6Net> = prefix(text, Ipv6Net::new);
    let is_mapped = |net: &Ipv6Net| net.addr().to_ipv4_mapped().is_some();
    let why = || match text {
        _ if is::<Ipv4Net>(text) => "that is an IPv4 prefix",
        _ if is::<Ipv6Addr>(text) => "its length is missing",
        // The API server takes none either.
        _ if read.as_ref().is_some_and(is_mapped) => "those are IPv4 addresses (RFC 4291 s.2.5.5.2)",
        _ => "it cannot be read as one",
    };
    read.filter(|net| !is_mapped(net))
        .ok_or_else(|| Complaint { allowed: "an IPv6 prefix such as 2001:db8::/32", why: why() })
}

/// A prefix of either family, without host bits.
pub(super) fn any_prefix(text: &str) -> Result<IpNet, Complaint> {
    let allowed = "a prefix such as 192.0.2.0/24 or 2001:db8::/64";
    let read = ipv4_prefix(text).map(IpNet::from).or_else(|_| ipv6_prefix(text).map(IpNet::from));
    let prefix = read.map_err(|complaint| Complaint { allowed, ..complaint })?;
    let why = "a prefix has no host bits: write zeros behind its length";
    if prefix.trunc() == prefix { Ok(prefix) } else { Err(Complaint { allowed, why }) }
}

/// An address and a length, both without zeros in front: some read those as octal, and Kubernetes not at all.
fn prefix<A: FromStr, N, E>(text: &str, new: impl Fn(A, u8) -> Result<N, E>) -> Option<N> {
    let (address, length) = text.split_once('/')?;
    let digits = length.bytes().all(|byte| byte.is_ascii_digit());
    let plain = digits && (length.len() == 1 || !length.starts_with('0'));
    new(address.parse().ok()?, length.parse().ok().filter(|_| plain)?).ok()
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

/// A number with a unit or an exponent: `500m`, `1.5Gi`, `1e3`.
pub(super) fn is_quantity(text: &str) -> bool {
    let unsigned = |text: &str| text.strip_prefix(['+', '-']).unwrap_or(text).to_owned();
    let is_number = |text: &str| {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        digits(whole) && digits(part) && !(whole.is_empty() && part.is_empty())
    };
    let text = unsigned(text);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let units = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let is_exponent = unit.strip_prefix(['e', 'E']).is_some_and(|exponent| is_number(&unsigned(exponent)));
    is_number(number) && (units.contains(&unit) || is_exponent)
}

/// What may stand before and after the `/` of a label's key, and in a label's value.
pub(super) fn is_qualified(text: &str) -> bool {
    let (prefix, name) = text.split_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    prefix.is_none_or(is_subdomain) && !name.is_empty() && is_label_value(name)
}

/// What a label may say: nothing, or up to 63 letters, digits, `-`, `_` and `.` between letters or digits.
pub(super) fn is_label_value(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let ends = [text.bytes().next(), text.bytes().last()];
    text.len() <= 63 && text.bytes().all(inner) && ends.iter().flatten().all(u8::is_ascii_alphanumeric)
}

fn is_part(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}
