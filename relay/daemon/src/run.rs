//! The life of the process: check, start, serve, reload, end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    runtime::Builder,
    select,
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc::{Receiver, UnboundedReceiver, unbounded_channel},
    time::{Interval, MissedTickBehavior, interval},
};

use crate::{
    admin,
    cli::Options,
    config,
    failure::{Failure, host},
    metrics::Metrics,
    preflight,
    relay::Relay,
    shared::Shared,
    watch::Watch,
    workers::Watchdog,
};

/// How often the workers are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How often the routes are looked at.
const KEEP: Duration = Duration::from_secs(5);

/// Runs until a signal or a failure.
pub(crate) fn run(options: Options) -> Result<(), Failure> {
    // One thread for everything that is not packets.
    let mut runtime = Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).thread_name("culvert-control").enable_all().build();
    let runtime = runtime.map_err(|error| host("no runtime", error))?;
    let result = runtime.block_on(start_and_serve(options));
    // Requests in flight are not waited for.
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}

async fn start_and_serve(options: Options) -> Result<(), Failure> {
    let signals = Signals::listen()?;
    let watch = Watch::start(options.config.clone());
    let first = config::load(&options.config).map_err(Failure::Config)?;
    preflight::check()?;
    let listener = listen(options.admin).await?;
    let metrics = Metrics::new().map_err(Failure::Broken)?;
    let shared = Arc::new(Shared::new(options.queues(), options.config.clone()));
    let (ended, worker_ended) = unbounded_channel();
    let relay = Relay::start(options, Arc::clone(&shared), first, &ended).await?;
    tokio::spawn(admin::serve(listener, Arc::clone(&shared), relay.host().clone(), metrics));
    serve(relay, &shared, signals, watch.spawn(), worker_ended).await
}

/// Forwards, and reacts to whatever happens meanwhile.
async fn serve(
    mut relay: Relay,
    shared: &Shared,
    mut signals: Signals,
    mut changes: Receiver<()>,
    mut worker_ended: UnboundedReceiver<String>,
) -> Result<(), Failure> {
    let mut watchdog = Watchdog::default();
    let (mut look, mut keep) = (every(LOOK), every(KEEP));
    loop {
        select! {
            signal = signals.next() => match signal {
                Asked::Reload => relay.reload().await,
                Asked::End => break,
            },
            Some(()) = changes.recv() => relay.reload().await,
            why = worker_ended.recv() => {
                relay.stop().await;
                return Err(Failure::Broken(why.unwrap_or_default()));
            }
            _ = look.tick() => {
                shared.expire_fragments();
                let hung = watchdog.look(&shared.workers());
                shared.status().hung = hung.suspects;
                if !hung.lost.is_empty() {
                    relay.abandon().await;
                    return Err(Failure::Broken(format!("workers {:?} hang: a bug in the relay or the kernel", hung.lost)));
                }
            }
            _ = keep.tick() => relay.keep_routes().await,
        }
    }
    tracing::info!("ending: withdrawing the routes");
    relay.stop().await;
    tracing::info!("ended");
    Ok(())
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
