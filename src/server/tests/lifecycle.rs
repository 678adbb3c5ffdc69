//! Starting and stopping.

use serde_json::json;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::fake::{Setup, get, post, read_reply, request};
use crate::server::ServerError;

// OPS-03
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_flight_at_shutdown_is_answered() {
    let mut setup = Setup::default();
    // The gate, not the clock, ends these requests.
    setup.config.provider_timeout.verify = std::time::Duration::from_secs(20);
    let mut server = setup.start();
    assert_eq!(get(server.admin, "/readyz").await.status, 200);
    let mut streams = Vec::new();
    for n in 0..100 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let key = format!("registry.example/app/gated:{n}");
        stream.write_all(&post("/ratify/gatekeeper/v1/verify", "", request(&[&key]).as_bytes())).await.unwrap();
        streams.push((key, stream));
    }
    server.fake.waiting.subscribe().wait_for(|count| *count == 100).await.unwrap();
    server.begin_shutdown();
    while get(server.admin, "/readyz").await.status == 200 {}
    assert_eq!(get(server.admin, "/healthz").await.status, 200, "alive while it drains");
    server.fake.gate.send_replace(true);
    for (key, mut stream) in streams {
        let reply = read_reply(&mut stream).await.unwrap();
        assert_eq!(reply.json()["response"]["items"][0]["key"], key);
        assert_eq!(reply.json()["response"]["items"][0]["value"]["isSuccess"], true);
        assert!(reply.head.to_ascii_lowercase().contains("connection: close"));
    }
    let address = server.address;
    server.ended().await;
    assert!(TcpStream::connect(address).await.is_err());
}

// OPS-06
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_is_an_error_that_names_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut setup = Setup::default();
    setup.config.address = taken.local_addr().unwrap();
    match setup.try_start() {
        Err(ServerError::Listen { address, .. }) => assert_eq!(address, taken.local_addr().unwrap()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_http_for_everyone_is_refused() {
    let mut setup = Setup::default();
    setup.config.address = "0.0.0.0:0".parse().unwrap();
    assert!(matches!(setup.try_start(), Err(ServerError::Configuration { field: "plainHttp", .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_connection_is_closed_with_its_next_answer() {
    // TLS-06: so a client CA that was removed does not live on in an open connection.
    let mut setup = Setup::default();
    setup.limits.connection_age = std::time::Duration::from_nanos(1);
    let server = setup.start();
    let reply = server.post("/ratify/gatekeeper/v1/verify", &request(&["registry.example/app/good:1"])).await;
    assert_eq!(reply.status, 200);
    assert!(reply.head.to_ascii_lowercase().contains("connection: close"));
    server.stop().await;

    let server = Setup::default().start();
    let reply = server.post("/ratify/gatekeeper/v1/verify", &request(&["registry.example/app/good:1"])).await;
    assert!(!reply.head.to_ascii_lowercase().contains("connection: close"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_port_has_health_and_metrics_and_no_answers() {
    let server = Setup::default().start();
    server.ask("verify", &["registry.example/app/good:1"]).await;
    let metrics = get(server.admin, "/metrics").await;
    assert_eq!(metrics.status, 200);
    let text = String::from_utf8(metrics.body).unwrap();
    assert!(text.contains(r#"countersign_requests_total{endpoint="verify",outcome="OK"} 1"#), "{text}");
    assert!(text.contains(r#"countersign_request_duration_seconds_count{endpoint="verify"} 1"#), "{text}");
    let names: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    assert!(names.iter().all(|name| name.starts_with("countersign_")), "{names:?}");
    assert_eq!(get(server.admin, "/ratify/gatekeeper/v1/verify").await.status, 404);
    let empty = server.ask("verify", &[]).await;
    assert_eq!(empty, json!({"items": []}));
    server.stop().await;
}

// REQ-34
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_frees_its_place() {
    let mut setup = Setup::default();
    setup.limits.in_flight = 1;
    setup.config.provider_timeout.verify = std::time::Duration::from_secs(20);
    let server = setup.start();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let gated = request(&["registry.example/app/gated:1"]);
    stream.write_all(&post("/ratify/gatekeeper/v1/verify", "", gated.as_bytes())).await.unwrap();
    server.fake.waiting.subscribe().wait_for(|count| *count == 1).await.unwrap();
    drop(stream);
    let gone = tokio::time::Instant::now();
    let good = request(&["registry.example/app/good:1"]);
    while server.post("/ratify/gatekeeper/v1/verify", &good).await.status == 503 {}
    assert!(gone.elapsed() < std::time::Duration::from_secs(10), "before its own deadline");
    assert!(server.metrics().contains("countersign_requests_in_flight 0"));
    server.stop().await;
}
