//! What BIRD calls a session: letters, digits and `_`, 64 at most. A name is a peer's for ever: a session whose protocol is
//! called otherwise is another session, and begins anew.

use sha2::{Digest, Sha256};

/// As many characters of a peer's name as are kept: with a prefix, and the number of a session that a router began, it is
/// short enough for BIRD.
const KEPT: usize = 40;

/// Whose a protocol is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Spoken<'n> {
    /// The one that is configured.
    Peer(&'n str),
    /// One that a router began, of a peer without an address.
    Begun(&'n str),
}

/// What is behind a protocol's name, as [`of`] makes it.
pub(crate) fn spoken(name: &str) -> Option<Spoken<'_>> {
    if let Some(peer) = name.strip_prefix("peer_") {
        return Some(Spoken::Peer(peer));
    }
    let (peer, number) = name.strip_prefix("dyn_")?.rsplit_once("_x")?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then_some(Spoken::Begun(peer))
}

/// A peer's name, for BIRD. Labels have no `_`, so that no two are alike.
pub(super) fn of(peer: &str) -> String {
    let plain = peer.replace('-', "_");
    if peer.len() <= KEPT {
        return plain;
    }
    let hash = Sha256::digest(peer);
    format!("{}__{:02x}{:02x}{:02x}{:02x}", &plain[..KEPT], hash[0], hash[1], hash[2], hash[3])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_differ() {
        let long = |last: char| "a".repeat(62) + &last.to_string();
        assert_eq!(of("leaf-a-ipv4"), "leaf_a_ipv4");
        assert_ne!(of(&long('b')), of(&long('c')));
        assert!("dyn_".len() + of(&long('b')).len() + "_x65535".len() < 64);
    }

    #[test]
    fn a_protocol_tells_whose_it_is() {
        assert_eq!(spoken("peer_tor_1"), Some(Spoken::Peer("tor_1")));
        assert_eq!(spoken("dyn_tor_x1_x12"), Some(Spoken::Begun("tor_x1")));
        for other in ["relay4", "dyn_tor", "dyn_tor_x", "device1"] {
            assert!(!matches!(spoken(other), Some(Spoken::Peer(_))), "{other}");
        }
    }
}
