//! The file that what comes out is written to.

use std::{
    fs::{self, File},
    io::BufWriter,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process,
};

use super::pcap::Writer;
use crate::failure::Failure;

/// A capture being written under another name: it gets its own only when it is whole.
pub(super) struct Sink {
    writer: Writer<BufWriter<File>>,
    draft: Option<Draft>,
    path: PathBuf,
}

impl Sink {
    /// Begins the capture at `path`, which must not be the file that is read.
    pub(super) fn create(path: &Path, input: &Path, is_nanosecond: bool) -> Result<Self, Failure> {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        if is_same(&path, input) {
            return Err(Failure::usage(format_args!("{}: the output would overwrite the input", path.display())));
        }
        // A pipe or a device is written as it is: renaming would replace it.
        let is_special = fs::metadata(&path).is_ok_and(|found| !found.is_file() && !found.is_dir());
        let draft = (!is_special).then(|| Draft::of(&path));
        let target = draft.as_ref().map_or(&path, |draft| &draft.0);
        let file = File::create(target).map_err(|error| Failure::file(&path, error))?;
        let writer = Writer::new(BufWriter::with_capacity(1 << 16, file), is_nanosecond);
        Ok(Self { writer: writer.map_err(|error| Failure::file(&path, error))?, draft, path })
    }

    /// How many packets there are so far.
    pub(super) fn count(&self) -> u64 {
        self.writer.count()
    }

    /// Adds a packet that left at `time`, in nanoseconds since 1970.
    pub(super) fn write(&mut self, time: u64, packet: &[u8]) -> Result<(), Failure> {
        self.writer.write(time, packet).map_err(|error| Failure::file(&self.path, error))
    }

    /// Gives the capture its name.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        let named = self.writer.flush().and_then(|()| match &self.draft {
            Some(draft) => fs::rename(&draft.0, &self.path),
            None => Ok(()),
        });
        named.map_err(|error| Failure::file(&self.path, error))
    }
}

/// Where a capture is written until it is renamed. What was not renamed leaves nothing behind.
struct Draft(PathBuf);

impl Draft {
    fn of(path: &Path) -> Self {
        let mut name = path.as_os_str().to_os_string();
        name.push(format!(".{}.part", process::id()));
        Self(name.into())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn is_same(a: &Path, b: &Path) -> bool {
    match (fs::metadata(a), fs::metadata(b)) {
        (Ok(a), Ok(b)) => a.is_file() && (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}
