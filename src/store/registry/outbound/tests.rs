use std::sync::Mutex;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};

use super::*;

fn outbound(hosts: &[&str], proxy: Option<&str>) -> Result<Outbound, Vec<Fault>> {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    Outbound::build(&hosts, proxy, &Outside::default())
}

// REV-09, REF-09 to REF-18, REF-22
#[test]
fn only_public_hosts_at_port_80_and_those_that_are_named_are_asked() {
    for (hosts, url, allowed) in [
        (&[][..], "http://pki.example.com/crl", true),
        (&[], "http://8.8.8.8/crl", true),
        (&[], "http://pki.example.com:8080/crl", false),
        (&[], "https://pki.example.com/crl", false),
        (&[], "ftp://pki.example.com/crl", false),
        (&[], "file:///etc/passwd", false),
        (&[], "http://u:p@pki.example.com/crl", false),
        (&[], "http://localhost:6379/crl", false),
        (&[], "http://localhost/crl", false),
        (&[], "http://127.0.0.1/crl", false),
        (&[], "http://2130706433/crl", false),
        (&[], "http://[::1]/crl", false),
        (&[], "http://10.0.0.1/crl", false),
        (&[], "http://169.254.169.254/latest", false),
        (&[], "http://kubernetes.default.svc/crl", false),
        (&["pki.corp.internal"], "http://pki.corp.internal/crl", true),
        (&["pki.corp.internal"], "http://pki.corp.internal:8080/crl", false),
        (&["pki.corp.internal:8080"], "http://pki.corp.internal:8080/crl", true),
        (&["pki.corp.internal"], "http://pki.example.com/crl", false),
        (&["pki.corp.internal"], "http://pki.corp.internal.evil.test/crl", false),
        (&["pki.corp.internal", "*"], "http://pki.example.com/crl", true),
        (&["pki.corp.internal", "*"], "http://localhost/crl", false),
        (&["*"], "http://pki.example.com/crl", true),
        (&["*.example.com"], "http://pki.example.com/crl", true),
        (&["127.0.0.1:8080", "10.0.0.1"], "http://127.0.0.1:8080/crl", true),
        (&["127.0.0.1:8080", "10.0.0.1"], "http://10.0.0.1/crl", true),
        (&["169.254.169.254"], "http://169.254.169.254/latest", false),
        (&["169.254.1.1"], "http://169.254.1.1/crl", false),
    ] {
        let checked = outbound(hosts, None).unwrap().check(&Url::parse(url).unwrap());
        assert_eq!(checked.is_ok(), allowed, "{hosts:?} {url}: {checked:?}");
    }
}

#[test]
fn everything_wrong_is_said_with_its_member_and_no_secret() {
    let faults = |hosts: &[&str], proxy| -> Vec<String> {
        outbound(hosts, proxy).unwrap_err().into_iter().map(|fault| fault.to_string()).collect()
    };
    let found = faults(&["a:b:c", "https://x"], Some("http://user:hunter2@proxy:3128"));
    let members: Vec<_> = found.iter().map(|fault| fault.split(':').next().unwrap()).collect();
    assert_eq!(members, ["allowHosts[0]", "allowHosts[1]", "proxy"]);
    assert!(!found.concat().contains("hunter2"), "{found:?}");
    for proxy in ["https://proxy:3128", "socks5://proxy", "proxy:3128", "http://proxy/path", "http://"] {
        assert_eq!(faults(&[], Some(proxy)).len(), 1, "{proxy}");
    }
    assert!(outbound(&[], Some("http://127.0.0.1:3128")).is_ok());
}

/// A server on loopback: answers by the request's target, one request a connection, and remembers whole requests.
struct Served {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Served {
    /// `None`: it does not answer.
    async fn start(answer: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answer));
        let requests = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (requests, answer) = (Arc::clone(&requests), Arc::clone(&answer));
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(stream.read_u8().await.ok()?);
                    }
                    let head = String::from_utf8(head).ok()?;
                    let target = head.split(' ').nth(1)?.to_owned();
                    requests.lock().unwrap().push(head);
                    match answer(&target) {
                        Some(bytes) => stream.write_all(&bytes).await.ok(),
                        None => std::future::pending().await,
                    }
                });
            }
        });
        Self { port, seen, task }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

fn response(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

async fn get(outbound: &Outbound, url: &str) -> Result<Bytes, OutboundError> {
    let deadline = Instant::now() + Duration::from_secs(10);
    outbound.ask(&OutboundRequest { url, body: None, accept: "a/b", limit_bytes: 100, deadline }).await
}

// REV-06, REV-08; REG-48, REG-49
#[tokio::test]
async fn only_a_bounded_200_is_an_answer() {
    let served = Served::start(|path| {
        Some(match path {
            "/ok" => response(200, "", b"crl"),
            "/full" => response(200, "", &[7; 100]),
            "/long" => response(200, "", &[7; 101]),
            "/endless" => [&b"HTTP/1.1 200 X\r\nConnection: close\r\n\r\n"[..], &[7; 4096]].concat(),
            "/cut" => b"HTTP/1.1 200 X\r\nContent-Length: 9\r\nConnection: close\r\n\r\nabc".to_vec(),
            "/encoded" => response(200, "Content-Encoding: gzip\r\n", b"crl"),
            "/junk" => b"not http at all\r\n\r\n".to_vec(),
            "/silent" => return None,
            other => response(other.trim_start_matches('/').parse().unwrap(), "", b"crl"),
        })
    })
    .await;
    let outbound = outbound(&[&format!("127.0.0.1:{}", served.port)], None).unwrap();
    assert_eq!(get(&outbound, &served.url("/ok")).await.unwrap(), "crl");
    let head = served.seen().concat().to_lowercase();
    assert!(head.contains("accept: a/b") && head.contains("accept-encoding: identity"), "{head}");
    assert!(!head.contains("authorization") && !head.contains("cookie") && !head.contains("referer"), "{head}");
    assert_eq!(get(&outbound, &served.url("/full")).await.unwrap().len(), 100);
    for path in ["/long", "/endless"] {
        assert_eq!(get(&outbound, &served.url(path)).await, Err(OutboundError::TooLarge(100)), "{path}");
    }
    for path in ["/cut", "/encoded", "/junk"] {
        let found = get(&outbound, &served.url(path)).await;
        assert!(matches!(found, Err(OutboundError::Unavailable(_))), "{path}: {found:?}");
    }
    for status in [204, 206, 302, 304, 404, 500] {
        assert_eq!(get(&outbound, &served.url(&format!("/{status}"))).await, Err(OutboundError::Status(status)));
    }
    let url = served.url("/silent");
    let deadline = Instant::now() + Duration::from_millis(50);
    let asked = OutboundRequest { url: &url, body: None, accept: "*/*", limit_bytes: 1, deadline };
    assert_eq!(outbound.ask(&asked).await, Err(OutboundError::Timeout));
}

// Item 101; REV-06: redirects to where nothing may be asked.
#[tokio::test]
async fn each_redirect_is_judged_like_an_address() {
    let other = Served::start(|_| Some(response(200, "", b"secret"))).await;
    let elsewhere = other.url("/x");
    let served = Served::start(move |path| {
        let to = match path {
            "/1" => "/2",
            "/2" => "/3",
            "/3" => "/ok",
            "/0" => "/1",
            "/metadata" => "http://169.254.169.254/latest",
            "/https" => "https://127.0.0.1/",
            "/file" => "file:///etc/passwd",
            "/user" => "http://u:p@127.0.0.1/",
            "/localhost" => "http://localhost:6379/",
            "/elsewhere" => &elsewhere,
            _ => return Some(response(200, "", b"crl")),
        };
        Some(response(302, &format!("Location: {to}\r\n"), b""))
    })
    .await;
    let outbound = outbound(&[&format!("127.0.0.1:{}", served.port)], None).unwrap();
    assert_eq!(get(&outbound, &served.url("/1")).await.unwrap(), "crl", "three redirects");
    for path in ["/0", "/metadata", "/https", "/file", "/user", "/localhost", "/elsewhere"] {
        let found = get(&outbound, &served.url(path)).await;
        assert!(matches!(found, Err(OutboundError::Denied(_))), "{path}: {found:?}");
    }
    assert_eq!(other.seen().len(), 0);
    // What is posted is not sent on.
    let url = served.url("/1");
    let body = Some(("application/ocsp-request", Bytes::from_static(b"req")));
    let deadline = Instant::now() + Duration::from_secs(10);
    served.seen();
    let posted = outbound.ask(&OutboundRequest { url: &url, body, accept: "*/*", limit_bytes: 9, deadline }).await;
    assert_eq!(posted, Err(OutboundError::Status(302)));
    let seen = served.seen();
    assert!(matches!(seen.as_slice(), [one] if one.starts_with("POST /1 ")), "{seen:?}");
    assert!(seen[0].to_lowercase().contains("content-type: application/ocsp-request"));
}

#[tokio::test]
async fn a_proxy_is_asked_in_absolute_form_and_its_own_address_needs_no_permission() {
    let proxy = Served::start(|_| Some(response(200, "", b"crl"))).await;
    let by_proxy = |hosts: &[&str]| outbound(hosts, Some(&proxy.url(""))).unwrap();
    // No name is looked up here: there is none of this name.
    let found = get(&by_proxy(&[]), "http://pki.example.com/a.crl").await;
    assert_eq!(found.unwrap(), "crl");
    assert!(proxy.seen().concat().starts_with("GET http://pki.example.com/a.crl HTTP/1.1\r\n"));
    // Host rules are about the target.
    for (hosts, url) in [
        (&[][..], "http://localhost/a.crl"),
        (&[], "http://169.254.169.254/latest"),
        (&[], "http://10.0.0.1/a.crl"),
        (&["other.example.com"], "http://pki.example.com/a.crl"),
    ] {
        let found = get(&by_proxy(hosts), url).await;
        assert!(matches!(found, Err(OutboundError::Denied(_))), "{hosts:?} {url}: {found:?}");
    }
    assert_eq!(proxy.seen().len(), 0);
}

// REV-15: who fails all the time is left alone for a second at a time.
#[tokio::test]
async fn a_host_that_keeps_failing_costs_nothing_more() {
    let served = Served::start(|_| Some(response(503, "", b""))).await;
    let outbound = outbound(&[&format!("127.0.0.1:{}", served.port)], None).unwrap();
    let mut last = Ok(Bytes::new());
    for _ in 0..20 {
        last = get(&outbound, &served.url("/a")).await;
    }
    assert!(matches!(last, Err(OutboundError::Unavailable(_))), "{last:?}");
    assert!(served.seen().len() < 20);
}

#[tokio::test]
async fn names_that_lead_inside_are_refused_at_connect() {
    #[derive(Debug)]
    struct Inside;
    #[async_trait::async_trait]
    impl crate::store::registry::Resolver for Inside {
        async fn addresses(&self, _: &str) -> std::io::Result<Vec<std::net::IpAddr>> {
            Ok(vec!["127.0.0.1".parse().unwrap()])
        }
    }
    let outside = Outside { resolver: Arc::new(Inside), ..Outside::default() };
    let served = Served::start(|_| Some(response(200, "", b"crl"))).await;
    let public = Outbound::build(&[], None, &outside).unwrap();
    let found = get(&public, "http://pki.example.com/a.crl").await;
    assert!(matches!(&found, Err(OutboundError::Denied(rule)) if rule.contains("allowHosts")), "{found:?}");
    let name = format!("pki.example.com:{}", served.port);
    let named = Outbound::build(std::slice::from_ref(&name), None, &outside).unwrap();
    assert_eq!(get(&named, &format!("http://{name}/a.crl")).await.unwrap(), "crl");
}
