//! A ConstraintTemplate as Gatekeeper evaluates it: `violation` over a review and parameters, with `external_data`.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use regorus::{Engine, Value as Rego};
use serde_json::{Value, json};

/// The folder of manifests.
pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../rego")
}

pub(super) fn read(name: &str) -> String {
    let path = folder().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every YAML document of a file.
pub(super) fn documents(name: &str) -> Vec<Value> {
    use serde::Deserialize as _;
    let text = read(name);
    serde_yaml_ng::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).unwrap_or_else(|error| panic!("{name}: {error}")))
        .collect()
}

/// The one document of a file.
pub(super) fn document(name: &str) -> Value {
    let mut all = documents(name);
    assert_eq!(all.len(), 1, "{name}");
    all.remove(0)
}

/// The Rego of a template file, which is Rego v1 in `code[]`.
pub(super) fn rego_of(name: &str) -> String {
    let template = document(name);
    let code = &template["spec"]["targets"][0]["code"][0];
    assert_eq!((code["engine"].as_str(), code["source"]["version"].as_str()), (Some("Rego"), Some("v1")), "{name}");
    code["source"]["rego"].as_str().unwrap().to_owned()
}

/// What `external_data` does.
#[derive(Clone)]
pub(super) enum Answer {
    /// Gatekeeper's builtin fails; the call is undefined.
    Fails,
    /// This is what Rego sees.
    Is(Value),
    /// The function is the template's own (the stub variant).
    Own,
}

/// Rego with its package.
pub(super) struct Template {
    engine: Engine,
    package: &'static str,
}

/// What a review led to.
pub(super) struct Reviewed {
    /// Texts, sorted.
    pub(super) violations: Vec<String>,
    /// Each request that `external_data` was called with.
    pub(super) requests: Vec<Value>,
}

impl Template {
    pub(super) fn v1(package: &'static str, rego: &str) -> Self {
        Self::load(package, rego, Engine::new())
    }

    pub(super) fn v0(package: &'static str, rego: &str) -> Self {
        let mut engine = Engine::new();
        engine.set_rego_v0(true);
        Self::load(package, rego, engine)
    }

    pub(super) fn bundled() -> Self {
        Self::v1("verifiedimages", &rego_of("template.yaml"))
    }

    fn load(package: &'static str, rego: &str, mut engine: Engine) -> Self {
        engine.set_strict_builtin_errors(false);
        engine.add_policy(format!("{package}.rego"), rego.to_owned()).unwrap();
        Self { engine, package }
    }

    /// Reviews `object` with the constraint's `parameters`.
    pub(super) fn review(&self, object: &Value, parameters: &Value, answer: Answer) -> Reviewed {
        self.review_with(object, parameters, answer, None)
    }

    pub(super) fn review_with(
        &self,
        object: &Value,
        parameters: &Value,
        answer: Answer,
        inventory: Option<&Value>,
    ) -> Reviewed {
        let mut engine = self.engine.clone();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let extension = move |arguments: Vec<Rego>| {
            seen.lock().unwrap().push(serde_json::to_value(&arguments[0]).unwrap());
            match &answer {
                Answer::Is(reply) => Rego::from_json_str(&reply.to_string()),
                Answer::Fails | Answer::Own => Ok(Rego::Undefined),
            }
        };
        if inventory.is_none() {
            engine.add_extension("external_data".to_owned(), 1, Box::new(extension)).unwrap();
        }
        if let Some(inventory) = inventory {
            engine.add_data(Rego::from_json_str(&json!({ "inventory": inventory }).to_string()).unwrap()).unwrap();
        }
        let review = json!({ "review": { "object": object, "namespace": object["metadata"]["namespace"] },
            "parameters": parameters });
        engine.set_input(Rego::from_json_str(&review.to_string()).unwrap());
        let found = engine.eval_rule(format!("data.{}.violation", self.package)).unwrap();
        let found: Vec<Value> = if found == Rego::Undefined {
            Vec::new()
        } else {
            serde_json::from_str(&found.to_json_str().unwrap()).unwrap()
        };
        let mut violations: Vec<String> = found.iter().map(|v| v["msg"].as_str().unwrap().to_owned()).collect();
        violations.sort();
        let requests = requests.lock().unwrap().clone();
        Reviewed { violations, requests }
    }
}

/// A Gatekeeper reply in which each of `responses` is `(key, value)`.
pub(super) fn reply(responses: &[(&str, Value)]) -> Value {
    let pairs: Vec<Value> = responses.iter().map(|(key, value)| json!([key, value])).collect();
    json!({ "responses": pairs, "errors": [], "status_code": 200, "system_error": "" })
}

/// A Pod with these containers.
pub(super) fn pod(images: &[&str]) -> Value {
    let containers: Vec<Value> =
        images.iter().enumerate().map(|(i, image)| json!({ "name": format!("c{i}"), "image": image })).collect();
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p", "namespace": "payments" },
        "spec": { "containers": containers } })
}
