use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-01-01 0:00 UTC);

fn findings(checks: Vec<(Check, Outcome)>) -> Findings {
    Findings {
        checks,
        signer: None,
        valid_until: None,
        signer_until: None,
        message: String::new(),
        extensions: Map::new(),
        warnings: Vec::new(),
        attested: None,
    }
}

#[test]
fn a_plugins_yes_stands_alone_and_names_no_signer() {
    let both = || vec![(Check::Plugin, Outcome::Passed), (Check::Subject, Outcome::Passed)];
    let verified = Verified::conclude(findings(both()), NOW).unwrap();
    assert!(verified.signer().is_none() && verified.code() == Code::Verified);
    let logged = || Outcome::Logged(Rejection::new(Check::Plugin, Code::PluginRejected, "no"));
    let with = |more: &[Check]| {
        let mut checks = both();
        checks.extend(more.iter().map(|check| (*check, Outcome::Passed)));
        findings(checks)
    };
    let signer = Signer { identity: "x".to_owned(), display: "x".to_owned() };
    for (name, wrong) in [
        ("no subject", findings(vec![(Check::Plugin, Outcome::Passed)])),
        ("skipped", findings(vec![(Check::Plugin, Outcome::Skipped), (Check::Subject, Outcome::Passed)])),
        ("only logged", findings(vec![(Check::Plugin, logged()), (Check::Subject, Outcome::Passed)])),
        ("subject skipped", findings(vec![(Check::Plugin, Outcome::Passed), (Check::Subject, Outcome::Skipped)])),
        ("twice", with(&[Check::Plugin])),
        ("as a signature", with(&[Check::Signature, Check::Authenticity, Check::Identity])),
        ("as an envelope", with(&[Check::Integrity, Check::Authenticity])),
        ("a signer", Findings { signer: Some(signer), ..findings(both()) }),
    ] {
        let refused = Verified::conclude(wrong, NOW).unwrap_err();
        assert_eq!((refused.check(), refused.code()), (Check::Plugin, Code::Internal), "{name}");
    }
    let past = Findings { valid_until: Some(NOW), ..findings(both()) };
    assert_eq!(Verified::conclude(past, NOW).unwrap_err().code(), Code::Expired);
}

#[test]
fn words_of_others_are_kept_apart_from_ours() {
    let told = Told { message: Some("canary".to_owned()), ..Told::default() };
    for error in [
        VerifyError::from(Rejection::new(Check::Plugin, Code::PluginRejected, "no").with_told(told.clone())),
        VerifyError::from(Undecided::new(Code::PluginFailed, "no").with_told(told.clone())),
    ] {
        assert_eq!((error.reason(), error.told()), ("no", Some(&told)));
        assert!(!format!("{error:?}").contains("canary"), "nor do they show in a log");
    }
}
