//! What is asked for.

use std::net::IpAddr;

use clap::{Args, Parser, ValueEnum};
use engine::{Direction, DropReason, Outcome};
use ipnet::IpNet;

use crate::Headers;

/// Which packets, how many, and how much of each. All conditions have to hold.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Request {
    /// Only packets that were counted for this domain
    #[arg(long, value_name = "NAME", value_parser = word)]
    pub domain: Option<String>,
    /// Only packets from or to this address or prefix, in the IPv6 or the IPv4 header
    #[arg(long, value_name = "ADDRESS|PREFIX", value_parser = prefix)]
    pub address: Option<IpNet>,
    /// Only packets from or to this port; for ICMP echo the identifier
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// Only packets that went this way
    #[arg(long, value_enum)]
    pub direction: Option<Way>,
    /// Only packets with this verdict
    #[arg(long, value_enum)]
    pub verdict: Option<Verdict>,
    /// Only packets that went no further for this reason, a word such as SpoofedSource
    #[arg(long, value_name = "REASON", value_parser = reason)]
    pub reason: Option<DropReason>,
    /// End after this many packets
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub packets: u32,
    /// End after this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub seconds: u32,
    /// Keep this many bytes of each packet: in 96 the headers have room, and a little of what customers say to each other
    #[arg(long, value_name = "BYTES", default_value_t = 96, value_parser = clap::value_parser!(u32).range(20..=65_535))]
    pub snap_length: u32,
}

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Way {
    /// IPv4 in, IPv6 out.
    ToCe,
    /// IPv6 in, IPv4 out.
    FromCe,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Verdict {
    /// It left.
    Emit,
    /// It went no further.
    Drop,
    /// It waits for other fragments.
    Hold,
    /// It is not for the relay.
    Punt,
}

impl Request {
    /// The flags that say the same; all numbers are written out.
    #[must_use]
    pub fn flags(&self) -> Vec<String> {
        let Self { domain, address, port, direction, verdict, reason, packets, seconds, snap_length } = self;
        let given = [
            ("domain", domain.clone()),
            ("address", address.map(|it| it.to_string())),
            ("port", port.map(|it| it.to_string())),
            ("direction", direction.as_ref().and_then(possible)),
            ("verdict", verdict.as_ref().and_then(possible)),
            ("reason", reason.map(|it| it.to_string())),
            ("packets", Some(packets.to_string())),
            ("seconds", Some(seconds.to_string())),
            ("snap-length", Some(snap_length.to_string())),
        ];
        given.into_iter().filter_map(|(name, value)| Some(format!("--{name}={}", value?))).collect()
    }

    /// What flags say.
    ///
    /// # Errors
    /// Which one says nothing.
    pub fn parse<'f>(flags: impl IntoIterator<Item = &'f str>) -> Result<Self, String> {
        let words = std::iter::once("capture").chain(flags);
        Line::try_parse_from(words).map(|line| line.request).map_err(|error| error.to_string())
    }

    /// Whether a packet may be meant, before anything is known of its fate.
    #[must_use]
    pub fn wants_headers(&self, packet: &[u8]) -> bool {
        if self.address.is_none() && self.port.is_none() {
            return true;
        }
        let headers = Headers::of(packet);
        let has = |net: IpNet| headers.addresses().any(|address| net.contains(&address));
        self.address.is_none_or(has) && self.port.is_none_or(|port| headers.has_port(port))
    }

    /// Whether it is, now that its fate is known; `domain`: the name of the domain it was counted for.
    #[must_use]
    pub fn wants_fate(&self, verdict: &engine::Verdict, domain: Option<&str>) -> bool {
        self.domain.as_deref().is_none_or(|wanted| domain == Some(wanted))
            && self.direction.is_none_or(|wanted| wanted == verdict.direction.into())
            && self.verdict.is_none_or(|wanted| wanted == verdict.outcome.into())
            && self.reason.is_none_or(|wanted| verdict.reason() == Some(wanted))
    }
}

impl From<Direction> for Way {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::ToCe => Self::ToCe,
            Direction::FromCe => Self::FromCe,
        }
    }
}

impl From<Outcome> for Verdict {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Emit | Outcome::Joined => Self::Emit,
            Outcome::Drop { .. } => Self::Drop,
            Outcome::Hold => Self::Hold,
            Outcome::Punt(_) => Self::Punt,
        }
    }
}

impl Verdict {
    /// Its word, as `culvertctl replay` has it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Emit => "emit",
            Self::Drop => "drop",
            Self::Hold => "hold",
            Self::Punt => "punt",
        }
    }
}

/// A command line of nothing but a request.
#[derive(Parser)]
#[command(disable_help_flag = true)]
struct Line {
    #[command(flatten)]
    request: Request,
}

fn possible(value: &impl ValueEnum) -> Option<String> {
    value.to_possible_value().map(|possible| possible.get_name().to_owned())
}

/// An object's name: it travels as a line of text.
fn word(text: &str) -> Result<String, &'static str> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    let sound = (1..=253).contains(&text.len()) && text.bytes().all(plain);
    if sound { Ok(text.to_owned()) } else { Err("expected the name of a MapDomain") }
}

fn prefix(text: &str) -> Result<IpNet, &'static str> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse()
        .or_else(|_| address())
        .map_err(|_| "expected an address or prefix, such as 67.91.205.2 or 2001:db8:ce::/48")
}

fn reason(text: &str) -> Result<DropReason, String> {
    let found = DropReason::ALL.into_iter().find(|reason| reason.word().eq_ignore_ascii_case(text));
    found.ok_or_else(|| format!("expected one of {}", DropReason::ALL.map(DropReason::word).join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_say_what_the_request_says() {
        for text in [
            "--packets=1000 --seconds=60 --snap-length=96",
            "--domain=isp-a --address=67.91.205.0/24 --port=6600 --direction=from-ce --verdict=drop \
             --reason=SpoofedSource --packets=5 --seconds=1 --snap-length=65535",
        ] {
            let flags: Vec<&str> = text.split_whitespace().collect();
            assert_eq!(Request::parse(flags.iter().copied()).unwrap().flags(), flags);
        }
        assert_eq!(Request::parse([]).unwrap().snap_length, 96);
        let address = Request::parse(["--address=2001:db8::1"]).unwrap().address.unwrap();
        assert_eq!(address.to_string(), "2001:db8::1/128");
    }

    #[test]
    fn what_means_nothing_is_refused_by_name() {
        for flag in [
            "--domain=a\nb",
            "--address=here",
            "--port=70000",
            "--direction=up",
            "--verdict=lost",
            "--reason=Boredom",
            "--packets=0",
            "--seconds=3601",
            "--snap-length=65536",
            "--help",
        ] {
            let (name, _) = flag.split_once('=').unwrap_or((flag, ""));
            let error = Request::parse([flag]).unwrap_err();
            assert!(error.contains(name), "{flag:?}: {error}");
        }
    }

    /// UDP from 192.0.2.1:7 to 192.0.2.2:6600.
    const UDP: [u8; 28] =
        [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 0, 7, 0x19, 0xc8, 0, 8, 0, 0];

    #[test]
    fn all_conditions_have_to_hold() {
        let wants = |flags: &str| Request::parse(flags.split_whitespace()).unwrap().wants_headers(&UDP);
        assert!(wants("") && wants("--address=192.0.2.2") && wants("--address=192.0.2.0/24 --port=6600"));
        assert!(!wants("--address=192.0.2.3") && !wants("--address=192.0.2.2 --port=6601"));
    }

    #[test]
    fn a_fate_is_wanted_by_domain_way_verdict_and_reason() {
        let mut dropped = engine::Verdict::default();
        dropped.outcome = Outcome::Drop { reason: DropReason::NoPort, reply: false };
        let wants = |flags: &str| Request::parse(flags.split_whitespace()).unwrap().wants_fate(&dropped, Some("isp-a"));
        assert!(wants("") && wants("--domain=isp-a --direction=to-ce --verdict=drop --reason=noport"));
        for other in ["--domain=isp-b", "--direction=from-ce", "--verdict=emit", "--reason=NoRule"] {
            assert!(!wants(other), "{other}");
        }
    }
}
