use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::KeyPair;
use serde_json::{Value, json};
use tempfile::TempDir;
use time::macros::datetime;

use super::{
    super::{
        envelope::JWS_MEDIA_TYPE,
        revocation::unasked,
        testing::{self, Signer as TestSigner},
        trust_policy::{TrustPolicyDocument, Verification},
        trust_store::TrustStoreSource,
    },
    *,
};
use crate::crypto::testing::{Chain, ca, chain as issue, chain_with, extension, key, leaf, tlv};

mod timestamp;

const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

/// A signer, whose root is in the stores `ca:acme`, `signingAuthority:acme` and `tsa:acme`; `ca:other` holds another root.
struct World {
    signer: TestSigner,
    dir: TempDir,
    metadata: BTreeMap<String, String>,
    now: OffsetDateTime,
    /// What is known of a timestamp authority's chain.
    authority: fn(&[Certificate]) -> ChainRevocation,
}

impl World {
    fn of(chain: Chain) -> Self {
        let dir = TempDir::new().unwrap();
        let signer = TestSigner::of(chain);
        let world = Self { signer, dir, metadata: BTreeMap::new(), now: NOW, authority: unasked };
        let chain = &world.signer.chain;
        for store in ["ca/acme", "signingAuthority/acme", "tsa/acme"] {
            world.put(store, chain.last().unwrap());
        }
        // The same name with another key (item 47).
        world.put("ca/other", &issue(&[ca("bench root", None)]).der[0]);
        world.put("ca/intermediate", &chain[chain.len().saturating_sub(2)]);
        world.put("ca/junk", b"junk");
        world
    }

    fn put(&self, store: &str, der: &[u8]) {
        let dir = self.dir.path().join("x509").join(store);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("a.cer"), der).unwrap();
    }

    fn new() -> Self {
        Self::of(issue(&[leaf("signer"), ca("intermediate", Some(0)), ca("bench root", None)]))
    }

    /// A good JWS with members of its protected header changed.
    fn envelope(&self, changes: &Value) -> Vec<u8> {
        let mut protected = testing::protected_json();
        for (name, value) in changes.as_object().unwrap() {
            let members = protected.as_object_mut().unwrap();
            if value.is_null() {
                members.remove(name);
            } else {
                members.insert(name.clone(), value.clone());
            }
        }
        self.signer.jws(&protected.to_string(), testing::PAYLOAD).to_string().into_bytes()
    }

    fn verify(&self, policy: Value, envelope: &[u8]) -> Result<Findings, Rejection> {
        self.verify_as(policy, envelope, &subject())
    }

    fn verify_as(&self, policy: Value, envelope: &[u8], subject: &Descriptor) -> Result<Findings, Rejection> {
        self.judge(policy, envelope, subject).map_err(|error| match error {
            VerifyError::Rejected(rejection) => rejection,
            VerifyError::Undecided(undecided) => panic!("{undecided:?}"),
        })
    }

    /// Where nobody can be asked about the revocation of the signer.
    fn judge(&self, policy: Value, envelope: &[u8], subject: &Descriptor) -> Result<Findings, VerifyError> {
        let policy = TrustPolicyDocument::from_statements(&[policy]).unwrap();
        let source = TrustStoreSource::Directory(self.dir.path().to_owned());
        let stores = TrustStores::load(&source, policy.store_names());
        let [statement] = policy.statements() else { panic!() };
        let Verification::Checked(checked) = &statement.verification else { panic!() };
        let limits = Limits::default();
        let (user_metadata, now) = (&self.metadata, self.now);
        let chains = &KnownChains::default();
        let terms = Terms { statement: &statement.name, checked, stores: &stores, chains, user_metadata, limits, now };
        let signed = check_integrity(JWS_MEDIA_TYPE, envelope, &terms)?;
        let mut steps = Steps::make(&signed, &terms)?;
        let dated = steps.date();
        let authority = dated.authority().map(self.authority);
        steps.authentic_timestamp(dated, authority.as_ref())?;
        steps.revocation(&unasked(signed.chain().certificates()))?;
        Ok(steps.conclude(subject)?)
    }
}

fn subject() -> Descriptor {
    let payload: Value = serde_json::from_str(testing::PAYLOAD).unwrap();
    Descriptor::read(&payload["targetArtifact"]).unwrap()
}

fn policy(level: &str, stores: &[&str]) -> Value {
    json!({
        "name": "unit", "registryScopes": ["*"], "signatureVerification": {"level": level},
        "trustStores": stores, "trustedIdentities": ["*"],
    })
}

fn overridden(stores: &[&str], details: Value) -> Value {
    let mut policy = policy("strict", stores);
    policy["signatureVerification"] = details;
    policy
}

fn authority(time: &str) -> Value {
    json!({
        "crit": ["io.cncf.notary.signingScheme", "io.cncf.notary.authenticSigningTime"],
        "io.cncf.notary.signingScheme": "notary.x509.signingAuthority",
        "io.cncf.notary.signingTime": null,
        "io.cncf.notary.authenticSigningTime": time,
    })
}

fn expiring(at: &str) -> Value {
    json!({"crit": ["io.cncf.notary.signingScheme", "io.cncf.notary.expiry"], "io.cncf.notary.expiry": at})
}

/// `check` or `check~code` (logged) or `check-` (skipped).
fn told(findings: &Findings) -> Vec<String> {
    let tell = |(check, outcome): &(Check, Outcome)| match outcome {
        Outcome::Logged(rejection) => format!("{check}~{}", rejection.code()),
        Outcome::Passed => check.to_string(),
        Outcome::Skipped => format!("{check}-"),
    };
    findings.checks.iter().map(tell).collect()
}

fn code(result: Result<Findings, Rejection>) -> Option<(Check, Code)> {
    result.err().map(|rejection| (rejection.check(), rejection.code()))
}

// item 59, item 64
#[test]
fn the_first_enforced_failure_stops_and_logged_ones_are_all_told() {
    let mut world = World::new();
    let good = world.envelope(&json!({}));
    let strict = world.verify(policy("strict", &["ca:acme"]), &good).unwrap();
    assert_eq!(told(&strict), ["integrity", "authenticity", "expiry", "authenticTimestamp", "revocation", "subject"]);

    world.now = datetime!(2040-01-01 0:00 UTC);
    let expired = world.envelope(&expiring("2030-01-01T00:00:00Z"));
    let audit = world.verify(policy("audit", &["ca:other"]), &expired).unwrap();
    let expected = [
        "integrity",
        "authenticity~UNTRUSTED",
        "expiry~EXPIRED",
        "authenticTimestamp~CERT_EXPIRED",
        "revocation",
        "subject",
    ];
    assert_eq!(told(&audit), expected);
    let permissive = world.verify(policy("permissive", &["ca:acme"]), &expired).unwrap();
    assert_eq!(told(&permissive)[1..4], ["authenticity", "expiry~EXPIRED", "authenticTimestamp~CERT_EXPIRED"]);
    assert_eq!(permissive.valid_until, None, "what is only logged ends nothing");
    for (level, stores, expected) in [
        ("strict", "ca:other", (Check::Authenticity, Code::Untrusted)),
        ("permissive", "ca:other", (Check::Authenticity, Code::Untrusted)),
        ("strict", "ca:acme", (Check::Expiry, Code::Expired)),
    ] {
        assert_eq!(code(world.verify(policy(level, &[stores]), &expired)), Some(expected), "{level} {stores}");
    }
    let only_time = overridden(&["ca:acme"], json!({"level": "strict", "override": {"expiry": "log"}}));
    let found = code(world.verify(only_time, &expired));
    assert_eq!(found, Some((Check::AuthenticTimestamp, Code::CertificateExpired)));
}

// item 107
#[test]
fn a_reason_names_policy_step_action_and_leaf() {
    let world = World::new();
    let rejection = world.verify(policy("strict", &["ca:other"]), &world.envelope(&json!({}))).unwrap_err();
    for part in ["\"unit\"", "enforce authenticity", "CN=signer", "bench root"] {
        assert!(rejection.reason().contains(part), "{part}: {}", rejection.reason());
    }
    let broken = world.verify(policy("audit", &["ca:acme"]), b"{}").unwrap_err();
    assert_eq!(broken.check(), Check::Integrity, "always enforced");
    assert!(broken.reason().contains("\"unit\": enforce integrity"), "{}", broken.reason());
}

// item 46, item 47, item 48, ENV-32
#[test]
fn trust_is_byte_equality_in_a_store_of_the_schemes_type() {
    let world = World::new();
    let x509 = world.envelope(&json!({}));
    let sa = world.envelope(&authority("2026-01-01T00:00:00Z"));
    for (name, envelope, stores, expected) in [
        ("root", &x509, ["ca:acme"].as_slice(), None),
        ("intermediate", &x509, &["ca:intermediate"], None),
        ("second of two", &x509, &["ca:other", "ca:acme"], None),
        ("same name, another key", &x509, &["ca:other"], Some(Code::Untrusted)),
        ("store of the other type", &x509, &["signingAuthority:acme"], Some(Code::Untrusted)),
        ("the same for an authority", &sa, &["ca:acme"], Some(Code::Untrusted)),
        ("an authority", &sa, &["signingAuthority:acme", "ca:other"], None),
        ("absent", &x509, &["ca:nowhere"], Some(Code::NoTrust)),
        ("junk", &x509, &["ca:junk"], Some(Code::NoTrust)),
        ("junk beside a good one", &x509, &["ca:acme", "ca:junk"], Some(Code::NoTrust)),
        ("junk of a type that is not asked", &sa, &["signingAuthority:acme", "ca:junk"], None),
    ] {
        let found = code(world.verify(policy("strict", stores), envelope));
        assert_eq!(found, expected.map(|code| (Check::Authenticity, code)), "{name}");
    }
}

// item 36, item 53
#[test]
fn a_self_signed_leaf_is_trusted_by_itself_and_an_identity_must_match() {
    let world = World::of(issue(&[leaf("alone")]));
    let envelope = world.envelope(&json!({}));
    assert!(world.verify(policy("strict", &["ca:acme"]), &envelope).is_ok());
    for (identity, expected) in [
        ("x509.subject: C=US, ST=WA, O=Bench, CN=alone", None),
        ("x509.subject: C=US, ST=WA, O=Bench, CN=other", Some((Check::Authenticity, Code::IdentityMismatch))),
        ("x509.san: alone", Some((Check::Authenticity, Code::IdentityMismatch))),
    ] {
        let mut policy = policy("strict", &["ca:acme"]);
        policy["trustedIdentities"] = json!([identity]);
        assert_eq!(code(world.verify(policy, &envelope)), expected, "{identity}");
    }
}

// ENV-21
#[test]
fn a_certificate_of_the_same_key_with_a_trusted_name_is_judged_itself() {
    let issued = issue(&[leaf("somebody"), ca("bench root", None)]);
    let same_key = KeyPair::try_from(issued.keys[0].serialize_der()).unwrap();
    let forged = chain_with(&[leaf("trusted"), ca("bench root", None)], vec![same_key, key()]);
    let world = World::of(issued);
    let own = world.envelope(&json!({}));
    let mut swapped: Value = serde_json::from_slice(&own).unwrap();
    swapped["header"]["x5c"] = forged.der.iter().map(|der| STANDARD.encode(der)).collect();
    let mut policy = policy("strict", &["ca:acme"]);
    policy["trustedIdentities"] = json!(["x509.subject: C=US, ST=WA, O=Bench, CN=trusted"]);
    for (name, envelope, expected) in
        [("its own", own, Code::IdentityMismatch), ("swapped", swapped.to_string().into_bytes(), Code::Untrusted)]
    {
        let found = code(world.verify(policy.clone(), &envelope));
        assert_eq!(found, Some((Check::Authenticity, expected)), "{name}");
    }
}

// item 60, item 61, item 63; ENV-30, ENV-31
#[test]
fn the_moment_of_expiry_is_expired_and_the_last_of_a_certificate_is_valid() {
    let mut world = World::new();
    let expiring = world.envelope(&expiring("2030-01-01T00:00:00Z"));
    let plain = world.envelope(&json!({}));
    for (now, envelope, expected) in [
        (datetime!(2029-12-31 23:59:59 UTC), &expiring, None),
        (datetime!(2030-01-01 0:00 UTC), &expiring, Some((Check::Expiry, Code::Expired))),
        (datetime!(2035-01-01 0:00 UTC), &plain, None),
        (datetime!(2035-01-01 0:00:00.001 UTC), &plain, Some((Check::AuthenticTimestamp, Code::CertificateExpired))),
        (datetime!(2025-01-01 0:00 UTC), &plain, None),
        (datetime!(2024-12-31 23:59:59 UTC), &plain, Some((Check::AuthenticTimestamp, Code::CertificateExpired))),
    ] {
        world.now = now;
        let found = world.verify(policy("strict", &["ca:acme"]), envelope);
        // What is true now has an end that lies ahead.
        if let Ok(findings) = &found {
            assert!(findings.valid_until.unwrap() > now, "{now}");
        }
        assert_eq!(code(found), expected, "{now}");
    }
    world.now = NOW;
    let until = |envelope| world.verify(policy("strict", &["ca:acme"]), envelope).unwrap().valid_until;
    assert_eq!(until(&expiring), Some(datetime!(2030-01-01 0:00 UTC)));
    assert_eq!(until(&plain), Some(datetime!(2035-01-01 0:00 UTC)));
}

// item 62
#[test]
fn a_signing_authoritys_certificates_are_judged_at_its_own_time() {
    let mut world = World::new();
    world.now = datetime!(2040-01-01 0:00 UTC);
    let strict = || policy("strict", &["signingAuthority:acme", "tsa:acme"]);
    let inside = world.verify(strict(), &world.envelope(&authority("2026-01-01T00:00:00Z"))).unwrap();
    assert_eq!(inside.valid_until, None);
    let outside = world.verify(strict(), &world.envelope(&authority("2036-01-01T00:00:00Z")));
    assert_eq!(code(outside), Some((Check::AuthenticTimestamp, Code::CertificateExpired)));
}

/// A CRL distribution point, as DER; only that it is there matters.
fn with_crl(mut params: rcgen::CertificateParams) -> rcgen::CertificateParams {
    params.custom_extensions.push(extension(&[2, 5, 29, 31], &[0x30, 0x00], false));
    params
}

// item 89, item 100, item 101
#[test]
fn revocation_without_evidence_is_an_open_question_and_never_left_out() {
    let root = || ca("bench root", None);
    let middle = || ca("intermediate", Some(0));
    let open = Some(Code::RevocationUnavailable);
    for (name, chain, expected) in [
        ("no addresses", issue(&[leaf("a"), middle(), root()]), None),
        ("of the leaf", issue(&[with_crl(leaf("a")), middle(), root()]), open),
        ("of the intermediate", issue(&[leaf("a"), with_crl(middle()), root()]), open),
        ("of the root, which is never asked about", issue(&[leaf("a"), middle(), with_crl(root())]), None),
    ] {
        let world = World::of(chain);
        let envelope = world.envelope(&json!({}));
        let strict = world.judge(policy("strict", &["ca:acme"]), &envelope, &subject());
        if let Ok(findings) = &strict {
            assert_eq!(findings.warnings.len(), 2, "{name}: one for each certificate that cannot be revoked");
        }
        match strict {
            Err(VerifyError::Undecided(undecided)) => assert_eq!(Some(undecided.code()), expected, "{name}"),
            strict => assert!(strict.is_ok() && expected.is_none(), "{name}: {strict:?}"),
        }
        let logged = told(&world.verify(policy("permissive", &["ca:acme"]), &envelope).unwrap());
        let wanted = if expected.is_some() { "revocation~REVOCATION_UNAVAILABLE" } else { "revocation" };
        assert_eq!(logged[4], wanted, "{name}");
        let skip = overridden(&["ca:acme"], json!({"level": "strict", "override": {"revocation": "skip"}}));
        assert_eq!(told(&world.verify(skip, &envelope).unwrap())[4], "revocation-", "{name}");
    }
}

// item 65, item 66; ENV-25, ENV-27
#[test]
fn subject_and_metadata_are_enforced_at_every_level() {
    let mut world = World::new();
    let envelope = world.envelope(&json!({}));
    let changed = |change: fn(&mut Descriptor)| {
        let mut subject = subject();
        change(&mut subject);
        subject
    };
    for (name, subject) in [
        ("digest", changed(|subject| subject.digest = Digest::sha256(b"other"))),
        ("size", changed(|subject| subject.size += 1)),
        ("media type", changed(|subject| subject.media_type.push('x'))),
    ] {
        for level in ["strict", "permissive", "audit"] {
            let found = code(world.verify_as(policy(level, &["ca:acme"]), &envelope, &subject));
            assert_eq!(found, Some((Check::Subject, Code::SubjectMismatch)), "{name} {level}");
        }
    }
    for (name, required, holds) in [
        ("held", vec![("build", "7")], true),
        ("another value", vec![("build", "8")], false),
        ("missing", vec![("build", "7"), ("branch", "main")], false),
        ("another case", vec![("Build", "7")], false),
    ] {
        world.metadata = required.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        for level in ["strict", "audit"] {
            let found = world.verify(policy(level, &["ca:acme"]), &envelope);
            match (found, holds) {
                (Ok(findings), true) => assert_eq!(told(&findings).last().unwrap(), "metadata"),
                (found, _) => {
                    assert_eq!(code(found), Some((Check::Metadata, Code::MetadataMismatch)), "{name} {level}");
                }
            }
        }
    }
}

// item 104, item 105; ENV-40; PLG-14: it is never run, so it cannot leave a critical attribute out
#[test]
fn a_plugin_is_refused_by_name_at_every_level() {
    let world = World::new();
    for (plugin, part) in [
        ("com.example.plugin", "com.example.plugin"),
        ("../../bin/sh", "../../bin/sh"),
        ("com.amazonaws.signer.notation.plugin", "AWS Signer"),
    ] {
        let envelope = world.envelope(&json!({
            "crit": ["io.cncf.notary.signingScheme", "io.cncf.notary.verificationPlugin"],
            "io.cncf.notary.verificationPlugin": plugin,
        }));
        for level in ["strict", "audit"] {
            let rejection = world.verify(policy(level, &["ca:acme"]), &envelope).unwrap_err();
            assert_eq!(rejection.code(), Code::PluginRequired, "{plugin} {level}");
            assert!(rejection.reason().contains(part), "{}", rejection.reason());
            assert!(rejection.reason().contains("plugin") && rejection.code().remedy().contains("`notation sign`"));
        }
    }
}

#[test]
fn a_signer_is_known_only_where_authenticity_passed() {
    let world = World::new();
    let envelope = world.envelope(&json!({}));
    let trusted = world.verify(policy("audit", &["ca:acme"]), &envelope).unwrap();
    let signer = trusted.signer.unwrap();
    assert_eq!(signer.display, "CN=signer,O=Bench,L=Seattle,ST=WA,C=US");
    assert_eq!(trusted.extensions["SN"], signer.display.as_str());
    assert_eq!(trusted.extensions["Issuer"], "CN=intermediate,O=Bench,L=Seattle,ST=WA,C=US");
    let stranger = world.verify(policy("audit", &["ca:other"]), &envelope).unwrap();
    assert_eq!((stranger.signer, stranger.extensions.len()), (None, 0));
    // The same names under another root are another signer.
    let other = World::new();
    let other = other.verify(policy("audit", &["ca:acme"]), &other.envelope(&json!({}))).unwrap().signer.unwrap();
    assert_eq!(other.display, signer.display);
    assert_ne!(other.identity, signer.identity);
}
