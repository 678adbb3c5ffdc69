//! `trustedRoot` as operators write it, and what they are told when it is wrong.

use std::{fs, time::Duration};

use serde_json::json;
use sigstore_trust_root::{SIGSTORE_GITHUB_TRUSTED_ROOT, SIGSTORE_PRODUCTION_TRUSTED_ROOT};

use super::{written::DEFAULT_REFRESH, *};

fn read(written: Value) -> Result<RootConfig, String> {
    serde_json::from_value(written).map_err(|error| error.to_string())
}

fn tuf(members: &Value) -> Result<TufSource, String> {
    let config = read(json!({"tuf": members}))?;
    let [RootSource::Tuf(source)] = config.sources() else { panic!("{config:?}") };
    Ok(source.clone())
}

#[test]
fn each_way_of_writing_it_is_read() {
    let file = |profile| RootSource::File { path: "r.json".into(), profile };
    for (written, expected) in [
        (json!("public-good"), vec![RootSource::Embedded(Instance::PublicGood)]),
        (json!("github"), vec![RootSource::Embedded(Instance::GitHub)]),
        (json!("staging"), vec![RootSource::Embedded(Instance::Staging)]),
        (json!({"file": "r.json"}), vec![file(Profile::Sigstore)]),
        (json!({"file": "r.json", "profile": "github"}), vec![file(Profile::GitHub)]),
        (json!({"file": "r.json", "profile": "sigstore"}), vec![file(Profile::Sigstore)]),
        (json!(["github", {"file": "r.json"}]), vec![RootSource::Embedded(Instance::GitHub), file(Profile::Sigstore)]),
    ] {
        assert_eq!(read(written.clone()).unwrap().sources(), expected, "{written}");
    }
    let inline = read(json!({"inline": {"mediaType": "x"}})).unwrap();
    assert!(matches!(inline.sources(), [RootSource::Inline { profile: Profile::Sigstore, .. }]));
}

#[test]
fn a_tuf_repository_has_defaults_and_a_known_instance_more_of_them() {
    let known = tuf(&json!({"instance": "github", "cacheDir": "/var/cache/tuf"})).unwrap();
    assert_eq!(known.url.as_str(), "https://tuf-repo.github.com/");
    assert_eq!(
        (known.profile, known.target.as_str(), known.root.as_deref()),
        (Profile::GitHub, "trusted_root.json", None)
    );
    assert_eq!((known.refresh, known.max_age, known.name()), (DEFAULT_REFRESH, None, "github".to_owned()));
    let own = json!({
        "url": "https://tuf.acme.test/repo/", "root": "root.json", "cacheDir": "c", "target": "a/b.json",
        "refresh": "1h", "maxAge": "72h", "ca": "ca.pem",
    });
    let own = tuf(&own).unwrap();
    assert_eq!((own.refresh, own.max_age), (Duration::from_hours(1), Some(Duration::from_hours(72))));
    assert_eq!((own.profile, own.name()), (Profile::Sigstore, "https://tuf.acme.test/repo".to_owned()));
    let loopback = json!({"url": "http://127.0.0.1:8080", "plainHttp": true, "root": "r", "cacheDir": "c"});
    tuf(&loopback).unwrap();
    let mirror = tuf(&json!({"instance": "public-good", "url": "https://mirror.acme.test", "cacheDir": "c"})).unwrap();
    assert_eq!((mirror.url.host_str(), mirror.name()), (Some("mirror.acme.test"), "public-good".to_owned()));
}

#[test]
fn what_is_wrong_is_said() {
    let with = |member: &str, value: Value| {
        let mut members = json!({"url": "https://tuf.test", "root": "r", "cacheDir": "c"});
        members[member] = value;
        json!({"tuf": members})
    };
    for (written, word) in [
        (json!("public_good"), "unknown trusted root \"public_good\"; known are public-good, github and staging"),
        (json!("trusted_root.json"), "a file is written { file: … }"),
        (json!(1), "expected public-good, github, staging, a map"),
        (json!(null), "expected public-good"),
        (json!([]), "an empty list trusts nobody"),
        (json!(["github", "github"]), "stands twice"),
        (json!([["github"]]), "expected public-good"),
        (json!(vec!["github"; 17]), "stands twice"),
        (json!({}), "one of file, inline and tuf is needed"),
        (json!({"file": ""}), "file is empty"),
        (json!({"file": "a", "inline": {}}), "exclude each other"),
        (json!({"fle": "a"}), "unknown field `fle`"),
        (json!({"file": "a", "profile": "other"}), "unknown variant `other`"),
        (json!({"tuf": {"instance": "github", "cacheDir": "c"}, "profile": "sigstore"}), "the instance's own"),
        (json!({"tuf": {}}), "missing field `cacheDir`"),
        (json!({"tuf": {"cacheDir": "c"}}), "one of instance and url is needed"),
        (json!({"tuf": {"cacheDir": "c", "url": "https://x.test"}}), "root is needed"),
        (json!({"tuf": {"cacheDir": "", "instance": "github"}}), "cacheDir is empty"),
        (json!({"tuf": {"cacheDir": "c", "instance": "mine"}}), "unknown variant `mine`"),
        (with("url", json!("tuf.test")), "url"),
        (with("url", json!("http://tuf.test")), "url must be https"),
        (with("url", json!("http://127.0.0.1")), "plainHttp: true allows http"),
        (with("url", json!("ftp://tuf.test")), "scheme \"ftp\""),
        (with("url", json!("https://u:p@tuf.test")), "has credentials"),
        (with("url", json!("https://tuf.test/?a=b")), "has a query"),
        (with("target", json!("../trusted_root.json")), "no plain name"),
        (with("target", json!("/etc/passwd")), "no plain name"),
        (with("target", json!("a//b")), "no plain name"),
        (with("target", json!("a%2e")), "no plain name"),
        (with("target", json!("")), "no plain name"),
        (with("target", json!("a".repeat(256))), "no plain name"),
        (with("refresh", json!("59s")), "refresh must be 1m to 744h"),
        (with("refresh", json!("745h")), "refresh must be 1m to 744h"),
        (with("refresh", json!(60)), "invalid type"),
        (with("maxAge", json!("23h")), "maxAge must be at least refresh"),
        (with("maxAge", json!("8785h")), "at most 8784h"),
        (with("cachedir", json!("c")), "unknown field `cachedir`"),
    ] {
        let said = read(written.clone()).unwrap_err();
        assert!(said.contains(word), "{written}: {said}");
    }
    let plain = json!({"tuf": {"url": "http://10.0.0.1", "plainHttp": true, "root": "r", "cacheDir": "c"}});
    assert!(read(plain).unwrap_err().contains("loopback"));
}

#[test]
fn a_password_in_an_address_is_not_repeated() {
    let said = tuf(&json!({"url": "https://u:hunter2@tuf.test", "root": "r", "cacheDir": "c"})).unwrap_err();
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn all_are_loaded_or_each_fault_is_placed() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("good.json"), SIGSTORE_PRODUCTION_TRUSTED_ROOT).unwrap();
    fs::write(folder.path().join("bad.json"), "{}").unwrap();
    let document: Value = serde_json::from_str(SIGSTORE_GITHUB_TRUSTED_ROOT).unwrap();
    let good = json!(["public-good", {"file": "good.json"}, {"inline": document}, {"inline": SIGSTORE_GITHUB_TRUSTED_ROOT, "profile": "github"}]);
    let roots = read(good).unwrap().load(folder.path()).unwrap();
    let shown: Vec<_> = roots.iter().map(|root| (root.name.as_str(), root.profile, root.origin.to_string())).collect();
    assert_eq!(
        shown,
        [
            ("public-good", Profile::Sigstore, "compiled in, as of 2026-10-23".to_owned()),
            ("good.json", Profile::Sigstore, "file good.json".to_owned()),
            ("inline", Profile::Sigstore, "in the configuration".to_owned()),
            ("inline", Profile::GitHub, "in the configuration".to_owned()),
        ]
    );

    fs::create_dir(folder.path().join("folder")).unwrap();
    fs::write(folder.path().join("large.json"), vec![b' '; super::super::parse::MAX_BYTES + 1]).unwrap();
    let tuf = json!({"tuf": {"url": "https://tuf.test", "root": "good.json", "cacheDir": "cache"}});
    let bad = json!(["github", {"file": "bad.json"}, {"file": "absent.json"}, {"file": "folder"}, {"file": "large.json"}, {"inline": []}, tuf]);
    let config = read(bad).unwrap();
    let faults = config.load(folder.path()).unwrap_err();
    let places: Vec<&str> = faults.iter().map(|(place, _)| place.as_str()).collect();
    assert_eq!(places, ["[1].file", "[2].file", "[3].file", "[4].file", "[5].inline", "[6].tuf"]);
    assert!(matches!(
        faults.iter().map(|(_, fault)| fault).collect::<Vec<_>>()[..],
        [
            RootFault::Missing { .. },
            RootFault::Unreadable { .. },
            RootFault::NoFile { .. },
            RootFault::TooLarge,
            RootFault::Type { .. },
            RootFault::Tuf { .. }
        ]
    ));
    let single = RootConfig::of_file("bad.json".into()).load(folder.path()).unwrap_err();
    assert_eq!(single[0].0, ".file");
    let files = config.files();
    assert_eq!(files.len(), 6, "{files:?}");
    assert!(files.contains(&"good.json".into()) && files.iter().any(|file| file.starts_with("cache")), "{files:?}");
}

// A list of their dates is kept by hand; what it says of the release is the lock file's word.
#[test]
fn the_embedded_roots_are_those_of_the_release_whose_date_is_shown() {
    let lock = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock")).unwrap();
    let release = "name = \"sigstore-trust-root\"\nversion = \"0.15.1\"\n";
    assert!(lock.contains(release), "another release: correct Instance::EMBEDDED by its change log");
}
