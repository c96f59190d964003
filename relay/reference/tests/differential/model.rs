//! A fleet as the model has it, with what the engine adds where a domain says nothing.

use engine::Defaults;
use mape::{
    Fleet, Version,
    options::{Answer, DscpFromCe, DscpToCe, Fragmentation, ReassemblyV4, SourceCheck, Toggle},
};

/// The same fleet for the model.
pub(crate) fn for_model(fleet: &Fleet) -> Vec<reference::Domain> {
    fleet.domains().iter().map(domain_for_model).collect()
}

fn domain_for_model(domain: &mape::Domain) -> reference::Domain {
    reference::Domain {
        br_address: domain.softwire_address(),
        version: match domain.version() {
            Version::Rfc7597 => reference::Version::Rfc7597,
            Version::Draft03 => reference::Version::Draft03,
        },
        rules: domain.rules().iter().map(rule_for_model).collect(),
        options: options_for_model(domain.options()),
    }
}

fn rule_for_model(rule: &mape::Rule) -> reference::Rule {
    reference::Rule {
        ipv4_prefix: (rule.ipv4_prefix().network(), rule.ipv4_prefix().prefix_len()),
        mape_prefix: (rule.mape_prefix().network(), rule.mape_prefix().prefix_len()),
        ea_bits_length: rule.ea_bits_length(),
        psid_offset: rule.layout().offset(),
        psid_length: rule.layout().length(),
        psid: rule.fixed_psid().map(|psid| psid.0),
    }
}

fn options_for_model(options: &mape::Options) -> reference::Options {
    reference::Options {
        mtu_v6: options.mtu.v6,
        fragmentation: match options.fragmentation {
            Fragmentation::Inner => reference::Fragmentation::Inner,
            Fragmentation::Outer => reference::Fragmentation::Outer,
        },
        reassembly_v4: match options.reassembly.v4 {
            ReassemblyV4::Disabled => reference::ReassemblyV4::Disabled,
            ReassemblyV4::Virtual => reference::ReassemblyV4::Virtual,
            ReassemblyV4::Full => reference::ReassemblyV4::Full,
        },
        reassembly_v6: options.reassembly.v6 == Toggle::Enabled,
        timeout_seconds: options.reassembly.timeout_seconds,
        max_datagrams: options.reassembly.max_datagrams as usize,
        mss_limit: options.tcp_mss_clamp.limit(options.mtu),
        dscp_to_ce: match options.dscp.to_ce {
            DscpToCe::Copy => None,
            DscpToCe::Fixed(dscp) => Some(dscp),
        },
        copies_dscp_from_ce: options.dscp.from_ce == DscpFromCe::Copy,
        checks_whole_source: options.source_check == SourceCheck::Strict,
        hairpin: options.hairpin == Toggle::Enabled,
        errors_per_second: options.icmp.errors_per_second,
        answers_echo: options.icmp.echo == Answer::Answer,
        echo_per_second: options.icmp.echo_per_second,
        answers_source_check: options.icmp.source_check_errors == Answer::Answer,
        ipv4_source: options.icmp.ipv4_source.unwrap_or(Defaults::default().ipv4_source),
    }
}
