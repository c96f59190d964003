//! Which files a path means, and what is said of those that cannot be read.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use crds::manifest::{Error, Loaded, load};

const EXAMPLE: &str = include_str!("../../deploy/examples/isp-a.yaml");

/// A folder that goes away with the test.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a name in the folder")).expect("a folder");
        fs::write(&path, text).expect("a file");
        path
    }

    fn load(&self) -> Result<Loaded, Vec<Error>> {
        load(&[self.path().to_owned()])
    }
}

fn texts(result: Result<Loaded, Vec<Error>>) -> Vec<String> {
    result.expect_err("errors").iter().map(|error| error.message.clone()).collect()
}

#[test]
fn a_folder_means_its_own_manifests() {
    let folder = Folder::new();
    folder.write("b.yaml", EXAMPLE);
    folder.write("a.yml", EXAMPLE.replace("isp-a", "isp-b").replace("67.91.205", "67.91.206").replace("ce::", "cf::"));
    folder.write("README.md", "# Not a manifest: [");
    folder.write(".b.yaml.swp.yaml", "[");
    folder.write("old/c.yaml", "[");
    fs::create_dir(folder.path().join("d.yaml")).unwrap();
    let loaded = folder.load().unwrap();
    let found: Vec<&str> = loaded.domains.iter().map(|domain| &*domain.config.name.name).collect();
    assert_eq!(found, ["isp-b", "isp-a"]);
    assert_eq!(loaded.domains[1].source.file, folder.path().join("b.yaml"));
    assert_eq!(loaded.fleet.domains().len(), 2);
}

/// As the kubelet lays out a ConfigMap: links to a link to a folder with the version in its name.
#[test]
fn a_mounted_config_map_is_read_once() {
    let folder = Folder::new();
    folder.write("..2026_11_24/isp-a.yaml", EXAMPLE);
    symlink("..2026_11_24", folder.path().join("..data")).unwrap();
    symlink("..data/isp-a.yaml", folder.path().join("isp-a.yaml")).unwrap();
    assert_eq!(folder.load().unwrap().domains.len(), 1);
}

#[test]
fn every_path_that_cannot_be_read_is_reported() {
    let folder = Folder::new();
    let missing = folder.path().join("missing.yaml");
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let bad = folder.write("bad.yaml", "[");
    symlink("nowhere", folder.path().join("dangling.yaml")).unwrap();
    let errors = load(&[missing.clone(), empty.clone(), folder.path().to_owned()]).unwrap_err();
    let shown: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let gone = "cannot be read: No such file or directory (os error 2)";
    assert_eq!(shown.len(), 4, "{shown:?}");
    assert_eq!(shown[0], format!("{}: {gone}", missing.display()));
    assert_eq!(shown[1], format!("{}: no *.yaml, *.yml or *.json in this folder", empty.display()));
    assert_eq!(shown[2], format!("{}: {gone}", folder.path().join("dangling.yaml").display()));
    assert!(shown[3].starts_with(&format!("{}:1: this is not YAML", bad.display())), "{shown:?}");
}

#[test]
fn no_path_at_all_is_an_error() {
    assert_eq!(texts(load(&[])), ["no file or folder was named"]);
}

#[test]
fn what_follows_from_a_file_does_not_depend_on_its_form() {
    let folder = Folder::new();
    let one = load(&[folder.write("one.yaml", EXAMPLE)]).unwrap();
    let flow = "{apiVersion: culvert.dev/v1alpha1, kind: MapDomain, metadata: {name: isp-a, namespace: culvert-system}, \
        spec: {softwireAddress: '3001:DB8:ffff:0::1', relayRefs: [{name: other}], rules: [{psidOffset: 4, name: r1, \
        ipv4Prefix: 67.91.205.0/24, mapePrefix: '2001:db8:ce:0::/48', eaBitsLength: 0x10}]}}";
    let two = load(&[folder.write("two.json", flow)]).unwrap();
    assert_eq!(one.hash, two.hash);
    assert_eq!(one.hash.len(), 64);
    let other = load(&[folder.write("three.yaml", EXAMPLE.replace("psidOffset: 4", "psidOffset: 6"))]).unwrap();
    assert_ne!(one.hash, other.hash);
}

/// What people start from is valid, together and alone, and the fleet allows the domain that it would serve.
#[test]
fn the_examples_are_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples");
    let loaded = load(std::slice::from_ref(&folder)).unwrap();
    assert_eq!((loaded.domains.len(), loaded.fleets.len()), (1, 2));
    assert_eq!(loaded.domains[0].relay_refs, [loaded.fleets[1].config.name.name.clone()]);
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    for manifest in files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")) {
        load(&[manifest]).unwrap();
    }
}
