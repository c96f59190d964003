//! What a relay counted of the test's packets: why nothing came out.

use std::{net::SocketAddr, time::Duration};

use mape::DomainName;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::cluster::Relay;
use crate::self_test::Way;

/// The port of relays' pages in a pod.
const ADMIN_PORT: u16 = 9108;

/// How long a page may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a packet was lost, as far as the relay knows, and what to do. `smaller`: smaller ones crossed.
pub(super) async fn explain(relay: &Relay, domain: &DomainName, way: Way, smaller: bool) -> String {
    match page(SocketAddr::new(relay.address, ADMIN_PORT)).await {
        Ok(metrics) => judge(&metrics, domain, way, smaller),
        Err(error) => format!("    its counters cannot be read, at {}: {error}", relay.address),
    }
}

/// What follows from the counters.
fn judge(metrics: &str, domain: &DomainName, way: Way, smaller: bool) -> String {
    let forwarded: u64 = ours(metrics, "culvert_forwarded_packets_total", domain, way).map(|(_, count)| count).sum();
    let drops: Vec<String> = ours(metrics, "culvert_dropped_packets_total", domain, way)
        .map(|(labels, count)| format!("{} {count}", label(labels, "reason").unwrap_or("?")))
        .collect();
    let counted = format!("    the relay counted of such packets: forwarded {forwarded}, dropped {}", list(&drops));
    let (into, out_of) = match way {
        Way::FromCe => ("IPv6", "IPv4"),
        Way::ToCe => ("IPv4", "IPv6"),
    };
    let advice = if smaller {
        format!(
            "smaller ones cross: the {into} or the {out_of} segment carries less than the pods' interfaces say; compare MTUs"
        )
    } else if !drops.is_empty() {
        "ARCHITECTURE.md, `Drop reasons`, has what each means; `culvertctl capture` shows the packets".to_owned()
    } else if forwarded > 0 {
        format!(
            "they left and did not come here: what is on the {out_of} segment between the relay and this pod? (MAC or IP filters of the NIC or switch)"
        )
    } else {
        format!(
            "they did not get there: what is on the {into} segment between this pod and the relay? (MAC or IP filters of the NIC or switch, a VLAN)"
        )
    };
    format!("{counted}\n    {advice}")
}

fn list(drops: &[String]) -> String {
    if drops.is_empty() { "none".to_owned() } else { drops.join(", ") }
}

/// The series of a counter about a domain and a direction that are not 0: labels and value.
fn ours<'m>(metrics: &'m str, counter: &'m str, domain: &DomainName, way: Way) -> impl Iterator<Item = (&'m str, u64)> {
    let wanted = [
        ("namespace", domain.namespace.clone()),
        ("domain", domain.name.clone()),
        ("direction", way.word().to_owned()),
    ];
    let series = metrics.lines().filter_map(move |line| {
        let (labels, value) = line.strip_prefix(counter)?.strip_prefix('{')?.split_once("} ")?;
        Some((labels, value.parse().ok()?))
    });
    series.filter(move |(labels, count)| {
        *count > 0 && wanted.iter().all(|(name, value)| label(labels, name) == Some(value))
    })
}

/// A label's value. Ours need no escaping.
fn label<'l>(labels: &'l str, name: &str) -> Option<&'l str> {
    let mut pairs = labels.split(',').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.trim_matches('"'))
}

/// A relay's metrics.
async fn page(address: SocketAddr) -> Result<String, String> {
    let ask = async {
        let mut connection = TcpStream::connect(address).await?;
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        connection.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    timeout(PATIENCE, ask).await.map_err(|_| "it does not answer".to_owned())?.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = r#"# TYPE culvert_dropped_packets_total counter
culvert_dropped_packets_total{direction="from_ce",domain="test",namespace="isps",reason="SpoofedSource"} 3
culvert_dropped_packets_total{direction="from_ce",domain="test",namespace="isps",reason="NoPort"} 0
culvert_dropped_packets_total{direction="to_ce",domain="other",namespace="isps",reason="TooBig"} 7
culvert_forwarded_packets_total{direction="to_ce",domain="test",namespace="isps"} 2
culvert_forwarded_packets_total{direction="to_ce",domain="test",namespace="elsewhere"} 9
"#;

    fn judged(metrics: &str, way: Way, smaller: bool) -> String {
        let domain = DomainName { namespace: "isps".to_owned(), name: "test".to_owned() };
        judge(metrics, &domain, way, smaller)
    }

    #[test]
    fn drops_are_told_with_their_reasons() {
        let told = judged(METRICS, Way::FromCe, false);
        assert!(told.contains("forwarded 0, dropped SpoofedSource 3\n") && told.contains("Drop reasons"), "{told}");
    }

    #[test]
    fn where_it_was_lost_follows_from_what_was_counted() {
        let told = judged(METRICS, Way::ToCe, false);
        assert!(told.contains("forwarded 2, dropped none\n") && told.contains("did not come here"), "{told}");
        assert!(told.contains("the IPv6 segment"), "{told}");
        let told = judged("", Way::ToCe, false);
        assert!(told.contains("did not get there") && told.contains("the IPv4 segment"), "{told}");
        assert!(judged(METRICS, Way::ToCe, true).contains("compare MTUs"));
    }
}
