//! `culvert-operator`.

fn main() {}
