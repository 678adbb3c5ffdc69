//! What is said about keys.

use std::{sync::atomic::Ordering, time::Duration};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::fake::{Setup, digest, request};
use crate::{
    server::{TagAfterMutation, Tenancy, config::ProviderTimeout},
    telemetry::DecisionLog,
};

fn keys(response: &Value) -> Vec<&str> {
    response["items"].as_array().unwrap().iter().map(|item| item["key"].as_str().unwrap()).collect()
}

const GOOD: &str = "registry.example/app/good:1";
const BAD: &str = "registry.example/app/bad:1";
const DOWN: &str = "registry.example/app/down:1";
const SLOW: &str = "registry.example/app/slow:1";
const PANIC: &str = "registry.example/app/panic:1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_key_is_answered_in_order_and_asked_once() {
    let server = Setup::default().start();
    let asked = [BAD, GOOD, "[team-a]registry.example/app/good:1", BAD, "no reference at all", GOOD];
    let response = server.ask("verify", &asked).await;
    assert_eq!(keys(&response), asked);
    let yes: Vec<_> = response["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["value"]["isSuccess"].as_bool().unwrap())
        .collect();
    assert_eq!(yes, [false, true, true, false, false, true]);
    for item in response["items"].as_array().unwrap() {
        // R2: both booleans, a list of reports.
        assert_eq!(item["value"]["isSuccess"], item["value"]["succeeded"]);
        assert!(item["value"]["verifierReports"].is_array(), "{item}");
        assert!(item.get("error").is_none());
    }
    assert!(response.get("systemError").is_none() && response.get("idempotent").is_none());
    assert_eq!(server.fake.asked.load(Ordering::SeqCst), 3);
    server.stop().await;
}

// REQ-23, REQ-24, REQ-25, REF-23, REF-24
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_no_reference_is_a_definite_no_and_echoed_as_it_came() {
    let long = format!("registry.example/{}", "a".repeat(1025 - 17));
    let most = format!("registry.example/app/good:1@{}", "");
    let server = Setup::default().start();
    let asked = [
        "",
        "a\0b",
        "a\nb",
        "a\r\nb",
        "\u{1b}[2Jx",
        "\u{202e}x",
        "a\u{200d}b",
        "e\u{301}",
        "é",
        long.as_str(),
        most.as_str(),
        "[a][b]x",
        "[]x",
        " registry.example/app/good:1",
        "registry.example/app/good:1 ",
        "http://registry.example/x",
    ];
    let response = server.ask("verify", &asked).await;
    assert_eq!(keys(&response), asked);
    for item in response["items"].as_array().unwrap() {
        assert_eq!(item["value"]["isSuccess"], false, "{item}");
        assert_eq!(item["value"]["code"], "REF_INVALID", "{item}");
    }
    assert!(response.get("systemError").is_none());
    assert_eq!(server.fake.asked.load(Ordering::SeqCst), 0);
    server.stop().await;

    let server = Setup { tenancy: Tenancy::Off, ..Setup::default() }.start();
    let response = server.ask("verify", &["[team-a]registry.example/app/good:1", GOOD]).await;
    assert_eq!(response["items"][0]["value"]["code"], "REF_INVALID");
    assert_eq!(response["items"][1]["value"]["isSuccess"], true);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_found_out_is_a_system_error_beside_the_finished_keys() {
    let server = Setup::default().start();
    let response = server.ask("verify", &[GOOD, DOWN, BAD, DOWN]).await;
    assert_eq!(keys(&response), [GOOD, BAD]);
    let text = response["systemError"].as_str().unwrap();
    // OPS-15: escaped.
    assert_eq!(text, "REG_UNAVAILABLE: registry.example/app/down:1: connection <b>\\u{1b}[31mrefused");
    server.stop().await;
}

// REQ-38, R3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_leaves_before_the_providers_timeout_whatever_happens() {
    let mut setup = Setup::default();
    setup.config.provider_timeout = ProviderTimeout { verify: Duration::from_secs(1), mutate: Duration::from_secs(1) };
    let server = setup.start();
    for endpoint in ["verify", "mutate"] {
        let begun = Instant::now();
        let response = server.ask(endpoint, &[GOOD, SLOW, DOWN]).await;
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(840) && took < Duration::from_secs(1), "{endpoint}: {took:?}");
        if endpoint == "verify" {
            assert_eq!(keys(&response), [GOOD]);
            let text = response["systemError"].as_str().unwrap();
            assert!(text.starts_with("TIMEOUT: registry.example/app/slow:1: "), "{text}");
            assert!(text.ends_with("(and 1 more keys are undecided)"), "{text}");
        } else {
            assert_eq!(keys(&response), [GOOD, SLOW, DOWN]);
            assert!(response["items"][1]["error"].as_str().unwrap().starts_with("TIMEOUT: "));
        }
    }
    server.stop().await;
}

// OPS-01
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_is_a_system_error_for_that_request_only() {
    let server = Setup::default().start();
    let response = server.ask("verify", &[GOOD, PANIC]).await;
    assert_eq!(keys(&response), [GOOD]);
    assert!(response["systemError"].as_str().unwrap().starts_with("INTERNAL: "));
    let response = server.ask("mutate", &[GOOD, PANIC]).await;
    assert!(response["items"][1]["error"].as_str().unwrap().starts_with("INTERNAL: "));
    let at_once = request(&["registry.example/app/panic-at-once:1", GOOD]);
    let reply = server.post("/ratify/gatekeeper/v1/verify", &at_once).await;
    assert_eq!(reply.status, 500);
    assert!(reply.system_error().starts_with("INTERNAL: "));
    assert!(server.metrics().contains("countersign_panics_total 3"));
    let response = server.ask("verify", &[GOOD]).await;
    assert_eq!(response["items"][0]["value"]["isSuccess"], true, "the process lives");
    server.stop().await;
}

// REQ-17
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_of_one_key_are_one_unit_of_work_and_the_reply_is_bounded() {
    let server = Setup::default().start();
    let response = server.ask("verify", &vec![BAD; 2_000]).await;
    assert_eq!(keys(&response).len(), 2_000);
    assert_eq!(server.fake.asked.load(Ordering::SeqCst), 1);
    let reply = server.post("/ratify/gatekeeper/v1/verify", &request(&vec![BAD; 10_000])).await;
    assert_eq!(reply.status, 413);
    assert_eq!(reply.system_error(), "TOO_MANY_KEYS: the reply would have more than 8388608 bytes");
    assert_eq!(server.fake.asked.load(Ordering::SeqCst), 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mutation_changes_tags_and_nothing_else() {
    let digest = digest();
    let pinned = format!("registry.example/app/good@{digest}");
    let both = format!("registry.example/app/good:1@{digest}");
    let rows = [
        (GOOD, json!(pinned)),
        ("", json!("")),
        (pinned.as_str(), json!(pinned)),
        (both.as_str(), json!(both)),
        ("not a reference", json!("not a reference")),
        // REF-25
        ("[kube-system]registry.example/app/good:1", json!("[kube-system]registry.example/app/good:1")),
        ("registry.example/app/no-policy:1", json!("registry.example/app/no-policy:1")),
        ("registry.example/app/foreign:1", json!("registry.example/app/foreign:1")),
        ("nginx", json!(format!("docker.io/library/nginx@{digest}"))),
        (GOOD, json!(pinned)),
    ];
    let server = Setup::default().start();
    let asked: Vec<_> = rows.iter().map(|(key, _)| *key).collect();
    let response = server.ask("mutate", &asked).await;
    assert_eq!(response["idempotent"], true);
    assert!(response.get("systemError").is_none());
    assert_eq!(keys(&response), asked);
    for ((key, value), item) in rows.iter().zip(response["items"].as_array().unwrap()) {
        assert_eq!(&item["value"], value, "{key:?}");
    }
    // Only good, foreign and nginx were asked about.
    assert_eq!(server.fake.resolved.load(Ordering::SeqCst), 3);

    // f(f(x)) = f(x), without any more I/O where a digest stands.
    let once: Vec<_> =
        response["items"].as_array().unwrap().iter().map(|item| item["value"].as_str().unwrap()).collect();
    let twice = server.ask("mutate", &once).await;
    let twice: Vec<_> = twice["items"].as_array().unwrap().iter().map(|item| item["value"].as_str().unwrap()).collect();
    assert_eq!(once, twice);
    assert_eq!(server.fake.resolved.load(Ordering::SeqCst), 4, "foreign again, and no other");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mutation_may_keep_the_tag() {
    let server = Setup { tag: TagAfterMutation::Keep, ..Setup::default() }.start();
    let response = server.ask("mutate", &[GOOD]).await;
    let kept = format!("{GOOD}@{}", digest());
    assert_eq!(response["items"][0]["value"], kept);
    let response = server.ask("mutate", &[&kept]).await;
    assert_eq!(response["items"][0]["value"], kept);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_that_does_not_resolve_is_an_error_of_that_image_alone() {
    let server = Setup::default().start();
    let missing = "registry.example/app/missing:1";
    let response = server.ask("mutate", &[GOOD, missing, DOWN]).await;
    assert_eq!(response["idempotent"], true);
    assert!(response.get("systemError").is_none());
    assert_eq!(response["items"][0]["value"], format!("registry.example/app/good@{}", digest()));
    assert_eq!(response["items"][1], json!({"key": missing, "error": "NOT_FOUND: no such tag"}));
    assert_eq!(response["items"][2]["error"], "REG_UNAVAILABLE: connection refused");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_record_is_written_for_each_key() {
    let cached = format!("registry.example/app/cached@{}", digest());
    let hostile = format!("\u{1b}[31m\n{}", "\"".repeat(3000));
    for (log, expected) in [(DecisionLog::All, 5), (DecisionLog::Denials, 3), (DecisionLog::None, 0)] {
        let server = Setup { decision_log: log, ..Setup::default() }.start();
        server.ask("verify", &[GOOD, BAD, DOWN, &cached, &hostile, GOOD]).await;
        let records = server.records();
        assert_eq!(records.len(), expected, "{log:?}");
        for record in &records {
            assert!(record.to_string().len() <= 4096);
            assert_eq!(record["generation"], 7);
            assert_eq!(record["timestamp"], "2026-01-02T03:04:05Z");
            assert!(uuid::Uuid::try_parse(record["traceId"].as_str().unwrap()).is_ok());
        }
        if log == DecisionLog::All {
            let told = |name: &str| records.iter().map(|record| record[name].clone()).collect::<Vec<_>>();
            assert_eq!(told("isSuccess"), [true, false, false, true, false]);
            assert_eq!(told("isUndecided"), [false, false, true, false, false]);
            assert_eq!(told("cacheHit"), [false, false, false, true, false]);
            assert_eq!(told("code"), ["VERIFIED", "NO_SIGNATURE", "REG_UNAVAILABLE", "VERIFIED", "REF_INVALID"]);
            assert_eq!(records[1]["digest"], digest().to_string());
            assert!(records[4]["subject"].as_str().unwrap().starts_with("\\u{1b}[31m\\u{a}"));
        }
        server.stop().await;
    }
}

// OPS-12
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_do_not_grow_with_what_is_asked() {
    let server = Setup::default().start();
    let ask = async |from: usize| {
        let keys: Vec<_> = (from..from + 100).map(|n| format!("registry{n}.example/app/n{n}:{n}")).collect();
        server.ask("verify", &keys.iter().map(String::as_str).collect::<Vec<_>>()).await;
        server.metrics()
    };
    let (first, later) = (ask(0).await, ask(100).await);
    assert_eq!(first.lines().count(), later.lines().count());
    assert!(later.contains(r#"countersign_keys_total{code="NO_SIGNATURE",endpoint="verify"} 200"#), "{later}");
    assert!(later.contains("countersign_requests_in_flight 0"), "{later}");
    server.stop().await;
}
