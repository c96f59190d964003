//! `/metrics`: one look at the status, as Prometheus text. A collector gets the same.

#[cfg(test)]
mod everything;

use prometheus::{Error, GaugeVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder, proto::MetricFamily};

use crate::{
    plan::Family,
    shared::{Shared, Status},
};

/// Everything, as it is now.
///
/// # Errors
/// If a metric is defined wrongly: a bug.
pub(crate) fn render(shared: &Shared) -> Result<String, Error> {
    TextEncoder::new().encode_to_string(&gather(shared)?)
}

/// The same, before it is text.
///
/// # Errors
/// If a metric is defined wrongly: a bug.
pub(crate) fn gather(shared: &Shared) -> Result<Vec<MetricFamily>, Error> {
    let (status, page) = (shared.look(), Page::default());
    whole(&page, shared, &status)?;
    sessions(&page, &status)?;
    prefixes(&page, &status)?;
    Ok(page.registry.gather())
}

#[derive(Default)]
struct Page {
    registry: Registry,
}

fn whole(page: &Page, shared: &Shared, status: &Status) -> Result<(), Error> {
    let ready = status.reasons().is_empty();
    page.gauge("culvert_bgp_ready", "1 while each family that has peers has a session", &[])?
        .with_label_values::<&str>(&[])
        .set(ready.into());
    let info = page.gauge("culvert_bgp_build_info", "Always 1; which build, and which BIRD", &["version", "bird"])?;
    info.with_label_values(&[env!("CARGO_PKG_VERSION"), &status.bird.version]).set(1);
    page.gauge("culvert_bgp_bird_up", "1 while BIRD runs", &[])?
        .with_label_values::<&str>(&[])
        .set(status.bird.running.into());
    page.counter("culvert_bgp_bird_starts_total", "How often BIRD was started", &[])?
        .with_label_values::<&str>(&[])
        .inc_by(status.counts.starts);
    let configured =
        page.counter("culvert_bgp_configure_total", "Configurations that BIRD took, and that it refused", &["result"])?;
    configured.with_label_values(&["accepted"]).inc_by(status.counts.configured);
    configured.with_label_values(&["refused"]).inc_by(status.counts.refused);
    page.gauge("culvert_bgp_draining", "1 while the pod is asked to leave", &[])?
        .with_label_values::<&str>(&[])
        .set(status.draining.into());
    let obstacles = page.gauge("culvert_bgp_obstacle", "1 for each thing that is missing, by reason", &["reason"])?;
    for obstacle in status.all_obstacles() {
        obstacles.with_label_values(&[obstacle.reason]).set(1);
    }
    if let Some(revision) = &status.revision {
        page.gauge("culvert_bgp_revision_sequence", "The number of the revision that BIRD works by", &[])?
            .with_label_values::<&str>(&[])
            .set(revision.sequence.cast_signed());
    }
    if let Some(generation) = status.fleet_generation {
        page.gauge("culvert_bgp_fleet_generation", "The generation of the fleet that BIRD works by", &[])?
            .with_label_values::<&str>(&[])
            .set(generation);
    }
    let away = shared.contact.away().map_or(0, |away| away.since.duration_until(jiff::Timestamp::now()).as_secs());
    page.gauge("culvert_bgp_api_away_seconds", "For how long the API server has not answered; 0 while it does", &[])?
        .with_label_values::<&str>(&[])
        .set(away);
    Ok(())
}

fn sessions(page: &Page, status: &Status) -> Result<(), Error> {
    let labels = ["peer", "address", "interface"];
    let up = page.gauge("culvert_bgp_session_up", "1 while a session is up, and BFD with it if it has BFD", &labels)?;
    let bfd = page.gauge("culvert_bfd_session_up", "1 while a session's BFD is up", &labels)?;
    let opts = Opts::new("culvert_bgp_session_since_timestamp_seconds", "Since when a session is as it is");
    let since = GaugeVec::new(opts, &labels)?;
    page.registry.register(Box::new(since.clone()))?;
    let labels = ["peer", "address", "interface", "family"];
    let announced = page.gauge("culvert_bgp_session_announced_prefixes", "Prefixes announced by a session", &labels)?;
    for session in &status.sessions {
        let address = session.address.map(|address| address.to_string()).unwrap_or_default();
        let values = [session.peer.as_str(), &address, &session.interface];
        up.with_label_values(&values).set(session.up.into());
        since.with_label_values(&values).set(session.since.as_millisecond() as f64 / 1000.0);
        if let Some(state) = &session.bfd {
            bfd.with_label_values(&values).set((state == "Up").into());
        }
        for family in &session.families {
            let values = [session.peer.as_str(), &address, &session.interface, family.word()];
            announced.with_label_values(&values).set(session.announced.get(*family).cast_signed());
        }
    }
    Ok(())
}

fn prefixes(page: &Page, status: &Status) -> Result<(), Error> {
    let announced =
        page.gauge("culvert_bgp_announced_prefixes", "Prefixes that are announced to anybody", &["family"])?;
    let wanted = page.gauge("culvert_bgp_wanted_prefixes", "Prefixes that may be announced", &["family"])?;
    for family in Family::ALL {
        announced.with_label_values(&[family.word()]).set(status.announced.count().get(family).cast_signed());
        wanted.with_label_values(&[family.word()]).set(status.wanted.get(family).cast_signed());
    }
    Ok(())
}

impl Page {
    fn gauge(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, Error> {
        let gauge = IntGaugeVec::new(Opts::new(name, help), labels)?;
        self.registry.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }

    fn counter(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, Error> {
        let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
        self.registry.register(Box::new(counter.clone()))?;
        Ok(counter)
    }
}
