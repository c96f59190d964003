//! How a CE's IPv6 address is put together: End-user prefix, zero subnet bits, interface identifier (RFC 7597 §5.3, §6).

use crate::Psid;

/// Which layout of the interface identifier a domain's CEs use. Both sides must agree, so it never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Version {
    /// RFC 7597 §6: 16 zero bits, the IPv4 address, the PSID.
    #[default]
    Rfc7597,
    /// draft-ietf-softwire-map-03 §6 (Junos `version-03`): 8 zero bits, the IPv4 address, the PSID, 8 zero bits.
    Draft03,
}

impl Version {
    /// The interface identifier for `ipv4`, whose bits behind a delegated prefix are zero, and `psid`.
    #[must_use]
    pub fn interface_identifier(self, ipv4: u32, psid: Psid) -> u64 {
        (u64::from(ipv4) << 16 | u64::from(psid.0)) << self.identifier_shift()
    }

    /// How far left of the RFC's place the identifier stands, in bits.
    #[must_use]
    pub fn identifier_shift(self) -> u8 {
        match self {
            Self::Rfc7597 => 0,
            Self::Draft03 => 8,
        }
    }
}

/// Puts an address together; `end_user_length` bits of `end_user_prefix` overwrite whatever the identifier has there.
#[must_use]
pub fn ce_address(end_user_prefix: u128, end_user_length: u8, identifier: u64) -> u128 {
    end_user_prefix | (u128::from(identifier) & !leading_ones(end_user_length))
}

/// A mask of `length` (0 to 128) leading ones.
#[must_use]
pub fn leading_ones(length: u8) -> u128 {
    !u128::MAX.checked_shr(u32::from(length)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::{Ipv4Addr, Ipv6Addr};

    fn address(prefix: &str, length: u8, version: Version, ipv4: &str, psid: u16) -> Ipv6Addr {
        let ipv4: Ipv4Addr = ipv4.parse().unwrap();
        let prefix: Ipv6Addr = prefix.parse().unwrap();
        ce_address(prefix.to_bits(), length, version.interface_identifier(ipv4.to_bits(), Psid(psid))).into()
    }

    /// The capture on Juniper's MAP-E page, steps 3 and 4.
    #[test]
    fn the_captured_address_comes_out() {
        let expected: Ipv6Addr = "2001:db8:ce:29c:0:435b:cd02:9c".parse().unwrap();
        assert_eq!(address("2001:db8:ce:29c::", 64, Version::Rfc7597, "67.91.205.2", 0x9c), expected);
    }

    /// The v6plus lines of Japan use the draft's layout.
    #[test]
    fn the_draft_puts_the_psid_in_bytes_13_and_14() {
        let expected: Ipv6Addr = "240b:10:3f6c:d400:6a:483f:6c00:d400".parse().unwrap();
        assert_eq!(address("240b:10:3f6c:d400::", 56, Version::Draft03, "106.72.63.108", 212), expected);
    }

    #[test]
    fn a_prefix_past_64_overwrites_the_identifier() {
        let expected: Ipv6Addr = "2001:db8:4464:1:1100:c000:201:1".parse().unwrap();
        assert_eq!(address("2001:db8:4464:1:1100::", 72, Version::Rfc7597, "192.0.2.1", 1), expected);
        let whole: Ipv6Addr = "2001:db8::42".parse().unwrap();
        assert_eq!(address("2001:db8::42", 128, Version::Rfc7597, "192.0.2.1", 1), whole);
    }
}
