use serde_json::json;

use super::*;

fn read(change: &Value) -> Result<Config, serde_json::Error> {
    let mut written = json!({
        "command": "licence-check",
        "sha256": "a".repeat(64),
        "artifactTypes": ["application/vnd.example.licence"],
    });
    for (member, value) in change.as_object().unwrap() {
        written[member] = value.clone();
    }
    serde_json::from_value(written)
}

fn faults(change: &Value) -> Vec<String> {
    let config = read(change).unwrap();
    config.faults().iter().map(|fault| format!("{}: {fault}", fault.path())).collect()
}

#[test]
fn the_least_that_works_has_bounds_for_all() {
    let config = read(&json!({})).unwrap();
    assert!(config.faults().is_empty(), "{:?}", config.faults());
    assert_eq!((config.version.as_str(), config.timeout), ("1.0.0", Duration::from_secs(5)));
    let all = json!({
        "sha256": format!("sha256:{}", "0".repeat(64)),
        "artifactTypes": ["*"],
        "nestedReferences": ["application/vnd.cncf.notary.signature"],
        "version": "2.0.0-alpha.1",
        "config": { "allowed": ["MIT"], "deep": { "source": "anything" } },
        "environment": { "TZ": "UTC", "_x1": "" },
        "timeout": "30s",
        "maxConcurrent": 1024,
        "maxArtifacts": 1000,
        "limits": { "outputBytes": 8_388_608, "blobBytes": 1_073_741_824_u64, "cpuSeconds": 300, "dataBytes": 16_777_216, "openFiles": 16, "fileBytes": 1 },
    });
    assert_eq!(faults(&all), Vec::<String>::new());
}

#[test]
fn names_that_are_no_file_names_are_refused() {
    for name in ["../x", "/bin/sh", "a/b", "", &"a".repeat(129), "a\0b", "-rf", ".hidden", "..", "a b", "ä"] {
        assert_eq!(faults(&json!({ "command": name })).len(), 1, "PLG-02 {name:?}");
    }
    for name in ["a", "9", &"a".repeat(128), "licence-check_1.sh"] {
        assert!(faults(&json!({ "command": name })).is_empty(), "{name}");
    }
}

#[test]
fn versions_are_exact() {
    for version in ["", "1", "1.0", "v1.0.0", "1.0.0.0", "1.0.x", "1.0.0-", "1..0", "latest", "1.0.0 ", "1.0.0\n"] {
        assert_eq!(faults(&json!({ "version": version })).len(), 1, "PLG-13 {version:?}");
    }
}

#[test]
fn every_fault_names_its_field() {
    for (change, path) in [
        (json!({ "sha256": "A".repeat(64) }), "sha256"),
        (json!({ "sha256": "a".repeat(63) }), "sha256"),
        (json!({ "sha256": "" }), "sha256"),
        (json!({ "sha256": format!("sha512:{}", "a".repeat(128)) }), "sha256"),
        (json!({ "artifactTypes": [] }), "artifactTypes"),
        (json!({ "artifactTypes": ["a,b"] }), "artifactTypes"),
        (json!({ "artifactTypes": [""] }), "artifactTypes"),
        (json!({ "nestedReferences": ["a b"] }), "nestedReferences"),
        (json!({ "timeout": "0s" }), "timeout"),
        (json!({ "timeout": "31s" }), "timeout"),
        (json!({ "maxConcurrent": 0 }), "maxConcurrent"),
        (json!({ "maxConcurrent": 1025 }), "maxConcurrent"),
        (json!({ "maxArtifacts": 0 }), "maxArtifacts"),
        (json!({ "maxArtifacts": 1001 }), "maxArtifacts"),
        (json!({ "limits": { "outputBytes": 0 } }), "limits.outputBytes"),
        (json!({ "limits": { "outputBytes": 8_388_609 } }), "limits.outputBytes"),
        (json!({ "limits": { "blobBytes": 0 } }), "limits.blobBytes"),
        (json!({ "limits": { "blobBytes": 1_073_741_825_u64 } }), "limits.blobBytes"),
        (json!({ "limits": { "cpuSeconds": 0 } }), "limits.cpuSeconds"),
        (json!({ "limits": { "cpuSeconds": 301 } }), "limits.cpuSeconds"),
        (json!({ "limits": { "dataBytes": 1 } }), "limits.dataBytes"),
        (json!({ "limits": { "openFiles": 15 } }), "limits.openFiles"),
        (json!({ "limits": { "openFiles": 4097 } }), "limits.openFiles"),
        (json!({ "limits": { "fileBytes": 0 } }), "limits.fileBytes"),
        (json!({ "environment": { "1x": "" } }), "environment"),
        (json!({ "environment": { "A=B": "" } }), "environment"),
        (json!({ "environment": { "LD_PRELOAD": "x.so" } }), "environment"),
        (json!({ "environment": { "http_proxy": "x" } }), "environment"),
        (json!({ "environment": { "RATIFY_VERIFIER_COMMAND": "x" } }), "environment"),
        (json!({ "environment": { "A": "x\0" } }), "environment"),
        (json!({ "environment": { "A": "x".repeat(4097) } }), "environment"),
        (json!({ "config": { "name": "notary" } }), "config.name"),
        (json!({ "config": { "type": "x" } }), "config.type"),
        (json!({ "config": { "artifactTypes": "x" } }), "config.artifactTypes"),
        (json!({ "config": { "x": "y".repeat(65 * 1024) } }), "config"),
    ] {
        let found = faults(&change);
        assert_eq!(found.len(), 1, "{change}: {found:?}");
        assert!(found[0].starts_with(&format!("{path}: ")), "{change}: {found:?}");
    }
    let many: Map<String, Value> = (0..65).map(|n| (format!("A{n}"), json!(""))).collect();
    assert_eq!(faults(&json!({ "environment": many })), ["environment: must be at most 64 variables"]);
    for unknown in [json!({ "shell": true }), json!({ "limits": { "processes": 1 } })] {
        assert!(read(&unknown).is_err(), "{unknown}");
    }
}

#[test]
fn what_ratify_has_beyond_is_refused_by_name() {
    for (change, path) in [
        (json!({ "source": { "artifact": "reg.test/plugin:1" } }), "source"),
        (json!({ "config": { "source": { "artifact": "reg.test/plugin:1" } } }), "config.source"),
        (json!({ "pluginBinDirs": ["/opt"] }), "pluginBinDirs"),
        (json!({ "config": { "storeConfig": { "name": "mine" } } }), "config.storeConfig"),
    ] {
        let found = faults(&change);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with(&format!("{path}: ")) && ["not", "only"].iter().any(|word| found[0].contains(word)),
            "{found:?}"
        );
    }
}

#[test]
fn values_of_variables_are_not_shown() {
    let config = read(&json!({ "environment": { "A": "hidden" }, "config": { "token": "hidden" } })).unwrap();
    assert!(!format!("{config:?}").contains("hidden"));
}

#[test]
fn places_have_a_default_and_bounds() {
    assert_eq!(HostLimits::default().faults(), []);
    let read = |written: Value| serde_json::from_value::<HostLimits>(written).unwrap().faults();
    for (written, field) in [
        (json!({ "running": 0 }), Some("running")),
        (json!({ "running": 1, "wait": "1ms" }), None),
        (json!({ "running": 1024, "wait": "30s" }), None),
        (json!({ "running": 1025 }), Some("running")),
        (json!({ "wait": "0s" }), Some("wait")),
        (json!({ "wait": "31s" }), Some("wait")),
    ] {
        assert_eq!(read(written.clone()).first().map(|fault| fault.0), field, "{written}");
    }
}
