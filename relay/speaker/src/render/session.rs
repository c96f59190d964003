//! A session as one of BIRD's protocols.

use std::fmt::{self, Formatter};

use super::channel;
use crate::plan::{Family, Reach, Session};

pub(super) fn protocol(f: &mut Formatter<'_>, session: &Session) -> fmt::Result {
    writeln!(f, "protocol bgp peer_{} {{", session.name)?;
    writeln!(f, "\tdescription \"{}\";", session.peer)?;
    writeln!(f, "\tdebug {{ states }};")?;
    ends(f, session)?;
    if let Some(password) = &session.password {
        writeln!(f, "\tpassword \"{password}\";")?;
    }
    times(f, session)?;
    // A community that is there for others than the peer keeps no route from it.
    writeln!(f, "\tinterpret communities off;")?;
    let restart = if session.graceful_restart { "on" } else { "off" };
    writeln!(f, "\tgraceful restart {restart};\n\tlong lived graceful restart off;")?;
    bfd(f, session)?;
    for family in &session.families {
        let extended = *family == Family::Ipv4 && session.local.is_ipv6();
        let extended = if extended { " extended next hop on;" } else { "" };
        let (channel, name) = (channel(*family), &session.name);
        writeln!(f, "\t{channel} {{ import none; export filter to_{name}; next hop self;{extended} }};")?;
    }
    writeln!(f, "}}")
}

/// Both ends, and what lies between them.
fn ends(f: &mut Formatter<'_>, session: &Session) -> fmt::Result {
    let Session { local, local_asn, asn, port, interface, name, .. } = session;
    writeln!(f, "\tlocal {local} as {local_asn};\n\tstrict bind on;")?;
    match session.reach {
        Reach::Direct { address, .. } => writeln!(f, "\tneighbor {address} port {port} as {asn};")?,
        Reach::Multihop { address, .. } => writeln!(f, "\tneighbor {address} port {port} as {asn};")?,
        Reach::Unnumbered { .. } => {
            writeln!(f, "\tneighbor range fe80::/10 as {asn};\n\tdynamic name \"dyn_{name}_x\";")?;
        }
    }
    match session.reach {
        Reach::Multihop { ttl, .. } => writeln!(f, "\tmultihop {ttl};"),
        Reach::Direct { secure, .. } | Reach::Unnumbered { secure } => {
            let security = if secure { "on" } else { "off" };
            writeln!(f, "\tinterface \"{interface}\";\n\tdirect;\n\tttl security {security};")
        }
    }
}

/// BIRD's own waits are made for routers that have thousands of sessions.
fn times(f: &mut Formatter<'_>, session: &Session) -> fmt::Result {
    let Session { hold_time_seconds, keepalive_time_seconds, connect_retry_seconds, .. } = session;
    writeln!(f, "\thold time {hold_time_seconds};\n\tkeepalive time {keepalive_time_seconds};")?;
    writeln!(f, "\tconnect delay time 1;\n\tconnect retry time {connect_retry_seconds};")?;
    writeln!(f, "\terror wait time 1, {connect_retry_seconds};")
}

fn bfd(f: &mut Formatter<'_>, session: &Session) -> fmt::Result {
    let Some(bfd) = session.bfd else { return Ok(()) };
    let (transmit, receive) = (bfd.transmit_interval_milliseconds, bfd.receive_interval_milliseconds);
    writeln!(f, "\tbfd {{")?;
    writeln!(f, "\t\tmin tx interval {transmit} ms;\n\t\tmin rx interval {receive} ms;")?;
    // Before the session is up, the interval is a second by the RFC (RFC 5880 s.6.8.3).
    writeln!(f, "\t\tmultiplier {};\n\t}};", bfd.detect_multiplier)
}
