//! Credentials from pull Secrets and `ServiceAccounts`: which is shown to a registry, and what is said when there is none.

use std::{path::Path, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign::{
    kubernetes::{Cluster, pull_secrets::Feeder},
    reason,
    store::{
        Store, StoreError,
        registry::{Config, Limits, Outside, PullSecrets, Registry},
    },
    telemetry::{DecisionLog, Telemetry},
};
use integration_tests::{
    cluster::{FakeCluster, Fault, Interruption, TOKEN},
    registry::{Access, FakeRegistry},
    shelf::Shelf,
};
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::Instant};

/// Passwords begin so, and stand nowhere but in requests to the registry.
const CANARY: &str = "canary-pull-0b6e";
const JSON_TYPE: &str = "kubernetes.io/dockerconfigjson";

/// A registry that wants a password, a store that takes it from the cluster, and what feeds that.
struct Scene {
    cluster: FakeCluster,
    registry: FakeRegistry,
    followed: PullSecrets,
    store: Registry,
    telemetry: Telemetry,
    feeding: JoinHandle<()>,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.feeding.abort();
    }
}

impl Scene {
    async fn new(credentials: &Value) -> Self {
        Self::with(credentials, |_, _| {}).await
    }

    /// `prepare`: what is there before anybody looks.
    async fn with(credentials: &Value, prepare: impl FnOnce(&FakeCluster, &FakeRegistry)) -> Self {
        let (cluster, registry) = (FakeCluster::start().await, FakeRegistry::start().await);
        registry.repository("shop/web").put_image("image", Some("v1"));
        registry.require(Access::Basic("user".to_owned(), password("one")));
        prepare(&cluster, &registry);
        let host = json!({ "plainHttp": true, "allowLoopback": true, "credentials": credentials });
        let config: Config = serde_json::from_value(json!({ "hosts": { registry.host(): host } })).unwrap();
        let followed = PullSecrets::default();
        let outside = Outside { pull_secrets: followed.clone(), ..Outside::default() };
        let store = Registry::build("registries", &config, Path::new("."), Limits::default(), outside).unwrap();
        let telemetry = Telemetry::detached(DecisionLog::None, std::io::sink()).unwrap();
        let own = Cluster::new(cluster.client(), Some("countersign-system"));
        let feeder = Feeder::new(own, followed.clone(), &telemetry.meter());
        let feeding = tokio::spawn(feeder.run_until(std::future::pending()));
        Self { cluster, registry, followed, store, telemetry, feeding }
    }

    /// A Secret's content with an entry for the registry.
    fn content(&self, word: &str) -> String {
        content(&self.registry, word)
    }

    fn put(&self, name: &str, text: &str) {
        self.cluster.put_secret("team-a", name, JSON_TYPE, &[(".dockerconfigjson", text)]);
    }

    async fn resolve(&self) -> Result<(), StoreError> {
        let reference = self.registry.repository("shop/web").tag("v1");
        self.store.resolve(&reference, Instant::now() + Duration::from_secs(30)).await.map(|_| ())
    }

    /// Asks until the answer is `expected`: `Ok`, or an error that says so.
    async fn becomes(&self, name: &str, expected: Result<(), &str>) {
        let mut last = String::new();
        let deadline = Instant::now() + Duration::from_mins(1);
        while Instant::now() < deadline {
            match (self.resolve().await, expected) {
                (Ok(()), Ok(())) => return,
                (Err(error), Err(part)) if reason::chain(&error).contains(part) => {
                    assert!(matches!(error, StoreError::Auth { .. }), "{name}: {error:?}");
                    assert!(!reason::chain(&error).contains(CANARY), "{name}: {error:?}");
                    return;
                }
                (other, _) => last = format!("{other:?}"),
            }
            tokio::task::yield_now().await;
        }
        panic!("{name}: {last}, not {expected:?}");
    }

    fn count(&self, state: &str) -> f64 {
        let text = self.telemetry.prometheus_text().unwrap();
        let name = format!("countersign_pull_secrets{{state=\"{state}\"}}");
        text.lines().find_map(|line| line.strip_prefix(&name)?.trim().parse().ok()).unwrap_or(-1.0)
    }
}

fn password(word: &str) -> String {
    format!("{CANARY}-{word}")
}

fn content(registry: &FakeRegistry, word: &str) -> String {
    let auth = STANDARD.encode(format!("user:{}", password(word)));
    json!({ "auths": { registry.host(): { "auth": auth } } }).to_string()
}

fn by_name() -> Value {
    json!({ "pullSecrets": [{ "name": "regcred", "namespace": "team-a" }] })
}

#[tokio::test]
async fn a_secret_that_rotates_is_used_without_a_restart() {
    let scene = Scene::with(&by_name(), |cluster, registry| {
        cluster.put_secret("team-a", "regcred", JSON_TYPE, &[(".dockerconfigjson", &content(registry, "one"))]);
    })
    .await;
    scene.becomes("first", Ok(())).await;
    assert!(scene.followed.is_settled());
    scene.registry.require(Access::Basic("user".to_owned(), password("two")));
    scene.becomes("the registry wants another", Err("401")).await;
    scene.put("regcred", &scene.content("two"));
    scene.becomes("the Secret has it", Ok(())).await;
    assert!((scene.count("read") - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn each_state_of_a_secret_has_its_answer() {
    let named = "Secret team-a/regcred";
    let scene = Scene::new(&by_name()).await;
    scene.becomes("absent", Err("Secret team-a/regcred does not exist")).await;
    assert!(scene.followed.is_settled(), "that it is absent is known");
    assert!((scene.count("absent") - 1.0).abs() < f64::EPSILON);
    for (name, text, told) in [
        ("half written", r#"{"auths":{"a.te"#.to_owned(), "is no JSON document"),
        ("empty", String::new(), "is no JSON document"),
        ("half an entry", scene.content("one").replace("\"auth\":\"", "\"auth\":\"%"), "malformed `auth`"),
    ] {
        scene.put("regcred", &text);
        scene.becomes(name, Err(told)).await;
        scene.becomes(name, Err(named)).await;
    }
    scene.cluster.put_secret("team-a", "regcred", "Opaque", &[(".dockerconfigjson", &scene.content("one"))]);
    scene.becomes("another type", Err("is of neither type")).await;
    scene.put("regcred", &json!({ "auths": { "other.test": { "auth": "dTpw" } } }).to_string());
    scene.becomes("an entry for another host only: anonymous", Err("none is configured")).await;
    scene.put("regcred", &scene.content("one"));
    scene.becomes("whole", Ok(())).await;
    scene.put("regcred", r#"{"auths":{"a.te"#);
    scene.cluster.arrived("get secrets/regcred", scene.cluster.calls_to("get secrets/regcred").len()).await;
    scene.becomes("half written again: what it said stays", Ok(())).await;
    scene.cluster.remove("secrets", "team-a", "regcred");
    scene.becomes("deleted", Err("Secret team-a/regcred does not exist")).await;
    scene.cluster.put_secret(
        "team-a",
        "regcred",
        "kubernetes.io/dockercfg",
        &[(".dockercfg", &serde_json::from_str::<Value>(&scene.content("one")).unwrap()["auths"].to_string())],
    );
    scene.becomes("legacy", Ok(())).await;
}

#[tokio::test]
async fn an_api_server_in_trouble_at_the_start_is_asked_again_and_said() {
    for (name, fault, told) in [
        ("RBAC", Fault::status(403), "cannot be read: the API server answers 403 (Forbidden)"),
        ("5xx", Fault::status(503), "cannot be read: the API server answers 503"),
        ("429", Fault::throttled(1), "cannot be read: the API server answers 429"),
        ("dropped", Fault::Drop, "cannot be read: the API server cannot be reached"),
        ("cut", Fault::Cut, "cannot be read: the API server cannot be reached"),
        (
            "bad base64",
            Fault::edit(|mut secret| {
                secret["data"][".dockerconfigjson"] = json!(format!("{CANARY}="));
                secret
            }),
            "the API server's answer cannot be read",
        ),
    ] {
        let scene = Scene::with(&by_name(), |cluster, registry| {
            cluster.script_always("get secrets/regcred", fault);
            cluster.put_secret("team-a", "regcred", JSON_TYPE, &[(".dockerconfigjson", &content(registry, "one"))]);
        })
        .await;
        scene.becomes(name, Err(told)).await;
        scene.becomes(name, Err("Secret team-a/regcred")).await;
        scene.cluster.heal();
        scene.put("regcred", &format!("{} ", scene.content("one")));
        scene.becomes(name, Ok(())).await;
        assert!(scene.followed.is_settled(), "{name}");
    }
}

#[tokio::test]
async fn a_slow_api_server_leaves_questions_open_and_others_alone() {
    let credentials = json!({ "pullSecrets": [{ "name": "slow", "namespace": "team-a" }, { "name": "regcred", "namespace": "team-a" }] });
    let scene = Scene::with(&credentials, |cluster, registry| {
        cluster.script_always("get secrets/slow", Fault::Hold);
        cluster.put_secret("team-a", "regcred", JSON_TYPE, &[(".dockerconfigjson", &content(registry, "one"))]);
    })
    .await;
    scene.becomes("the other has an entry", Ok(())).await;
    assert!(!scene.followed.is_settled());
    scene.put("regcred", r#"{"auths":{}}"#);
    scene.becomes("the slow one may have it", Err("Secret team-a/slow has not been read yet")).await;
    scene.put("slow", &scene.content("one"));
    scene.cluster.release();
    scene.becomes("it has", Ok(())).await;
    assert!(scene.followed.is_settled());
}

#[tokio::test]
async fn no_interruption_of_a_watch_loses_a_change() {
    let scene = Scene::with(&by_name(), |cluster, registry| {
        cluster.put_secret("team-a", "regcred", JSON_TYPE, &[(".dockerconfigjson", &content(registry, "one"))]);
    })
    .await;
    scene.becomes("first", Ok(())).await;
    for (step, how) in
        [Interruption::Bookmark, Interruption::End, Interruption::Reset, Interruption::Half, Interruption::Gone]
            .into_iter()
            .enumerate()
    {
        let word = format!("step-{step}");
        scene.cluster.watched(1).await;
        scene.cluster.interrupt_watches(how);
        if how == Interruption::Gone {
            scene.cluster.compact();
        }
        scene.registry.require(Access::Basic("user".to_owned(), password(&word)));
        scene.put("regcred", &scene.content(&word));
        scene.becomes(&format!("{how:?}"), Ok(())).await;
    }
}

#[tokio::test]
async fn a_service_account_brings_the_secrets_that_it_lists() {
    let account = |secrets: &[&str]| {
        let listed: Vec<Value> = secrets.iter().map(|name| json!({ "name": name })).collect();
        json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": { "namespace": "countersign-system", "name": "countersign" },
            "imagePullSecrets": listed,
        })
    };
    let scene = Scene::new(&json!({ "serviceAccount": "countersign" })).await;
    scene.becomes("no account", Err("ServiceAccount countersign-system/countersign does not exist")).await;
    scene.cluster.put(account(&[]));
    scene.becomes("an account without Secrets: anonymous", Err("none is configured")).await;
    scene.cluster.put(account(&["first", "second"]));
    scene.becomes("its Secrets are absent", Err("Secret countersign-system/first does not exist")).await;
    let put = |name: &str| {
        let content = scene.content("one");
        scene.cluster.put_secret("countersign-system", name, JSON_TYPE, &[(".dockerconfigjson", &content)])
    };
    put("second");
    scene.becomes("one of them is there", Ok(())).await;
    scene.cluster.put(account(&["first"]));
    scene.becomes("it is no longer listed", Err("Secret countersign-system/first does not exist")).await;
    put("first");
    scene.becomes("listed and there", Ok(())).await;
}

#[tokio::test]
async fn no_secret_and_no_token_is_logged() {
    let (log, _guard) = crate::captured::log();
    let scene = Scene::new(&by_name()).await;
    scene.becomes("absent", Err("does not exist")).await;
    for text in [
        scene.content("one").replace("}}}", "}"),
        scene.content("one").replace("\"auth\"", &format!("\"{CANARY}\"")),
        format!(r#"{{"auths":{{"a.test":{{"auth":"{}"}}}}}}"#, STANDARD.encode(CANARY)),
    ] {
        scene.put("regcred", &text);
        assert!(scene.resolve().await.is_err());
    }
    let spoilt = Fault::edit(|mut secret| {
        secret["data"] = json!({ CANARY: [CANARY] });
        secret
    });
    scene.cluster.script("get secrets/regcred", [spoilt]);
    scene.put("regcred", &scene.content("one"));
    scene.becomes("whole", Ok(())).await;
    scene.registry.require(Access::Basic("user".to_owned(), password("two")));
    scene.becomes("refused", Err("401")).await;
    let metrics = scene.telemetry.prometheus_text().unwrap();
    let written = log.text();
    assert!(written.contains("what a pull Secret says is in use"), "{written}");
    for text in [&written, &metrics] {
        for secret in [CANARY, TOKEN, &STANDARD.encode(CANARY)[..16]] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}
