use time::macros::datetime;

use super::*;

const SOON: OffsetDateTime = datetime!(2026-11-22 0:00 UTC);
const LATER: OffsetDateTime = datetime!(2026-11-29 0:00 UTC);

fn word(text: &str) -> Word {
    match text {
        "good" => Word::Good(SOON),
        "revoked" => Word::Revoked("how".to_owned()),
        "unavailable" => Word::Unavailable("why".to_owned()),
        "unknown" => Word::Unknown("who".to_owned()),
        "unnamed" => Word::Unnamed,
        other => panic!("{other}"),
    }
}

fn name(standing: &Standing) -> &'static str {
    match standing {
        Standing::Good(_) => "good",
        Standing::NonRevokable => "nonRevokable",
        Standing::Revoked(_) => "revoked",
        Standing::Unavailable(_) => "unavailable",
        Standing::Unknown(_) => "unknown",
    }
}

// Item 89, item 90, item 91, item 94; REV-02, REV-04, REV-06, REV-07
#[test]
fn each_pair_of_words_has_its_standing() {
    for (ocsp, crl, expected, falls_back) in [
        ("good", "unnamed", "good", false),
        ("good", "revoked", "good", false),
        ("revoked", "good", "revoked", false),
        ("revoked", "unnamed", "revoked", false),
        ("unknown", "good", "good", true),
        ("unknown", "revoked", "revoked", false),
        ("unknown", "unavailable", "unknown", false),
        ("unknown", "unnamed", "unknown", false),
        ("unavailable", "good", "good", true),
        ("unavailable", "revoked", "revoked", false),
        ("unavailable", "unavailable", "unavailable", false),
        ("unavailable", "unnamed", "unavailable", false),
        ("unnamed", "good", "good", false),
        ("unnamed", "revoked", "revoked", false),
        ("unnamed", "unavailable", "unavailable", false),
        ("unnamed", "unnamed", "nonRevokable", false),
    ] {
        let by = method(&word(ocsp), &word(crl));
        let (standing, fallback) = standing(word(ocsp), word(crl));
        assert_eq!((name(&standing), fallback.is_some()), (expected, falls_back), "{ocsp} {crl}");
        // REV-01: the report names the method.
        let known = match (ocsp, name(&standing)) {
            ("good" | "revoked", _) | (_, "unknown") => "ocsp",
            (_, "good" | "revoked") => "crl",
            _ => "none",
        };
        assert_eq!(by, known, "{ocsp} {crl}");
    }
    // Item 91: what OCSP says for good is not asked again.
    for (ocsp, wants) in
        [("good", false), ("revoked", false), ("unknown", true), ("unavailable", true), ("unnamed", true)]
    {
        assert_eq!(wants_crl(&word(ocsp)), wants, "{ocsp}");
    }
}

fn chain(standings: &[&str]) -> ChainRevocation {
    let of = |text: &str| match text {
        "good" => Standing::Good(SOON),
        "later" => Standing::Good(LATER),
        "revoked" => Standing::Revoked("how".to_owned()),
        "unavailable" => Standing::Unavailable("why".to_owned()),
        "unknown" => Standing::Unknown("who".to_owned()),
        "nonRevokable" => Standing::NonRevokable,
        other => panic!("{other}"),
    };
    let certificates = standings.iter().enumerate().map(|(position, text)| CertificateRevocation {
        position,
        subject: format!("CN={position}\n"),
        standing: of(text),
        method: "none",
        fallback: None,
    });
    ChainRevocation { certificates: certificates.collect(), again: None, no_method: NoMethod::Warn }
}

// REV-01, REV-11
#[test]
fn the_worst_certificate_speaks_for_the_chain() {
    for (standings, expected, position) in [
        (&[][..], None, ""),
        (&["good", "good"], None, ""),
        (&["nonRevokable", "good"], None, ""),
        (&["good", "revoked"], Some(Code::Revoked), "certificate 1"),
        (&["unavailable", "revoked"], Some(Code::Revoked), "certificate 1"),
        (&["unknown", "revoked", "unavailable"], Some(Code::Revoked), "certificate 1"),
        (&["unavailable", "unknown"], Some(Code::RevocationUnknown), "certificate 1"),
        (&["good", "unavailable"], Some(Code::RevocationUnavailable), "certificate 1"),
        (&["unavailable", "unavailable"], Some(Code::RevocationUnavailable), "certificate 0"),
    ] {
        let judged = chain(standings).judge();
        let trouble = judged.as_ref().err();
        assert_eq!(trouble.map(|trouble| trouble.code), expected, "{standings:?}");
        assert!(trouble.is_none_or(|trouble| trouble.reason.contains(position)), "{standings:?}: {trouble:?}");
        assert!(trouble.is_none_or(|trouble| !trouble.reason.contains('\n')), "outside text is escaped");
    }
}

// REV-01, item 89
#[test]
fn a_certificate_that_names_nobody_is_what_the_operator_says() {
    let judged = |standings: &[&str], no_method| {
        let found = ChainRevocation { no_method, ..chain(standings) };
        found.judge().map(|warnings| warnings.len()).map_err(|trouble| trouble.code)
    };
    for (standings, warn, deny) in [
        (&["nonRevokable", "good"][..], Ok(1), Err(Code::RevocationUnknown)),
        (&["good", "nonRevokable"], Ok(1), Err(Code::RevocationUnknown)),
        (&["nonRevokable", "revoked"], Err(Code::Revoked), Err(Code::Revoked)),
        (&["unavailable", "nonRevokable"], Err(Code::RevocationUnavailable), Err(Code::RevocationUnknown)),
        (&["good", "good"], Ok(0), Ok(0)),
        (&[], Ok(0), Ok(0)),
    ] {
        assert_eq!(judged(standings, NoMethod::Warn), warn, "{standings:?}");
        assert_eq!(judged(standings, NoMethod::Deny), deny, "{standings:?}");
        assert_eq!(judged(standings, NoMethod::Allow), warn.map(|_| 0), "{standings:?}: silent");
    }
    let denied = ChainRevocation { no_method: NoMethod::Deny, ..chain(&["good", "nonRevokable"]) };
    let reason = denied.judge().unwrap_err().reason;
    assert!(reason.contains("certificate 1") && reason.contains("noMethod"), "{reason}");
}

#[test]
fn it_holds_until_the_earliest_evidence_ends_or_is_asked_for_again() {
    let mut two = chain(&["later", "good", "nonRevokable"]);
    assert_eq!(two.valid_until(), Some(SOON));
    two.again = Some(datetime!(2026-11-21 12:10 UTC));
    assert_eq!(two.valid_until(), two.again);
    assert_eq!(chain(&["nonRevokable"]).valid_until(), None);
}
