//! A client that asks as Gatekeeper does, and decides as it does: by the bundled ConstraintTemplate.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, anyhow};
use regorus::{Engine, Value as Rego};
use reqwest::{Certificate, Client, Identity, header::CONTENT_TYPE, tls::Version};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::pki::Pair;
use crate::reason;

/// The manifest that users apply.
const TEMPLATE: &str = include_str!("../../rego/template.yaml");
const PACKAGE: &str = "verifiedimages";
/// The name in the constraint and of the Provider.
const PROVIDER: &str = "countersign";
const API_VERSION: &str = "externaldata.gatekeeper.sh/v1beta1";
/// Above every `providerTimeout` of the demo: the server is the one that ends a question.
const TIMEOUT: Duration = Duration::from_secs(12);

/// The two endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Mutate,
    Verify,
}

impl Endpoint {
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Mutate => "/countersign/gatekeeper/v1/mutate",
            Self::Verify => "/countersign/gatekeeper/v1/verify",
        }
    }
}

/// An answer, as far as Gatekeeper reads it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Reply {
    pub(crate) idempotent: bool,
    pub(crate) items: Vec<Item>,
    pub(crate) system_error: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Item {
    pub(crate) key: String,
    pub(crate) value: Value,
    pub(crate) error: String,
}

#[derive(Deserialize)]
struct Envelope {
    response: Reply,
}

/// One violation of the constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) message: String,
    pub(crate) image: String,
    pub(crate) code: String,
    pub(crate) reason: String,
}

/// Speaks TLS 1.3 and HTTP/1.1, with a client certificate or without.
#[derive(Debug, Clone)]
pub(crate) struct Gatekeeper {
    http: Client,
    address: SocketAddr,
}

impl Gatekeeper {
    /// A client that trusts `authority` (PEM) and shows `identity`.
    pub(crate) fn new(address: SocketAddr, authority: &str, identity: Option<&Pair>) -> anyhow::Result<Self> {
        let mut builder = Client::builder()
            .no_proxy()
            .http1_only()
            .tls_version_min(Version::TLS_1_3)
            .tls_certs_only([Certificate::from_pem(authority.as_bytes())?])
            .timeout(TIMEOUT);
        if let Some(Pair { certificate, key }) = identity {
            builder = builder.identity(Identity::from_pem(format!("{certificate}{key}").as_bytes())?);
        }
        Ok(Self { http: builder.build().context("no client for the provider")?, address })
    }

    /// Sends one batch. The HTTP status is not looked at, as Gatekeeper does not.
    pub(crate) async fn ask(&self, endpoint: Endpoint, keys: &Value) -> anyhow::Result<Reply> {
        let url = format!("https://{}{}", self.address, endpoint.path());
        let post = self.http.post(url).header(CONTENT_TYPE, "application/json").body(request(keys).to_string());
        let response = post.send().await?;
        let envelope: Envelope =
            serde_json::from_slice(&response.bytes().await?).context("the reply is not readable")?;
        Ok(envelope.response)
    }

    /// Reviews a Pod as the webhook would: its violations, or none.
    pub(crate) async fn review(&self, pod: Value) -> anyhow::Result<Vec<Violation>> {
        let (client, handle) = (self.clone(), Handle::current());
        // Rego is evaluated synchronously and waits for the provider.
        tokio::task::spawn_blocking(move || evaluate(&pod, move |keys| handle.block_on(client.external_data(keys))))
            .await
            .context("the evaluation failed")?
    }

    /// What Rego sees: `responses`, `errors`, `status_code`, `system_error`.
    async fn external_data(&self, keys: &Value) -> Value {
        let reply = match self.ask(Endpoint::Verify, keys).await {
            Ok(reply) => reply,
            Err(error) => {
                let text = reason::chain(&*error.into_boxed_dyn_error());
                return json!({ "responses": null, "errors": null, "status_code": 500, "system_error": text });
            }
        };
        let (failed, given): (Vec<Item>, Vec<Item>) = reply.items.into_iter().partition(|item| !item.error.is_empty());
        let responses: Vec<Value> = given.into_iter().map(|item| json!([item.key, item.value])).collect();
        let errors: Vec<Value> = failed.into_iter().map(|item| json!([item.key, item.error])).collect();
        json!({ "responses": responses, "errors": errors, "status_code": 200, "system_error": reply.system_error })
    }
}

/// A batch as Gatekeeper sends it.
pub(crate) fn request(keys: &Value) -> Value {
    json!({ "apiVersion": API_VERSION, "kind": "ProviderRequest", "request": { "keys": keys } })
}

/// The Rego of a ConstraintTemplate.
fn rego_of(template: &str) -> anyhow::Result<String> {
    let template: Value = serde_json::from_str(&Rego::from_yaml_str(template)?.to_json_str()?)?;
    let rego = template.pointer("/spec/targets/0/code/0/source/rego").and_then(Value::as_str);
    rego.map(str::to_owned).ok_or_else(|| anyhow!("the bundled template has no Rego"))
}

fn evaluate(
    pod: &Value,
    external_data: impl Fn(&Value) -> Value + Clone + Send + Sync + 'static,
) -> anyhow::Result<Vec<Violation>> {
    let mut engine = Engine::new();
    // OPA's semantics: a builtin that fails leaves its rule undefined.
    engine.set_strict_builtin_errors(false);
    engine.add_policy("template.rego".to_owned(), rego_of(TEMPLATE)?)?;
    let extension = move |arguments: Vec<Rego>| {
        let request: Value = serde_json::from_str(&arguments.first().unwrap_or(&Rego::Null).to_json_str()?)?;
        let (provider, keys) = (request.get("provider"), request.get("keys"));
        match keys {
            Some(keys) if provider.and_then(Value::as_str) == Some(PROVIDER) => {
                Rego::from_json_str(&external_data(keys).to_string())
            }
            _ => Err(anyhow!("no such provider")),
        }
    };
    engine.add_extension("external_data".to_owned(), 1, Box::new(extension))?;
    let input = json!({ "review": { "object": pod, "namespace": "default" }, "parameters": { "provider": PROVIDER } });
    engine.set_input(Rego::from_json_str(&input.to_string())?);
    let found = engine.eval_rule(format!("data.{PACKAGE}.violation"))?;
    let found: Vec<Value> = serde_json::from_str(&found.to_json_str()?).context("violations are no set")?;
    found.iter().map(violation).collect()
}

fn violation(found: &Value) -> anyhow::Result<Violation> {
    let text = |pointer: &str| found.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    Ok(Violation {
        message: text("/msg").ok_or_else(|| anyhow!("a violation without a message"))?,
        image: text("/details/image").unwrap_or_default(),
        code: text("/details/code").unwrap_or_default(),
        reason: text("/details/reason").unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(image: &str) -> Value {
        json!({ "spec": { "containers": [{ "name": "c", "image": image }] } })
    }

    #[test]
    fn bundled_template_admits_only_what_is_answered_with_a_yes() {
        let answer = |value: Value| move |keys: &Value| json!({ "responses": [[keys[0], value]], "errors": [], "status_code": 200, "system_error": "" });
        assert_eq!(evaluate(&pod("a:1"), answer(json!({ "isSuccess": true }))).unwrap(), []);
        let found = evaluate(&pod("a:1"), answer(json!({ "isSuccess": false, "code": "NO_SIGNATURE" }))).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].image.as_str(), found[0].code.as_str()), ("a:1", "NO_SIGNATURE"));
        assert!(found[0].message.contains("Subject failed verification: a:1"), "{}", found[0].message);
    }

    #[test]
    fn outage_refuses() {
        let outage =
            |_: &Value| json!({ "responses": null, "errors": null, "status_code": 500, "system_error": "down" });
        let found = evaluate(&pod("a:1"), outage).unwrap();
        assert_eq!(found.iter().map(|v| v.code.as_str()).collect::<Vec<_>>(), ["PROVIDER_ERROR"]);
    }
}
