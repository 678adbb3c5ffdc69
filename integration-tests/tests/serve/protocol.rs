//! Gatekeeper's protocol over real mTLS, from a configuration as an operator writes it; the admin port; the end.

use std::time::Duration;

use integration_tests::{
    pki::{Authority, Identity},
    provider::{self, MUTATE, Provider, Stage, VERIFY, configuration},
    registry::{FakeRegistry, Reply},
    shelf::Shelf,
};
use reqwest::{Certificate, Client, tls::Version};
use serde_json::{Value, json};

use super::Scene;

const PATHS: [&str; 3] = ["/ratify/gatekeeper/v1", "/ratify/gatekeeper/v2", "/countersign/gatekeeper/v1"];
const GATEKEEPER: &str = "gatekeeper-webhook-service.gatekeeper-system.svc";

/// Who vouches for the server, and who for its clients.
struct Authorities {
    serving: Authority,
    clients: Authority,
}

impl Authorities {
    fn new() -> Self {
        Self { serving: Authority::new("serving"), clients: Authority::new("gatekeeper") }
    }

    fn gatekeeper(&self) -> Identity {
        self.clients.issue(GATEKEEPER, &[GATEKEEPER], |_| {})
    }

    fn client(&self, identity: Option<&Identity>) -> Client {
        let authority = Certificate::from_pem(self.serving.pem().as_bytes()).unwrap();
        let builder = Client::builder().no_proxy().tls_version_min(Version::TLS_1_3).tls_certs_only([authority]);
        let builder = match identity {
            Some(Identity { certificate_pem, key_pem, .. }) => {
                builder.identity(reqwest::Identity::from_pem(format!("{certificate_pem}{key_pem}").as_bytes()).unwrap())
            }
            None => builder,
        };
        builder.build().unwrap()
    }

    /// A server for `registry` over mTLS, with its files where an operator has them.
    async fn serve(&self, stage: &Stage, registry: &FakeRegistry) -> Provider {
        let serving = self.serving.server(&["localhost", "127.0.0.1"]);
        stage.write("tls/tls.crt", &serving.certificate_pem);
        stage.write("tls/tls.key", &serving.key_pem);
        stage.write("gatekeeper/ca.crt", &self.clients.pem());
        let mut configuration = configuration([registry.host().as_str()]);
        configuration["server"]["plainHttp"] = json!(false);
        configuration["server"]["tls"] = json!({
            "certificate": "tls/tls.crt",
            "key": "tls/tls.key",
            "clientCa": "gatekeeper/ca.crt",
            "clientName": GATEKEEPER,
        });
        stage.configure(&configuration);
        stage.start_with(self.client(Some(&self.gatekeeper()))).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gatekeeper_is_answered_over_mtls_on_all_paths_and_nobody_else_is() {
    let (stage, registry, authorities) = (Stage::set(), FakeRegistry::start().await, Authorities::new());
    let repository = registry.repository("shop/web");
    let image = repository.put_image("image", Some("v1"));
    repository.sign(&image, &stage.authority.signer("signer"));
    let provider = authorities.serve(&stage, &registry).await;
    let (tag, digest) = (repository.tag("v1").to_string(), repository.digest(&image.digest).to_string());
    for path in PATHS {
        let reply = provider.ask(&format!("{path}/verify"), &[&tag]).await;
        assert_eq!(reply["items"][0]["value"]["isSuccess"], true, "{path}: {reply}");
        let reply = provider.ask(&format!("{path}/mutate"), &[&tag]).await;
        assert_eq!(reply["items"], json!([{ "key": tag, "value": digest }]), "{path}: {reply}");
    }
    let stranger = Authority::new("gatekeeper").issue(GATEKEEPER, &[GATEKEEPER], |_| {});
    let other_name = authorities.clients.issue("someone", &["someone.else.svc"], |_| {});
    registry.forget_calls();
    for (row, identity) in
        [("none", None), ("of another authority", Some(&stranger)), ("with another name", Some(&other_name))]
    {
        let refused = provider.send(&authorities.client(identity), VERIFY, &[&tag]).await;
        assert!(refused.is_err(), "{row}: {refused:?}");
    }
    assert!(registry.calls().is_empty(), "who is refused causes nothing");
    assert_eq!(provider.code(&tag).await, "VERIFIED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_its_finished_keys_beside_a_system_error_for_the_others() {
    let scene = Scene::signed_by(1).await;
    let repository = scene.registry.repository("shop/web");
    let unsigned = repository.digest(&repository.put_image("unsigned", None).digest).to_string();
    let down = scene.registry.repository("shop/down").tag("v1").to_string();
    scene.registry.script("/v2/shop/down/", [Reply::status(503)]);
    let (tag, digest) = (scene.by_tag(), scene.by_digest());
    let namespaced = format!("[team-a]{digest}");
    let keys = [&down, &digest, "No Reference", &unsigned, &namespaced, &digest, &tag];
    let response = scene.provider.ask(VERIFY, &keys).await;
    let said: Vec<(&str, &Value)> = response["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["key"].as_str().unwrap(), &item["value"]["code"]))
        .collect();
    let (yes, none, no) = (json!("VERIFIED"), json!("NO_SIGNATURE"), json!("REF_INVALID"));
    let expected: [(&str, &Value); 6] = [
        (&digest, &yes),
        ("No Reference", &no),
        (&unsigned, &none),
        (&namespaced, &yes),
        (&digest, &yes),
        (&tag, &yes),
    ];
    assert_eq!(said, expected, "{response:#}");
    let error = response["systemError"].as_str().unwrap();
    assert!(error.contains("REG_UNAVAILABLE") && error.contains("shop/down"), "{error}");
    let message = response.to_string();
    assert!(!message.contains("\"error\":\""), "an item error would be kept by Gatekeeper: {message}");
    // Only what is undecided is asked again.
    scene.registry.forget_calls();
    let again = scene.provider.ask(VERIFY, &[&down, &digest, &unsigned]).await;
    assert!(again["systemError"].as_str().unwrap().contains("shop/down"));
    assert_eq!(scene.registry.calls_to("/shop/web/"), 0, "{:?}", scene.registry.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn mutation_resolves_tags_and_leaves_everything_else() {
    let scene = Scene::signed_by(0).await;
    let (tag, digest) = (scene.by_tag(), scene.by_digest());
    let missing = scene.registry.repository("shop/web").tag("none").to_string();
    let namespaced = format!("[team-a]{tag}");
    let keys = [tag.as_str(), &digest, "", "No Reference", "registry.invalid/x:1", &namespaced, &missing];
    let response = scene.provider.ask(MUTATE, &keys).await;
    assert_eq!(response["idempotent"], true);
    assert_eq!(response["systemError"].as_str().unwrap_or_default(), "", "it would discard all items");
    let items = response["items"].as_array().unwrap();
    assert_eq!(items[0], json!({ "key": tag, "value": digest }));
    for (item, key) in items[1..6].iter().zip(&keys[1..6]) {
        assert_eq!(item, &json!({ "key": key, "value": key }));
    }
    assert_eq!(items[6]["key"], missing.as_str());
    assert!(items[6]["error"].as_str().unwrap().starts_with("NOT_FOUND"), "{}", items[6]);
    assert_eq!(scene.registry.calls().len(), 2, "each tag once: {:?}", scene.registry.calls());
    let again = scene.provider.ask(MUTATE, &[items[0]["value"].as_str().unwrap()]).await;
    assert_eq!(again["items"][0]["value"], digest.as_str(), "twice is once");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_port_tells_health_readiness_and_metrics() {
    let scene = Scene::signed_by(1).await;
    assert_eq!(scene.provider.code(&scene.by_tag()).await, "VERIFIED");
    assert_eq!(scene.provider.admin("/healthz").await.0, 200);
    assert_eq!(scene.provider.admin("/readyz").await.0, 200);
    let (status, metrics) = scene.provider.admin("/metrics").await;
    assert_eq!(status, 200);
    for sample in [
        r#"countersign_keys_total{code="VERIFIED",endpoint="verify"} 1"#,
        r#"countersign_requests_total{endpoint="verify",outcome="OK"} 1"#,
        "countersign_config_generation 1",
        "countersign_config_reload_failures_total 0",
    ] {
        assert!(metrics.lines().any(|line| line == sample), "{sample}:\n{metrics}");
    }
    // TEN-09
    assert!(!metrics.contains("shop/web"), "no image is a label:\n{metrics}");
}

// SIGTERM: readiness off, what is in flight answered, then the end
#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_flight_at_the_end_is_answered_from_the_registry() {
    let mut scene = Scene::signed_by(1).await;
    scene.registry.hold();
    let (client, key) = (provider::client(), scene.by_digest());
    let url = format!("http://{}{VERIFY}", scene.provider.address());
    let body = provider::request(&[&key]).to_string();
    let asking = tokio::spawn(async move {
        let post = client.post(url).header("Content-Type", "application/json").body(body);
        serde_json::from_slice::<Value>(&post.send().await.unwrap().bytes().await.unwrap()).unwrap()
    });
    scene.registry.arrived(2).await;
    scene.provider.begin_shutdown();
    while scene.provider.admin("/readyz").await.0 == 200 {
        tokio::task::yield_now().await;
    }
    scene.registry.release();
    let reply = asking.await.unwrap();
    assert_eq!(reply["response"]["items"][0]["value"]["isSuccess"], true, "{reply}");
    let records = scene.provider.stop().await;
    assert!(records.contains(r#""code":"VERIFIED""#), "what was answered is recorded: {records}");
}

// Provider's timeout: a slow registry is a system error in time, and never a late yes
#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_says_nothing_is_a_system_error_before_the_providers_timeout() {
    let (stage, registry) = (Stage::set(), FakeRegistry::start().await);
    let repository = registry.repository("shop/web");
    let image = repository.put_image("image", Some("v1"));
    repository.sign(&image, &stage.authority.signer("signer"));
    let mut configuration = configuration([registry.host().as_str()]);
    configuration["server"]["providerTimeout"] = json!({ "verify": "400ms", "mutate": "400ms" });
    let provider = stage.start(&configuration).await;
    registry.hold();
    let key = repository.tag("v1").to_string();
    for path in [VERIFY, MUTATE] {
        let response = tokio::time::timeout(Duration::from_secs(5), provider.ask(path, &[&key])).await;
        let text = response.expect("an answer").to_string();
        assert!(text.contains("TIMEOUT") && !text.contains("isSuccess"), "{path}: {text}");
    }
}
