//! The committed YAML is what the types say.

use std::{fs, path::Path};

use crds::yaml;

#[test]
fn the_committed_files_are_those_that_the_types_generate() {
    compare("yaml", &yaml::files());
}

#[test]
fn so_are_the_templates_of_the_chart() {
    compare("../charts/culvert-crds/templates", &yaml::chart_files());
}

/// Helm reads `{{` as code: a description that has it would be changed, or stop every installation.
#[test]
fn helm_finds_nothing_to_replace_in_them() {
    for (name, text) in yaml::chart_files() {
        assert!(!text.contains("{{"), "{name} has `{{{{`: Helm would read it as a template");
        assert!(
            text.contains("helm.sh/resource-policy: keep"),
            "{name} would go with the chart, and all its objects too"
        );
    }
}

/// Every file is there with that text, and no other definition. (The chart has notes beside them.)
fn compare(folder: &str, files: &[(&str, String)]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    for (name, text) in files {
        let committed = fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(committed == *text, "{}/{name} is out of date: run `{}`", folder.display(), yaml::REGENERATE);
    }
    let there = fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let definitions = there.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).count();
    assert_eq!(definitions, files.len(), "{}: a file there that no type makes", folder.display());
}
