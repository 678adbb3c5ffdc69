//! What plugins do while they run.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Bench, Said, has_shell, is_dead, is_gone, merged};

/// One that hangs would be waited for that long.
const PATIENCE: Duration = Duration::from_secs(45);

async fn row(name: &str, behaviour: &str, change: &Value, code: &str, reason: &str) -> (Bench, Said) {
    let bench = Bench::set();
    let started = Instant::now();
    let said = bench.ask(merged(bench.verifier(behaviour), change)).await;
    assert!(started.elapsed() < PATIENCE, "{name}: it took {:?}", started.elapsed());
    assert_eq!(said.code, code, "{name}: {}", said.value);
    let message = said.report()["message"].as_str().unwrap_or_default();
    assert!(message.contains(reason), "{name}: {message}");
    let plugin = &said.report()["extensions"]["plugin"];
    assert_eq!((&plugin["name"], &plugin["version"]), (&json!("naughty"), &json!("1.0.0")), "{name}: {}", said.value);
    assert!(plugin["digest"].as_str().is_some_and(|digest| digest.starts_with("sha256:")), "{name}");
    let pid = bench.out("pid");
    if !pid.is_empty() {
        assert!(is_gone(&pid), "{name}: process {pid} was not reaped");
    }
    (bench, said)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_plugin_says_yes_and_no() {
    let (_, yes) = row("yes", "yes", &json!({}), "VERIFIED", "the plugin accepts the artifact").await;
    let report = yes.report();
    assert_eq!((&report["name"], &report["type"]), (&json!("licence"), &json!("exec")));
    assert_eq!(report["extensions"]["message"], "so it is");
    let checks: Vec<_> = report["checks"].as_array().unwrap().iter().map(|check| check["check"].clone()).collect();
    assert_eq!(checks, [json!("plugin"), json!("subject")]);
    assert_eq!(report.get("signer"), None, "a plugin signs nothing");
    let (_, no) = row("no", "no", &json!({}), "PLUGIN_REJECTED", "the plugin refuses the artifact: so it is").await;
    assert_eq!(no.report()["isSuccess"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_too_long_is_killed_with_all_that_it_started() {
    let short = json!({ "timeout": "400ms" });
    row("PLG-04 hangs", "hang", &short, "PLUGIN_TIMEOUT", "did not end within").await;
    let (bench, _) =
        row("PLG-04 its child hangs too", "daemon-hang", &short, "PLUGIN_TIMEOUT", "did not end within").await;
    assert!(is_dead(&bench.out("child")), "PLG-04 the child was killed");
    let (bench, _) = row("PLG-04 leaves a child that holds its output", "daemon", &json!({}), "VERIFIED", "").await;
    assert!(is_dead(&bench.out("child")), "PLG-04 the child was killed");
    row("PLG-08 reads a byte a second", "drip", &short, "PLUGIN_TIMEOUT", "did not end within").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shell_plugins_run_and_cannot_ignore_the_end() {
    if !has_shell("PLG-04 ignores SIGTERM, PLG-08 closes standard input") {
        return;
    }
    for (name, script, code) in [
        ("PLG-04 ignores SIGTERM", "trap '' TERM INT HUP; while :; do :; done", "PLUGIN_TIMEOUT"),
        ("PLG-08 closes standard input", r#"exec 0<&-; echo '{"isSuccess":true}'"#, "VERIFIED"),
        (
            "log lines around the verdict",
            r#"echo starting; echo '{"isSuccess":true}'; echo done; echo '{"isSuccess":false}' >&2"#,
            "VERIFIED",
        ),
        ("PLG-07 killed by a signal", r#"echo '{"isSuccess":true}'; kill -9 $$"#, "PLUGIN_FAILED"),
        ("PLG-06 a verdict on standard error alone", r#"echo '{"isSuccess":true}' >&2"#, "PLUGIN_PROTOCOL"),
    ] {
        let bench = Bench::set();
        let sha256 = bench.put("script", format!("#!/bin/sh\n{script}\n").as_bytes());
        let change = json!({ "command": "script", "sha256": sha256, "timeout": "1s" });
        let said = bench.ask(merged(bench.verifier(""), &change)).await;
        assert_eq!(said.code, code, "{name}: {}", said.value);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_are_stopped_at_the_limit_and_silence_is_no_verdict() {
    for (name, behaviour) in
        [("PLG-05 stdout", "flood-out"), ("PLG-05 stderr", "flood-err"), ("PLG-05 both at once", "flood-both")]
    {
        row(name, behaviour, &json!({}), "PLUGIN_OUTPUT", "wrote more than 1048576 bytes").await;
    }
    row("PLG-05 nothing", "silent", &json!({}), "PLUGIN_PROTOCOL", "no line of its output").await;
    // At the limit, and one byte above.
    let output = format!("{}\n{}\n", "x".repeat(100), r#"{"isSuccess":true}"#);
    for (limit, code) in [(output.len(), "VERIFIED"), (output.len() - 1, "PLUGIN_OUTPUT")] {
        let change = json!({ "environment": { "OUTPUT": output }, "limits": { "outputBytes": limit } });
        row(&format!("PLG-05 limit {limit}"), "print", &change, code, "").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_that_are_no_verdict_leave_the_question_open() {
    let deep = format!("{{\"isSuccess\":true,\"extensions\":{}{}}}", "[".repeat(1_900), "]".repeat(1_900));
    for (name, output) in [
        ("PLG-06 no JSON", "fine"),
        ("PLG-06 trailing text", r#"{"isSuccess":true} ok"#),
        ("PLG-06 nesting", &deep),
        ("PLG-06 text", r#"{"isSuccess":"true"}"#),
        ("PLG-06 missing isSuccess", r#"{"message":"fine"}"#),
        ("PLG-06 other subject", r#"{"isSuccess":true,"subject":"images.test/other"}"#),
        ("PLG-06 other verifier", r#"{"isSuccess":true,"name":"notary"}"#),
        ("PLG-06 duplicate members", r#"{"isSuccess":false,"isSuccess":true}"#),
        ("PLG-06 two verdicts", "{\"isSuccess\":true}\n{\"isSuccess\":true}"),
        ("PLG-07 an error with status 0", r#"{"code":8,"msg":"command failed"}"#),
    ] {
        row(name, "print", &json!({ "environment": { "OUTPUT": output } }), "PLUGIN_PROTOCOL", "").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_never_verdicts() {
    let yes = r#"{"isSuccess":true}"#;
    for (name, behaviour, change, reason) in [
        (
            "PLG-07 status 1 with a success",
            "print",
            json!({ "environment": { "OUTPUT": yes, "STATUS": "1" } }),
            "exit status 1",
        ),
        (
            "PLG-07 status 125, the launcher's own",
            "print",
            json!({ "environment": { "OUTPUT": yes, "STATUS": "125" } }),
            "could not be started",
        ),
        ("PLG-07 crashes", "abort", json!({}), "killed by signal 6"),
        (
            "PLG-13 does not speak this version",
            "print",
            json!({ "environment": { "OUTPUT": r#"{"code":6,"msg":"plugin requires 9.9.9"}"#, "STATUS": "1" } }),
            "does not speak version 1.0.0 of the protocol (exit status 1): plugin requires 9.9.9",
        ),
        ("PLG-12 processor time", "burn", json!({ "limits": { "cpuSeconds": 1 } }), "killed by signal 24"),
        ("PLG-12 memory", "memory", json!({ "limits": { "dataBytes": 64 << 20 } }), "killed by signal 6"),
        ("PLG-12 descriptors", "open", json!({ "limits": { "openFiles": 32 } }), "exit status 9"),
        ("PLG-12 file size", "file", json!({ "limits": { "fileBytes": 65_536 } }), "killed by signal 25"),
    ] {
        let (bench, _) = row(name, behaviour, &change, "PLUGIN_FAILED", reason).await;
        // No core dump, no folder of the run: nothing is left but what the plugin noted elsewhere.
        let left: Vec<_> = std::fs::read_dir(bench.path("work")).unwrap().flatten().map(|entry| entry.path()).collect();
        assert!(left.len() <= 1, "{name}: {left:?}");
    }
    row("enough memory", "memory", &json!({ "limits": { "dataBytes": 2_147_483_648_u64 } }), "VERIFIED", "").await;
    row("enough descriptors", "open", &json!({ "limits": { "openFiles": 2048 } }), "VERIFIED", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_nobody_reads_hurts_nobody() {
    // More than a pipe holds.
    let bench = Bench::with_annotation(&"a".repeat(200_000));
    let said = bench.ask(bench.verifier("unread")).await;
    assert_eq!(said.code, "VERIFIED", "PLG-08 reads nothing: {}", said.value);
    let said = bench.ask(merged(bench.verifier("drip"), &json!({ "timeout": "400ms" }))).await;
    assert_eq!(said.code, "PLUGIN_TIMEOUT", "PLG-08 reads a byte a second: {}", said.value);
    let said = bench.ask(bench.verifier("yes")).await;
    assert_eq!(said.code, "VERIFIED", "{}", said.value);
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_escaped_and_what_was_entrusted_is_taken_out() {
    let output = "{\"isSuccess\":false,\"message\":\"\\u001b[31mred\\nforged line canary-77aa\",\"errorReason\":\"why\",\"remediation\":\"ask legal\",\"extensions\":{\"token\":\"canary-77aa\",\"plugin\":\"somebody else\",\"n\":1}}";
    let change = json!({ "environment": { "OUTPUT": output, "SECRET": "canary-77aa" } });
    let (_, said) =
        row("PLG-10", "print", &change, "PLUGIN_REJECTED", "\\u{1b}[31mred\\u{a}forged line [redacted]: why").await;
    let report = said.report();
    assert_eq!(report["remediation"], "ask legal");
    assert_eq!((&report["extensions"]["token"], &report["extensions"]["n"]), (&json!("[redacted]"), &json!(1)));
    assert!(!said.value.to_string().contains("canary-77aa"), "PLG-10 {}", said.value);
}
