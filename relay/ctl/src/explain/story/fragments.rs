//! What a fragment waits for, and why one is none.

use std::net::Ipv4Addr;

use engine::DropReason;
use mape::options::{Reassembly, ReassemblyV4};

use super::{Story, Told};
use crate::explain::anatomy::{Inner, protocol_name};

impl Story<'_> {
    /// A fragment of a datagram to or from an address whose CE only a port tells.
    pub(super) fn fragment(&mut self, inner: &Inner<'_>, ipv4: Ipv4Addr) -> Told {
        self.ends_by(DropReason::FragmentsDisabled, || {
            "It is a fragment, and this domain does not put fragments together (reassembly.v4): only a whole packet would pass."
                .to_string()
        })?;
        self.ends_by(DropReason::BadFragment, || {
            format!(
                "It can be no part of a datagram: {} bytes of payload at {}. A part has some, a multiple of 8 if others \
                follow, and ends before 65,536.",
                inner.total.saturating_sub(inner.header),
                inner.offset
            )
        })?;
        self.ends_by(DropReason::TinyFragment, || {
            "It is a first fragment that does not hold TCP's flags, which firewalls look for there (RFC 1858): 16 bytes would do."
                .to_string()
        })?;
        self.ends_by(DropReason::FragmentOverlap, || {
            "It begins 8 bytes into TCP's header, to write over what the first fragment said (RFC 3128).".to_string()
        })?;
        if !self.is_held {
            return Some(());
        }
        let Some((domain, _)) = self.fleet.longest(ipv4).next() else { return Some(()) };
        let waits = waits_for(&domain.options().reassembly);
        let Inner { source, destination, offset, identification, .. } = inner;
        let protocol = protocol_name(inner.protocol);
        self.end(format!(
            "It is a fragment, {offset} bytes into datagram {identification} of {source} -> {destination}, {protocol}. {ipv4} is \
            shared, and only the first fragment says by whom. {waits}"
        ))
    }

    /// A fragment of a tunnel packet, which is kept.
    pub(super) fn outer_fragment(&mut self, reassembly: &Reassembly) -> Told {
        if !self.is_held {
            return Some(());
        }
        self.end(format!(
            "It is an IPv6 fragment of a tunnel packet. It is kept until all of them are there (reassembly.v6), at most {}: then \
            it is lost as {}.",
            seconds(reassembly),
            DropReason::ReassemblyTimeout
        ))
    }
}

fn waits_for(reassembly: &Reassembly) -> String {
    let (how, until) = match reassembly.v4 {
        ReassemblyV4::Virtual | ReassemblyV4::Disabled => ("Virtual", "It waits for that one"),
        ReassemblyV4::Full => ("Full", "It is kept until all of them are there"),
    };
    let (lost, time) = (DropReason::ReassemblyTimeout, seconds(reassembly));
    format!("{until} (reassembly.v4: {how}), at most {time}: then it is lost as {lost}.")
}

fn seconds(reassembly: &Reassembly) -> String {
    match reassembly.timeout_seconds {
        1 => "1 second".to_string(),
        seconds => format!("{seconds} seconds"),
    }
}
