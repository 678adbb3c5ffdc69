//! `{ evidence, signedBy }`: a yes about an artifact, and a signature of that very artifact.

use std::sync::Arc;

use super::*;
use crate::{
    oci::{Descriptor, Repository, Subject},
    report::Nested,
};

/// `report`, below whose artifact these were found.
pub(super) fn over(report: VerifierReport, reports: Vec<VerifierReport>, coverage: Coverage) -> VerifierReport {
    let subject = Subject::new(Repository::parse("r.io/app").unwrap(), Descriptor::of("t", b"artifact"));
    let nested = Nested { subject, evidence: Evidence { reports, coverage } };
    VerifierReport { nested: Some(Arc::new(nested)), ..report }
}

/// `"e:y(s:y s:n) e:n()"`: words about artifacts, each with what is attached to it; without brackets nobody looked.
fn evidence(spec: &str) -> Vec<VerifierReport> {
    let mut reports = Vec::new();
    for (index, part) in spec.split(';').map(str::trim).filter(|part| !part.is_empty()).enumerate() {
        let (word, below) = part.split_once('(').map_or((part, None), |(word, below)| (word, Some(below)));
        let mut report = words(word).remove(0);
        report.about.as_mut().unwrap().digest = index.to_string();
        reports.push(match below {
            None => report,
            Some(below) => {
                let (below, coverage) = match below.trim_end_matches(')').strip_prefix("cut ") {
                    Some(below) => (below, Coverage::Cut),
                    None => (below.trim_end_matches(')'), Coverage::Whole),
                };
                over(report, words(below), coverage)
            }
        });
    }
    reports
}

#[expect(clippy::needless_pass_by_value, reason = "reads better in tables")]
fn by(signed_by: serde_json::Value) -> serde_json::Value {
    serde_json::json!({ "evidence": "e", "signedBy": signed_by })
}

// ART-03
#[test]
fn evidence_holds_only_where_its_own_artifact_is_signed() {
    for (name, spec, expected) in [
        ("nothing", "", ('n', Code::NoSignature)),
        ("signed", "e:y(s:y)", ('y', Code::Verified)),
        ("a refused signature beside a good one", "e:y(s:n s:y)", ('y', Code::Verified)),
        ("unsigned", "e:y()", ('n', Code::EvidenceUnsigned)),
        ("badly signed", "e:y(s:n)", ('n', Code::EvidenceUnsigned)),
        ("signed by somebody else", "e:y(t:y)", ('n', Code::EvidenceUnsigned)),
        ("another artifact is signed", "e:y(s:n); e:n(s:y)", ('n', Code::EvidenceUnsigned)),
        ("the image is signed", "e:y(); s:y", ('n', Code::EvidenceUnsigned)),
        ("evidence of another verifier", "f:y(s:y)", ('n', Code::NoSignature)),
        ("signed, and it says no", "e:n(s:y)", ('n', Code::SignatureInvalid)),
        ("one of two artifacts is signed", "e:y(s:n); e:y(s:y)", ('y', Code::Verified)),
        ("signatures are waived", "e:y(s:w)", ('n', Code::EvidenceUnsigned)),
        ("waived for one, signed all the same", "e:y(s:w s:y)", ('y', Code::Verified)),
        ("evidence is waived", "e:w", ('n', Code::EvidenceUnsigned)),
        ("evidence is waived, the image signed", "e:w; s:y", ('n', Code::EvidenceUnsigned)),
        ("the signature is open", "e:y(s:?)", ('?', Code::Timeout)),
        ("the evidence is open", "e:?(s:y)", ('?', Code::Timeout)),
        ("the evidence is open and unsigned", "e:?(s:n)", ('n', Code::EvidenceUnsigned)),
        ("it says no, the signature is open", "e:n(s:?)", ('n', Code::SignatureInvalid)),
        ("the list failed", "e:?", ('?', Code::Timeout)),
        ("one open beside one good", "e:y(s:?); e:y(s:y)", ('y', Code::Verified)),
        ("one open beside one unsigned", "e:y(s:?); e:y(s:n)", ('?', Code::Timeout)),
        ("nobody looked", "e:y", ('?', Code::Internal)),
        ("nobody looked below one", "e:y; e:y(s:y)", ('y', Code::Verified)),
        ("cut, and signed", "e:y(cut s:y)", ('y', Code::Verified)),
        ("cut without a yes", "e:y(cut s:n)", ('n', Code::EvidenceUnsigned)),
    ] {
        for reversed in [false, true] {
            let mut reports = evidence(spec);
            if reversed {
                reports.reverse();
            }
            let decision = told(by("s".into()), reports, Coverage::Whole);
            assert_eq!((letter(&decision), decision.code()), expected, "{name}: {spec}: {decision:?}");
        }
    }
}

#[test]
fn signed_by_is_any_requirement_over_what_is_attached_to_the_artifact() {
    let (any, all) = (serde_json::json!({"any": ["s", "t"]}), serde_json::json!({"all": ["s", "t"]}));
    let two = serde_json::json!({"atLeast": 2, "of": ["s", "t"]});
    for (signed_by, spec, expected) in [
        (&any, "e:y(t:y)", 'y'),
        (&any, "e:y(u:y)", 'n'),
        (&all, "e:y(s:y t:y)", 'y'),
        (&all, "e:y(s:y)", 'n'),
        (&all, "e:y(s:y); e:y(t:y)", 'n'),
        (&all, "e:y(s:y t:w)", 'n'),
        (&all, "e:y(s:y t:?)", '?'),
        (&two, "e:y(s:y t:y)", 'y'),
        (&two, "e:y(s:y); e:y(t:y)", 'n'),
        // REG-20
        (&any, "e:y(cut t:y)", 'y'),
        (&all, "e:y(cut s:y t:y)", 'n'),
        (&two, "e:y(cut s:y t:y)", 'n'),
    ] {
        let decision = told(by(signed_by.clone()), evidence(spec), Coverage::Whole);
        assert_eq!(letter(&decision), expected, "{signed_by} over {spec}: {decision:?}");
    }
    // One level deeper: the signature must be signed.
    let deep = by(serde_json::json!({ "evidence": "s", "signedBy": "t" }));
    let signature = |below: &str| over(words("s:y").remove(0), words(below), Coverage::Whole);
    for (below, expected) in [("t:y", 'y'), ("t:n", 'n'), ("t:?", '?'), ("", 'n')] {
        let reports = vec![over(words("e:y").remove(0), vec![signature(below)], Coverage::Whole)];
        assert_eq!(letter(&told(deep.clone(), reports, Coverage::Whole)), expected, "{below}");
    }
}

// REG-20: the list of the image is one thing, that of an artifact another
#[test]
fn over_a_cut_list_signed_evidence_is_enough_alone_and_never_part_of_all() {
    for (requirement, expected) in [
        (by("s".into()), 'y'),
        (serde_json::json!({ "any": [by("s".into())] }), 'y'),
        (serde_json::json!({ "all": [by("s".into())] }), 'n'),
    ] {
        let decision = told(requirement.clone(), evidence("e:y(s:y)"), Coverage::Cut);
        assert_eq!(letter(&decision), expected, "{requirement}");
    }
}

#[test]
fn signed_evidence_ends_with_what_ends_first_and_lasts_as_long_as_the_longest() {
    let (soon, late) = (datetime!(2026-02-01 0:00 UTC), datetime!(2026-03-01 0:00 UTC));
    let one = |evidence: Until, signature: Until| {
        let below = vec![report("s", "9", yes_until(Some("x"), signature))];
        over(report("e", "1", yes_until(Some("y"), evidence)), below, Coverage::Whole)
    };
    for (reports, expected) in [
        (vec![one(None, Some(soon))], Some(soon)),
        (vec![one(Some(soon), None)], Some(soon)),
        (vec![one(Some(late), Some(soon))], Some(soon)),
        (vec![one(Some(soon), Some(late))], Some(soon)),
        (vec![one(Some(late), Some(soon)), one(Some(late), Some(late))], Some(late)),
        (vec![one(None, None)], None),
    ] {
        assert_eq!(told(by("s".into()), reports, Coverage::Whole), Decision::allow(expected));
    }
}

#[test]
fn a_refusal_names_evidence_signers_and_why() {
    for (spec, says) in [
        ("e:y(s:n)", "e: the artifact itself is not signed by s: s: bad"),
        ("e:y()", "e: the artifact itself is not signed by s: s: no evidence was found"),
        ("e:y(s:n); e:y()", "(and 1 more)"),
        ("e:y(s:w)", "s: waived by trust policy \"skipped\", which is no signature"),
        ("e:y(s:?)", "e: whether it is signed: s: late"),
    ] {
        let decision = told(by("s".into()), evidence(spec), Coverage::Whole);
        assert!(decision.message().contains(says), "{spec}: {}", decision.message());
    }
    let limit = Word::Not(Rejection::new(Check::Limits, Code::LimitExceeded, "too many").into());
    let reports = vec![over(words("e:y").remove(0), vec![report("s", "9", limit)], Coverage::Cut)];
    assert_eq!(told(by("s".into()), reports, Coverage::Whole).code(), Code::LimitExceeded);
}

proptest! {
    #[test]
    fn nothing_is_signed_without_a_yes_below(reports in prop::collection::vec(some_report(), 0..6)) {
        let unsigned = reports.into_iter().map(|report| match &report.nested {
            None => report,
            Some(nested) => {
                let mut below = nested.evidence.reports.clone();
                below.retain(|report| !matches!(report.word, Word::Yes(_)));
                over(report, below, Coverage::Whole)
            }
        });
        let requirement = serde_json::json!({ "evidence": "a", "signedBy": "b" });
        prop_assert_ne!(letter(&told(requirement, unsigned.collect(), Coverage::Whole)), 'y');
    }

    #[test]
    fn signed_evidence_is_never_easier_than_the_evidence_alone(reports in prop::collection::vec(some_report(), 0..6)) {
        let signed = letter(&told(serde_json::json!({ "evidence": "a", "signedBy": "b" }), reports.clone(), Coverage::Whole));
        let alone = letter(&told("a".into(), reports, Coverage::Whole));
        prop_assert!(signed != 'y' || alone == 'y');
        prop_assert!(alone != 'n' || signed == 'n');
    }

    #[test]
    fn a_refused_signature_takes_nothing_away(reports in prop::collection::vec(some_report(), 0..6)) {
        let requirement = serde_json::json!({ "evidence": "a", "signedBy": "b" });
        let before = letter(&told(requirement.clone(), reports.clone(), Coverage::Whole));
        let more = reports.into_iter().map(|mut one| {
            if let Some(nested) = one.nested.take() {
                let mut below = nested.evidence.reports.clone();
                below.insert(0, report("b", "9", no()));
                return over(one, below, Coverage::Whole);
            }
            one
        });
        prop_assert_eq!(before, letter(&told(requirement, more.collect(), Coverage::Whole)));
    }
}
