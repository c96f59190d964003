//! Writes `crds/yaml` anew.

use std::{fs, path::Path};

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("yaml");
    fs::create_dir_all(&folder)?;
    crds::yaml::files().into_iter().try_for_each(|(name, text)| fs::write(folder.join(name), text))
}
