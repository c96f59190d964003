//! Random datagrams: who sends what to whom, and through which headers.

use proptest::{collection::vec, prelude::*, sample::Index};

#[derive(Debug, Clone)]
pub(crate) struct Datagram {
    pub(crate) source: End,
    pub(crate) destination: End,
    pub(crate) transport: Transport,
    /// Of the transport header and what it carries, at most.
    pub(crate) length: usize,
    pub(crate) tos: u8,
    pub(crate) ttl: u8,
    pub(crate) identification: u16,
    pub(crate) dont_fragment: bool,
    pub(crate) options: Vec<u8>,
    /// Where its payload is cut, if it is.
    pub(crate) cuts: Vec<Index>,
    /// For what is sent by a CE.
    pub(crate) tunnel: Tunnel,
}

/// An address and a port.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// In a rule.
    Ce {
        rule: Index,
        host: u32,
        port: u16,
    },
    Internet {
        host: u8,
        port: u16,
    },
    Martian(u8),
}

#[derive(Debug, Clone)]
pub(crate) enum Transport {
    /// TCP with its flags and options.
    Tcp {
        flags: u8,
        options: Vec<u8>,
    },
    /// Anything with two ports in front.
    Ports(u8),
    /// Any ICMP type that is no error.
    Query(u8),
    Error {
        kind: u8,
        quoted: usize,
        protocol: u8,
        stranger: bool,
        later: bool,
        sound: bool,
    },
    /// A protocol without ports.
    Other(u8),
}

#[derive(Debug, Clone)]
pub(crate) struct Tunnel {
    pub(crate) traffic_class: u8,
    /// Headers that every fragment has, and those that are cut with the payload.
    pub(crate) before: Vec<Header>,
    pub(crate) behind: Vec<Header>,
    pub(crate) spoof: Spoof,
    /// The last next header, if it is not IPv4.
    pub(crate) next: Option<u8>,
    pub(crate) cuts: Vec<Index>,
    /// Bytes of the payload behind the packet in it.
    pub(crate) slack: usize,
}

#[derive(Debug, Clone)]
pub(crate) enum Header {
    HopByHop(Vec<u8>),
    Destination(Vec<u8>),
    Routing { left: u8 },
    Atomic,
}

/// What is wrong with the tunnel's ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Spoof {
    Nothing,
    /// A bit of the source is another.
    Bit(u8),
    /// The source is a BR address.
    FromRelay,
    /// The source is a multicast address.
    Multicast,
    /// The destination is another BR address.
    OtherRelay(Index),
    /// The destination is no BR address.
    Stranger,
}

pub(crate) fn datagram() -> impl Strategy<Value = Datagram> {
    let ends = prop_oneof![
        8 => (ce(), internet()),
        8 => (internet(), ce()),
        5 => (ce(), ce()),
        1 => (internet(), internet()),
        1 => (any::<u8>().prop_map(End::Martian).boxed(), ce()),
    ];
    let length = prop_oneof![
        30 => 0..120usize,
        30 => 1180..1240usize,
        20 => 1400..1480usize,
        20 => 0..4000usize,
        10 => 0..9000usize,
        1 => 65_450..65_520usize,
    ];
    let ttl = prop_oneof![12 => Just(64u8), 2 => 0..3u8, 1 => any::<u8>()];
    let fields = (any::<u8>(), ttl, 0..4u16, any::<bool>());
    (ends, transport(), length, fields, options(), cuts(), tunnel()).prop_map(
        |((source, destination), transport, length, fields, options, cuts, tunnel)| {
            let (tos, ttl, identification, dont_fragment) = fields;
            Datagram {
                source,
                destination,
                transport,
                length,
                tos,
                ttl,
                identification,
                dont_fragment,
                options,
                cuts,
                tunnel,
            }
        },
    )
}

fn ce() -> BoxedStrategy<End> {
    let port = prop_oneof![1 => 0..2048u16, 4 => any::<u16>()];
    (any::<Index>(), any::<u32>(), port).prop_map(|(rule, host, port)| End::Ce { rule, host, port }).boxed()
}

fn internet() -> BoxedStrategy<End> {
    (0..4u8, any::<u16>()).prop_map(|(host, port)| End::Internet { host, port }).boxed()
}

/// Where a payload is cut: in up to four parts.
fn cuts() -> impl Strategy<Value = Vec<Index>> {
    vec(any::<Index>(), 1..4)
}

fn transport() -> impl Strategy<Value = Transport> {
    let flags = prop::sample::select(vec![0x02u8, 0x12, 0x10, 0x18]);
    let tcp = (flags, tcp_options()).prop_map(|(flags, options)| Transport::Tcp { flags, options });
    let kind = prop::sample::select(vec![3u8, 4, 5, 11, 12]);
    let protocol = prop::sample::select(vec![6u8, 17, 1, 47, 132]);
    let quoted = prop_oneof![3 => 28..560usize, 1 => 0..28usize];
    let flags = (prop::bool::weighted(0.15), prop::bool::weighted(0.1), prop::bool::weighted(0.9));
    let error = (kind, quoted, protocol, flags).prop_map(|(kind, quoted, protocol, (stranger, later, sound))| {
        Transport::Error { kind, quoted, protocol, stranger, later, sound }
    });
    let query = prop_oneof![4 => prop::sample::select(vec![0u8, 8, 13, 18]), 1 => any::<u8>()];
    prop_oneof![
        6 => tcp,
        6 => prop::sample::select(vec![17u8, 17, 136, 132, 33]).prop_map(Transport::Ports),
        3 => query.prop_map(Transport::Query),
        3 => error,
        1 => prop::sample::select(vec![47u8, 50, 4, 0]).prop_map(Transport::Other),
    ]
}

fn tcp_options() -> impl Strategy<Value = Vec<u8>> {
    let mss = (any::<bool>(), any::<bool>(), any::<u16>()).prop_map(|(odd, again, value)| {
        let [high, low] = value.to_be_bytes();
        let before = if odd { vec![1] } else { vec![] };
        let behind = if again { vec![2, 4, 0xff, 0xff] } else { vec![] };
        [before, vec![2, 4, high, low], behind].concat()
    });
    prop_oneof![5 => mss, 2 => Just(vec![]), 1 => vec(0..6u8, 0..12)]
}

/// IPv4 options: well-formed ones, copied and not, or noise.
fn options() -> impl Strategy<Value = Vec<u8>> {
    let option = prop_oneof![
        Just(vec![1]),
        Just(vec![0x44, 4, 5, 0]),
        Just(vec![0x82, 3, 9]),
        Just(vec![0x94, 4, 0, 0]),
        Just(vec![7, 7, 4, 0, 0, 0, 0]),
        Just(vec![0]),
    ];
    let sound = vec(option, 0..5).prop_map(|options| options.concat());
    prop_oneof![12 => Just(vec![]), 3 => sound, 1 => vec(any::<u8>(), 0..36)]
}

fn tunnel() -> impl Strategy<Value = Tunnel> {
    // ECN: mostly what a CE that copies it would send.
    let traffic_class = any::<u8>();
    let before = prop_oneof![6 => Just(vec![]), 1 => vec(header(), 1..3)];
    let behind = prop_oneof![12 => Just(vec![]), 1 => vec(header(), 1..3)];
    let next = prop_oneof![20 => Just(None), 1 => any::<u8>().prop_map(Some)];
    let slack = prop_oneof![6 => Just(0), 1 => 1..40usize];
    (traffic_class, before, behind, spoof(), next, cuts(), slack).prop_map(
        |(traffic_class, before, behind, spoof, next, cuts, slack)| Tunnel {
            traffic_class,
            before,
            behind,
            spoof,
            next,
            cuts,
            slack,
        },
    )
}

fn header() -> impl Strategy<Value = Header> {
    prop_oneof![
        3 => header_options().prop_map(Header::HopByHop),
        4 => header_options().prop_map(Header::Destination),
        1 => prop_oneof![3 => Just(0u8), 1 => any::<u8>()].prop_map(|left| Header::Routing { left }),
        2 => Just(Header::Atomic),
    ]
}

fn header_options() -> impl Strategy<Value = Vec<u8>> {
    let option = prop_oneof![
        6 => Just(vec![0]),
        6 => Just(vec![1, 2, 0, 0]),
        6 => Just(vec![4, 1, 0]),
        1 => Just(vec![0x1e, 1, 7]),
        1 => (prop::sample::select(vec![0x40u8, 0x85, 0xc5]), Just(2u8)).prop_map(|(kind, length)| vec![kind, length, 0, 0]),
        1 => vec(any::<u8>(), 0..4),
    ];
    vec(option, 0..4).prop_map(|options| options.concat())
}

fn spoof() -> impl Strategy<Value = Spoof> {
    prop_oneof![
        16 => Just(Spoof::Nothing),
        2 => (0..128u8).prop_map(Spoof::Bit),
        1 => Just(Spoof::FromRelay),
        1 => Just(Spoof::Multicast),
        1 => any::<Index>().prop_map(Spoof::OtherRelay),
        1 => Just(Spoof::Stranger),
    ]
}
