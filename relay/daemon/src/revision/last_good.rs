//! The last revision that was in use, kept for a container that starts while the API server is away.
//!
//! A directory for each revision, and a symbolic link to the one that counts: it is swapped when all of the new one is on the
//! disk, so that whatever ends the relay, one of them is whole.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crds::revision::Files;

use super::{choice::Identity, mounted};

const CURRENT: &str = "current";

/// The files that were kept.
///
/// # Errors
/// If they cannot be read.
pub(crate) fn load(state: &Path) -> io::Result<Files> {
    mounted::read(&state.join(CURRENT))
}

/// Keeps these files instead of the ones before.
///
/// # Errors
/// What the file system says: the ones before are kept then.
pub(crate) fn save(state: &Path, identity: &Identity, files: &Files) -> io::Result<()> {
    let name = format!("revision-{}-{:.12}", identity.sequence, identity.hash);
    let current = state.join(CURRENT);
    if fs::read_link(&current).is_ok_and(|target| target == Path::new(&name)) && load(state)? == *files {
        return Ok(());
    }
    let (fresh, folder) = (state.join(format!(".{name}")), state.join(&name));
    for leftover in [&fresh, &folder] {
        remove(leftover)?;
    }
    fs::create_dir_all(&fresh)?;
    for (file, bytes) in files {
        write(&fresh.join(file), bytes)?;
    }
    sync(&fresh)?;
    fs::rename(&fresh, &folder)?;
    let link = state.join(".current");
    remove(&link)?;
    std::os::unix::fs::symlink(&name, &link)?;
    fs::rename(&link, &current)?;
    sync(state)?;
    clean(state, &name)
}

/// Removes the revisions before.
fn clean(state: &Path, keep: &str) -> io::Result<()> {
    for entry in fs::read_dir(state)? {
        let entry = entry?;
        let name = entry.file_name().into_string().unwrap_or_default();
        let revision = name.trim_start_matches('.').starts_with("revision-");
        if revision && name != keep {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

fn write(path: &PathBuf, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(text: &str) -> Files {
        Files::from([("index.json".to_owned(), text.into()), ("domains-0.gz".to_owned(), vec![1, 2, 3])])
    }

    fn identity(sequence: u64) -> Identity {
        Identity { sequence, hash: "0123456789abcdef".to_owned() }
    }

    #[test]
    fn the_last_one_is_kept_and_no_other() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(load(state.path()).unwrap(), Files::new());
        for (sequence, text) in [(1, "one"), (2, "two"), (2, "two, later"), (2, "two, later")] {
            save(state.path(), &identity(sequence), &files(text)).unwrap();
            assert_eq!(load(state.path()).unwrap(), files(text));
        }
        let names: Vec<_> = fs::read_dir(state.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
    }

    #[test]
    fn what_an_ended_relay_left_unfinished_is_in_nobodys_way() {
        let state = tempfile::tempdir().unwrap();
        save(state.path(), &identity(1), &files("one")).unwrap();
        for leftover in [".revision-2-0123456789ab", "revision-2-0123456789ab"] {
            fs::create_dir(state.path().join(leftover)).unwrap();
            fs::write(state.path().join(leftover).join("index.json"), "half").unwrap();
        }
        std::os::unix::fs::symlink("revision-2-0123456789ab", state.path().join(".current")).unwrap();
        assert_eq!(load(state.path()).unwrap(), files("one"));
        save(state.path(), &identity(2), &files("two")).unwrap();
        assert_eq!(load(state.path()).unwrap(), files("two"));
    }
}
