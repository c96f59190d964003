//! From what there is to what BIRD does, and back to those who ask.

use std::{path::Path, sync::Arc, time::Instant};

use jiff::Timestamp;
use pod::Offer;
use tokio::sync::mpsc::Sender;
use tracing::{Instrument, Span};

use crate::{
    bird::{Files, read::Protocol},
    cli::Options,
    host::Host,
    inputs::Inputs,
    keeper::{Keeper, Look},
    leave::Leave,
    plan::{Family, Obstacle, Plan},
    render::render,
    sessions::Sessions,
    shared::{Announced, Count, SessionState, Shared},
    trace::{self, News},
};

/// A speaker at work.
pub(crate) struct Speaker {
    shared: Arc<Shared>,
    host: Host,
    inputs: Inputs,
    pub(crate) keeper: Keeper,
    table: u32,
    /// What BIRD works by.
    plan: Option<Plan>,
    sessions: Sessions,
    announced: Announced,
    /// By session: how often what it announces had changed when it was last read.
    read_at: Vec<(String, u64)>,
    pub(crate) leave: Leave,
    /// Goes on until what is announced is as much as should be.
    announcing: Option<Span>,
    /// Obstacles that are in the log.
    told: Vec<Obstacle>,
}

impl Speaker {
    /// `news`: something has happened to BIRD.
    pub(crate) fn new(options: &Options, shared: Arc<Shared>, host: Host, news: Sender<()>) -> Self {
        Self {
            inputs: Inputs::new(options.fleet.clone(), &shared.pod, &shared.node),
            keeper: Keeper::new(options.bird.clone(), Files::new(&options.bird_dir), news),
            table: options.route_table,
            shared,
            host,
            plan: None,
            sessions: Sessions::default(),
            announced: Announced::default(),
            read_at: Vec::new(),
            leave: Leave::No,
            announcing: None,
            told: Vec::new(),
        }
    }

    /// Takes what a source of revisions has.
    pub(crate) async fn consider(&mut self, offer: Offer) {
        self.inputs.consider(offer).await;
        // A new fleet has other peers, and ways to them.
        self.inputs.look_at_pod(&self.host).await;
        self.refresh().await;
    }

    /// Reads the passwords again.
    pub(crate) async fn read_passwords(&mut self, folder: &Path) {
        self.inputs.read_passwords(folder);
        self.refresh().await;
    }

    /// Looks at the pod's network, and has BIRD work by it if it has changed, or if BIRD has not taken what it should work by. A
    /// plan of thousands of rules is not made anew for nothing.
    pub(crate) async fn look_at_pod(&mut self) {
        let is_other = self.inputs.look_at_pod(&self.host).await;
        let is_over = self.inputs.forget(Instant::now());
        if is_other || is_over || self.shared.board.read(|status| status.is_behind) {
            self.refresh().await;
        } else {
            self.report_inputs();
            self.look().await;
        }
    }

    /// Has BIRD work by what there is now.
    async fn refresh(&mut self) {
        let mut obstacles = self.inputs.obstacles();
        if let Some((plan, families)) = self.inputs.plan(self.leave.phase()) {
            let news = self.shared.board.read(|status| self.inputs.news(status.revision.as_ref()));
            let span = news.as_ref().map_or_else(Span::none, News::configure);
            let applied = self.keeper.apply(&render(&plan, self.table)).instrument(span.clone()).await;
            if let Err(obstacle) = &applied {
                trace::refused(&span, obstacle);
            }
            obstacles = plan.obstacles.iter().cloned().chain(applied.as_ref().err().cloned()).collect();
            let (generation, revision) = (self.inputs.generation(), self.inputs.revision());
            let wanted = Count::of(|family| plan.announcements.count(family) as u64);
            self.shared.update(|status| {
                status.is_behind = applied.is_err();
                (status.families, status.wanted) = (families, wanted);
                if applied.is_ok() {
                    (status.fleet_generation, status.revision) = (generation, revision);
                }
            });
            if applied.is_ok() {
                self.plan = Some(plan);
                self.announcing = news.map(|news| news.announce(wanted)).or(self.announcing.take());
            }
        }
        self.tell(&obstacles);
        self.shared.update(|status| status.obstacles = obstacles);
        self.report_inputs();
        self.look().await;
    }

    /// What the sources say, which depends on whether the API server has spoken.
    fn report_inputs(&self) {
        let api_has_spoken = self.shared.contact.has_spoken();
        let (refusal, listed) = (self.inputs.refusal(api_has_spoken), self.inputs.is_to_leave(api_has_spoken));
        let ending = self.leave != Leave::No;
        self.shared.update(|status| {
            status.refusal = refusal;
            (status.draining, status.ending) = (listed || ending, ending);
        });
    }

    fn tell(&mut self, obstacles: &[Obstacle]) {
        for obstacle in obstacles.iter().filter(|obstacle| !self.told.contains(obstacle)) {
            tracing::warn!(reason = obstacle.reason, "{}", obstacle.message);
        }
        self.told = obstacles.to_vec();
    }

    /// Looks at BIRD, and tells the relay and all others.
    pub(crate) async fn look(&mut self) {
        let look = self.keeper.look().await;
        let plan = self.plan.as_ref().map_or(&[][..], |plan| &plan.sessions);
        let sessions = self.sessions.read(plan, look.as_ref(), Timestamp::now());
        self.read_announced(look.as_ref()).await;
        self.publish(&sessions);
        let (bird, counts, announced) = (self.keeper.bird(), self.keeper.counts, self.announced.clone());
        let changes = self.shared.update(|status| {
            let changes = changes(&status.sessions, &sessions);
            (status.bird, status.counts, status.announced) = (bird, counts, announced);
            (status.sessions, status.alive) = (sessions, Some(Instant::now()));
            changes
        });
        for change in changes {
            tracing::info!("{change}");
        }
        if self.shared.board.read(|status| status.wanted == status.announced.count()) {
            self.announcing = None;
        }
    }

    /// The relay hears of each look, so that it knows that somebody looks.
    fn publish(&self, sessions: &[SessionState]) {
        self.shared.peers.send_modify(|peers| {
            let is_other = peers.sequence == 0 || peers.sessions.len() != sessions.len();
            let differs = |(a, b): (&SessionState, &SessionState)| told(a) != told(b);
            if is_other || peers.sessions.iter().zip(sessions).any(differs) {
                peers.sequence += 1;
            }
            peers.sessions = sessions.to_vec();
        });
    }

    /// Reads what is announced, if that can have changed.
    async fn read_announced(&mut self, look: Option<&Look>) {
        let established: Vec<&Protocol> =
            look.iter().flat_map(|look| &look.protocols).filter(|protocol| protocol.is_established()).collect();
        let at = |it: &&Protocol| (it.name.clone(), it.ipv4.changes + it.ipv6.changes);
        let now: Vec<(String, u64)> = established.iter().map(at).collect();
        if now == self.read_at {
            return;
        }
        let mut all = std::collections::BTreeSet::new();
        for protocol in established {
            all.extend(self.keeper.exported(&protocol.name).await.unwrap_or_default());
        }
        let (ipv6, ipv4) = all.into_iter().partition(|prefix| prefix.contains(':'));
        (self.announced, self.read_at) = (Announced { ipv4, ipv6 }, now);
    }

    /// SIGTERM: begins to leave, or goes on at once if it has begun.
    pub(crate) async fn leave(&mut self) {
        self.leave = match self.leave {
            Leave::No => {
                self.look().await;
                let is_announcing = self.announced != Announced::default();
                Leave::begin(Instant::now(), &self.inputs.drain(), is_announcing)
            }
            _ => Leave::Over,
        };
        tracing::info!(step = ?self.leave.phase(), "leaving");
        if self.leave != Leave::Over {
            self.refresh().await;
        }
    }

    /// The next step of the leave.
    pub(crate) async fn go_on(&mut self) {
        self.leave = self.leave.next(Instant::now());
        tracing::info!(step = ?self.leave.phase(), "leaving");
        self.refresh().await;
    }

    /// The last step.
    pub(crate) async fn goodbye(&mut self) {
        let message = format!("culvert: {} leaves", self.shared.pod);
        self.keeper.goodbye(&message).await;
    }
}

/// What a relay is told of a session.
fn told(session: &SessionState) -> impl PartialEq + '_ {
    let SessionState { peer, address, port, interface, state, bfd, up, families, since, .. } = session;
    ((peer, address, port, interface), (state, bfd, up, since), families)
}

/// Sessions that came up or went down, in words.
fn changes(before: &[SessionState], now: &[SessionState]) -> Vec<String> {
    let was_up = |session: &SessionState| {
        before.iter().any(|it| (&it.peer, it.address) == (&session.peer, session.address) && it.up)
    };
    let words = |session: &SessionState| {
        let SessionState { peer, interface, state, bfd, up, .. } = session;
        let address = session.address.map(|address| address.to_string()).unwrap_or_default();
        let families: Vec<&str> = session.families.iter().copied().map(Family::word).collect();
        let bfd = bfd.as_ref().map(|bfd| format!(", BFD {bfd}")).unwrap_or_default();
        let way = if *up { "up" } else { "down" };
        format!("peer {peer} ({address}%{interface}, {}) is {way}: {state}{bfd}", families.join(" and "))
    };
    now.iter().filter(|session| was_up(session) != session.up).map(words).collect()
}
