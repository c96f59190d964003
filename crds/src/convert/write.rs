//! The way back: a config as the `MapDomain` that says the same.

use kube::core::ObjectMeta;
use mape::{DomainConfig, RuleConfig, options};

use crate::{
    MapDomain, MapDomainSpec,
    map_domain::{
        Advertise, Answer, Dscp, DscpFromCe, DscpWord, Fragmentation, Icmp, MapRule, MssWord, Mtu, Reassembly,
        ReassemblyV4, SourceCheck, Toggle, Version, WordOrNumber, default_relay_refs,
    },
};

/// What a config does not hold (fleets, communities, local preference) is left at its default.
impl From<&DomainConfig> for MapDomain {
    fn from(config: &DomainConfig) -> Self {
        let created = (config.created != 0).then(|| jiff::Timestamp::from_second(config.created).ok()).flatten();
        let metadata = ObjectMeta {
            name: Some(config.name.name.clone()),
            namespace: Some(config.name.namespace.clone()),
            creation_timestamp: created.map(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time),
            ..ObjectMeta::default()
        };
        Self { metadata, spec: config.into(), status: None }
    }
}

impl From<&DomainConfig> for MapDomainSpec {
    fn from(config: &DomainConfig) -> Self {
        let options = &config.options;
        Self {
            relay_refs: default_relay_refs(),
            softwire_address: config.softwire_address.to_string(),
            version: match config.version {
                mape::Version::Rfc7597 => Version::Rfc7597,
                mape::Version::Draft03 => Version::Draft03,
            },
            rules: config.rules.iter().map(MapRule::from).collect(),
            mtu: Mtu { v6: options.mtu.v6.into() },
            fragmentation: match options.fragmentation {
                options::Fragmentation::Inner => Fragmentation::Inner,
                options::Fragmentation::Outer => Fragmentation::Outer,
            },
            reassembly: options.reassembly.into(),
            tcp_mss_clamp: match options.tcp_mss_clamp {
                options::MssClamp::Auto => WordOrNumber::Word(MssWord::Auto),
                options::MssClamp::Disabled => WordOrNumber::Word(MssWord::Disabled),
                options::MssClamp::Limit(bytes) => WordOrNumber::Number(bytes.into()),
            },
            dscp: options.dscp.into(),
            source_check: match options.source_check {
                options::SourceCheck::Strict => SourceCheck::Strict,
                options::SourceCheck::Prefix => SourceCheck::Prefix,
            },
            hairpin: options.hairpin.into(),
            icmp: options.icmp.into(),
            advertise: (&options.advertise).into(),
        }
    }
}

impl From<&RuleConfig> for MapRule {
    fn from(rule: &RuleConfig) -> Self {
        Self {
            name: rule.name.clone(),
            ipv4_prefix: rule.ipv4_prefix.to_string(),
            mape_prefix: rule.mape_prefix.to_string(),
            ea_bits_length: rule.ea_bits_length.into(),
            psid_offset: rule.psid_offset.into(),
            psid_length: rule.psid_length.map(i64::from),
            psid: rule.psid.map(i64::from),
        }
    }
}

impl From<options::Reassembly> for Reassembly {
    fn from(reassembly: options::Reassembly) -> Self {
        Self {
            v4: match reassembly.v4 {
                options::ReassemblyV4::Disabled => ReassemblyV4::Disabled,
                options::ReassemblyV4::Virtual => ReassemblyV4::Virtual,
                options::ReassemblyV4::Full => ReassemblyV4::Full,
            },
            v6: reassembly.v6.into(),
            timeout_seconds: reassembly.timeout_seconds.into(),
            max_datagrams: reassembly.max_datagrams.into(),
        }
    }
}

impl From<options::Dscp> for Dscp {
    fn from(dscp: options::Dscp) -> Self {
        Self {
            to_ce: match dscp.to_ce {
                options::DscpToCe::Copy => WordOrNumber::Word(DscpWord::Copy),
                options::DscpToCe::Fixed(dscp) => WordOrNumber::Number(dscp.into()),
            },
            from_ce: match dscp.from_ce {
                options::DscpFromCe::Keep => DscpFromCe::Keep,
                options::DscpFromCe::Copy => DscpFromCe::Copy,
            },
        }
    }
}

impl From<options::Icmp> for Icmp {
    fn from(icmp: options::Icmp) -> Self {
        Self {
            errors_per_second: icmp.errors_per_second.into(),
            echo: icmp.echo.into(),
            echo_per_second: icmp.echo_per_second.into(),
            source_check_errors: icmp.source_check_errors.into(),
            ipv4_source: icmp.ipv4_source.map(|address| address.to_string()),
        }
    }
}

impl From<&options::Advertise> for Advertise {
    fn from(advertise: &options::Advertise) -> Self {
        Self {
            auto_route: advertise.auto_route.into(),
            mape_prefixes: advertise.mape_prefixes.into(),
            ipv4_aggregates: advertise.ipv4_aggregates.iter().map(ToString::to_string).collect(),
            ..Self::default()
        }
    }
}

impl From<options::Toggle> for Toggle {
    fn from(toggle: options::Toggle) -> Self {
        match toggle {
            options::Toggle::Enabled => Self::Enabled,
            options::Toggle::Disabled => Self::Disabled,
        }
    }
}

impl From<options::Answer> for Answer {
    fn from(answer: options::Answer) -> Self {
        match answer {
            options::Answer::Answer => Self::Answer,
            options::Answer::Silent => Self::Silent,
        }
    }
}
