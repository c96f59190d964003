//! The life of the process: listen, watch, apply, look, leave.

use std::{
    future::ready,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use pod::{Offer, api, mounted, offers};
use telemetry::Telemetry;
use tokio::{
    net::TcpListener,
    runtime::Builder,
    select,
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc::{Receiver, channel},
    time::{Interval, MissedTickBehavior, interval, sleep, sleep_until},
};

use crate::{admin, cli::Options, host::Host, leave::Leave, metrics, peers, shared::Shared, speaker::Speaker};

/// How often BIRD is looked at. It logs what happens, and that is looked at straight away; this is for what it does not
/// log: failover depends on it.
const LOOK: Duration = Duration::from_millis(150);

/// How often all else is looked at.
const KEEP: Duration = Duration::from_secs(5);

/// Small changes come many at once: they are looked at together.
const SETTLE: Duration = Duration::from_millis(20);

/// BIRD logs a line before the thing has quite happened.
const SETTLE_BIRD: Duration = Duration::from_millis(2);

/// Runs until it has left.
///
/// # Errors
/// What keeps it from starting.
pub(crate) fn run(options: Options, mut telemetry: Telemetry) -> Result<(), String> {
    // One thread: BIRD ends with the thread that started it.
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| format!("no runtime: {error}"))?;
    let result = runtime.block_on(start_and_serve(options, &mut telemetry));
    // Requests in flight are not waited for.
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}

async fn start_and_serve(options: Options, telemetry: &mut Telemetry) -> Result<(), String> {
    let signals = Signals::listen()?;
    let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    let pod = variable("POD_NAME").ok_or("POD_NAME says nothing: router IDs and the drain list need the pod's name")?;
    let shared = Arc::new(Shared::new(options.fleet.clone(), pod, variable("NODE_NAME").unwrap_or_default()));
    let listener = TcpListener::bind(options.admin).await;
    let listener =
        listener.map_err(|error| format!("the HTTP server cannot listen on {} (--admin): {error}", options.admin))?;
    let socket = peers::listen(&options.run_dir)?;
    let (host, events) = (Host::connect()?, Host::events()?);
    let (offer, offers) = offers();
    if let Some(folder) = options.revision_dir.clone() {
        let (watch, offer) = (mounted::start(&folder), offer.clone());
        tokio::spawn(async move {
            // What is there already, before any change.
            let _ = offer.send(first(&folder)).await;
            mounted::watch(watch, &folder, offer).await;
        });
    }
    if options.watch {
        tokio::spawn(api::watch(options.fleet.clone(), offer.clone(), shared.contact.clone()));
    }
    tokio::spawn(peers::serve(socket, Arc::clone(&shared)));
    let pushed = Arc::clone(&shared);
    telemetry.push(move || ready(metrics::gather(&pushed).map_err(|error| error.to_string())));
    tokio::spawn(admin::serve(listener, Arc::clone(&shared)));
    let (tell, news) = channel(1);
    let passwords = options.passwords_dir.clone().map(|folder| (mounted::start(&folder).spawn(), folder));
    let mut speaker = Speaker::new(&options, shared, host, tell);
    if let Some((_, folder)) = &passwords {
        speaker.read_passwords(folder).await;
    }
    let sources = Sources { offers, passwords, events, news, _offer: offer };
    serve(speaker, signals, sources).await;
    Ok(())
}

fn first(folder: &std::path::Path) -> Offer {
    let files = mounted::read(folder).unwrap_or_else(|error| {
        tracing::warn!(folder = %folder.display(), %error, "the mounted revision cannot be read");
        crds::revision::Files::new()
    });
    Offer { source: pod::Source::Mounted, files }
}

/// Where news come from.
struct Sources {
    offers: Receiver<Offer>,
    passwords: Option<(Receiver<()>, PathBuf)>,
    /// Of interfaces and addresses.
    events: Receiver<()>,
    /// Of BIRD.
    news: Receiver<()>,
    /// Kept, so that there may be offers as long as the speaker runs.
    _offer: tokio::sync::mpsc::Sender<Offer>,
}

/// Speaks, and reacts to whatever happens meanwhile, until it has left.
async fn serve(mut speaker: Speaker, mut signals: Signals, mut sources: Sources) {
    let (mut look, mut keep) = (every(LOOK), every(KEEP));
    while speaker.leave != Leave::Over {
        let (restart, step) = (speaker.keeper.due(), speaker.leave.due());
        select! {
            () = signals.next() => speaker.leave().await,
            why = speaker.keeper.ended() => {
                speaker.keeper.gone(&why);
                speaker.look().await;
            }
            () = until(restart) => {
                speaker.keeper.start().await;
                // What it could not be told while it was away.
                speaker.look_at_pod().await;
            }
            () = until(step) => speaker.go_on().await,
            Some(()) = sources.news.recv() => {
                sleep(SETTLE_BIRD).await;
                let _ = sources.news.try_recv();
                speaker.look().await;
            }
            Some(offer) = sources.offers.recv() => speaker.consider(offer).await,
            folder = changed(&mut sources.passwords) => speaker.read_passwords(&folder).await,
            Some(()) = sources.events.recv() => {
                sleep(SETTLE).await;
                let _ = sources.events.try_recv();
                speaker.look_at_pod().await;
            }
            _ = look.tick() => speaker.look().await,
            _ = keep.tick() => speaker.look_at_pod().await,
        }
    }
    speaker.goodbye().await;
    tracing::info!("ended");
}

/// Returns when the passwords have changed, with where they are.
async fn changed(passwords: &mut Option<(Receiver<()>, PathBuf)>) -> PathBuf {
    if let Some((changes, folder)) = passwords
        && changes.recv().await.is_some()
    {
        return folder.clone();
    }
    std::future::pending().await
}

/// Returns at that time, or never.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// The signals that end it.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Result<Self, String> {
        let listen = |kind| signal(kind).map_err(|error| format!("no signal handler: {error}"));
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
