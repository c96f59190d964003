//! All that reconciles share.

use std::{collections::BTreeMap, sync::Arc};

use crds::BorderRelay;
use kube::{Client, runtime::reflector::ObjectRef};

use crate::{
    backoff::Backoff,
    events::Events,
    fleet::{apply::Applied, build::Settings, found::Current, report::Outcome},
    keyed::Keyed,
    metrics::Metrics,
    poll::Answers,
    propagation::Propagation,
    triggers::Triggers,
    world::World,
};

/// All that reconciles share. What is remembered here saves work: all of it can be found out again.
pub struct Context {
    /// The way to the API server.
    pub client: Client,
    /// The only namespace that is looked after, if it is only one.
    pub namespace: Option<String>,
    /// What whoever runs the operator decides.
    pub settings: Settings,
    /// The cluster.
    pub world: World,
    /// What relays say.
    pub answers: Answers,
    /// The revision of each fleet, as it was written last.
    pub currents: Keyed<ObjectRef<BorderRelay>, Current>,
    /// What became of each fleet: its domains' reconciles read it.
    pub outcomes: Keyed<ObjectRef<BorderRelay>, Arc<Outcome>>,
    /// What was written of each fleet.
    pub applied: Keyed<ObjectRef<BorderRelay>, Arc<BTreeMap<String, Applied>>>,
    /// Who has to be looked at again.
    pub triggers: Triggers,
    /// What people read.
    pub events: Events,
    /// What is counted.
    pub metrics: Metrics,
    /// How long changes take.
    pub propagation: Propagation,
    /// How often fleets failed in a row.
    pub fleet_backoff: Backoff<ObjectRef<BorderRelay>>,
    /// How often domains failed in a row.
    pub domain_backoff: Backoff<ObjectRef<crds::MapDomain>>,
}
