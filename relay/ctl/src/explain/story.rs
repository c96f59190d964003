//! Why the engine judged as it did, step by step.
//!
//! The engine's reason says at which check the packet's way ended; the rules say what that check saw. So the story
//! cannot end elsewhere than the packet did. Where the rules would not have refused what the engine refused, or the
//! other way round, one of the two is wrong, and the story says so (a test looks for that sentence).

use engine::{DropReason, Outcome, Verdict};
use mape::Fleet;

use super::anatomy::{Inner, Outer};

mod ce;
mod fragments;
mod from_ce;
mod to_ce;

/// How the sentence begins that must never be read.
pub(super) const CONTRADICTION: &str = "This contradicts the rules";

/// A packet's story as it grows.
struct Story<'f> {
    fleet: &'f Fleet,
    /// Where its way ends; `None` if it goes on to where it should, or waits.
    reason: Option<DropReason>,
    is_held: bool,
    steps: Vec<String>,
    has_ended: bool,
}

/// Whether there is more to tell.
type Told = Option<()>;

pub(super) fn tell(fleet: &Fleet, packet: &[u8], verdict: Verdict, emitted: &[&[u8]]) -> Vec<String> {
    let mut story = Story {
        fleet,
        reason: verdict.reason(),
        is_held: verdict.outcome == Outcome::Hold,
        steps: Vec::new(),
        has_ended: false,
    };
    let _ = match packet.first().map(|byte| byte >> 4) {
        Some(4) => to_ce::tell(&mut story, packet, emitted),
        Some(6) => from_ce::tell(&mut story, packet, emitted),
        Some(version) => story.end(format!("The first byte says IP version {version}; 4 or 6 would be IP.")),
        None => story.end("There is not a single byte."),
    };
    if !story.has_ended {
        story.end_unexplained();
    }
    story.steps
}

impl Story<'_> {
    fn say(&mut self, sentence: impl Into<String>) {
        self.steps.push(sentence.into());
    }

    /// The last sentence.
    fn end(&mut self, sentence: impl Into<String>) -> Told {
        self.say(sentence);
        self.has_ended = true;
        None
    }

    /// Says the sentence and ends the story, if this is where the packet's way ended.
    fn ends_by(&mut self, reason: DropReason, sentence: impl FnOnce() -> String) -> Told {
        if self.reason == Some(reason) { self.end(sentence()) } else { Some(()) }
    }

    /// The same where several checks have that reason: `is_here` says whether it was this one.
    fn ends_if(&mut self, is_here: bool, reason: DropReason, sentence: impl FnOnce() -> String) -> Told {
        if is_here { self.ends_by(reason, sentence) } else { Some(()) }
    }

    /// For reasons that need no more than their meaning. Those of the rules would have ended the story before.
    fn end_unexplained(&mut self) {
        use DropReason::{BadHeader, FragmentsDisabled, NoPort, NoRule, ReservedPort, SpoofedSource, Truncated};
        let _ = match self.reason {
            None => None,
            Some(NoPort | NoRule | ReservedPort | SpoofedSource) => self.contradiction("nothing against it"),
            Some(Truncated) => self.end("A header is not all there."),
            Some(BadHeader) => self.end("A header or option promises more than there is room for."),
            Some(FragmentsDisabled) => {
                self.end("It is a fragment, and this domain does not put fragments together (reassembly).")
            }
            Some(reason) => self.end(format!("The engine's reason is {reason}.")),
        };
    }

    fn contradiction(&mut self, found: &str) -> Told {
        let engine = self.reason.map_or("nothing wrong", DropReason::word);
        self.end(format!("{CONTRADICTION}: the engine found {engine}, they say {found}. Please report it."))
    }

    /// What any IPv4 header must satisfy before its addresses are looked at. `bytes` begin with it.
    fn header(&mut self, bytes: &[u8]) -> Told {
        let Some(inner) = Inner::parse(bytes) else {
            let present = bytes.len();
            return self
                .ends_by(DropReason::Truncated, || format!("Of the IPv4 header's 20 bytes {present} are there."));
        };
        let Inner { total, present, header, version, .. } = inner;
        let is_bad = version != 4 || header < 20 || total < header;
        self.ends_if(is_bad, DropReason::BadHeader, || {
            format!(
                "The IPv4 header contradicts itself: version {version} (4), header length {header} (20 to 60), total \
                length {total} (at least the header's)."
            )
        })?;
        self.ends_if(total > present, DropReason::Truncated, || {
            format!("The IPv4 header promises {total} bytes, and there are {present}.")
        })?;
        let (found, right) = checksums(bytes, header);
        self.ends_if(found != right, DropReason::BadChecksum, || {
            format!("The IPv4 header checksum is {found:#06x}; {right:#06x} would be right.")
        })?;
        self.ends_by(DropReason::Martian, || {
            format!(
                "No packet on the Internet may have these addresses, {} -> {}: 0/8, 127/8, 224/4 and 240/4 are not \
                forwarded (RFC 1812 s.5.3.7).",
                inner.source, inner.destination
            )
        })?;
        let is_elsewhere =
            matches!(self.reason, Some(DropReason::BadHeader | DropReason::Truncated | DropReason::BadChecksum));
        (!is_elsewhere).then_some(())
    }

    /// How the packet fits the tunnel; says what becomes of one that does not.
    fn size(&mut self, domain: &mape::Domain, inner: &Inner<'_>, pieces: usize) -> Told {
        let mtu = domain.options().mtu;
        let (fits, total) = (mtu.payload(), inner.total);
        let limit = format!("the tunnel takes {fits} (mtu.v6 {} less 40)", mtu.v6);
        self.ends_by(DropReason::TooBig, || {
            format!("It has {total} bytes and DF, and {limit}: {fits} bytes or fewer would fit, more without DF would be cut.")
        })?;
        if total <= usize::from(fits) {
            self.say(format!("It has {total} bytes, and {limit}: it fits."));
        } else {
            let how = domain.options().fragmentation;
            self.say(format!("It has {total} bytes, and {limit}: it is cut into {pieces} (fragmentation: {how:?})."));
        }
        Some(())
    }

    fn ttl(&mut self, ttl: u8) -> Told {
        self.ends_by(DropReason::TtlExpired, || {
            format!("Its TTL is {ttl}. The relay is one hop and takes one; 2 or more would pass.")
        })
    }
}

/// The checksum that stands in an IPv4 header, and the one that should.
fn checksums(bytes: &[u8], header: usize) -> (u16, u16) {
    let mut header = bytes.get(..header).unwrap_or_default().to_vec();
    let Some(field) = header.get_mut(10..12) else { return (0, 0) };
    let found = u16::from_be_bytes([field[0], field[1]]);
    field.fill(0);
    (found, engine::wire::checksum(&header))
}

/// The BR address's domains.
fn domains_of<'f>(fleet: &'f Fleet, outer: &Outer<'_>) -> Vec<&'f mape::Domain> {
    fleet.domains().iter().filter(|domain| domain.softwire_address() == outer.destination).collect()
}
