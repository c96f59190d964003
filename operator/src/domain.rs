//! A `MapDomain`: its status. What is done about it is done by the fleets that it names; here it is told how far they are.

pub mod report;
