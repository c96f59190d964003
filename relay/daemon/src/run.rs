//! The life of the process: check, start, serve, reload, end.

use std::{
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use pod::Watch;
use telemetry::Telemetry;
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    select,
    signal::unix::{Signal, SignalKind, signal},
    sync::{
        mpsc::{Receiver, UnboundedReceiver, unbounded_channel},
        watch,
    },
    time::{Interval, MissedTickBehavior, interval, sleep_until},
};

use crate::{
    admin, capture,
    cli::{Family, Options},
    config,
    failure::{Failure, host},
    host::Host,
    metrics::{Metrics, Sample},
    peers::{self, Speech},
    preflight,
    relay::{Relay, Target},
    revision::{self, Offer, api, mounted},
    shared::{Identity, SelfTest, Shared},
    watchdog::{Pulse, Watchdog},
};

/// How often the workers and the sides are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How often the routes are looked at.
const KEEP: Duration = Duration::from_secs(5);

/// The kernel tells of many small changes at once: the first is looked at at once, those that follow together.
const SETTLE: Duration = Duration::from_millis(20);

/// Runs until a signal or a failure.
pub(crate) fn run(options: Options, mut telemetry: Telemetry) -> Result<(), Failure> {
    options.check().map_err(Failure::Host)?;
    let runtime = runtime()?;
    let result = runtime.block_on(start_and_serve(options, &mut telemetry));
    // Its last look at the metrics needs the runtime.
    drop(telemetry);
    // Requests in flight are not waited for.
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}

/// Sleeps until a signal.
pub(crate) fn wait() -> Result<(), Failure> {
    runtime()?.block_on(async {
        let mut signals = Signals::listen()?;
        while matches!(signals.next().await, Asked::Reload) {}
        Ok(())
    })
}

/// One thread for everything that is not packets.
fn runtime() -> Result<Runtime, Failure> {
    let mut runtime = Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).thread_name("culvert-control").enable_all().build();
    runtime.map_err(|error| host("no runtime", error))
}

async fn start_and_serve(options: Options, telemetry: &mut Telemetry) -> Result<(), Failure> {
    let signals = Signals::listen()?;
    let watch = Watch::start(options.config.clone(), config::is_manifest);
    let mounted = options.revision_dir.clone().map(|folder| (mounted::start(&folder), folder));
    let first = match options.by_revision() {
        true => Target::default(),
        false => config::load(&options.config).map_err(Failure::Config)?.into(),
    };
    preflight::check(&options)?;
    let listener = listen(options.admin).await?;
    let metrics = Arc::new(Metrics::new().map_err(Failure::Broken)?);
    let shared = Arc::new(shared(&options));
    let (ended, worker_ended) = unbounded_channel();
    let (offer, offers) = revision::offers();
    let watched = options.fleet.clone().filter(|_| options.watch);
    let speaker = options.peer_state.clone().map(peers::listen);
    let (capture_socket, state_dir) = (options.capture_socket(), options.state_dir.clone());
    let relay = Relay::start(options, Arc::clone(&shared), first, &ended).await?;
    if let Some((watch, folder)) = mounted {
        let offer = offer.clone();
        tokio::spawn(async move { mounted::watch(watch, &folder, offer).await });
    }
    if let Some(fleet) = watched {
        tokio::spawn(api::watch(fleet, offer.clone(), shared.contact.clone()));
    }
    let _captures = capture_socket.and_then(|path| captures(&path, &shared));
    push(telemetry, &metrics, &shared, relay.host());
    tokio::spawn(admin::serve(listener, Arc::clone(&shared), relay.host().clone(), metrics, state_dir));
    let sources = Sources { manifests: watch.spawn(), offers, speaker, events: relay.host().events()?, _offer: offer };
    serve(relay, &shared, signals, sources, worker_ended).await
}

fn shared(options: &Options) -> Shared {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let fleet = options.fleet.as_ref().map(ToString::to_string);
    let identity = Identity { fleet, pod: variable("POD_NAME"), node: variable("NODE_NAME") };
    let shared = Shared::new(options.queues(), options.config.clone(), identity);
    if !options.sides.is_empty() {
        let test = SelfTest::new(options.queues());
        // Nobody has looked yet.
        shared.update(|status| {
            (status.readiness.self_test, status.readiness.down) = (Some(test), Family::ALL.to_vec());
            status.readiness.silent = options.peer_state.is_some();
        });
    }
    shared
}

/// Lets captures be asked for. A relay that cannot forwards all the same.
fn captures(path: &Path, shared: &Arc<Shared>) -> Option<capture::Server> {
    let served = capture::serve(path, Arc::clone(shared));
    let warn = |error: &std::io::Error| tracing::warn!(%error, "no captures at {} (--capture-socket)", path.display());
    served.inspect_err(warn).ok()
}

/// What can be scraped goes to the collector too, where there is one.
fn push(telemetry: &mut Telemetry, metrics: &Arc<Metrics>, shared: &Arc<Shared>, host: &Host) {
    let (metrics, shared, host) = (Arc::clone(metrics), Arc::clone(shared), host.clone());
    telemetry.push(move || {
        let (metrics, shared, host) = (Arc::clone(&metrics), Arc::clone(&shared), host.clone());
        async move {
            let links = host.link_drops().await;
            Ok(metrics.gather(Sample::take(&shared, links)))
        }
    });
}

/// Where news come from.
struct Sources {
    manifests: Receiver<()>,
    offers: Receiver<Offer>,
    /// What the speaker says, where there is one.
    speaker: Option<watch::Receiver<Speech>>,
    /// Of interfaces, addresses and neighbours.
    events: Receiver<()>,
    /// Kept, so that there may be offers as long as the relay runs.
    _offer: tokio::sync::mpsc::Sender<Offer>,
}

/// Forwards, and reacts to whatever happens meanwhile.
async fn serve(
    mut relay: Relay,
    shared: &Shared,
    mut signals: Signals,
    mut sources: Sources,
    mut worker_ended: UnboundedReceiver<String>,
) -> Result<(), Failure> {
    let (mut watchdog, pulse) = (Watchdog::default(), Pulse::watched()?);
    let (mut look, mut keep) = (every(LOOK), every(KEEP));
    let mut changes = relay.changes();
    let mut seen = Instant::now();
    loop {
        pulse.beat();
        let step = relay.next_step();
        select! {
            // What others wait for first.
            biased;
            signal = signals.next() => match signal {
                Asked::Reload => relay.reload().await,
                Asked::End => break,
            },
            speech = heard(&mut sources.speaker) => relay.hear(speech).await,
            Some(()) = next(&mut sources.events, seen + SETTLE) => {
                relay.look_at_sides(false).await;
                seen = Instant::now();
            }
            why = worker_ended.recv() => {
                relay.stop().await;
                return Err(Failure::Broken(why.unwrap_or_default()));
            }
            () = until(step) => relay.step().await,
            Ok(()) = changes.changed() => relay.gate().await,
            Some(()) = sources.manifests.recv() => relay.reload().await,
            Some(offer) = sources.offers.recv() => relay.consider(offer).await,
            _ = look.tick() => {
                shared.expire_fragments();
                let hung = watchdog.look(&shared.workers(), &relay.pending());
                shared.update(|status| status.hung = hung.suspects);
                if !hung.lost.is_empty() {
                    relay.abandon().await;
                    return Err(Failure::Broken(format!("workers {:?} hang: a bug in the relay or the kernel", hung.lost)));
                }
                relay.look_at_sides(true).await;
            }
            _ = keep.tick() => {
                shared.note_drops();
                relay.keep_routes().await;
            }
        }
    }
    tracing::info!("ending: withdrawing the routes");
    relay.stop().await;
    tracing::info!("ended");
    Ok(())
}

/// What the speaker has to say next.
async fn heard(speaker: &mut Option<watch::Receiver<Speech>>) -> Speech {
    let Some(speaker) = speaker else { return std::future::pending().await };
    match speaker.changed().await {
        Ok(()) => speaker.borrow_and_update().clone(),
        Err(_) => std::future::pending().await,
    }
}

/// The next event, not before that time.
async fn next(events: &mut Receiver<()>, not_before: Instant) -> Option<()> {
    sleep_until(not_before.into()).await;
    events.recv().await
}

/// Returns at that time, or never.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .await
        .map_err(|error| host(format_args!("the HTTP server cannot listen on {address} (--admin)"), error))
}

fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// What a signal asks for.
enum Asked {
    Reload,
    End,
}

/// The signals that mean something here.
struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| host("no signal handler", error));
        Ok(Self {
            hangup: listen(SignalKind::hangup())?,
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Asked {
        select! {
            _ = self.hangup.recv() => Asked::Reload,
            _ = self.interrupt.recv() => Asked::End,
            _ = self.terminate.recv() => Asked::End,
        }
    }
}
