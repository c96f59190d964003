//! How a packet is put into words on the command line.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddrV4},
    str::FromStr,
};

use clap::{ArgGroup, Args};

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("direction").required(true).args(["to_ce", "from_ce", "hex"]))]
pub(crate) struct PacketArgs {
    /// An IPv4 packet from the Internet to a CE; needs --dst
    #[arg(long, requires = "dst")]
    pub(crate) to_ce: bool,
    /// A tunnel packet from a CE; needs --src
    #[arg(long, requires = "src")]
    pub(crate) from_ce: bool,
    /// Any IP packet, as hex digits; spaces and colons between them are ignored
    #[arg(long, value_name = "BYTES", conflicts_with_all = ["src", "dst", "outer_src", "br", "proto", "size", "df", "ttl"])]
    pub(crate) hex: Option<String>,
    /// IPv4 source; with --from-ce the CE's address and port [default for --to-ce: 198.51.100.10:443]
    #[arg(long, value_name = "ADDRESS[:PORT]")]
    pub(crate) src: Option<Endpoint>,
    /// IPv4 destination; with --to-ce the CE's address and port [default for --from-ce: 198.51.100.10:443]
    #[arg(long, value_name = "ADDRESS[:PORT]")]
    pub(crate) dst: Option<Endpoint>,
    /// IPv6 source of the tunnel packet [default: the address of the CE that owns --src]
    #[arg(long, value_name = "ADDRESS", requires = "from_ce")]
    pub(crate) outer_src: Option<Ipv6Addr>,
    /// IPv6 destination of the tunnel packet [default: the BR address of the domain that owns --src]
    #[arg(long, value_name = "ADDRESS", requires = "from_ce")]
    pub(crate) br: Option<Ipv6Addr>,
    /// udp, tcp, udplite, sctp, dccp, icmp (echo; the port is the identifier) or a protocol number
    #[arg(long, value_name = "PROTOCOL", default_value = "udp")]
    pub(crate) proto: Protocol,
    /// Length of the IPv4 packet in bytes [default: just its headers]
    #[arg(long, value_name = "BYTES")]
    pub(crate) size: Option<u16>,
    /// Set DF: the packet must not be fragmented
    #[arg(long)]
    pub(crate) df: bool,
    /// TTL of the IPv4 packet
    #[arg(long, value_name = "HOPS", default_value_t = 64)]
    pub(crate) ttl: u8,
}

/// An IPv4 address, and a port unless the protocol has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) address: Ipv4Addr,
    pub(crate) port: Option<u16>,
}

impl FromStr for Endpoint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(socket) = text.parse::<SocketAddrV4>() {
            return Ok(Self { address: *socket.ip(), port: Some(socket.port()) });
        }
        let address =
            text.parse().map_err(|_| "expected an IPv4 address, or one with a port, such as 67.91.205.2:6600")?;
        Ok(Self { address, port: None })
    }
}

/// A protocol that IPv4 carries, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Protocol(pub(crate) u8);

impl FromStr for Protocol {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        use engine::wire::protocol::{DCCP, ICMP, SCTP, TCP, UDP, UDP_LITE};
        let number = match text.to_ascii_lowercase().as_str() {
            "udp" => UDP,
            "tcp" => TCP,
            "udplite" | "udp-lite" => UDP_LITE,
            "sctp" => SCTP,
            "dccp" => DCCP,
            "icmp" => ICMP,
            number => {
                number.parse().map_err(|_| "expected udp, tcp, udplite, sctp, dccp, icmp or a number up to 255")?
            }
        };
        Ok(Self(number))
    }
}
