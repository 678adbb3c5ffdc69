//! The catalogue's bad requests (REQ): each refused with a `ProviderResponse`, before the engine hears of it.

use std::{sync::atomic::Ordering, time::Duration};

use serde_json::json;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::Instant};

use super::fake::{Setup, exchange, get, post, read_reply, request};
use crate::server::config::Limits;

const VERIFY: &str = "/ratify/gatekeeper/v1/verify";
const V1BETA1: &str = "externaldata.gatekeeper.sh/v1beta1";

fn document(version: &str, kind: &str, request: &str) -> String {
    format!(r#"{{"apiVersion":"{version}","kind":"{kind}","request":{request}}}"#)
}

fn keys(list: &str) -> String {
    document(V1BETA1, "ProviderRequest", &format!(r#"{{"keys":{list}}}"#))
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Bodies that are no request.
#[expect(clippy::too_many_lines, reason = "one table")]
fn bodies() -> Vec<(&'static str, Vec<u8>, u16, &'static str)> {
    let many = |count: usize| json!((0..count).map(|n| format!("app/{n}")).collect::<Vec<_>>()).to_string();
    let text = |text: &str| text.as_bytes().to_vec();
    let mut rows = vec![
        ("REQ-01", Vec::new(), 400, "BAD_REQUEST"),
        ("REQ-03", text(r#"{"apiVersion":"exter"#), 400, "BAD_REQUEST"),
        ("REQ-04 garbage", text(&(keys("[]") + "x")), 400, "BAD_REQUEST"),
        ("REQ-04 second", text(&(keys("[]") + &keys("[]"))), 400, "BAD_REQUEST"),
        ("REQ-05 mark", text(&format!("\u{feff}{}", keys("[]"))), 400, "BAD_REQUEST"),
        ("REQ-05 UTF-16", utf16(&keys("[]")), 400, "BAD_REQUEST"),
        (
            "REQ-06",
            keys("[\"?\"]").replace('?', "\u{1}").bytes().map(|b| if b == 1 { 0xff } else { b }).collect(),
            400,
            "BAD_REQUEST",
        ),
        ("REQ-07", text(&keys(r#"["\ud800"]"#)), 400, "BAD_REQUEST"),
        (
            "REQ-08 keys",
            text(&document(V1BETA1, "ProviderRequest", r#"{"keys":["a"],"keys":["b"]}"#)),
            400,
            "BAD_REQUEST",
        ),
        (
            "REQ-08 request",
            text(&document(V1BETA1, "ProviderRequest", r#"{"keys":["a"]},"request":{"keys":["b"]}"#)),
            400,
            "BAD_REQUEST",
        ),
        ("REQ-09 Keys", text(&document(V1BETA1, "ProviderRequest", r#"{"Keys":["a"]}"#)), 400, "BAD_REQUEST"),
        (
            "REQ-09 KEYS beside",
            text(&document(V1BETA1, "ProviderRequest", r#"{"KEYS":["a"],"keys":[]}"#)),
            400,
            "BAD_REQUEST",
        ),
        ("REQ-11 missing", text(r#"{"kind":"ProviderRequest","request":{"keys":[]}}"#), 400, "UNSUPPORTED_VERSION"),
        (
            "REQ-11 v2",
            text(&document("externaldata.gatekeeper.sh/v2", "ProviderRequest", "{}")),
            400,
            "UNSUPPORTED_VERSION",
        ),
        ("REQ-11 empty", text(&document("", "ProviderRequest", "{}")), 400, "UNSUPPORTED_VERSION"),
        ("REQ-12 missing", text(&format!(r#"{{"apiVersion":"{V1BETA1}","request":{{}}}}"#)), 400, "BAD_REQUEST"),
        ("REQ-12 response", text(&document(V1BETA1, "ProviderResponse", "{}")), 400, "BAD_REQUEST"),
        ("REQ-12 case", text(&document(V1BETA1, "providerrequest", "{}")), 400, "BAD_REQUEST"),
        (
            "REQ-13 no request",
            text(&format!(r#"{{"apiVersion":"{V1BETA1}","kind":"ProviderRequest"}}"#)),
            400,
            "BAD_REQUEST",
        ),
        ("REQ-16", text(&keys(&many(10_000))), 413, "TOO_MANY_KEYS"),
        ("REQ-16 one past", text(&keys(&many(513))), 413, "TOO_MANY_KEYS"),
        ("REQ-18", vec![b' '; 1024 * 1024 + 1], 413, "TOO_MANY_KEYS"),
        ("REQ-22 lists", "[".repeat(200_000).into_bytes(), 400, "BAD_REQUEST"),
        ("REQ-22 objects", r#"{"a":"#.repeat(200_000).into_bytes(), 400, "BAD_REQUEST"),
        ("REQ-23 a key of 1 MiB", text(&keys(&json!(["a".repeat(1024 * 1024)]).to_string())), 413, "TOO_MANY_KEYS"),
    ];
    rows.extend(["null", "[]", "\"x\"", "1", "true"].map(|value| ("REQ-02", text(value), 400, "BAD_REQUEST")));
    for value in ["null", "[]", "\"x\""] {
        rows.push(("REQ-13 request", text(&document(V1BETA1, "ProviderRequest", value)), 400, "BAD_REQUEST"));
    }
    rows.extend(["null", "{}", "\"x\""].map(|value| ("REQ-13 keys", text(&keys(value)), 400, "BAD_REQUEST")));
    rows.extend(
        ["[1]", "[null]", "[[\"a\"]]", "[\"a\",{}]"].map(|value| ("REQ-15", text(&keys(value)), 400, "BAD_REQUEST")),
    );
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_no_request_is_refused_before_the_engine_hears_of_it() {
    let server = Setup::default().start();
    for (name, body, status, code) in bodies() {
        for path in [VERIFY, "/countersign/gatekeeper/v1/mutate"] {
            let reply = exchange(server.address, &post(path, "", &body)).await;
            assert_eq!(reply.status, status, "{name}");
            assert!(reply.system_error().starts_with(&format!("{code}: ")), "{name}: {reply:?}");
        }
    }
    assert_eq!(server.fake.asked.load(Ordering::SeqCst) + server.fake.resolved.load(Ordering::SeqCst), 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn a_head_that_is_not_ours_is_refused() {
    let server = Setup::default().start();
    let body = request(&["registry.example/app/good:1"]);
    let sent = |path: &str, headers: &str| post(path, headers, body.as_bytes());
    let method = |method: &str, path: &str| {
        format!("{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").into_bytes()
    };
    let mut rows = vec![
        ("REQ-21 gzip", sent(VERIFY, "Content-Encoding: gzip\r\n"), 415, "UNSUPPORTED_ENCODING"),
        (
            "REQ-21 br",
            sent(VERIFY, "Content-Encoding: identity\r\nContent-Encoding: br\r\n"),
            415,
            "UNSUPPORTED_ENCODING",
        ),
        ("REQ-21 zstd", sent(VERIFY, "Content-Encoding: zstd\r\n"), 415, "UNSUPPORTED_ENCODING"),
        ("REQ-27 text", sent(VERIFY, "Content-Type: text/plain\r\n"), 415, "UNSUPPORTED_ENCODING"),
        (
            "REQ-27 charset",
            sent(VERIFY, "Content-Type: application/json; charset=utf-16\r\n"),
            415,
            "UNSUPPORTED_ENCODING",
        ),
        (
            "REQ-27 two",
            sent(VERIFY, "Content-Type: application/json\r\nContent-Type: text/html\r\n"),
            415,
            "UNSUPPORTED_ENCODING",
        ),
        ("REQ-29 lines", sent(VERIFY, &format!("X: {}\r\n", "a".repeat(64 * 1024))), 431, "BAD_REQUEST"),
        ("REQ-29 path", sent(&format!("/{}", "a".repeat(2000)), ""), 414, "BAD_REQUEST"),
        ("REQ-29 query", sent(&format!("{VERIFY}?{}", "a".repeat(2000)), ""), 414, "BAD_REQUEST"),
    ];
    rows.extend(
        ["GET", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"]
            .map(|name| ("REQ-26", method(name, VERIFY), 405, "NO_ROUTE")),
    );
    let elsewhere = [
        "/",
        "/verify",
        "/ratify/gatekeeper/v1/verify/",
        "//ratify/gatekeeper/v1/verify",
        "/ratify//gatekeeper/v1/verify",
        "/ratify/gatekeeper/v1/mutate/../verify",
        "/ratify/gatekeeper/v1/./verify",
        "/ratify/gatekeeper/v1%2fverify",
        "/ratify/gatekeeper/v1/%76erify",
        "/ratify/gatekeeper/v1/VERIFY",
        "/ratify/gatekeeper/v3/verify",
        // OPS-09
        "/metrics",
        "/healthz",
        "/readyz",
        "/debug",
    ];
    rows.extend(elsewhere.map(|path| ("REQ-26 path", sent(path, ""), 404, "NO_ROUTE")));
    for (name, bytes, status, code) in rows {
        let reply = exchange(server.address, &bytes).await;
        assert_eq!(reply.status, status, "{name}: {reply:?}");
        assert!(reply.system_error().starts_with(&format!("{code}: ")), "{name}: {reply:?}");
        assert!(reply.head.to_ascii_lowercase().contains("connection: close"), "{name}: {reply:?}");
    }
    assert_eq!(server.fake.asked.load(Ordering::SeqCst), 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_http_ends_the_connection_without_any_json_of_ours() {
    let server = Setup::default().start();
    let body = request(&["registry.example/app/good:1"]);
    let smuggled = String::from_utf8(post(VERIFY, "", body.as_bytes())).unwrap();
    let head = |lines: &str| format!("POST {VERIFY} HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
    let rows = [
        ("REQ-30 both", head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n" + &smuggled),
        ("REQ-30 two lengths", head("Content-Length: 5\r\nContent-Length: 6\r\n") + "hello" + &smuggled),
        ("REQ-30 plus", head("Content-Length: +5\r\n") + "hello" + &smuggled),
        ("REQ-30 negative", head("Content-Length: -5\r\n") + "hello" + &smuggled),
        ("REQ-29 1000 lines", head(&"X: y\r\n".repeat(1000))),
        ("REQ-29 100 KiB path", head("").replace(VERIFY, &"/a".repeat(50 * 1024))),
        ("garbage", "\u{0}\u{1}\u{2}\r\n\r\n".to_owned()),
    ];
    for (name, bytes) in rows {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let _ = stream.write_all(bytes.as_bytes()).await;
        if let Some(reply) = read_reply(&mut stream).await {
            assert!((400..500).contains(&reply.status), "{name}: {reply:?}");
            // R1: a ProviderResponse with a system error, or no JSON at all.
            assert!(reply.body.is_empty() || !reply.system_error().is_empty(), "{name}: {reply:?}");
            assert!(read_reply(&mut stream).await.is_none(), "{name}: a second reply");
        }
    }
    assert_eq!(server.fake.asked.load(Ordering::SeqCst), 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_end_is_not_waited_for() {
    let server = Setup::default().start();
    let chunked = format!("POST {VERIFY} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (name, sent) in [
        ("REQ-19", chunked.clone() + "1\r\n{\r\n"),
        ("REQ-28", format!("POST {VERIFY} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n")),
    ] {
        let begun = Instant::now();
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut reply = read_reply(&mut stream).await.unwrap();
        if reply.status == 100 {
            reply = read_reply(&mut stream).await.unwrap();
        }
        assert_eq!(reply.status, 408, "{name}");
        assert!(reply.system_error().starts_with("TIMEOUT: "), "{name}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{name}");
    }
    // REQ-20: more and more.
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(chunked.as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    while stream.write_all(chunk.as_bytes()).await.is_ok() {}
    assert_eq!(server.fake.asked.load(Ordering::SeqCst), 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_odd_but_right_are_answered() {
    let server = Setup::default().start();
    let asked = request(&["registry.example/app/good:1"]);
    let extra = document(
        V1BETA1,
        "ProviderRequest",
        r#"{"keys":["registry.example/app/good:1"],"more":{}},"metadata":{"a":1}"#,
    );
    let absolute = format!("http://elsewhere.example{VERIFY}");
    for (name, bytes) in [
        ("REQ-10", post(VERIFY, "", extra.as_bytes())),
        ("REQ-27 json", post(VERIFY, "Content-Type: application/json\r\n", asked.as_bytes())),
        ("REQ-27 utf-8", post(VERIFY, "Content-Type: application/json; charset=UTF-8\r\n", asked.as_bytes())),
        ("REQ-32 absolute form", post(&absolute, "", asked.as_bytes())),
        (
            "REQ-33",
            post(VERIFY, &format!("traceparent: {}\r\nx-request-id: a\tb\r\n", "0".repeat(9000)), asked.as_bytes()),
        ),
    ] {
        let reply = exchange(server.address, &bytes).await;
        assert_eq!(reply.status, 200, "{name}: {reply:?}");
        let item = &reply.json()["response"]["items"][0];
        assert_eq!(
            (&item["key"], &item["value"]["isSuccess"]),
            (&json!("registry.example/app/good:1"), &json!(true)),
            "{name}"
        );
        let trace = item["value"]["traceID"].as_str().unwrap();
        assert!(uuid::Uuid::try_parse(trace).is_ok(), "{name}: {trace}");
    }
    // REQ-11: answered in kind.
    for version in [V1BETA1, "externaldata.gatekeeper.sh/v1alpha1"] {
        let reply = server.post(VERIFY, &document(version, "ProviderRequest", r#"{"keys":[]}"#)).await;
        // REQ-14, R115
        let empty = json!({"apiVersion": version, "kind": "ProviderResponse", "response": {"items": []}});
        assert_eq!((reply.status, reply.json()), (200, empty));
        let reply = server.post(VERIFY, &document(version, "ProviderRequest", "{}")).await;
        assert_eq!((reply.status, &reply.json()["response"]), (200, &json!({"items": []})), "absent keys");
    }
    let traced = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n";
    let reply = exchange(server.address, &post(VERIFY, traced, asked.as_bytes())).await;
    assert_eq!(reply.json()["response"]["items"][0]["value"]["traceID"], "0af7651916cd43dd8448eb211c80319c");
    server.stop().await;
}

// REQ-31
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_on_one_connection_are_answered_in_order() {
    let server = Setup::default().start();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for key in ["registry.example/app/good:1", "registry.example/app/bad:1", "registry.example/app/good:2"] {
        stream.write_all(&post(VERIFY, "", request(&[key]).as_bytes())).await.unwrap();
        let reply = read_reply(&mut stream).await.unwrap();
        assert_eq!(reply.json()["response"]["items"][0]["key"], key);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_hold_at_their_value_and_refuse_one_more() {
    let at = |count: usize| (0..count).map(|n| format!("registry.example/app/n{n}:1")).collect::<Vec<_>>();
    let body = request(&at(3).iter().map(String::as_str).collect::<Vec<_>>());
    for (limits, status) in [
        (Limits { keys: 3, ..Limits::default() }, 200),
        (Limits { keys: 2, ..Limits::default() }, 413),
        (Limits { request_bytes: body.len(), ..Limits::default() }, 200),
        (Limits { request_bytes: body.len() - 1, ..Limits::default() }, 413),
        (Limits { reply_bytes: 16 * 1024, ..Limits::default() }, 200),
        (Limits { reply_bytes: 2 * 1024, ..Limits::default() }, 413),
        (Limits { header_bytes: 64, ..Limits::default() }, 200),
        (Limits { header_bytes: 16, ..Limits::default() }, 431),
    ] {
        let server = Setup { limits, ..Setup::default() }.start();
        let reply = server.post(VERIFY, &body).await;
        assert_eq!(reply.status, status, "{limits:?}");
        if status != 200 {
            reply.system_error();
        }
        server.stop().await;
    }
}

// REQ-36
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_too_many_is_told_so_at_once() {
    let limits = Limits { in_flight: 1, ..Limits::default() };
    let server = Setup { limits, ..Setup::default() }.start();
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(&post(VERIFY, "", request(&["registry.example/app/gated:1"]).as_bytes())).await.unwrap();
    server.fake.waiting.subscribe().wait_for(|count| *count == 1).await.unwrap();
    let reply = server.post(VERIFY, &request(&["registry.example/app/good:1"])).await;
    assert_eq!(reply.status, 503);
    assert!(reply.system_error().starts_with("OVERLOADED: "));
    server.fake.gate.send_replace(true);
    let reply = read_reply(&mut first).await.unwrap();
    assert_eq!(reply.json()["response"]["items"][0]["value"]["isSuccess"], true);
    let reply = server.post(VERIFY, &request(&["registry.example/app/good:1"])).await;
    assert_eq!(reply.status, 200, "the place is free again");
    server.stop().await;
}

// REQ-37
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_answered_before_the_first_configuration() {
    let server = Setup { loaded: false, ..Setup::default() }.start();
    for endpoint in ["verify", "mutate"] {
        let path = format!("/ratify/gatekeeper/v2/{endpoint}");
        let reply = server.post(&path, &request(&["registry.example/app/good:1"])).await;
        assert_eq!(reply.status, 503);
        assert!(reply.system_error().starts_with("NOT_READY: "));
    }
    assert_eq!(get(server.admin, "/readyz").await.status, 503);
    assert_eq!(get(server.admin, "/healthz").await.status, 200);
    server.stop().await;
}
