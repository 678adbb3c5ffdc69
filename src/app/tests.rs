use std::fs;

use super::*;
use crate::{
    oci::Reference,
    telemetry::{DecisionLog, Telemetry},
};

const TRUST_POLICY: &str = r#"{"version":"1.0","trustPolicies":[{"name":"all","registryScopes":["*"],
    "signatureVerification":{"level":"strict"},"trustStores":["ca:acme"],"trustedIdentities":["*"]}]}"#;

/// A folder with a configuration that works.
struct Stage {
    folder: tempfile::TempDir,
}

impl Stage {
    fn set() -> Self {
        let stage = Self { folder: tempfile::tempdir().unwrap() };
        stage.write("trustpolicy.json", TRUST_POLICY);
        fs::create_dir_all(stage.at("truststore/x509/ca/acme")).unwrap();
        stage.configure("**");
        stage
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.at(name), text).unwrap();
    }

    fn configure(&self, scope: &str) {
        self.write(
            "config.yaml",
            &format!(
                "server: {{ plainHttp: true, address: '127.0.0.1:0' }}
stores: [{{ name: hosts, type: registry, hosts: {{ r.example: {{}} }} }}]
verifiers: [{{ name: notary, type: notation, trustPolicy: trustpolicy.json, trustStore: truststore }}]
policies: [{{ scopes: ['{scope}'], require: notary }}]
limits: {{ maxStale: 10s }}
"
            ),
        );
    }

    async fn start(&self) -> Result<App, AppError> {
        App::start(&self.at("config.yaml"), Process::default(), Outside::default(), Handle::current()).await
    }
}

fn covers(app: &App, repository: &str) -> bool {
    let reference = Reference::parse(repository).unwrap();
    app.current().engine.executor.has_policy(reference.repository())
}

#[tokio::test]
async fn a_changed_file_is_a_new_generation_and_a_request_keeps_its_own() {
    let stage = Stage::set();
    let app = stage.start().await.unwrap();
    assert_eq!(app.look().await, Look::Unchanged);
    let first = app.current();
    stage.configure("r.example/payments/**");
    assert_eq!(app.look().await, Look::Renewed);
    assert_eq!((first.number, app.current().number), (1, 2));
    assert!(covers(&app, "r.example/payments/a") && !covers(&app, "r.example/other"));
    let other = Reference::parse("r.example/other").unwrap();
    assert!(first.engine.executor.has_policy(other.repository()), "who started with the first still has it");
    assert_eq!(app.look().await, Look::Unchanged);
}

// A trust store that vouches for nobody is said loudly, and no longer once it does not.
#[tokio::test]
async fn what_is_in_force_is_measured() {
    let stage = Stage::set();
    let telemetry = Telemetry::detached(DecisionLog::None, std::io::sink()).unwrap();
    let outside = Outside { meter: Some(telemetry.meter()), ..Outside::default() };
    let file = stage.at("config.yaml");
    let app = App::start(&file, Process::default(), outside, Handle::current()).await.unwrap();
    let holds = |lines: [&str; 3]| {
        let text = telemetry.prometheus_text().unwrap();
        for line in lines {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    };
    let (none, once) = ("countersign_config_reload_failures_total 0", "countersign_config_reload_failures_total 1");
    holds(["countersign_config_generation 1", "countersign_trust_store_faults 1", none]);
    stage.write("trustpolicy.json", "{");
    assert_eq!(app.look().await, Look::Broken);
    holds(["countersign_config_generation 1", "countersign_trust_store_faults 1", once]);
    stage.write("trustpolicy.json", TRUST_POLICY);
    let mut root = rcgen::CertificateParams::default();
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    root.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    root.not_after = time::macros::datetime!(2040-01-01 0:00 UTC);
    let root = root.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
    stage.write("truststore/x509/ca/acme/root.pem", &root.pem());
    assert_eq!(app.look().await, Look::Renewed);
    holds(["countersign_config_generation 2", "countersign_trust_store_faults 0", once]);
    let anchor = r#"countersign_trust_anchor_expiry_timestamp_seconds{store="ca:acme",verifier="notary"} 2208988800"#;
    holds([anchor, anchor, anchor]);
    // What is no longer trusted is no longer told.
    stage.write("truststore/x509/ca/acme/root.pem", "no certificate");
    assert_eq!(app.look().await, Look::Renewed);
    let text = telemetry.prometheus_text().unwrap();
    assert!(!text.contains("countersign_trust_anchor_expiry_timestamp_seconds{"), "{text}");
}

// CFG-18: an anchor that is gone takes all verdicts that were given under it along: they live in its generation.
#[tokio::test]
async fn whatever_the_configuration_names_is_watched_too() {
    let stage = Stage::set();
    let app = stage.start().await.unwrap();
    stage.write("truststore/x509/ca/acme/root.pem", "not a certificate");
    assert_eq!(app.look().await, Look::Renewed);
    assert!(app.current().engine.warnings.iter().any(|warning| warning.contains("ca:acme")));
    stage.write("trustpolicy.json", &TRUST_POLICY.replace("\"all\"", "\"every\""));
    assert_eq!(app.look().await, Look::Renewed);
    assert_eq!(app.current().number, 3);
}

// CFG-11
#[tokio::test]
async fn what_is_broken_leaves_the_last_good_generation_in_force() {
    let stage = Stage::set();
    let app = stage.start().await.unwrap();
    let good = fs::read_to_string(stage.at("config.yaml")).unwrap();
    for (name, text) in [
        ("CFG-01 empty", String::new()),
        ("CFG-02 syntax", "server: [".to_owned()),
        ("CFG-03 bomb", format!("a: &a [{}]", "x,".repeat(10))),
        ("CFG-04 unknown key", good.replace("stores:", "storse:")),
        ("CFG-05 no policies", good.replace("policies:", "policys:")),
        ("CFG-07 unknown verifier", good.replace("require: notary", "require: nobody")),
        ("CFG-10 missing file", good.replace("trustPolicy: trustpolicy.json", "trustPolicy: missing.json")),
        ("CFG-12 half written", good.chars().take(good.len() / 2).collect()),
    ] {
        stage.write("config.yaml", &text);
        assert_eq!(app.look().await, Look::Broken, "{name}");
        assert_eq!(app.look().await, Look::Unchanged, "{name}: said once");
        assert!(app.current().number == 1 && covers(&app, "r.example/a"), "{name}");
        assert!(!app.is_stale(Instant::now()), "{name}");
    }
    fs::remove_file(stage.at("config.yaml")).unwrap();
    assert_eq!(app.look().await, Look::Broken, "CFG-01 missing");
    let now = Instant::now();
    assert!(!app.is_stale(now + Duration::from_secs(9)));
    assert!(app.is_stale(now + Duration::from_secs(11)), "past maxStale");
    stage.configure("**");
    assert_eq!(app.look().await, Look::Renewed);
    assert!(!app.is_stale(Instant::now() + Duration::from_secs(11)), "repaired");
}

// Item 57
#[tokio::test]
async fn an_invalid_trust_policy_is_broken_and_what_was_broken_is_tried_again() {
    let stage = Stage::set();
    let app = stage.start().await.unwrap();
    stage.write("trustpolicy.json", "{}");
    assert_eq!(app.look().await, Look::Broken);
    let mut tries = 0;
    for _ in 0..RETRY_TICKS {
        tries += u32::from(app.look().await == Look::Broken);
    }
    assert_eq!(tries, 1, "unchanged, it is tried again now and then");
    stage.write("trustpolicy.json", TRUST_POLICY);
    assert_eq!(app.look().await, Look::Renewed);
}

// CFG-13
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_changes_and_many_looks_are_one_new_generation() {
    let stage = Stage::set();
    let app = Arc::new(stage.start().await.unwrap());
    for n in 0..100 {
        stage.configure(&format!("r.example/p{n}/**"));
    }
    let looks = (0..8).map(|_| {
        let app = Arc::clone(&app);
        tokio::spawn(async move { app.look().await })
    });
    let mut renewed = 0;
    for look in looks.collect::<Vec<_>>() {
        renewed += u32::from(look.await.unwrap() == Look::Renewed);
    }
    assert_eq!((renewed, app.current().number), (1, 2));
    assert!(covers(&app, "r.example/p99/a"));
}

#[tokio::test]
async fn there_is_no_first_generation_of_something_broken() {
    let stage = Stage::set();
    stage.write("trustpolicy.json", "{}");
    let error = stage.start().await.unwrap_err();
    assert!(error.to_string().contains("verifiers[0].trustPolicy"), "{error}");
}

#[tokio::test]
async fn a_secret_that_is_missing_or_empty_is_no_start() {
    let stage = Stage::set();
    let good = fs::read_to_string(stage.at("config.yaml")).unwrap();
    stage.write("empty", "");
    stage.write("newline", "\n");
    stage.write("password", "secret\n");
    let password = |file: &str| format!("credentials: {{ username: u, passwordFile: {file} }}");
    for (row, fields, expected) in [
        ("CFG-10 a newline at its end", password("password"), None),
        ("CFG-10 missing", password("nowhere"), Some("nowhere cannot be read")),
        ("CFG-10 a directory", password("truststore"), Some("truststore cannot be read")),
        ("CFG-10 empty", password("empty"), Some("empty is empty")),
        ("CFG-10 only a newline", password("newline"), Some("newline is empty")),
        ("CFG-10 no docker file", "credentials: { dockerConfig: nowhere }".into(), Some("nowhere cannot be read")),
        ("CFG-10 an empty docker file", "credentials: { dockerConfig: empty }".into(), Some("dockerConfig")),
        ("CFG-10 no key", "clientCertificate: password, clientKey: nowhere".into(), Some("r.example")),
    ] {
        stage.write("config.yaml", &good.replace("r.example: {}", &format!("r.example: {{ {fields} }}")));
        match (stage.start().await, expected) {
            (Ok(_), None) => {}
            (Err(error), Some(part)) => {
                let said = reason::chain(&error);
                assert!(said.contains(part) && !said.contains("secret"), "{row}: {said}");
            }
            (found, _) => panic!("{row}: {found:?}"),
        }
    }
}

#[tokio::test]
async fn the_most_specific_store_serves() {
    let stage = Stage::set();
    let text = "server: { plainHttp: true, address: '127.0.0.1:0' }
stores:
- { name: any, type: registry, hosts: { '*': {} } }
- { name: suffix, type: registry, hosts: { '*.example.com': {} } }
- { name: exact, type: registry, hosts: { r.example.com: {} } }
verifiers: [{ name: notary, type: notation, trustPolicy: trustpolicy.json, trustStore: truststore }]
policies: [{ scopes: ['**'], require: notary }]
";
    let config = Config::parse(text, stage.folder.path(), &Process::default()).unwrap();
    let routed = build::routes_for_tests(&config).await;
    for (registry, expected) in [
        ("r.example.com", Some("exact")),
        ("s.example.com", Some("suffix")),
        ("other.example", Some("any")),
        ("example.com.evil.example", Some("any")),
    ] {
        assert_eq!(routed.name(&crate::oci::Registry::parse(registry).unwrap()), expected, "{registry}");
    }
}
