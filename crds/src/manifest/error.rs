//! One thing that is wrong with a file.

use std::{fmt, path::PathBuf};

/// One thing that is wrong with a file. Shown as `FILE:LINE: FIELD: message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1: the field's, or where the object begins if the field is not there.
    /// `None` where the whole file is meant.
    pub line: Option<usize>,
    /// The field's path, `spec.rules[1].psidLength`; empty where no field is meant.
    pub field: String,
    /// What was found, what is allowed and why.
    pub message: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        if !self.field.is_empty() {
            write!(f, " {}:", self.field)?;
        }
        write!(f, " {}", self.message)
    }
}

impl std::error::Error for Error {}
