//! Challenges, realms and tokens on the wire.

use super::*;

fn challenge(realm: &str) -> Vec<u8> {
    reply("401 Unauthorized", &format!("WWW-Authenticate: Bearer realm=\"{realm}\",service=\"s\"\r\n"), "")
}

/// A registry that wants the token `t`, and its token service, at one origin.
fn with_token(request: &str) -> Vec<u8> {
    let host = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    if request.starts_with("GET /token") || request.starts_with("POST /token") {
        reply("200 OK", "", r#"{"token":"t"}"#)
    } else if request.contains("authorization: Bearer t\r\n") {
        manifest()
    } else {
        challenge(&format!("http://{host}/token"))
    }
}

// Requirements 9 and 11, REG-39
#[tokio::test]
async fn callers_at_once_share_one_token_and_later_ones_need_no_challenge() {
    let fake = Fake::start(|request, _| with_token(request)).await;
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("p"), "secret").unwrap();
    let file = directory.path().join("p");
    let store = fake.store(&format!(r#","credentials":{{"username":"u","passwordFile":{file:?}}}"#));
    let tag = fake.tag();
    let calls = (0..10).map(|_| store.resolve(&tag, soon()));
    for answer in futures_util::future::join_all(calls).await {
        answer.unwrap();
    }
    let of = |start: &str| fake.requests().into_iter().filter(|request| request.starts_with(start)).collect::<Vec<_>>();
    let tokens = of("GET /token");
    assert_eq!(tokens.len(), 1);
    assert!(tokens[0].contains("scope=repository%3Ateam%2Fapp%3Apull"), "{}", tokens[0]);
    assert!(tokens[0].contains("authorization: Basic dTpzZWNyZXQ=\r\n"), "{}", tokens[0]);
    assert!(
        of("GET /v2").iter().all(|request| !request.contains("Basic")),
        "the password is the token service's alone"
    );
    let before = fake.requests().len();
    store.resolve(&tag, soon()).await.unwrap();
    assert_eq!(fake.requests().len(), before + 1);
    assert!(!format!("{store:?}").contains("secret"));
}

#[tokio::test]
async fn an_identity_token_is_posted_and_a_basic_password_is_sent_after_its_challenge() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.json");
    let fake = Fake::start(|request, _| with_token(request)).await;
    std::fs::write(&file, format!(r#"{{"auths":{{"{}":{{"identitytoken":"i&d"}}}}}}"#, fake.host())).unwrap();
    let more = format!(r#","credentials":{{"dockerConfig":{file:?}}}"#);
    fake.store(&more).resolve(&fake.tag(), soon()).await.unwrap();
    let posted = fake.requests().into_iter().find(|request| request.starts_with("POST /token")).unwrap();
    assert!(posted.contains("grant_type=refresh_token") && posted.contains("refresh_token=i%26d"), "{posted}");
    let fake = Fake::start(|request, _| {
        if request.contains("authorization: Basic dTpw\r\n") {
            manifest()
        } else {
            reply("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", "")
        }
    })
    .await;
    std::fs::write(&file, format!(r#"{{"auths":{{"{}":{{"auth":"dTpw"}}}}}}"#, fake.host())).unwrap();
    fake.store(&more).resolve(&fake.tag(), soon()).await.unwrap();
    assert!(!fake.requests()[0].contains("authorization"), "nothing is sent unasked to an unknown host");
}

// REG-36, REG-37, REG-46
#[tokio::test]
async fn a_token_service_that_gives_no_token_is_named_and_asked_once() {
    type Answer = fn(&str) -> Vec<u8>;
    let table: &[(&str, Answer, usize)] = &[
        ("REG-36 page", |_| typed("text/html", "<html>"), 1),
        ("REG-36 large", |_| reply("200 OK", "", &format!("{{\"token\":\"{}\"}}", "a".repeat(5 << 20))), 1),
        ("REG-36 header", |_| reply("200 OK", "", r#"{"token":"a\r\nX: y"}"#), 1),
        ("REG-36 503", |_| reply("503 Busy", "", ""), 1),
        ("REG-37", |_| reply("200 OK", "", r#"{"token":"u"}"#), 1),
        ("REG-46", |_| reply("302 Found", "Location: /elsewhere\r\n", ""), 1),
    ];
    for (name, answer, asked) in table {
        let fake = Fake::start(
            |request, _| if request.starts_with("GET /token") { answer(request) } else { with_token(request) },
        )
        .await;
        let store = fake.limited("", Limits { retries: 0, ..Limits::default() });
        let error = store.resolve(&fake.tag(), soon()).await.unwrap_err();
        assert_eq!(error.code(), Code::Auth, "{name}: {error}");
        let requests = fake.requests();
        assert_eq!(requests.iter().filter(|request| request.starts_with("GET /token")).count(), *asked, "{name}");
        assert!(!requests.iter().any(|request| request.contains("elsewhere")), "{name}");
    }
}

// REG-37, and requirement 9: one refresh, one retry.
#[tokio::test]
async fn a_token_that_is_no_longer_good_is_fetched_anew_once() {
    let fake = Fake::start(|request, n| {
        let host = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        match request {
            _ if request.starts_with("GET /token") => reply("200 OK", "", &format!(r#"{{"token":"t{n}"}}"#)),
            _ if n > 3 && request.contains("Bearer t1\r\n") => challenge(&format!("http://{host}/token")),
            _ if request.contains("Bearer") => manifest(),
            _ => challenge(&format!("http://{host}/token")),
        }
    })
    .await;
    let store = fake.store("");
    for _ in 0..3 {
        store.resolve(&fake.tag(), soon()).await.unwrap();
    }
    let tokens = fake.requests().iter().filter(|request| request.starts_with("GET /token")).count();
    assert_eq!((tokens, fake.requests().len()), (2, 7));
}

// REG-40, REG-41, REG-42, REG-43, REG-44, REG-45
#[tokio::test]
async fn a_realm_that_is_not_allowed_gets_no_packet() {
    let trap = Fake::start(|_, _| reply("200 OK", "", r#"{"token":"t"}"#)).await;
    let long = format!("http://127.0.0.1/{}", "a".repeat(64 << 10));
    for realm in [
        format!("http://{}/token", trap.host()),
        format!("http://localhost:{}/token", trap.address.port()),
        "https://evil.example/token".to_owned(),
        "https://169.254.169.254/token".to_owned(),
        "/token".to_owned(),
        "ftp://a.test/".to_owned(),
        "https://user:pass@evil.example/".to_owned(),
        "SAME#fragment".to_owned(),
        "USER".to_owned(),
        long.chars().take(4000).collect(),
    ] {
        let fake = Fake::start(move |request, _| {
            let host = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
            let own = format!("http://{host}/token");
            challenge(&realm.replace("SAME", &own).replace("USER", &format!("http://u:p@{host}/token")))
        })
        .await;
        let error = fake.store("").resolve(&fake.tag(), soon()).await.unwrap_err();
        assert_eq!(error.code(), Code::RealmDenied, "{error}");
        assert_eq!(fake.requests().len(), 1);
    }
    assert!(trap.requests().is_empty());
    // The nearest accept: the same place, listed.
    let realm = format!("http://{}/token", trap.host());
    let fake =
        Fake::start(move |request, _| if request.contains("Bearer t") { manifest() } else { challenge(&realm) }).await;
    fake.store(&format!(r#","realms":["{}"]"#, trap.host())).resolve(&fake.tag(), soon()).await.unwrap();
    assert_eq!(trap.requests().len(), 1);
}
