use reqwest::{Client, Proxy};
use secrecy::ExposeSecret as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{testing::served, *};

const BASE: &str = "http://registry.example.com/v2/shop/web";

fn through(proxy: &str) -> Client {
    Client::builder().proxy(Proxy::http(proxy).unwrap()).build().unwrap()
}

/// What comes back to these bytes, until the other side closes.
async fn raw(facade: &Facade, request: &str) -> String {
    let mut stream = TcpStream::connect(facade.address).await.unwrap();
    // The answer may come, and the connection end, before all is written.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn authorization(facade: &Facade) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(facade.desk.token.user_info()))
}

#[tokio::test]
async fn a_client_with_the_run_proxy_pulls_the_artifact_and_it_is_remembered() {
    let (served, facade) =
        (served("registry.example.com/shop/web"), Facade::open(served("registry.example.com/shop/web")).await.unwrap());
    let client = through(facade.proxy().expose_secret());
    let digest = &served.blobs[0].descriptor().digest;
    let response = client.get(format!("{BASE}/blobs/{digest}")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.bytes().await.unwrap(), served.blobs[0].bytes());
    let manifest = format!("{BASE}/manifests/{}", served.manifest.descriptor().digest);
    let head = client.head(&manifest).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], served.manifest.bytes().len().to_string().as_str());
    assert_eq!(head.bytes().await.unwrap(), "");
    let elsewhere = client.get("http://other.example/secret").send().await.unwrap();
    assert_eq!(elsewhere.status(), StatusCode::FORBIDDEN);
    let pulls = facade.pulls();
    drop(facade);
    let pulls: Vec<(String, u16)> = pulls.take().into_iter().map(|pull| (pull.request, pull.status)).collect();
    assert_eq!(
        pulls,
        [
            (format!("GET {BASE}/blobs/{digest}"), 200),
            (format!("HEAD {manifest}"), 200),
            ("GET http://other.example/secret".to_owned(), 403),
        ]
    );
}

#[tokio::test]
async fn other_processes_of_the_machine_are_told_nothing() {
    let facade = Facade::open(served("registry.example.com/shop/web")).await.unwrap();
    let other = Facade::open(served("registry.example.com/shop/web")).await.unwrap();
    let strange = other.proxy().expose_secret().replace(&other.address.to_string(), &facade.address.to_string());
    for proxy in [format!("http://{}", facade.address), format!("http://run:@{}", facade.address), strange] {
        let answered = through(&proxy).get(format!("{BASE}/referrers/none")).send().await.unwrap();
        assert_eq!(answered.status(), StatusCode::PROXY_AUTHENTICATION_REQUIRED);
        assert!(answered.text().await.unwrap().contains("UNAUTHORIZED"));
    }
    let tunnel =
        raw(&facade, "CONNECT registry.example.com:443 HTTP/1.1\r\nHost: registry.example.com:443\r\n\r\n").await;
    assert!(tunnel.starts_with("HTTP/1.1 407 "), "{tunnel}");
    let shown = authorization(&facade);
    let tunnel = raw(&facade, &format!("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n{shown}\r\n")).await;
    assert!(tunnel.starts_with("HTTP/1.1 405 "), "{tunnel}");
}

#[tokio::test]
async fn requests_are_bounded_in_size_and_number() {
    let facade = Facade::open(served("registry.example.com/shop/web")).await.unwrap();
    let shown = authorization(&facade);
    let request = |padding: usize| {
        let padding = "x".repeat(padding);
        format!(
            "GET http://registry.example.com/v2/ HTTP/1.1\r\nHost: h\r\n{shown}X-Padding: {padding}\r\nConnection: close\r\n\r\n"
        )
    };
    let fits = MAX_HEADER_BYTES - request(0).len();
    assert!(raw(&facade, &request(fits)).await.starts_with("HTTP/1.1 200 "));
    assert!(raw(&facade, &request(fits + 1)).await.starts_with("HTTP/1.1 431 "));
    assert!(!raw(&facade, &request(1 << 20)).await.starts_with("HTTP/1.1 200 "));
    facade.desk.pulls.lock().count = MAX_REQUESTS - 1;
    assert!(raw(&facade, &request(0)).await.starts_with("HTTP/1.1 200 "));
    assert!(raw(&facade, &request(0)).await.starts_with("HTTP/1.1 429 "));
}

#[tokio::test]
async fn strangers_do_not_use_the_run_requests_up() {
    let facade = Facade::open(served("registry.example.com/shop/web")).await.unwrap();
    let stranger = through(&format!("http://{}", facade.address));
    for _ in 0..=MAX_REMEMBERED {
        stranger.get(format!("{BASE}/referrers/none")).send().await.unwrap();
    }
    let log = facade.desk.pulls.lock();
    assert_eq!((log.count, log.pulls.len()), (0, MAX_REMEMBERED));
}

#[tokio::test]
async fn it_ends_with_its_run() {
    let facade = Facade::open(served("registry.example.com/shop/web")).await.unwrap();
    let address = facade.address;
    let mut idle = TcpStream::connect(address).await.unwrap();
    let client = through(facade.proxy().expose_secret());
    client.get(format!("{BASE}/referrers/none")).send().await.unwrap();
    drop(facade);
    assert_eq!(idle.read(&mut [0]).await.unwrap_or(0), 0);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn debug_output_does_not_tell_the_word() {
    let facade = Facade::open(served("registry.example.com/shop/web")).await.unwrap();
    let word = facade.desk.token.user_info().replacen("run:", "", 1);
    assert!(!format!("{facade:?} {:?}", facade.proxy()).contains(&word));
}
