//! Leader election by a Lease, as Kubernetes' own controllers do it: of several replicas one acts.
//!
//! | rule | why |
//! |---|---|
//! | every write is a `replace` guarded by the resource version | of two that try at once, one loses |
//! | a lease has expired when it has not *changed* for its duration, by our own clock | clocks need not agree on the time, only on how fast it goes |
//! | who has not renewed for [`Timing::renew`], counted from before it asked, leads no more | others wait for [`Timing::lease`], which is longer: nobody acts before the last one has stopped |
//! | who stops in good order gives the lease back | the next one need not wait |

use std::{future::Future, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, api::PostParams};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::error::{code, said};

/// How long things take. [`Timing::renew`] has to be shorter than [`Timing::lease`], by more than clocks may drift apart and
/// by what a request that was sent just before the end may take to arrive.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// How long others wait for a leader that does not renew.
    pub lease: Duration,
    /// How long a leader that cannot renew goes on.
    pub renew: Duration,
    /// How often a leader renews, and others look.
    pub retry: Duration,
}

impl Timing {
    /// How long one try may take: one request that is never answered must not use up all the time there is.
    fn patience(&self) -> Duration {
        self.renew / 3
    }
}

impl Default for Timing {
    /// What Kubernetes' own controllers have.
    fn default() -> Self {
        Self { lease: Duration::from_secs(15), renew: Duration::from_secs(10), retry: Duration::from_secs(2) }
    }
}

/// Who tries to lead.
pub struct Elector {
    api: Api<Lease>,
    name: String,
    identity: String,
    timing: Timing,
    /// The lease as it was seen last, and since when it has been so.
    seen: Option<(LeaseSpec, Instant)>,
    beat: Box<dyn Fn() + Send + Sync>,
}

/// Why leadership ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// Somebody else has the lease.
    #[error("{0} has taken the lease")]
    Taken(String),
    /// The API server could not be reached, or refused, for too long.
    #[error("the lease could not be renewed for {} s: {why}", .after.as_secs())]
    Expired {
        /// How long.
        after: Duration,
        /// What went wrong last.
        why: String,
    },
}

/// What came of one try.
enum Tried {
    Ours,
    Theirs(String),
    Failed(String),
}

impl Elector {
    /// `identity` has to be another for every replica; `beat` is called whenever the elector makes a step.
    pub fn new(
        api: Api<Lease>,
        name: &str,
        identity: &str,
        timing: Timing,
        beat: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let (name, identity) = (name.to_owned(), identity.to_owned());
        Self { api, name, identity, timing, seen: None, beat: Box::new(beat) }
    }

    /// Returns when we lead, with the moment from which that counts.
    pub async fn acquire(&mut self) -> Instant {
        let mut told = String::new();
        loop {
            (self.beat)();
            let asked = Instant::now();
            let news = match timeout(self.timing.patience(), self.attempt()).await {
                Ok(Tried::Ours) => return asked,
                Ok(Tried::Theirs(holder)) => format!("{holder} leads"),
                Ok(Tried::Failed(why)) => format!("cannot take the lease: {why}"),
                Err(_) => "cannot take the lease: no answer".to_owned(),
            };
            if news != told {
                tracing::info!(lease = self.name, "waiting: {news}");
                told = news;
            }
            sleep(self.timing.retry).await;
        }
    }

    /// Renews, and returns when we lead no more. `since` is when the lease was asked for with success.
    pub async fn hold(&mut self, since: Instant) -> Lost {
        let mut renewed = since;
        let mut why = "no answer".to_owned();
        let mut pause = self.timing.retry;
        loop {
            (self.beat)();
            let end = renewed + self.timing.renew;
            let next = Instant::now() + pause;
            if end <= next {
                tokio::time::sleep_until(end).await;
                return Lost::Expired { after: self.timing.renew, why };
            }
            tokio::time::sleep_until(next).await;
            let asked = Instant::now();
            match timeout_at(end.min(asked + self.timing.patience()), self.attempt()).await {
                Ok(Tried::Ours) => {
                    (renewed, pause) = (asked, self.timing.retry);
                    continue;
                }
                Ok(Tried::Theirs(holder)) => return Lost::Taken(holder),
                Ok(Tried::Failed(failure)) => why = failure,
                Err(_) => "no answer".clone_into(&mut why),
            }
            tracing::warn!(lease = self.name, "cannot renew the lease: {why}");
            // Time runs.
            pause = self.timing.retry / 2;
        }
    }

    /// Gives the lease back, if it is ours. Whoever acts must have stopped before.
    pub async fn release(&mut self) {
        let given = timeout(self.timing.retry, async {
            let mut lease = self.api.get(&self.name).await?;
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() == Some(&self.identity) {
                spec.holder_identity = None;
                spec.lease_duration_seconds = Some(1);
                spec.renew_time = Some(MicroTime(Timestamp::now()));
                self.api.replace(&self.name, &PostParams::default(), &lease).await?;
            }
            Ok::<(), kube::Error>(())
        });
        match given.await {
            Ok(Ok(())) => tracing::info!(lease = self.name, "gave the lease back"),
            Ok(Err(error)) => tracing::warn!(lease = self.name, "cannot give the lease back: {}", said(&error)),
            Err(_) => tracing::warn!(lease = self.name, "cannot give the lease back: no answer"),
        }
    }

    /// Takes the lease if it is free or has expired, renews it if it is ours.
    async fn attempt(&mut self) -> Tried {
        match self.api.get_opt(&self.name).await {
            Err(error) => Tried::Failed(said(&error)),
            Ok(None) => {
                let lease = self.lease(None);
                self.outcome(self.api.create(&PostParams::default(), &lease)).await
            }
            Ok(Some(found)) => {
                if let Some(holder) = self.held_by_another(&found) {
                    return Tried::Theirs(holder);
                }
                let lease = self.lease(Some(found));
                self.outcome(self.api.replace(&self.name, &PostParams::default(), &lease)).await
            }
        }
    }

    /// Somebody was faster: look again next time. Whether we lead still is for the time since the last success to say.
    async fn outcome(&self, written: impl Future<Output = kube::Result<Lease>>) -> Tried {
        match written.await {
            Ok(_) => Tried::Ours,
            Err(error) if code(&error) == Some(409) => Tried::Failed("somebody changed it at the same time".to_owned()),
            Err(error) => Tried::Failed(said(&error)),
        }
    }

    /// Who holds the lease, if it is somebody else and it has not expired.
    fn held_by_another(&mut self, lease: &Lease) -> Option<String> {
        let spec = lease.spec.clone().unwrap_or_default();
        let now = Instant::now();
        let since = match &self.seen {
            Some((seen, since)) if *seen == spec => *since,
            _ => {
                self.seen = Some((spec.clone(), now));
                now
            }
        };
        let holder = spec.holder_identity.filter(|holder| !holder.is_empty() && *holder != self.identity)?;
        // What the holder promised; never less than what we would.
        let promised = u64::try_from(spec.lease_duration_seconds.unwrap_or_default()).unwrap_or_default();
        let lasts = Duration::from_secs(promised).max(self.timing.lease);
        (now.duration_since(since) < lasts).then_some(holder)
    }

    /// The lease as it is when we hold it.
    fn lease(&self, found: Option<Lease>) -> Lease {
        let now = MicroTime(Timestamp::now());
        let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
        let mut lease = found.unwrap_or(Lease { metadata, spec: None });
        let old = lease.spec.take().unwrap_or_default();
        let ours = old.holder_identity.as_deref() == Some(&self.identity);
        let transitions = old.lease_transitions.unwrap_or_default();
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.timing.lease.as_secs()).ok(),
            acquire_time: if ours { old.acquire_time } else { Some(now.clone()) },
            renew_time: Some(now),
            lease_transitions: Some(if ours { transitions } else { transitions.saturating_add(1) }),
            ..LeaseSpec::default()
        });
        lease
    }
}

#[cfg(test)]
#[path = "election/tests.rs"]
mod tests;
