//! How a capture travels by a stream: flags to the relay, a line each and an empty one behind; frames back.

use std::io::{self, BufRead, Read, Write};

use crate::Request;

/// As long as a request may be.
const LONGEST_REQUEST: u64 = 4096;

/// As long as a frame may be: a packet with its comment, and more.
const LONGEST: u32 = 1 << 20;

/// A part of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The next bytes of the pcapng.
    Bytes(Vec<u8>),
    /// The end, and why, in a sentence.
    End(String),
    /// There is no capture, and why.
    Refused(String),
}

/// Asks.
///
/// # Errors
/// What the stream says.
pub fn ask(out: &mut impl Write, request: &Request) -> io::Result<()> {
    out.write_all((request.flags().join("\n") + "\n\n").as_bytes())?;
    out.flush()
}

/// Reads what is asked.
///
/// # Errors
/// What the stream says; [`io::ErrorKind::InvalidData`] for a request that means nothing.
pub fn asked(input: impl Read) -> io::Result<Request> {
    let mut flags = Vec::new();
    for line in io::BufReader::new(input.take(LONGEST_REQUEST)).lines() {
        let line = line?;
        if line.is_empty() {
            let request = Request::parse(flags.iter().map(String::as_str));
            return request.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error));
        }
        flags.push(line);
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "the request has no end"))
}

impl Frame {
    /// Writes it.
    ///
    /// # Errors
    /// What the stream says.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let (kind, bytes) = match self {
            Self::Bytes(bytes) => (b'p', &bytes[..]),
            Self::End(why) => (b'e', why.as_bytes()),
            Self::Refused(why) => (b'r', why.as_bytes()),
        };
        out.write_all(&[kind])?;
        out.write_all(&(bytes.len() as u32).to_le_bytes())?;
        out.write_all(bytes)
    }

    /// Reads the next one.
    ///
    /// # Errors
    /// What the stream says; it ends with a frame that is [`Frame::End`] or [`Frame::Refused`], or too early.
    pub fn read(input: &mut impl Read) -> io::Result<Self> {
        let (mut kind, mut length) = ([0], [0; 4]);
        input.read_exact(&mut kind)?;
        input.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length);
        let wrong = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        if length > LONGEST {
            return Err(wrong(format!("a frame of {length} bytes")));
        }
        let mut bytes = vec![0; length as usize];
        input.read_exact(&mut bytes)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match kind {
            [b'p'] => Ok(Self::Bytes(bytes)),
            [b'e'] => Ok(Self::End(text(&bytes))),
            [b'r'] => Ok(Self::Refused(text(&bytes))),
            [other] => Err(wrong(format!("a frame of kind {other}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let frames = [Frame::Bytes(vec![1, 2, 3]), Frame::Refused("no".into()), Frame::End("it is over".into())];
        let mut stream = Vec::new();
        frames.iter().for_each(|frame| frame.write(&mut stream).unwrap());
        let mut input = &stream[..];
        for frame in frames {
            assert_eq!(Frame::read(&mut input).unwrap(), frame);
        }
        assert_eq!(Frame::read(&mut input).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert!(Frame::read(&mut &b"p\xff\xff\xff\xff"[..]).is_err());
    }

    #[test]
    fn a_request_has_an_end() {
        let request = Request::parse(["--port=7"]).unwrap();
        let mut stream = Vec::new();
        ask(&mut stream, &request).unwrap();
        assert_eq!(asked(&stream[..]).unwrap(), request);
        assert!(asked(&b"--port=7\n"[..]).is_err());
        assert!(asked(&b"--port=x\n\n"[..]).unwrap_err().to_string().contains("--port"));
        assert!(asked(&vec![b'a'; 10_000][..]).is_err());
    }
}
