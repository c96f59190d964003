//! `culvertctl import`: other routers' configurations as manifests.

use std::{
    fs,
    io::{self, Read, Write},
    path::Path,
};

use crds::manifest::STDIN;

use crate::{
    Answer,
    cli::{ImportArgs, ImportFrom, JunosArgs},
    failure::Failure,
    manifests,
};

pub mod junos;

pub(crate) fn run(args: &ImportArgs, out: &mut dyn Write) -> Result<Answer, Failure> {
    match &args.from {
        ImportFrom::Junos(args) => from_junos(args, out),
    }
}

/// Nothing is printed unless everything can be: half a configuration is worse than none.
fn from_junos(args: &JunosArgs, out: &mut dyn Write) -> Result<Answer, Failure> {
    let (name, text) = read(&args.file)?;
    let imported = junos::import(&name, &text, args.namespace.as_deref());
    let mut stderr = io::stderr().lock();
    for warning in &imported.warnings {
        let _ = writeln!(stderr, "{warning}");
    }
    let manifests = imported.manifests.map_err(|errors| manifests::report(&errors))?;
    out.write_all(manifests.as_bytes()).map(|()| Answer::Yes).map_err(Failure::stdout)
}

/// The text and its name in errors. A configuration has remarks in whatever encoding its authors typed them.
fn read(file: &Path) -> Result<(String, String), Failure> {
    let mut bytes = Vec::new();
    let name = if file == Path::new("-") {
        io::stdin().lock().read_to_end(&mut bytes).map_err(Failure::Stdin)?;
        STDIN.to_string()
    } else {
        bytes = fs::read(file).map_err(|error| Failure::file(file, error))?;
        file.display().to_string()
    };
    Ok((name, String::from_utf8_lossy(&bytes).into_owned()))
}
