//! TLS: whom we trust, and for whom (TLS-20, TLS-21, REG-56, REG-57).

use std::io::{Read as _, Write as _};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
};

use super::*;

type Ca = CertifiedIssuer<'static, KeyPair>;

fn ca() -> Ca {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn issue(ca: &Ca, name: &str, until: i32) -> (CertificateDer<'static>, KeyPair) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, ca).unwrap().der().clone(), key)
}

/// Answers each TLS connection once; says whether the client showed a certificate. Ends with the test's runtime.
struct Secure {
    address: SocketAddr,
    shown: Arc<Mutex<Vec<bool>>>,
}

impl Secure {
    fn start(ca: &Ca, name: &str, until: i32, answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> Self {
        let (certificate, key) = issue(ca, name, until);
        let mut roots = rustls::RootCertStore::empty();
        roots.add(ca.der().clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let verifier = verifier.allow_unauthenticated().build().unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        let config = Arc::new(config);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&shown);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut tls = StreamOwned::new(connection, stream);
                let mut part = [0_u8; 8192];
                if let Ok(n) = tls.read(&mut part) {
                    seen.lock().unwrap().push(tls.conn.peer_certificates().is_some());
                    let _ = tls.write_all(&answer(&String::from_utf8_lossy(&part[..n])));
                    tls.conn.send_close_notify();
                    let _ = tls.flush();
                }
            }
        });
        Self { address, shown }
    }

    fn tag(&self) -> Reference {
        Reference::parse(&format!("{}/x:y", self.address)).unwrap()
    }
}

struct Files(tempfile::TempDir);

impl Files {
    fn new(files: &[(&str, String)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        Self(directory)
    }

    fn store(&self, entries: &[String]) -> Registry {
        let config = serde_json::from_str(&format!(r#"{{"hosts":{{{}}}}}"#, entries.join(","))).unwrap();
        let limits = Limits { retries: 0, ..Limits::default() };
        Registry::build("test", &config, self.0.path(), limits, Outside::default()).unwrap()
    }
}

fn entry(host: &Secure, more: &str) -> String {
    format!(r#""{}":{{"allowLoopback":true{more}}}"#, host.address)
}

// REG-56, TLS-21
#[tokio::test]
async fn only_the_authorities_of_the_host_itself_are_trusted() {
    let (ours, theirs) = (ca(), ca());
    let files = Files::new(&[("ours.pem", ours.pem()), ("theirs.pem", theirs.pem())]);
    let good = Secure::start(&ours, "127.0.0.1", 2050, |_| manifest());
    let others = Secure::start(&ours, "127.0.0.1", 2050, |_| manifest());
    let expired = Secure::start(&ours, "127.0.0.1", 2001, |_| manifest());
    let renamed = Secure::start(&ours, "other.test", 2050, |_| manifest());
    let store = files.store(&[
        entry(&good, r#","ca":"ours.pem""#),
        entry(&others, ""),
        entry(&expired, r#","ca":"ours.pem""#),
        entry(&renamed, r#","ca":"ours.pem""#),
    ]);
    store.resolve(&good.tag(), soon()).await.unwrap();
    for (name, host) in [("TLS-21", &others), ("expired", &expired), ("wrong name", &renamed)] {
        let error = store.resolve(&host.tag(), soon()).await.unwrap_err();
        assert_eq!(error.code(), Code::Tls, "{name}: {error}");
        assert!(host.shown.lock().unwrap().is_empty(), "{name}: no request was sent");
    }
    let store = files.store(&[entry(&good, r#","ca":"theirs.pem""#)]);
    assert_eq!(store.resolve(&good.tag(), soon()).await.unwrap_err().code(), Code::Tls);
}

// TLS-20
#[tokio::test]
async fn realm_and_redirect_target_are_verified_as_the_registry_is() {
    let (ours, theirs) = (ca(), ca());
    let files = Files::new(&[("ours.pem", ours.pem())]);
    for (authority, allowed) in [(&ours, true), (&theirs, false)] {
        let cdn = Secure::start(authority, "127.0.0.1", 2050, |_| manifest());
        let place = format!("https://{}/x", cdn.address);
        let home = Secure::start(&ours, "127.0.0.1", 2050, move |_| {
            reply("307 Temporary Redirect", &format!("Location: {place}\r\n"), "")
        });
        let listed = format!(r#","ca":"ours.pem","redirects":["{0}"],"realms":["{0}"]"#, cdn.address);
        let answer = files.store(&[entry(&home, &listed)]).resolve(&home.tag(), soon()).await;
        assert_eq!(answer.map(|_| ()).map_err(|error| error.code()), if allowed { Ok(()) } else { Err(Code::Tls) });

        let service = Secure::start(authority, "127.0.0.1", 2050, |_| reply("200 OK", "", r#"{"token":"t"}"#));
        let realm = format!("https://{}/x", service.address);
        let home = Secure::start(&ours, "127.0.0.1", 2050, move |request| {
            let bearer = format!("WWW-Authenticate: Bearer realm=\"{realm}\"\r\n");
            if request.contains("Bearer t") { manifest() } else { reply("401 Unauthorized", &bearer, "") }
        });
        let listed = format!(r#","ca":"ours.pem","realms":["{}"]"#, service.address);
        let answer = files.store(&[entry(&home, &listed)]).resolve(&home.tag(), soon()).await;
        match answer {
            Ok(_) => assert!(allowed),
            Err(error) => {
                assert!(!allowed && error.code() == Code::Auth && error.to_string().contains("TLS"), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn the_client_certificate_is_shown_to_its_host_alone() {
    let ours = ca();
    let (certificate, key) = issue(&ours, "client", 2050);
    let pem = |der: &[u8]| {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    };
    let files = [("ca.pem", ours.pem()), ("client.pem", pem(&certificate)), ("client.key", key.serialize_pem())];
    let files = Files::new(&files);
    let cdn = Secure::start(&ours, "127.0.0.1", 2050, |_| manifest());
    let place = format!("https://{}/x", cdn.address);
    let home = Secure::start(&ours, "127.0.0.1", 2050, move |_| {
        reply("307 Temporary Redirect", &format!("Location: {place}\r\n"), "")
    });
    let identity = r#""clientCertificate":"client.pem","clientKey":"client.key""#;
    let more = format!(r#","ca":"ca.pem",{identity},"redirects":["{}"]"#, cdn.address);
    files.store(&[entry(&home, &more)]).resolve(&home.tag(), soon()).await.unwrap();
    assert_eq!((home.shown.lock().unwrap().clone(), cdn.shown.lock().unwrap().clone()), (vec![true], vec![false]));
}

// REG-57, and REG-48: from https there is no way to http.
#[tokio::test]
async fn the_other_protocol_is_named_and_never_tried() {
    let plain = Fake::start(|_, _| reply("400 Bad Request", "", "")).await;
    let config = serde_json::from_str(&format!(r#"{{"hosts":{{"{}":{{"allowLoopback":true}}}}}}"#, plain.host()));
    let store =
        Registry::build("test", &config.unwrap(), Path::new("/"), Limits::default(), Outside::default()).unwrap();
    let error = store.resolve(&plain.tag(), soon()).await.unwrap_err();
    assert_eq!(error.code(), Code::Tls, "{error}");
    assert!(error.to_string().contains("plainHttp"), "{error}");
    assert!(plain.requests().iter().all(|request| !request.contains("HTTP/1.1")));

    let ours = ca();
    let files = Files::new(&[("ca.pem", ours.pem())]);
    let secure = Secure::start(&ours, "127.0.0.1", 2050, |_| manifest());
    let store = files.store(&[entry(&secure, r#","plainHttp":true"#)]);
    let error = store.resolve(&secure.tag(), soon()).await.unwrap_err();
    assert_eq!(error.code(), Code::Tls, "{error}");

    let place = format!("http://{}/x", plain.host());
    let secure = Secure::start(&ours, "127.0.0.1", 2050, move |_| {
        reply("307 Temporary Redirect", &format!("Location: {place}\r\n"), "")
    });
    let more = format!(r#","ca":"ca.pem","redirects":["{}"]"#, plain.host());
    let before = plain.requests().len();
    let error = files.store(&[entry(&secure, &more)]).resolve(&secure.tag(), soon()).await.unwrap_err();
    assert_eq!((error.code(), plain.requests().len()), (Code::RedirectDenied, before), "{error}");
}
