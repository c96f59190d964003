//! A `MapDomain`: its status. What is done about it is done by the fleets that it names; here it is told how far they are.

use std::{sync::Arc, time::Duration};

use crds::MapDomain;
use jiff::Timestamp;
use kube::{ResourceExt, runtime::controller::Action};

use crate::{context::Context, error::Error, status};

mod gather;
pub mod report;

/// Looks again after this long, whatever happens: nothing is missed for ever.
const RESYNC: Duration = Duration::from_mins(10);

/// Brings the status of a domain up to date.
///
/// # Errors
/// If the API server does not take it.
pub async fn reconcile(domain: Arc<MapDomain>, context: Arc<Context>) -> Result<Action, Error> {
    if domain.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let fleets = gather::gather(&context, &domain);
    let Some(status) = report::status(&domain, &fleets, Timestamp::now()) else {
        return Ok(Action::await_change());
    };
    tracing::debug!(domain = domain.name_any(), namespace = domain.namespace(), "looked at");
    let before = domain.status.clone().unwrap_or_default();
    if before != status {
        status::write(&context, &*domain, &status).await?;
        context.events.tell(&*domain, &before.conditions, &status.conditions).await;
    }
    Ok(Action::requeue(RESYNC))
}
