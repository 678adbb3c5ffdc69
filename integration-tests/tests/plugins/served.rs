//! Plugins behind the real server: what is counted, logged and reloaded.

use countersign::app::Look;
use integration_tests::provider::Stage;
use serde_json::json;

use super::{Bench, merged};

const FAILURES: &str = "countersign_config_reload_failures_total";

// PLG-03
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_changes_without_its_pin_keeps_the_last_good_generation() {
    let (bench, stage) = (Bench::set(), Stage::set());
    let provider = stage.start(&bench.configuration(&[bench.verifier("yes")])).await;
    assert_eq!(provider.code(&bench.reference()).await, "VERIFIED");
    let mut other = super::PROGRAM.0.clone();
    other.push(0);
    let pin = bench.put("naughty", &other);
    assert_eq!(provider.app.look().await, Look::Broken);
    assert_eq!(provider.metric(FAILURES), Some(1.0));
    assert_eq!(provider.code(&bench.reference()).await, "VERIFIED", "the copy of the last good one still runs");
    stage.configure(&bench.configuration(&[merged(bench.verifier("no"), &json!({ "sha256": pin }))]));
    assert_eq!(provider.app.look().await, Look::Renewed, "file and pin together are a new generation");
    assert_eq!(provider.code(&bench.reference()).await, "PLUGIN_REJECTED");
    provider.stop().await;
    let left = std::fs::read_dir(bench.path("work")).unwrap().count();
    assert!(left <= 1, "private directories go with their generation: {left} are left");
}

// PLG-10
#[tokio::test(flavor = "multi_thread")]
async fn runs_are_counted_and_a_plugins_words_are_in_the_answer_and_in_no_record() {
    let (bench, stage) = (Bench::set(), Stage::set());
    let output = "canary-out-51c0\n{\"isSuccess\":false,\"message\":\"canary-told-51c0\",\"extensions\":{\"x\":\"canary-ext-51c0\"}}";
    let change = json!({ "environment": { "OUTPUT": output, "TOKEN": "canary-env-51c0" }, "config": { "apiToken": "canary-cfg-51c0" } });
    let provider = stage.start(&bench.configuration(&[merged(bench.verifier("print"), &change)])).await;
    let value = provider.value(&bench.reference()).await;
    assert_eq!(value["code"], "PLUGIN_REJECTED", "{value}");
    let report = &value["verifierReports"][0];
    assert_eq!(report["message"], "verification failed: the plugin refuses the artifact: canary-told-51c0");
    assert_eq!(report["extensions"]["x"], "canary-ext-51c0");
    let runs =
        |code: &str| provider.metric(&format!(r#"countersign_plugin_runs_total{{code="{code}",verifier="licence"}}"#));
    assert_eq!((runs("PLUGIN_REJECTED"), runs("VERIFIED")), (Some(1.0), Some(0.0)));
    assert_eq!(provider.metric(r#"countersign_plugins_running{verifier="licence"}"#), Some(0.0));
    assert_eq!(provider.metric(r#"countersign_plugin_run_duration_seconds_count{verifier="licence"}"#), Some(1.0));
    let (status, metrics) = provider.admin("/metrics").await;
    assert!(status == 200 && !metrics.contains("canary"));
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let named = metrics.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next());
    let ours: Vec<&str> = named.filter(|name| name.starts_with("countersign_plugin")).collect();
    assert!(ours.len() == 4 && ours.iter().all(|name| readme.contains(&format!("`{name}`"))), "{ours:?}");
    let records = provider.stop().await;
    assert!(records.contains("PLUGIN_REJECTED") && !records.contains("canary"), "{records}");
}
