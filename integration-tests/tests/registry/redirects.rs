//! Redirects: followed as far as allowed, and never with credentials to another origin.

use bytes::Bytes;
use integration_tests::registry::{Access, Body, Reply, Response};

use super::{auth::with_password, *};

const DENIED: Expected = Err(("RedirectDenied", Code::RedirectDenied));

fn to(target: &str) -> Reply {
    Reply::header(307, "Location", target)
}

/// A registry that demands tokens, a second origin, and a store with a password that lets redirects lead there.
async fn with_cdn() -> (Setup, FakeRegistry, tempfile::NamedTempFile) {
    let (setup, cdn) = (Setup::new().await, FakeRegistry::start().await);
    setup.fake.require_token();
    setup.repository().put_blob(b"layer");
    let (host, file) = with_password(HostConfig { redirects: Some(vec![cdn.host()]), ..local() });
    let store = store_for(&setup.fake, host);
    (Setup { store, ..setup }, cdn, file)
}

impl Setup {
    async fn layer(&self) -> Result<countersign::oci::Content, StoreError> {
        let blob = Descriptor::of("l", b"layer");
        self.store.blob(&self.repository().name(), &blob, 100, soon()).await
    }

    /// Redirects the layer, once the token is shown.
    fn redirect(&self, target: &str) {
        let target = target.to_owned();
        let shown = move |call: &integration_tests::registry::Call, response: Response| {
            let redirect = Response::new(307, "").with("Location", &target);
            if call.authorization().is_some() { redirect } else { response }
        };
        self.fake.script("/v2/shop/web/blobs/", [Reply::edit(shown)]);
    }
}

// REG-47, R13
#[tokio::test]
async fn a_redirect_is_followed_without_credentials_and_the_body_is_hashed() {
    let (setup, cdn, _file) = with_cdn().await;
    setup.redirect(&cdn.url("/cdn/layer?signature=x"));
    cdn.script("/cdn/layer", [Reply::ok("application/octet-stream", "layer")]);
    assert_eq!(setup.layer().await.unwrap().bytes().as_ref(), b"layer");
    anonymous("REG-47", &cdn);
    assert!(setup.fake.calls().iter().any(|call| call.authorization().is_some()));
    cdn.script("/cdn/layer", [Reply::ok("application/octet-stream", "Layer")]);
    check("REG-47 other bytes", &setup.layer().await, Err(("Content", Code::DigestMismatch)));
    cdn.script("/cdn/layer", [Reply::status(404)]);
    check("404 of the target", &setup.layer().await, Err(("Unavailable", Code::RegistryUnavailable)));
}

// REG-47, REG-48: the target's 401 is not answered.
#[tokio::test]
async fn a_challenge_of_a_redirect_s_target_is_never_answered() {
    let (setup, cdn, _file) = with_cdn().await;
    cdn.require(Access::Basic("robot".into(), "correct-horse".into()));
    // With its token in hand the redirect is the first answer, and its target's challenge the one that could be met.
    setup.store.resolve(&setup.tag(), soon()).await.unwrap();
    setup.fake.forget_calls();
    setup.redirect(&cdn.url("/cdn/layer"));
    check("REG-47", &setup.layer().await, Err(("Auth", Code::Auth)));
    anonymous("REG-47", &cdn);
    assert_eq!(cdn.calls().len(), 1);
    // The registry is not shown either what its redirect's target asked for.
    let registry: Vec<_> = setup.fake.calls().into_iter().filter(|call| call.path() != "/token").collect();
    assert!(registry.iter().all(|call| !call.authorization().unwrap_or_default().starts_with("Basic")));
    assert_eq!(registry.len(), 1);
}

#[tokio::test]
async fn credentials_stay_where_the_origin_stays_and_do_not_come_back() {
    let (setup, cdn, _file) = with_cdn().await;
    setup.fake.script("/moved", [Reply::ok("application/octet-stream", "layer")]);
    setup.redirect("/moved");
    setup.layer().await.unwrap();
    let moved: Vec<_> = setup.fake.calls().into_iter().filter(|call| call.path() == "/moved").collect();
    assert!(moved[0].authorization().is_some());
    setup.fake.forget_calls();
    setup.redirect(&cdn.url("/there"));
    cdn.script("/there", [to(&setup.fake.url("/moved"))]);
    setup.layer().await.unwrap();
    let back: Vec<_> = setup.fake.calls().into_iter().filter(|call| call.path() == "/moved").collect();
    assert_eq!(back[0].authorization(), None);
    anonymous("there", &cdn);
}

// REG-48
#[tokio::test]
async fn a_redirect_to_a_place_that_is_not_allowed_sends_no_packet() {
    let elsewhere = FakeRegistry::start().await;
    let names = Names::of(&[("evil.test", "127.0.0.1")]);
    let setup = Setup::new().await;
    let userinfo = format!("http://user:pass@{}/x", setup.fake.host());
    let other_port = elsewhere.url("/x");
    let store = store([(setup.fake.host(), local())], &names);
    for (row, target, expected) in [
        ("REG-48 other port", other_port.as_str(), DENIED),
        ("REG-48 metadata", "http://169.254.169.254/latest/meta-data", DENIED),
        ("REG-48 private", "http://10.0.0.1:5000/x", DENIED),
        ("REG-48 localhost", "http://localhost:5000/x", DENIED),
        ("REG-48 disguised", "http://2130706433:5000/x", DENIED),
        ("REG-48 file", "file:///etc/passwd", DENIED),
        ("REG-48 userinfo", &userinfo, DENIED),
        ("no port of a registry", "http://example.test:6379/x", DENIED),
        ("no URL", "http://[", Err(("Http", Code::BadHttp))),
    ] {
        setup.fake.script("/v2/", [to(target)]);
        check(row, &store.resolve(&setup.tag(), soon()).await, expected);
    }
    assert_eq!((elsewhere.connections(), names.asked().len()), (0, 0));
    // REF-14: a name that turns out to be loopback.
    setup.fake.script("/v2/", [to("http://evil.test:5000/x")]);
    check("REG-48 name", &store.resolve(&setup.tag(), soon()).await, DENIED);
    for (row, reply) in [
        ("no place", Reply::status(307)),
        ("two places", Reply::Own(Response::new(307, "").with("Location", "/a").with("Location", "/b"))),
    ] {
        setup.fake.script("/v2/", [reply]);
        check(row, &store.resolve(&setup.tag(), soon()).await, Err(("Http", Code::BadHttp)));
    }
}

// REG-49
#[tokio::test]
async fn five_redirects_are_followed_and_a_sixth_is_not() {
    for (row, redirects, expected) in [("REG-49 five", 5, Ok(())), ("REG-49 six", 6, DENIED)] {
        let setup = Setup::new().await;
        let path = setup.image_path();
        let end = format!("{path}?end");
        let place = |n| if n == redirects { end.clone() } else { format!("/hop/{n}") };
        setup.fake.script(&path, [to(&place(1))]);
        for n in 1..redirects {
            setup.fake.script(&place(n), [to(&place(n + 1))]);
        }
        setup.fake.script(&end, [Reply::Faithful]);
        check(row, &setup.resolve(soon()).await, expected);
        assert_eq!(setup.fake.calls().len(), 6, "{row}");
    }
    let setup = Setup::new().await;
    setup.fake.script(&setup.image_path(), [to(&setup.image_path())]);
    check("REG-49 loop", &setup.resolve(soon()).await, DENIED);
    assert_eq!(setup.fake.calls().len(), 6);
}

// REG-49
#[tokio::test]
async fn a_redirect_s_body_is_not_read() {
    let setup = Setup::new().await;
    let path = setup.image_path();
    let endless = Response {
        body: Body::Endless(Bytes::from(vec![b' '; 1 << 20]), Duration::ZERO),
        ..Response::new(307, "").with("Location", &format!("{path}?end"))
    };
    setup.fake.script(&path, [Reply::Own(endless)]);
    setup.fake.script(&format!("{path}?end"), [Reply::Faithful]);
    check("REG-49 body", &setup.resolve(soon()).await, Ok(()));
}
