//! What a line asks. Every mistake is a sentence that names the field.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use mape::Ipv6Net;
use serde::Deserialize;
use serde_json::Value;

use crate::map::question;

/// One line, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Query {
    /// Who owns this address and port?
    ToCe { ipv4: Ipv4Addr, port: Option<u16> },
    /// Would a packet from this CE address, to this BR address, with this inner source pass?
    Source { ipv6: Ipv6Addr, br: Option<Ipv6Addr>, ipv4: Ipv4Addr, port: Option<u16> },
    /// What was the CE with this prefix given?
    Assigned(Ipv6Net),
    /// Which ports has this PSID?
    Ports { rule: String, domain: Option<String>, psid: Option<u16> },
}

/// The fields as they stand there; null is as good as absent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    ipv4: Option<Value>,
    port: Option<Value>,
    ipv6: Option<Value>,
    br: Option<Value>,
    prefix: Option<Value>,
    rule: Option<Value>,
    psid: Option<Value>,
    domain: Option<Value>,
}

impl Query {
    pub(super) fn parse(line: &[u8]) -> Result<Self, String> {
        let line = line.trim_ascii();
        if line.is_empty() {
            return Err("an empty line asks nothing".to_string());
        }
        if line[0] != b'{' {
            return Err(r#"a query is a JSON object, such as {"ipv4":"67.91.205.2","port":6600}"#.to_string());
        }
        let fields: Fields = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        fields.query()
    }
}

impl Fields {
    fn query(self) -> Result<Query, String> {
        let Self { ipv4, port, ipv6, br, prefix, rule, psid, domain } = self;
        if let Some(rule) = rule {
            unused("rule", [("ipv4", &ipv4), ("port", &port), ("ipv6", &ipv6), ("br", &br), ("prefix", &prefix)])?;
            let rule = text("rule", &rule)?.to_string();
            let domain = domain.map(|domain| text("domain", &domain).map(String::from)).transpose()?;
            return Ok(Query::Ports { rule, domain, psid: psid.map(|psid| number("psid", &psid)).transpose()? });
        }
        if let Some(prefix) = prefix {
            let others = [("ipv4", &ipv4), ("port", &port), ("ipv6", &ipv6), ("br", &br), ("psid", &psid)];
            unused("prefix", others)?;
            unused("prefix", [("domain", &domain)])?;
            let found = text("prefix", &prefix)?;
            let read = question::prefix(found).ok_or_else(|| misread("prefix", &prefix, "an IPv6 prefix or address"));
            return read.map(Query::Assigned);
        }
        let Some(ipv4) = ipv4 else {
            return Err(missing(ipv6.is_some()));
        };
        unused("ipv4", [("psid", &psid), ("domain", &domain)])?;
        let ipv4 = address("ipv4", &ipv4, "an IPv4 address")?;
        let port = port.map(|port| number("port", &port)).transpose()?;
        let Some(ipv6) = ipv6 else {
            unused("ipv4", [("br", &br)])?;
            return Ok(Query::ToCe { ipv4, port });
        };
        let ipv6 = address("ipv6", &ipv6, "an IPv6 address")?;
        let br = br.map(|br| address("br", &br, "an IPv6 address")).transpose()?;
        Ok(Query::Source { ipv6, br, ipv4, port })
    }
}

fn missing(has_ipv6: bool) -> String {
    if has_ipv6 {
        "ipv4: missing; a source is checked by its inner address too".to_string()
    } else {
        "nothing is asked: give ipv4, prefix or rule".to_string()
    }
}

/// Refuses fields that mean nothing beside `kind`: more likely a mistake than a wish.
fn unused<const N: usize>(kind: &str, fields: [(&str, &Option<Value>); N]) -> Result<(), String> {
    match fields.iter().find(|(_, value)| value.is_some()) {
        Some((name, _)) => Err(format!("{name}: has no meaning beside `{kind}`")),
        None => Ok(()),
    }
}

fn text<'v>(field: &str, value: &'v Value) -> Result<&'v str, String> {
    value.as_str().ok_or_else(|| misread(field, value, "a string"))
}

fn address<A: FromStr>(field: &str, value: &Value, wanted: &str) -> Result<A, String> {
    text(field, value)?.parse().map_err(|_| misread(field, value, wanted))
}

fn number(field: &str, value: &Value) -> Result<u16, String> {
    let number = value.as_u64().and_then(|number| u16::try_from(number).ok());
    number.ok_or_else(|| misread(field, value, "a number from 0 to 65535"))
}

fn misread(field: &str, value: &Value, wanted: &str) -> String {
    format!("{field}: found {value}, allowed {wanted}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Query, String> {
        Query::parse(line.as_bytes())
    }

    #[test]
    fn every_kind_of_query_is_read() {
        let ipv4 = Ipv4Addr::new(67, 91, 205, 2);
        let ipv6 = "2001:db8::1".parse().unwrap();
        let cases = [
            (r#"{"ipv4":"67.91.205.2","port":6600}"#, Query::ToCe { ipv4, port: Some(6600) }),
            (r#" {"port":null,"ipv4":"67.91.205.2"} "#, Query::ToCe { ipv4, port: None }),
            (
                r#"{"ipv6":"2001:db8::1","ipv4":"67.91.205.2","port":1,"br":"2001:db8::1"}"#,
                Query::Source { ipv6, br: Some(ipv6), ipv4, port: Some(1) },
            ),
            (r#"{"prefix":"2001:db8::/56"}"#, Query::Assigned("2001:db8::/56".parse().unwrap())),
            (r#"{"prefix":"2001:db8::1"}"#, Query::Assigned("2001:db8::1/128".parse().unwrap())),
            (r#"{"rule":"r1","psid":52}"#, Query::Ports { rule: "r1".into(), domain: None, psid: Some(52) }),
            (
                r#"{"rule":"r1","psid":null,"domain":"a"}"#,
                Query::Ports { rule: "r1".into(), domain: Some("a".into()), psid: None },
            ),
        ];
        for (line, query) in cases {
            assert_eq!(parse(line), Ok(query), "{line}");
        }
    }

    #[test]
    fn every_mistake_names_its_field() {
        let cases = [
            ("", "an empty line asks nothing"),
            ("5", "a query is a JSON object"),
            (r#"["67.91.205.2",5]"#, "a query is a JSON object"),
            ("{", "EOF while parsing"),
            ("{} {}", "trailing characters"),
            ("{}", "nothing is asked: give ipv4, prefix or rule"),
            (r#"{"ipv4":"67.91.205.2","prot":1}"#, "unknown field `prot`"),
            (r#"{"ipv4":"67.91.205.2","ipv4":"67.91.205.2"}"#, "duplicate field `ipv4`"),
            (r#"{"ipv4":"67.91.205.2","port":65536}"#, "port: found 65536, allowed a number from 0 to 65535"),
            (r#"{"ipv4":"67.91.205.2","port":-1}"#, "port: found -1,"),
            (r#"{"ipv4":"67.91.205.2","port":"80"}"#, "port: found \"80\","),
            (r#"{"ipv4":"67.91.205.2","port":80.5}"#, "port: found 80.5,"),
            (r#"{"ipv4":"67.91.205","port":80}"#, "ipv4: found \"67.91.205\", allowed an IPv4 address"),
            (r#"{"ipv4":7,"port":80}"#, "ipv4: found 7, allowed a string"),
            (r#"{"ipv6":"::1","port":80}"#, "ipv4: missing"),
            (r#"{"ipv6":"1.2.3.4","ipv4":"1.2.3.4"}"#, "ipv6: found \"1.2.3.4\", allowed an IPv6 address"),
            (r#"{"prefix":"2001:db8::/129"}"#, "prefix: found"),
            (r#"{"prefix":"2001:db8::/64","port":80}"#, "port: has no meaning beside `prefix`"),
            (r#"{"rule":"r1","psid":70000}"#, "psid: found 70000,"),
            (r#"{"rule":1,"psid":0}"#, "rule: found 1, allowed a string"),
            (r#"{"ipv4":"67.91.205.2","psid":1}"#, "psid: has no meaning beside `ipv4`"),
        ];
        for (line, expected) in cases {
            let error = parse(line).unwrap_err();
            assert!(error.starts_with(expected), "{line}: {error}");
        }
        assert!(Query::parse(b"{\"ipv4\":\"\xff\"}").is_err());
    }
}
