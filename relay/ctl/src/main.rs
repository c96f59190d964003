//! Culvert on the command line.

fn main() {}
