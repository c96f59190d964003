//! What a scalar means where a type is wanted.
//!
//! A plain one is read as both YAML 1.2 and kubectl (YAML 1.1) would; where they differ it is refused, with the advice
//! to write what both read alike.

use serde_json::Value as Json;

use super::{
    schema::Kind,
    tree::{Node, Value},
};

/// Reads `text` as `kind` wants it, or says why it cannot.
pub(super) fn read(kind: &Kind, text: &str, plain: bool) -> Result<Json, String> {
    match kind {
        Kind::Text { words, is_time } => string(text, plain, words, *is_time).map(Json::from),
        Kind::Whole if plain => whole(text).map(Json::from).map_err(|why| wrong(kind, text, why)),
        Kind::Whole => Err(quoted_number(kind, text)),
        Kind::WordOrWhole { words } if words.iter().any(|word| word == text) => Ok(Json::from(text)),
        Kind::WordOrWhole { .. } if plain => whole(text).map(Json::from).map_err(|why| wrong(kind, text, why)),
        Kind::WordOrWhole { .. } => Err(quoted_number(kind, text)),
        Kind::Quantity if plain && whole(text).is_ok() => {
            whole(text).map(Json::from).map_err(|why| wrong(kind, text, why))
        }
        Kind::Quantity => string(text, plain, &[], false).map(Json::from),
        Kind::Bool => match text {
            "true" | "false" if plain => Ok(Json::from(text == "true")),
            _ => Err(wrong(kind, text, None)),
        },
        Kind::Any => Ok(Json::Null),
        Kind::Object(_) | Kind::Map(_) | Kind::List(_) => Err(wrong(kind, text, None)),
    }
}

/// What to say of a list or map where `kind` is wanted.
pub(super) fn wrong_shape(kind: &Kind, node: &Node<'_>) -> String {
    let (found, key) = match &node.value {
        Value::List(_) => ("a list", None),
        Value::Map(entries) => ("an object", entries.first().map(|entry| &*entry.key)),
        Value::Scalar { .. } => ("a value", None),
    };
    let is_address = |key: &str| key.contains(':') && key.bytes().all(|b| b.is_ascii_hexdigit() || b":/".contains(&b));
    let why = if key.is_some_and(is_address) { ": an IPv6 address that ends in `:` needs quotes" } else { "" };
    format!("found {found}, allowed {}{why}", allowed(kind))
}

fn string<'t>(text: &'t str, plain: bool, words: &[String], is_time: bool) -> Result<&'t str, String> {
    let kind = if plain { other_type(text) } else { None };
    if let Some(kind) = kind {
        let allowed = if words.is_empty() { "a string".to_owned() } else { list(words) };
        let advice = if words.is_empty() && !is_null(text) { ": write it in quotes" } else { "" };
        return Err(format!("found {kind}, allowed {allowed}{advice}"));
    }
    if !words.is_empty() && words.iter().all(|word| word != text) {
        return Err(format!("found `{}`, allowed {}", shown(text), list(words)));
    }
    if is_time && text.parse::<jiff::Timestamp>().is_err() {
        return Err(format!("found `{}`, allowed a time such as 2026-01-31T12:00:00Z", shown(text)));
    }
    Ok(text)
}

/// What a plain scalar is, if kubectl or anyone else would not read it as text.
fn other_type(text: &str) -> Option<String> {
    const BOOLEANS: [&str; 8] = ["true", "false", "yes", "no", "on", "off", "y", "n"];
    if is_null(text) {
        return Some("nothing".to_owned());
    }
    if BOOLEANS.iter().any(|word| word.eq_ignore_ascii_case(text)) {
        return Some(format!("the boolean `{text}`"));
    }
    is_number(text).then(|| format!("the number `{}`", shown(text)))
}

/// Whether a plain scalar says nothing.
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') || digits.contains([':', '/']) {
        return false;
    }
    let in_base = |prefix: &str, base: u32| {
        let rest = digits.strip_prefix(prefix).filter(|rest| !rest.is_empty());
        rest.is_some_and(|rest| rest.chars().all(|digit| digit.is_digit(base) || digit == '_'))
    };
    let is_float = digits != "." && digits.replace('_', "").parse::<f64>().is_ok();
    let is_special = [".inf", ".nan"].iter().any(|word| word.eq_ignore_ascii_case(digits));
    is_float || is_special || in_base("0x", 16) || in_base("0o", 8) || in_base("0b", 2)
}

/// A whole number: decimal, or hexadecimal as people write PSIDs.
fn whole(text: &str) -> Result<i64, Option<&'static str>> {
    let digits = text.trim_start_matches(['+', '-']);
    if digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Some("with a zero in front YAML 1.1, and so kubectl, reads it as octal, YAML 1.2 as decimal"));
    }
    if let Some(hex) = text.strip_prefix("0x").filter(|hex| !hex.starts_with(['+', '-'])) {
        return i64::from_str_radix(hex, 16).or(Err(None));
    }
    let is_decimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let too_large = is_decimal.then_some("it does not fit 64 bits");
    text.parse().or(Err(too_large))
}

fn wrong(kind: &Kind, text: &str, why: Option<&str>) -> String {
    let found = if is_null(text) { "nothing".to_owned() } else { format!("`{}`", shown(text)) };
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    format!("found {found}, allowed {}{why}", allowed(kind))
}

fn quoted_number(kind: &Kind, text: &str) -> String {
    let advice = whole(text).ok().map(|_| "leave out the quotes");
    let found = format!("found the string `{}`, allowed {}", shown(text), allowed(kind));
    advice.map(|advice| format!("{found}: {advice}")).unwrap_or(found)
}

fn allowed(kind: &Kind) -> String {
    match kind {
        Kind::Object(_) | Kind::Map(_) => "an object".to_owned(),
        Kind::List(_) => "a list".to_owned(),
        Kind::Text { words, .. } if words.is_empty() => "a string".to_owned(),
        Kind::Text { words, .. } => list(words),
        Kind::Whole => "a whole number".to_owned(),
        Kind::WordOrWhole { words } => format!("{} or a whole number", words.join(", ")),
        Kind::Quantity => "a quantity such as 500m, 2 or 1Gi".to_owned(),
        Kind::Bool => "true or false".to_owned(),
        Kind::Any => "anything".to_owned(),
    }
}

fn list(words: &[String]) -> String {
    match words {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => words.concat(),
    }
}

/// Found text as it may stand in an error: on one line, and no longer than one.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 100;
    let clean = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    let short: String = text.chars().take(LONGEST).map(clean).collect();
    if text.chars().nth(LONGEST).is_some() { format!("{short}...") } else { short }
}
