//! What is wrong with a configuration, and what was left out of it.

use crds::manifest::Error;

use super::{Imported, Warning};

pub(super) struct Report {
    pub(super) file: String,
    errors: Vec<Error>,
    warnings: Vec<Warning>,
}

impl Report {
    pub(super) fn new(file: &str) -> Self {
        Self { file: file.to_string(), errors: Vec::new(), warnings: Vec::new() }
    }

    /// Says that `what`, on `line`, cannot be carried over.
    pub(super) fn refuse(&mut self, line: impl Into<Option<usize>>, what: &str, why: impl Into<String>) {
        let (file, field) = (self.file.clone().into(), what.to_string());
        self.errors.push(Error { file, line: line.into(), field, message: why.into() });
    }

    pub(super) fn warn(&mut self, line: usize, message: String) {
        self.warnings.push(Warning { file: self.file.clone(), line, message });
    }

    pub(super) fn is_clean(&self) -> bool {
        self.errors.is_empty()
    }

    /// All of it in the order of the lines.
    pub(super) fn finish(mut self, manifests: String) -> Imported {
        self.warnings.sort_by_key(|warning| warning.line);
        self.errors.sort_by_key(|error| error.line);
        let manifests = if self.is_clean() { Ok(manifests) } else { Err(self.errors) };
        Imported { warnings: self.warnings, manifests }
    }
}
