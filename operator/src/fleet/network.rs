//! What a NetworkAttachmentDefinition says that matters here: a device, and addresses.

use crds::border_relay::Side;
use kube::{ResourceExt, core::DynamicObject};
use serde_json::Value;

/// Names the device that a pod must ask for to get the network, as SR-IOV's device plugin knows it.
const RESOURCE: &str = "k8s.v1.cni.cncf.io/resourceName";

/// A NetworkAttachmentDefinition, as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// It is there.
    Found {
        /// The device that a pod has to ask for.
        resource: Option<String>,
        /// Which addresses it gives a pod.
        addresses: Addresses,
    },
    /// There is none of that name.
    Missing,
    /// The cluster does not know the kind at all.
    NoSuchKind,
    /// It could not be read, for this reason.
    Unreadable(String),
}

/// Which addresses a network gives a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addresses {
    /// None: it has no IPAM.
    None,
    /// Of these families.
    Families {
        /// IPv4.
        ipv4: bool,
        /// IPv6.
        ipv6: bool,
    },
    /// Only the IPAM plugin knows.
    Unknown,
}

impl Addresses {
    /// The families that a side needs and the network certainly does not give.
    #[must_use]
    pub fn missing(self, side: Side) -> Vec<&'static str> {
        let gives = match self {
            Self::None => [false, false],
            Self::Families { ipv4, ipv6 } => [ipv4, ipv6],
            Self::Unknown => [true, true],
        };
        let needs = [("IPv4", side.is_ipv4()), ("IPv6", side.is_ipv6())];
        needs
            .into_iter()
            .zip(gives)
            .filter(|((_, needed), given)| *needed && !given)
            .map(|((name, _), _)| name)
            .collect()
    }
}

impl From<&DynamicObject> for Network {
    fn from(definition: &DynamicObject) -> Self {
        let resource = definition.annotations().get(RESOURCE).filter(|name| !name.is_empty()).cloned();
        let config = definition.data.pointer("/spec/config").and_then(Value::as_str).unwrap_or_default();
        Self::Found { resource, addresses: addresses(config) }
    }
}

/// Reads the CNI configuration. Left out, it is in a file on the nodes, which nobody here can see.
fn addresses(config: &str) -> Addresses {
    let Ok(config) = serde_json::from_str::<Value>(config) else { return Addresses::Unknown };
    let plugins = config.get("plugins").and_then(Value::as_array).cloned().unwrap_or_else(|| vec![config]);
    let ipam = plugins.iter().filter_map(|plugin| plugin.get("ipam")).find(|ipam| ipam.get("type").is_some());
    ipam.map_or(Addresses::None, of_ipam)
}

fn of_ipam(ipam: &Value) -> Addresses {
    let prefixes = match ipam.get("type").and_then(Value::as_str) {
        Some("host-local") => texts(ipam, &["ranges", "subnet"]),
        Some("static") => texts(ipam, &["addresses"]),
        Some("whereabouts") => texts(ipam, &["range", "ipRanges"]),
        _ => Vec::new(),
    };
    let ipv6 = prefixes.iter().any(|prefix| prefix.contains(':'));
    let ipv4 = prefixes.iter().any(|prefix| !prefix.contains(':'));
    if prefixes.is_empty() { Addresses::Unknown } else { Addresses::Families { ipv4, ipv6 } }
}

/// The prefixes under these keys, whether they are texts, or objects that name them, or lists of those.
fn texts(value: &Value, keys: &[&str]) -> Vec<String> {
    keys.iter().filter_map(|key| value.get(key)).flat_map(prefixes).collect()
}

fn prefixes(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(prefixes).collect(),
        Value::Object(_) => texts(value, &["subnet", "address", "range"]),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::ApiResource;
    use serde_json::json;

    use super::*;

    fn given(config: &Value) -> Addresses {
        addresses(&config.to_string())
    }

    fn families(ipv4: bool, ipv6: bool) -> Addresses {
        Addresses::Families { ipv4, ipv6 }
    }

    #[test]
    fn the_usual_ipam_plugins_say_which_families_they_give() {
        let host_local =
            json!({"type": "host-local", "ranges": [[{"subnet": "198.51.100.0/24"}], [{"subnet": "2001:db8::/64"}]]});
        assert_eq!(given(&json!({"type": "macvlan", "ipam": host_local})), families(true, true));
        let old = json!({"type": "host-local", "subnet": "2001:db8::/64"});
        assert_eq!(
            given(&json!({"plugins": [{"type": "sriov", "ipam": old}, {"type": "tuning"}]})),
            families(false, true)
        );
        let fixed = json!({"type": "static", "addresses": [{"address": "192.0.2.7/24"}]});
        assert_eq!(given(&json!({"type": "macvlan", "ipam": fixed})), families(true, false));
        let where_abouts =
            json!({"type": "whereabouts", "range": "192.0.2.0/24", "ipRanges": [{"range": "2001:db8::/64"}]});
        assert_eq!(given(&json!({"type": "macvlan", "ipam": where_abouts})), families(true, true));
    }

    #[test]
    fn what_cannot_be_known_is_not_called_missing() {
        assert_eq!(given(&json!({"type": "macvlan", "ipam": {"type": "dhcp"}})), Addresses::Unknown);
        assert_eq!(addresses(""), Addresses::Unknown);
        assert_eq!(given(&json!({"type": "macvlan"})), Addresses::None);
        assert_eq!(given(&json!({"type": "macvlan", "ipam": {}})), Addresses::None);
        assert!(Addresses::Unknown.missing(Side::Both).is_empty());
        assert_eq!(Addresses::None.missing(Side::IPv4), ["IPv4"]);
        assert_eq!(families(true, false).missing(Side::Both), ["IPv6"]);
    }

    #[test]
    fn the_device_is_in_an_annotation() {
        let kind = ApiResource::erase::<crds::MapDomain>(&());
        let mut definition = DynamicObject::new("vf", &kind);
        definition.annotations_mut().insert(RESOURCE.to_owned(), "intel.com/vfs".to_owned());
        let Network::Found { resource, .. } = Network::from(&definition) else { panic!() };
        assert_eq!(resource.as_deref(), Some("intel.com/vfs"));
    }
}
