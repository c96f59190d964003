//! What a relay's routes tell the speaker beside it: one writes them into the kernel's table, the other lets BIRD learn them.
//!
//! There is no protocol of ours in between: a relay that is gone takes its TUN, and so its routes, with it. A change of
//! state adds the new route before it removes the old; of several for one prefix the lowest metric counts.
//!
//! | metric | state |
//! |---|---|
//! | the kernel's default: 0 for IPv4, 1024 for IPv6 | to be announced |
//! | [`LEAVING`] | to be announced with GRACEFUL_SHUTDOWN (RFC 8326): routers prefer others |
//! | [`LOCAL`] | not to be announced: packets that still come are forwarded |

/// The table that belongs to a pod's relay: customers' packets never see the pod's own.
pub const TABLE: u32 = 4646;

/// The kernel's number for who wrote a route (`rtm_protocol`).
pub const PROTOCOL: u8 = 97;

/// The metric of routes that are announced with GRACEFUL_SHUTDOWN.
pub const LEAVING: u32 = 8326;

/// The metric of routes that are not announced. Lower than [`LEAVING`]: it takes effect as soon as it is there.
pub const LOCAL: u32 = 7597;
