//! Notices that manifests, or a revision's files, changed: edited in place, renamed over, or swapped behind a symbolic link as a ConfigMap is.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher, recommended_watcher};
use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    time::{sleep, timeout},
};

/// Writers write several times: the manifests are read once they have stayed the same for this long.
const SETTLE: Duration = Duration::from_millis(100);

/// Manifests that change all the time are read all the same, after this many times as long.
const PATIENCE: u32 = 10;

/// What no event tells (network file systems, too few inotify watches) is found by looking this often.
const LOOK: Duration = Duration::from_secs(5);

/// A watch over files and directories.
pub struct Watch {
    paths: Vec<PathBuf>,
    /// Whether a directory's file is read.
    is_read: fn(&Path) -> bool,
    seen: Fingerprint,
    events: Receiver<()>,
    /// Kept so that events keep coming.
    _watcher: Option<RecommendedWatcher>,
}

impl Watch {
    /// Begins to watch. Call it before the manifests are read, so that no change falls between.
    #[must_use]
    pub fn start(paths: Vec<PathBuf>, is_read: fn(&Path) -> bool) -> Self {
        let (sender, events) = channel(1);
        let watcher = watcher(&paths, sender);
        if let Err(error) = &watcher {
            tracing::warn!("no notice of changed files ({error}): looking every {} s instead", LOOK.as_secs());
        }
        let seen = fingerprint(&paths, is_read);
        Self { paths, is_read, seen, events, _watcher: watcher.ok() }
    }

    /// Watches on, and tells of each change.
    #[must_use]
    pub fn spawn(mut self) -> Receiver<()> {
        let (sender, changes) = channel(1);
        tokio::spawn(async move {
            loop {
                self.changed().await;
                if sender.send(()).await.is_err() {
                    return;
                }
            }
        });
        changes
    }

    /// Returns once the manifests have changed and settled.
    async fn changed(&mut self) {
        loop {
            // An event or the time to look: both lead to the comparison.
            let _ = timeout(LOOK, next(&mut self.events)).await;
            let now = fingerprint(&self.paths, self.is_read);
            if now != self.seen {
                self.seen = self.settled(now).await;
                return;
            }
            // Something else in the same directory, and maybe busy.
            sleep(SETTLE / 10).await;
        }
    }

    /// Waits until the manifests stay as they are, but not forever, and says how they look then.
    async fn settled(&self, mut now: Fingerprint) -> Fingerprint {
        for _ in 0..PATIENCE {
            sleep(SETTLE).await;
            let later = fingerprint(&self.paths, self.is_read);
            if later == now {
                break;
            }
            now = later;
        }
        now
    }
}

async fn next(events: &mut Receiver<()>) {
    if events.recv().await.is_none() {
        sleep(LOOK).await;
    }
}

fn watcher(paths: &[PathBuf], sender: Sender<()>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = recommended_watcher(move |event: notify::Result<Event>| {
        if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
            // One waiting notice is enough.
            let _ = sender.try_send(());
        }
    })?;
    for folder in folders(paths) {
        watcher.watch(&folder, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

/// The directories in which something about these paths can change: themselves, or those that hold them, also behind
/// symbolic links.
fn folders(paths: &[PathBuf]) -> BTreeSet<PathBuf> {
    let behind_links = paths.iter().filter_map(|path| fs::canonicalize(path).ok());
    paths
        .iter()
        .cloned()
        .chain(behind_links)
        .flat_map(|path| {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            [Some(parent.to_owned()), path.is_dir().then(|| path.clone())]
        })
        .flatten()
        .collect()
}

/// What a file looked like: path, inode, size, and time of change to the nanosecond.
type Fingerprint = BTreeSet<(PathBuf, u64, u64, i64, i64)>;

fn fingerprint(paths: &[PathBuf], is_read: fn(&Path) -> bool) -> Fingerprint {
    let inside = paths.iter().filter_map(|path| fs::read_dir(path).ok()).flatten().flatten().map(|entry| entry.path());
    let all = paths.iter().filter(|path| !path.is_dir()).cloned().chain(inside.filter(|path| is_read(path)));
    all.filter_map(|path| {
        let found = fs::metadata(&path).ok()?;
        Some((path, found.ino(), found.size(), found.ctime(), found.ctime_nsec()))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn is_manifest(path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension == "yaml")
    }

    async fn notices(watch: &mut Watch) -> bool {
        timeout(Duration::from_secs(2), watch.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn an_edit_and_a_rename_are_noticed_and_a_read_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        fs::write(&file, "1").unwrap();
        let mut watch = Watch::start(vec![file.clone()], is_manifest);
        fs::write(&file, "2").unwrap();
        assert!(notices(&mut watch).await, "edited in place");
        fs::write(folder.path().join("new"), "3").unwrap();
        fs::rename(folder.path().join("new"), &file).unwrap();
        assert!(notices(&mut watch).await, "renamed over");
        fs::read(&file).unwrap();
        assert!(!notices(&mut watch).await, "only read");
    }

    #[tokio::test]
    async fn a_config_maps_swap_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        for version in ["..1", "..2"] {
            fs::create_dir(folder.path().join(version)).unwrap();
            fs::write(folder.path().join(version).join("a.yaml"), version).unwrap();
        }
        symlink("..1", folder.path().join("..data")).unwrap();
        symlink("..data/a.yaml", folder.path().join("a.yaml")).unwrap();
        for path in [folder.path().to_owned(), folder.path().join("a.yaml")] {
            let mut watch = Watch::start(vec![path.clone()], is_manifest);
            let target =
                if fs::read_link(folder.path().join("..data")).unwrap() == Path::new("..1") { "..2" } else { "..1" };
            symlink(target, folder.path().join("..next")).unwrap();
            fs::rename(folder.path().join("..next"), folder.path().join("..data")).unwrap();
            assert!(notices(&mut watch).await, "{}", path.display());
        }
    }

    #[tokio::test]
    async fn a_busy_neighbour_neither_counts_nor_hinders() {
        let folder = tempfile::tempdir().unwrap();
        let (file, neighbour) = (folder.path().join("a.yaml"), folder.path().join("busy.log"));
        fs::write(&file, "1").unwrap();
        let mut watch = Watch::start(vec![folder.path().to_owned()], is_manifest);
        let busy = tokio::spawn(async move {
            loop {
                fs::write(&neighbour, "busy").unwrap();
                sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(!notices(&mut watch).await, "the neighbour counts");
        fs::write(&file, "2").unwrap();
        assert!(notices(&mut watch).await, "the neighbour hinders");
        busy.abort();
    }

    #[tokio::test]
    async fn a_file_in_a_directory_that_comes_or_goes_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = Watch::start(vec![folder.path().to_owned()], is_manifest);
        fs::write(folder.path().join("a.yaml"), "1").unwrap();
        assert!(notices(&mut watch).await, "comes");
        fs::remove_file(folder.path().join("a.yaml")).unwrap();
        assert!(notices(&mut watch).await, "goes");
    }
}
