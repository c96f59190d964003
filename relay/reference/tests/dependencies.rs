//! The model shares no code with what it is compared with: it is built of nothing.

use std::process::Command;

#[test]
fn the_model_is_built_of_nothing() {
    let arguments = ["tree", "--package", "reference", "--edges", "normal", "--prefix", "none"];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let output = output.expect("cargo runs this test, so it can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8_lossy(&output.stdout);
    assert_eq!(tree.lines().count(), 1, "cargo tree shows the package itself and nothing else:\n{tree}");
}
