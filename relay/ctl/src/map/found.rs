//! A CE that was found, either way, and how it is shown.

use std::{
    io::{self, Write},
    net::Ipv6Addr,
};

use mape::{Assignment, Domain, Fleet, Ipv4Net, Ipv6Net, Psid, Rule, Target, options::SourceCheck};
use serde::Serialize;

use super::{
    answer::{delegated, port_ranges},
    question::Question,
    refusal::{self, Refused},
};
use crate::text;

/// A CE and all that it has.
pub(crate) struct Found<'f> {
    domain: &'f Domain,
    rule: &'f Rule,
    ipv4: Ipv4Net,
    psid: Option<Psid>,
    end_user_prefix: Ipv6Net,
    ce_address: Ipv6Addr,
    shadowed_by: Option<&'f Rule>,
    asked: Question,
}

impl<'f> Found<'f> {
    pub(crate) fn look_up(fleet: &'f Fleet, asked: Question) -> Result<Self, Refused> {
        match asked {
            Question::ToCe(ipv4, port) => fleet
                .to_ce(ipv4, port)
                .map(|target| Self::target(&target, Ipv4Net::from(ipv4), asked))
                .map_err(|refusal| refusal::to_ce(fleet, ipv4, port, refusal)),
            Question::Assigned(prefix) => fleet
                .assigned(prefix)
                .map(|assignment| Self::assignment(&assignment, asked))
                .map_err(|error| refusal::assigned(fleet, &error)),
        }
    }

    fn target(target: &Target<'f>, asked_for: Ipv4Net, asked: Question) -> Self {
        let Target { domain, rule, psid, end_user_prefix, ce_address } = *target;
        let ipv4 = Ipv4Net::new_assert(asked_for.addr(), rule.delegated_length()).trunc();
        Self { domain, rule, ipv4, psid, end_user_prefix, ce_address, shadowed_by: None, asked }
    }

    fn assignment(assignment: &Assignment<'f>, asked: Question) -> Self {
        let Assignment { domain, rule, ipv4, psid, end_user_prefix, ce_address, shadowed_by } = *assignment;
        Self { domain, rule, ipv4, psid, end_user_prefix, ce_address, shadowed_by, asked }
    }

    pub(crate) fn json(&self) -> impl Serialize {
        Json {
            namespace: &self.domain.name().namespace,
            domain: &self.domain.name().name,
            rule: self.rule.name(),
            ipv4: delegated(self.ipv4),
            psid: self.psid.map(|psid| psid.0),
            prefix: self.end_user_prefix.to_string(),
            ce_address: self.ce_address,
            br_address: self.domain.softwire_address(),
            ports: port_ranges(self.rule, self.psid),
            shadowed_by: self.shadowed_by.map(Rule::name),
        }
    }

    pub(crate) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let rule = self.rule;
        text::pair(out, "domain", self.domain.name())?;
        text::pair(out, "rule", format_args!("{}: {} <-> {}", rule.name(), rule.ipv4_prefix(), rule.mape_prefix()))?;
        let label = if self.ipv4.prefix_len() == 32 { "IPv4 address" } else { "IPv4 prefix" };
        text::pair(out, label, delegated(self.ipv4))?;
        text::pair(out, "PSID", self.psid_text())?;
        text::pair(out, "End-user prefix", self.end_user_prefix)?;
        text::pair(out, "CE address", self.ce_address)?;
        text::pair(out, "BR address", self.domain.softwire_address())?;
        let ports = rule.layout().ports_per_ce();
        let ranges = text::ranges(rule.layout(), self.psid.unwrap_or(Psid(0)));
        text::pair(out, "ports", format_args!("{ports} of 65536"))?;
        text::pair(out, "", ranges)?;
        self.notes().iter().try_for_each(|note| writeln!(out, "\n{note}"))
    }

    fn psid_text(&self) -> String {
        match self.psid {
            Some(Psid(psid)) => format!("{psid} ({psid:#x}) of {}", self.rule.layout().sharing_ratio()),
            None => "none: the address is not shared".to_string(),
        }
    }

    /// What the numbers alone would not tell.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(longer) = self.shadowed_by {
            notes.push(format!(
                "This CE gets no traffic: rule {} has the longer prefix {} and takes it.",
                longer.name(),
                longer.ipv4_prefix()
            ));
        }
        if let Question::Assigned(asked) = self.asked
            && asked.prefix_len() == 128
            && asked.addr() != self.end_user_prefix.addr()
            && asked.addr() != self.ce_address
            && self.domain.options().source_check == SourceCheck::Strict
        {
            notes.push(format!(
                "{} lies in the End-user prefix but is not the CE address: tunnel packets from it are dropped as \
                SpoofedSource (sourceCheck: Strict).",
                asked.addr()
            ));
        }
        notes
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Json<'f> {
    namespace: &'f str,
    domain: &'f str,
    rule: &'f str,
    ipv4: String,
    psid: Option<u16>,
    prefix: String,
    ce_address: Ipv6Addr,
    br_address: Ipv6Addr,
    ports: Vec<[u16; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shadowed_by: Option<&'f str>,
}
