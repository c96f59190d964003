//! Paths to texts.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Error, STDIN};

/// One text and what it is called.
pub(super) struct Input {
    pub(super) file: PathBuf,
    pub(super) text: String,
}

/// The texts of all files that `paths` mean, in their order.
pub(super) fn read(paths: &[PathBuf]) -> (Vec<Input>, Vec<Error>) {
    let (mut inputs, mut errors) = (Vec::new(), Vec::new());
    if paths.is_empty() {
        errors.push(whole(Path::new("."), "no file or folder was named".to_owned()));
    }
    for path in paths {
        if path.as_os_str() == "-" {
            collect(Path::new(STDIN), stdin(), &mut inputs, &mut errors);
        } else if path.is_dir() {
            folder(path, &mut inputs, &mut errors);
        } else {
            collect(path, fs::read(path), &mut inputs, &mut errors);
        }
    }
    (inputs, errors)
}

fn stdin() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::stdin().lock(), &mut bytes).map(|_| bytes)
}

fn folder(path: &Path, inputs: &mut Vec<Input>, errors: &mut Vec<Error>) {
    let files = match manifests_in(path) {
        Ok(files) => files,
        Err(error) => return errors.push(whole(path, format!("cannot be read: {error}"))),
    };
    if files.is_empty() {
        errors.push(whole(path, "no *.yaml, *.yml or *.json in this folder".to_owned()));
    }
    for file in files {
        collect(&file, fs::read(&file), inputs, errors);
    }
}

/// A folder's manifests, sorted. Names with a dot in front are left out: a mounted ConfigMap keeps its versions in
/// `..data` and the like, and editors their half-written copies.
fn manifests_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        let is_manifest = path.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "json");
        // A link is followed; one that leads nowhere is kept, for its error to be seen.
        if !is_hidden && is_manifest && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn collect(file: &Path, bytes: io::Result<Vec<u8>>, inputs: &mut Vec<Input>, errors: &mut Vec<Error>) {
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(error) => return errors.push(whole(file, format!("cannot be read: {error}"))),
    };
    match String::from_utf8(bytes) {
        Ok(text) => inputs.push(Input { file: file.to_owned(), text }),
        Err(error) => errors.push(not_utf8(file, &error)),
    }
}

fn not_utf8(file: &Path, error: &std::string::FromUtf8Error) -> Error {
    let sound = error.utf8_error().valid_up_to();
    let line = 1 + error.as_bytes()[..sound].iter().filter(|byte| **byte == b'\n').count();
    let byte = error.as_bytes()[sound];
    Error { line: Some(line), ..whole(file, format!("this is not UTF-8: found the byte 0x{byte:02x}")) }
}

fn whole(file: &Path, message: String) -> Error {
    Error { file: file.to_owned(), line: None, field: String::new(), message }
}
