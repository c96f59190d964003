//! `culvert-relay probe`: what `helm test` runs. It makes a fleet of its own and a domain, and sends packets through each of
//! the fleet's relays, both ways.
//!
//! The pod that it runs in is on the fleet's networks, and all that is around a relay: its next hops, the CE, and the host in
//! the Internet. No other fleet, no router and no customer takes part or notices.
//!
//! ```text
//!             this pod                                        relay
//!   CE    2001:db8:100::1:4 --[ IPv6 | IPv4, UDP ]--> BR address -> decapsulates -.
//!   host  198.51.100.70     <-------[ IPv4, UDP ]---------------------------------'   and the other way round
//! ```
//!
//! | file | |
//! |---|---|
//! | `fleet.rs` | the fleet and the domain, as objects |
//! | `cluster.rs` | makes them, waits for them, finds the relays |
//! | `place.rs` | where a pod is on the segments: what Multus has written down |
//! | `crossing.rs` | what is sent and what has to come out |
//! | `segment.rs` | frames on a segment |
//! | `counters.rs` | what a relay counted, if nothing came out |

mod cluster;
mod counters;
mod crossing;
mod fleet;
mod place;
mod segment;

use std::time::{Duration, Instant};

use mape::DomainName;
use tokio::runtime::Builder;

use self::{
    cluster::{Cluster, Relay},
    crossing::Crossing,
    fleet::Ends,
    place::Place,
};
use crate::{
    cli::ProbeOptions,
    failure::{Failure, host},
    self_test::Way,
};

/// Makes the fleet, tests it, and removes it. One that failed stays, to be looked at.
pub(crate) fn run(options: ProbeOptions) -> Result<(), Failure> {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.map_err(|error| host("no runtime", error))?.block_on(probe(options)).map_err(Failure::Broken)
}

async fn probe(options: ProbeOptions) -> Result<(), String> {
    let cluster = Cluster::connect(&options.fleet).await?;
    let pod = cluster.pod(&options.pod).await?;
    let count = options.fleet.spec.replicas;
    let place = if count == 0 { None } else { Some(Place::of(&pod, &options.fleet.spec.dataplane.interfaces)?) };
    let ends = place.as_ref().map_or(Ends::NOWHERE, Ends::from);
    cluster.make(&fleet::relays(*options.fleet, &ends, &pod), &fleet::domain(&cluster.name, &ends, &pod)).await?;
    let began = Instant::now();
    let patience = Duration::from_secs(options.timeout_seconds.into());
    let relays = cluster.relays(count, began + patience).await.map_err(|why| cluster.and_how_to_look(&why))?;
    say(&format!(
        "fleet {}: accepted, its revision written, {count} of {count} relays ready after {:.1} s",
        cluster.name,
        began.elapsed().as_secs_f64()
    ));
    match &place {
        Some(place) => {
            let domain = DomainName { namespace: cluster.name.namespace.clone(), name: cluster.name.name.clone() };
            cross_all(&relays, &Crossing::open(domain, place, &ends)?)
                .await
                .map_err(|why| cluster.and_how_to_look(&why))?;
        }
        None => say("no relay was asked for, so no packet was sent: `test.interfaces` of the chart names networks"),
    }
    cluster.remove().await?;
    say("all is well");
    Ok(())
}

/// Packets through every relay, whatever became of those through the one before.
async fn cross_all(relays: &[Relay], crossing: &Crossing) -> Result<(), String> {
    let mut lost = Vec::new();
    for relay in relays {
        say(&format!("relay {} on {}", relay.pod, relay.node));
        for way in [Way::FromCe, Way::ToCe] {
            if let Some(size) = first_lost(relay, crossing, way).await? {
                lost.push(format!(
                    "{size} bytes {} do not cross {} on {}",
                    crossing::words(way),
                    relay.pod,
                    relay.node
                ));
            }
        }
    }
    if lost.is_empty() { Ok(()) } else { Err(lost.join("; ")) }
}

/// Sends a small packet and one as large as the segments carry; the size of the one that was lost, if one was.
async fn first_lost(relay: &Relay, crossing: &Crossing, way: Way) -> Result<Option<usize>, String> {
    for (number, size) in crossing.sizes().into_iter().enumerate() {
        let took = crossing.cross(way, &relay.place, size)?;
        say(&format!("  {}", crossing.told(way, size, took)));
        if took.is_none() {
            say(&counters::explain(relay, &crossing.domain, way, number > 0).await);
            return Ok(Some(size));
        }
    }
    Ok(None)
}

/// A line of the report.
fn say(line: &str) {
    println!("{line}");
}
