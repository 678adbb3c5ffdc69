//! Verifier plugins as the binary runs them: it is its own launcher.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use countersign::oci::{Descriptor, Digest, media_type};
use serde_json::{Value, json};

use super::{CANARY, Desk, shelf::Shelf as _, stdout};

const TYPE: &str = "application/vnd.example.licence.v1";

/// A desk whose images are verified by a script.
fn desk(script: &str) -> Desk {
    let desk = Desk::set();
    desk.layout.put_blob(b"{}");
    let blob = b"MIT";
    desk.layout.put_blob(blob);
    let document = json!({
        "schemaVersion": 2,
        "mediaType": media_type::IMAGE_MANIFEST,
        "artifactType": TYPE,
        "config": Descriptor::of(media_type::EMPTY, b"{}"),
        "layers": [Descriptor::of("text/plain", blob)],
        "subject": desk.signed,
    });
    desk.layout.put_document(media_type::IMAGE_MANIFEST, &document, None);
    let file = desk.folder.path().join("licence.sh");
    fs::write(&file, script).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    let mut configuration: Value = serde_json::from_str(&desk.configuration(&json!({ "*": {} }))).unwrap();
    configuration["plugins"] = json!({ "directories": ["."], "workDirectory": desk.folder.path() });
    configuration["verifiers"] = json!([{
        "name": "licence",
        "type": "exec",
        "command": "licence.sh",
        "sha256": Digest::sha256(script.as_bytes()).hex(),
        "artifactTypes": [TYPE],
        "config": { "apiToken": CANARY },
        "environment": { "ENTRUSTED": CANARY },
        "timeout": "20s",
    }]);
    configuration["policies"] = json!([{ "scopes": ["**"], "require": "licence" }]);
    configuration["server"]["providerTimeout"] = json!({ "verify": "30s", "mutate": "30s" });
    desk.write("countersign.yaml", &configuration.to_string());
    desk
}

// PLG-10
#[test]
fn what_plugins_write_and_are_entrusted_with_is_in_no_log_at_any_level() {
    if !Path::new("/bin/sh").exists() {
        println!("skipped: PLG-10 by the binary (there is no /bin/sh)");
        return;
    }
    for (row, last, code) in [
        (
            "yes",
            r#"echo "{\"isSuccess\":true,\"message\":\"own-5d2 $ENTRUSTED\",\"extensions\":{\"x\":\"own-5d2\"}}""#,
            "VERIFIED",
        ),
        ("no", r#"echo "{\"isSuccess\":false,\"message\":\"own-5d2 $ENTRUSTED\"}""#, "PLUGIN_REJECTED"),
        ("fails", r#"echo "{\"code\":8,\"msg\":\"own-5d2 $ENTRUSTED\"}"; exit 1"#, "PLUGIN_FAILED"),
        ("no verdict", r#"echo "{own-5d2 $ENTRUSTED""#, "PLUGIN_PROTOCOL"),
        ("other name", r#"echo "{\"isSuccess\":true,\"name\":\"own-5d2\"}""#, "PLUGIN_PROTOCOL"),
    ] {
        let desk = desk(&format!(
            "#!/bin/sh\nread -r request\necho \"own-5d2 $request\"\necho \"own-5d2 $request $ENTRUSTED\" >&2\n{last}\n"
        ));
        let key = format!("images.test/app@{}", desk.signed.digest);
        let serving = desk.serve();
        let response = serving.ask(&[&key]).to_string();
        let (_, log) = serving.terminate();
        let verified = desk.run(&["verify", "--output", "json", &key]);
        assert!(response.contains(code), "{row}: {response}");
        assert!(stdout(&verified).contains(code), "{row}: {}", stdout(&verified));
        assert!(!log.is_empty() && !log.contains(CANARY) && !log.contains("own-5d2"), "{row}: {log}");
        assert!(!response.contains(CANARY), "{row}: {response}");
        let left = fs::read_dir(desk.folder.path()).unwrap().flatten();
        let left = left.filter(|entry| entry.file_name().to_string_lossy().starts_with("countersign-plugins-"));
        assert_eq!(left.count(), 0, "{row}: private directories go with the process");
    }
}
