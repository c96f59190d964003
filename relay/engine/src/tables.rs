//! The lookup that both directions and both dataplanes use: flat `repr(C)` arrays, no pointers, no unions.
//!
//! An IPv4 address's upper 16 bits choose a cell of the directory. A cell is empty, a rule, a group of one-CE rules
//! that share the address, or a table that the next bits choose from. A /16 is one table with the stride of its
//! longest rule where that is dense enough, else a table of 256 and one more for each /24 that needs it: a lone /32
//! costs 2 KiB, not the 256 KiB of a full table. At most three cells are read (measured: an LPM trie costs 2.5 times as much
//! at 16,384 rules).

use mape::{Fleet, Rule, Version};

mod build;

/// One rule as the packet path wants it: 64 bytes, one cache line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C, align(64))]
pub struct RuleEntry {
    /// The Rule IPv6 prefix, upper and lower half.
    pub prefix: [u64; 2],
    /// Which bits of the interface identifier the End-user prefix leaves alone.
    pub identifier_mask: u64,
    /// The bits of an IPv4 address that are not the rule's prefix.
    pub suffix_mask: u32,
    /// The bits of an IPv4 address that the interface identifier carries: the prefix given to the CE.
    pub delegated_mask: u32,
    /// The index of the domain.
    pub domain: u32,
    /// Ports below this one belong to no CE.
    pub reserved_below: u16,
    /// 2^k - 1; 0 where nothing is shared.
    pub psid_mask: u32,
    /// The PSID bits that the EA bits carry.
    pub ea_psid_mask: u16,
    /// Which bits of a port are the PSID: `port >> psid_shift & psid_mask`.
    pub psid_shift: u8,
    /// How far right the IPv4 suffix moves, because the EA bits do not carry it all.
    pub suffix_shift: u8,
    /// How far left it moves then, to make room for the PSID.
    pub psid_length: u8,
    /// How far left the EA bits stand in the address.
    pub ea_shift: u8,
    /// How far left the RFC's interface identifier moves (draft-03: 8).
    pub identifier_shift: u8,
    /// The length of the End-user prefix.
    pub end_user_length: u8,
    /// The bits of an IPv4 address that the EA bits carry.
    pub carried_mask: u32,
    /// How far left those rotate to their place in the upper half.
    pub suffix_rotation: u8,
    /// How far left the PSID stands in the upper half.
    pub psid_place: u8,
}

impl RuleEntry {
    fn new(rule: &Rule, version: Version, domain: u32) -> Self {
        let layout = rule.layout();
        let prefix = rule.mape_prefix().network().to_bits();
        let ea_psid_length = rule.ea_bits_length() - rule.ipv4_suffix_length();
        let reserved = layout.is_shared() && layout.offset() > 0;
        let suffix_shift = 32 - rule.delegated_length();
        // Where the End-user prefix ends in the lower half, nobody asks for a place in the upper one.
        let psid_place = 64u8.saturating_sub(rule.end_user_length());
        Self {
            prefix: [(prefix >> 64) as u64, prefix as u64],
            identifier_mask: !(mape::address::leading_ones(rule.end_user_length()) as u64),
            suffix_mask: !ipv4_mask(rule.ipv4_prefix().prefix_len()),
            delegated_mask: ipv4_mask(rule.delegated_length()),
            domain,
            reserved_below: if reserved { 1 << (16 - layout.offset()) } else { 0 },
            psid_mask: layout.sharing_ratio() - 1,
            ea_psid_mask: ((1u32 << ea_psid_length) - 1) as u16,
            psid_shift: (16 - layout.offset() - layout.length()).min(15),
            suffix_shift,
            psid_length: ea_psid_length,
            ea_shift: 128 - rule.end_user_length(),
            identifier_shift: version.identifier_shift(),
            end_user_length: rule.end_user_length(),
            carried_mask: ipv4_mask(rule.delegated_length()) & !ipv4_mask(rule.ipv4_prefix().prefix_len()),
            suffix_rotation: (64 + psid_place + ea_psid_length - suffix_shift) % 64,
            psid_place: psid_place % 64,
        }
    }

    /// Whether several CEs share each of the rule's addresses.
    #[inline]
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.psid_mask != 0
    }

    /// The PSID that `port` belongs to; 0 where nothing is shared.
    #[inline]
    #[must_use]
    pub fn psid(&self, port: u16) -> u16 {
        ((u32::from(port) >> (self.psid_shift & 31)) & self.psid_mask) as u16
    }

    /// Whether [`RuleEntry::plain_ce_address`] may be used: the End-user prefix ends in the upper half, and has all bits of
    /// the PSID.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.end_user_length <= 64 && u32::from(self.ea_psid_mask) == self.psid_mask
    }

    /// The address of the CE that owns `ipv4` and `port`, where [`RuleEntry::is_plain`]: the same as by
    /// [`RuleEntry::psid`] and [`RuleEntry::ce_address`], in fewer steps.
    #[inline(always)]
    #[must_use]
    pub fn plain_ce_address(&self, ipv4: u32, port: u16) -> [u64; 2] {
        let psid = u64::from((u32::from(port) >> (self.psid_shift & 31)) & self.psid_mask);
        let suffix = u64::from(ipv4 & self.carried_mask).rotate_left(self.suffix_rotation.into());
        let upper = self.prefix[0] | suffix | psid << (self.psid_place & 63);
        let identifier = u64::from(ipv4 & self.delegated_mask) << 16 | psid;
        [upper, identifier << (self.identifier_shift & 63)]
    }

    /// The address of the CE that owns `ipv4` and `psid` (RFC 7597 §5.3, §6), upper and lower half.
    #[inline]
    #[must_use]
    pub fn ce_address(&self, ipv4: u32, psid: u16) -> [u64; 2] {
        let suffix = u64::from((ipv4 & self.suffix_mask) >> self.suffix_shift);
        let ea = suffix << self.psid_length | u64::from(psid & self.ea_psid_mask);
        let identifier = (u64::from(ipv4 & self.delegated_mask) << 16 | u64::from(psid)) << self.identifier_shift;
        let identifier = identifier & self.identifier_mask;
        match self.ea_shift.checked_sub(64) {
            Some(shift) => [self.prefix[0] | ea << shift, self.prefix[1] | identifier],
            None => {
                let placed = u128::from(ea) << self.ea_shift;
                [self.prefix[0] | (placed >> 64) as u64, self.prefix[1] | placed as u64 | identifier]
            }
        }
    }
}

fn ipv4_mask(length: u8) -> u32 {
    !u32::MAX.checked_shr(u32::from(length)).unwrap_or(0)
}

/// One-CE rules that share a /32: a table from PSID to rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Bindings {
    /// The first of its cells in [`Tables::bindings`].
    pub base: u32,
    /// The PSID of that cell.
    pub first_psid: u16,
    /// The PSID of its last cell.
    pub last_psid: u16,
    /// Ports below this one belong to no CE.
    pub reserved_below: u16,
    /// 2^k - 1 for the longest PSID among them.
    pub psid_mask: u16,
    /// Which bits of a port are the PSID.
    pub psid_shift: u8,
}

/// All rules of a fleet, ready to be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    /// The cell of each /16: 65,536 of them.
    pub directory: Box<[u32; 1 << 16]>,
    /// The cells of all further tables.
    pub cells: Vec<u32>,
    /// The rules, in the order of [`Fleet::rules`].
    pub rules: Vec<RuleEntry>,
    /// Groups of one-CE rules.
    pub groups: Vec<Bindings>,
    /// The cells of the groups: rule index + 1, or 0.
    pub bindings: Vec<u32>,
}

/// What stands in a cell that is not empty: its upper bits say.
pub mod tag {
    /// A table: bits 26 to 30 are how far right the remaining address bits move to index it, bits 0 to 25 its first cell.
    pub const TABLE: u32 = 1 << 31;
    /// A plain rule, whose packets may go the express way: the lower bits are its index.
    pub const PLAIN_RULE: u32 = 1 << 30;
    /// Any other rule.
    pub const RULE: u32 = 1 << 29;
    /// A group of one-CE rules.
    pub const GROUP: u32 = 1 << 28;
    /// No rule, and no packet either may have such an address.
    pub const MARTIAN: u32 = 1 << 27;
    /// The bits of an index.
    pub const INDEX: u32 = MARTIAN - 1;
    /// The bits of a table's first cell.
    pub const BASE: u32 = (1 << 26) - 1;
}

/// Who answers for an address.
#[derive(Debug, Clone, Copy)]
pub enum Found<'t> {
    /// One rule.
    Rule(&'t RuleEntry),
    /// The port decides.
    Group(&'t Bindings),
}

impl Found<'_> {
    /// Whether only a port tells which CE.
    #[inline(always)]
    pub(crate) fn needs_port(&self) -> bool {
        match self {
            Found::Rule(rule) => rule.is_shared(),
            Found::Group(_) => true,
        }
    }
}

impl Tables {
    /// Compiles the rules of `fleet`. It cannot fail: [`Fleet::new`] has checked every bound.
    #[must_use]
    pub fn compile(fleet: &Fleet) -> Self {
        build::compile(fleet)
    }

    /// The longest match.
    #[inline]
    #[must_use]
    pub fn find(&self, ipv4: u32) -> Option<Found<'_>> {
        let cell = self.cell(ipv4)?;
        let index = (cell & tag::INDEX) as usize;
        if cell & (tag::PLAIN_RULE | tag::RULE) != 0 {
            return self.rules.get(index).map(Found::Rule);
        }
        (cell & tag::GROUP != 0).then(|| self.groups.get(index).map(Found::Group))?
    }

    /// The longest match, if it is one rule and plain.
    #[inline(always)]
    pub(crate) fn find_plain(&self, ipv4: u32) -> Option<&RuleEntry> {
        // Any other tag, once flipped, is no index of a rule.
        self.rules.get((self.cell(ipv4)? ^ tag::PLAIN_RULE) as usize)
    }

    /// Whether the address is on the Internet: no martian, and in no rule's prefix.
    #[inline(always)]
    pub(crate) fn is_on_internet(&self, ipv4: u32) -> bool {
        self.cell(ipv4) == Some(0)
    }

    /// The cell of an address, behind all tables.
    #[inline(always)]
    fn cell(&self, ipv4: u32) -> Option<u32> {
        let cell = self.directory[(ipv4 >> 16) as usize];
        if cell & tag::TABLE == 0 {
            return Some(cell);
        }
        let cell = self.below(cell, ipv4 & 0xffff)?;
        if cell & tag::TABLE == 0 { Some(cell) } else { self.below(cell, ipv4 & 0xff) }
    }

    #[inline(always)]
    fn below(&self, table: u32, rest: u32) -> Option<u32> {
        self.cells.get(((table & tag::BASE) + (rest >> ((table >> 26) & 31))) as usize).copied()
    }

    /// The rule of a group that owns `port`.
    #[inline]
    #[must_use]
    pub fn bound(&self, group: &Bindings, port: u16) -> Option<&RuleEntry> {
        let psid = (port >> group.psid_shift) & group.psid_mask;
        if !(group.first_psid..=group.last_psid).contains(&psid) {
            return None;
        }
        let at = group.base as usize + usize::from(psid - group.first_psid);
        self.rules.get((*self.bindings.get(at)? as usize).checked_sub(1)?)
    }

    /// Any rule of a group: the one with the lowest PSID.
    pub(crate) fn first_bound(&self, group: &Bindings) -> Option<&RuleEntry> {
        self.rules.get((*self.bindings.get(group.base as usize)? as usize).checked_sub(1)?)
    }

    /// Bytes of memory, without the 256 KiB of the directory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        4 * (self.cells.len() + self.bindings.len())
            + size_of::<RuleEntry>() * self.rules.len()
            + size_of::<Bindings>() * self.groups.len()
    }
}
