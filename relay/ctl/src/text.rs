//! How answers look on a terminal: aligned tables, label and value pairs, lists of port ranges.

use std::{
    fmt::Display,
    io::{self, Write},
};

use mape::{PortLayout, Psid};
use serde::Serialize;

/// Columns as wide as their widest cell, two spaces between them; the last one is not padded.
pub(crate) fn table<const N: usize>(out: &mut dyn Write, head: [&str; N], rows: &[[String; N]]) -> io::Result<()> {
    let mut widths = head.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    line(out, &head.map(String::from), &widths)?;
    rows.iter().try_for_each(|row| line(out, row, &widths))
}

fn line(out: &mut dyn Write, cells: &[String], widths: &[usize]) -> io::Result<()> {
    let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
    let whole: Vec<String> = padded.collect();
    writeln!(out, "{}", whole.join("  ").trim_end())
}

/// A label and what it stands for; labels line up.
pub(crate) fn pair(out: &mut dyn Write, label: &str, value: impl Display) -> io::Result<()> {
    writeln!(out, "{label:<LABEL$}{value}")
}

/// The widest label, `End-user prefix`, and two spaces.
const LABEL: usize = 17;

/// `6592-6607 10688-10703 ..`, broken into lines that stand under each other as a [`pair`]'s value.
pub(crate) fn ranges(layout: PortLayout, psid: Psid) -> String {
    let mut text = String::new();
    let mut room = WIDTH;
    for range in layout.ranges(psid) {
        let item = if range.start() == range.end() {
            range.start().to_string()
        } else {
            format!("{}-{}", range.start(), range.end())
        };
        if text.is_empty() {
            room = WIDTH;
        } else if item.len() < room {
            text.push(' ');
            room -= 1;
        } else {
            text.push('\n');
            text.push_str(&" ".repeat(LABEL));
            room = WIDTH;
        }
        room = room.saturating_sub(item.len());
        text.push_str(&item);
    }
    text
}

/// What is left of 80 columns beside a label.
const WIDTH: usize = 80 - LABEL;

/// One JSON value, for people too.
pub(crate) fn json(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

/// `1 error`, `2 errors`.
pub(crate) fn count(number: impl Into<u64>, noun: &str) -> String {
    match number.into() {
        1 => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    }
}

/// What there is, or a dash where there is nothing.
pub(crate) fn or_dash(value: Option<impl Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// `a`, `a and b`, `a, b and c`; of many, the first few.
pub(crate) fn list(items: impl IntoIterator<Item = String>) -> String {
    let mut items: Vec<String> = items.into_iter().collect();
    if items.len() > LISTED {
        let rest = items.len() - LISTED;
        items.truncate(LISTED);
        items.push(format!("{rest} more"));
    }
    match items.as_slice() {
        [] => "none".to_string(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// As many as a sentence can name and still be read.
const LISTED: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut out = Vec::new();
        let rows = [["a".into(), "1".into()], ["longer".into(), "2".into()]];
        table(&mut out, ["NAME", "N"], &rows).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "NAME    N\na       1\nlonger  2\n");
    }

    #[test]
    fn ranges_stay_within_80_columns() {
        let text = ranges(PortLayout::new(6, 8).unwrap(), Psid(0x34));
        assert!(text.starts_with("1232-1235 2256-2259 "), "{text}");
        assert!(text.lines().enumerate().all(|(at, line)| line.len() <= if at == 0 { WIDTH } else { 80 }), "{text}");
        assert_eq!(ranges(PortLayout::new(0, 16).unwrap(), Psid(7)), "7");
    }

    #[test]
    fn lists_read_as_sentences() {
        let items = |count: usize| list((0..count).map(|item| item.to_string()));
        assert_eq!([items(0), items(1), items(3)], ["none", "0", "0, 1 and 2"]);
        assert_eq!(items(9), "0, 1, 2, 3, 4, 5 and 3 more");
    }
}
