//! The border relay daemon.

fn main() {}
