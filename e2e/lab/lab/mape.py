"""The MAP-E arithmetic that the lab expects, written from RFC 7597 alone: nothing here is shared with the relay."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network


@dataclass(frozen=True)
class Rule:
    """One mapping rule whose CEs share IPv4 addresses."""

    ipv4_prefix: IPv4Network
    ipv6_prefix: IPv6Network
    ea_bits: int
    psid_offset: int
    psid_length: int

    def ports(self, psid: int) -> list[range]:
        """The port ranges of a CE (RFC 7597 s.5.1): every value of A but 0, then the PSID, then every value of M."""
        m = 16 - self.psid_offset - self.psid_length
        firsts = (a << (16 - self.psid_offset) | psid << m for a in range(1, 1 << self.psid_offset))
        return [range(first, first + (1 << m)) for first in firsts]

    def end_user_prefix(self, public: IPv4Address, psid: int) -> IPv6Network:
        """Rule IPv6 prefix, then the EA bits: the IPv4 suffix and the PSID (s.5.2)."""
        suffix = int(public) & int(self.ipv4_prefix.hostmask)
        length = self.ipv6_prefix.prefixlen + self.ea_bits
        ea = suffix << self.psid_length | psid
        return IPv6Network((int(self.ipv6_prefix.network_address) | ea << (128 - length), length))

    def ce_address(self, public: IPv4Address, psid: int) -> IPv6Address:
        """The End-user prefix and the interface identifier: 16 zero bits, the IPv4 address, the PSID (s.6)."""
        identifier = int(public) << 16 | psid
        return IPv6Address(int(self.end_user_prefix(public, psid).network_address) | identifier)
