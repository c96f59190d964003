//! Reading the manifests: the one way in for every command.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use crds::manifest::{self, Error, Loaded};

use crate::failure::Failure;

/// The fleet that the manifests describe; or every error in them, each on a line of standard error.
pub(crate) fn load(files: &[PathBuf]) -> Result<Loaded, Failure> {
    manifest::load(files).map_err(|errors| report(&errors))
}

/// Prints the errors.
pub(crate) fn report(errors: &[Error]) -> Failure {
    let mut stderr = io::stderr().lock();
    for error in errors {
        let _ = writeln!(stderr, "{error}");
    }
    Failure::Manifests { count: errors.len() }
}
