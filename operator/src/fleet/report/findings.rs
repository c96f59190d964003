//! The conditions of a fleet.

use crds::border_relay::FastPath;
use mape::DomainName;

use super::{
    Done,
    relays::{Relay, Relays},
    trouble::STARTING,
};
use crate::{
    condition::{Cause, Finding, listed, many},
    fleet::validate::Refusal,
};

pub(super) fn findings(done: &Done<'_>, relays: &Relays) -> Vec<Finding> {
    let mut findings = vec![
        Finding::is("Accepted", Cause::new("Accepted", "the spec is sound")),
        programmed(done, relays),
        advertised(done, relays),
        ready(done, relays),
    ];
    findings.extend(conflicted(done));
    findings.extend(degraded(done, relays));
    findings
}

fn programmed(done: &Done<'_>, relays: &Relays) -> Finding {
    let not = |cause| Finding::is_not("Programmed", cause);
    let Some(held) = done.held else {
        let unwritten = Cause::new("NotWritten", "there is no revision yet");
        return not(done.failures.first().cloned().unwrap_or(unwritten));
    };
    let sequence = held.revision.sequence;
    let (has, total) = (relays.programmed(), relays.total);
    if total == 0 {
        return not(no_relays(done));
    }
    let domains = many(held.revision.domains.len(), "domain");
    let refused = done.valid.refused.len();
    let left_out = if refused > 0 { format!(", {refused} left out") } else { String::new() };
    let count = format!("{has}/{total} relays forward by revision {sequence} ({domains}{left_out})");
    if has >= total {
        return Finding::is("Programmed", Cause::new("Programmed", count));
    }
    let behind = relays.staying().find(|relay| !relays.holds(relay, sequence));
    let why = behind.map(|relay| behind_because(relay, sequence)).or_else(|| not_there(done, relays));
    not(match why {
        Some(Cause { reason, message }) => Cause { reason, message: format!("{count}; {message}") },
        None => Cause::new("Pending", count),
    })
}

fn behind_because(relay: &Relay, sequence: u64) -> Cause {
    let pod = &relay.pod;
    match (&relay.revision, &relay.trouble) {
        // It answers, and has not got as far yet.
        (Some(held), None) if held.sequence == sequence => {
            Cause::new("RevisionMismatch", format!("{pod}: its revision {sequence} has another hash: {}", held.hash))
        }
        (Some(held), None) => Cause::new("Pending", format!("{pod}: revision {}", held.sequence)),
        (None, None) => Cause::new("Pending", format!("{pod}: no revision")),
        (_, Some(trouble)) => of(relay, trouble),
    }
}

fn of(relay: &Relay, trouble: &Cause) -> Cause {
    Cause { reason: trouble.reason.clone(), message: format!("{}: {}", relay.pod, trouble.message) }
}

/// Whether every relay announces all that it serves, over all of its sessions.
fn advertised(done: &Done<'_>, relays: &Relays) -> Finding {
    let not = |cause| Finding::is_not("Advertised", cause);
    if done.valid.fleet.bgp.is_none() {
        let message = "spec.bgp is left out: nothing is announced, and routers need static routes to the relays";
        return not(Cause::new("NotConfigured", message));
    }
    let (announce, total) = (relays.advertised(), relays.total);
    if total == 0 {
        return not(no_relays(done));
    }
    let [v4, v6] = ["IPv4", "IPv6"].map(|family| {
        let of_family = || relays.sessions().filter(|session| session.families.iter().any(|it| it == family));
        format!("{family} over {}/{} sessions", of_family().filter(|session| session.up).count(), of_family().count())
    });
    let count = format!("{announce}/{total} relays announce what they serve, {v4}, {v6}");
    if announce >= total && relays.sessions().all(|session| session.up) {
        return Finding::is("Advertised", Cause::new("Advertised", count));
    }
    let silent = relays.staying().filter(|relay| !relay.announces || relay.sessions.iter().any(|session| !session.up));
    let why =
        silent.filter_map(|relay| Some(of(relay, relay.trouble.as_ref()?))).next().or_else(|| not_there(done, relays));
    not(match why {
        Some(Cause { reason, message }) => Cause { reason, message: format!("{count}; {message}") },
        None => Cause::new("Pending", count),
    })
}

fn ready(done: &Done<'_>, relays: &Relays) -> Finding {
    let (ready, total) = (relays.ready(), relays.total);
    if ready > 0 {
        return Finding::is("Ready", Cause::new("Ready", format!("{ready}/{total} relays carry traffic")));
    }
    if total == 0 {
        return Finding::is_not("Ready", no_relays(done));
    }
    let cause = why_not_all(done, relays).unwrap_or_else(|| Cause::new(STARTING, "relays are starting"));
    Finding::is_not("Ready", Cause { message: format!("0/{total} relays carry traffic; {}", cause.message), ..cause })
}

fn degraded(done: &Done<'_>, relays: &Relays) -> Option<Finding> {
    let (ready, total) = (relays.ready(), relays.total);
    let complete = ready >= total || ready == 0;
    // Where nothing works, `Ready` says why.
    let held_back = || done.valid.holds.first().filter(|_| ready > 0).cloned();
    let odd = done.failures.first().cloned().or_else(held_back).or_else(|| fast_path(done));
    let sick = relays.staying().find_map(|relay| Some(of(relay, relay.trouble.as_ref()?))).filter(|_| ready > 0);
    let few = (!complete).then(|| why_not_all(done, relays)).flatten();
    let short = (!complete).then(|| Cause::new("RelaysNotReady", "some relays are missing"));
    let cause = odd.or(sick).or(few).or(short)?;
    let count = if complete { String::new() } else { format!("{ready}/{total} relays carry traffic; ") };
    Some(Finding::is("Degraded", Cause { message: count + &cause.message, ..cause }))
}

/// What keeps relays from carrying traffic, or from forwarding by the current revision, if it is more than that they need a
/// moment. No numbers are in it: domains repeat it, and do not change with every revision.
pub(super) fn hurdle(done: &Done<'_>, relays: &Relays) -> Option<Cause> {
    if relays.total == 0 {
        return Some(no_relays(done));
    }
    let all = relays.ready() >= relays.total && relays.programmed() >= relays.total;
    if all { None } else { why_not_all(done, relays) }
}

/// Why there are fewer relays that carry traffic than there should be.
fn why_not_all(done: &Done<'_>, relays: &Relays) -> Option<Cause> {
    let sick = relays.staying().filter_map(|relay| Some(of(relay, relay.trouble.as_ref()?)));
    let (starting, sick): (Vec<Cause>, Vec<Cause>) = sick.partition(|cause| cause.reason == STARTING);
    let ended = relays.all.iter().filter(|relay| relay.has_ended);
    let ended = ended.filter_map(|relay| Some(of(relay, relay.trouble.as_ref()?)));
    let missing = not_there(done, relays);
    let hints = done.valid.hints.iter().cloned();
    missing.into_iter().chain(sick).chain(ended).chain(hints).chain(starting).next()
}

/// Why there are fewer pods than there should be.
fn not_there(done: &Done<'_>, relays: &Relays) -> Option<Cause> {
    if relays.staying().count() >= relays.total {
        return None;
    }
    let held_back = done.valid.holds.first().cloned();
    let failed = || done.failures.first().cloned();
    held_back.or_else(failed).or_else(|| not_created(done))
}

/// What the ReplicaSet was told when it made pods: quotas, admission.
fn not_created(done: &Done<'_>) -> Option<Cause> {
    let status = done.found.deployment.as_ref()?.status.as_ref()?;
    let failure = status.conditions.iter().flatten().find(|condition| condition.type_ == "ReplicaFailure")?;
    let message = failure.message.as_deref().filter(|_| failure.status == "True")?;
    Some(Cause::told(failure.reason.as_deref().unwrap_or("FailedCreate"), &format!("pods cannot be made: {message}")))
}

fn no_relays(done: &Done<'_>) -> Cause {
    let scaled = done.valid.fleet.replicas == 0;
    let message = if scaled { "spec.replicas is 0" } else { "all relays are draining" };
    Cause::new("NoRelays", message)
}

/// A program in the kernel that the fleet insists on.
fn fast_path(done: &Done<'_>) -> Option<Cause> {
    let at =
        done.valid.fleet.interfaces.iter().position(|it| !matches!(it.fast_path, FastPath::Auto | FastPath::None))?;
    let message = format!(
        "spec.dataplane.interfaces[{at}].fastPath: this version forwards by the TUN alone; `Auto` takes a faster way when \
         there is one"
    );
    Some(Cause::new("FastPathNotAvailable", message))
}

fn conflicted(done: &Done<'_>) -> Option<Finding> {
    let clash = |(name, refusal): (&DomainName, &Refusal)| match refusal {
        Refusal::Conflicted(problems) => Some((name.clone(), listed(problems))),
        _ => None,
    };
    let clashes: Vec<(DomainName, String)> = done.valid.refused.iter().filter_map(clash).collect();
    let (name, problems) = clashes.first()?;
    let count = many(clashes.len(), "domain");
    let message = format!("{count} left out, as older ones keep working; {name}: {problems}");
    Some(Finding::is("Conflicted", Cause::new("DomainsConflict", message)))
}
