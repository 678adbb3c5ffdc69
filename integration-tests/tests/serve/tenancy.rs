//! Tenants share no verdict, hosts no credential, and nobody outside learns a secret.

use integration_tests::{
    provider::{MUTATE, Provider, Stage, VERIFY, configuration},
    registry::{Access, Body, FakeRegistry, Reply, Response, basic},
    shelf::Shelf,
};
use serde_json::{Value, json};

use super::Scene;

/// Of each decision record: its key, its code, whether it came from the cache.
fn records(text: &str) -> Vec<(String, String, bool)> {
    let record = |line: &str| {
        let record: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
        (text("subject"), text("code"), record["cacheHit"] == true)
    };
    text.lines().map(record).collect()
}

// TEN-04, TEN-06
#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_is_kept_for_its_tenant_only() {
    let scene = Scene::signed_by(1).await;
    let image = scene.by_digest();
    let mut expected = Vec::new();
    for prefix in ["[a]", "[b]", "", "[a-b]", "[cluster]"] {
        for cached in [false, true] {
            assert_eq!(scene.provider.code(&format!("{prefix}{image}")).await, "VERIFIED", "{prefix}");
            expected.push(cached);
        }
    }
    let all = records(&scene.provider.stop().await);
    let hits: Vec<bool> = all.iter().map(|(_, _, cached)| *cached).collect();
    assert_eq!(hits, expected, "{all:?}");
}

// TEN-06, REF-24: what looks like two parts is one part, or nothing
#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_none_makes_a_key_unreadable() {
    let scene = Scene::signed_by(1).await;
    let image = scene.by_digest();
    let long = "n".repeat(64);
    for namespace in ["", "a:b", "a/b", "A", "a.b", "a]", "[a", "-a", "a-", "a b", "*", "a\u{0}", &long] {
        let key = format!("[{namespace}]{image}");
        assert_eq!(scene.provider.code(&key).await, "REF_INVALID", "{key:?}");
    }
    assert_eq!(scene.provider.code(&format!("[a][b]{image}")).await, "REF_INVALID");
    assert_eq!(scene.provider.code(&format!("[{}]{image}", "n".repeat(63))).await, "VERIFIED");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tenancy_no_key_has_a_namespace() {
    let (stage, registry) = (Stage::set(), FakeRegistry::start().await);
    let repository = registry.repository("shop/web");
    let image = repository.put_image("image", Some("v1"));
    repository.sign(&image, &stage.authority.signer("signer"));
    let mut configuration = configuration([registry.host().as_str()]);
    configuration["tenancy"] = json!({ "enabled": false });
    let provider = stage.start(&configuration).await;
    let key = repository.tag("v1").to_string();
    assert_eq!(provider.code(&key).await, "VERIFIED");
    assert_eq!(provider.code(&format!("[a]{key}")).await, "REF_INVALID");
}

const CANARY: &str = "canary-4f7a1c";
const TOKEN: &str = "the neighbour asks for a token";

/// Two registries behind one server: one that our credentials are for, and one that would like to have them.
struct Neighbours {
    stage: Stage,
    home: FakeRegistry,
    thief: FakeRegistry,
}

impl Neighbours {
    async fn new() -> Self {
        let (stage, home, thief) = (Stage::set(), FakeRegistry::start().await, FakeRegistry::start().await);
        for registry in [&home, &thief] {
            let repository = registry.repository("shop/web");
            let image = repository.put_image("image", Some("v1"));
            repository.sign(&image, &stage.authority.signer("signer"));
        }
        stage.write("password", CANARY);
        Self { stage, home, thief }
    }

    async fn serve(&self) -> Provider {
        let mut configuration = configuration([self.home.host().as_str(), &self.thief.host()]);
        let credentials = json!({ "username": "robot", "passwordFile": "password" });
        configuration["stores"][0]["hosts"][self.home.host()]["credentials"] = credentials;
        self.stage.start(&configuration).await
    }

    /// Nothing that the thief heard, that was answered or that was recorded holds the secret in any spelling.
    #[track_caller]
    fn unharmed(&self, row: &str, told: &str) {
        let encoded = basic("robot", CANARY).replace("Basic ", "");
        for call in self.thief.calls() {
            let heard = format!("{} {:?} {}", call.target, call.headers, call.body);
            assert!(!heard.contains(CANARY) && !heard.contains(&encoded), "{row}: {call:?}");
            // What its own token service gave out for its own repositories.
            let own = call.authorization().is_none_or(|shown| shown.starts_with("Bearer token-"));
            assert!(own && (call.authorization().is_none() || row == TOKEN), "{row}: {call:?}");
        }
        for secret in [CANARY, &encoded, "Bearer token-"] {
            if let Some(at) = told.find(secret) {
                panic!("{row}: {}", told.get(at.saturating_sub(200)..at + secret.len()).unwrap_or(secret));
            }
        }
    }
}

fn keys(neighbours: &Neighbours) -> [String; 2] {
    [&neighbours.home, &neighbours.thief].map(|registry| registry.repository("shop/web").tag("v1").to_string())
}

// TEN-01, OPS-14, REG-40 and following, through the whole server
#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn one_hosts_credentials_never_reach_another() {
    type Arrange = fn(&Neighbours);
    let rows: [(&str, Arrange, &str); 6] = [
        (
            "the neighbour asks for a password",
            |n| n.thief.require(Access::Basic("robot".into(), CANARY.into())),
            "VERIFIED",
        ),
        (TOKEN, |n| n.thief.require_token(), "VERIFIED"),
        (
            "our registry names the neighbour's token service",
            |n| n.home.require(Access::Token { realm: n.thief.url("/token") }),
            "REALM_DENIED",
        ),
        (
            "our registry sends us on to the neighbour for manifests",
            |n| {
                let path = "/v2/shop/web/manifests/v1";
                n.home.script(path, [Reply::header(307, "Location", &n.thief.url(path))]);
            },
            "",
        ),
        (
            "our registry sends us on to the neighbour for blobs",
            |n| {
                let thief = n.thief.url("");
                n.home.script(
                    "/v2/shop/web/blobs/",
                    [Reply::edit(move |call, response| {
                        Response { status: 307, ..response }.with("Location", &format!("{thief}{}", call.path()))
                    })],
                );
            },
            "",
        ),
        (
            "our registry pages on to the neighbour",
            |n| {
                let link = format!("<{}>; rel=\"next\"", n.thief.url("/v2/shop/web/referrers/x"));
                n.home.script("/v2/shop/web/referrers/", [Reply::with("Link", &link)]);
            },
            "",
        ),
    ];
    for (row, arrange, code) in rows {
        let neighbours = Neighbours::new().await;
        neighbours.home.require(Access::Basic("robot".into(), CANARY.into()));
        arrange(&neighbours);
        let provider = neighbours.serve().await;
        let [home, thief] = keys(&neighbours);
        let mut told = String::new();
        for path in [VERIFY, MUTATE] {
            told.push_str(&provider.ask(path, &[&home, &thief]).await.to_string());
            told.push_str(&provider.ask(path, &[&thief, &home]).await.to_string());
        }
        let found = provider.code(&home).await;
        assert!(code.is_empty() || found.starts_with(code), "{row}: {found}");
        told.push_str(&provider.admin("/metrics").await.1);
        let generation = format!("{:?}", provider.app.current());
        told.extend([generation, provider.stop().await]);
        neighbours.unharmed(row, &told);
    }
}

// OPS-14: wrong credentials, and a registry that sends them back, are told without them
#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_are_not_repeated() {
    let neighbours = Neighbours::new().await;
    neighbours.home.require(Access::Basic("robot".into(), "another".into()));
    let provider = neighbours.serve().await;
    let [home, _] = keys(&neighbours);
    let mut told = String::new();
    // Basic first, so that credentials are sent at once from then on; then each challenge holds them.
    for challenge in
        ["Basic realm=\"SHOWN\"", "Bearer realm=\"https://SHOWN.test/?SHOWN\"", "Bearer realm=\"SHOWN\"", "SHOWN"]
    {
        let echo = Reply::edit(move |call, response| {
            let shown = call.authorization().unwrap_or_default().replace("Basic ", "");
            let said = json!({ "code": "UNAUTHORIZED", "message": shown, "detail": shown });
            let body = Body::Whole(json!({ "errors": [said] }).to_string().into());
            Response { status: 401, body, ..response }.with("WWW-Authenticate", &challenge.replace("SHOWN", &shown))
        });
        neighbours.home.script("/v2/", [echo]);
        for path in [VERIFY, MUTATE] {
            told.push_str(&provider.ask(path, &[&home]).await.to_string());
        }
    }
    for said in ["AUTH", "(UNAUTHORIZED)", "REALM_DENIED"] {
        assert!(told.contains(said), "{said}");
    }
    told.push_str(&provider.stop().await);
    neighbours.unharmed("echoed", &told);
}
