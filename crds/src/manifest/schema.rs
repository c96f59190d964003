//! What our objects may look like: read off the very schema that the API server enforces, so that a file is judged
//! here as it would be there.

use std::{collections::BTreeMap, sync::OnceLock};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::yaml::QUANTITY;

/// What a value may be.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// Fields with names of their own.
    Object(BTreeMap<String, Field>),
    /// Keys that people choose, as of labels.
    Map(Box<Schema>),
    List(Box<Schema>),
    Text {
        words: Vec<String>,
        is_time: bool,
    },
    Whole,
    WordOrWhole {
        words: Vec<String>,
    },
    /// `500m`, `1Gi`, `2`.
    Quantity,
    Bool,
    /// Not ours to judge.
    Any,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) schema: Schema,
    /// If not, an empty value is as good as none: Kubernetes drops it.
    pub(super) required: bool,
}

/// The schema of a whole `MapDomain`.
pub(super) fn map_domain() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| whole(&crate::yaml::map_domain()))
}

/// The schema of a whole `BorderRelay`.
pub(super) fn border_relay() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| whole(&crate::yaml::border_relay()))
}

fn whole(definition: &Value) -> Schema {
    let spec = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let field = |schema, required| Field { schema, required };
    let text = || Schema { kind: Kind::Text { words: Vec::new(), is_time: false } };
    let fields = [
        ("apiVersion", field(text(), true)),
        ("kind", field(text(), true)),
        ("metadata", field(metadata(), true)),
        ("spec", field(Schema::read(spec), true)),
        // It is the operator's and says nothing to a relay.
        ("status", field(Schema { kind: Kind::Any }, false)),
    ];
    Schema { kind: Kind::Object(fields.into_iter().map(|(name, field)| (name.to_owned(), field)).collect()) }
}

/// Kubernetes' own part. It writes nulls there: `creationTimestamp: null` comes from `kubectl --dry-run`.
fn metadata() -> Schema {
    let mut settings = SchemaSettings::openapi3();
    settings.inline_subschemas = true;
    let schema = settings.into_generator().into_root_schema_for::<ObjectMeta>();
    let mut metadata = Schema::read(schema.as_value());
    if let Kind::Object(fields) = &mut metadata.kind {
        for (name, field) in fields {
            field.required = name == "name";
        }
    }
    metadata
}

impl Schema {
    fn read(schema: &Value) -> Self {
        let is_set = |key: &str| schema[key].as_bool() == Some(true);
        let kind = match schema["type"].as_str() {
            _ if is_set("x-kubernetes-int-or-string") && schema["pattern"] == QUANTITY => Kind::Quantity,
            _ if is_set("x-kubernetes-int-or-string") => Kind::WordOrWhole { words: words_of_pattern(schema) },
            Some("object") => object(schema),
            Some("array") => Kind::List(Box::new(Self::read(&schema["items"]))),
            Some("string") => Kind::Text { words: words(schema), is_time: schema["format"] == "date-time" },
            Some("integer") => Kind::Whole,
            Some("boolean") => Kind::Bool,
            _ => Kind::Any,
        };
        Self { kind }
    }
}

fn object(schema: &Value) -> Kind {
    let is_required = |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|n| n == name));
    let field = |(name, schema): (&String, &Value)| {
        (name.clone(), Field { schema: Schema::read(schema), required: is_required(name) })
    };
    match (schema["properties"].as_object(), schema.get("additionalProperties")) {
        (Some(fields), _) => Kind::Object(fields.iter().map(field).collect()),
        (None, Some(values)) => Kind::Map(Box::new(Schema::read(values))),
        (None, None) => Kind::Any,
    }
}

fn words(schema: &Value) -> Vec<String> {
    let words = schema["enum"].as_array().into_iter().flatten();
    words.filter_map(|word| word.as_str().map(str::to_owned)).collect()
}

/// A word or number says its words as the pattern `^(Auto|Disabled)$`: an `enum` would forbid the number.
fn words_of_pattern(schema: &Value) -> Vec<String> {
    let pattern = schema["pattern"].as_str().unwrap_or_default();
    let words = pattern.trim_start_matches("^(").trim_end_matches(")$");
    words.split('|').map(str::to_owned).collect()
}
