//! From a fleet to traffic, and from one fleet to the next without losing a packet.

mod gate;
mod revisions;
mod sides;
mod target;

use std::{
    collections::BTreeSet,
    net::Ipv4Addr,
    sync::Arc,
    time::{Duration, Instant},
};

use engine::{Defaults, Snapshot};
use jiff::Timestamp;
use mape::DomainName;
use pod::Replaced;
use tokio::{
    sync::{mpsc::UnboundedSender, watch},
    task::block_in_place,
    time::sleep,
};
use tracing::{Instrument, debug_span};

pub(crate) use self::target::Target;
use self::{gate::Gate, revisions::Revisions};
use crate::{
    cli::Options,
    config,
    failure::Failure,
    host::{Host, Kernel, View, Ways},
    leaving::{FLUSH, Leaving, together},
    obstacles::Obstacle,
    peers::Speech,
    plan::{Announcement, Plan},
    revision::Offer,
    routers::Routers,
    self_test,
    shared::{Device, Shared},
    tun,
    workers::Workers,
};

/// As long at least are prefixes announced that others have replaced: a route takes a moment through BIRD and into a router's
/// tables.
const LEAST_NOTICE: Duration = Duration::from_secs(1);

/// A relay that forwards.
pub(crate) struct Relay {
    options: Options,
    shared: Arc<Shared>,
    host: Host,
    workers: Workers,
    /// The sides, as last seen.
    view: View,
    routers: Routers,
    /// What the speaker said, where there is one.
    speech: Option<Speech>,
    /// What it speaks from.
    source: Ipv4Addr,
    /// What it shall forward.
    target: Target,
    /// What it forwards besides, for a while.
    leaving: Leaving,
    /// What it announces besides, for a while.
    replaced: Replaced<DomainName>,
    /// Whether routes are announced.
    gate: Gate,
    /// Where packets that leave look for their way.
    ways: Ways,
    /// What is on the box now.
    plan: Plan,
    revisions: Revisions,
    /// Obstacles that are in the log.
    told: Vec<Obstacle>,
    /// Rules and next hops are to be looked at even if no interface has changed.
    fit_is_due: bool,
}

impl Relay {
    /// Opens the device, starts the workers, and leads the traffic of `first` to them.
    ///
    /// # Errors
    /// Whatever keeps it from forwarding; nothing is left behind then.
    pub(crate) async fn start(
        options: Options,
        shared: Arc<Shared>,
        first: Target,
        ended: &UnboundedSender<String>,
    ) -> Result<Self, Failure> {
        let kernel = Kernel::connect(options.table(), &options.sides)?;
        let view = View::new(kernel.look().await?, Vec::new(), BTreeSet::new());
        let source = options.ipv4_source(view.ipv4_source());
        let plan = Plan::new(&first.fleet, source).map_err(Failure::Host)?;
        let obstacles = kernel.obstacles(None, &Plan::default().change_to(&plan).new_routes).await?;
        if !obstacles.is_empty() {
            return Err(Failure::Host(obstacles.join("; ")));
        }
        let mut relay = Self::open(kernel, options, shared, ended, view, source).await?;
        let result = if relay.options.by_revision() {
            relay.first_revision().await;
            Ok(())
        } else {
            relay.take(first).await
        };
        match result {
            Ok(()) => Ok(relay.announce_start()),
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
        view: View,
        source: Ipv4Addr,
    ) -> Result<Self, Failure> {
        let queues = tun::create(&options.tun_name, shared.progress.len())?;
        let (host, test) = kernel.prepare(&options.tun_name, options.tun_queue_length).await?;
        let workers = match Workers::start(queues, &shared, ended) {
            Ok(workers) => workers,
            Err(failure) => {
                host.clean_up().await;
                return Err(failure);
            }
        };
        if let Some(device) = test {
            tokio::spawn(self_test::run(device, Arc::clone(&shared), ended.clone()));
        }
        // Without sides nobody asks whether it would forward: it says so at once.
        let gate = if options.sides.is_empty() { Gate::Open } else { Gate::Closed };
        let revisions = Revisions::new(&options, &shared);
        let speech = options.peer_state.as_ref().map(|_| Speech::none_yet());
        let routers = Routers::new(&options.sides, &options.next_hops);
        let (target, leaving, replaced) = (Target::default(), Leaving::default(), Replaced::default());
        Ok(Self {
            options,
            shared,
            host,
            workers,
            view,
            routers,
            speech,
            source,
            target,
            leaving,
            replaced,
            gate,
            ways: Ways::Together,
            plan: Plan::default(),
            revisions,
            told: Vec::new(),
            fit_is_due: true,
        })
    }

    /// Reads the manifests again and, if they are sound and say something else, forwards by them.
    pub(crate) async fn reload(&mut self) {
        let paths = self.options.config.clone();
        let loaded = tokio::task::spawn_blocking(move || config::load(&paths)).await;
        let result = match loaded {
            Ok(Ok(loaded)) => self.take_manifests(Target::from(loaded)).await,
            Ok(Err(errors)) => Err(errors),
            Err(panic) => Err(vec![format!("the manifests cannot be read: {panic}")]),
        };
        if let Err(errors) = result {
            for error in &errors {
                tracing::error!("manifests not taken, the old tables stay: {error}");
            }
            self.shared.update(|status| status.config.refused(errors));
        }
    }

    async fn take_manifests(&mut self, next: Target) -> Result<(), Vec<String>> {
        if next.hash == self.target.hash {
            self.shared.update(|status| status.config.error = None);
            tracing::debug!("manifests say the same as before");
            return Ok(());
        }
        self.take(next).await?;
        self.shared.update(|status| {
            status.config.reloads += 1;
            status.config.error = None;
        });
        tracing::info!(
            hash = self.target.hash,
            domains = self.target.fleet.domains().len(),
            routes = self.plan.routes.len(),
            "manifests taken"
        );
        Ok(())
    }

    /// Takes an offer of a revision, if it is the newest that is sound.
    pub(crate) async fn consider(&mut self, offer: Offer) {
        revisions::consider(self, offer).await;
    }

    async fn first_revision(&mut self) {
        for offer in self.revisions.kept() {
            self.consider(offer).await;
        }
    }

    /// Looks whether the routes are still there and puts them back: what /readyz says follows.
    pub(crate) async fn keep_routes(&mut self) {
        self.fit_is_due = true;
        match self.host.restore(&self.plan, self.ways, self.odd_ports()).await {
            Ok(restored) => {
                if !restored.is_empty() {
                    tracing::warn!(?restored, "somebody changed what leads traffic here; it is as it was");
                }
                self.shared.update(|status| status.readiness.routes = true);
            }
            Err(failure) => {
                self.shared.update(|status| status.readiness.routes = false);
                failure.log();
            }
        }
    }

    /// Announces the routes if the relay would forward a packet now, and withdraws them if not.
    pub(crate) async fn gate(&mut self) {
        if self.options.sides.is_empty() {
            return;
        }
        let (faults, draining) = self.shared.faults();
        let notice = self.options.notice();
        let next = self.gate.next(faults.is_empty(), draining, notice, Instant::now());
        if next == self.gate {
            return;
        }
        self.gate = next;
        match next {
            Gate::Open => tracing::info!("ready: the routes are announced"),
            Gate::Leaving { .. } => tracing::info!("draining: the routes are announced with GRACEFUL_SHUTDOWN"),
            Gate::Closed if faults.is_empty() => tracing::info!("draining: the routes are no longer announced"),
            Gate::Closed => tracing::warn!(reasons = ?faults, "not ready: the routes are no longer announced"),
        }
        if let Err(errors) = self.apply_again(false).await {
            tracing::error!("the routes cannot be changed: {}", errors.join("; "));
        }
        self.shared.update(|status| status.gate(next.announcement(), &faults));
    }

    /// When something has had its time, next.
    pub(crate) fn next_step(&self) -> Option<Instant> {
        [self.leaving.next(Instant::now()), self.replaced.next(), self.gate.until()].into_iter().flatten().min()
    }

    /// Does what is due: stops announcing, or forwarding, what has had its time.
    pub(crate) async fn step(&mut self) {
        self.gate().await;
        let now = Instant::now();
        let tables = self.leaving.forget(now);
        self.replaced.forget(now);
        if let Err(errors) = self.apply_again(tables).await {
            tracing::error!("what was removed cannot be withdrawn: {}", errors.join("; "));
        }
    }

    /// Withdraws everything, lets the queues run dry, and ends.
    pub(crate) async fn stop(self) {
        self.withdraw().await;
        sleep(FLUSH).await;
        self.workers.stop();
        self.host.clean_up().await;
    }

    /// Withdraws everything, and leaves the workers behind: for when they can no longer be stopped.
    pub(crate) async fn abandon(self) {
        self.withdraw().await;
        self.host.clean_up().await;
    }

    async fn withdraw(&self) {
        self.shared.update(|status| status.readiness.ending = true);
        self.host.remove_routes(self.plan.routes.keys().copied(), &self.plan).await;
    }

    /// Which queues have packets in them.
    pub(crate) fn pending(&self) -> Vec<bool> {
        self.workers.pending()
    }

    /// The box it runs on.
    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// Changes of what is reported.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.shared.board.changes()
    }

    /// Forwards by `next` from now on, and by what it lacks of the one before for as long as that drains. On an error
    /// nothing has changed, or the next look puts right what has.
    async fn take(&mut self, next: Target) -> Result<(), Vec<String>> {
        let now = Instant::now();
        let mut leaving = self.leaving.clone();
        leaving.depart(&self.target.configs, &next.configs, now, self.options.drain());
        let mut replaced = self.replaced.clone();
        let old = self.target.configs.iter().map(|config| (config, &config.name));
        replaced.depart(old, &next.configs, now + self.options.notice().max(LEAST_NOTICE), DomainName::clone);
        let plan = self.plan_for(&next, &leaving, &replaced, now)?;
        let lines = |failure: Failure| failure.lines().to_vec();
        let obstacles = self.host.obstacles(&self.plan.change_to(&plan).new_routes).await.map_err(lines)?;
        if !obstacles.is_empty() {
            return Err(obstacles);
        }
        (self.target, self.leaving, self.replaced) = (next, leaving, replaced);
        self.apply(plan, true).instrument(debug_span!("apply")).await?;
        self.activated();
        Ok(())
    }

    /// The same target, after something else changed. `tables`: that something is in the tables.
    async fn apply_again(&mut self, tables: bool) -> Result<(), Vec<String>> {
        let plan = self.plan_for(&self.target, &self.leaving, &self.replaced, Instant::now())?;
        self.apply(plan, tables).await
    }

    fn plan_for(
        &self,
        target: &Target,
        leaving: &Leaving,
        replaced: &Replaced<DomainName>,
        now: Instant,
    ) -> Result<Plan, Vec<String>> {
        let plan = Plan::new(&target.fleet, self.source).map_err(|error| vec![error])?;
        let plan = plan.with_leaving(leaving.routed(now), self.source);
        let plan = plan.with_replaced(replaced.announced(now), self.source);
        let plan = if self.options.sides.is_empty() {
            plan
        } else {
            let present = self.host.addresses_of_others(&self.view);
            plan.with_mape_prefixes(&target.fleet).without_addresses(&present)
        };
        Ok(plan.at_most(self.gate.announcement()))
    }

    /// Makes `plan` and the tables what the relay works by, in the order that loses nothing: what is no longer announced
    /// is withdrawn before the tables change, what comes is announced after.
    async fn apply(&mut self, plan: Plan, tables: bool) -> Result<(), Vec<String>> {
        let lines = |failure: Failure| failure.lines().to_vec();
        let change = self.plan.change_to(&plan);
        self.host.add_addresses(&change.new_addresses).await.map_err(lines)?;
        let before = std::mem::replace(&mut self.plan, plan);
        self.host.change_routes(&change.quieter_routes, &before).await.map_err(lines)?;
        // What leaves an aggregate has routes of its own before that goes: the tables know it already.
        let (local, announced): (Vec<_>, Vec<_>) =
            change.new_routes.into_iter().partition(|(_, route)| route.announcement == Announcement::Local);
        self.host.add_routes(&local).await.map_err(lines)?;
        self.host.remove_routes(change.old_routes, &before).await;
        if tables {
            block_in_place(|| debug_span!("swap tables").in_scope(|| self.swap()));
        }
        let ways = if self.plan.has_mape_prefixes { Ways::Apart } else { Ways::Together };
        if ways != self.ways {
            self.host.fit(&self.view, ways).await.map_err(lines)?;
            self.ways = ways;
        }
        self.host.add_routes(&announced).await.map_err(lines)?;
        self.host.change_routes(&change.louder_routes, &before).await.map_err(lines)?;
        self.host.remove_routes(change.covered_routes, &before).await;
        self.host.remove_addresses(&change.old_addresses).await;
        let leaving = !self.leaving.is_empty() || !self.replaced.is_empty();
        self.shared.update(|status| (status.config.routes, status.leaving) = (self.plan.routes.len(), leaving));
        Ok(())
    }

    /// Compiles the tables, and has the workers use them.
    fn swap(&self) {
        let test = (!self.options.sides.is_empty()).then(self_test::domain);
        let extra = self.leaving.forwarded().chain(test.as_ref());
        let union = together(&self.target.configs, extra);
        let fleet = union.as_ref().unwrap_or(&self.target.fleet);
        let defaults = Defaults { ipv4_source: self.source };
        let snapshot = Snapshot::compile(fleet, &self.shared.memory, &defaults);
        self.shared.snapshot.store(Arc::new(snapshot));
    }

    fn activated(&self) {
        let activation = self.target.activation(Timestamp::now());
        self.shared.update(|status| {
            self.target.describe(&mut status.config);
            status.readiness.loaded = true;
            status.remember(activation);
        });
    }

    fn announce_start(self) -> Self {
        self.shared.update(|status| {
            status.device = Some(Device {
                tun: self.host.tun().clone(),
                table: self.options.table(),
                queue_length: self.options.tun_queue_length,
                ipv4_source: self.source,
            });
            status.readiness.routes = true;
            status.announcement = self.gate.announcement();
        });
        let tun = self.host.tun();
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            tun = tun.name,
            queues = self.shared.progress.len(),
            queue_length = self.options.tun_queue_length,
            rp_filter = tun.rp_filter,
            ipv4_source = %self.source,
            route_table = %self.options.table(),
            admin = %self.options.admin,
            domains = self.target.fleet.domains().len(),
            rules = self.target.fleet.rules().count(),
            routes = self.plan.routes.len(),
            hash = self.target.hash,
            revision = self.target.sequence,
            startup_ms = Timestamp::now().duration_since(self.shared.started).as_millis(),
            "forwarding"
        );
        self
    }
}
