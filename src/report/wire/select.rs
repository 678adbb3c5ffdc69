//! Which reports a value shows: enough to act on, never too many to carry.

use super::MAX_REPORTS;
use crate::report::{VerifierReport, Word};

/// A report that is shown, and those below it that are.
pub(super) struct Shown<'a> {
    pub(super) report: &'a VerifierReport,
    pub(super) below: Vec<Self>,
}

/// The reports to show, and how many beside them are not.
pub(super) fn select(reports: &[VerifierReport]) -> (Vec<Shown<'_>>, usize) {
    let mut room = Room { nested: MAX_REPORTS, omitted: 0 };
    let shown = room.show(reports, MAX_REPORTS);
    (shown, room.omitted)
}

/// How many may still be shown below the first level, and how many were left out on any.
struct Room {
    nested: usize,
    omitted: usize,
}

impl Room {
    fn show<'a>(&mut self, reports: &'a [VerifierReport], most: usize) -> Vec<Shown<'a>> {
        let kept = first(reports, most);
        self.omitted = self.omitted.saturating_add(reports.len().saturating_sub(kept.len()));
        let mut shown = Vec::with_capacity(kept.len());
        for report in kept {
            let below = match &report.nested {
                None => Vec::new(),
                Some(nested) => {
                    let reports = &nested.evidence.reports;
                    let most = self.nested.min(reports.len());
                    self.nested = self.nested.saturating_sub(most);
                    self.show(reports, most)
                }
            };
            shown.push(Shown { report, below });
        }
        shown
    }
}

/// A yes first, so that a cut never hides it; else listing order.
fn first(reports: &[VerifierReport], most: usize) -> Vec<&VerifierReport> {
    if reports.len() <= most {
        return reports.iter().collect();
    }
    let (yes, rest): (Vec<_>, Vec<_>) = reports.iter().partition(|report| !matches!(report.word, Word::Not(_)));
    yes.into_iter().chain(rest).take(most).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        oci::{Descriptor, Repository, Subject},
        reason::Code,
        report::{Evidence, Nested},
        verifier::{Check, Coverage, Rejection, Waiver},
    };

    fn report(word: Word) -> VerifierReport {
        VerifierReport { verifier: "v".into(), kind: "test", about: None, word, nested: None }
    }

    fn refused(count: usize) -> Vec<VerifierReport> {
        let no = || Word::Not(Rejection::new(Check::Integrity, Code::SignatureInvalid, "bad").into());
        (0..count).map(|_| report(no())).collect()
    }

    fn over(reports: Vec<VerifierReport>) -> VerifierReport {
        let subject = Subject::new(Repository::parse("r.io/app").unwrap(), Descriptor::of("t", b"artifact"));
        let nested = Nested { subject, evidence: Evidence { reports, coverage: Coverage::Whole } };
        VerifierReport { nested: Some(Arc::new(nested)), ..refused(1).remove(0) }
    }

    #[test]
    fn each_level_has_its_bound_and_what_is_left_out_is_counted() {
        let mut many = refused(MAX_REPORTS);
        many.push(report(Word::Waived(Waiver::by_policy("p"))));
        let (shown, omitted) = select(&many);
        assert_eq!((shown.len(), omitted), (MAX_REPORTS, 1));
        assert!(matches!(shown[0].report.word, Word::Waived(_)), "what is no refusal comes first");
        // Below the first level all share one room.
        let deep = [over(many.clone()), over(refused(3)), over(vec![over(refused(2))])];
        let (shown, omitted) = select(&deep);
        let below: Vec<usize> = shown.iter().map(|shown| shown.below.len()).collect();
        assert_eq!((below, omitted), (vec![MAX_REPORTS, 0, 0], 1 + 3 + 1));
        assert!(matches!(shown[0].below[0].report.word, Word::Waived(_)));
        let deep = [over(vec![over(refused(2)), over(refused(1))])];
        let (shown, omitted) = select(&deep);
        let below: Vec<usize> = shown[0].below.iter().map(|shown| shown.below.len()).collect();
        assert_eq!((below, omitted), (vec![2, 1], 0));
    }
}
