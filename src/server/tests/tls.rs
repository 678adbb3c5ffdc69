//! TLS over real sockets, with certificates made here.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    time::Duration,
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
    version::{TLS12, TLS13},
};

use super::fake::{Running, Setup, post, request};
use crate::server::{ServerError, TlsError, config};

mod handshakes;

const NAME: &str = "gatekeeper-webhook-service.gatekeeper-system.svc";

struct Authority {
    pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

struct Leaf {
    pem: String,
    der: CertificateDer<'static>,
    key: KeyPair,
}

fn authority(name: &str) -> Authority {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    Authority { pem: certificate.pem(), der: certificate.der().clone(), issuer: Issuer::new(params, key) }
}

impl Authority {
    fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf { pem: certificate.pem(), der: certificate.der().clone(), key }
    }

    fn client(&self, name: &str) -> Leaf {
        self.issue(|params| {
            params.subject_alt_names = Vec::new();
            params.distinguished_name.push(DnType::CommonName, name);
        })
    }
}

/// A server whose files are in a folder of its own.
struct Place {
    folder: tempfile::TempDir,
    serving: Authority,
    clients: Authority,
}

impl Place {
    fn new() -> Self {
        let place =
            Self { folder: tempfile::tempdir().unwrap(), serving: authority("serving"), clients: authority("clients") };
        place.write_pair(&place.serving.issue(|_| {}));
        place.write("ca.crt", &place.clients.pem);
        place
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, content: &str) {
        // At once, so that the server's own tick never sees half of it.
        let written = self.path().join("written");
        fs::write(&written, content).unwrap();
        fs::rename(written, self.path().join(name)).unwrap();
    }

    fn write_pair(&self, leaf: &Leaf) {
        self.write("tls.crt", &leaf.pem);
        self.write("tls.key", &leaf.key.serialize_pem());
    }

    fn setup(&self) -> Setup {
        let mut setup = Setup::default();
        setup.config.plain_http = false;
        setup.config.tls = Some(config::Tls {
            certificate: Some(self.path().join("tls.crt")),
            key: Some(self.path().join("tls.key")),
            client_ca: Some(self.path().join("ca.crt")),
            client_name: Some(NAME.to_owned()),
            insecure_skip_client_certificate: false,
        });
        setup
    }

    fn start(&self) -> Running {
        self.setup().start()
    }

    /// Asks as `client`; the serving certificate and the reply, or why there is none.
    async fn ask(&self, server: &Running, client: Option<&Leaf>) -> Result<(CertificateDer<'static>, String), String> {
        let config = client_config(&self.serving, client, &TLS13);
        let address = server.address;
        tokio::task::spawn_blocking(move || talk(address, config)).await.unwrap()
    }
}

fn client_config(
    serving: &Authority,
    client: Option<&Leaf>,
    version: &'static rustls::SupportedProtocolVersion,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(serving.der.clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    match client {
        None => builder.with_no_client_auth(),
        Some(leaf) => {
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf.key.serialize_der()));
            builder.with_client_auth_cert(vec![leaf.der.clone()], key).unwrap()
        }
    }
}

fn talk(address: SocketAddr, config: ClientConfig) -> Result<(CertificateDer<'static>, String), String> {
    let connection = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut stream = StreamOwned::new(connection, socket);
    let body = request(&["registry.example/app/good:1"]);
    let sent = post("/ratify/gatekeeper/v1/verify", "Connection: close\r\n", body.as_bytes());
    stream.write_all(&sent).map_err(|error| error.to_string())?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).map_err(|error| error.to_string())?;
    let serving = stream.conn.peer_certificates().unwrap()[0].clone().into_owned();
    assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
    Ok((serving, reply))
}

// TLS-01
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn only_the_right_client_is_answered() {
    let place = Place::new();
    let server = place.start();
    let good = place.clients.client(NAME);
    let (_, reply) = place.ask(&server, Some(&good)).await.unwrap();
    assert!(reply.contains(r#""isSuccess":true"#));
    let in_san = place.clients.issue(|params| {
        *params = {
            let mut named = CertificateParams::new(vec![NAME.to_ascii_uppercase()]).unwrap();
            named.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            named
        }
    });
    place.ask(&server, Some(&in_san)).await.unwrap();

    let other = authority("clients");
    let named = |params: &mut CertificateParams| params.distinguished_name.push(DnType::CommonName, NAME);
    let wrong = [
        ("another authority of the same name", other.client(NAME)),
        ("the serving authority", place.serving.client(NAME)),
        (
            "expired",
            place.clients.issue(|params| {
                named(params);
                params.not_before = date_time_ymd(2001, 1, 1);
                params.not_after = date_time_ymd(2002, 1, 1);
            }),
        ),
        (
            "not yet valid",
            place.clients.issue(|params| {
                named(params);
                params.not_before = date_time_ymd(2090, 1, 1);
                params.not_after = date_time_ymd(2091, 1, 1);
            }),
        ),
        (
            "server only",
            place.clients.issue(|params| {
                named(params);
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            }),
        ),
        ("another name", place.clients.client("gatekeeper-webhook-service.gatekeeper-system.svc.evil.example")),
        ("a prefix", place.clients.client("gatekeeper-webhook-service")),
        ("a wildcard", place.clients.client("*.gatekeeper-system.svc")),
        (
            "two names",
            place.clients.issue(|params| {
                named(params);
                params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 3]), "another");
            }),
        ),
    ];
    for (name, leaf) in &wrong {
        place.ask(&server, Some(leaf)).await.expect_err(name);
    }
    place.ask(&server, None).await.expect_err("no certificate");
    let metrics = server.metrics();
    for reason in ["unknown_issuer", "expired", "not_yet_valid", "purpose", "name"] {
        assert!(
            metrics.contains(&format!(r#"countersign_client_certificates_refused_total{{reason="{reason}"}}"#)),
            "{metrics}"
        );
    }
    place.ask(&server, Some(&good)).await.unwrap();
    server.stop().await;
}

// TLS-02
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_tls_and_plain_http_are_refused() {
    let place = Place::new();
    let server = place.start();
    let client = place.clients.client(NAME);
    let config = client_config(&place.serving, Some(&client), &TLS12);
    let address = server.address;
    tokio::task::spawn_blocking(move || talk(address, config)).await.unwrap().expect_err("TLS 1.2");
    let answer = tokio::task::spawn_blocking(move || {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let body = request(&["registry.example/app/good:1"]);
        socket.write_all(&post("/ratify/gatekeeper/v1/verify", "", body.as_bytes())).unwrap();
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        answer
    });
    let answer = answer.await.unwrap();
    assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));
    server.stop().await;
}

// TLS-03: served, so that the client says what is wrong; the gauge shows it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_serving_certificate_starts_and_shows() {
    let place = Place::new();
    place.write_pair(&place.serving.issue(|params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    }));
    let server = place.start();
    assert!(
        server.metrics().contains("countersign_certificate_expiry_timestamp_seconds 1009843200"),
        "{}",
        server.metrics()
    );
    server.stop().await;
}

// TLS-04
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_cannot_serve_are_refused_at_the_start() {
    type Expected = fn(&TlsError) -> bool;
    let place = Place::new();
    let leaf = place.serving.issue(|_| {});
    let other = place.serving.issue(|_| {});
    let key = leaf.key.serialize_pem();
    let label = |text: &str| key.replace("PRIVATE KEY", text);
    let rows: Vec<(&str, &str, String, Expected)> = vec![
        ("another key", "tls.key", other.key.serialize_pem(), |e| matches!(e, TlsError::Mismatch(_))),
        ("encrypted key", "tls.key", label("ENCRYPTED PRIVATE KEY"), |e| matches!(e, TlsError::KeyEncrypted)),
        ("RSA label", "tls.key", label("RSA PRIVATE KEY"), |e| matches!(e, TlsError::Key(_))),
        ("empty key", "tls.key", String::new(), |e| matches!(e, TlsError::NoKey(_))),
        ("empty certificate", "tls.crt", String::new(), |e| matches!(e, TlsError::NoCertificate)),
        ("out of order", "tls.crt", format!("{}{}", leaf.pem, other.pem), |e| matches!(e, TlsError::ChainOrder)),
        ("long chain", "tls.crt", leaf.pem.repeat(11), |e| matches!(e, TlsError::ChainLong)),
        ("cut", "tls.crt", leaf.pem.chars().take(leaf.pem.len() / 2).collect(), |e| {
            matches!(e, TlsError::Pem(_) | TlsError::NoCertificate)
        }),
        ("huge", "tls.crt", "x".repeat(1024 * 1024 + 1), |e| matches!(e, TlsError::TooLarge { .. })),
        ("no authority", "ca.crt", "text".to_owned(), |e| matches!(e, TlsError::ClientAuthorityMissing)),
    ];
    for (name, file, content, expected) in rows {
        place.write_pair(&leaf);
        place.write("ca.crt", &place.clients.pem);
        place.write(file, &content);
        match place.setup().try_start() {
            Err(ServerError::Tls(error)) => assert!(expected(&error), "{name}: {error:?}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    fs::remove_file(place.path().join("ca.crt")).unwrap();
    assert!(matches!(place.setup().try_start(), Err(ServerError::Tls(TlsError::Read { .. }))));
    place.write_pair(&leaf);
    place.write("tls.crt", &format!("{}{}", leaf.pem, place.serving.pem));
    place.write("ca.crt", &place.clients.pem);
    place.setup().start().stop().await;
}

// TLS-05
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_pair_is_used_once_it_is_one_and_the_last_good_until_then() {
    let place = Place::new();
    let first = place.serving.issue(|_| {});
    place.write_pair(&first);
    let server = place.start();
    let tls = server.tls.clone().unwrap();
    let client = place.clients.client(NAME);
    let presented = async || place.ask(&server, Some(&client)).await.unwrap().0;
    assert_eq!(presented().await, first.der);

    let second = place.serving.issue(|_| {});
    place.write("tls.key", &second.key.serialize_pem());
    tls.renew();
    tls.renew();
    assert_eq!(presented().await, first.der, "half a pair");
    assert!(server.metrics().contains(r#"countersign_reload_failures_total{what="certificate"} 1"#), "counted once");
    place.write("tls.crt", &second.pem.chars().take(second.pem.len() - 40).collect::<String>());
    tls.renew();
    assert_eq!(presented().await, first.der, "half a file");
    place.write("tls.crt", &second.pem);
    tls.renew();
    assert_eq!(presented().await, second.der);
    assert!(server.metrics().contains(r#"countersign_reloads_total{what="certificate"} 1"#));

    // The swap of a Secret volume: `tls.crt` stays a link to `..data/tls.crt`, and `..data` changes.
    let third = place.serving.issue(|_| {});
    place.write_pair(&third);
    tls.renew();
    assert_eq!(presented().await, third.der);
    server.stop().await;
}

// TLS-06
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_authorities_overlap_and_then_the_old_is_out() {
    let place = Place::new();
    let server = place.start();
    let tls = server.tls.clone().unwrap();
    let next = authority("next");
    let (old, new) = (place.clients.client(NAME), next.client(NAME));
    place.ask(&server, Some(&new)).await.expect_err("not yet");
    place.write("ca.crt", &format!("{}{}", place.clients.pem, next.pem));
    tls.renew();
    place.ask(&server, Some(&old)).await.unwrap();
    place.ask(&server, Some(&new)).await.unwrap();
    place.write("ca.crt", "broken");
    tls.renew();
    place.ask(&server, Some(&old)).await.unwrap();
    assert!(server.metrics().contains(r#"countersign_reload_failures_total{what="client_ca"} 1"#));
    place.write("ca.crt", &next.pem);
    tls.renew();
    place.ask(&server, Some(&old)).await.expect_err("removed");
    place.ask(&server, Some(&new)).await.unwrap();
    server.stop().await;
}

/// Links as Kubernetes makes them.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_volume_that_swaps_its_link_is_seen() {
    use std::os::unix::fs::symlink;

    let place = Place::new();
    let pairs = [place.serving.issue(|_| {}), place.serving.issue(|_| {})];
    for (name, leaf) in ["one", "two"].iter().zip(&pairs) {
        fs::create_dir(place.path().join(name)).unwrap();
        place.write(&format!("{name}/tls.crt"), &leaf.pem);
        place.write(&format!("{name}/tls.key"), &leaf.key.serialize_pem());
    }
    let data = place.path().join("..data");
    symlink("one", &data).unwrap();
    for file in ["tls.crt", "tls.key"] {
        fs::remove_file(place.path().join(file)).unwrap();
        symlink(Path::new("..data").join(file), place.path().join(file)).unwrap();
    }
    let server = place.start();
    let client = place.clients.client(NAME);
    assert_eq!(place.ask(&server, Some(&client)).await.unwrap().0, pairs[0].der);
    symlink("two", place.path().join("..data_tmp")).unwrap();
    fs::rename(place.path().join("..data_tmp"), &data).unwrap();
    server.tls.clone().unwrap().renew();
    assert_eq!(place.ask(&server, Some(&client)).await.unwrap().0, pairs[1].der);
    server.stop().await;
}
