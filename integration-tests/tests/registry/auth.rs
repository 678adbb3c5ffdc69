//! Credentials and tokens: who is shown what, and how often.

use std::io::Write as _;

use countersign::store::registry::Credentials;
use integration_tests::registry::{Access, Body, Reply, Response, basic};
use tempfile::NamedTempFile;

use super::*;

const AUTH: Expected = Err(("Auth", Code::Auth));
const REALM: Expected = Err(("RealmDenied", Code::RealmDenied));
const USER: &str = "robot";
const PASSWORD: &str = "correct-horse";

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// `host` with a password; the file lives as long as the store may read it.
pub(super) fn with_password(host: HostConfig) -> (HostConfig, NamedTempFile) {
    let file = file(PASSWORD);
    let (username, password_file) = (Some(USER.to_owned()), Some(file.path().to_owned()));
    let credentials = Some(Credentials { username, password_file, ..Credentials::default() });
    (HostConfig { credentials, ..host }, file)
}

fn bearer(realm: &str) -> Reply {
    Reply::header(
        401,
        "WWW-Authenticate",
        &format!(r#"Bearer realm="{realm}",service="s",scope="repository:shop/web:pull""#),
    )
}

/// A setup whose store has a password for the fake.
async fn with_credentials() -> (Setup, NamedTempFile) {
    let setup = Setup::new().await;
    let (host, file) = with_password(local());
    let store = store_for(&setup.fake, host);
    (Setup { store, ..setup }, file)
}

#[tokio::test]
async fn a_password_goes_to_its_registry_when_that_asks_and_then_with_each_call() {
    let (setup, _file) = with_credentials().await;
    setup.fake.require(Access::Basic(USER.into(), PASSWORD.into()));
    for _ in 0..2 {
        setup.resolve(soon()).await.unwrap();
    }
    let shown: Vec<bool> = setup.fake.calls().iter().map(|call| call.authorization().is_some()).collect();
    assert_eq!(shown, [false, true, true]);
    assert_eq!(setup.fake.calls()[1].authorization(), Some(basic(USER, PASSWORD).as_str()));
}

#[tokio::test]
async fn a_password_that_is_refused_is_tried_once_and_never_said() {
    let (setup, _file) = with_credentials().await;
    setup.fake.require(Access::Basic(USER.into(), "another".into()));
    let found = setup.resolve(soon()).await;
    check("refused", &found, AUTH);
    assert_eq!(setup.fake.calls().len(), 2);
    let text = format!("{:?}", found.unwrap_err());
    assert!(!text.contains(PASSWORD) && !text.contains(&basic(USER, PASSWORD)), "{text}");
}

// REG-35
#[tokio::test]
async fn challenges_that_cannot_be_met_are_no_access() {
    let own = Setup::new().await;
    own.fake.require_token();
    let challenge = |value: &str| Reply::header(401, "WWW-Authenticate", value);
    let realm = own.fake.url("/token");
    let rows: Vec<(&str, Reply, Expected)> = vec![
        ("REG-35 none", Reply::status(401), AUTH),
        ("REG-35 Basic, and we have no password", challenge(r#"Basic realm="x""#), AUTH),
        ("REG-35 unparsable", challenge("Bearer realm=\"unterminated"), AUTH),
        ("REG-35 no realm", challenge(r#"Bearer service="s""#), AUTH),
        ("REG-35 another scheme", challenge("Negotiate"), AUTH),
        ("REG-35 two services", challenge(&format!(r#"Bearer realm="{realm}", Bearer realm="{realm}x""#)), AUTH),
        ("REG-35 1 MiB", challenge(&"x".repeat(1 << 20)), Err(("Http", Code::BadHttp))),
        ("403", Reply::status(403), AUTH),
    ];
    for (row, reply, expected) in rows {
        let setup = Setup::new().await;
        setup.fake.script("/v2/", [reply]);
        check(row, &setup.resolve(soon()).await, expected);
        anonymous(row, &setup.fake);
        assert_eq!(setup.fake.calls_to("/token"), 0, "{row}");
    }
    let two = Reply::Own(
        Response::new(401, "")
            .with("WWW-Authenticate", r#"Basic realm="x""#)
            .with("WWW-Authenticate", &format!(r#"Bearer realm="{realm}",service="s""#)),
    );
    own.fake.script(&own.image_path(), [two, Reply::Faithful]);
    check("REG-35 two challenges", &own.resolve(soon()).await, Ok(()));
}

#[tokio::test]
async fn one_token_serves_all_calls_also_those_at_the_same_time() {
    let setup = Setup::new().await;
    setup.fake.require_token();
    let mut calls = tokio::task::JoinSet::new();
    let store = Arc::new(setup.store);
    for _ in 0..10 {
        let (store, reference) = (Arc::clone(&store), setup.fake.repository("shop/web").tag("v1"));
        calls.spawn(async move { store.resolve(&reference, soon()).await });
    }
    while let Some(found) = calls.join_next().await {
        assert_eq!(found.unwrap().unwrap(), setup.image);
    }
    assert_eq!(setup.fake.calls_to("/token"), 1);
    setup.fake.forget_calls();
    let reference = setup.fake.repository("shop/web").digest(&setup.image.digest);
    store.resolve(&reference, soon()).await.unwrap();
    assert_eq!(setup.fake.calls().len(), 1);
}

// REG-36, REG-46
#[tokio::test]
async fn a_token_service_that_misbehaves_gives_no_token() {
    let elsewhere = FakeRegistry::start().await;
    let json = |text: &str| Reply::ok("application/json", text.to_owned());
    let large = format!(r#"{{"token":"{}"}}"#, "a".repeat(5 << 20));
    let rows: Vec<(&str, Reply, Expected)> = vec![
        ("REG-36 HTML", Reply::ok("text/html", "<html>"), AUTH),
        ("REG-36 5 MiB", json(&large), AUTH),
        ("REG-36 empty token", json(r#"{"token":""}"#), AUTH),
        ("REG-36 no token", json("{}"), AUTH),
        ("REG-36 expired", json(r#"{"token":"t","expires_in":0}"#), AUTH),
        ("REG-36 1e18", json(r#"{"token":"t","expires_in":1000000000000000000}"#), AUTH),
        ("REG-36 CR LF", json(r#"{"token":"t\r\nX-Injected: yes"}"#), AUTH),
        ("REG-36 NUL", json(r#"{"token":"t\u0000"}"#), AUTH),
        ("REG-36 endless", Reply::body(|_| Body::Endless(vec![b' '; 1 << 20].into(), Duration::ZERO)), AUTH),
        ("REG-12 encoded", Reply::with("Content-Encoding", "gzip"), AUTH),
        ("REG-39 of another repository", json(r#"{"token":"of-another"}"#), AUTH),
        ("401", Reply::status(401), AUTH),
        ("404", Reply::status(404), AUTH),
        ("500", Reply::status(500), AUTH),
        ("429", Reply::status(429), Err(("RateLimited", Code::RateLimited))),
        ("REG-46", Reply::header(302, "Location", &elsewhere.url("/token")), AUTH),
    ];
    for (row, reply, expected) in rows {
        let (setup, _file) = with_credentials().await;
        setup.fake.require_token();
        setup.fake.accept_token("of-another", "shop/another");
        setup.fake.script("/token", [reply]);
        check(row, &setup.resolve(soon()).await, expected);
        assert!(setup.fake.calls().iter().all(|call| call.header("X-Injected").is_none()), "{row}");
    }
    assert_eq!(elsewhere.connections(), 0);
}

// REG-37
#[tokio::test]
async fn a_token_is_refreshed_once_and_not_for_ever() {
    let setup = Setup::new().await;
    setup.fake.script("/v2/", [bearer(&setup.fake.url("/token"))]);
    check("REG-37", &setup.resolve(soon()).await, AUTH);
    assert_eq!((setup.fake.calls_to("/v2/"), setup.fake.calls_to("/token")), (2, 1));

    let setup = Setup::new().await;
    setup.fake.require_token();
    setup.resolve(soon()).await.unwrap();
    setup.fake.forget_tokens();
    setup.fake.forget_calls();
    setup.resolve(soon()).await.unwrap();
    assert_eq!((setup.fake.calls_to("/v2/"), setup.fake.calls_to("/token")), (2, 1));
}

// REG-38
#[tokio::test]
async fn what_was_asked_is_what_is_refused() {
    let setup = Setup::new().await;
    setup.fake.script(&setup.repository().manifest_path(&"v1"), [Reply::status(403)]);
    check("REG-38 tag", &setup.store.resolve(&setup.tag(), soon()).await, AUTH);
    check("REG-38 digest", &setup.resolve(soon()).await, Ok(()));
}

// REG-39: tokens are per repository, and the scope asked for is ours, whatever the challenge names.
#[tokio::test]
async fn a_token_is_asked_for_exactly_the_repository_and_used_for_no_other() {
    let setup = Setup::new().await;
    setup.fake.require_token();
    setup.fake.repository("shop/other").put_image("image", Some("v1"));
    let realm = setup.fake.url("/token");
    let greedy =
        format!(r#"Bearer realm="{realm}",service="s",scope="repository:shop/web:pull,push registry:catalog:*""#);
    setup.fake.script(&setup.image_path(), [Reply::header(401, "WWW-Authenticate", &greedy), Reply::Faithful]);
    setup.resolve(soon()).await.unwrap();
    let other = setup.fake.repository("shop/other").tag("v1");
    setup.store.resolve(&other, soon()).await.unwrap();
    let calls = setup.fake.calls();
    let scopes: Vec<String> = calls.iter().filter_map(|call| call.query("scope")).collect();
    assert_eq!(scopes, ["repository:shop/web:pull", "repository:shop/other:pull"]);
}

#[tokio::test]
async fn a_password_is_shown_to_the_token_service_and_only_the_token_to_the_registry() {
    let (setup, _file) = with_credentials().await;
    setup.fake.require_token();
    setup.fake.token_user(USER, PASSWORD);
    setup.resolve(soon()).await.unwrap();
    for call in setup.fake.calls() {
        let shown = call.authorization().unwrap_or_default();
        let expected = if call.path() == "/token" { shown == basic(USER, PASSWORD) } else { !shown.contains("Basic") };
        assert!(expected, "{call:?}");
    }
}

#[tokio::test]
async fn an_identity_token_is_posted_to_the_token_service() {
    let setup = Setup::new().await;
    setup.fake.require_token();
    setup.fake.token_user(USER, "refresh-secret");
    let docker = file(&format!(r#"{{"auths":{{"{}":{{"identitytoken":"refresh-secret"}}}}}}"#, setup.fake.host()));
    let credentials = Some(Credentials { docker_config: Some(docker.path().to_owned()), ..Credentials::default() });
    let store = store_for(&setup.fake, HostConfig { credentials, ..local() });
    store.resolve(&setup.tag(), soon()).await.unwrap();
    let calls = setup.fake.calls();
    let post = calls.iter().find(|call| call.path() == "/token").unwrap();
    assert_eq!((post.method.as_str(), post.authorization()), ("POST", None));
    assert_eq!(post.form("grant_type").as_deref(), Some("refresh_token"));
    assert!(calls.iter().all(|call| !call.target.contains("refresh-secret")));
}

// REG-40, REG-43, REG-44, REG-45: nothing is sent to a realm that is not allowed, and nothing looked up for it.
#[tokio::test]
async fn a_realm_that_is_not_allowed_sees_no_packet() {
    let elsewhere = FakeRegistry::start().await;
    let other_port = elsewhere.url("/token");
    let long = format!("http://127.0.0.1/{}", "a".repeat(64 << 10));
    let rows: Vec<(&str, &str, Expected)> = vec![
        ("REG-40", "https://evil.test/token", REALM),
        ("REG-40 listed host as a prefix", "https://auth.test.evil.test/token", REALM),
        ("REG-43 metadata", "https://169.254.169.254/latest", REALM),
        ("REG-43 localhost", "https://localhost:2379/", REALM),
        ("REG-43 private", "https://10.0.0.1/token", REALM),
        ("REG-44 other port", &other_port, REALM),
        ("REG-45 relative", "/token", REALM),
        ("REG-45 ftp", "ftp://127.0.0.1/token", REALM),
        ("REG-45 file", "file:///etc/passwd", REALM),
        ("REG-45 empty", "", AUTH),
        ("REG-45 64 KiB", &long, AUTH),
    ];
    for (row, realm, expected) in rows {
        let setup = Setup::new().await;
        let (host, _file) = with_password(HostConfig { realms: vec!["auth.test".into()], ..local() });
        let names = Names::of(&[("evil.test", "127.0.0.1")]);
        let store = store([(setup.fake.host(), host)], &names);
        setup.fake.script("/v2/", [bearer(realm)]);
        check(row, &store.resolve(&setup.tag(), soon()).await, expected);
        anonymous(row, &setup.fake);
        assert_eq!(names.asked(), [""; 0], "{row}");
    }
    assert_eq!(elsewhere.connections(), 0);
    let (setup, _file) = with_credentials().await;
    for (row, realm) in [
        ("REG-45 userinfo", format!("http://user:pass@{}/token", setup.fake.host())),
        ("REG-45 fragment", setup.fake.url("/token#fragment")),
    ] {
        setup.fake.script("/v2/", [bearer(&realm)]);
        check(row, &setup.resolve(soon()).await, REALM);
        anonymous(row, &setup.fake);
        assert_eq!(setup.fake.calls_to("/token"), 0, "{row}");
    }
}

// REG-43: a listed name is still checked by the address that it resolves to.
#[tokio::test]
async fn a_realm_s_name_is_judged_by_its_address() {
    let setup = Setup::new().await;
    let (host, _file) = with_password(HostConfig { realms: vec!["auth.test".into()], ..local() });
    let names = Names::of(&[("auth.test", "10.0.0.1")]);
    let store = store([(setup.fake.host(), host)], &names);
    setup.fake.script("/v2/", [bearer("http://auth.test/token")]);
    check("REG-43", &store.resolve(&setup.tag(), soon()).await, REALM);
}

// REG-40, REG-44: what is listed is allowed, and is shown the password.
#[tokio::test]
async fn a_listed_realm_is_asked() {
    let (setup, service) = (Setup::new().await, FakeRegistry::start().await);
    service.token_user(USER, PASSWORD);
    setup.fake.require(Access::Token { realm: service.url("/token") });
    setup.fake.accept_token("token-1", "shop/web");
    let (host, _file) = with_password(HostConfig { realms: vec![service.host()], ..local() });
    let store = store_for(&setup.fake, host);
    store.resolve(&setup.tag(), soon()).await.unwrap();
    assert_eq!(service.calls()[0].authorization(), Some(basic(USER, PASSWORD).as_str()));
    assert!(setup.fake.calls().iter().all(|call| !call.authorization().unwrap_or_default().contains("Basic")));
}

// REG-41, REF-26, R13: a password is for one host; the same question of another host gets nothing.
#[tokio::test]
async fn another_registry_is_never_shown_a_password() {
    let (setup, _file) = with_credentials().await;
    let foreign = FakeRegistry::start().await;
    foreign.repository("shop/web").put_image("image", Some("v1"));
    foreign.require(Access::Basic(USER.into(), PASSWORD.into()));
    let (host, _kept) = with_password(local());
    let store = store([(setup.fake.host(), host), (foreign.host(), local())], &Names::none());
    check("REG-41", &store.resolve(&foreign.repository("shop/web").tag("v1"), soon()).await, AUTH);
    anonymous("REG-41", &foreign);
    let docker = file(&format!(r#"{{"auths":{{"{}":{{"auth":"cm9ib3Q6eA=="}}}}}}"#, setup.fake.host()));
    let credentials = Some(Credentials { docker_config: Some(docker.path().to_owned()), ..Credentials::default() });
    let store = store_for(&foreign, HostConfig { credentials, ..local() });
    check("REG-41", &store.resolve(&foreign.repository("shop/web").tag("v1"), soon()).await, AUTH);
    anonymous("REG-41", &foreign);
}
