//! One variable, and what it means.

use std::{str::FromStr, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use tonic::metadata::MetadataMap;

/// What keeps a program from sending as it is told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A variable means nothing.
    #[error("{variable}={value}: {why}")]
    Variable {
        /// Which one.
        variable: String,
        /// What it says.
        value: String,
        /// What is wrong with that.
        why: String,
    },
    /// The system has no threads left.
    #[error("no threads for traces and metrics: {0}")]
    Threads(std::io::Error),
}

/// A variable that is set.
pub(crate) struct Setting<'v> {
    pub(crate) variable: String,
    pub(crate) value: &'v str,
}

impl Setting<'_> {
    pub(crate) fn parse<T: FromStr<Err = String>>(self) -> Result<T, Error> {
        self.value.parse().map_err(|why: String| self.wrong(&why))
    }

    pub(crate) fn milliseconds(self) -> Result<Duration, Error> {
        match self.value.parse() {
            Ok(milliseconds @ 1..) => Ok(Duration::from_millis(milliseconds)),
            _ => Err(self.wrong("not a number of milliseconds")),
        }
    }

    /// `name=value,...`, percent-encoded. Values are secrets: no error repeats them.
    pub(crate) fn headers(self) -> Result<MetadataMap, Error> {
        let mut headers = HeaderMap::new();
        for header in self.value.split(',').filter(|header| !header.trim().is_empty()) {
            let (name, value) = header_of(header).ok_or_else(|| Error::Variable {
                variable: self.variable.clone(),
                value: "...".to_owned(),
                why: "not a list like `name=value,name=value`, percent-encoded".to_owned(),
            })?;
            headers.append(name, value);
        }
        Ok(MetadataMap::from_headers(headers))
    }

    pub(crate) fn wrong(self, why: &str) -> Error {
        Error::Variable { variable: self.variable, value: self.value.to_owned(), why: why.to_owned() }
    }
}

fn header_of(text: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = text.split_once('=')?;
    let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
    Some((name.trim().parse().ok()?, value.parse().ok()?))
}
