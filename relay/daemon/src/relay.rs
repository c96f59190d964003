//! From a fleet to traffic, and from one fleet to the next without losing a packet.

use std::{sync::Arc, time::Duration};

use engine::{Defaults, Snapshot};
use jiff::Timestamp;
use mape::Fleet;
use tokio::{sync::mpsc::UnboundedSender, time::sleep};

use crate::{
    cli::Options,
    config::{self, Loaded},
    failure::Failure,
    host::{Host, Kernel},
    plan::Plan,
    shared::{Device, Shared},
    tun,
    workers::Workers,
};

/// How long packets are forwarded after their route was withdrawn: what is in the TUN's queue then must get through.
const DRAIN: Duration = Duration::from_millis(200);

/// A relay that forwards.
pub(crate) struct Relay {
    options: Options,
    shared: Arc<Shared>,
    host: Host,
    workers: Workers,
    /// What is on the box now.
    plan: Plan,
}

impl Relay {
    /// Opens the device, starts the workers, and leads the fleet's traffic to them.
    ///
    /// # Errors
    /// Whatever keeps it from forwarding; nothing is left behind then.
    pub(crate) async fn start(
        options: Options,
        shared: Arc<Shared>,
        first: Loaded,
        ended: &UnboundedSender<String>,
    ) -> Result<Self, Failure> {
        let plan = Plan::new(&first.fleet, options.ipv4_source).map_err(Failure::Host)?;
        let kernel = Kernel::connect(options.route_table)?;
        let obstacles = kernel.obstacles(None, &Plan::default().change_to(&plan).new_routes).await?;
        if !obstacles.is_empty() {
            return Err(Failure::Host(obstacles.join("; ")));
        }
        let mut relay = Self::open(kernel, options, shared, ended).await?;
        match relay.activate(&first, plan).await {
            Ok(()) => Ok(relay.announce_start(&first)),
            Err(errors) => {
                relay.stop().await;
                Err(Failure::Host(errors.join("; ")))
            }
        }
    }

    /// Opens the device and starts the workers: ready for traffic that nothing leads here yet.
    async fn open(
        kernel: Kernel,
        options: Options,
        shared: Arc<Shared>,
        ended: &UnboundedSender<String>,
    ) -> Result<Self, Failure> {
        let queues = tun::create(&options.tun_name, shared.progress.len())?;
        let host = kernel.prepare(&options.tun_name, options.tun_queue_length).await?;
        match Workers::start(queues, &shared, ended) {
            Ok(workers) => Ok(Self { options, shared, host, workers, plan: Plan::default() }),
            Err(failure) => {
                host.clean_up().await;
                Err(failure)
            }
        }
    }

    /// Reads the manifests again and, if they are sound and say something else, forwards by them.
    pub(crate) async fn reload(&mut self) {
        let paths = self.options.config.clone();
        let loaded = tokio::task::spawn_blocking(move || config::load(&paths)).await;
        let result = match loaded {
            Ok(Ok(loaded)) => self.take(&loaded).await,
            Ok(Err(errors)) => Err(errors),
            Err(panic) => Err(vec![format!("the manifests cannot be read: {panic}")]),
        };
        if let Err(errors) = result {
            for error in &errors {
                tracing::error!("manifests not taken, the old tables stay: {error}");
            }
            self.shared.status().config.refused(errors);
        }
    }

    /// Looks whether the routes are still there and puts them back: what /readyz says follows.
    pub(crate) async fn keep_routes(&self) {
        match self.host.restore(&self.plan).await {
            Ok(restored) => {
                if !restored.is_empty() {
                    tracing::warn!(?restored, "somebody removed what leads traffic here; it is back");
                }
                self.shared.set_ready(true);
            }
            Err(failure) => {
                self.shared.set_ready(false);
                failure.log();
            }
        }
    }

    /// Withdraws everything, lets the queues run dry, and ends.
    pub(crate) async fn stop(self) {
        self.withdraw().await;
        sleep(DRAIN).await;
        self.workers.stop();
        self.host.clean_up().await;
    }

    /// Withdraws everything, and leaves the workers behind: for when they can no longer be stopped.
    pub(crate) async fn abandon(self) {
        self.withdraw().await;
        self.host.clean_up().await;
    }

    async fn withdraw(&self) {
        self.shared.set_ready(false);
        self.host.remove_routes(self.plan.routes.keys().copied()).await;
    }

    /// The box it runs on.
    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    async fn take(&mut self, loaded: &Loaded) -> Result<(), Vec<String>> {
        if loaded.hash == self.shared.status().config.hash {
            self.shared.status().config.error = None;
            tracing::debug!("manifests say the same as before");
            return Ok(());
        }
        let plan = Plan::new(&loaded.fleet, self.options.ipv4_source).map_err(|error| vec![error])?;
        self.activate(loaded, plan).await?;
        let mut status = self.shared.status();
        status.config.reloads += 1;
        status.config.error = None;
        tracing::info!(
            hash = loaded.hash,
            domains = loaded.fleet.domains().len(),
            routes = self.plan.routes.len(),
            "manifests taken"
        );
        Ok(())
    }

    /// Makes `plan` and its fleet what the relay works by, in the order that loses nothing: prefixes that leave are
    /// withdrawn before the tables change, those that come are added after.
    async fn activate(&mut self, loaded: &Loaded, plan: Plan) -> Result<(), Vec<String>> {
        let lines = |failure: Failure| failure.lines().to_vec();
        let change = self.plan.change_to(&plan);
        let obstacles = self.host.obstacles(&change.new_routes).await.map_err(lines)?;
        if !obstacles.is_empty() {
            return Err(obstacles);
        }
        self.host.add_addresses(&change.new_addresses).await.map_err(lines)?;
        self.plan.addresses.extend(&change.new_addresses);
        if !change.old_routes.is_empty() {
            self.host.remove_routes(change.old_routes).await;
            sleep(DRAIN).await;
        }
        self.swap(&loaded.fleet);
        self.plan = plan;
        self.shared.status().config.activated(loaded.hash.clone(), &loaded.fleet, self.plan.routes.len());
        self.host.add_routes(&change.new_routes).await.map_err(lines)?;
        self.host.change_routes(&change.changed_routes).await.map_err(lines)?;
        self.host.remove_addresses(&change.old_addresses).await;
        Ok(())
    }

    fn swap(&self, fleet: &Fleet) {
        let defaults = Defaults { ipv4_source: self.options.ipv4_source };
        let snapshot = Snapshot::compile(fleet, &self.shared.memory, &defaults);
        self.shared.snapshot.store(Arc::new(snapshot));
    }

    fn announce_start(self, first: &Loaded) -> Self {
        self.shared.status().device = Some(Device {
            tun: self.host.tun().clone(),
            table: self.options.route_table,
            queue_length: self.options.tun_queue_length,
            ipv4_source: self.options.ipv4_source,
        });
        self.shared.set_ready(true);
        let tun = self.host.tun();
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            tun = tun.name,
            queues = self.shared.progress.len(),
            queue_length = self.options.tun_queue_length,
            rp_filter = tun.rp_filter,
            ipv4_source = %self.options.ipv4_source,
            route_table = %self.options.route_table,
            admin = %self.options.admin,
            domains = first.fleet.domains().len(),
            rules = first.fleet.rules().count(),
            routes = self.plan.routes.len(),
            hash = first.hash,
            startup_ms = Timestamp::now().duration_since(self.shared.started).as_millis(),
            "forwarding"
        );
        self
    }
}
