//! A revision's files in a directory, such as ConfigMaps mounted into a pod.

use std::{fs, io, path::Path};

use crds::revision::{CHUNK_BYTES, Files, MAX_CHUNKS};
use tokio::sync::mpsc::Sender;

use crate::{Offer, Source, Watch};

/// As many bytes as a file may have: a chunk, and what an index of [`MAX_CHUNKS`] chunks needs less.
const MAX_FILE: u64 = CHUNK_BYTES as u64 + (1 << 20);

/// The files of a directory; no directory, no files.
///
/// # Errors
/// If it is there and cannot be read.
pub fn read(folder: &Path) -> io::Result<Files> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Files::new()),
        entries => entries?,
    };
    let mut files = Files::new();
    for entry in entries {
        let entry = entry?;
        // A ConfigMap's own links, `..data` and the like, and our unfinished files.
        let Some(name) = entry.file_name().to_str().filter(|name| is_file_name(name)).map(str::to_owned) else {
            continue;
        };
        let path = entry.path();
        let found = fs::metadata(&path)?;
        if found.is_file() && found.len() <= MAX_FILE && files.len() <= MAX_CHUNKS + 2 {
            files.insert(name, fs::read(path)?);
        }
    }
    Ok(files)
}

/// Whether it can be a file of a revision.
#[must_use]
pub fn is_file_name(name: &str) -> bool {
    !name.starts_with('.')
}

/// A watch over the files of a directory. Begin it before they are read.
#[must_use]
pub fn start(folder: &Path) -> Watch {
    Watch::start(vec![folder.to_owned()], is_file)
}

fn is_file(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(is_file_name)
}

/// Offers what is in a directory, now and after each change.
pub async fn watch(watch: Watch, folder: &Path, offers: Sender<Offer>) {
    let mut changes = watch.spawn();
    while changes.recv().await.is_some() {
        match read(folder) {
            Ok(files) => {
                if offers.send(Offer { source: Source::Mounted, files }).await.is_err() {
                    return;
                }
            }
            Err(error) => tracing::warn!(folder = %folder.display(), %error, "the mounted revision cannot be read"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configmaps_links_are_no_files() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("..1")).unwrap();
        fs::write(folder.path().join("..1/index.json"), "{}").unwrap();
        std::os::unix::fs::symlink("..1", folder.path().join("..data")).unwrap();
        std::os::unix::fs::symlink("..data/index.json", folder.path().join("index.json")).unwrap();
        let files = read(folder.path()).unwrap();
        assert_eq!(files, Files::from([("index.json".to_owned(), b"{}".to_vec())]));
        assert_eq!(read(&folder.path().join("nowhere")).unwrap(), Files::new());
    }
}
