//! What is wrong with a pod: the first thing that keeps it from being a relay that carries traffic.

use k8s_openapi::api::core::v1::{ContainerStatus, PodStatus};

use crate::{
    answer::{Answer, Said},
    condition::Cause,
    fleet::found::RelayPod,
    relay::State,
    speaker,
};

/// Reasons to wait that are the usual way to start.
const USUAL: [&str; 2] = ["ContainerCreating", "PodInitializing"];

/// The word for what is over in a moment.
pub(super) const STARTING: &str = "Starting";

pub(super) fn trouble(found: &RelayPod) -> Option<Cause> {
    let empty = PodStatus::default();
    let status = found.pod.status.as_ref().unwrap_or(&empty);
    if found.has_ended() {
        let reason = status.reason.as_deref().unwrap_or("Failed");
        return Some(Cause::told(reason, status.message.as_deref().unwrap_or("the pod has ended")));
    }
    // Of a relay and its speaker, the speaker's lack is the cause: without routers a relay has nowhere to send to.
    let lacking = || found.spoken().and_then(|spoken| first(&spoken.obstacles));
    unscheduled(status)
        .or_else(|| waiting(status))
        .or_else(lacking)
        .or_else(|| relay(found, status))
        .or_else(|| if found.speaks() { speaker(found, status) } else { None })
}

fn relay(found: &RelayPod, status: &PodStatus) -> Option<Cause> {
    match &found.answer {
        Some(Answer::State(state)) => refuses(state).or_else(|| {
            let lacks = lacks(state)?;
            let message = || format!("the relay has not started yet: {}", lacks.message);
            Some(if has_started(status) { lacks } else { Cause::new(STARTING, message()) })
        }),
        Some(Answer::Silence(_)) if !has_started(status) => Some(starting()),
        Some(Answer::Silence(why)) => Some(Cause::new("Unreachable", format!("the relay does not answer: {why}"))),
        None => Some(starting()),
    }
}

fn speaker(found: &RelayPod, status: &PodStatus) -> Option<Cause> {
    let starting = || Cause::new(STARTING, "the speaker has not started yet");
    let has_started = status.container_statuses.iter().flatten().all(|container| container.started != Some(false));
    match &found.speaker {
        Some(Answer::State(state)) => {
            let trouble = session_down(state).or_else(|| not_announced(state));
            if has_started { trouble } else { trouble.map(|_| starting()) }
        }
        Some(Answer::Silence(why)) if has_started => {
            Some(Cause::new("SpeakerUnreachable", format!("the speaker does not answer: {why}")))
        }
        Some(Answer::Silence(_)) | None => Some(starting()),
    }
}

fn session_down(state: &speaker::State) -> Option<Cause> {
    let down = state.sessions.iter().find(|session| !session.up)?;
    let error = down.last_error.as_ref().map(|error| format!(", last error: {error}")).unwrap_or_default();
    let message = format!("no session with {} ({}): {}{error}", down.peer, down.address, down.state);
    Some(Cause::new("SessionDown", message))
}

fn not_announced(state: &speaker::State) -> Option<Cause> {
    if let Some(first) = state.ready_reasons.first().filter(|_| !state.ready) {
        return Some(Cause::told(first, &format!("the speaker is not ready: {}", state.ready_reasons.join(", "))));
    }
    let message = "routers have not been told all prefixes yet";
    (!state.announces()).then(|| Cause::new("NotAnnounced", message))
}

fn starting() -> Cause {
    Cause::new(STARTING, "the relay has not started yet")
}

/// Whether the relay has passed its startup probe: it has a revision.
fn has_started(status: &PodStatus) -> bool {
    status.init_container_statuses.iter().flatten().all(|container| container.started != Some(false))
}

fn unscheduled(status: &PodStatus) -> Option<Cause> {
    let scheduled = status.conditions.iter().flatten().find(|condition| condition.type_ == "PodScheduled")?;
    let reason = scheduled.reason.as_deref().filter(|_| scheduled.status == "False")?;
    Some(Cause::told(reason, scheduled.message.as_deref().unwrap_or("no node takes the pod")))
}

fn waiting(status: &PodStatus) -> Option<Cause> {
    let both = [&status.init_container_statuses, &status.container_statuses];
    both.into_iter().flat_map(Option::iter).flatten().find_map(|container: &ContainerStatus| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let reason = waiting.reason.as_deref().filter(|reason| !USUAL.contains(reason))?;
        let last = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
        let end = last.map(|end| format!(" (it ended with code {} before)", end.exit_code)).unwrap_or_default();
        let message = waiting.message.as_deref().unwrap_or("it does not start");
        Some(Cause::told(reason, &format!("container {}: {message}{end}", container.name)))
    })
}

/// A revision that the relay refuses.
fn refuses(state: &State) -> Option<Cause> {
    state.revision_error.as_ref().map(|error| Cause::told(&error.reason, &error.message))
}

/// What the relay lacks, or else why it is not ready.
fn lacks(state: &State) -> Option<Cause> {
    first(&state.obstacles).or_else(|| {
        let first = state.ready_reasons.first().filter(|_| !state.ready)?;
        Some(Cause::told(first, &format!("the relay is not ready: {}", state.ready_reasons.join(", "))))
    })
}

fn first(obstacles: &[Said]) -> Option<Cause> {
    let (obstacle, more) = obstacles.split_first()?;
    let more = if more.is_empty() { String::new() } else { format!(" (and {} more at its /state)", more.len()) };
    Some(Cause::told(&obstacle.reason, &(obstacle.message.clone() + &more)))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{ContainerState, ContainerStateWaiting, Pod, PodCondition};

    use super::*;
    use crate::fleet::fixtures::pod;

    fn with(status: PodStatus) -> Cause {
        let mut found = pod("a", None);
        found.pod = Pod { status: Some(status), ..Pod::clone(&found.pod) }.into();
        trouble(&found).unwrap()
    }

    fn answering(state: State) -> Option<Cause> {
        trouble(&RelayPod { answer: Some(Answer::State(state)), ..pod("a", None) })
    }

    #[test]
    fn a_full_cluster_speaks_with_the_scheduler_s_words() {
        let condition = PodCondition {
            type_: "PodScheduled".to_owned(),
            status: "False".to_owned(),
            reason: Some("Unschedulable".to_owned()),
            message: Some("0/2 nodes are available: 2 Insufficient intel.com/vfs.".to_owned()),
            ..PodCondition::default()
        };
        let cause = with(PodStatus { conditions: Some(vec![condition]), ..PodStatus::default() });
        assert_eq!(cause, Cause::new("Unschedulable", "0/2 nodes are available: 2 Insufficient intel.com/vfs."));
    }

    #[test]
    fn an_image_that_is_not_there_is_named() {
        let waiting = |reason: &str| {
            let waiting = ContainerStateWaiting { reason: Some(reason.to_owned()), message: Some("no x:1".to_owned()) };
            let state = ContainerState { waiting: Some(waiting), ..ContainerState::default() };
            let container =
                ContainerStatus { name: "relay".to_owned(), state: Some(state), ..ContainerStatus::default() };
            with(PodStatus { init_container_statuses: Some(vec![container]), ..PodStatus::default() })
        };
        assert_eq!(waiting("ErrImagePull"), Cause::new("ErrImagePull", "container relay: no x:1"));
        assert_eq!(waiting("ContainerCreating").reason, "Starting");
    }

    #[test]
    fn a_pod_that_a_node_refused_says_why() {
        let status = PodStatus {
            phase: Some("Failed".to_owned()),
            reason: Some("SysctlForbidden".to_owned()),
            message: Some("forbidden sysctl: \"net.ipv4.ip_forward\" not allowlisted".to_owned()),
            ..PodStatus::default()
        };
        assert_eq!(with(status).reason, "SysctlForbidden");
    }

    #[test]
    fn a_relay_that_starts_need_not_answer_nor_be_complete() {
        let state = || {
            let off = Said { reason: "ForwardingOff".to_owned(), message: "turn it on".to_owned() };
            State { obstacles: vec![off], ..State::default() }
        };
        let started_with = |started, answer| {
            let container = ContainerStatus { started: Some(started), ..ContainerStatus::default() };
            let status = PodStatus { init_container_statuses: Some(vec![container]), ..PodStatus::default() };
            let mut found = pod("a", None);
            found.pod = Pod { status: Some(status), ..Pod::clone(&found.pod) }.into();
            trouble(&RelayPod { answer: Some(answer), ..found }).unwrap()
        };
        let silent = |started| started_with(started, Answer::Silence("connection refused".to_owned()));
        assert_eq!(silent(false).reason, "Starting");
        assert_eq!(silent(true).message, "the relay does not answer: connection refused");
        let said = |started| started_with(started, Answer::State(state()));
        assert_eq!(said(false).message, "the relay has not started yet: turn it on");
        assert_eq!(said(true).reason, "ForwardingOff");
    }

    #[test]
    fn a_relay_says_the_worst_first() {
        let said = |reason: &str| Said { reason: reason.to_owned(), message: "do this".to_owned() };
        let state = State {
            revision_error: Some(said("NewerFormat")),
            obstacles: vec![said("ForwardingOff"), said("NoCapability")],
            ready_reasons: vec!["NoNextHop".to_owned(), "SelfTest".to_owned()],
            ..State::default()
        };
        assert_eq!(answering(state.clone()).unwrap().reason, "NewerFormat");
        let state = State { revision_error: None, ..state };
        assert_eq!(answering(state.clone()).unwrap().message, "do this (and 1 more at its /state)");
        let state = State { obstacles: Vec::new(), ..state };
        assert_eq!(answering(state.clone()).unwrap().message, "the relay is not ready: NoNextHop, SelfTest");
        assert_eq!(answering(State { ready: true, ..state }), None);
    }
}
