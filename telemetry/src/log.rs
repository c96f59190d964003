//! Structured logs on standard error.

use std::io::{self, IsTerminal};

use clap::{Args, ValueEnum};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer, filter::Targets, fmt, layer::SubscriberExt, registry::LookupSpan, util::SubscriberInitExt,
};

use crate::Program;

/// The flags about them.
#[derive(Debug, Clone, Copy, Args)]
pub struct Log {
    /// How log lines look; they go to standard error
    #[arg(long = "log-format", value_name = "FORMAT", env = "CULVERT_LOG_FORMAT", default_value = "text")]
    format: Format,

    /// Least severe log lines to write
    #[arg(long = "log-level", value_name = "LEVEL", env = "CULVERT_LOG_LEVEL", default_value = "info")]
    level: Level,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Log {
    /// Starts writing log lines, and nothing else. Once in a process.
    pub fn start(self, program: &Program) {
        tracing_subscriber::registry().with(self.lines(program)).init();
    }

    pub(crate) fn lines<S>(self, program: &Program) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let lines = fmt::layer().with_writer(io::stderr).with_target(false);
        let lines = match self.format {
            Format::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
            Format::Json => lines.json().flatten_event(true).boxed(),
        };
        lines.with_filter(self.filter(program))
    }

    /// Libraries speak up when something is wrong.
    fn filter(self, program: &Program) -> Targets {
        let level = match self.level {
            Level::Error => LevelFilter::ERROR,
            Level::Warn => LevelFilter::WARN,
            Level::Info => LevelFilter::INFO,
            Level::Debug => LevelFilter::DEBUG,
            Level::Trace => LevelFilter::TRACE,
        };
        let ours = program.crates.iter().map(|name| (*name, level));
        Targets::new().with_default(level.min(LevelFilter::WARN)).with_targets(ours)
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level as Severity;

    use super::*;

    const PROGRAM: Program = Program { name: "culvert-test", version: "1", crates: &["culvert_test", "pod"] };

    #[test]
    fn flags_are_about_our_own_lines() {
        let filter = |level| Log { format: Format::Text, level }.filter(&PROGRAM);
        assert!(filter(Level::Debug).would_enable("culvert_test::run", &Severity::DEBUG));
        assert!(filter(Level::Debug).would_enable("pod::api", &Severity::DEBUG));
        assert!(!filter(Level::Debug).would_enable("h2", &Severity::DEBUG));
        assert!(filter(Level::Debug).would_enable("h2", &Severity::WARN));
        assert!(!filter(Level::Error).would_enable("h2", &Severity::WARN));
    }
}
