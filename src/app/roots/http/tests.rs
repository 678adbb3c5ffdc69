//! A repository behind real sockets, and what its host or anyone between may try.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    thread,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned, pki_types::PrivateKeyDer};
use serde_json::json;

use super::*;
use crate::verifier::cosign::root::{
    source::{RootConfig, RootSource},
    tuf::testing::Published,
};

/// Whole answers by path; what is not there is a 404.
type Answers = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A server on loopback that closes each connection after one answer.
pub(in crate::app::roots) struct Served {
    pub(in crate::app::roots) address: SocketAddr,
    pub(in crate::app::roots) answers: Answers,
}

pub(in crate::app::roots) fn ok(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

impl Served {
    pub(in crate::app::roots) fn start(tls: Option<ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answers = Answers::default();
        let shared = Arc::clone(&answers);
        let tls = tls.map(Arc::new);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), answers) = (stream, Arc::clone(&shared)) else { continue };
                match &tls {
                    None => answer(stream, &answers),
                    Some(tls) => {
                        let connection = ServerConnection::new(Arc::clone(tls)).unwrap();
                        answer(StreamOwned::new(connection, stream), &answers);
                    }
                }
            }
        });
        Self { address, answers }
    }

    pub(in crate::app::roots) fn publish(&self, published: &Published) {
        let mut answers = self.answers.lock().unwrap();
        answers.clear();
        answers.extend(published.0.iter().map(|(path, body)| (format!("/tuf/{path}"), ok(body))));
    }

    fn set(&self, path: &str, answer: Vec<u8>) {
        self.answers.lock().unwrap().insert(path.to_owned(), answer);
    }
}

fn answer(mut stream: impl Read + Write, answers: &Answers) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("GET ") && head.to_lowercase().contains("accept-encoding: identity"), "{head}");
    let path = head.split(' ').nth(1).unwrap();
    let missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec();
    let answer = answers.lock().unwrap().get(path).cloned().unwrap_or(missing);
    // Who asked may have gone.
    let _ = stream.write_all(&answer).and_then(|()| stream.flush());
}

pub(in crate::app::roots) fn source(members: &serde_json::Value) -> TufSource {
    let config: RootConfig = serde_json::from_value(json!({"tuf": members})).unwrap();
    match config.sources() {
        [RootSource::Tuf(tuf)] => tuf.clone(),
        other => panic!("{other:?}"),
    }
}

fn plain(served: &Served) -> Http {
    let members =
        json!({"url": format!("http://{}/tuf/", served.address), "plainHttp": true, "root": "r", "cacheDir": "c"});
    Http::new(&source(&members), Path::new("/nonexistent")).unwrap()
}

#[tokio::test]
async fn a_file_is_read_up_to_its_limit_and_not_one_byte_more() {
    let served = Served::start(None);
    let http = plain(&served);
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\n12345\r\n5\r\n67890\r\n0\r\n\r\n";
    let until_closed = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n1234567890";
    for (name, answer) in
        [("length", ok(b"1234567890")), ("chunked", chunked.to_vec()), ("until closed", until_closed.to_vec())]
    {
        served.set("/tuf/a.json", answer);
        assert_eq!(http.fetch_metadata("a.json", 10).await.unwrap().unwrap(), b"1234567890", "{name}");
        let error = http.fetch_metadata("a.json", 9).await.unwrap_err();
        assert!(error.to_string().contains("more than 9 bytes"), "{name}: {error}");
    }
    served.set("/tuf/targets/a/b.json", ok(b"t"));
    assert_eq!(http.fetch_target("a/b.json", 1).await.unwrap().unwrap(), b"t");
    assert!(http.fetch_metadata("absent.json", 9).await.unwrap().is_none());
    served.set("/tuf/a.json", b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\nConnection: close\r\n\r\n12345".to_vec());
    assert!(http.fetch_metadata("a.json", 100).await.is_err(), "cut");
}

#[tokio::test]
async fn other_answers_are_no_files() {
    let served = Served::start(None);
    let elsewhere = Served::start(None);
    elsewhere.set("/tuf/b.json", ok(b"stolen"));
    served.set("/tuf/b.json", ok(b"own"));
    served.set(
        "/tuf/loop.json",
        b"HTTP/1.1 302 Found\r\nLocation: /tuf/loop.json\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
    );
    let http = plain(&served);
    let redirect = |to: String| {
        format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").into_bytes()
    };
    served.set("/tuf/a.json", redirect("/tuf/b.json".to_owned()));
    assert_eq!(http.fetch_metadata("a.json", 10).await.unwrap().unwrap(), b"own", "within the host");
    let gzip =
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc".to_vec();
    for (name, answer) in [
        ("another port", redirect(format!("http://{}/tuf/b.json", elsewhere.address))),
        ("another host", redirect("http://tuf.example.test/b.json".to_owned())),
        ("another scheme", redirect("file:///etc/passwd".to_owned())),
        ("for ever", redirect("/tuf/loop.json".to_owned())),
        ("encoded", gzip),
        ("partial", b"HTTP/1.1 206 Partial Content\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc".to_vec()),
        ("error", b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec()),
        ("no HTTP", b"SSH-2.0\r\n\r\n".to_vec()),
    ] {
        served.set("/tuf/a.json", answer);
        assert!(http.fetch_metadata("a.json", 100).await.is_err(), "{name}");
    }
}

// R100, CVE-2026-24137: names come from metadata; none of them leaves the repository.
#[test]
fn only_plain_paths_below_the_repository_are_asked_for() {
    let members = json!({"url": "https://tuf.example.test/a/b", "root": "r", "cacheDir": "c"});
    let http = Http::new(&source(&members), Path::new("/nonexistent")).unwrap();
    for (path, address) in [
        ("3.root.json", "https://tuf.example.test/a/b/3.root.json"),
        ("targets/x/abc.trusted_root.json", "https://tuf.example.test/a/b/targets/x/abc.trusted_root.json"),
        ("1.a%2Fb.json", "https://tuf.example.test/a/b/1.a%2Fb.json"),
    ] {
        assert_eq!(http.address(path).unwrap().as_str(), address);
    }
    for path in [
        "",
        "/x",
        "../x",
        "a/../x",
        "a/./x",
        "a//x",
        "x/",
        "%2e%2e/x",
        "a/%2E./x",
        "a\\..\\x",
        "x?y",
        "x#y",
        "https://evil.test/x",
        "x y",
        "x\n",
        "ä",
    ] {
        assert!(http.address(path).is_err(), "{path:?}");
    }
}

#[tokio::test]
async fn tls_chains_to_the_configured_authority_or_to_a_public_one() {
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), certified.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let tls = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let served = Served::start(Some(tls));
    served.set("/a.json", ok(b"x"));
    let url = format!("https://{}", served.address);
    let with = source(&json!({"url": url, "root": "r", "cacheDir": "c", "ca": "ca.pem"}));
    let http = Http::new(&with, folder.path()).unwrap();
    assert_eq!(http.fetch_metadata("a.json", 1).await.unwrap().unwrap(), b"x");
    let without = source(&json!({"url": url, "root": "r", "cacheDir": "c"}));
    assert!(Http::new(&without, folder.path()).unwrap().fetch_metadata("a.json", 1).await.is_err());
    for (name, content) in
        [("empty", ""), ("garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")]
    {
        std::fs::write(folder.path().join("ca.pem"), content).unwrap();
        assert!(Http::new(&with, folder.path()).is_err(), "{name}");
    }
    std::fs::remove_file(folder.path().join("ca.pem")).unwrap();
    assert!(Http::new(&with, folder.path()).is_err());
}
