//! BIRD: as a process, by its control socket, and what it says.

pub(crate) mod control;
pub(crate) mod process;
pub(crate) mod read;

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Where BIRD's files are.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    /// The configuration in use.
    pub(crate) config: PathBuf,
    /// The next one, while BIRD checks it.
    pub(crate) next: PathBuf,
    pub(crate) socket: PathBuf,
}

impl Files {
    /// In this folder.
    pub(crate) fn new(folder: &Path) -> Self {
        let in_it = |name| folder.join(name);
        Self { config: in_it("bird.conf"), next: in_it("bird.conf.next"), socket: in_it("bird.ctl") }
    }

    /// Writes the next one: for nobody else to read, as there are passwords in it.
    pub(crate) fn write_next(&self, text: &str) -> io::Result<()> {
        drop(fs::remove_file(&self.next));
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.next)?;
        file.write_all(text.as_bytes())
    }

    /// The next one is the one in use.
    pub(crate) fn adopt(&self) -> io::Result<()> {
        fs::rename(&self.next, &self.config)
    }
}
