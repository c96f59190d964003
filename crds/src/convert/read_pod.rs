//! The pods of a fleet.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;

use super::{
    read::{Reader, quoted},
    read_text,
};
use crate::{
    BorderRelaySpec,
    border_relay::{Drain, PodTemplate, Rollout},
};

/// What a pod needs beyond the drain, to stop its processes.
const STOP_SECONDS: i64 = 5;

pub(super) fn drain(reader: &mut Reader, spec: &BorderRelaySpec) -> Drain {
    let Drain { graceful_shutdown_seconds: shutdown, withdraw_seconds: withdraw } = spec.drain;
    let why = "routers that need more do not move traffic";
    reader.within::<u16>("spec.drain.gracefulShutdownSeconds", shutdown, 0..=300, why);
    reader.within::<u16>("spec.drain.withdrawSeconds", withdraw, 0..=300, why);
    let grace = spec.pod_template.termination_grace_period_seconds;
    let sound = (0..=300).contains(&shutdown) && (0..=300).contains(&withdraw) && (5..=3600).contains(&grace);
    if sound && shutdown + withdraw + STOP_SECONDS > grace {
        let why = "spec.drain.gracefulShutdownSeconds, withdrawSeconds and 5 more seconds have to fit, or the relay is \
            killed while it drains";
        let allowed = format!("{} or more", shutdown + withdraw + STOP_SECONDS);
        reader.refuse("spec.podTemplate.terminationGracePeriodSeconds", grace, allowed, why);
    }
    spec.drain.clone()
}

pub(super) fn rollout(reader: &mut Reader, written: &Rollout) -> Rollout {
    let why = "no fleet is larger";
    reader.within::<u16>("spec.rollout.maxUnavailable", written.max_unavailable, 0..=512, why);
    reader.within::<u16>("spec.rollout.maxSurge", written.max_surge, 0..=512, why);
    if (written.max_unavailable, written.max_surge) == (0, 0) {
        let why = "with maxSurge 0 too no pod could ever be replaced";
        reader.refuse("spec.rollout.maxUnavailable", 0, "1 or more", why);
    }
    written.clone()
}

pub(super) fn pod_template(reader: &mut Reader, written: &PodTemplate) -> PodTemplate {
    const PATH: &str = "spec.podTemplate";
    reserved(reader, "spec.podTemplate.labels", &written.labels);
    reserved(reader, "spec.podTemplate.annotations", &written.annotations);
    labels(reader, "spec.podTemplate.labels", &written.labels, 32);
    labels(reader, "spec.podTemplate.nodeSelector", &written.node_selector, 32);
    keys(reader, "spec.podTemplate.annotations", &written.annotations, 32);
    let images = [("image", &written.image), ("speaker.image", &written.speaker.image)];
    for (field, image) in images {
        let sound = |image: &str| (1..=1024).contains(&image.len()) && !image.contains(char::is_whitespace);
        if let Some(image) = image.as_deref().filter(|image| !sound(image)) {
            let why = "nodes fetch it by that name";
            reader.refuse(format_args!("{PATH}.{field}"), quoted(image), "the name of an image", why);
        }
    }
    if let Some(class) = written.priority_class_name.as_deref().filter(|class| !read_text::is_subdomain(class)) {
        let why = "it is the name of a PriorityClass (RFC 1123)";
        reader.refuse("spec.podTemplate.priorityClassName", quoted(class), read_text::SUBDOMAIN, why);
    }
    resources(reader, "spec.podTemplate.resources", written.resources.as_ref());
    resources(reader, "spec.podTemplate.speaker.resources", written.speaker.resources.as_ref());
    lists(reader, written);
    let grace = written.termination_grace_period_seconds;
    let why = "a pod needs a moment to stop, and an hour is plenty";
    reader.within::<u16>("spec.podTemplate.terminationGracePeriodSeconds", grace, 5..=3600, why);
    written.clone()
}

fn resources(reader: &mut Reader, path: &str, written: Option<&ResourceRequirements>) {
    let Some(written) = written else { return };
    for (field, quantities) in [("limits", &written.limits), ("requests", &written.requests)] {
        for (name, quantity) in quantities.iter().flatten().filter(|(_, it)| !read_text::is_quantity(&it.0)) {
            let why = "it is a quantity of a resource";
            let allowed = "a number, with a unit such as m or Gi";
            reader.refuse(format_args!("{path}.{field}.{name}"), quoted(&quantity.0), allowed, why);
        }
    }
}

fn lists(reader: &mut Reader, written: &PodTemplate) {
    let lengths = [
        ("imagePullSecrets", written.image_pull_secrets.len(), 16),
        ("tolerations", written.tolerations.len(), 32),
        ("topologySpreadConstraints", written.topology_spread_constraints.len(), 8),
    ];
    for (field, length, most) in lengths.into_iter().filter(|(_, length, most)| length > most) {
        let allowed = format!("0 to {most}");
        reader.refuse(format_args!("spec.podTemplate.{field}"), format!("{length} of them"), allowed, "more is a slip");
    }
    let secrets = &written.image_pull_secrets;
    for (at, secret) in secrets.iter().enumerate() {
        if secrets[..at].contains(secret) {
            let field = format!("spec.podTemplate.imagePullSecrets[{at}].name");
            reader.refuse(field, quoted(&secret.name), "each Secret once", "it is there already");
        }
    }
}

/// Labels of pods or nodes.
pub(super) fn labels(
    reader: &mut Reader,
    field: &str,
    written: &BTreeMap<String, String>,
    most: usize,
) -> BTreeMap<String, String> {
    keys(reader, field, written, most);
    for (key, value) in written.iter().filter(|(_, value)| !read_text::is_label_value(value)) {
        let allowed = "up to 63 letters, digits, -, _ and ., beginning and ending with a letter or digit";
        reader.refuse(format_args!("{field}.{key}"), quoted(value), allowed, "it is the value of a label");
    }
    written.clone()
}

fn keys(reader: &mut Reader, field: &str, written: &BTreeMap<String, String>, most: usize) {
    if written.len() > most {
        reader.refuse(field, format!("{} of them", written.len()), format!("0 to {most}"), "more is a slip");
    }
    for key in written.keys().filter(|key| !read_text::is_qualified(key)) {
        let allowed = "NAME or DOMAIN/NAME, the name of up to 63 letters, digits, -, _ and .";
        reader.refuse(field, quoted(key), allowed, "it is the key of a label or annotation");
    }
}

fn reserved(reader: &mut Reader, field: &str, written: &BTreeMap<String, String>) {
    let ours = |key: &&String| {
        let domain = key.split_once('/').map_or("", |(domain, _)| domain);
        ["culvert.dev", "app.kubernetes.io", "k8s.v1.cni.cncf.io"].contains(&domain)
    };
    for key in written.keys().filter(ours) {
        let why = "the operator sets it: it finds the pods and their networks by it";
        reader.refuse(field, quoted(key), "keys of other domains", why);
    }
}
