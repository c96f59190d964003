//! What a look at the sides, or a word of the speaker, asks for: first what cannot wait.

use std::{collections::BTreeSet, mem};

use super::Relay;
use crate::{
    cli::Family,
    failure::Failure,
    host::{OddPort, View},
    obstacles::{self, Obstacle, Settings},
    peers::Speech,
};

impl Relay {
    /// The speaker has told of its peers, or has fallen silent: what it said last counts then for packets on their way.
    pub(crate) async fn hear(&mut self, speech: Speech) {
        if let Some(why) = &speech.silence {
            tracing::debug!(why, "the speaker is silent");
        }
        self.routers.told(speech.peers.clone());
        self.speech = Some(speech);
        let hops = self.routers.hops(&self.view.sides);
        self.follow(View { hops, ..self.view.clone() }).await;
        self.look_at_sides(false).await;
    }

    /// Looks at the sides and does what they ask for. `call`: next hops are asked whether they are there.
    pub(crate) async fn look_at_sides(&mut self, call: bool) {
        if self.options.sides.is_empty() {
            return;
        }
        let found = match self.try_sides(call).await {
            Ok(stuck) => {
                self.shared.update(|status| status.readiness.stuck = stuck);
                None
            }
            Err(failure) => Some(Obstacle::new("RoutingFailed", failure.lines().join("; "))),
        };
        self.gate().await;
        let missing = obstacles::find(&self.view, &Settings::read(&self.view), self.speech.as_ref());
        self.tell(missing.into_iter().chain(found).chain(self.revisions.obstacle()).collect());
        self.revisions.report();
    }

    /// What the speaker said last of routers that listen elsewhere than others do.
    pub(super) fn odd_ports(&self) -> BTreeSet<OddPort> {
        self.speech.as_ref().map(Speech::odd_ports).unwrap_or_default()
    }

    fn tell(&mut self, obstacles: Vec<Obstacle>) {
        self.told.retain(|told| obstacles.contains(told));
        let before = self.shared.update(|status| mem::replace(&mut status.obstacles, obstacles.clone()));
        // What is gone at the next look was on its way.
        for obstacle in obstacles.into_iter().filter(|obstacle| before.contains(obstacle)) {
            if !self.told.contains(&obstacle) {
                tracing::warn!(reason = obstacle.reason, "{}", obstacle.message);
                self.told.push(obstacle);
            }
        }
    }

    /// The families whose packets would not leave by a next hop.
    async fn try_sides(&mut self, call: bool) -> Result<Vec<Family>, Failure> {
        let mut look = self.host.look().await?;
        self.routers.saw(mem::take(&mut look.answers));
        let hops = self.routers.hops(&look.sides);
        let is_news = self.follow(View::new(look, hops, self.odd_ports())).await;
        if call {
            self.host.call_next_hops(&self.view).await;
        }
        // A look at thousands of routes every second would be too much.
        if self.fit_is_due && self.host.fit(&self.view, self.ways).await? {
            if !is_news {
                tracing::warn!("somebody changed the rules, settings or next hops of the sides; they are back");
            }
            // What was set is seen in the next look.
            let look = self.host.look().await?;
            self.view = View::new(look, mem::take(&mut self.view.hops), self.odd_ports());
        }
        self.fit_is_due = false;
        let source = self.options.ipv4_source(self.view.ipv4_source());
        if source != self.source {
            tracing::info!(%source, "the relay speaks from another address");
            self.source = source;
            self.shared.update(|status| status.device.iter_mut().for_each(|device| device.ipv4_source = source));
            self.apply_again(true).await.map_err(|errors| Failure::Host(errors.join("; ")))?;
        }
        self.host.stuck(&self.view).await
    }

    /// Has next hops and gate follow at once; everything else is due then. Whether there is anything new.
    async fn follow(&mut self, view: View) -> bool {
        let before = mem::replace(&mut self.view, view);
        if let Err(failure) = self.host.lead(&before, &self.view, self.ways).await {
            failure.log();
        }
        let is_news = before != self.view;
        self.fit_is_due |= is_news;
        let (down, hops) = (obstacles::families_down(&self.view), self.view.hops.clone());
        let silent = self.speech.as_ref().is_some_and(|speech| speech.silence.is_some());
        self.shared.update(|status| {
            (status.hops, status.readiness.down, status.readiness.silent) = (hops, down, silent);
        });
        self.gate().await;
        is_news
    }
}
