//! The capture that is written: classic pcap, LINKTYPE_RAW (<https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap>).

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process,
};

use crate::failure::Failure;

/// A capture being written under another name: it gets its own only when it is whole.
pub(super) struct Sink {
    file: BufWriter<File>,
    /// Where it is written, until it is renamed.
    draft: Option<PathBuf>,
    path: PathBuf,
    is_nanosecond: bool,
    count: u64,
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
        let draft = (!is_special).then(|| draft(&path));
        let target = draft.as_deref().unwrap_or(&path);
        let file = File::create(target).map_err(|error| Failure::file(&path, error))?;
        let mut sink = Self { file: BufWriter::with_capacity(1 << 16, file), draft, path, is_nanosecond, count: 0 };
        sink.header()?;
        Ok(sink)
    }

    /// How many packets there are so far.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Adds a packet that left at `time`, in nanoseconds since 1970.
    pub(super) fn write(&mut self, time: u64, packet: &[u8]) -> Result<(), Failure> {
        let fraction = if self.is_nanosecond { time % SECOND } else { time % SECOND / 1000 };
        let length = packet.len() as u64;
        for field in [time / SECOND, fraction, length, length] {
            self.put(&(field as u32).to_le_bytes())?;
        }
        self.count += 1;
        self.put(packet)
    }

    /// Gives the capture its name.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        self.file.flush().map_err(|error| Failure::file(&self.path, error))?;
        if let Some(draft) = &self.draft {
            fs::rename(draft, &self.path).map_err(|error| Failure::file(&self.path, error))?;
        }
        self.draft = None;
        Ok(())
    }

    fn header(&mut self) -> Result<(), Failure> {
        let magic: u32 = if self.is_nanosecond { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        self.put(&magic.to_le_bytes())?;
        self.put(&[2, 0, 4, 0])?;
        for field in [0, 0, SNAP_LENGTH, LINKTYPE_RAW] {
            self.put(&field.to_le_bytes())?;
        }
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(|error| Failure::file(&self.path, error))
    }
}

/// What was not finished leaves nothing behind.
impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(draft) = &self.draft {
            let _ = fs::remove_file(draft);
        }
    }
}

const SECOND: u64 = 1_000_000_000;
/// As much as any tool accepts.
const SNAP_LENGTH: u32 = 262_144;
const LINKTYPE_RAW: u32 = 101;

fn draft(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(format!(".{}.part", process::id()));
    name.into()
}

fn is_same(a: &Path, b: &Path) -> bool {
    match (fs::metadata(a), fs::metadata(b)) {
        (Ok(a), Ok(b)) => a.is_file() && (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}
