//! What a domain says beyond its rules.

use std::net::Ipv4Addr;

use mape::{Ipv4Net, options};

use super::{read::Reader, read_text};
use crate::map_domain::{
    Advertise, Answer, Dscp, DscpFromCe, Fragmentation, Icmp, MapDomainSpec, MssWord, Reassembly, ReassemblyV4,
    SourceCheck, Toggle, WordOrNumber,
};

pub(super) fn options(reader: &mut Reader, spec: &MapDomainSpec) -> options::Options {
    let mtu_why = "IPv6 promises 1280 (RFC 8200 s.5), and the relay carries packets up to 16 KiB";
    options::Options {
        mtu: options::Mtu { v6: reader.number("spec.mtu.v6", spec.mtu.v6, 1280..=16_384, mtu_why) },
        fragmentation: match spec.fragmentation {
            Fragmentation::Inner => options::Fragmentation::Inner,
            Fragmentation::Outer => options::Fragmentation::Outer,
        },
        reassembly: reassembly(reader, &spec.reassembly),
        tcp_mss_clamp: mss_clamp(reader, spec.tcp_mss_clamp),
        dscp: dscp(reader, &spec.dscp),
        source_check: match spec.source_check {
            SourceCheck::Strict => options::SourceCheck::Strict,
            SourceCheck::Prefix => options::SourceCheck::Prefix,
        },
        hairpin: toggle(spec.hairpin),
        icmp: icmp(reader, &spec.icmp),
        advertise: advertise(reader, &spec.advertise),
    }
}

fn reassembly(reader: &mut Reader, written: &Reassembly) -> options::Reassembly {
    let time = "fragments are needed only while their datagram arrives (RFC 8200 s.4.5: 60 s at most)";
    let memory = "memory for incomplete datagrams is bounded, and none at all is `Disabled`";
    options::Reassembly {
        v4: match written.v4 {
            ReassemblyV4::Disabled => options::ReassemblyV4::Disabled,
            ReassemblyV4::Virtual => options::ReassemblyV4::Virtual,
            ReassemblyV4::Full => options::ReassemblyV4::Full,
        },
        v6: toggle(written.v6),
        timeout_seconds: reader.number("spec.reassembly.timeoutSeconds", written.timeout_seconds, 1..=60, time),
        max_datagrams: reader.number("spec.reassembly.maxDatagrams", written.max_datagrams, 1..=1_048_576, memory),
    }
}

fn mss_clamp(reader: &mut Reader, written: WordOrNumber<MssWord>) -> options::MssClamp {
    let why = "the least default is 536 (RFC 9293 s.3.7.1), and the largest tunnel less 80 of headers fits";
    match written {
        WordOrNumber::Word(MssWord::Auto) => options::MssClamp::Auto,
        WordOrNumber::Word(MssWord::Disabled) => options::MssClamp::Disabled,
        WordOrNumber::Number(bytes) => {
            options::MssClamp::Limit(reader.number("spec.tcpMssClamp", bytes, 536..=16_304, why))
        }
    }
}

fn dscp(reader: &mut Reader, written: &Dscp) -> options::Dscp {
    let why = "a DSCP has six bits (RFC 2474 s.3)";
    options::Dscp {
        to_ce: match written.to_ce {
            WordOrNumber::Word(_) => options::DscpToCe::Copy,
            WordOrNumber::Number(dscp) => options::DscpToCe::Fixed(reader.number("spec.dscp.toCE", dscp, 0..=63, why)),
        },
        from_ce: match written.from_ce {
            DscpFromCe::Keep => options::DscpFromCe::Keep,
            DscpFromCe::Copy => options::DscpFromCe::Copy,
        },
    }
}

fn icmp(reader: &mut Reader, written: &Icmp) -> options::Icmp {
    let why = "ICMP is rate-limited (RFC 1812 s.4.3.2.8, RFC 4443 s.2.4)";
    let rates = 0..=1_000_000;
    let source = written.ipv4_source.as_deref();
    options::Icmp {
        errors_per_second: reader.number("spec.icmp.errorsPerSecond", written.errors_per_second, rates.clone(), why),
        echo: answer(written.echo),
        echo_per_second: reader.number("spec.icmp.echoPerSecond", written.echo_per_second, rates, why),
        source_check_errors: answer(written.source_check_errors),
        ipv4_source: source
            .map(|text| reader.parsed("spec.icmp.ipv4Source", text, read_text::ipv4_address, Ipv4Addr::UNSPECIFIED)),
    }
}

/// Communities and local preference are the speaker's alone: checked here, as no relay will.
fn advertise(reader: &mut Reader, written: &Advertise) -> options::Advertise {
    communities(reader, "spec.advertise.communities", &written.communities);
    if let Some(preference) = written.local_preference {
        let why = "it has 32 bits (RFC 4271 s.5.1.5)";
        reader.number::<u32>("spec.advertise.localPreference", preference, 0..=4_294_967_295, why);
    }
    let nobodys = Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0);
    let aggregate = |(at, text): (usize, &String)| {
        reader.parsed(format_args!("spec.advertise.ipv4Aggregates[{at}]"), text, read_text::ipv4_prefix, nobodys)
    };
    options::Advertise {
        auto_route: toggle(written.auto_route),
        mape_prefixes: toggle(written.mape_prefixes),
        ipv4_aggregates: written.ipv4_aggregates.iter().enumerate().map(aggregate).collect(),
    }
}

/// Communities of a domain or a peer.
pub(super) fn communities(reader: &mut Reader, field: &str, written: &[String]) -> Vec<String> {
    if written.len() > 32 {
        let found = format!("{} of them", written.len());
        reader.refuse(field, found, "0 to 32", "one BGP message holds them all");
    }
    for (at, community) in written.iter().enumerate() {
        let path = format!("{field}[{at}]");
        if let Some(first) = written[..at].iter().position(|other| other == community) {
            let why = format!("{field}[{first}] says it already");
            reader.refuse(&path, format_args!("`{community}`"), "each community once", why);
        }
        reader.parsed(path, community, read_text::community, ());
    }
    written.to_vec()
}

pub(super) fn toggle(written: Toggle) -> options::Toggle {
    match written {
        Toggle::Enabled => options::Toggle::Enabled,
        Toggle::Disabled => options::Toggle::Disabled,
    }
}

fn answer(written: Answer) -> options::Answer {
    match written {
        Answer::Answer => options::Answer::Answer,
        Answer::Silent => options::Answer::Silent,
    }
}
