//! What one object can prove of itself, the API server checks by CEL rules in the schema, before anything is stored. Each
//! says again what [`convert`](crate::convert) and [`mape`] check, in another language and place: `e2e/api` compares them on
//! a real API server.

use schemars::Schema;
use serde_json::{Value, json};

/// A rule in the schema.
pub(crate) struct Rule {
    /// The field it is about, from where it stands: `.psid`; empty for the very place.
    pub(crate) field: &'static str,
    /// The expression, true if all is well. `self` is the place.
    pub(crate) rule: &'static str,
    /// What to do if not.
    pub(crate) message: &'static str,
}

/// As `x-kubernetes-validations` has them.
pub(crate) fn validations(rules: &[Rule]) -> Value {
    let one = |Rule { field, rule, message }: &Rule| {
        // Written over several lines here, it is one there.
        let rule = rule.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut json = json!({"rule": rule, "message": message});
        if !field.is_empty() {
            json["fieldPath"] = json!(field);
        }
        json
    };
    rules.iter().map(one).collect()
}

/// Puts rules on the items of a list.
pub(crate) fn of_each(rules: &'static [Rule]) -> impl FnMut(&mut Schema) {
    |list| {
        if let Some(items) = list.get_mut("items").and_then(Value::as_object_mut) {
            items.insert("x-kubernetes-validations".to_owned(), validations(rules));
        }
    }
}

/// An RFC 1123 label.
pub(crate) const LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

/// An RFC 1123 subdomain.
pub(crate) const SUBDOMAIN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/// Two or three numbers.
pub(crate) const COMMUNITY: &str = "^[0-9]+:[0-9]+(:[0-9]+)?$";

pub(crate) const COMMUNITY_RULES: [Rule; 1] = [Rule {
    field: "",
    rule: "!self.matches('^[0-9]+:[0-9]+(:[0-9]+)?$')
        || self.split(':').all(part, int(part) <= (self.split(':').size() == 2 ? 65535 : 4294967295))",
    message: "a community is two numbers up to 65535 (RFC 1997) or three up to 4294967295 (RFC 8092)",
}];
