//! The manifests, read.

use std::path::{Path, PathBuf};

use crds::manifest;
use mape::{DomainConfig, Fleet};

/// Manifests that are sound.
pub(crate) struct Loaded {
    pub(crate) configs: Vec<DomainConfig>,
    pub(crate) fleet: Fleet,
    /// Equal if and only if the domains are.
    pub(crate) hash: String,
}

/// Reads and checks all manifests.
///
/// # Errors
/// All that is wrong with them. No domain at all is an error too: an empty directory is more often a mistake than a wish
/// to serve nobody, and it would withdraw everything.
pub(crate) fn load(paths: &[PathBuf]) -> Result<Loaded, Vec<String>> {
    let loaded = manifest::load(paths).map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    if loaded.fleet.domains().is_empty() {
        let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(vec![format!("no MapDomain in {}", paths.join(", "))]);
    }
    for skipped in &loaded.skipped {
        let (file, line) = (skipped.source.file.display(), skipped.source.line);
        tracing::info!("{file}:{line}: {} {} is not for a relay and skipped", skipped.api_version, skipped.kind);
    }
    let configs = loaded.domains.into_iter().map(|manifest| manifest.config).collect();
    Ok(Loaded { configs, fleet: loaded.fleet, hash: loaded.hash })
}

/// Whether a directory's file is read as a manifest.
pub(crate) fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known))
}
