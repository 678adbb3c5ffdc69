//! TLS towards registries: one verifier for all three roles, authorities scoped to their host, no way back to HTTP.

use std::io::Write as _;

use bytes::Bytes;
use integration_tests::{
    pki::{Authority, Identity, expired, not_yet_valid},
    registry::{Access, Door, Reply},
};
use rcgen::ExtendedKeyUsagePurpose;
use tempfile::NamedTempFile;

use super::*;

const TLS: Expected = Err(("Tls", Code::Tls));
const UNAVAILABLE: Expected = Err(("Unavailable", Code::RegistryUnavailable));

fn pem(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn trusting(ca: &NamedTempFile) -> HostConfig {
    HostConfig { allow_loopback: true, ca: Some(ca.path().to_owned()), ..HostConfig::default() }
}

async fn serving(identity: &Identity) -> FakeRegistry {
    let fake = FakeRegistry::start_tls(identity.server_config(None)).await;
    fake.repository("shop/web").put_image("image", Some("v1"));
    fake
}

async fn resolve(store: &Registry, fake: &FakeRegistry) -> Result<Descriptor, StoreError> {
    store.resolve(&fake.repository("shop/web").tag("v1"), soon()).await
}

// REG-56
#[tokio::test]
async fn only_a_certificate_of_the_host_s_authority_is_accepted() {
    let (authority, other) = (Authority::new("one"), Authority::new("another"));
    let ca = pem(&authority.pem());
    let names = &["127.0.0.1"];
    for (row, identity, expected) in [
        ("good", authority.server(names), Ok(())),
        ("REG-56 expired", authority.issue("server", names, expired), TLS),
        ("REG-56 not yet valid", authority.issue("server", names, not_yet_valid), TLS),
        ("REG-56 self-signed", Identity::self_signed(names), TLS),
        ("REG-56 another authority", other.server(names), TLS),
        ("REG-56 another name", authority.server(&["127.0.0.2", "registry.test"]), TLS),
        (
            "REG-56 another usage",
            authority.issue("server", names, |params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }),
            TLS,
        ),
    ] {
        let fake = serving(&identity).await;
        check(row, &resolve(&store_for(&fake, trusting(&ca)), &fake).await, expected);
        assert_eq!(fake.calls().is_empty(), expected.is_err(), "{row}");
    }
}

// REG-57: nothing falls back; the error names the option that would have helped.
#[tokio::test]
async fn the_wrong_protocol_is_an_error_that_names_plain_http() {
    let authority = Authority::new("one");
    let ca = pem(&authority.pem());
    let plain = Setup::new().await;
    plain.fake.door(Door::Greeting(Bytes::from_static(b"HTTP/1.1 400 Bad Request\r\n\r\n")));
    let secure = serving(&authority.server(&["127.0.0.1"])).await;
    for (row, found) in [
        ("REG-57", resolve(&store_for(&plain.fake, trusting(&ca)), &plain.fake).await),
        ("REG-57 reverse", resolve(&store_for(&secure, local()), &secure).await),
    ] {
        check(row, &found, TLS);
        let text = found.unwrap_err().to_string();
        assert!(text.contains("plainHttp"), "{row}: {text}");
    }
}

// REG-52, REG-53
#[tokio::test]
async fn a_handshake_that_fails_or_stalls_is_no_answer() {
    let authority = Authority::new("one");
    let ca = pem(&authority.pem());
    let alert = Bytes::from_static(&[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28]);
    for (row, door, expected) in [
        ("REG-52 alert", Door::Greeting(alert), TLS),
        ("REG-52 reset", Door::Reset, UNAVAILABLE),
        ("REG-53 stalls", Door::Silent, UNAVAILABLE),
    ] {
        let fake = serving(&authority.server(&["127.0.0.1"])).await;
        fake.door(door);
        let limits = Limits { connect_timeout_ms: 50, ..Limits::default() };
        let store = store_with([(fake.host(), trusting(&ca))], &Names::none(), limits);
        check(row, &resolve(&store, &fake).await, expected);
    }
}

// TLS-20
#[tokio::test]
async fn token_services_and_redirects_are_verified_as_registries_are() {
    let authority = Authority::new("one");
    let ca = pem(&authority.pem());
    let bad = serving(&Identity::self_signed(&["127.0.0.1"])).await;
    let fake = serving(&authority.server(&["127.0.0.1"])).await;
    let (host, _file) = auth::with_password(trusting(&ca));
    let host = HostConfig { realms: vec![bad.host()], redirects: Some(vec![bad.host()]), ..host };
    let store = store_for(&fake, host);
    fake.script("/v2/", [Reply::header(307, "Location", &bad.url("/x"))]);
    check("TLS-20 redirect", &resolve(&store, &fake).await, TLS);
    fake.script("/v2/", [Reply::Faithful]);
    fake.require(Access::Token { realm: bad.url("/token") });
    check("TLS-20 realm", &resolve(&store, &fake).await, Err(("Auth", Code::Auth)));
    assert_eq!(bad.calls().len(), 0);
}

// TLS-21
#[tokio::test]
async fn an_authority_counts_only_for_the_host_that_it_was_configured_for() {
    let (one, two) = (Authority::new("one"), Authority::new("two"));
    let (ca_one, ca_two) = (pem(&one.pem()), pem(&two.pem()));
    let (first, second) = (serving(&one.server(&["127.0.0.1"])).await, serving(&two.server(&["127.0.0.1"])).await);
    let right = store([(first.host(), trusting(&ca_one)), (second.host(), trusting(&ca_two))], &Names::none());
    let wrong = store([(first.host(), trusting(&ca_two)), (second.host(), trusting(&ca_one))], &Names::none());
    for fake in [&first, &second] {
        check("own", &resolve(&right, fake).await, Ok(()));
        fake.forget_calls();
        check("TLS-21", &resolve(&wrong, fake).await, TLS);
        assert_eq!(fake.calls().len(), 0);
    }
    let public = HostConfig { allow_loopback: true, ..HostConfig::default() };
    check("public authorities only", &resolve(&store_for(&first, public), &first).await, TLS);
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_its_registry_and_to_no_redirect() {
    let authority = Authority::new("one");
    let ca = pem(&authority.pem());
    let server = authority.server(&["127.0.0.1"]);
    let demanding = async || FakeRegistry::start_tls(server.server_config(Some(&authority))).await;
    let (fake, cdn) = (demanding().await, demanding().await);
    fake.repository("shop/web").put_image("image", Some("v1"));
    let client = authority.client("countersign");
    let (chain, key) = (pem(&client.certificate_pem), pem(&client.key_pem));
    let host = HostConfig {
        client_certificate: Some(chain.path().to_owned()),
        client_key: Some(key.path().to_owned()),
        redirects: Some(vec![cdn.host()]),
        ..trusting(&ca)
    };
    let store = store_for(&fake, host);
    check("shown", &resolve(&store, &fake).await, Ok(()));
    let without = resolve(&store_for(&fake, trusting(&ca)), &fake).await;
    assert!(
        matches!(&without, Err(error) if matches!(error.code(), Code::Tls | Code::RegistryUnavailable)),
        "{without:?}"
    );
    fake.script("/v2/", [Reply::header(307, "Location", &cdn.url("/x"))]);
    let away = resolve(&store, &fake).await;
    assert!(matches!(&away, Err(error) if matches!(error.code(), Code::Tls | Code::RegistryUnavailable)), "{away:?}");
    assert_eq!(cdn.calls().len(), 0);
}

// REG-42, REG-48
#[tokio::test]
async fn a_registry_with_tls_leads_to_no_place_without() {
    let authority = Authority::new("one");
    let ca = pem(&authority.pem());
    let fake = serving(&authority.server(&["127.0.0.1"])).await;
    let plain = FakeRegistry::start().await;
    let (host, _file) = auth::with_password(trusting(&ca));
    let host = HostConfig { realms: vec![plain.host()], redirects: Some(vec![plain.host()]), ..host };
    let store = store_for(&fake, host);
    fake.script("/v2/", [Reply::header(307, "Location", &plain.url("/x"))]);
    check("REG-48", &resolve(&store, &fake).await, Err(("RedirectDenied", Code::RedirectDenied)));
    fake.script("/v2/", [Reply::Faithful]);
    for realm in [plain.url("/token"), format!("http://{}/token", fake.host())] {
        fake.require(Access::Token { realm });
        check("REG-42", &resolve(&store, &fake).await, Err(("RealmDenied", Code::RealmDenied)));
    }
    assert_eq!(plain.connections(), 0);
}

// REG-48: also where the registry itself has no TLS, what became secure on the way stays so.
#[tokio::test]
async fn a_redirect_that_reached_tls_does_not_leave_it() {
    let authority = Authority::new("one");
    let ca = pem(&authority.pem());
    let (setup, plain) = (Setup::new().await, FakeRegistry::start().await);
    let secure = serving(&authority.server(&["127.0.0.1"])).await;
    let redirects = Some(vec![secure.host(), plain.host()]);
    let store = store_for(&setup.fake, HostConfig { plain_http: true, redirects, ..trusting(&ca) });
    let body = setup.store.manifest(&setup.repository().name(), &setup.image, soon()).await.unwrap().bytes().clone();
    setup.fake.script("/v2/", [Reply::header(307, "Location", &secure.url("/x"))]);
    secure.script("/x", [Reply::ok(&setup.image.media_type, body)]);
    check("to TLS", &store.resolve(&setup.digest(), soon()).await, Ok(()));
    secure.script("/x", [Reply::header(307, "Location", &plain.url("/x"))]);
    let back = store.resolve(&setup.digest(), soon()).await;
    check("REG-48", &back, Err(("RedirectDenied", Code::RedirectDenied)));
    assert_eq!(plain.connections(), 0);
}

/// A frame: length, type, flags, stream, payload.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let size = u8::try_from(payload.len()).unwrap();
    [&[0, 0, size, kind, flags, 0, 0, 0, stream][..], payload].concat()
}

// REG-54
#[tokio::test]
async fn http_2_that_misbehaves_is_no_answer() {
    let authority = Authority::new("one");
    let ca = pem(&authority.pem());
    let settings = frame(4, 0, 0, &[]);
    let goaway = frame(7, 0, 0, &[0; 8]).repeat(1000);
    let resets = frame(3, 0, 1, &[0, 0, 0, 8]).repeat(1000);
    let stalled = frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let open_head = frame(1, 0, 1, &[0x88]);
    for (row, bytes) in [
        ("REG-54 GOAWAY storm", [settings.clone(), goaway].concat()),
        ("REG-54 RST flood", [settings.clone(), resets].concat()),
        ("REG-54 no window", stalled),
        ("REG-54 HEADERS without END", [settings, open_head].concat()),
        ("REG-54 garbage", vec![0xff; 4096]),
    ] {
        let mut config = authority.server(&["127.0.0.1"]).server_config(None);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let fake = FakeRegistry::start_tls(config).await;
        // The client's preface reads as a call for `*`; what follows it waits until the deadline.
        fake.script("*", [Reply::Raw(vec![bytes.into(), Bytes::new()], Duration::from_millis(1))]);
        let store = store_for(&fake, trusting(&ca));
        let found = store.resolve(&fake.repository("shop/web").tag("v1"), in_ms(500)).await;
        let undecided = [Code::RegistryUnavailable, Code::Timeout, Code::BadHttp, Code::Truncated];
        assert!(matches!(&found, Err(error) if undecided.contains(&error.code())), "{row}: {found:?}");
    }
}
