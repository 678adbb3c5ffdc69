//! The client against a scripted socket. The whole catalogue runs in `integration-tests`; here is what a fake HTTP
//! library would not let through, and what must be counted on the wire.

mod answers;
mod auth;
mod egress;
mod faults;
mod tls;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::{
    oci::{Completeness, Found, media_type},
    reason::Code,
};

/// What one request is answered with: raw bytes, after which the connection closes. The arguments: the request's head
/// and body, and how many came before it.
type Script = dyn Fn(&str, usize) -> Vec<u8> + Send + Sync;

struct Fake {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    async fn start(script: impl Fn(&str, usize) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Script> = Arc::new(script);
        let seen = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                tokio::spawn(serve(stream, Arc::clone(&script), Arc::clone(&seen)));
            }
        });
        Self { address, requests, task }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    fn host(&self) -> String {
        self.address.to_string()
    }

    /// A plain-http entry for this fake, with `more` beside.
    fn config(&self, more: &str) -> Config {
        let port = self.address.port();
        let hosts = format!(r#"{{"hosts":{{"127.0.0.1:{port}":{{"plainHttp":true,"allowLoopback":true{more}}}}}}}"#);
        serde_json::from_str(&hosts).unwrap()
    }

    fn store(&self, more: &str) -> Registry {
        self.limited(more, Limits::default())
    }

    fn limited(&self, more: &str, limits: Limits) -> Registry {
        Registry::build("test", &self.config(more), Path::new("/"), limits, Outside::default()).unwrap()
    }

    fn repository(&self) -> Repository {
        Repository::parse(&format!("{}/team/app", self.address)).unwrap()
    }

    fn tag(&self) -> Reference {
        Reference::parse(&format!("{}/team/app:v1", self.address)).unwrap()
    }
}

async fn serve(mut stream: TcpStream, script: Arc<Script>, seen: Arc<Mutex<Vec<String>>>) {
    let mut request = Vec::new();
    loop {
        let mut part = [0_u8; 4096];
        let n = stream.read(&mut part).await.unwrap_or(0);
        request.extend_from_slice(&part[..n]);
        let text = String::from_utf8_lossy(&request);
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            body.len() >= length.unwrap_or(0)
        });
        // A TLS handshake is answered at once, as any HTTP server does.
        if whole || n == 0 || request.first() == Some(&0x16) {
            break;
        }
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    let before = {
        let mut seen = seen.lock().unwrap();
        seen.push(text.clone());
        seen.len() - 1
    };
    let _ = stream.write_all(&script(&text, before)).await;
}

fn reply(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}").into_bytes()
}

const MANIFEST: &str = r#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}"#;

fn typed(media_type: &str, body: &str) -> Vec<u8> {
    reply("200 OK", &format!("Content-Type: {media_type}\r\n"), body)
}

fn manifest() -> Vec<u8> {
    typed(media_type::IMAGE_MANIFEST, MANIFEST)
}

fn subject() -> Digest {
    Digest::sha256(MANIFEST.as_bytes())
}

fn soon() -> Deadline {
    Instant::now() + Duration::from_secs(5)
}

fn shortly() -> Deadline {
    Instant::now() + Duration::from_millis(300)
}

fn index(entries: usize) -> String {
    let entry = |n: usize| {
        let digest = Digest::sha256(&n.to_be_bytes());
        format!(r#"{{"mediaType":"{}","digest":"{digest}","size":1}}"#, media_type::IMAGE_MANIFEST)
    };
    let entries: Vec<_> = (0..entries).map(entry).collect();
    format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(","))
}
