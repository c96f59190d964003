//! Rates as a table.

use std::io::{self, Write};

use jiff::Timestamp;

use super::rates::{Drop, Rates, Row};
use crate::{cluster::LiveFleet, text};

/// As many reasons as one screen has room for.
const REASONS: usize = 15;

/// Rates as people read them. `first` is written before.
pub(super) fn print(
    out: &mut dyn Write,
    fleet: &LiveFleet,
    at: Timestamp,
    rates: &Rates,
    first: &str,
) -> io::Result<()> {
    let relays = text::count(rates.relays as u64, "relay");
    writeln!(out, "{first}{at:.0}  fleet {}/{}, {relays}, per second", fleet.namespace, fleet.name)?;
    for (relay, why) in &rates.missing {
        writeln!(out, "  without {relay}: {why}")?;
    }
    writeln!(out)?;
    body(out, rates)?;
    writeln!(out)
}

fn body(out: &mut dyn Write, rates: &Rates) -> io::Result<()> {
    let mut rows: Vec<_> = rates.rows.iter().map(|(of, row)| cells(of, row)).collect();
    rows.push(cells("TOTAL", &rates.total()));
    text::table(out, ["", "TO-CE", "BITS", "FROM-CE", "BITS", "DROPPED"], &rows)?;
    if !rates.drops.is_empty() {
        writeln!(out)?;
        let rows: Vec<_> = rates.drops.iter().take(REASONS).map(dropped).collect();
        text::table(out, ["DROPPED", "REASON", "DIRECTION", "OF"], &rows)?;
    }
    if rates.drops.len() > REASONS {
        writeln!(out, "and {} more", rates.drops.len() - REASONS)?;
    }
    Ok(())
}

fn cells(of: &str, row: &Row) -> [String; 6] {
    let numbers = [row.to_ce.packets, row.to_ce.bits, row.from_ce.packets, row.from_ce.bits, row.dropped];
    let [a, b, c, d, e] = numbers.map(short);
    [of.to_owned(), a, b, c, d, e]
}

fn dropped(Drop { of, direction, reason, packets }: &Drop) -> [String; 4] {
    let direction = direction.as_deref().unwrap_or("-");
    [short(*packets), reason.clone(), direction.to_owned(), of.clone()]
}

/// Three digits and a prefix: `0`, `0.5`, `12.3`, `4.56k`, `789M`.
pub(crate) fn short(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    let (mut scaled, mut prefixes) = (number, ["", "k", "M", "G", "T"].into_iter());
    let mut prefix = prefixes.next().unwrap_or_default();
    while scaled >= 999.5 {
        let Some(next) = prefixes.next() else { break };
        (scaled, prefix) = (scaled / 1000.0, next);
    }
    let decimals = if scaled < 9.995 { 2 } else { usize::from(scaled < 99.95) };
    let digits = format!("{scaled:.decimals$}");
    let plain = if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { &digits };
    format!("{plain}{prefix}")
}

#[cfg(test)]
mod tests {
    use super::{super::rates::tests::rates, *};
    use crate::cli::By;

    #[test]
    fn numbers_have_three_digits() {
        let texts = [0.0, 0.5, 12.34, 999.4, 999.6, 4560.0, 789e6, 2e15].map(short);
        assert_eq!(texts, ["0", "0.5", "12.3", "999", "1k", "4.56k", "789M", "2000T"]);
    }

    #[test]
    fn the_screen_says_how_fast_and_what_is_dropped() {
        let mut out = Vec::new();
        body(&mut out, &rates(By::Domain)).unwrap();
        let expected = "        TO-CE  BITS  FROM-CE  BITS  DROPPED
(none)  0      0     0        0     1.25k
isp-a   1.25k  1M    1.25k    1M    125
TOTAL   1.25k  1M    1.25k    1M    1.38k

DROPPED  REASON               DIRECTION  OF
1.25k    NoRule               to_ce      (none)
1k       kernel, at culvert0  -          a
250      kernel, at culvert0  -          b
125      SpoofedSource        from_ce    isp-a
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
