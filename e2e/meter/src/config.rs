//! Which flows there are.

use std::{net::SocketAddrV4, path::PathBuf};

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Config {
    /// Datagrams a second, in each direction, of all flows together.
    pub(crate) datagrams_per_second: u32,
    /// Records a second, in each direction, of each TCP connection.
    pub(crate) records_per_second: u32,
    pub(crate) flows: Vec<FlowConfig>,
}

/// A customer's socket and an Internet host's. The customer's may be known outside by another address.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FlowConfig {
    pub(crate) kind: Kind,
    /// What reports call the customer: `ce1`.
    pub(crate) customer: String,
    pub(crate) customer_namespace: PathBuf,
    pub(crate) customer_port: u16,
    /// The customer as the Internet sees it.
    pub(crate) public: SocketAddrV4,
    pub(crate) internet_namespace: PathBuf,
    pub(crate) internet: SocketAddrV4,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    #[serde(rename = "UDP")]
    Udp,
    /// TCP that the customer opens.
    #[serde(rename = "TCPOut")]
    TcpOut,
    /// TCP that the Internet opens.
    #[serde(rename = "TCPIn")]
    TcpIn,
}
