//! Structured logs on standard error.

use std::io;

use clap::{Args, ValueEnum};
use tracing_subscriber::{filter::LevelFilter, fmt};

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
    /// Starts writing log lines. Once in a process.
    pub fn start(self) {
        let level = match self.level {
            Level::Error => LevelFilter::ERROR,
            Level::Warn => LevelFilter::WARN,
            Level::Info => LevelFilter::INFO,
            Level::Debug => LevelFilter::DEBUG,
            Level::Trace => LevelFilter::TRACE,
        };
        let lines = fmt().with_max_level(level).with_writer(io::stderr).with_target(false);
        match self.format {
            Format::Text => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).init(),
            Format::Json => lines.json().flatten_event(true).init(),
        }
    }
}
