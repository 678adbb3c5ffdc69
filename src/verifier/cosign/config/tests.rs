use std::{fs, num::NonZeroUsize};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::{
    crypto::testing::{self, ca, leaf},
    oci::Repository,
    reason,
    verifier::cosign::{
        identity::Authorities,
        policy::{Demands, Trust, TrustPolicy, applicable},
        root::Profile,
    },
};

const P256: &str = include_str!("../vectors/keys/p256.pem");
const ED25519: &str = include_str!("../vectors/keys/ed25519.pem");

fn somebody() -> Value {
    json!([{"issuer": "https://accounts.acme.example", "subject": "release@acme.example"}])
}

fn keyed() -> Value {
    json!({"name": "keyed", "scopes": ["**"], "keys": [{"pem": P256}], "ignoreTlog": true})
}

fn keyless() -> Value {
    json!({"name": "keyless", "scopes": ["**"], "identities": somebody(), "trustedRoot": "public-good"})
}

/// `base`, with `changes` written over it; `null` takes a member away.
fn with(base: &Value, changes: Value) -> Value {
    let (mut base, Value::Object(changes)) = (base.clone(), changes) else { panic!("no object") };
    for (name, value) in changes {
        if value.is_null() {
            base.as_object_mut().unwrap().remove(&name);
        } else {
            base[name] = value;
        }
    }
    base
}

fn read(policies: &[Value]) -> Config {
    serde_json::from_value(json!({"trustPolicies": policies})).unwrap()
}

fn compiled(policy: &Value, base: &Path) -> Compiled {
    read(std::slice::from_ref(policy)).compile(base).unwrap_or_else(|faults| panic!("{policy}: {faults:?}"))
}

fn only(policy: &Value) -> TrustPolicy {
    compiled(policy, Path::new(".")).policies.remove(0)
}

fn told(faults: &[ConfigFault]) -> Vec<(String, String)> {
    faults.iter().map(|fault| (fault.path().to_owned(), reason::chain(fault))).collect()
}

fn faults(config: &Config) -> Vec<(String, String)> {
    told(&config.compile(Path::new(".")).expect_err("a fault"))
}

#[test]
fn defaults_are_the_issues_and_unknown_members_are_refused() {
    let config = read(&[keyed()]);
    assert_eq!((config.max_signature_attempts, config.max_bundle_bytes), (100, 1 << 20));
    assert_eq!(config.signature_format, SignatureFormat::Any);
    let attested: AttestationConfig =
        serde_json::from_value(json!({"predicateType": "vuln", "trustPolicies": [keyed()]})).unwrap();
    assert_eq!((attested.max_signature_attempts, attested.max_bundle_bytes), (100, 16 << 20));
    assert_eq!((attested.select, attested.max_age), (Select::Any, None));
    for value in [
        json!({}),
        json!({"trustPolicies": [], "tlog": true}),
        json!({"trustPolicies": [with(&keyed(), json!({"ignoreTLog": true}))]}),
        json!({"trustPolicies": [with(&keyed(), json!({"scopes": null}))]}),
        json!({"trustPolicies": [with(&keyed(), json!({"name": null}))]}),
        json!({"trustPolicies": [with(&keyed(), json!({"tlogThreshold": -1}))]}),
        json!({"trustPolicies": [with(&keyed(), json!({"ignoreTlog": "true"}))]}),
        json!({"trustPolicies": [with(&keyed(), json!({"keys": [{"pem": P256, "hashAlgorithm": "sha1"}]}))]}),
        json!({"trustPolicies": [with(&keyed(), json!({"keys": [{"pem": P256, "validFor": {"end": "2026-01-01T00:00:00Z"}}]}))]}),
        json!({"trustPolicies": [with(&keyed(), json!({"matchRepository": true}))]}),
        json!({"trustPolicies": [keyed()], "signatureFormat": "new"}),
        json!({"trustPolicies": [keyed()], "predicateType": "vuln"}),
    ] {
        assert!(serde_json::from_value::<Config>(value.clone()).is_err(), "{value}");
    }
    for (member, value) in [("maxAge", "0s"), ("maxAge", "7d"), ("maxAge", "999999999h"), ("select", "first")] {
        let value = json!({"predicateType": "vuln", "trustPolicies": [keyed()], member: value});
        assert!(serde_json::from_value::<AttestationConfig>(value.clone()).is_err(), "{value}");
    }
}

#[test]
fn what_evidence_must_show_is_what_the_issue_says() {
    let one = NonZeroUsize::new(1);
    let demands = |logs, scts, signed_timestamps, observer_timestamps, current_time| Demands {
        logs,
        scts,
        signed_timestamps,
        observer_timestamps,
        current_time,
    };
    let own_now = own_now();
    for (case, policy, expected) in [
        (
            "keys",
            with(&keyed(), json!({"ignoreTlog": null, "trustedRoot": "public-good"})),
            demands(one, None, 0, 0, false),
        ),
        ("keys without a log (R59)", keyed(), demands(None, None, 0, 0, false)),
        (
            "keys with a time",
            with(&keyed(), json!({"ignoreTlog": false, "trustedRoot": "staging", "observerTimestampThreshold": 1})),
            demands(one, None, 0, 1, false),
        ),
        ("keyless", keyless(), demands(one, one, 0, 1, false)),
        (
            "keyless without log and SCT",
            with(&keyless(), json!({"ignoreTlog": true, "ignoreSct": true})),
            demands(None, None, 0, 1, false),
        ),
        (
            "keyless under a timestamp",
            with(
                &keyless(),
                json!({"ignoreTlog": true, "signedTimestampThreshold": 1, "observerTimestampThreshold": 0}),
            ),
            demands(None, one, 1, 0, false),
        ),
        (
            "two of each",
            with(
                &keyless(),
                json!({"tlogThreshold": 2, "sctThreshold": 2, "signedTimestampThreshold": 2, "observerTimestampThreshold": 2}),
            ),
            demands(NonZeroUsize::new(2), NonZeroUsize::new(2), 2, 2, false),
        ),
        ("own authority at the present", own_now.clone(), demands(None, None, 0, 0, true)),
        (
            "own authority in the log of an instance",
            with(&own_now, json!({"trustedRoot": "public-good", "useCurrentTime": null, "ignoreTlog": null})),
            demands(one, None, 0, 1, false),
        ),
    ] {
        assert_eq!(only(&policy).demands, expected, "{case}");
    }
}

fn own_now() -> Value {
    let own = json!({
        "caRoots": [{"pem": own_ca()}], "useCurrentTime": true, "trustedRoot": null, "ignoreTlog": true, "ignoreSct": true,
    });
    with(&keyless(), own)
}

fn log_keyed() -> Value {
    with(&keyed(), json!({"ignoreTlog": null, "trustedRoot": "public-good"}))
}

/// Each refused twin has one thing changed in a policy that is good.
fn refused(cases: &[(&Value, Value, &str, &str)]) {
    for (base, changes, member, part) in cases {
        only(base);
        let found = faults(&read(&[with(base, changes.clone())]));
        let member = format!("trustPolicies[0].{member}");
        assert!(found.iter().any(|(at, said)| *at == member && said.contains(part)), "{changes}: {found:?}");
    }
}

#[test]
fn none_is_written_as_a_switch_only() {
    refused(&[
        (&keyless(), json!({"tlogThreshold": 0}), "tlogThreshold", "write `ignoreTlog: true`"),
        (&keyless(), json!({"sctThreshold": 0}), "sctThreshold", "write `ignoreSct: true`"),
        (&log_keyed(), json!({"tlogThreshold": 0}), "tlogThreshold", "write `ignoreTlog: true`"),
        (&keyless(), json!({"tlogThreshold": 1, "ignoreTlog": true}), "tlogThreshold", "beside `ignoreTlog`"),
        (&keyless(), json!({"sctThreshold": 1, "ignoreSct": true}), "sctThreshold", "beside `ignoreSct`"),
        (&keyless(), json!({"tlogThreshold": 33}), "tlogThreshold", "is 33, the limit is 32"),
        (&keyless(), json!({"signedTimestampThreshold": 33}), "signedTimestampThreshold", "the limit is 32"),
    ]);
}

// R57, R59, R62
#[test]
fn what_keys_need_and_what_means_nothing_beside_them() {
    refused(&[
        (&keyed(), json!({"ignoreTlog": null}), "trustedRoot", "or `ignoreTlog: true`"),
        (&keyed(), json!({"ignoreTlog": false}), "trustedRoot", "or `ignoreTlog: true`"),
        (&keyed(), json!({"keys": []}), "keys", "nobody would be believed"),
        (&keyed(), json!({"identities": somebody()}), "identities", "beside `keys`"),
        (&keyed(), json!({"caRoots": [{"pem": own_ca()}]}), "caRoots", "beside `keys`"),
        (&keyed(), json!({"useCurrentTime": true}), "useCurrentTime", "beside `keys`"),
        (&keyed(), json!({"sctThreshold": 1}), "sctThreshold", "beside `keys`"),
        (&keyed(), json!({"ignoreSct": true}), "ignoreSct", "beside `keys`"),
        (&keyed(), json!({"signedTimestampThreshold": 1}), "signedTimestampThreshold", "`trustedRoot`"),
        (&keyed(), json!({"observerTimestampThreshold": 1}), "observerTimestampThreshold", "`trustedRoot`"),
        (
            &keyed(),
            json!({"keys": [{"pem": P256, "validFor": {"start": "2026-01-01T00:00:00Z"}}]}),
            "keys[0].validFor",
            "for a verified time",
        ),
        (
            &log_keyed(),
            json!({"keys": [{"pem": P256, "validFor": {"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}}]}),
            "keys[0].validFor",
            "ends before it starts",
        ),
        (&keyed(), json!({"keys": [{}]}), "keys[0]", "`file` or `pem` is needed"),
        (&keyed(), json!({"keys": [{"pem": P256, "file": "x"}]}), "keys[0].pem", "beside `file`"),
        (&keyed(), json!({"keys": [{"file": "gone.pub"}]}), "keys[0].file", "gone.pub cannot be read"),
        (&keyed(), json!({"keys": [{"file": "."}]}), "keys[0].file", "not a regular file"),
        // COS-37
        (&keyed(), json!({"keys": [{"pem": ""}]}), "keys[0].pem", "the key cannot be used"),
        (&keyed(), json!({"keys": [{"pem": format!("{P256}{P256}")}]}), "keys[0].pem", "2 PEM blocks"),
        (&keyed(), json!({"keys": [{"pem": ED25519, "hashAlgorithm": "sha512"}]}), "keys[0].pem", "Ed25519"),
    ]);
}

// R71, R76, COS-29
#[test]
fn what_certificates_need() {
    let own = own_now();
    refused(&[
        (&keyless(), json!({"identities": null}), "identities", "is needed"),
        (&keyless(), json!({"identities": []}), "identities", "nobody would be believed"),
        (&keyless(), json!({"identities": [{"issuer": "i"}]}), "identities[0].subject", "is needed"),
        (&keyless(), json!({"identities": [{"issuer": "", "subject": "s"}]}), "identities[0].issuer", "empty"),
        (&keyless(), json!({"trustedRoot": null}), "trustedRoot", "or `caRoots`"),
        (&keyless(), json!({"trustedRoot": {"file": "gone.json"}}), "trustedRoot.file", "cannot be read"),
        (&keyless(), json!({"trustedRoot": ["staging", {"inline": "{}"}]}), "trustedRoot[1].inline", ""),
        (&keyless(), json!({"observerTimestampThreshold": 0}), "observerTimestampThreshold", "no time is demanded"),
        (&keyless(), json!({"useCurrentTime": true}), "useCurrentTime", "own authority (`caRoots`) only"),
        (&keyless(), json!({"caIntermediates": [{"pem": own_ca()}]}), "caRoots", "beside `caIntermediates`"),
        (
            &own,
            json!({"useCurrentTime": false, "observerTimestampThreshold": 0}),
            "observerTimestampThreshold",
            "or useCurrentTime",
        ),
        (&own, json!({"ignoreTlog": null}), "trustedRoot", "or `ignoreTlog: true`"),
        (&own, json!({"ignoreSct": null}), "trustedRoot", "or `ignoreSct: true`"),
        (&own, json!({"signedTimestampThreshold": 1}), "signedTimestampThreshold", "`trustedRoot`"),
        (&own, json!({"caRoots": []}), "caRoots", "nobody would be believed"),
        (&own, json!({"caRoots": [{"pem": P256}]}), "caRoots[0].pem", "the certificates cannot be used"),
        (&own, json!({"caRoots": [{"pem": own_leaf()}]}), "caRoots[0].pem", "is no certificate authority"),
        (&own, json!({"caIntermediates": [{"pem": own_ca_of("stranger")}]}), "caIntermediates", "was issued by none"),
    ]);
    let nothing = with(&keyed(), json!({"keys": null}));
    assert!(faults(&read(&[nothing]))[0].1.contains("`keys`, or this with `trustedRoot` or `caRoots`"));
}

#[test]
fn a_policy_has_a_name_and_places_of_its_own() {
    refused(&[
        (&keyed(), json!({"name": " "}), "name", "is empty"),
        (&keyed(), json!({"name": "a\nb"}), "name", "control character"),
        (&keyed(), json!({"scopes": []}), "scopes", "hold nowhere"),
        (&keyed(), json!({"scopes": ["ghcr.io"]}), "scopes[0]", "host only"),
        (
            &keyed(),
            json!({"scopes": ["a.io/b", "a.io/b"]}),
            "scopes[1]",
            "stands at trustPolicies[0].scopes[0] already",
        ),
        (&keyed(), json!({"annotations": {"": "x"}}), "annotations", "is empty"),
    ]);
}

#[test]
fn all_faults_of_all_policies_are_told() {
    let two = read(&[
        with(&keyed(), json!({"keys": [{"pem": "x"}, {"file": "gone"}], "useCurrentTime": true})),
        with(
            &keyless(),
            json!({"name": "keyed", "tlogThreshold": 0, "identities": [{"issuer": "i"}, {"subject": ""}]}),
        ),
    ]);
    let config = Config { max_signature_attempts: 0, max_bundle_bytes: 0, ..two };
    let paths: Vec<String> = faults(&config).into_iter().map(|(path, _)| path).collect();
    assert_eq!(
        paths,
        [
            "maxSignatureAttempts",
            "maxBundleBytes",
            "trustPolicies[0].useCurrentTime",
            "trustPolicies[0].keys[0].pem",
            "trustPolicies[0].keys[1].file",
            "trustPolicies[1].name",
            "trustPolicies[1].scopes[0]",
            "trustPolicies[1].identities[0].subject",
            "trustPolicies[1].identities[1].issuer",
            "trustPolicies[1].identities[1].subject",
            "trustPolicies[1].tlogThreshold",
        ]
    );
    assert_eq!(faults(&read(&[]))[0], ("trustPolicies".to_owned(), "is empty; nobody would be believed".to_owned()));
}

#[test]
fn lists_are_bounded() {
    let of = |count: usize| read(&[with(&keyed(), json!({"keys": vec![json!({"pem": P256}); count]}))]);
    assert!(of(256).compile(Path::new(".")).is_ok());
    assert!(faults(&of(257))[0].1.contains("has 257 elements, the limit is 256"));
    let policies = |count: usize| {
        let named =
            (0..count).map(|i| with(&keyed(), json!({"name": format!("p{i}"), "scopes": [format!("a.io/p{i}")]})));
        read(&named.collect::<Vec<_>>())
    };
    assert!(policies(1000).compile(Path::new(".")).is_ok());
    assert!(faults(&policies(1001))[0].1.contains("the limit is 1000"));
}

// R55, R58, R62
#[test]
fn keys_are_read_from_files_and_text_with_their_hash_and_window() {
    let base = TempDir::new().unwrap();
    fs::write(base.path().join("cosign.pub"), P256).unwrap();
    let window = json!({"start": "2026-01-01T00:00:00Z", "end": "2026-06-01T00:00:00Z"});
    let keys = json!([{"file": "cosign.pub", "hashAlgorithm": "sha384", "validFor": window}, {"pem": ED25519}]);
    let policy = with(&keyed(), json!({"keys": keys, "trustedRoot": "public-good"}));
    let config = read(&[policy]);
    assert_eq!(config.files(), [Path::new("cosign.pub")]);
    let Trust::Keys { keys, roots } = config.compile(base.path()).unwrap().policies.remove(0).trust else {
        panic!("keys")
    };
    assert_eq!((keys[0].name.as_str(), keys[0].hash), ("cosign.pub", Some(HashAlgorithm::Sha384)));
    assert_eq!(keys[0].window.unwrap().end, Some(time::macros::datetime!(2026-06-01 0:00 UTC)));
    assert_eq!((keys[1].name.as_str(), keys[1].hash, keys[1].window), ("trustPolicies[0].keys[1]", None, None));
    assert_eq!(roots.len(), 1);

    fs::write(base.path().join("cosign.pub"), vec![b' '; 16 * 1024 + 1]).unwrap();
    let found = told(&config.compile(base.path()).unwrap_err());
    assert!(found[0].1.contains("has more than 16384 bytes"), "{found:?}");
}

#[test]
fn each_root_of_a_list_stays_whole() {
    let policy = only(&with(&keyless(), json!({"trustedRoot": ["public-good", "github"]})));
    let Trust::Certificates { roots, authorities, .. } = policy.trust else { panic!("certificates") };
    assert_eq!(authorities, Authorities::Instance);
    let profiles: Vec<_> = roots.iter().map(|root| (root.name.as_str(), root.profile)).collect();
    assert_eq!(profiles, [("public-good", Profile::Sigstore), ("github", Profile::GitHub)], "R98");
}

// R99
#[test]
fn an_own_authority_takes_the_place_of_an_instances() {
    let chain = testing::chain(&[ca("issuing", Some(0)), ca("middle", Some(1)), ca("root", None)]);
    let [issuing, middle, root] = chain.der.as_slice() else { panic!("three") };
    let policy = with(
        &keyless(),
        json!({
            "trustedRoot": ["public-good", "github"],
            "caRoots": [{"pem": pem(root)}],
            "caIntermediates": [{"pem": format!("{}{}", pem(issuing), pem(middle))}],
        }),
    );
    let Trust::Certificates { roots, authorities, .. } = only(&policy).trust else { panic!("certificates") };
    assert_eq!(authorities, Authorities::Own);
    assert_eq!(roots.len(), 2);
    for root in &roots {
        assert!(!root.timestamp_authorities.is_empty());
        // R98: a profile waives what no policy waived; it is for the instance's own certificates.
        assert_eq!(root.profile, Profile::Sigstore);
        let chains: Vec<Vec<_>> = root
            .certificate_authorities
            .iter()
            .map(|authority| {
                authority.chain.iter().map(|certificate| common_name(&certificate.subject().to_text())).collect()
            })
            .collect();
        assert_eq!(chains, [["issuing", "middle", "root"]]);
    }
    assert!(!roots[0].logs.is_empty() && !roots[0].ct_logs.is_empty());
}

// CFG-20 to 24 are oci::scope's; R104
#[test]
fn the_most_specific_policy_decides_and_of_a_tie_all() {
    let policy = |name: &str, scopes: Value| with(&keyed(), json!({"name": name, "scopes": scopes}));
    let compiled = read(&[
        policy("any", json!(["**"])),
        policy("left", json!(["r.io/x*/web", "r.io/xy*/web"])),
        policy("right", json!(["r.io/*y/web"])),
        policy("one", json!(["r.io/a/b"])),
    ])
    .compile(Path::new("."))
    .unwrap();
    for (repository, expected) in [
        ("other.io/a", vec!["any"]),
        ("r.io/a/b", vec!["one"]),
        ("r.io/x1/web", vec!["left"]),
        ("r.io/xyz/web", vec!["left"]),
        ("r.io/xy/web", vec!["left", "right"]),
    ] {
        let found = applicable(&compiled.policies, &Repository::parse(repository).unwrap());
        assert_eq!(found.iter().map(|policy| policy.name.as_str()).collect::<Vec<_>>(), expected, "{repository}");
    }
    assert!(applicable(&compiled.policies[3..], &Repository::parse("r.io/a").unwrap()).is_empty());
}

// R111
#[test]
fn every_weakening_is_said() {
    let said = |policy: &Value| compiled(policy, Path::new(".")).warnings.join("\n");
    assert_eq!(said(&keyed()), "trust policy \"keyed\" asks for no transparency log (ignoreTlog)");
    assert_eq!(said(&with(&keyed(), json!({"ignoreTlog": null, "trustedRoot": "public-good"}))), "");
    assert_eq!(said(&keyless()), "");
    let weak = said(&with(
        &keyless(),
        json!({
            "caRoots": [{"pem": own_ca()}], "useCurrentTime": true, "ignoreTlog": true, "ignoreSct": true,
            "identities": [{"issuerRegExp": ".*", "subjectRegExp": ".*"}],
        }),
    ));
    for part in [
        "asks for no transparency log (ignoreTlog)",
        "asks for no certificate transparency (ignoreSct)",
        "(useCurrentTime)",
        "matches anything by identities[0].issuerRegExp",
        "matches anything by identities[0].subjectRegExp",
    ] {
        assert!(weak.contains(part), "{part}: {weak}");
    }
    assert_eq!(weak.lines().count(), 5, "{weak}");
}

// R10
#[test]
fn another_source_is_a_repository_and_the_beginning_of_a_tag() {
    let of = |source: Value| -> Result<Source, Vec<(String, String)>> {
        let config: Config = serde_json::from_value(json!({"trustPolicies": [keyed()], "source": source})).unwrap();
        config.compile(Path::new(".")).map(|compiled| compiled.source).map_err(|faults| told(&faults))
    };
    assert_eq!(of(json!({})).unwrap(), Source::default());
    let source = of(json!({"repository": "sigs.io/all", "tagPrefix": "team_a-"})).unwrap();
    assert_eq!(source.repository.unwrap().to_string(), "sigs.io/all");
    assert_eq!(source.tag_prefix, "team_a-");
    assert!(of(json!({"tagPrefix": "x".repeat(53)})).is_ok());
    for (source, member) in [
        (json!({"repository": "sigs.io/all:tag"}), "source.repository"),
        (json!({"repository": "https://sigs.io/all"}), "source.repository"),
        (json!({"repository": ""}), "source.repository"),
        (json!({"tagPrefix": "x".repeat(54)}), "source.tagPrefix"),
        (json!({"tagPrefix": "-a"}), "source.tagPrefix"),
        (json!({"tagPrefix": "../a"}), "source.tagPrefix"),
        (json!({"tagPrefix": "a/b"}), "source.tagPrefix"),
    ] {
        assert_eq!(of(source.clone()).unwrap_err()[0].0, member, "{source}");
    }
}

fn attested(changes: Value) -> Result<Compiled, Vec<(String, String)>> {
    let base = json!({"predicateType": "vuln", "trustPolicies": [keyed()]});
    let config: AttestationConfig = serde_json::from_value(with(&base, changes)).unwrap();
    config.compile(Path::new(".")).map_err(|faults| told(&faults))
}

// R39
#[test]
fn a_predicate_type_is_a_uri_or_a_short_name_of_cosigns() {
    for (written, expected) in [
        ("vuln", Some("https://cosign.sigstore.dev/attestation/vuln/v1")),
        ("spdxjson", Some("https://spdx.dev/Document")),
        ("slsaprovenance1", Some("https://slsa.dev/provenance/v1")),
        ("https://acme.example/review/v1", Some("https://acme.example/review/v1")),
        ("urn:acme:review", Some("urn:acme:review")),
        ("", None),
        ("vulns", None),
        ("Vuln", None),
        ("acme.example/review", None),
        ("https:", None),
        (":x", None),
        ("1a:x", None),
        ("https://acme.example/a b", None),
    ] {
        assert_eq!(predicate_type(written).as_deref(), expected, "{written}");
    }
    let Wanted::Attestation { predicate_type, .. } = attested(json!({})).unwrap().wanted else { panic!("attestation") };
    assert_eq!(predicate_type, "https://cosign.sigstore.dev/attestation/vuln/v1");
    let said = attested(json!({"predicateType": "sbom"})).unwrap_err();
    assert!(said[0].0 == "predicateType" && said[0].1.contains("spdxjson"), "{said:?}");
    assert_eq!(read(&[keyed()]).compile(Path::new(".")).unwrap().wanted, Wanted::Signature);
}

#[test]
fn an_age_needs_a_time() {
    let log = json!([with(&keyed(), json!({"ignoreTlog": null, "trustedRoot": "public-good"}))]);
    let own = own_now();
    let stamped = with(&keyed(), json!({"trustedRoot": "public-good", "signedTimestampThreshold": 1}));
    for (case, changes, expected) in [
        ("any, without an age", json!({}), None),
        ("all, without an age", json!({"select": "all"}), None),
        ("an age", json!({"maxAge": "168h"}), Some("maxAge")),
        ("latest", json!({"select": "latest"}), Some("select")),
        ("an age, and the statement's time", json!({"maxAge": "168h", "timeField": "/predicate/at"}), None),
        ("latest, and the statement's time", json!({"select": "latest", "timeField": "/predicate/at"}), None),
        ("an age, and a log", json!({"maxAge": "168h", "trustPolicies": log}), None),
        ("an age, and a timestamp", json!({"maxAge": "168h", "trustPolicies": [stamped]}), None),
        ("an age, keyless", json!({"maxAge": "168h", "trustPolicies": [keyless()]}), None),
        (
            "an age, keyless without a log: a timestamp is demanded",
            json!({"maxAge": "168h", "trustPolicies": [with(&keyless(), json!({"ignoreTlog": true}))]}),
            None,
        ),
        ("the present is no time of signing", json!({"maxAge": "168h", "trustPolicies": [own]}), Some("maxAge")),
        ("no pointer", json!({"timeField": "predicate.at"}), Some("timeField")),
        ("the whole document", json!({"timeField": ""}), Some("timeField")),
        ("a pointer with a bad escape", json!({"timeField": "/a~2"}), Some("timeField")),
        ("a pointer with good ones", json!({"timeField": "/a~1b/~0c/0"}), None),
    ] {
        let found = attested(changes).err().map(|faults| faults[0].0.clone());
        assert_eq!(found.as_deref(), expected, "{case}");
    }
}

#[test]
fn what_only_signatures_have_is_refused_for_attestations() {
    for (changes, member) in [
        (json!({"annotations": {"a": "b"}}), "trustPolicies[0].annotations"),
        (json!({"matchRepository": "strict"}), "trustPolicies[0].matchRepository"),
    ] {
        let policy = with(&keyed(), changes);
        assert_eq!(
            read(std::slice::from_ref(&policy)).compile(Path::new(".")).map(|_| ()).map_err(|f| told(&f)),
            Ok(())
        );
        assert_eq!(attested(json!({"trustPolicies": [policy]})).unwrap_err()[0].0, member);
    }
}

// COS-36
#[test]
fn annotations_and_the_repository_are_handed_on() {
    let policy = only(&with(&keyed(), json!({"annotations": {"build": "42"}, "matchRepository": "strict"})));
    assert_eq!(policy.annotations.get("build").map(String::as_str), Some("42"));
    assert!(policy.match_repository);
    assert!(!only(&keyed()).match_repository);
}

fn pem(der: &[u8]) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
}

fn own_ca_of(name: &str) -> String {
    // Issued by nobody else: a root of its own.
    let chain = testing::chain(&[ca(name, None), ca("nobody's root", None)]);
    if name == "stranger" { pem(&chain.der[0]) } else { pem(&chain.der[1]) }
}

fn own_ca() -> String {
    own_ca_of("own")
}

fn own_leaf() -> String {
    pem(&testing::chain(&[leaf("signer")]).der[0])
}

fn common_name(subject: &str) -> String {
    subject.split(',').find_map(|part| part.trim().strip_prefix("CN=")).unwrap_or(subject).to_owned()
}
