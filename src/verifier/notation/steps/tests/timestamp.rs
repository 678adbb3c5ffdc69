//! Timestamp countersignatures: when one is asked for, what it must say, and how long what it says is true.

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::CertificateParams;

use super::*;
use crate::{
    crypto::tsp::testing::{self as tsp, Draft, SHA512, authority as tsa, signer as tsa_signer},
    verifier::notation::revocation::testing::{EVIDENCE_END, revoked},
};

const TIMESTAMP: &str = "io.cncf.notary.timestampSignature";
/// When certificates of the test PKI have expired.
const LATE: OffsetDateTime = datetime!(2040-01-01 0:00 UTC);

/// A world with `authority`'s root in the store `tsa:authority`, and an envelope whose signature it timestamps.
struct Stamped {
    world: World,
    authority: Chain,
    envelope: Value,
}

impl Stamped {
    fn new() -> Self {
        Self::of(World::new(), tsa(), &json!({}))
    }

    fn of(world: World, authority: Chain, changes: &Value) -> Self {
        world.put("tsa/authority", authority.der.last().unwrap());
        let envelope = serde_json::from_slice(&world.envelope(changes)).unwrap();
        Self { world, authority, envelope }
    }

    /// A good token, with one thing changed.
    fn token(&self, change: impl FnOnce(&mut Draft)) -> Vec<u8> {
        let signature = URL_SAFE_NO_PAD.decode(self.envelope["signature"].as_str().unwrap()).unwrap();
        Draft::of(&signature, &self.authority).with(change).token(&self.authority.keys[0])
    }

    fn envelope(&self, token: Option<&[u8]>) -> Vec<u8> {
        let mut envelope = self.envelope.clone();
        if let Some(token) = token {
            envelope["header"][TIMESTAMP] = json!(STANDARD.encode(token));
        }
        envelope.to_string().into_bytes()
    }

    fn strict(&self, token: Option<&[u8]>) -> Result<Findings, Rejection> {
        self.world.verify(policy("strict", &["ca:acme", "tsa:authority"]), &self.envelope(token))
    }

    /// The code and what is said, of a refusal by this step; nothing of an acceptance.
    fn refusal(&self, token: &[u8]) -> Option<(Code, String)> {
        let rejection = self.strict(Some(token)).err()?;
        assert_eq!(rejection.check(), Check::AuthenticTimestamp, "{}", rejection.reason());
        Some((rejection.code(), rejection.reason().to_owned()))
    }
}

/// `verifyTimestamp`, where it is stated.
fn timed(level: &str, stores: &[&str], when: Option<&str>) -> Value {
    let mut details = json!({"level": level});
    if let Some(when) = when {
        details["verifyTimestamp"] = json!(when);
    }
    overridden(stores, details)
}

// item 75, item 76, item 63; REV-14: scheme × tsa × verifyTimestamp × expired → with a good token, with none, with junk for one
#[test]
fn a_timestamp_is_asked_for_as_the_policy_says() {
    let mut schemes = [json!({}), authority("2026-01-01T00:00:00Z")].map(|it| Stamped::of(World::new(), tsa(), &it));
    let (x509, by_authority) = (0, 1);
    let (always, after) = (Some("always"), Some("afterCertExpiry"));
    let (ok, expired) = ([None; 3], [Some(Code::CertificateExpired); 3]);
    let needed = [None, Some(Code::TimestampMissing), Some(Code::TimestampInvalid)];
    let early = datetime!(2024-01-01 0:00 UTC);
    for (scheme, tsa, when, now, expected) in [
        (x509, false, None, NOW, ok),
        (x509, false, None, LATE, expired),
        (x509, false, always, NOW, ok),
        (x509, false, always, LATE, expired),
        (x509, false, after, NOW, ok),
        (x509, false, after, LATE, expired),
        (x509, true, None, NOW, needed),
        (x509, true, None, LATE, needed),
        (x509, true, always, NOW, needed),
        (x509, true, always, LATE, needed),
        (x509, true, after, NOW, ok),
        (x509, true, after, LATE, needed),
        (x509, true, after, early, expired),
        (by_authority, false, None, NOW, ok),
        (by_authority, false, after, LATE, ok),
        (by_authority, true, None, LATE, ok),
        (by_authority, true, always, NOW, ok),
        (by_authority, true, after, LATE, ok),
    ] {
        let scheme = &mut schemes[scheme];
        scheme.world.now = now;
        let mut stores = vec!["ca:acme", "signingAuthority:acme"];
        if tsa {
            stores.push("tsa:authority");
        }
        let good = scheme.token(|_| {});
        for (token, expected) in [Some(good.as_slice()), None, Some(b"12345678")].into_iter().zip(expected) {
            let row = format!("tsa {tsa}, {when:?}, at {now}, token {:?}", token.map(<[u8]>::len));
            let envelope = scheme.envelope(token);
            let found = code(scheme.world.verify(timed("strict", &stores, when), &envelope));
            assert_eq!(found, expected.map(|code| (Check::AuthenticTimestamp, code)), "{row}");
            let logged = told(&scheme.world.verify(timed("permissive", &stores, when), &envelope).unwrap());
            let wanted = expected.map_or("authenticTimestamp".to_owned(), |code| format!("authenticTimestamp~{code}"));
            assert_eq!(logged[3], wanted, "{row}: logged, never skipped");
        }
    }
}

// What a verdict rests on ends with what it rests on, and with nothing else
#[test]
fn a_timestamp_outlives_the_certificates() {
    let mut cases = [json!({}), expiring("2041-01-01T00:00:00Z")].map(|it| Stamped::of(World::new(), tsa(), &it));
    let (plain, expiring) = (0, 1);
    let (certificate, signature) = (datetime!(2035-01-01 0:00 UTC), datetime!(2041-01-01 0:00 UTC));
    let stores = ["ca:acme", "tsa:authority"];
    for (case, when, now, expected) in [
        (plain, "always", NOW, None),
        (plain, "always", LATE, None),
        (plain, "afterCertExpiry", NOW, Some(certificate)),
        (plain, "afterCertExpiry", certificate, Some(certificate.saturating_add(time::Duration::NANOSECOND))),
        (plain, "afterCertExpiry", LATE, None),
        (expiring, "always", NOW, Some(signature)),
        (expiring, "always", LATE, Some(signature)),
        (expiring, "afterCertExpiry", NOW, Some(certificate)),
        (expiring, "afterCertExpiry", LATE, Some(signature)),
    ] {
        let case = &mut cases[case];
        case.world.now = now;
        let envelope = case.envelope(Some(&case.token(|_| {})));
        let found = case.world.verify(timed("strict", &stores, Some(when)), &envelope).unwrap();
        assert_eq!(found.valid_until, expected, "{when} at {now}");
    }
    // What is only logged, or refused, ends nothing.
    let [plain, _] = cases;
    let logged = plain.world.verify(policy("permissive", &stores), &plain.envelope(None)).unwrap();
    assert_eq!(logged.valid_until, None);
}

type Change<'a> = Box<dyn FnOnce(&mut Draft) + 'a>;

// item 77, item 78, item 81, item 82, item 84, item 85: each is refused by this step; all other ways to be wrong: the tests of `crypto::tsp`
#[test]
fn a_token_that_does_not_hold_is_refused() {
    let case = Stamped::new();
    let other = tsa();
    let stranger = tsp::certificates(&other);
    let rows: Vec<(&str, Option<&str>, Change<'_>)> = vec![
        ("good", None, Box::new(|_| {})),
        ("SHA-512 imprint of another", Some("imprint differs"), Box::new(|it| it.imprint.0 = SHA512)),
        ("of other bytes", Some("imprint differs"), Box::new(|it| it.imprint.1[0] ^= 1)),
        ("other content", Some("content type"), Box::new(|it| it.content_type = tsp::SIGNED_DATA)),
        ("TSTInfo 2", Some("TSTInfo has version 2"), Box::new(|it| it.info_version = 2)),
        ("SignedData 1", Some("SignedData has version 1"), Box::new(|it| it.version = 1)),
        ("no certificate hash", Some("SigningCertificateV2"), Box::new(|it| it.attributes.clear())),
        (
            "hash of another",
            Some("certificate hash"),
            Box::new(|it| it.attributes = vec![tsp::certificate_id(&stranger[0])]),
        ),
        ("no attributes", Some("contentType"), Box::new(|it| it.core = false)),
        ("no certificates", Some("not known"), Box::new(|it| it.certificates.clear())),
    ];
    for (row, expected, change) in rows {
        match (case.refusal(&case.token(change)), expected) {
            (None, None) => {}
            (Some((Code::TimestampInvalid, said)), Some(part)) => assert!(said.contains(part), "{row}: {said}"),
            (found, _) => panic!("{row}: {found:?}"),
        }
    }
    // Of another signature: by the same authority, over the bytes that another envelope has.
    let another = Stamped { world: World::new(), authority: tsa(), envelope: case.envelope.clone() };
    assert!(
        case.refusal(&another.token(|_| {})).unwrap().1.contains("no path leads"),
        "another authority of that name"
    );
    let moved = Draft::of(b"another signature", &case.authority).token(&case.authority.keys[0]);
    assert!(case.refusal(&moved).unwrap().1.contains("imprint differs"));
    let empty = case.strict(Some(b"")).unwrap_err();
    assert_eq!((empty.check(), empty.code()), (Check::AuthenticTimestamp, Code::TimestampMissing));
}

type Tweak = fn(&mut CertificateParams);

// item 84: the profile of the authority's own certificate
#[test]
fn an_authority_that_may_do_something_else_is_refused() {
    let with = |change: Tweak| {
        let mut params = tsa_signer("tsa");
        change(&mut params);
        let chain = issue(&[params, ca("tsa intermediate", Some(0)), ca("tsa root", None)]);
        let case = Stamped::of(World::new(), chain, &json!({}));
        case.refusal(&case.token(|_| {})).map(|(_, said)| said)
    };
    assert_eq!(with(|_| {}), None);
    let rows: [(Tweak, &str); 3] = [
        (|it| it.custom_extensions = vec![tsp::purposes(&[tsp::TIME_STAMPING], false)], "not critical"),
        (
            |it| it.custom_extensions = vec![tsp::purposes(&[tsp::TIME_STAMPING, "1.3.6.1.5.5.7.3.3"], true)],
            "timeStamping alone",
        ),
        (|it| it.key_usages.clear(), "no keyUsage"),
    ];
    for (change, part) in rows {
        let said = with(change).expect(part);
        assert!(said.contains(part), "{said}");
    }
}

// item 85, item 46: trust in a signer is none in an authority
#[test]
fn an_authority_is_trusted_by_a_tsa_store_only() {
    let case = Stamped::new();
    case.world.put("ca/authority", case.authority.der.last().unwrap());
    case.world.put("tsa/other", tsa().der.last().unwrap());
    case.world.put("tsa/intermediate", &case.authority.der[1]);
    case.world.put("tsa/junk", b"junk");
    let envelope = case.envelope(Some(&case.token(|_| {})));
    for (stores, expected) in [
        (["tsa:authority"].as_slice(), None),
        (&["tsa:other", "tsa:authority"], None),
        (&["tsa:acme"], Some(Code::TimestampInvalid)),
        (&["tsa:other"], Some(Code::TimestampInvalid)),
        (&["ca:authority", "tsa:other"], Some(Code::TimestampInvalid)),
        (&["tsa:absent"], Some(Code::NoTrust)),
        (&["tsa:junk"], Some(Code::NoTrust)),
        (&["tsa:authority", "tsa:junk"], Some(Code::NoTrust)),
        (&["tsa:intermediate"], Some(Code::NoTrust)),
    ] {
        let found = code(case.world.verify(policy("strict", &[&["ca:acme"], stores].concat()), &envelope));
        assert_eq!(found, expected.map(|code| (Check::AuthenticTimestamp, code)), "{stores:?}");
    }
}

/// A signer's chain in which the certificate at `position` is valid for June 2025.
fn brief(position: usize) -> Chain {
    let mut params = [leaf("signer"), ca("intermediate", Some(0)), ca("bench root", None)];
    params[position].not_before = datetime!(2025-06-01 0:00 UTC);
    params[position].not_after = datetime!(2025-06-30 23:59:59 UTC);
    issue(&params)
}

// item 79, item 80; REV-13 (accuracy of a year, genTime before the leaf)
#[test]
fn the_whole_span_of_a_timestamp_lies_within_every_certificate() {
    let accuracy = |seconds: &[u8], millis: &[u8]| {
        tlv(0x30, &[tlv(2, seconds), if millis.is_empty() { Vec::new() } else { tlv(0x80, millis) }].concat())
    };
    let none = Vec::new;
    let btsp = "0.4.0.2023.1.1";
    let (before, after) = (Some("timestamped before"), Some("timestamped after"));
    for position in 0..3 {
        let case = Stamped::of(World::of(brief(position)), tsa(), &json!({}));
        for (time, policy, trailer, expected) in [
            ("20250615000000Z", "1.2.3", none(), None),
            ("20250601000000Z", "1.2.3", none(), None),
            ("20250531235959.999Z", "1.2.3", none(), before),
            ("20250601000000Z", btsp, none(), before),
            ("20250601000001Z", btsp, none(), None),
            ("20250601000001Z", "1.2.3", accuracy(&[1], &[]), None),
            ("20250601000001Z", "1.2.3", accuracy(&[1], &[1]), before),
            ("20250630235959Z", "1.2.3", none(), None),
            ("20250630235959.001Z", "1.2.3", none(), after),
            ("20250630235959Z", btsp, none(), after),
            ("20250630235958Z", btsp, none(), None),
            ("20250630235958.5Z", "1.2.3", accuracy(&[0], &[1, 0xf4]), None),
            ("20250630235958.5Z", "1.2.3", accuracy(&[0], &[1, 0xf5]), after),
        ] {
            let token = case.token(|it| {
                time.clone_into(&mut it.time);
                (it.policy, it.trailer) = (policy, trailer);
            });
            match (case.refusal(&token), expected) {
                (None, None) => {}
                (Some((Code::CertificateExpired, said)), Some(part)) => {
                    assert!(said.contains(part) && said.contains(&format!("certificate {position}")), "{time}: {said}");
                }
                (found, _) => panic!("certificate {position} at {time} under {policy}: {found:?}"),
            }
        }
    }
    // A year, and the most that is read.
    let case = Stamped::new();
    for (row, seconds) in [("a year", [1, 0xe1, 0x33, 0x80].as_slice()), ("136 years", &[0, 0xff, 0xff, 0xff, 0xff])] {
        let token = case.token(|it| {
            it.time = "20250615000000Z".to_owned();
            it.trailer = accuracy(seconds, &[]);
        });
        let (code, said) = case.refusal(&token).expect(row);
        assert!(code == Code::CertificateExpired && said.contains("timestamped before"), "{row}: {said}");
    }
}

// item 80: as of a moment, what was not yet signed is not yet timestamped; the token's own inexactness is in its favour
#[test]
fn a_timestamp_of_the_future_is_none() {
    let mut case = Stamped::new();
    case.world.now = datetime!(2026-09-22 12:41 UTC);
    let exact = |seconds: u8| {
        let accuracy = tlv(0x30, &tlv(2, &[seconds]));
        move |it: &mut Draft| it.trailer = accuracy
    };
    for (time, seconds, accepted) in [
        ("20260922124100Z", 0, true),
        ("20260922124100.001Z", 0, false),
        ("20260922124101Z", 1, true),
        ("20260922124101.5Z", 1, false),
        ("20300101000000Z", 60, false),
    ] {
        let token = case.token(|it| {
            exact(seconds)(it);
            time.clone_into(&mut it.time);
        });
        match (case.refusal(&token), accepted) {
            (None, true) => {}
            (Some((Code::TimestampInvalid, said)), false) => assert!(said.contains("of the future"), "{said}"),
            (found, _) => panic!("{time} give or take {seconds} s: {found:?}"),
        }
    }
}

// item 87, REV-12, X-02: an authority's certificates are judged when it signed
#[test]
fn an_authority_may_have_expired_since() {
    let mut params = [tsa_signer("tsa"), ca("tsa intermediate", Some(0)), ca("tsa root", None)];
    for certificate in &mut params {
        certificate.not_after = datetime!(2026-10-01 0:00 UTC);
    }
    let case = Stamped::of(World::new(), issue(&params), &json!({}));
    assert_eq!(case.refusal(&case.token(|_| {})), None);
    let (code, said) = case.refusal(&case.token(|it| it.time = "20261001000001Z".to_owned())).unwrap();
    assert!(code == Code::TimestampInvalid && said.contains("was valid until"), "{said}");
}

// item 88, REV-12, CVE-2024-56138: the policy's word on revocation is about the signer's chain
#[test]
fn an_authority_must_be_known_not_to_be_revoked_whatever_the_policy_skips() {
    let root = || ca("tsa root", None);
    let middle = || ca("tsa intermediate", Some(0));
    let nobody: fn(&[Certificate]) -> ChainRevocation = unasked;
    let open = Some(Code::RevocationUnavailable);
    for (row, chain, known, expected) in [
        ("no addresses", tsa(), nobody, None),
        ("good", tsa(), |chain| revoked(chain, None), None),
        ("revoked", tsa(), |chain| revoked(chain, Some(0)), Some(Code::Revoked)),
        ("revoked issuer", tsa(), |chain| revoked(chain, Some(1)), Some(Code::Revoked)),
        ("unasked", issue(&[with_crl(tsa_signer("tsa")), middle(), root()]), nobody, open),
        ("unasked issuer", issue(&[tsa_signer("tsa"), with_crl(middle()), root()]), nobody, open),
        ("root, never asked about", issue(&[tsa_signer("tsa"), middle(), with_crl(root())]), nobody, None),
    ] {
        let mut case = Stamped::of(World::new(), chain, &json!({}));
        case.world.authority = known;
        let envelope = case.envelope(Some(&case.token(|_| {})));
        let stores = ["ca:acme", "tsa:authority"];
        let skip = overridden(&stores, json!({"level": "strict", "override": {"revocation": "skip"}}));
        let found = match case.world.judge(skip, &envelope, &subject()) {
            Ok(findings) => {
                let told = findings.warnings.iter().filter(|it| it.starts_with("timestamp authority: ")).count();
                assert_eq!(told, if row == "good" { 0 } else { 2 }, "{row}: one for each that cannot be revoked");
                None
            }
            Err(VerifyError::Rejected(rejection)) => {
                assert_eq!(rejection.check(), Check::AuthenticTimestamp, "{row}");
                Some(rejection.code())
            }
            Err(VerifyError::Undecided(undecided)) => Some(undecided.code()),
        };
        assert_eq!(found, expected, "{row}");
        let permissive = told(&case.world.verify(policy("permissive", &stores), &envelope).unwrap());
        let wanted = expected.map_or("authenticTimestamp".to_owned(), |code| format!("authenticTimestamp~{code}"));
        assert_eq!(permissive[3..5], [wanted, "revocation".to_owned()], "{row}");
    }
}

// What is known of the authority holds as long as its evidence does, and is asked for only where a token is
#[test]
fn a_timestamp_is_believed_as_long_as_its_authority_is_known_to_be_good() {
    let mut case = Stamped::new();
    case.world.authority = |chain| revoked(chain, None);
    let envelope = case.envelope(Some(&case.token(|_| {})));
    let stores = ["ca:acme", "tsa:authority"];
    for (when, now, expected) in [
        ("always", NOW, EVIDENCE_END),
        ("always", LATE, LATE.saturating_add(time::Duration::NANOSECOND)),
        ("afterCertExpiry", NOW, datetime!(2035-01-01 0:00 UTC)),
    ] {
        case.world.now = now;
        let found = case.world.verify(timed("strict", &stores, Some(when)), &envelope).unwrap();
        assert_eq!(found.valid_until, Some(expected), "{when} at {now}");
    }
}
