use std::{fs, time::Duration};

use super::*;
use crate::{oci::Repository, policy::PolicyProvider as _};

const GOOD: &str = include_str!("../../config/minimal.yaml");

fn parse(text: &str) -> Result<Config, Vec<Fault>> {
    Config::parse(text, Path::new("/base"), &Process::default())
}

fn faults(text: &str) -> Vec<String> {
    parse(text).expect_err(text).iter().map(ToString::to_string).collect()
}

/// A document that is right but for one section.
fn with(section: &str, text: &str) -> String {
    let mut value = document::parse(GOOD).unwrap().to_value();
    let replacement = document::parse(&format!("x: {text}")).unwrap().to_value();
    value[section] = replacement["x"].clone();
    value.to_string()
}

#[test]
fn every_sample_is_a_configuration() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_some_and(|extension| extension == "yaml") {
            let config = Config::load(&file, &Process::default()).unwrap_or_else(|error| panic!("{error}"));
            assert!(!config.policies.is_empty(), "{}", file.display());
            count += 1;
        }
    }
    assert_eq!(count, 8);
}

#[test]
fn the_sigstore_sample_holds_by_its_own_rules() {
    let base = tempfile::tempdir().unwrap();
    fs::create_dir(base.path().join("cosign")).unwrap();
    let key = include_str!("../verifier/cosign/vectors/keys/p256.pem");
    for name in ["2025.pub", "2026.pub", "scanner.pub"] {
        fs::write(base.path().join("cosign").join(name), key).unwrap();
    }
    let root = sigstore_trust_root::SigstoreInstance::PublicGood.embedded_trusted_root_json();
    fs::write(base.path().join("cosign/trusted_root.json"), root).unwrap();
    let ca = crate::crypto::testing::chain(&[crate::crypto::testing::ca("acme", None)]);
    fs::write(base.path().join("cosign/ca.pem"), &ca.der[0]).unwrap();
    let text = include_str!("../../config/cosign.yaml");
    let config = Config::parse(text, base.path(), &Process::default()).unwrap();
    let compiled: Vec<_> = config
        .verifiers
        .iter()
        .map(|verifier| match &verifier.kind {
            VerifierKind::Attestation(attestation) => attestation.compile(&config.base).unwrap(),
            VerifierKind::Cosign(cosign) => cosign.compile(&config.base).unwrap(),
            VerifierKind::Exec(_) | VerifierKind::Notation(_) => panic!("another verifier"),
        })
        .collect();
    let policies: Vec<usize> = compiled.iter().map(|compiled| compiled.policies.len()).collect();
    assert_eq!(policies, [4, 1]);
    // R111: ignoreTlog twice, ignoreSct, useCurrentTime, an issuer that may be any.
    assert_eq!(compiled[0].warnings.len(), 5, "{:?}", compiled[0].warnings);
    assert_eq!(compiled[1].warnings, Vec::<String>::new());
}

#[test]
fn the_nested_sample_wants_signed_evidence_and_no_deeper_than_its_limit() {
    let text = include_str!("../../config/nested.yaml");
    let config = parse(text).unwrap();
    let names: Vec<VerifierName> = config.verifiers.iter().map(|verifier| verifier.name.clone()).collect();
    let policy = Threshold::build(&config.policies, &names).unwrap();
    for (repository, signers) in [("ghcr.io/acme/app", 1), ("ghcr.io/acme/payments", 2)] {
        let wanted = policy.wanted(&Repository::parse(repository).unwrap()).unwrap();
        assert_eq!(wanted.below(&"sbom".into()).unwrap().verifiers.len(), signers, "{repository}");
        assert_eq!(wanted.below.len(), 1, "{repository}");
    }
    let deep = text.replace("{ atLeast: 2, of: [compliance, notary] }", "{ evidence: compliance, signedBy: notary }");
    let found = faults(&deep);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("policies[1].require.all[1].signedBy.signedBy"), "{found:?}");
    assert!(found[0].contains("2 levels below the image; limits.nestedDepth is 1"), "{found:?}");
    assert!(parse(&deep.replace("nestedDepth: 1", "nestedDepth: 2")).is_ok());
    assert!(faults(&text.replace("nestedDepth: 1", "nestedDepth: 4"))[0].contains("must be 1 to 3"));
    let unknown = faults(&text.replace("signedBy: compliance", "signedBy: complience"));
    assert!(unknown[0].contains("policies[0].require.all[1].signedBy"), "{unknown:?}");
}

#[test]
fn faults_of_the_sigstore_types_have_lines_and_neighbours() {
    let of = |verifier: &str| faults(&with("verifiers", verifier));
    let unknown = of("[{name: notary, type: cosing}]");
    assert!(
        unknown[0].contains("verifiers have types attestation, cosign, exec, notation; did you mean `cosign`?"),
        "{unknown:?}"
    );
    let unknown = of("[{name: notary, type: cosign, trustPolicies: [{name: a, scopes: ['**'], ignoreTLog: true}]}]");
    assert!(unknown[0].contains("verifiers[0].trustPolicies[0].ignoreTLog: unknown field"), "{unknown:?}");
    assert!(unknown[0].ends_with("did you mean `ignoreTlog`?"), "{unknown:?}");
    let missing = of("[{name: notary, type: attestation, trustPolicies: []}]");
    assert!(missing[0].contains("missing field `predicateType`"), "{missing:?}");
    let age = of("[{name: notary, type: attestation, predicateType: vuln, maxAge: 0s, trustPolicies: []}]");
    assert!(age[0].contains("verifiers[0].maxAge: must be at least 1s"), "{age:?}");
}

#[test]
fn the_full_sample_says_the_defaults() {
    let text = include_str!("../../config/full.yaml");
    let config = parse(text).unwrap();
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.tenancy, Tenancy::default());
    assert_eq!(config.server.provider_timeout, server::config::ProviderTimeout::default());
    assert_eq!(config.server.tls.unwrap().key.unwrap(), Path::new("/base/tls/tls.key"));
    assert_eq!(config.stores.len(), 2);
    assert_eq!(
        config.verifiers.iter().map(|verifier| &*verifier.name).collect::<Vec<_>>(),
        ["notary", "build", "qa", "security"]
    );
}

#[test]
fn pull_secrets_need_the_section_that_names_a_cluster() {
    let text = include_str!("../../config/cluster.yaml");
    let (before, rest) = text.split_once("kubernetes:  ").unwrap();
    let (_, after) = rest.split_once("\nstores:").unwrap();
    let without = format!("{before}\nstores:{after}").replace("  tls:", "  plainHttp: true\n  other:");
    let found = faults(&without);
    let told = "stores[0].hosts[\"*\"].credentials: pullSecrets and serviceAccount need the section `kubernetes`";
    assert!(found.iter().any(|fault| fault.contains(told)), "{found:?}");
    assert!(parse(text).is_ok());
}

#[test]
fn documents_are_read_apart_with_the_lines_of_their_file() {
    let text = "# first\na: 1\n---\n# only a comment\n---\nb:\n  c: |\n    ---\n---\nd: [1\n";
    let error = documents(text).unwrap_err();
    assert!(error.contains("line 1"), "{error}");
    let whole = documents(&text.replace("[1", "1")).unwrap();
    assert_eq!(
        whole,
        [serde_json::json!({ "a": 1 }), serde_json::json!({ "b": { "c": "---\n" } }), serde_json::json!({ "d": 1 })]
    );
    assert_eq!(documents("---\n---\n# x\n"), Ok(Vec::new()));
    assert!(documents("a: 1\na: 2\n").unwrap_err().contains("line 2"));
    assert!(documents("---\nb: 1\n---\na: !!int 1\n").unwrap_err().contains("line 4"));
}

#[test]
fn the_cluster_sample_says_the_defaults_and_never_stands_beside_files() {
    let text = include_str!("../../config/cluster.yaml");
    let kubernetes = parse(text).unwrap().kubernetes.unwrap();
    assert_eq!(kubernetes.certificates, Some(kubernetes::config::Certificates::default()));
    assert_eq!(parse(GOOD).unwrap().kubernetes, None, "nobody is contacted who was not named");
    let name = "    clientName: gatekeeper-webhook-service.gatekeeper-system.svc\n";
    for (field, more, fault) in [
        (
            "certificate",
            "    certificate: tls.crt\n",
            "line 5: server.tls.certificate: stands beside kubernetes.certificates: choose one",
        ),
        ("key", "    key: tls.key\n", "line 5: server.tls.key: stands beside kubernetes.certificates: choose one"),
        (
            "clientCa",
            "    clientCa: ca.crt\n",
            "line 5: server.tls.clientCa: stands beside kubernetes.clientCaSecret: choose one",
        ),
    ] {
        assert_eq!(faults(&text.replace(name, &format!("{more}{name}"))), [fault], "{field}");
    }
    let without = |line: &str| faults(&text.replace(line, ""));
    assert_eq!(
        without(
            "  clientCaSecret: gatekeeper-webhook-server-cert   # its ca.crt; followed when Gatekeeper rotates it\n"
        )
        .len(),
        2,
        "clientCa is missing, and clientName means nothing"
    );
    let short = faults(&text.replace("overlap: 1h ", "overlap: 1s "));
    assert!(
        short.len() == 1 && short[0].starts_with("line 18: kubernetes.certificates.overlap: must be 1m to"),
        "{short:?}"
    );
    let unknown = faults(&text.replace("    lease: ", "    leese: "));
    assert!(unknown.len() == 1 && unknown[0].ends_with("did you mean `lease`?"), "{unknown:?}");
}

#[test]
fn the_sample_of_plugins_is_valid_and_says_the_defaults() {
    let config = parse(include_str!("../../config/plugins.yaml")).unwrap();
    let VerifierKind::Exec(exec) = &config.verifiers[0].kind else { panic!("another verifier") };
    assert_eq!(exec.faults().len(), 0, "{:?}", exec.faults());
    assert_eq!(exec.limits, exec::config::Limits::default());
    let pinned = exec::Config::of_command("licence-check", &exec.pin().unwrap());
    assert_eq!((exec.timeout, exec.max_artifacts), (pinned.timeout, pinned.max_artifacts));
    assert_eq!(config.plugins.work_directory(), exec::config::HostConfig::default().work_directory());
}

// PLG-10
#[test]
fn values_of_plugins_variables_are_in_no_fault() {
    let text =
        "verifiers: [{name: a, type: exec, command: a, sha256: b, artifactTypes: [c], environment: {PLAIN: 1234567}}]";
    let said: Vec<String> = parse(text).unwrap_err().iter().map(ToString::to_string).collect();
    assert!(said.iter().any(|fault| fault.contains("verifiers[0].environment.PLAIN")), "{said:?}");
    assert!(!said.iter().any(|fault| fault.contains("1234567")), "{said:?}");
}

#[test]
fn json_is_read_as_well() {
    let json = document::parse(GOOD).unwrap().to_value();
    assert!(parse(&json.to_string()).is_ok());
    assert!(parse(&serde_json::to_string_pretty(&json).unwrap()).is_ok());
}

#[test]
fn the_environment_sets_scalars_and_its_faults_name_the_variable() {
    let load = |variables: [(&str, &str); 2]| Config::parse(GOOD, Path::new("."), &Process::of(variables));
    let config = load([
        ("COUNTERSIGN__SERVER__ADDRESS", "127.0.0.1:7001"),
        ("COUNTERSIGN__SERVER__PROVIDER_TIMEOUT__VERIFY", "3s"),
    ])
    .unwrap();
    assert_eq!(config.server.address.port(), 7001);
    assert_eq!(config.server.provider_timeout.verify, Duration::from_secs(3));
    assert!(load([("COUNTERSIGN_PORT", "tcp://10.0.0.1:6001"), ("COUNTERSIGN_SERVICE_HOST", "10.0.0.1")]).is_ok());
    let wrong = load([("COUNTERSIGN__SERVER__ADRESS", "x"), ("COUNTERSIGN__LIMITS__KEYS", "many")]).unwrap_err();
    let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[0].starts_with("environment variable COUNTERSIGN__SERVER__ADRESS: server.adress: unknown field"));
    assert!(wrong[0].ends_with("did you mean `address`?"), "{}", wrong[0]);
    assert!(wrong[1].starts_with("environment variable COUNTERSIGN__LIMITS__KEYS: limits.keys: invalid type"));
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let text = "\
server: { adress: '0.0.0.0:1', plainHttp: true }
tenancy: { enabled: 'yes' }
stores:
- { name: a, type: registry, hosts: { h.example: { cas: x } } }
- { name: a, type: registri, hosts: {} }
verifiers:
- { name: v, type: notation, trustPolicy: p, trustStore: s, bogus: 1 }
policies:
- { scopes: ['**'], require: w }
- { scopes: ['a**b**'], require: v }
limits: { keys: 0, verdictTtl: '-1s' }
telemtry: {}
";
    let found = faults(text);
    for expected in [
        "line 12: telemtry: unknown section",
        "did you mean `telemetry`?",
        "line 1: server.adress: unknown field `adress`",
        "line 2: tenancy.enabled: invalid type: string \"yes\", expected a boolean",
        "line 4: stores[0].hosts.h.example.cas: unknown field `cas`",
        "line 5: stores[1].name: the name \"a\" stands twice",
        "line 5: stores[1].type: unknown type \"registri\"",
        "did you mean `registry`?",
        "line 7: verifiers[0].bogus: unknown field `bogus`",
        "line 9: policies[0].require: no verifier is named \"w\"",
        "line 10: policies[1].scopes[0]: ",
        "line 11: limits.verdictTtl: a duration is a whole number and a unit",
    ] {
        assert!(found.iter().any(|fault| fault.contains(expected)), "{expected}: {found:#?}");
    }
}

/// The rows of `threats.md` 4.8 that one text can show. Each is refused whole, and says where and why.
#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn each_fault_of_the_catalogue_is_refused_and_named() {
    for (name, text, expected) in [
        ("CFG-01 empty", String::new(), "the file is empty"),
        ("CFG-02 a list", "[a]".into(), "a configuration is a map of sections"),
        ("CFG-02 a word", "configuration".into(), "a configuration is a map of sections"),
        ("CFG-03 duplicate section", format!("{GOOD}\nserver: {{}}\n"), "key \"server\" stands twice"),
        ("CFG-04 level", with("server", "{ tls: { certificat: a } }"), "did you mean `certificate`?"),
        ("CFG-04 section", format!("{GOOD}\npolicie: []\n"), "did you mean `policies`?"),
        ("CFG-05 no stores", with("stores", "[]"), "stores: needs at least one element"),
        ("CFG-05 null stores", with("stores", "~"), "stores: must be a list"),
        ("CFG-05 no verifiers", with("verifiers", "[]"), "verifiers: needs at least one element"),
        ("CFG-05 no policies", with("policies", "[]"), "policies: needs at least one element"),
        ("CFG-05 nothing at all", "server: {}".into(), "stores: needs at least one element"),
        ("CFG-05 no hosts", with("stores", "[{name: a, type: registry, hosts: {}}]"), "names no host"),
        ("CFG-05 no hosts", with("stores", "[{name: a, type: layout, path: d, hosts: []}]"), "names no host"),
        (
            "CFG-07 threshold 0",
            with("policies", "[{scopes: ['**'], require: {atLeast: 0, of: [notary]}}]"),
            "`atLeast` is 0",
        ),
        (
            "CFG-07 threshold > n",
            with("policies", "[{scopes: ['**'], require: {atLeast: 2, of: [notary]}}]"),
            "`atLeast` is 2",
        ),
        (
            "CFG-07 negative",
            with("policies", "[{scopes: ['**'], require: {atLeast: -1, of: [notary]}}]"),
            "policies[0]",
        ),
        ("CFG-07 empty any", with("policies", "[{scopes: ['**'], require: {any: []}}]"), "the list is empty"),
        (
            "CFG-07 two ways",
            with("policies", "[{scopes: ['**'], require: {any: [notary], all: [notary]}}]"),
            "policies[0]",
        ),
        ("CFG-07 no scope", with("policies", "[{scopes: [], require: notary}]"), "policies[0].scopes"),
        ("CFG-07 scope twice", with("policies", "[{scopes: ['**', '**'], require: notary}]"), "stands at"),
        (
            "CFG-07 unknown name",
            with("policies", "[{scopes: ['**'], require: notari}]"),
            "no verifier is named \"notari\"",
        ),
        (
            "CFG-07 host twice",
            with("stores", "[{name: a, type: registry, hosts: {h.example: {}, H.example: {}}}]"),
            "stands twice",
        ),
        (
            "CFG-07 host in two stores",
            with(
                "stores",
                "[{name: a, type: registry, hosts: {'*': {}}}, {name: b, type: layout, path: d, hosts: ['*']}]",
            ),
            "host \"*\" stands twice",
        ),
        ("CFG-07 plain HTTP for all", with("server", "{ plainHttp: true, address: '0.0.0.0:1' }"), "loopback"),
        ("CFG-07 no TLS", with("server", "{}"), "server.tls"),
        ("CFG-09 number", with("server", "{ providerTimeout: { verify: 5 } }"), "server.providerTimeout.verify"),
        ("CFG-09 negative", with("server", "{ providerTimeout: { verify: -1s } }"), "server.providerTimeout.verify"),
        ("CFG-09 exponent", with("server", "{ providerTimeout: { verify: 1e9h } }"), "server.providerTimeout.verify"),
        ("CFG-09 zero", with("limits", "{ keys: 0 }"), "limits.keys: must be 1 to"),
        ("CFG-09 negative size", with("limits", "{ requestBytes: -1 }"), "limits.requestBytes"),
        ("CFG-09 unit of size", with("limits", "{ requestBytes: 10XB }"), "limits.requestBytes"),
        ("CFG-09 nested", with("limits", "{ registry: { pages: 0 } }"), "limits.registry.pages"),
        ("layout host", with("stores", "[{name: a, type: layout, path: d, hosts: ['a b']}]"), "is no host"),
        ("type missing", with("verifiers", "[{name: a}]"), "verifiers[0]: missing field `type`"),
    ] {
        let found = faults(&text);
        assert!(found.iter().any(|fault| fault.contains(expected)), "{name}: {found:#?}");
    }
    assert!(parse(&with("policies", "[{scopes: ['**'], require: {atLeast: 1, of: [notary]}}]")).is_ok());
    assert!(parse(&with("limits", "{ keys: 1 }")).is_ok());
}

// CFG-14
#[test]
fn ten_thousand_policies_are_read_in_time() {
    let policies: Vec<String> =
        (0..10_000).map(|n| format!("{{scopes: ['r.example/p{n}/**'], require: notary}}")).collect();
    let text = with("policies", &format!("[{}]", policies.join(", ")));
    assert_eq!(parse(&text).unwrap().policies.len(), 10_000);
}

// CFG-01
#[cfg(unix)]
#[test]
fn what_is_no_readable_file_is_refused_with_its_path() {
    use std::os::unix::fs::symlink;

    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let load = |name: &str| Config::load(&at(name), &Process::default()).unwrap_err();
    assert!(matches!(load("missing"), ConfigError::Unreadable { .. }));
    assert!(crate::reason::chain(&load("missing")).contains("missing cannot be read: "));
    fs::create_dir(at("directory")).unwrap();
    assert!(matches!(load("directory"), ConfigError::NoFile { .. }));
    symlink(at("loop"), at("loop")).unwrap();
    assert!(matches!(load("loop"), ConfigError::Unreadable { .. }));
    let fifo = std::process::Command::new("mkfifo").arg(at("fifo")).status();
    if fifo.is_ok_and(|status| status.success()) {
        assert!(matches!(load("fifo"), ConfigError::NoFile { .. }), "and does not wait for a writer");
    }
    fs::write(at("latin1"), b"server: \xe4").unwrap();
    assert!(matches!(load("latin1"), ConfigError::Invalid { .. }));
    fs::write(at("empty"), "").unwrap();
    assert!(matches!(load("empty"), ConfigError::Invalid { .. }));

    let padded = |size: usize| format!("{GOOD}#{}", "x".repeat(size - GOOD.len() - 1));
    let limit = usize::try_from(MAX_FILE_BYTES).unwrap();
    fs::write(at("largest"), padded(limit)).unwrap();
    assert!(Config::load(&at("largest"), &Process::default()).is_ok());
    fs::write(at("larger"), padded(limit + 1)).unwrap();
    assert!(matches!(load("larger"), ConfigError::TooLarge { .. }));
}

#[test]
fn an_error_lists_its_faults_one_a_line() {
    let error = ConfigError::Invalid {
        file: "a.yaml".into(),
        faults: vec![Fault::new("x", "is wrong").at(Origin::Line(3)), Fault::new("y", "too\u{1b}")],
    };
    assert_eq!(error.to_string(), "configuration a.yaml is not valid\n  line 3: x: is wrong\n  y: too\\u{1b}");
    assert_eq!(error.faults()[0].line(), Some(3));
    assert_eq!((error.faults()[0].path(), error.faults()[0].message()), ("x", "is wrong"));
}

#[test]
fn decision_records_are_chosen_at_the_root() {
    let chosen = |line: &str| {
        let text = format!("{}\n{line}\n", include_str!("../../config/minimal.yaml"));
        Config::parse(&text, Path::new("."), &Process::default()).map(|config| config.telemetry.decision_log)
    };
    assert_eq!(chosen("").unwrap(), telemetry::DecisionLog::All);
    assert_eq!(chosen("decisionLog: denials").unwrap(), telemetry::DecisionLog::Denials);
    assert_eq!(chosen("decisionLog: none").unwrap(), telemetry::DecisionLog::None);
    assert!(chosen("decisionLog: some").is_err());
    assert!(chosen("telemetry: { decisionLog: all }").is_err());
}

/// Each scalar of a document, by its JSON pointer.
fn scalars(value: &serde_json::Value, at: &str, found: &mut Vec<String>) {
    use serde_json::Value;
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| scalars(item, &format!("{at}/{index}"), found));
        }
        Value::Object(members) => members.iter().for_each(|(name, member)| {
            scalars(member, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), found);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => found.push(at.to_owned()),
    }
}

// CFG-08: no field is read and dropped: changed, it is another configuration, or none.
#[test]
fn every_field_of_the_full_sample_matters() {
    use serde_json::Value;
    let good = document::parse(include_str!("../../config/full.yaml")).unwrap().to_value();
    let said = |value: &Value| {
        let config = parse(&value.to_string())?;
        let mut said = format!("{config:?}");
        // Credentials are silent about themselves, and so asked by name.
        for store in &config.stores {
            if let StoreKind::Registry(registry) = &store.kind {
                let files =
                    registry.hosts.values().filter_map(|host| host.credentials.as_ref()?.docker_config.as_ref());
                said.extend(files.map(|file| file.display().to_string()));
            }
        }
        Ok::<_, Vec<Fault>>(said)
    };
    let before = said(&good).unwrap();
    let mut fields = Vec::new();
    scalars(&good, "", &mut fields);
    assert!(fields.len() > 80, "{}", fields.len());
    let mut accepted = 0;
    for field in &fields {
        let mut changed = good.clone();
        let value = changed.pointer_mut(field).unwrap();
        *value = match &*value {
            Value::Bool(flag) => Value::Bool(!flag),
            Value::Number(number) => Value::from(number.as_u64().unwrap() - 1),
            Value::String(text) => Value::from(match text.as_str() {
                // Words of closed sets: the other one.
                "json" => "text".to_owned(),
                "info" => "warn".to_owned(),
                "all" => "none".to_owned(),
                text if text.strip_suffix(['s', 'h']).is_some_and(|n| n.parse::<u64>().is_ok()) => "7s".to_owned(),
                text if text.contains(":60") || text.contains(":88") => text.replace("0:", "1:"),
                text => format!("{text}x"),
            }),
            Value::Null | Value::Array(_) | Value::Object(_) => panic!("{field}"),
        };
        if let Ok(after) = said(&changed) {
            assert!(after != before, "{field} is read and has no effect");
            accepted += 1;
        }
    }
    assert!(accepted * 4 > fields.len() * 3, "{accepted} of {}: most changes are another configuration", fields.len());
}
