//! Each folder in `cases` is a story: packets in, and what the engine made of them. Adding one needs no Rust; see
//! `cases/README.md`.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use engine::{Defaults, Engine, Extras, HEADROOM, Memory, Now, Options, Outcome, Packet, SLOT, Snapshot, Ttl, Verdict};

#[path = "support/layers.rs"]
mod layers;
#[path = "support/show.rs"]
mod show;

use show::show;

/// Set to write what came out into the cases instead of comparing it: then read the difference.
const BLESS: &str = "CULVERT_BLESS";

#[test]
fn every_case_ends_as_written() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let folders = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let mut folders: Vec<PathBuf> = folders.collect();
    folders.sort();
    assert!(folders.len() > 20, "only {} cases found", folders.len());
    let failed: Vec<String> = folders.iter().filter_map(|folder| run(folder).err()).collect();
    assert!(failed.is_empty(), "{}\n{} of {} cases differ", failed.join("\n"), failed.len(), folders.len());
}

fn run(folder: &Path) -> Result<(), String> {
    let file = folder.join("case.txt");
    let written = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let own = folder.join("domains.yaml");
    let domains = if own.exists() { own } else { folder.with_file_name("domains.yaml") };
    let loaded = crds::manifest::load(&[domains]).map_err(|errors| format!("{}: {errors:?}", folder.display()))?;
    let played = Player::new(&loaded.fleet, SLOT).play(&written);
    // The express way needs room behind a packet: without it every packet goes the full way.
    let full = Player::new(&loaded.fleet, 0).play(&written);
    if played != full {
        return Err(format!("{}: the express and the full way:\n{}", folder.display(), difference(&played, &full)));
    }
    if std::env::var_os(BLESS).is_some() {
        fs::write(&file, &played).expect("a case");
    }
    if played == written { Ok(()) } else { Err(format!("{}:\n{}", folder.display(), difference(&written, &played))) }
}

fn difference(written: &str, played: &str) -> String {
    let line = |(written, played): (&str, &str)| (written != played).then(|| format!("- {written}\n+ {played}\n"));
    let end = std::iter::repeat("");
    let both = written.lines().chain(end.clone()).zip(played.lines().chain(end));
    both.take(written.lines().count().max(played.lines().count())).filter_map(line).collect()
}

/// Plays the inputs of a case and writes the whole file anew.
struct Player {
    snapshot: Snapshot,
    memory: Memory,
    engine: Engine,
    extras: Extras,
    now: Now,
    spare: usize,
}

impl Player {
    /// A player whose buffers end `spare` bytes behind the packet.
    fn new(fleet: &mape::Fleet, spare: usize) -> Self {
        let memory = Memory::new(1, 0);
        let snapshot = Snapshot::compile(fleet, &memory, &Defaults::default());
        Self { snapshot, memory, engine: engine(Ttl::Engine), extras: Extras::new(), now: Now(0), spare }
    }

    fn play(mut self, written: &str) -> String {
        let mut text = String::new();
        for line in written.lines().filter(|line| !is_outcome(line)) {
            writeln!(text, "{line}").expect("a case");
            match line.split_once(' ') {
                Some(("in", packet)) => text += &self.send(&layers::parse(packet)),
                Some(("raw", bytes)) => text += &self.send(&layers::parse(&format!("hex={}", bytes.replace(' ', "")))),
                Some(("at", milliseconds)) => self.now = Now(milliseconds.parse::<u64>().expect("a case") * 1_000_000),
                Some(("ttl", "kernel")) => self.engine = engine(Ttl::Kernel),
                Some(("#", _)) | None => {}
                Some((word, _)) => panic!("no case knows the word {word}"),
            }
        }
        text + &self.counted()
    }

    fn send(&mut self, bytes: &[u8]) -> String {
        let mut buffer = vec![0; HEADROOM];
        buffer.extend_from_slice(bytes);
        buffer.resize(buffer.len() + self.spare, 0xa5);
        let mut batch = [Packet::new(&mut buffer, HEADROOM, bytes.len())];
        let mut verdicts = [Verdict::default()];
        self.engine.process(&self.snapshot, self.now, &mut batch, &mut verdicts, &mut self.extras);
        let [verdict] = verdicts;
        let domain = verdict.domain().and_then(|index| self.snapshot.domain_name(index));
        let domain = domain.map_or("-", |name| name.name.as_str());
        let word = match verdict.outcome {
            Outcome::Joined => "joined".to_owned(),
            Outcome::Emit => "emit".to_string(),
            Outcome::Drop { reason, .. } => format!("drop {reason}"),
            Outcome::Hold => "hold".to_string(),
            Outcome::Punt(reason) => format!("punt {reason}"),
        };
        let mut text = format!("  -> {word} {domain} {}\n", verdict.direction.word());
        let first = verdict.leaves().then(|| batch[0].bytes());
        for packet in first.into_iter().chain(self.extras.packets().map(|(_, packet)| packet)) {
            writeln!(text, "     {}", show(packet)).expect("a case");
        }
        text
    }

    fn counted(&self) -> String {
        let mut text = String::new();
        for domain in self.memory.read() {
            let name = if domain.name.name.is_empty() { "-" } else { &domain.name.name };
            for (direction, count) in domain.forwarded {
                writeln!(text, "  = {name} {} forwarded {} of {} bytes", direction.word(), count.packets, count.bytes)
                    .expect("a case");
            }
            for (direction, reason, count) in domain.dropped {
                writeln!(text, "  = {name} {} {reason} {} of {} bytes", direction.word(), count.packets, count.bytes)
                    .expect("a case");
            }
            for (word, counts) in [("sent", domain.icmp_sent), ("suppressed", domain.icmp_suppressed)] {
                for (kind, count) in counts {
                    writeln!(text, "  = {name} {} {word} {count}", kind.word()).expect("a case");
                }
            }
        }
        text
    }
}

fn engine(ttl: Ttl) -> Engine {
    Engine::new(Options { ttl, worker: 0, secret: 0 })
}

fn is_outcome(line: &str) -> bool {
    line.starts_with("  ")
}
