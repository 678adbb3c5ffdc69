//! Verifier plugins by the binary itself, which starts them: `plugin test`, the demo, and what the server writes about them.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what a test's helpers cannot set up fails the test"
)]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use countersign::oci::{Descriptor, media_type};
use layout::LayoutDir;
use serde_json::{Value, json};
use shelf::Shelf as _;

#[path = "plugins/canary.rs"]
mod canary;
#[path = "../integration-tests/src/layout.rs"]
#[expect(clippy::expect_used, unreachable_pub, reason = "shared with the package whose face it is")]
mod layout;
#[path = "../integration-tests/src/notation.rs"]
#[expect(clippy::expect_used, dead_code, unreachable_pub, reason = "shared with the package whose face it is")]
mod notation;
#[path = "../integration-tests/src/shelf.rs"]
#[expect(dead_code, unreachable_pub, reason = "shared with the package whose face it is")]
mod shelf;

const ARTIFACT_TYPE: &str = "application/vnd.example.note.v1";

/// The binary, with nothing of this process's environment.
fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.env_clear();
    command
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/plugins")
}

/// Whether this machine's shell has the programs; says so where it has not.
fn has(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| {
        let asked = Command::new("/bin/sh").args(["-c", &format!("command -v {program}")]).output();
        !asked.is_ok_and(|output| output.status.success())
    });
    if let Some(missing) = missing {
        println!("skipped: /bin/sh has no {missing}");
    }
    missing.is_none()
}

/// A program in shell.
fn script(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    file
}

/// Attaches a note to an image.
fn attach(layout: &LayoutDir, image: &Descriptor, note: &str) -> Descriptor {
    layout.put_blob(b"{}");
    layout.put_blob(note.as_bytes());
    let document = json!({
        "schemaVersion": 2,
        "mediaType": media_type::IMAGE_MANIFEST,
        "artifactType": ARTIFACT_TYPE,
        "config": Descriptor::of(media_type::EMPTY, b"{}"),
        "layers": [Descriptor::of("text/plain", note.as_bytes())],
        "subject": image,
    });
    layout.put_document(media_type::IMAGE_MANIFEST, &document, Some("note"))
}

/// A layout with an image and a note on it, and a folder for programs.
struct Bench {
    layout: LayoutDir,
    image: Descriptor,
    note: Descriptor,
    folder: tempfile::TempDir,
}

impl Bench {
    fn set() -> Self {
        let layout = LayoutDir::new();
        let image = layout.put_image("image", Some("v1"));
        let note = attach(&layout, &image, "nothing to object");
        Self { layout, image, note, folder: tempfile::tempdir().unwrap() }
    }

    fn test(&self, program: &Path, more: &[&str]) -> Output {
        let mut command = command();
        command.args(["plugin", "test"]).arg(program).arg("--layout").arg(self.layout.path());
        command.args(["--artifact", "images.test/app:note"]).args(more).output().unwrap()
    }

    fn json(&self, program: &Path, more: &[&str]) -> Value {
        let output = self.test(program, &[more, &["--output", "json"]].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&output)))
    }
}

#[test]
fn plugin_test_ends_as_verify_does() {
    let bench = Bench::set();
    let folder = bench.folder.path();
    let yes = script(folder, "yes", r#"cat >/dev/null; echo '{"isSuccess": true}'"#);
    let other = "0".repeat(64);
    fs::write(folder.join("settings.json"), "[]").unwrap();
    let settings = folder.join("settings.json");
    let rows: [(&str, PathBuf, &[&str], i32); 9] = [
        ("yes", yes.clone(), &[], 0),
        ("no", script(folder, "no", r#"echo '{"isSuccess": false, "message": "never"}'"#), &[], 1),
        ("it fails", script(folder, "fails", r#"echo '{"isSuccess": true}'; exit 1"#), &[], 3),
        ("it says nothing", script(folder, "silent", "exit 0"), &[], 3),
        ("it hangs", script(folder, "hangs", "exec sleep 60"), &["--timeout", "300ms"], 3),
        ("another image's", yes.clone(), &["--subject", "images.test/app:note"], 1),
        ("another program than pinned", yes.clone(), &["--sha256", &other], 2),
        ("settings that are none", yes.clone(), &["--config", settings.to_str().unwrap()], 2),
        ("no program", folder.join("none"), &[], 2),
    ];
    for (row, program, more, code) in rows {
        let output = bench.test(&program, more);
        assert_eq!(output.status.code(), Some(code), "{row}: {}", said(&output));
    }
}

#[test]
fn plugin_test_shows_request_reply_and_verdict() {
    let bench = Bench::set();
    let text = r#"input=$(cat); echo "log line"; echo "warn: careful" >&2
printf '{"isSuccess": true, "message": "\\u001b[31mfine", "extensions": {"bytes": %d}}\n' "${#input}""#;
    let program = script(bench.folder.path(), "tells", text);
    fs::write(bench.folder.path().join("settings.json"), r#"{"level": 7}"#).unwrap();
    let settings = bench.folder.path().join("settings.json");
    let more = ["--config", settings.to_str().unwrap(), "--name", "notes"];
    let shown = bench.json(&program, &more);
    assert_eq!(shown["plugin"]["name"], "tells");
    assert_eq!(shown["subject"], format!("images.test/app@{}", bench.image.digest));
    assert_eq!(shown["artifact"]["digest"], bench.note.digest.to_string());
    let stdin = &shown["request"]["stdin"];
    assert_eq!((&stdin["config"]["name"], &stdin["config"]["level"]), (&json!("notes"), &json!(7)));
    assert_eq!(stdin["referenceDesc"]["artifactType"], ARTIFACT_TYPE);
    assert_eq!(stdin["artifact"]["blobs"].as_array().unwrap().len(), 1);
    let environment = shown["request"]["environment"].as_array().unwrap();
    for name in ["RATIFY_VERIFIER_SUBJECT", "HTTP_PROXY", "http_proxy", "DOCKER_CONFIG", "HOME"] {
        assert!(environment.contains(&json!(name)), "{name}: {environment:?}");
    }
    assert_eq!(shown["reply"]["ended"], "exit status 0");
    assert!(shown["reply"]["stdout"].as_str().unwrap().starts_with("log line\n"));
    assert_eq!(shown["reply"]["stderr"], "warn: careful\n");
    assert_eq!(shown["verdict"]["isSuccess"], true);
    assert!(shown["pulls"].as_array().unwrap().is_empty());

    let table = said(&bench.test(&program, &more));
    for part in [
        "plugin    tells",
        "environment: ",
        "standard input:",
        "exit status 0 after ",
        "warn: careful",
        "✓ images.test/app@",
    ] {
        assert!(table.contains(part), "{part}:\n{table}");
    }
    assert!(!table.contains('\u{1b}'), "{table}");
}

#[test]
fn a_plugin_that_pulls_is_given_its_artifact_and_nothing_else() {
    if !has(&["curl"]) {
        return;
    }
    let bench = Bench::set();
    let blob = Descriptor::of("text/plain", b"nothing to object").digest;
    let text = format!(
        r#"cat >/dev/null
digest=${{RATIFY_VERIFIER_SUBJECT##*@}}
curl -sSf "http://images.test/v2/app/referrers/$digest" >list
curl -sSf "http://images.test/v2/app/blobs/{blob}" >blob
curl -s -o /dev/null http://images.test/v2/other/manifests/v1
curl -s -o /dev/null http://elsewhere.test/
curl -s -o /dev/null https://images.test/v2/
curl -s --noproxy '*' -o /dev/null "$HTTP_PROXY"
if grep -q {note} list && [ "$(cat blob)" = "nothing to object" ]; then echo '{{"isSuccess": true}}'; else echo '{{"isSuccess": false}}'; fi"#,
        note = bench.note.digest
    );
    let shown = bench.json(&script(bench.folder.path(), "pulls", &text), &[]);
    assert_eq!(shown["verdict"]["isSuccess"], true, "{shown:#}");
    let pulls: Vec<String> = shown["pulls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pull| format!("{} {}", pull["request"].as_str().unwrap(), pull["status"]))
        .collect();
    assert_eq!(
        pulls,
        [
            format!("GET http://images.test/v2/app/referrers/{} 200", bench.image.digest),
            format!("GET http://images.test/v2/app/blobs/{blob} 200"),
            "GET http://images.test/v2/other/manifests/v1 404".to_owned(),
            "GET http://elsewhere.test/ 403".to_owned(),
            "CONNECT images.test:443 405".to_owned(),
            // Asked directly, it wants a proxy's authorization, and the URL's user is none.
            "GET / 407".to_owned(),
        ]
    );
}

#[test]
fn the_example_in_shell_judges_what_the_script_makes() {
    if !has(&["jq", "openssl", "sha256sum"]) {
        return;
    }
    for (mode, code) in [(None, 0), (Some("forged"), 1)] {
        let folder = tempfile::tempdir().unwrap();
        let made =
            Command::new("/bin/sh").arg(examples().join("layout.sh")).arg(folder.path()).args(mode).output().unwrap();
        assert!(made.status.success(), "{}", said(&made));
        let output = command()
            .args(["plugin", "test"])
            .arg(examples().join("licence-approval.sh"))
            .arg("--layout")
            .arg(folder.path())
            .args(["--artifact", "app:approval", "--config"])
            .arg(folder.path().join("config.json"))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
    }
}

/// Names and decisions of the rows of the demo's table.
fn rows(text: &str) -> Vec<Vec<String>> {
    let rows = text.lines().map(str::trim).filter(|line| line.starts_with(['✓', '•', '✗']) && line.contains(" ms "));
    rows.map(|line| line.split_whitespace().skip(1).take(3).map(str::to_owned).collect()).collect()
}

#[test]
fn the_demo_shows_the_plugin_among_its_rows_as_the_readme_has_them() {
    if !has(&["jq", "openssl"]) {
        return;
    }
    let demo = |plugin: &Path| command().args(["demo", "--plugin"]).arg(plugin).output().unwrap();
    let output = demo(&examples().join("licence-approval.sh"));
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let shown: Vec<_> = rows(&text).into_iter().filter(|row| row[0].starts_with("licence")).collect();
    assert_eq!(shown.len(), 5, "{text}");
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let told: Vec<_> = rows(&readme).into_iter().filter(|row| row[0].starts_with("licence")).collect();
    assert_eq!(told, shown, "README.md's rows should be those of:\n{text}");

    // One that asks nobody who signed is found out.
    let folder = tempfile::tempdir().unwrap();
    let output = demo(&script(folder.path(), "trusting", r#"cat >/dev/null; echo '{"isSuccess": true}'"#));
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("NOT as expected"), "{text}");
}
