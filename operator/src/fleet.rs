//! A `BorderRelay`: five steps, each in a file of its own.

pub mod build;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod found;
pub mod network;
pub mod report;
pub mod validate;
