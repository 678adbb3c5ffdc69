//! Evidence that the operator brings along.

use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tempfile::TempDir;

use super::*;

/// As notation names the file of a CRL.
fn hex_of(url: &str) -> String {
    crate::oci::Digest::sha256(url.as_bytes()).hex().to_owned()
}

fn bytes(pki: &Pki, word: &str) -> Vec<u8> {
    let Reply::Body(bytes) = body(pki, word) else { panic!("{word}") };
    bytes
}

fn load(dir: &Path, config: &RevocationConfig) -> Result<Revocation, Vec<(String, String)>> {
    Revocation::load(config, dir).map(|(loaded, _)| loaded)
}

/// With these files, offline.
fn with(dir: &TempDir, crls: &[Vec<u8>], responses: &[Vec<u8>]) -> Revocation {
    let put = |name: &str, all: &[Vec<u8>]| -> Vec<PathBuf> {
        let file = |(index, content): (usize, &Vec<u8>)| {
            let name = PathBuf::from(format!("{name}-{index}"));
            std::fs::write(dir.path().join(&name), content).unwrap();
            name
        };
        all.iter().enumerate().map(file).collect()
    };
    let config = RevocationConfig {
        crl_files: put("crl", crls),
        ocsp_files: put("ocsp", responses),
        ..RevocationConfig::offline()
    };
    load(dir.path(), &config).unwrap()
}

// Item 102, item 108: nobody is asked, and everything is at hand.
#[tokio::test]
async fn files_speak_for_the_certificates_that_they_are_about() {
    let both = || Pki::naming(vec![responders(&[OCSP]), distribution(&[&[CRL]])]);
    let only_ocsp = || Pki::naming(vec![responders(&[OCSP])]);
    let none = || Pki::naming(Vec::new());
    for (name, pki, crls, responses, expected) in [
        ("nothing", both(), &[][..], &[][..], OPEN),
        ("a good response", both(), &[], &["good"], None),
        ("a revocation", both(), &["good crl"], &["revoked"], REVOKED),
        ("unknown, and nothing else", both(), &[], &["unknown"], UNKNOWN),
        ("unknown, and a good list", both(), &["good crl"], &["unknown"], None),
        ("a stale response", both(), &[], &["stale"], OPEN),
        ("a stale response, and a good list", both(), &["good crl"], &["stale"], None),
        ("another signer's response", both(), &[], &["other signer"], OPEN),
        ("a good list", both(), &["good crl"], &[], None),
        ("a revocation in a list", both(), &["revoked crl"], &[], REVOKED),
        ("good and revoked", both(), &["good crl", "revoked crl"], &[], REVOKED),
        ("an expired list", both(), &["expired crl"], &[], OPEN),
        ("another's list", both(), &["crl of another", "crl by another"], &[], OPEN),
        ("a list for a certificate that names a responder", only_ocsp(), &["good crl"], &[], None),
        ("a list for a certificate that names nobody", none(), &["revoked crl"], &[], REVOKED),
        ("a response for a certificate that names nobody", none(), &[], &["revoked"], REVOKED),
    ] {
        let dir = TempDir::new().unwrap();
        let all = |words: &[&str]| words.iter().map(|word| bytes(&pki, word)).collect::<Vec<_>>();
        let found = with(&dir, &all(crls), &all(responses)).check(&pki.chain, ask()).await;
        assert_eq!(code(&found), expected, "{name}: {found:?}");
    }
}

#[tokio::test]
async fn in_pem_as_well_and_beside_those_who_are_asked() {
    let (dir, pki) = (TempDir::new().unwrap(), Pki::naming(vec![distribution(&[&[CRL]])]));
    let pem = |label: &str, der: &[u8]| {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der)).into_bytes()
    };
    let wrapped = |text: Vec<u8>| {
        let text = String::from_utf8(text).unwrap();
        let lines: Vec<String> = text
            .lines()
            .flat_map(|line| line.as_bytes().chunks(64).map(|part| String::from_utf8(part.to_vec()).unwrap()))
            .collect();
        (lines.join("\n") + "\n").into_bytes()
    };
    let list = wrapped(pem("X509 CRL", &bytes(&pki, "good crl")));
    let loaded = with(&dir, &[list], &[]);
    assert_eq!(code(&loaded.check(&pki.chain, ask()).await), None);
    let config = RevocationConfig { crl_files: vec!["crl-0".into()], ..RevocationConfig::default() };
    let web = Arc::new(Web::default());
    let online = load(dir.path(), &config).unwrap().asking(&config, dir.path(), outside(&web)).unwrap();
    assert_eq!(code(&online.check(&pki.chain, ask()).await), None, "who cannot be reached is stood in for");
    assert_eq!(web.taken(), [CRL]);
    web.set(CRL, body(&pki, "revoked crl"));
    let online = load(dir.path(), &config).unwrap().asking(&config, dir.path(), outside(&web)).unwrap();
    assert_eq!(code(&online.check(&pki.chain, ask()).await), REVOKED, "a file hides no revocation");
    // And a revocation in a file needs no other word.
    with(&dir, &[bytes(&pki, "revoked crl")], &[]);
    web.set(CRL, body(&pki, "good crl"));
    let online = load(dir.path(), &config).unwrap().asking(&config, dir.path(), outside(&web)).unwrap();
    assert_eq!(code(&online.check(&pki.chain, ask()).await), REVOKED);
}

#[tokio::test]
async fn notation_s_cache_is_read_by_address_and_its_broken_entries_are_misses() {
    let (dir, pki) = (TempDir::new().unwrap(), Pki::naming(vec![distribution(&[&[CRL]])]));
    let entry = |der: &[u8]| format!(r#"{{"baseCRL":"{}","deltaCRL":""}}"#, STANDARD.encode(der));
    let config = RevocationConfig { preload: Some("crl".into()), ..RevocationConfig::offline() };
    std::fs::create_dir(dir.path().join("crl")).unwrap();
    let put = |url: &str, content: &str| std::fs::write(dir.path().join("crl").join(hex_of(url)), content).unwrap();
    put("http://pki.test/other.crl", &entry(&bytes(&pki, "good crl")));
    put("http://pki.test/junk.crl", "{");
    std::fs::write(dir.path().join("crl/notation.txt"), "not an entry").unwrap();
    let (loaded, warnings) = Revocation::load(&config, dir.path()).unwrap();
    assert_eq!(code(&loaded.check(&pki.chain, ask()).await), OPEN, "another address says nothing about this one");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    for (word, expected) in [("good crl", None), ("revoked crl", REVOKED), ("expired crl", OPEN)] {
        put(CRL, &entry(&bytes(&pki, word)));
        assert_eq!(code(&load(dir.path(), &config).unwrap().check(&pki.chain, ask()).await), expected, "{word}");
    }
}

#[test]
fn everything_wrong_is_said_with_its_member() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("junk"), b"junk").unwrap();
    std::fs::write(dir.path().join("pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let config = RevocationConfig {
        crl_files: vec!["junk".into(), "missing".into(), "pem".into()],
        ocsp_files: vec!["junk".into()],
        preload: Some("missing".into()),
        ..RevocationConfig::default()
    };
    let members: Vec<String> = load(dir.path(), &config).unwrap_err().into_iter().map(|(member, _)| member).collect();
    assert_eq!(members, ["crlFiles[0]", "crlFiles[1]", "crlFiles[2]", "ocspFiles[0]", "preload"]);
    for interval in [Duration::ZERO, Duration::from_hours(25)] {
        let config = RevocationConfig { refresh_interval: interval, ..RevocationConfig::default() };
        assert_eq!(load(dir.path(), &config).unwrap_err()[0].0, "refreshInterval");
    }
}

#[test]
fn the_configuration_is_read_as_it_is_documented() {
    let text = serde_json::json!({
        "mode": "offline", "noMethod": "deny", "allowHosts": ["pki.corp.test:8080"], "proxy": "http://127.0.0.1:3128",
        "crlFiles": ["a"], "ocspFiles": ["b"], "preload": "c", "cacheDir": "d", "refreshInterval": "5m",
    });
    let config: RevocationConfig = serde_json::from_value(text).unwrap();
    assert_eq!((config.mode, config.no_method), (Mode::Offline, NoMethod::Deny));
    assert_eq!(config.refresh_interval, Duration::from_mins(5));
    assert_eq!(config.files(), ["a", "b", "c"].map(Path::new));
    let default: RevocationConfig = serde_json::from_str("{}").unwrap();
    assert_eq!((default.mode, default.no_method), (Mode::Online, NoMethod::Warn));
    assert_eq!(default.refresh_interval, Duration::from_mins(10));
    for wrong in [r#"{"mode":"on"}"#, r#"{"noMethod":"skip"}"#, r#"{"allowHost":[]}"#, r#"{"refreshInterval":10}"#] {
        assert!(serde_json::from_str::<RevocationConfig>(wrong).is_err(), "{wrong}");
    }
}
