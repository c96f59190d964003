//! Whose revisions are taken.

use std::{fmt, str::FromStr};

/// A `BorderRelay`, by namespace and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for FleetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl FromStr for FleetName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_label = |label: &str| {
            let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
            (1..=253).contains(&label.len()) && label.bytes().all(inner)
        };
        match text.split_once('/') {
            Some((namespace, name)) if is_label(namespace) && is_label(name) => {
                Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            _ => Err("NAMESPACE/NAME of a BorderRelay".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fleets_are_named_with_their_namespace() {
        assert_eq!("isps/default".parse::<FleetName>().unwrap().to_string(), "isps/default");
        for bad in ["default", "a/", "A/b", "a/b/c"] {
            assert!(bad.parse::<FleetName>().is_err(), "{bad}");
        }
    }
}
