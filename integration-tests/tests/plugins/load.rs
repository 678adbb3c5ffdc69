//! What is refused before anything runs: names, pins, files, and what of Ratify's there is not.

use std::{fs, io, os::unix::fs::symlink, process::Command};

use serde_json::{Value, json};

use super::{Bench, NAUGHTY, PROGRAM, has_shell, merged};

async fn faults(bench: &Bench, change: &Value) -> Vec<String> {
    match bench.engine(&bench.configuration(&[merged(bench.verifier("yes"), change)])).await {
        Ok(_) => Vec::new(),
        Err(faults) => faults,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_whose_plugin_cannot_run_is_broken_and_says_where() {
    let bench = Bench::set();
    let plugins = bench.path("plugins");
    fs::create_dir(plugins.join("directory")).unwrap();
    fs::write(plugins.join("plain"), "#!/bin/sh\n").unwrap();
    symlink(NAUGHTY, plugins.join("outside")).unwrap();
    let script = bench.put("script", b"#!/nonexistent/interpreter\n");
    let text = bench.put("text", b"echo '{\"isSuccess\":true}'\n");
    let mut foreign = PROGRAM.0.clone();
    foreign[18] ^= 0xff;
    let foreign = bench.put("foreign", &foreign);
    let pin = &PROGRAM.1;
    let command = "verifiers[0].command";
    for (name, change, path, said) in [
        ("PLG-01 does not exist", json!({ "command": "absent" }), command, "none of plugins.directories has"),
        ("PLG-01 not executable", json!({ "command": "plain" }), command, "is not executable"),
        ("PLG-01 directory", json!({ "command": "directory" }), command, "is no regular file"),
        (
            "PLG-01 wrong architecture",
            json!({ "command": "foreign", "sha256": foreign }),
            command,
            "for another machine",
        ),
        ("PLG-01 script without interpreter", json!({ "command": "script", "sha256": script }), command, "interpreter"),
        (
            "PLG-01 for a shell to guess",
            json!({ "command": "text", "sha256": text }),
            command,
            "neither an ELF program",
        ),
        ("PLG-02 ../x", json!({ "command": "../plugins/naughty" }), command, "is no file name"),
        ("PLG-02 a path", json!({ "command": "/bin/sh" }), command, "is no file name"),
        ("PLG-02 empty", json!({ "command": "" }), command, "is no file name"),
        ("PLG-02 300 characters", json!({ "command": "a".repeat(300) }), command, "is no file name"),
        ("PLG-02 NUL", json!({ "command": "naughty\0" }), command, "is no file name"),
        ("PLG-02 leading -", json!({ "command": "-naughty" }), command, "is no file name"),
        ("PLG-03 a link out of the directory", json!({ "command": "outside" }), command, "leads out of its directory"),
        ("PLG-03 another file", json!({ "sha256": "0".repeat(64) }), command, pin.as_str()),
        ("PLG-13 unknown version", json!({ "version": "newest" }), "verifiers[0].version", "is no version"),
        ("no pin", json!({ "sha256": "" }), "verifiers[0].sha256", "is no SHA-256"),
        (
            "dynamic download",
            json!({ "source": { "artifact": "reg.test/p:1" } }),
            "verifiers[0].source",
            "not downloaded",
        ),
    ] {
        let found = faults(&bench, &change).await;
        assert_eq!(found.len(), 1, "{name}: {found:?}");
        assert!(found[0].contains(&format!("{path}: ")) && found[0].contains(said), "{name}: {found:?}");
    }
    assert_eq!(faults(&bench, &json!({})).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_place_to_run_nothing_is_accepted() {
    let bench = Bench::set();
    for (section, said) in [
        (
            json!({ "directories": [bench.path("plugins")], "workDirectory": bench.path("nowhere") }),
            "plugins.workDirectory: ",
        ),
        (json!({ "directories": [] }), "verifiers[0].command: "),
    ] {
        // Two verifiers, one fault of the place.
        let mut second = bench.verifier("yes");
        second["name"] = json!("second");
        let mut configuration = bench.configuration(&[bench.verifier("yes"), second]);
        configuration["plugins"] = section;
        let faults = bench.engine(&configuration).await.err().unwrap_or_default();
        assert_eq!(faults.iter().filter(|fault| fault.contains(said)).count(), 1, "{faults:?}");
    }
}

// PLG-03
#[tokio::test(flavor = "multi_thread")]
async fn a_file_replaced_after_the_start_is_not_what_runs() {
    if !has_shell("PLG-03 replaced by a script") {
        return;
    }
    let bench = Bench::set();
    let engine = bench.engine(&bench.configuration(&[bench.verifier("no")])).await.unwrap();
    bench.put("naughty", b"#!/bin/sh\necho '{\"isSuccess\":true}'\n");
    let said = bench.question(&engine, std::time::Duration::from_secs(30)).await;
    assert_eq!(said.code, "PLUGIN_REJECTED", "the checked bytes ran: {}", said.value);
    assert_eq!(faults(&bench, &json!({})).await.len(), 1, "and the new ones are refused");
}

// PLG-11
#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_somebody_writes_is_waited_for_and_never_a_yes() {
    let bench = Bench::set();
    let engine = bench.engine(&bench.configuration(&[bench.verifier("yes")])).await.unwrap();
    let work = fs::read_dir(bench.path("work")).unwrap().flatten().next().unwrap().path();
    let copy = fs::read_dir(work).unwrap().flatten().map(|entry| entry.path());
    let copy = copy.into_iter().find(|path| path.to_string_lossy().ends_with("-naughty")).unwrap();
    // As a process that is being started at this moment holds it, and lets go.
    let writer = fs::OpenOptions::new().append(true).open(&copy);
    let Ok(writer) = writer else {
        // Its mode is 0500; only root may.
        println!("skipped: PLG-11 (the copy cannot be opened for writing)");
        return;
    };
    // Some kernels (6.11 and 6.12) run such a program all the same.
    let kernel = Command::new(&copy).env("BEHAVIOUR", "silent").status();
    let is_busy = kernel.is_err_and(|error| error.kind() == io::ErrorKind::ExecutableFileBusy);
    let said = bench.question(&engine, std::time::Duration::from_secs(30)).await;
    assert_eq!(said.code, if is_busy { "PLUGIN_FAILED" } else { "VERIFIED" }, "{}", said.value);
    drop(writer);
    let engine = bench.engine(&bench.configuration(&[bench.verifier("yes")])).await.unwrap();
    let said = bench.question(&engine, std::time::Duration::from_secs(30)).await;
    assert_eq!(said.code, "VERIFIED", "{}", said.value);
}
