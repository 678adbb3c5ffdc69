use proptest::prelude::*;
use serde_json::Map;
use time::macros::datetime;

use super::*;
use crate::{
    report::About,
    verifier::{Check, Findings, Outcome, Rejection, Signer, Undecided, Verified, Waiver},
};

mod nested;

const NOW: OffsetDateTime = datetime!(2026-01-01 0:00 UTC);

fn yes_until(signer: Option<&str>, valid_until: Until) -> Word {
    let checks = [Check::Integrity, Check::Authenticity, Check::Subject].map(|check| (check, Outcome::Passed)).into();
    let signer = signer.map(|signer| Signer { identity: signer.into(), display: signer.into() });
    let findings = Findings {
        checks,
        signer,
        valid_until,
        signer_until: None,
        message: String::new(),
        extensions: Map::new(),
        warnings: Vec::new(),
        attested: None,
    };
    Word::Yes(Box::new(Verified::conclude(findings, NOW).unwrap()))
}

fn yes(signer: &str) -> Word {
    yes_until(Some(signer), None)
}

fn no() -> Word {
    Word::Not(Rejection::new(Check::Integrity, Code::SignatureInvalid, "bad").into())
}

fn open() -> Word {
    Word::Not(VerifyError::Undecided(Undecided::new(Code::Timeout, "late")))
}

fn waived() -> Word {
    Word::Waived(Waiver::by_policy("skipped"))
}

fn report(verifier: &str, artifact: &str, word: Word) -> VerifierReport {
    let about = Some(About { digest: artifact.into(), artifact_type: String::new(), layer: None, envelope: None });
    VerifierReport { verifier: verifier.into(), kind: "test", about, word, nested: None }
}

fn told(requirement: serde_json::Value, reports: Vec<VerifierReport>, coverage: Coverage) -> Decision {
    let requirement: Requirement = serde_json::from_value(requirement).unwrap();
    decide(&[&requirement], &Evidence { reports, coverage })
}

fn letter(decision: &Decision) -> char {
    match decision {
        Decision::Allow { .. } => 'y',
        Decision::Deny(_) => 'n',
        Decision::Undecided(_) => '?',
    }
}

fn words(spec: &str) -> Vec<VerifierReport> {
    // "a:y b:n c:?": verifier and word, each about an artifact and by a signer of its own.
    let word = |(index, part): (usize, &str)| {
        let (name, word) = part.split_once(':').unwrap();
        let word = match word {
            "y" => yes(&index.to_string()),
            "n" => no(),
            "?" => open(),
            "w" => waived(),
            other => panic!("{other}"),
        };
        report(name, &index.to_string(), word)
    };
    spec.split_whitespace().enumerate().map(word).collect()
}

#[test]
fn three_values_combine_by_the_rules() {
    let any = serde_json::json!({"any": ["a", "b"]});
    let all = serde_json::json!({"all": ["a", "b"]});
    let two = serde_json::json!({"atLeast": 2, "of": ["a", "b", "c"]});
    for (requirement, spec, expected) in [
        (&any, "", 'n'),
        (&any, "a:n b:y", 'y'),
        (&any, "a:? b:y", 'y'),
        // REG-34
        (&any, "a:? b:n", '?'),
        (&any, "a:n b:n", 'n'),
        (&any, "a:n a:y", 'y'),
        (&any, "c:y", 'n'),
        (&any, "a:w", 'y'),
        (&all, "", 'n'),
        (&all, "a:y", 'n'),
        (&all, "a:y b:y", 'y'),
        (&all, "a:y b:?", '?'),
        (&all, "a:n b:?", 'n'),
        // REG-33: another artifact's no does not undo a yes
        (&all, "a:n a:y b:y", 'y'),
        (&two, "a:y", 'n'),
        (&two, "a:y b:y", 'y'),
        (&two, "a:y b:?", '?'),
        (&two, "a:? b:?", '?'),
        (&two, "a:? b:n c:n", 'n'),
        (&two, "a:y b:w c:w", 'n'),
        (&two, "a:y a:y", 'n'),
    ] {
        let decision = told(requirement.clone(), words(spec), Coverage::Whole);
        assert_eq!(letter(&decision), expected, "{requirement} over {spec:?}: {decision:?}");
    }
}

#[test]
fn one_signer_or_one_envelope_under_several_names_counts_once() {
    let two = || serde_json::json!({"atLeast": 2, "of": ["a", "b"]});
    for (name, reports, expected) in [
        ("two signers", vec![report("a", "1", yes("x")), report("b", "2", yes("y"))], 'y'),
        ("one signer, two envelopes", vec![report("a", "1", yes("x")), report("b", "2", yes("x"))], 'n'),
        ("one envelope", vec![report("a", "1", yes("x")), report("b", "1", yes("y"))], 'n'),
        (
            "matched crosswise",
            vec![report("a", "1", yes("x")), report("b", "1", yes("x")), report("b", "2", yes("y"))],
            'y',
        ),
        ("no signer known", vec![report("a", "1", yes("x")), report("b", "2", yes_until(None, None))], 'n'),
    ] {
        let decision = told(two(), reports, Coverage::Whole);
        assert_eq!(letter(&decision), expected, "{name}");
    }
}

// R65: keys that sign the same payload have layers of one digest; a signature copied to another layer is still one
#[test]
fn signatures_over_one_layer_are_told_apart_by_their_bytes() {
    let over = |verifier: &str, layer: &str, signature: Option<&str>, signer: &str| {
        let mut one = report(verifier, "manifest", yes(signer));
        let about = one.about.as_mut().unwrap();
        (about.layer, about.envelope) = (Some(layer.to_owned()), Some(signature.unwrap_or(layer).to_owned()));
        one
    };
    let two = || serde_json::json!({"atLeast": 2, "of": ["a", "b"]});
    for (name, reports, expected) in [
        ("two over one layer", vec![over("a", "1", Some("s"), "x"), over("b", "1", Some("t"), "y")], 'y'),
        ("one over one layer", vec![over("a", "1", Some("s"), "x"), over("b", "1", Some("s"), "y")], 'n'),
        ("one signer, two over one layer", vec![over("a", "1", Some("s"), "x"), over("b", "1", Some("t"), "x")], 'n'),
        ("two layers that hold their signatures", vec![over("a", "1", None, "x"), over("b", "2", None, "y")], 'y'),
        ("one layer that holds its signature", vec![over("a", "1", None, "x"), over("b", "1", None, "y")], 'n'),
    ] {
        let decision = told(two(), reports, Coverage::Whole);
        assert_eq!(letter(&decision), expected, "{name}");
    }
}

// REG-20
#[test]
fn a_cut_list_satisfies_only_an_any_that_is_satisfied_already() {
    for (requirement, expected) in [
        (serde_json::json!("a"), 'y'),
        (serde_json::json!({"any": ["a", "b"]}), 'y'),
        (serde_json::json!({"all": ["a"]}), 'n'),
        (serde_json::json!({"atLeast": 1, "of": ["a"]}), 'n'),
        (serde_json::json!({"any": [{"all": ["a"]}]}), 'n'),
        (serde_json::json!("b"), 'n'),
    ] {
        let decision = told(requirement.clone(), words("a:y"), Coverage::Cut);
        assert_eq!(letter(&decision), expected, "{requirement}");
    }
}

#[test]
fn an_allow_ends_with_the_evidence_it_needs() {
    let (soon, late) = (datetime!(2026-02-01 0:00 UTC), datetime!(2026-03-01 0:00 UTC));
    let reports =
        || vec![report("a", "1", yes_until(Some("x"), Some(soon))), report("b", "2", yes_until(Some("y"), Some(late)))];
    for (requirement, expected) in [
        (serde_json::json!({"any": ["a", "b"]}), late),
        (serde_json::json!({"all": ["a", "b"]}), soon),
        (serde_json::json!({"atLeast": 2, "of": ["a", "b"]}), soon),
    ] {
        let decision = told(requirement.clone(), reports(), Coverage::Whole);
        assert_eq!(decision, Decision::allow(Some(expected)), "{requirement}");
    }
}

// R106
#[test]
fn a_static_requirement_decides_without_evidence_and_says_so() {
    let pass = || serde_json::json!({"static": {"action": "pass", "message": "old images"}});
    let fail = || serde_json::json!({"static": {"action": "fail", "message": "retired"}});
    for (requirement, spec, expected, code) in [
        (pass(), "", 'y', Code::StaticPass),
        (pass(), "a:n", 'y', Code::StaticPass),
        (fail(), "", 'n', Code::StaticFail),
        (fail(), "a:y", 'n', Code::StaticFail),
        (serde_json::json!({"any": ["a", pass()]}), "a:n", 'y', Code::StaticPass),
        (serde_json::json!({"any": ["a", pass()]}), "a:?", 'y', Code::StaticPass),
        (serde_json::json!({"any": ["a", pass()]}), "a:y", 'y', Code::Verified),
        (serde_json::json!({"any": ["a", fail()]}), "a:y", 'y', Code::Verified),
        (serde_json::json!({"any": ["a", fail()]}), "", 'n', Code::PolicyUnsatisfied),
        (serde_json::json!({"all": ["a", pass()]}), "", 'n', Code::NoSignature),
        (serde_json::json!({"all": ["a", pass()]}), "a:y", 'y', Code::Verified),
        (serde_json::json!({"all": ["a", fail()]}), "a:y", 'n', Code::StaticFail),
        (serde_json::json!({"all": ["a", fail()]}), "a:?", 'n', Code::StaticFail),
        (serde_json::json!({"all": [pass(), fail()]}), "", 'n', Code::StaticFail),
        (serde_json::json!({"all": [pass()]}), "", 'y', Code::StaticPass),
    ] {
        let decision = told(requirement.clone(), words(spec), Coverage::Whole);
        assert_eq!((letter(&decision), decision.code()), (expected, code), "{requirement} over {spec:?}");
    }
    let decision = told(pass(), Vec::new(), Coverage::Whole);
    assert_eq!(decision, Decision::Allow { valid_until: None, stated: Some("old images".to_owned()) });
}

#[test]
fn a_yes_by_evidence_ends_with_it_though_the_policy_would_pass_without() {
    let soon = datetime!(2026-02-01 0:00 UTC);
    let any = serde_json::json!({"any": ["a", {"static": {"action": "pass", "message": "old images"}}]});
    let decision = told(any, vec![report("a", "1", yes_until(Some("x"), Some(soon)))], Coverage::Whole);
    assert_eq!(decision, Decision::allow(Some(soon)));
}

fn requirement() -> impl Strategy<Value = serde_json::Value> {
    let name = prop_oneof!["a", "b", "c"].prop_map(serde_json::Value::from);
    name.prop_recursive(2, 8, 3, |inner| {
        let parts = prop::collection::vec(inner, 1..4);
        prop_oneof![
            parts.clone().prop_map(|parts| serde_json::json!({ "any": parts })),
            parts.prop_map(|parts| serde_json::json!({ "all": parts })),
            (1_usize..3).prop_map(|count| serde_json::json!({ "atLeast": count, "of": ["a", "b", "c"] })),
            ("[a-c]", "[a-c]").prop_map(|(name, by)| serde_json::json!({ "evidence": name, "signedBy": by })),
        ]
    })
}

fn flat_report() -> impl Strategy<Value = VerifierReport> {
    let word = prop_oneof!["[x-z]".prop_map(|signer| yes(&signer)), Just(no()), Just(open()), Just(waived()),];
    ("[a-c]", "[1-4]", word).prop_map(|(verifier, artifact, word)| report(&verifier, &artifact, word))
}

fn some_report() -> impl Strategy<Value = VerifierReport> {
    let below = prop::option::of(prop::collection::vec(flat_report(), 0..3));
    (flat_report(), below).prop_map(|(report, below)| match below {
        None => report,
        Some(reports) => nested::over(report, reports, Coverage::Whole),
    })
}

proptest! {
    #[test]
    fn the_order_of_reports_does_not_matter(requirement in requirement(), reports in prop::collection::vec(some_report(), 0..8)) {
        let forth = letter(&told(requirement.clone(), reports.clone(), Coverage::Whole));
        let back = letter(&told(requirement, reports.into_iter().rev().collect(), Coverage::Whole));
        prop_assert_eq!(forth, back);
    }

    #[test]
    fn a_rejected_report_never_turns_deny_into_allow(requirement in requirement(), reports in prop::collection::vec(some_report(), 0..8)) {
        let before = letter(&told(requirement.clone(), reports.clone(), Coverage::Whole));
        let mut more = reports;
        more.push(report("a", "9", no()));
        let after = letter(&told(requirement, more, Coverage::Whole));
        prop_assert_eq!(before, after);
    }

    #[test]
    fn no_report_is_a_deny(requirement in requirement()) {
        prop_assert_eq!(letter(&told(requirement, Vec::new(), Coverage::Whole)), 'n');
    }

    #[test]
    fn an_undecided_report_never_makes_a_no_or_a_yes(requirement in requirement(), reports in prop::collection::vec(some_report(), 0..8)) {
        let before = letter(&told(requirement.clone(), reports.clone(), Coverage::Whole));
        let mut more = reports;
        more.push(report("a", "9", open()));
        let after = letter(&told(requirement, more, Coverage::Whole));
        prop_assert!(after == before || after == '?', "{} became {}", before, after);
        prop_assert!(!(before == 'y' && after != 'y'));
    }
}
