//! BIRD, kept running and configured as it should be. It is never started again for the sake of a configuration.

use std::{
    collections::BTreeSet,
    io,
    path::PathBuf,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::{
    sync::mpsc::Sender,
    time::{sleep, timeout},
};

use crate::{
    bird::{
        Files,
        control::{Control, Error},
        process::{self, Process},
        read::{self, Bfd, Protocol},
    },
    plan::Obstacle,
    shared::{Bird, Counts},
};

/// Between the end of one BIRD and the start of the next: at first nothing, then this, doubled each time.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// A BIRD that ran for this long ended for another reason than the one before.
const STEADY: Duration = Duration::from_secs(10);

/// As long as BIRD may take until its socket is there.
const START: Duration = Duration::from_secs(10);

/// As long as BIRD may take to say goodbye to its peers, and to end.
const GOODBYE: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(2));

/// As many bytes as a last message may have (RFC 8203; RFC 9003 allows more, and not every router knows that).
const MESSAGE: usize = 128;

/// One look at BIRD.
#[derive(Debug, Clone, Default)]
pub(crate) struct Look {
    pub(crate) protocols: Vec<Protocol>,
    pub(crate) bfd: Vec<Bfd>,
}

/// The process, and what it works by.
pub(crate) struct Keeper {
    program: PathBuf,
    files: Files,
    news: Sender<()>,
    process: Option<Process>,
    control: Option<Control>,
    version: String,
    /// Since when it does not run.
    stopped: Timestamp,
    /// What BIRD works by, or would if it ran.
    applied: Option<String>,
    pause: Duration,
    due: Option<Instant>,
    pub(crate) counts: Counts,
}

impl Keeper {
    /// `news`: something has happened to BIRD.
    pub(crate) fn new(program: PathBuf, files: Files, news: Sender<()>) -> Self {
        Self {
            program,
            files,
            news,
            process: None,
            control: None,
            version: String::new(),
            stopped: Timestamp::now(),
            applied: None,
            pause: Duration::ZERO,
            due: None,
            counts: Counts::default(),
        }
    }

    /// Has BIRD work by this configuration, once it has checked it. One that it refuses changes nothing.
    pub(crate) async fn apply(&mut self, text: &str) -> Result<(), Obstacle> {
        if self.applied.as_deref() == Some(text) {
            return Ok(());
        }
        let result = match self.files.write_next(text) {
            Err(error) => Err(Obstacle::new("BirdDirUnusable", format!("{}: {error}", self.files.next.display()))),
            Ok(()) if self.control.is_some() => self.configure().await,
            Ok(()) => self.prepare().await,
        };
        match &result {
            Ok(()) => {
                self.applied = Some(text.to_owned());
                self.counts.configured += 1;
            }
            Err(_) => self.counts.refused += 1,
        }
        if result.is_ok() && self.process.is_none() && self.due.is_none() {
            self.start().await;
        }
        result
    }

    /// A BIRD that runs changes over.
    async fn configure(&mut self) -> Result<(), Obstacle> {
        let check = format!("configure check \"{}\"", self.files.next.display());
        self.ask(&check).await.map_err(|error| refused(&error))?;
        self.files.adopt().map_err(|error| unusable(&error))?;
        self.ask("configure").await.map_err(|error| refused(&error))?;
        Ok(())
    }

    /// For the next BIRD.
    async fn prepare(&mut self) -> Result<(), Obstacle> {
        let checked = process::check(&self.program, &self.files).await;
        checked.map_err(|why| refused(&Error::Refused(why)))?;
        self.files.adopt().map_err(|error| unusable(&error))
    }

    /// Starts BIRD on what it shall work by.
    pub(crate) async fn start(&mut self) {
        self.due = None;
        self.counts.starts += 1;
        match Process::start(&self.program, &self.files, self.news.clone()) {
            Ok(process) => self.process = Some(process),
            Err(error) => {
                tracing::error!(program = %self.program.display(), %error, "BIRD cannot be started");
                return self.later();
            }
        }
        let begun = Instant::now();
        while begun.elapsed() < START {
            if let Ok((control, version)) = Control::connect(&self.files.socket).await {
                tracing::info!(version, "BIRD runs");
                (self.control, self.version) = (Some(control), version);
                return;
            }
            if let Some(process) = &mut self.process
                && let Ok(why) = timeout(Duration::from_millis(20), process.ended()).await
            {
                return self.gone(&why);
            }
        }
        self.kill("its socket does not appear").await;
    }

    /// When BIRD shall be started, if it shall.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Returns when BIRD has ended, and why.
    pub(crate) async fn ended(&mut self) -> String {
        match &mut self.process {
            Some(process) => process.ended().await,
            None => std::future::pending().await,
        }
    }

    /// BIRD has ended: another is due.
    pub(crate) fn gone(&mut self, why: &str) {
        let ran = self.process.take().map(|process| process.since.duration_until(Timestamp::now()));
        if ran.is_some_and(|ran| ran.unsigned_abs() > STEADY) {
            self.pause = Duration::ZERO;
        }
        (self.control, self.stopped) = (None, Timestamp::now());
        tracing::error!(pause = ?self.pause, "BIRD has ended ({why}): it is started again");
        self.later();
    }

    fn later(&mut self) {
        self.due = Some(Instant::now() + self.pause);
        self.pause = (self.pause * 2).clamp(PAUSE.0, PAUSE.1);
    }

    /// Sessions and BFD, if BIRD runs. A BIRD that does not answer is ended.
    pub(crate) async fn look(&mut self) -> Option<Look> {
        self.control.as_ref()?;
        let protocols = self.ask("show protocols all").await.ok()?;
        let bfd = self.ask("show bfd sessions").await.ok()?;
        Some(Look { protocols: read::protocols(&protocols), bfd: read::bfd(&bfd) })
    }

    /// The prefixes that a session announces.
    pub(crate) async fn exported(&mut self, protocol: &str) -> Option<BTreeSet<String>> {
        let lines = self.ask(&format!("show route export {protocol}")).await.ok()?;
        Some(read::prefixes(&lines))
    }

    /// Ends all sessions with a last message (RFC 9003), and BIRD.
    pub(crate) async fn goodbye(&mut self, message: &str) {
        let message: String = message.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(MESSAGE).collect();
        for sessions in ["peer_*", "dyn_*"] {
            // It may have none.
            let _ = self.ask(&format!("disable \"{sessions}\" \"{message}\"")).await;
        }
        sleep(GOODBYE.0).await;
        let _ = self.ask("down").await;
        if let Some(process) = &mut self.process
            && timeout(GOODBYE.1, process.ended()).await.is_err()
        {
            process.kill().await;
        }
    }

    /// For those who ask.
    pub(crate) fn bird(&self) -> Bird {
        let running = self.control.is_some();
        let since = self.process.as_ref().filter(|_| running).map_or(self.stopped, |process| process.since);
        Bird { version: self.version.clone(), running, since: Some(since) }
    }

    async fn ask(&mut self, command: &str) -> Result<Vec<crate::bird::control::Line>, Error> {
        let Some(control) = &mut self.control else { return Err(Error::Away(io::ErrorKind::NotConnected.into())) };
        let answer = control.ask(command).await;
        if let Err(Error::Away(error)) = &answer {
            // Half an answer may be on its way: this connection is of no use.
            let why = error.to_string();
            self.control = None;
            self.kill(&why).await;
        }
        answer
    }

    /// The main loop sees that it has ended.
    async fn kill(&mut self, why: &str) {
        if let Some(process) = &mut self.process {
            tracing::error!("BIRD does not answer ({why}): it is ended");
            process.kill().await;
        }
    }
}

fn refused(error: &Error) -> Obstacle {
    Obstacle::new("ConfigurationRefused", format!("{error}; the configuration before stays"))
}

fn unusable(error: &io::Error) -> Obstacle {
    Obstacle::new("BirdDirUnusable", format!("bird.conf cannot be written (--bird-dir): {error}"))
}
