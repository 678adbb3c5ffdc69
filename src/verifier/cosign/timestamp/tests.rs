//! A signed timestamp counts, does not count, or refuses its item.

use rcgen::{KeyPair, SerialNumber};
use time::macros::datetime;

use super::{
    super::root::{Origin, Profile as RootProfile},
    *,
};
use crate::crypto::{
    testing::{Chain, ca, chain, chain_with, tlv},
    tsp::testing::{Draft, SHA1, SHA384, SHA512, authority as issued, certificates, hash, signer},
};

const SIGNATURE: &[u8] = b"a signature";

fn root(timestamp_authorities: Vec<Authority>) -> TrustedRoot {
    TrustedRoot {
        origin: Origin::Inline,
        name: "bench".to_owned(),
        profile: RootProfile::Sigstore,
        certificate_authorities: Vec::new(),
        logs: Vec::new(),
        ct_logs: Vec::new(),
        timestamp_authorities,
        warnings: Vec::new(),
    }
}

const OPEN: Window = Window { start: datetime!(2020-01-01 0:00 UTC), end: None };

fn authority(uri: &str, chain: &Chain, window: Window) -> Authority {
    Authority { uri: uri.to_owned(), chain: certificates(chain), window }
}

fn said(result: Result<Option<SignedTime>, TimestampFault>) -> String {
    match result {
        Ok(Some(_)) => "counts".to_owned(),
        Ok(None) => "does not count".to_owned(),
        Err(fault) => {
            assert!(matches!(fault.code(), Code::TimestampInvalid | Code::LimitExceeded));
            reason::chain(&fault)
        }
    }
}

/// What becomes of a token by `chain`'s signer where `chain` is trusted.
fn by(chain: &Chain, change: impl FnOnce(&mut Draft)) -> String {
    let response = Draft::of(SIGNATURE, chain).with(change).response(&chain.keys[0]);
    said(verify(&response, SIGNATURE, &root(vec![authority("https://tsa.test", chain, OPEN)])))
}

// R90: with and without certificates, imprints by each SHA-2, fractions of a second
#[test]
fn a_timestamp_of_a_trusted_authority_counts() {
    let chain = issued();
    let trusted = root(vec![authority("https://tsa.test", &chain, OPEN)]);
    let good = Draft::of(SIGNATURE, &chain);
    for (row, draft, time) in [
        ("embedded", good.clone(), datetime!(2026-09-22 12:41 UTC)),
        ("bare", good.with(|it| it.certificates.clear()), datetime!(2026-09-22 12:41 UTC)),
        ("SHA-384", good.with(|it| it.imprint = (SHA384, hash(SHA384, SIGNATURE))), datetime!(2026-09-22 12:41 UTC)),
        ("SHA-512", good.with(|it| it.imprint = (SHA512, hash(SHA512, SIGNATURE))), datetime!(2026-09-22 12:41 UTC)),
        (
            "a fraction",
            good.with(|it| it.time = "20260922124100.25Z".to_owned()),
            datetime!(2026-09-22 12:41:00.25 UTC),
        ),
    ] {
        let signed = verify(&draft.response(&chain.keys[0]), SIGNATURE, &trusted).expect(row).expect(row);
        assert_eq!(signed.time, time, "{row}");
        assert_eq!(signed.authority, "https://tsa.test", "{row}");
        assert_eq!(signed.authority_id, certificates(&chain)[0].spki_sha256(), "{row}");
    }
    let unnamed = root(vec![authority("", &chain, OPEN)]);
    let signed = verify(&good.response(&chain.keys[0]), SIGNATURE, &unnamed).unwrap().unwrap();
    assert_eq!(signed.authority, "CN=tsa,O=Bench,L=Seattle,ST=WA,C=US");
}

// R90, `timestamp-other-tsa`: with and without its certificates, and whatever it says
#[test]
fn a_timestamp_of_an_unknown_authority_neither_counts_nor_hurts() {
    let (ours, other) = (issued(), chain(&[signer("other"), ca("other root", None)]));
    let trusted = root(vec![authority("https://tsa.test", &ours, OPEN)]);
    let good = Draft::of(SIGNATURE, &other);
    for (row, draft) in [
        ("embedded", good.clone()),
        ("bare", good.with(|it| it.certificates.clear())),
        ("with the trusted certificates", good.with(|it| it.certificates = ours.der.concat())),
        ("over something else", good.with(|it| it.imprint.1 = vec![0; 32])),
        ("by SHA-1", good.with(|it| it.imprint = (SHA1, hash(SHA1, SIGNATURE)))),
    ] {
        assert_eq!(said(verify(&draft.response(&other.keys[0]), SIGNATURE, &trusted)), "does not count", "{row}");
    }
    let none = root(Vec::new());
    assert_eq!(said(verify(&good.response(&other.keys[0]), SIGNATURE, &none)), "does not count");
    assert_eq!(said(verify(b"junk", SIGNATURE, &none)).split(':').next(), Some("signed timestamp cannot be read"));
}

// R90, COS-16; `timestamp-imprint`, `timestamp-signature`, `timestamp-junk`, `timestamp-token-only`
#[test]
fn a_timestamp_of_a_trusted_authority_that_does_not_fit_refuses() {
    let chain = issued();
    let trusted = root(vec![authority("https://tsa.test", &chain, OPEN)]);
    let good = Draft::of(SIGNATURE, &chain);
    let response = good.response(&chain.keys[0]);
    let at = response.len() - 1;
    let mut flipped = response.clone();
    flipped[at] ^= 1;
    for (row, part, bytes) in [
        ("imprint", "imprint differs", good.with(|it| it.imprint.1[0] ^= 1).response(&chain.keys[0])),
        ("SHA-1", "1.3.14.3.2.26", good.with(|it| it.imprint = (SHA1, hash(SHA1, SIGNATURE))).response(&chain.keys[0])),
        ("signature", "signature does not verify", flipped),
        ("another key", "signature does not verify", good.response(&chain.keys[1])),
        ("junk", "cannot be read", b"junk".to_vec()),
        ("nothing", "cannot be read", Vec::new()),
        ("a token only", "cannot be read", good.token(&chain.keys[0])),
        ("not granted", "status 2", good.with(|it| it.status = tlv(0x30, &tlv(2, &[2]))).response(&chain.keys[0])),
        ("too large", "the limit is 65536", vec![0x30; 65_537]),
    ] {
        let refused = said(verify(&bytes, SIGNATURE, &trusted));
        assert!(refused.contains(part), "{row}: {refused}");
    }
    let refused = said(verify(&response, b"another signature", &trusted));
    assert!(refused.starts_with("signed timestamp of \"https://tsa.test\" does not verify: "), "{refused}");
    assert_eq!(said(verify(&response, SIGNATURE, &trusted)), "counts");
}

// COS-16, CVE-2026-39984, TOB-SIGSTORE-11
#[test]
fn certificates_beside_the_signer_s_decide_nothing() {
    let chain_of_ours = issued();
    let attacker = chain(&[signer("attacker"), ca("attacker root", None)]);
    let bag = [attacker.der.concat(), chain_of_ours.der.concat()].concat();
    let trusted = root(vec![authority("https://tsa.test", &chain_of_ours, OPEN)]);
    let ours = Draft::of(SIGNATURE, &chain_of_ours).with(|it| it.certificates.clone_from(&bag));
    let unhashed = ours.with(|it| it.attributes.clear());
    let theirs = Draft::of(SIGNATURE, &attacker).with(|it| it.certificates.clone_from(&bag));
    for (row, response, expected) in [
        ("signed by ours", ours.response(&chain_of_ours.keys[0]), "counts"),
        ("signed by the attacker as ours", ours.response(&attacker.keys[0]), "does not verify"),
        ("the same, and no certificate hash", unhashed.response(&attacker.keys[0]), "does not verify"),
        ("signed by the attacker", theirs.response(&attacker.keys[0]), "does not count"),
        ("signed by ours as the attacker", theirs.response(&chain_of_ours.keys[0]), "does not count"),
    ] {
        let said = said(verify(&response, SIGNATURE, &trusted));
        assert!(said.contains(expected), "{row}: {said}");
    }
}

#[test]
fn another_signer_below_a_trusted_root_is_not_the_one_that_the_root_has() {
    let ours = issued();
    let keys = vec![KeyPair::generate().unwrap(), key_of(&ours, 1), key_of(&ours, 2)];
    let sibling = chain_with(&[signer("sibling"), ca("tsa intermediate", Some(0)), ca("tsa root", None)], keys);
    let response = Draft::of(SIGNATURE, &sibling).response(&sibling.keys[0]);
    let whole = authority("https://tsa.test", &ours, OPEN);
    assert_eq!(said(verify(&response, SIGNATURE, &root(vec![whole.clone()]))), "does not count");
    // Where the root has authorities only, any signer of theirs is one.
    let authorities = Authority { chain: whole.chain[1..].to_vec(), ..whole };
    let signed = verify(&response, SIGNATURE, &root(vec![authorities.clone()])).unwrap().unwrap();
    assert_eq!(signed.authority_id, certificates(&sibling)[0].spki_sha256());
    let bare = Draft::of(SIGNATURE, &sibling).with(|it| it.certificates.clear()).response(&sibling.keys[0]);
    assert_eq!(said(verify(&bare, SIGNATURE, &root(vec![authorities.clone()]))), "does not count");
    let stranger = chain(&[signer("stranger"), ca("tsa intermediate", Some(0)), ca("tsa root", None)]);
    let response = Draft::of(SIGNATURE, &stranger).response(&stranger.keys[0]);
    assert_eq!(said(verify(&response, SIGNATURE, &root(vec![authorities.clone()]))), "does not count");
    let imprint = Draft::of(SIGNATURE, &sibling).with(|it| it.imprint.1[0] ^= 1).response(&sibling.keys[0]);
    let refused = said(verify(&imprint, SIGNATURE, &root(vec![authorities])));
    assert!(refused.contains("imprint differs"), "{refused}");
}

fn key_of(chain: &Chain, at: usize) -> KeyPair {
    KeyPair::try_from(chain.keys[at].serialized_der()).unwrap()
}

#[test]
fn a_namesake_of_a_trusted_authority_is_another_authority() {
    let ours = issued();
    let real = &certificates(&ours)[0];
    let mut params = signer("tsa");
    params.serial_number = Some(SerialNumber::from_slice(real.serial_number()));
    let namesake = chain(&[params, ca("tsa intermediate", Some(0)), ca("tsa root", None)]);
    let trusted = root(vec![authority("https://tsa.test", &ours, OPEN)]);
    let draft = Draft::of(SIGNATURE, &namesake);
    assert_eq!(said(verify(&draft.response(&namesake.keys[0]), SIGNATURE, &trusted)), "does not count");
    let bare = said(verify(&draft.with(|it| it.certificates.clear()).response(&namesake.keys[0]), SIGNATURE, &trusted));
    assert!(bare.contains("does not verify"), "without its certificate it is a broken one of ours: {bare}");
}

// R90, `timestamp-tsa-window`; windows are closed
#[test]
fn a_timestamp_lies_in_the_time_in_which_its_authority_was_in_use() {
    let chain = issued();
    let window = Window { start: datetime!(2026-01-01 0:00 UTC), end: Some(datetime!(2026-06-30 23:59:59 UTC)) };
    let trusted = root(vec![authority("https://tsa.test", &chain, window)]);
    for (time, counts) in [
        ("20251231235959Z", false),
        ("20251231235959.9Z", false),
        ("20260101000000Z", true),
        ("20260630235959Z", true),
        ("20260630235959.1Z", false),
        ("20260701000000Z", false),
    ] {
        let draft = Draft::of(SIGNATURE, &chain).with(|it| time.clone_into(&mut it.time));
        let said = said(verify(&draft.response(&chain.keys[0]), SIGNATURE, &trusted));
        let expected = if counts { "counts" } else { "outside the time in which \"https://tsa.test\" was in use" };
        assert!(said.contains(expected), "{time}: {said}");
    }
}

// COS-15, TOB-SIGSTORE-11
#[test]
fn an_authority_is_judged_by_its_own_window() {
    let (one, other) = (issued(), chain(&[signer("other"), ca("other root", None)]));
    let early = Window { start: OPEN.start, end: Some(datetime!(2025-12-31 0:00 UTC)) };
    let late = Window { start: datetime!(2026-01-01 0:00 UTC), end: None };
    let response = Draft::of(SIGNATURE, &one).response(&one.keys[0]);
    for (row, authorities, expected) in [
        ("the other's fits", vec![authority("one", &one, early), authority("other", &other, late)], "outside the time"),
        ("its own fits", vec![authority("other", &other, early), authority("one", &one, late)], "counts"),
        ("one of its own fits", vec![authority("one", &one, early), authority("one", &one, late)], "counts"),
    ] {
        let said = said(verify(&response, SIGNATURE, &root(authorities)));
        assert!(said.contains(expected), "{row}: {said}");
    }
}

// R91; X-02: expired today is fine, expired then is not
#[test]
fn certificates_are_valid_at_the_timestamp_s_time() {
    for position in 0..3 {
        let mut params = [signer("tsa"), ca("tsa intermediate", Some(0)), ca("tsa root", None)];
        params[position].not_before = datetime!(2021-01-01 0:00 UTC);
        params[position].not_after = datetime!(2021-12-31 23:59:59 UTC);
        for other in &mut params {
            other.not_before = other.not_before.min(datetime!(2021-01-01 0:00 UTC));
        }
        let chain = chain(&params);
        assert_eq!(by(&chain, |it| it.time = "20211231235959Z".to_owned()), "counts", "certificate {position}");
        let late = by(&chain, |it| it.time = "20220101000000Z".to_owned());
        assert!(late.contains(&format!("certificate {position} (")), "{late}");
    }
}

// R22, thresholds count distinct authorities: by key, whatever it is called
#[test]
fn one_key_is_one_authority() {
    let chain = issued();
    let again = chain_with(
        &[signer("by another name"), ca("tsa intermediate", Some(0)), ca("tsa root", None)],
        (0..3).map(|at| key_of(&chain, at)).collect(),
    );
    let other = issued();
    let ids: Vec<String> = [&chain, &again, &other]
        .map(|chain| {
            let response = Draft::of(SIGNATURE, chain).response(&chain.keys[0]);
            let trusted = root(vec![authority("https://tsa.test", chain, OPEN)]);
            verify(&response, SIGNATURE, &trusted).unwrap().unwrap().authority_id
        })
        .to_vec();
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2]);
}

// A root that has a signer and nothing above it, or nothing at all, vouches for none
#[test]
fn an_authority_without_an_issuer_vouches_for_nothing() {
    let chain = issued();
    let response = Draft::of(SIGNATURE, &chain).response(&chain.keys[0]);
    let mut alone = authority("https://tsa.test", &chain, OPEN);
    alone.chain.truncate(1);
    assert_eq!(said(verify(&response, SIGNATURE, &root(vec![alone.clone()]))), "does not count");
    alone.chain.clear();
    assert_eq!(said(verify(&response, SIGNATURE, &root(vec![alone]))), "does not count");
    let mut gap = authority("https://tsa.test", &chain, OPEN);
    gap.chain.remove(1);
    let refused = said(verify(&response, SIGNATURE, &root(vec![gap])));
    assert!(refused.contains("no path leads"), "{refused}");
}
