//! Writes `crds/yaml` and the templates of the chart `culvert-crds` anew.

use std::{fs, path::Path};

fn main() -> std::io::Result<()> {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    write(&crate_folder.join("yaml"), crds::yaml::files())?;
    write(&crate_folder.join("../charts/culvert-crds/templates"), crds::yaml::chart_files())
}

fn write(folder: &Path, files: Vec<(&'static str, String)>) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    files.into_iter().try_for_each(|(name, text)| fs::write(folder.join(name), text))
}
