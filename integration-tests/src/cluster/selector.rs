//! Which objects a list or a watch is about.

use serde_json::Value;

use super::Call;

/// Namespace, field selector and label selector; of the selectors only equality.
#[derive(Debug, Clone)]
pub(super) struct Selector {
    namespace: String,
    fields: Vec<(String, String)>,
    labels: Vec<(String, String)>,
}

impl Selector {
    pub(super) fn of(call: &Call) -> Self {
        let pairs = |name: &str| {
            let text = call.query.get(name).map(String::as_str).unwrap_or_default();
            text.split(',')
                .filter_map(|pair| pair.split_once('='))
                .map(|(key, value)| (key.trim().to_owned(), value.trim_start_matches('=').trim().to_owned()))
                .collect()
        };
        Self { namespace: call.namespace.clone(), fields: pairs("fieldSelector"), labels: pairs("labelSelector") }
    }

    pub(super) fn picks(&self, object: &Value) -> bool {
        let metadata = &object["metadata"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (self.namespace.is_empty() || text(&metadata["namespace"]) == self.namespace)
            && self.labels.iter().all(|(key, value)| text(&metadata["labels"][key]) == *value)
            && self.fields.iter().all(|(path, value)| {
                let pointer = format!("/{}", path.replace('.', "/"));
                object.pointer(&pointer).map(text).unwrap_or_default() == *value
            })
    }
}
