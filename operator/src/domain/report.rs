//! What to say about a domain. Pure.

use std::sync::Arc;

use crds::{
    MapDomain, MapDomainStatus,
    map_domain::{FleetStatus, Toggle},
};
use jiff::Timestamp;
use mape::{DomainName, Fleet, Problem};

use crate::{
    condition::{Cause, Finding, Truth, conditions, listed},
    fleet::{
        report::{Judged, Outcome, Seen, Standing},
        validate::{self, Refusal, name_of},
    },
};

/// A fleet that a domain names.
#[derive(Debug, Clone)]
pub enum View {
    /// There is none of that name.
    Missing,
    /// It has not looked at the domain as it is now. It will.
    Waiting,
    /// It has.
    Known(Arc<Outcome>),
}

impl View {
    /// The fleet with this outcome, as far as this domain goes.
    #[must_use]
    pub fn of(outcome: Arc<Outcome>, domain: &MapDomain) -> Self {
        let metadata = &domain.metadata;
        let now = Seen { uid: metadata.uid.clone(), generation: metadata.generation };
        match &outcome.standing {
            Standing::Judged(judged) if judged.seen.get(&name_of(domain)) != Some(&now) => Self::Waiting,
            _ => Self::Known(outcome),
        }
    }
}

/// The status of a domain whose `relayRefs` are these fleets, in that order. `None`: it is too soon to say, and whoever has
/// not looked yet will call again.
#[must_use]
pub fn status(domain: &MapDomain, fleets: &[(String, View)], now: Timestamp) -> Option<MapDomainStatus> {
    let before = domain.status.as_ref().map(|status| &*status.conditions).unwrap_or_default();
    let generation = domain.metadata.generation.unwrap_or_default();
    let mut status = MapDomainStatus { observed_generation: domain.metadata.generation, ..MapDomainStatus::default() };
    let own = validate::domain(domain);
    let findings = match &own {
        Err(problems) => invalid(problems),
        Ok(_) if fleets.iter().any(|(_, view)| matches!(view, View::Waiting)) => return None,
        Ok(_) => findings(domain, fleets),
    };
    if let Ok(config) = own
        && let Ok(alone) = Fleet::new(vec![config])
    {
        alone.domains().iter().for_each(|domain| status.derive(domain));
    }
    status.conditions = conditions(before, findings, generation, now);
    status.count(fleets.iter().map(|(name, view)| count(&name_of(domain), name, view)).collect());
    Some(status)
}

fn invalid(problems: &[Problem]) -> Vec<Finding> {
    let cause = Cause::new("Invalid", listed(problems));
    let rest = Cause::new("Invalid", "the spec is not accepted");
    let mut findings = vec![Finding::is_not("Accepted", cause)];
    findings.extend(["Programmed", "Advertised", "Ready"].map(|about| Finding::is_not(about, rest.clone())));
    findings
}

fn count(domain: &DomainName, name: &str, view: &View) -> FleetStatus {
    let (programmed, total) = match view {
        View::Known(outcome) => (holding(domain, outcome), outcome.relays.total),
        View::Missing | View::Waiting => (0, 0),
    };
    let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    FleetStatus { name: name.to_owned(), programmed: number(programmed), total: number(total) }
}

/// How many relays of the fleet forward by the domain as it is.
fn holding(domain: &DomainName, outcome: &Outcome) -> usize {
    since(domain, outcome).map_or(0, |since| outcome.relays.holding(since))
}

fn since(domain: &DomainName, outcome: &Outcome) -> Option<u64> {
    judged(outcome)?.since.get(domain).copied()
}

fn judged(outcome: &Outcome) -> Option<&Judged> {
    match &outcome.standing {
        Standing::Judged(judged) => Some(judged),
        Standing::None(_) => None,
    }
}

fn findings(domain: &MapDomain, fleets: &[(String, View)]) -> Vec<Finding> {
    let name = &name_of(domain);
    let by_hand = domain.spec.advertise.auto_route == Toggle::Disabled;
    let accepted = accepted(name, fleets);
    let known: Vec<(&str, &Outcome)> = fleets.iter().filter_map(|(fleet, view)| known(fleet, view)).collect();
    let serving: Vec<(&str, &Outcome)> =
        known.iter().filter(|(_, outcome)| since(name, outcome).is_some()).copied().collect();
    let mut findings = vec![
        accepted.clone(),
        programmed(name, &accepted, &known, &serving),
        advertised(&accepted, &serving, by_hand),
        ready(name, &accepted, &serving),
    ];
    findings.extend(conflicted(name, &known));
    findings.extend(degraded(name, &findings, fleets, &serving));
    findings
}

fn known<'v>(fleet: &'v str, view: &'v View) -> Option<(&'v str, &'v Outcome)> {
    match view {
        View::Known(outcome) => Some((fleet, outcome)),
        View::Missing | View::Waiting => None,
    }
}

/// What the first fleet that does not take it says; of several, all that exist must.
fn accepted(name: &DomainName, fleets: &[(String, View)]) -> Finding {
    let known: Vec<(&str, &Outcome)> = fleets.iter().filter_map(|(fleet, view)| known(fleet, view)).collect();
    if known.is_empty() {
        return Finding::is_not("Accepted", no_fleet(name, fleets));
    }
    let refusals = known.iter().filter_map(|(_, outcome)| judged(outcome)?.refused.get(name));
    if let Some(refusal) = refusals.max_by_key(|refusal| matches!(refusal, Refusal::NotAllowed(_))) {
        return Finding::is_not("Accepted", Cause::new(refusal.reason(), listed(refusal.problems())));
    }
    let unsure = known.iter().find_map(|(_, outcome)| match &outcome.standing {
        Standing::None(cause) => Some(cause.clone()),
        Standing::Judged(_) => None,
    });
    match unsure {
        Some(cause) => Finding::is_unknown("Accepted", cause),
        None => Finding::is("Accepted", Cause::new("Accepted", "the spec is sound and allowed")),
    }
}

fn no_fleet(name: &DomainName, fleets: &[(String, View)]) -> Cause {
    let missing = fleets.iter().enumerate().filter(|(_, (_, view))| matches!(view, View::Missing));
    let fields: Vec<String> = missing.map(|(at, (fleet, _))| format!("spec.relayRefs[{at}].name: {fleet}")).collect();
    let message = format!(
        "{}: no BorderRelay of that name is in namespace {}; create it, or name one that is there",
        fields.join(", "),
        name.namespace
    );
    Cause::new("NoFleet", message)
}

/// If it is not accepted, that is why all else is not so either, unless some fleet serves it all the same.
fn programmed(
    name: &DomainName,
    accepted: &Finding,
    known: &[(&str, &Outcome)],
    serving: &[(&str, &Outcome)],
) -> Finding {
    if serving.is_empty() {
        return unserved("Programmed", accepted, known);
    }
    let has: usize = serving.iter().map(|(_, outcome)| holding(name, outcome)).sum();
    let total: usize = known.iter().map(|(_, outcome)| outcome.relays.total).sum();
    let count = format!("{has}/{total} relays forward by it");
    if total > 0 && has >= total {
        return Finding::is("Programmed", Cause::new("Programmed", count));
    }
    let behind = serving.iter().find(|(_, outcome)| holding(name, outcome) < outcome.relays.total || total == 0);
    let cause = behind.and_then(|(fleet, outcome)| hurdle(fleet, outcome));
    Finding::is_not(
        "Programmed",
        match cause {
            Some(cause) => Cause { message: format!("{count}; {}", cause.message), ..cause },
            None => Cause::new("Pending", count),
        },
    )
}

/// What keeps a fleet's relays.
fn hurdle(fleet: &str, outcome: &Outcome) -> Option<Cause> {
    let cause = outcome.hurdle.clone()?;
    Some(Cause { message: format!("fleet {fleet}: {}", cause.message), ..cause })
}

/// What a fleet's condition says, if it is not true.
fn of(fleet: &str, outcome: &Outcome, about: &str) -> Option<Cause> {
    let condition = outcome.conditions.iter().find(|it| it.type_ == about && it.status != "True")?;
    Some(Cause { reason: condition.reason.clone().into(), message: format!("fleet {fleet}: {}", condition.message) })
}

fn unserved(about: &'static str, accepted: &Finding, known: &[(&str, &Outcome)]) -> Finding {
    match accepted.truth {
        Truth::False => {
            let reason = accepted.cause.reason.clone();
            Finding::is_not(about, Cause { reason, message: "the domain is not accepted".to_owned() })
        }
        Truth::Unknown => Finding::is_unknown(about, accepted.cause.clone()),
        Truth::True => {
            let why = known.iter().find_map(|(fleet, outcome)| hurdle(fleet, outcome));
            Finding::is_not(about, why.unwrap_or_else(|| Cause::new("Pending", "no revision holds it yet")))
        }
    }
}

fn advertised(accepted: &Finding, serving: &[(&str, &Outcome)], by_hand: bool) -> Finding {
    if by_hand && !serving.is_empty() {
        let message =
            "spec.advertise.autoRoute is Disabled: nothing is announced, and routers need routes to the relays";
        return Finding::is_not("Advertised", Cause::new("AutoRouteDisabled", message));
    }
    match serving.iter().find_map(|(fleet, outcome)| of(fleet, outcome, "Advertised")) {
        Some(cause) => Finding::is_not("Advertised", cause),
        None if serving.is_empty() => unserved("Advertised", accepted, serving),
        None => Finding::is("Advertised", Cause::new("Advertised", "its routes are announced")),
    }
}

/// Whether some relay that carries traffic has it.
fn ready(name: &DomainName, accepted: &Finding, serving: &[(&str, &Outcome)]) -> Finding {
    if serving.is_empty() {
        return unserved("Ready", accepted, serving);
    }
    let carry: usize = serving.iter().map(|(_, outcome)| carrying(name, outcome)).sum();
    if carry > 0 {
        let total: usize = serving.iter().map(|(_, outcome)| outcome.relays.total).sum();
        return Finding::is("Ready", Cause::new("Ready", format!("{carry}/{total} relays carry its traffic")));
    }
    let why = serving.iter().find_map(|(fleet, outcome)| hurdle(fleet, outcome));
    let pending = || Cause::new("Pending", "no relay that carries traffic forwards by it yet");
    Finding::is_not("Ready", why.unwrap_or_else(pending))
}

fn carrying(name: &DomainName, outcome: &Outcome) -> usize {
    since(name, outcome).map_or(0, |since| outcome.relays.carrying(since))
}

fn conflicted(name: &DomainName, known: &[(&str, &Outcome)]) -> Option<Finding> {
    known.iter().find_map(|(_, outcome)| match judged(outcome)?.refused.get(name)? {
        refusal @ Refusal::Conflicted(problems) => {
            Some(Finding::is("Conflicted", Cause::new(refusal.reason(), listed(problems))))
        }
        _ => None,
    })
}

/// It works, and not as well as was asked for.
fn degraded(
    name: &DomainName,
    findings: &[Finding],
    fleets: &[(String, View)],
    serving: &[(&str, &Outcome)],
) -> Option<Finding> {
    let is = |about: &str| findings.iter().find(|finding| finding.about == about).filter(|it| it.truth == Truth::True);
    is("Ready")?;
    if fleets.iter().any(|(_, view)| matches!(view, View::Missing)) {
        return Some(Finding::is("Degraded", no_fleet(name, fleets)));
    }
    if is("Accepted").is_none() {
        return findings.first().map(|accepted| Finding::is("Degraded", accepted.cause.clone()));
    }
    // Relays that only need a moment are `Programmed`'s business.
    let short = serving.iter().filter(|(_, outcome)| carrying(name, outcome) < outcome.relays.total);
    let cause = short.filter_map(|(fleet, outcome)| hurdle(fleet, outcome)).next()?;
    Some(Finding::is("Degraded", cause))
}
