//! Fragments, both kinds. Packets that do not fit the tunnel are [`cut`]; fragments that arrive find their CE by their first
//! one, or are joined: IPv4 ones inside ([`inner`]), IPv6 ones of tunnel packets ([`outer`]). What waits meanwhile is in
//! each domain's [`store`], which all workers share: queues need not agree on who gets which fragment.

mod cut;
mod inner;
mod join;
mod lists;
mod outer;
mod store;
mod waiting;

pub(crate) use cut::{cut, cut_own};
pub(crate) use inner::{Fragment, Known, Stage, Step, place};
pub(crate) use outer::join_outer;
pub(crate) use store::{Keyed, Limits, Losses, Store};
pub(crate) use waiting::Waiting;
