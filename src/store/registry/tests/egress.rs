//! Where packets may go, and where none may.

use super::*;

// REG-47, REG-48, REG-49
#[tokio::test]
async fn redirects_are_followed_without_credentials_and_only_where_allowed() {
    let cdn = Fake::start(|_, _| manifest()).await;
    let place = format!("http://{}/x", cdn.host());
    let fake = Fake::start(move |request, _| {
        if request.contains("authorization: Basic") {
            reply("307 Temporary Redirect", &format!("Location: {place}\r\n"), "")
        } else {
            reply("401 Unauthorized", "WWW-Authenticate: Basic realm=x\r\n", "")
        }
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("p");
    std::fs::write(&file, "p").unwrap();
    let credentials = format!(r#","credentials":{{"username":"u","passwordFile":{file:?}}}"#);
    let error = fake.store(&credentials).resolve(&fake.tag(), soon()).await.unwrap_err();
    assert_eq!(error.code(), Code::RedirectDenied, "{error}");
    assert!(cdn.requests().is_empty());
    let more = format!(r#"{credentials},"redirects":["{}"]"#, cdn.host());
    fake.store(&more).resolve(&fake.tag(), soon()).await.unwrap();
    assert!(!cdn.requests()[0].contains("authorization"), "{}", cdn.requests()[0]);

    for (place, code) in [
        ("http://169.254.169.254/x", Code::RedirectDenied),
        ("file:///etc/passwd", Code::RedirectDenied),
        ("http://u:p@127.0.0.1/x", Code::RedirectDenied),
        ("?again", Code::RedirectDenied),
    ] {
        let fake = Fake::start(move |_, _| reply("302 Found", &format!("Location: {place}\r\n"), "")).await;
        let error = fake.store("").resolve(&fake.tag(), soon()).await.unwrap_err();
        assert_eq!(error.code(), code, "{place}: {error}");
        assert!(fake.requests().len() <= 6, "{place}");
    }
}

// A 401 of a redirect's target is not answered with credentials, and a 404 of it is not "none".
#[tokio::test]
async fn what_a_redirect_s_target_says_is_not_the_registry_s_word() {
    for (status, code) in [("401 Unauthorized", Code::Auth), ("404 Not Found", Code::RegistryUnavailable)] {
        let cdn = Fake::start(move |_, _| reply(status, "WWW-Authenticate: Basic realm=x\r\n", "")).await;
        let place = format!("http://{}/x", cdn.host());
        let fake = Fake::start(move |_, _| reply("302 Found", &format!("Location: {place}\r\n"), "")).await;
        let store = fake.store(&format!(r#","redirects":["{}"]"#, cdn.host()));
        let error = store.referrers(&fake.repository(), &subject(), Discovery::REFERRERS, soon()).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert_eq!((fake.requests().len(), cdn.requests().len()), (1, 1));
    }
}

// REF-09, REF-10, REF-11, REF-12, REF-13, REF-17, REF-22, REF-26
#[tokio::test]
async fn hosts_that_are_not_named_and_not_public_get_no_packet() {
    let trap = Fake::start(|_, _| manifest()).await;
    let config: Config = serde_json::from_str(r#"{"hosts":{"*":{},"ghcr.io":{}}}"#).unwrap();
    let store = Registry::build("test", &config, Path::new("/"), Limits::default(), Outside::default()).unwrap();
    let port = trap.address.port();
    for text in [
        format!("127.0.0.1:{port}/x"),
        format!("localhost:{port}/x"),
        "127.1/x".to_owned(),
        "2130706433/x".to_owned(),
        "0x7f.1/x".to_owned(),
        "0177.0.0.1/x".to_owned(),
        "169.254.169.254/x".to_owned(),
        "169.254.170.2/x".to_owned(),
        "100.100.100.200/x".to_owned(),
        "10.0.0.1/x".to_owned(),
        "100.64.0.1/x".to_owned(),
        "[::1]:5000/x".to_owned(),
        "[fd00:ec2::254]/x".to_owned(),
        "kubernetes.default.svc/x".to_owned(),
        "gatekeeper-webhook-service.gatekeeper-system/x".to_owned(),
        "a.cluster.local/x".to_owned(),
        "8.8.8.8:22/x".to_owned(),
        "example.com:8080/x".to_owned(),
    ] {
        let reference = Reference::parse(&text).unwrap();
        let error = store.resolve(&reference, soon()).await.unwrap_err();
        assert_eq!(error.code(), Code::HostDenied, "{text}: {error}");
    }
    assert!(trap.requests().is_empty());
}

#[derive(Debug)]
struct Rebinding(Mutex<usize>);

#[async_trait]
impl Resolver for Rebinding {
    async fn addresses(&self, _: &str) -> std::io::Result<Vec<std::net::IpAddr>> {
        *self.0.lock().unwrap() += 1;
        Ok(vec!["127.0.0.1".parse().unwrap()])
    }
}

// REF-14, REF-15
#[tokio::test]
async fn a_public_name_with_a_denied_address_is_denied_at_connect() {
    let trap = Fake::start(|_, _| manifest()).await;
    let resolver = Arc::new(Rebinding(Mutex::new(0)));
    let outside = Outside { resolver: Arc::<Rebinding>::clone(&resolver), ..Outside::default() };
    let name = format!("registry.example.com:{}", trap.address.port());
    let config = serde_json::from_str(&format!(r#"{{"hosts":{{"{name}":{{"plainHttp":true}}}}}}"#)).unwrap();
    let store = Registry::build("test", &config, Path::new("/"), Limits::default(), outside.clone()).unwrap();
    let reference = Reference::parse(&format!("{name}/x")).unwrap();
    let error = store.resolve(&reference, soon()).await.unwrap_err();
    assert_eq!(error.code(), Code::HostDenied, "{error}");
    assert!(error.to_string().contains("allowLoopback"), "{error}");
    assert_eq!((*resolver.0.lock().unwrap(), trap.requests().len()), (1, 0));
    let config =
        serde_json::from_str(&format!(r#"{{"hosts":{{"{name}":{{"plainHttp":true,"allowLoopback":true}}}}}}"#));
    let store = Registry::build("test", &config.unwrap(), Path::new("/"), Limits::default(), outside).unwrap();
    store.resolve(&reference, soon()).await.unwrap();
}
