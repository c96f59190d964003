//! The committed YAML is what the types say.

use std::{fs, path::Path};

use crds::yaml;

#[test]
fn the_committed_files_are_those_that_the_types_generate() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("yaml");
    for (name, text) in yaml::files() {
        let committed = fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(committed == text, "crds/yaml/{name} is out of date: run `{}`", yaml::REGENERATE);
    }
    assert_eq!(fs::read_dir(folder).unwrap().count(), yaml::files().len(), "a file there that no type makes");
}
