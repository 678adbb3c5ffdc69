//! What the Helm chart asks of the binary: its configuration is checked, its hook's command is understood.

use std::{fs, path::Path};

use countersign::config;
use serde_json::Value;
use tempfile::TempDir;

use super::{command, stderr, stdout};

/// Where the chart mounts what is not its own.
const MOUNTS: &str = "/var/run/countersign";

/// The objects of each golden file.
fn golden() -> Vec<(String, Vec<Value>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration-tests/fixtures/chart");
    let read = |path: &Path| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, config::documents(&fs::read_to_string(path).unwrap()).unwrap())
    };
    fs::read_dir(folder).unwrap().map(|entry| read(&entry.unwrap().path())).collect()
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

/// A `ConfigMap`'s files in a folder, with what others mount beside them.
fn mounted(map: &Value) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(["countersign".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    for (name, text) in [
        ("tls/tls.crt", certificate.as_str()),
        ("tls/tls.key", &key.serialize_pem()),
        ("gatekeeper/ca.crt", &certificate),
        ("ca/ca.crt", &certificate),
        ("docker/config.json", "{}"),
    ] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    for (name, text) in map["data"].as_object().unwrap() {
        let text = text.as_str().unwrap().replace(MOUNTS, folder.path().to_str().unwrap());
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

#[test]
fn check_takes_every_configuration_that_the_chart_renders() {
    let golden = golden();
    assert!(golden.len() >= 12);
    for (name, objects) in golden {
        let maps = of_kind(&objects, "ConfigMap");
        let map = maps.iter().find(|map| map["data"]["countersign.yaml"].is_string()).unwrap();
        let folder = mounted(map);
        let output =
            command().args(["check", "--config"]).arg(folder.path().join("countersign.yaml")).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{name}: {}", stderr(&output));
        assert!(stdout(&output).contains("is valid"), "{name}");
    }
}

/// With the folder that it is given. Only the cluster is missing.
#[test]
fn apply_understands_the_hook_of_the_chart() {
    let mut seen = 0;
    for (name, objects) in golden() {
        let maps = of_kind(&objects, "ConfigMap");
        let map = maps.iter().find(|map| map["data"]["template.yaml"].is_string()).unwrap();
        for job in of_kind(&objects, "Job") {
            let folder = mounted(map);
            let path = folder.path().to_str().unwrap();
            let arguments = job["spec"]["template"]["spec"]["containers"][0]["args"].as_array().unwrap();
            let arguments = arguments.iter().map(|argument| argument.as_str().unwrap());
            let arguments =
                arguments.map(|word| word.replace("/etc/countersign-manifests", path).replace(MOUNTS, path));
            let output = command().args(arguments).env("HOME", path).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{name}");
            assert!(stderr(&output).contains("no kubeconfig, and not in a Pod"), "{name}: {}", stderr(&output));
            seen += 1;
        }
    }
    assert!(seen >= 10, "{seen}");
}
