//! BIRD's control socket, as BIRD's own client speaks it: a command a line; an answer of lines that begin with four digits and
//! a `-`, or with a space if the digits are the same, until one whose digits end in a space.

use std::{io, path::Path, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

/// As long as BIRD may take for an answer. It reads a configuration of a million prefixes in half a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// A line of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// What kind of line it is: 0 to 1999 it went well or is data, 8000 and more it did not.
    pub(crate) code: u16,
    pub(crate) text: String,
}

/// Why there is no answer to work with.
#[derive(Debug)]
pub(crate) enum Error {
    /// The socket does not work.
    Away(io::Error),
    /// BIRD says no.
    Refused(String),
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Control {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
}

impl Control {
    /// Connects, and reads BIRD's greeting: its version.
    pub(crate) async fn connect(socket: &Path) -> Result<(Self, String), Error> {
        let (reader, writer) = UnixStream::connect(socket).await?.into_split();
        let mut control = Self { lines: BufReader::new(reader).lines(), writer };
        let greeting = timeout(PATIENCE, control.answer()).await.map_err(io::Error::from)??;
        let version = greeting.iter().find_map(|line| line.text.strip_prefix("BIRD ")).unwrap_or_default();
        Ok((control, version.trim_end_matches(" ready.").to_owned()))
    }

    /// Asks, and reads the answer.
    pub(crate) async fn ask(&mut self, command: &str) -> Result<Vec<Line>, Error> {
        let answer = async {
            self.writer.write_all(format!("{command}\n").as_bytes()).await?;
            self.answer().await
        };
        let lines = timeout(PATIENCE, answer).await.map_err(io::Error::from)??;
        match lines.iter().find(|line| line.code >= 8000) {
            Some(line) => Err(Error::Refused(line.text.clone())),
            None => Ok(lines),
        }
    }

    async fn answer(&mut self) -> Result<Vec<Line>, io::Error> {
        let mut answer: Vec<Line> = Vec::new();
        loop {
            let text = self.lines.next_line().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let before = answer.last().map_or(0, |line| line.code);
            let Some((line, is_last)) = line(&text, before) else { continue };
            answer.push(line);
            if is_last {
                return Ok(answer);
            }
        }
    }
}

/// A line, and whether it is the last; `None` if it belongs to no answer. `before`: the digits of the line before.
fn line(text: &str, before: u16) -> Option<(Line, bool)> {
    if let Some(text) = text.strip_prefix(' ') {
        return Some((Line { code: before, text: text.to_owned() }, false));
    }
    let (code, rest) = text.split_at_checked(4)?;
    let code = code.parse().ok()?;
    let mut rest = rest.chars();
    let is_last = rest.next()? == ' ';
    Some((Line { code, text: rest.as_str().to_owned() }, is_last))
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Away(error)
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Away(error) => write!(f, "BIRD does not answer: {error}"),
            Self::Refused(why) => write!(f, "BIRD says: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_carry_their_code_on_and_end_with_a_space() {
        let of = |text: &str, before| line(text, before).map(|(line, is_last)| (line.code, line.text, is_last));
        assert_eq!(of("1002-peer_tor1 BGP", 2002), Some((1002, "peer_tor1 BGP".to_owned(), false)));
        assert_eq!(of("   Channel ipv4", 1006), Some((1006, "  Channel ipv4".to_owned(), false)));
        assert_eq!(of("0003 Reconfigured", 2), Some((3, "Reconfigured".to_owned(), true)));
        assert_eq!(of("+spontaneous", 0), None);
    }
}
