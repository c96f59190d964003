//! What the fleets that a domain names make of it. Everything is here already: no request is made.

use crds::MapDomain;
use kube::{ResourceExt, runtime::reflector::ObjectRef};

use super::report::View;
use crate::context::Context;

pub(super) fn gather(context: &Context, domain: &MapDomain) -> Vec<(String, View)> {
    let namespace = domain.namespace().unwrap_or_default();
    let view = |name: &str| {
        let key = ObjectRef::new(name).within(&namespace);
        let Some(fleet) = context.world.fleets.get(&key) else { return View::Missing };
        let outcome = context.outcomes.get(&key, fleet.uid().as_deref());
        outcome.map_or(View::Waiting, |outcome| View::of(outcome, domain))
    };
    domain.spec.relay_refs.iter().map(|fleet| (fleet.name.clone(), view(&fleet.name))).collect()
}
