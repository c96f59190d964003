//! The relay as a process, in network namespaces of its own: needs root and iproute2, and fails without them.

mod node;
mod own_table;
mod refusals;
mod reload;
mod run;
