//! Where a collector listens.

use std::{fmt, net::IpAddr, str::FromStr};

use http::Uri;

/// `http://HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    uri: Uri,
    port: u16,
}

impl Endpoint {
    /// Its TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether somebody has to be asked where it is.
    #[must_use]
    pub fn is_name(&self) -> bool {
        let host = self.uri.host().unwrap_or_default();
        host.trim_matches(['[', ']']).parse::<IpAddr>().is_err()
    }

    pub(crate) fn uri(&self) -> Uri {
        self.uri.clone()
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|error| format!("{error}; write `http://HOST:PORT`"))?;
        match (uri.scheme_str(), uri.port_u16()) {
            (Some("https"), _) => {
                Err("TLS is not spoken here: send to a collector nearby by http, and let that one speak TLS".to_owned())
            }
            (Some("http"), Some(port)) => Ok(Self { uri, port }),
            (Some("http"), None) => Err("the port is missing: collectors listen on 4317 for gRPC".to_owned()),
            _ => Err("write `http://HOST:PORT`".to_owned()),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.uri.authority().map_or("", |authority| authority.as_str()))
    }
}
