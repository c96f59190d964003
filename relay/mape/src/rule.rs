//! One mapping rule (RFC 7597 §5.2): how an IPv4 address and port turn into an End-user prefix, and back.

use alloc::string::String;
use core::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use crate::{
    PortLayout, Psid, Version,
    address::{ce_address, leading_ones},
};

/// A rule as written, unchecked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleConfig {
    /// Its name, unique in the domain.
    pub name: String,
    /// The Rule IPv4 prefix, /8 to /32.
    pub ipv4_prefix: Ipv4Net,
    /// The Rule IPv6 prefix.
    pub mape_prefix: Ipv6Net,
    /// The EA-bits length `o`, 0 to 48.
    pub ea_bits_length: u8,
    /// The PSID offset `a`, 0 to 16.
    pub psid_offset: u8,
    /// The PSID length `k`, 0 to 16; derived where the EA bits say it.
    pub psid_length: Option<u8>,
    /// The PSID of a rule without EA bits: one CE per rule.
    pub psid: Option<u16>,
}

/// A sound rule: its bits fit together. Made by [`Fleet::new`](crate::Fleet::new) only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub(crate) name: String,
    pub(crate) ipv4_prefix: Ipv4Net,
    pub(crate) mape_prefix: Ipv6Net,
    pub(crate) ea_bits_length: u8,
    pub(crate) layout: PortLayout,
    pub(crate) psid: Option<Psid>,
}

impl Rule {
    /// Its name, unique in the domain.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The Rule IPv4 prefix.
    #[must_use]
    pub fn ipv4_prefix(&self) -> Ipv4Net {
        self.ipv4_prefix
    }

    /// The Rule IPv6 prefix.
    #[must_use]
    pub fn mape_prefix(&self) -> Ipv6Net {
        self.mape_prefix
    }

    /// The EA-bits length `o`.
    #[must_use]
    pub fn ea_bits_length(&self) -> u8 {
        self.ea_bits_length
    }

    /// PSID offset and length.
    #[must_use]
    pub fn layout(&self) -> PortLayout {
        self.layout
    }

    /// The PSID that the rule itself states: one CE per rule, on an address that several such rules may share.
    #[must_use]
    pub fn fixed_psid(&self) -> Option<Psid> {
        self.psid
    }

    /// How many bits of the IPv4 address the EA bits carry.
    #[must_use]
    pub fn ipv4_suffix_length(&self) -> u8 {
        self.ea_bits_length.min(32 - self.ipv4_prefix.prefix_len())
    }

    /// The length of the IPv4 prefix that one CE is given: 32 unless o + r < 32.
    #[must_use]
    pub fn delegated_length(&self) -> u8 {
        self.ipv4_prefix.prefix_len() + self.ipv4_suffix_length()
    }

    /// The End-user prefix length: Rule IPv6 prefix and EA bits.
    #[must_use]
    pub fn end_user_length(&self) -> u8 {
        self.mape_prefix.prefix_len() + self.ea_bits_length
    }

    /// How many CEs the rule can hold.
    #[must_use]
    pub fn ces(&self) -> u64 {
        1 << self.ea_bits_length
    }

    /// The PSID of `port`: `None` if the rule shares its addresses and the port is nobody's or another rule's.
    #[must_use]
    pub fn psid_of(&self, port: u16) -> Option<Psid> {
        let owner = self.layout.psid_of(port)?;
        self.psid.is_none_or(|own| own == owner).then_some(owner)
    }

    /// The End-user prefix of the CE that owns `ipv4` and `psid` (PSID 0 where nothing is shared).
    #[must_use]
    pub fn end_user_prefix(&self, ipv4: Ipv4Addr, psid: Psid) -> Ipv6Net {
        let address = self.end_user_bits(ipv4, psid).into();
        Ipv6Net::new_assert(address, self.end_user_length())
    }

    /// The address of the CE that owns `ipv4` and `psid` (PSID 0 where nothing is shared).
    #[must_use]
    pub fn ce_address(&self, version: Version, ipv4: Ipv4Addr, psid: Psid) -> Ipv6Addr {
        let delegated = ipv4.to_bits() & ipv4_mask(self.delegated_length());
        let identifier = version.interface_identifier(delegated, psid);
        ce_address(self.end_user_bits(ipv4, psid), self.end_user_length(), identifier).into()
    }

    /// Reads an address of a CE back: the IPv4 prefix it is given (a /32 unless o + r < 32) and its PSID.
    /// `address` must lie in the Rule IPv6 prefix; its bits behind the End-user prefix are not looked at.
    #[must_use]
    pub fn assigned(&self, address: Ipv6Addr) -> (Ipv4Net, Psid) {
        let ea = self.read_ea(address);
        let psid_bits = self.ea_bits_length - self.ipv4_suffix_length();
        let suffix = (ea >> psid_bits) << (32 - self.delegated_length());
        let ipv4 = Ipv4Addr::from_bits(self.ipv4_prefix.network().to_bits() | suffix as u32);
        let carried = Psid((ea & ((1 << psid_bits) - 1)) as u16);
        (Ipv4Net::new_assert(ipv4, self.delegated_length()), self.psid.unwrap_or(carried))
    }

    fn end_user_bits(&self, ipv4: Ipv4Addr, psid: Psid) -> u128 {
        let host = u64::from(ipv4.to_bits() & !ipv4_mask(self.ipv4_prefix.prefix_len()));
        let suffix = host >> (32 - self.delegated_length());
        let psid_bits = self.ea_bits_length - self.ipv4_suffix_length();
        let ea = if psid_bits == 0 { suffix } else { suffix << psid_bits | u64::from(psid.0) };
        let place = 128 - u32::from(self.end_user_length());
        self.mape_prefix.network().to_bits() | u128::from(ea).checked_shl(place).unwrap_or(0)
    }

    fn read_ea(&self, address: Ipv6Addr) -> u64 {
        let place = 128 - u32::from(self.end_user_length());
        let ea = (address.to_bits() & !leading_ones(self.mape_prefix.prefix_len())).checked_shr(place).unwrap_or(0);
        ea as u64
    }
}

fn ipv4_mask(length: u8) -> u32 {
    !u32::MAX.checked_shr(u32::from(length)).unwrap_or(0)
}
