//! The ConfigMaps that hold a revision's files.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use super::{Files, MAX_CHUNKS};

/// A ConfigMap in the making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its name.
    pub name: String,
    /// Its files.
    pub files: Files,
}

impl Object {
    /// As Kubernetes takes it: what is packed as `binaryData`, all else as `data`, for people to read.
    #[must_use]
    pub fn config_map(&self, namespace: &str) -> ConfigMap {
        let (mut data, mut binary_data) = (BTreeMap::new(), BTreeMap::new());
        for (file, bytes) in &self.files {
            match std::str::from_utf8(bytes) {
                Ok(text) if !file.ends_with(".gz") => _ = data.insert(file.clone(), text.to_owned()),
                _ => _ = binary_data.insert(file.clone(), ByteString(bytes.clone())),
            }
        }
        ConfigMap {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            data: (!data.is_empty()).then_some(data),
            binary_data: (!binary_data.is_empty()).then_some(binary_data),
            immutable: None,
        }
    }

    /// The files in a ConfigMap.
    #[must_use]
    pub fn files_of(config_map: &ConfigMap) -> Files {
        let texts = config_map.data.iter().flatten().map(|(file, text)| (file.clone(), text.clone().into_bytes()));
        let packed = config_map.binary_data.iter().flatten().map(|(file, bytes)| (file.clone(), bytes.0.clone()));
        texts.chain(packed).collect()
    }
}

/// The ConfigMap with the index (0), and those with a chunk each: `FLEET-revision`, `FLEET-revision-1`, ...
#[must_use]
pub fn object_name(fleet: &str, number: usize) -> String {
    if number == 0 { format!("{fleet}-revision") } else { format!("{fleet}-revision-{number}") }
}

/// All the names that there may ever be, the index's first: for a Role's `resourceNames`, and to remove what is left over
/// when a revision shrinks.
pub fn object_names(fleet: &str) -> impl Iterator<Item = String> {
    (0..=MAX_CHUNKS).map(move |number| object_name(fleet, number))
}
