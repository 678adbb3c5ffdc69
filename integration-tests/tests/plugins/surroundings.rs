//! What a plugin is given, and what it cannot see.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{Bench, LICENCE, TEXT};

// PLG-12
#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one run, looked at from all sides")]
async fn a_plugin_sees_its_request_and_nothing_of_ours() {
    let bench = Bench::set();
    let mut verifier = bench.verifier("record");
    verifier["config"] = json!({ "allowed": ["MIT"] });
    verifier["nestedReferences"] = json!(["a/b", "c/d"]);
    verifier["version"] = json!("2.0.0-alpha.1");
    let said = bench.ask(verifier).await;
    assert_eq!(said.code, "VERIFIED", "{}", said.value);
    let seen: Value = serde_json::from_str(&bench.out("seen.json")).unwrap();
    let request = &seen["request"];
    let expected = json!({
        "allowed": ["MIT"],
        "name": "licence",
        "type": "naughty",
        "artifactTypes": LICENCE,
        "nestedReferences": "a/b,c/d",
    });
    assert_eq!(request["config"], expected);
    let home = seen["folder"].as_str().unwrap();
    let store = json!({
        "version": "1.0.0",
        "pluginBinDirs": [],
        "store": { "name": "oras", "useHttp": true, "localCachePath": home },
    });
    assert_eq!(request["storeConfig"], store);
    assert_eq!(request["referenceDesc"]["digest"], bench.artifact.digest.to_string());
    assert_eq!(request["referenceDesc"]["size"], bench.artifact.size);
    assert_eq!(request["referenceDesc"]["artifactType"], LICENCE);
    assert_eq!(request["artifact"]["manifest"]["artifactType"], LICENCE);
    assert_eq!(request["artifact"]["blobs"][0]["descriptor"]["mediaType"], "text/plain");
    assert_eq!(seen["blobs"], json!([TEXT]));
    let environment = seen["environment"].as_object().unwrap();
    let names: Vec<&str> = environment.keys().map(String::as_str).collect();
    let allowed = [
        "BEHAVIOUR",
        "DOCKER_CONFIG",
        "HOME",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "OUT",
        "RATIFY_VERIFIER_COMMAND",
        "RATIFY_VERIFIER_SUBJECT",
        "RATIFY_VERIFIER_VERSION",
        "TMPDIR",
    ];
    assert!(names.iter().all(|name| allowed.contains(&name.to_uppercase().as_str())), "PLG-12 environment: {names:?}");
    for (name, value) in [
        ("RATIFY_VERIFIER_COMMAND", "VERIFY"),
        ("RATIFY_VERIFIER_SUBJECT", bench.reference().as_str()),
        ("RATIFY_VERIFIER_VERSION", "2.0.0-alpha.1"),
        ("HOME", home),
        ("TMPDIR", home),
    ] {
        assert_eq!(environment[name], value, "PLG-12 {name}");
    }
    assert_eq!(seen["arguments"], json!(["naughty"]));
    assert_eq!(seen["docker"], "{}", "no credentials");
    assert!(Path::new(home).starts_with(bench.path("work").canonicalize().unwrap()), "{home}");
    assert!(!Path::new(home).exists(), "the folder went with the run");
    // Standard ones, and the one that they were counted through.
    assert_eq!(seen["descriptors"].as_array().unwrap().len(), 4, "PLG-12 {}", seen["descriptors"]);
    let limits = seen["limits"].as_str().unwrap();
    for (name, soft, hard) in [
        ("Max cpu time", "10", "11"),
        ("Max file size", "67108864", "67108864"),
        ("Max data size", "536870912", "536870912"),
        ("Max core file size", "0", "0"),
        ("Max open files", "64", "64"),
    ] {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        let values: Vec<&str> = line[name.len()..].split_whitespace().take(2).collect();
        assert_eq!(values, [soft, hard], "PLG-12 {line}");
    }
    assert!(seen["status"].as_str().unwrap().contains("NoNewPrivs:\t1"), "PLG-12");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_beyond_the_limit_is_refused_before_anything_runs() {
    let bench = Bench::set();
    for (bytes, code) in [(TEXT.len(), "VERIFIED"), (TEXT.len() - 1, "LIMIT_EXCEEDED")] {
        let mut verifier = bench.verifier("record");
        verifier["limits"] = json!({ "blobBytes": bytes });
        let _ = fs::remove_file(bench.path("out/seen.json"));
        let said = bench.ask(verifier).await;
        assert_eq!(said.code, code, "{}", said.value);
        assert_eq!(bench.out("seen.json").is_empty(), code != "VERIFIED", "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_wanted_types_are_handed_over() {
    let bench = Bench::set();
    for (types, code) in [
        (json!([LICENCE]), "VERIFIED"),
        (json!(["*"]), "VERIFIED"),
        (json!(["application/vnd.example.other", LICENCE]), "VERIFIED"),
        (json!(["application/vnd.example.licence"]), "NO_ARTIFACT"),
        (json!(["application/vnd.oci.empty.v1+json"]), "NO_ARTIFACT"),
    ] {
        let mut verifier = bench.verifier("yes");
        verifier["artifactTypes"] = types.clone();
        let said = bench.ask(verifier).await;
        assert_eq!(said.code, code, "{types}: {}", said.value);
    }
}
