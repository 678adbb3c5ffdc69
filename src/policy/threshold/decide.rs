//! Three-valued evaluation: one yes may be enough, an undecided leaves the question open, nothing is ever a no by being
//! counted.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use super::{Action, Requirement};
use crate::{
    policy::Evidence,
    reason::Code,
    report::{Decision, Reason, VerifierReport, Word},
    verifier::{Coverage, Rejection, VerifierName, VerifyError},
};

/// Until when something is true; `None`: the evidence names no end.
type Until = Option<OffsetDateTime>;

/// How a requirement came out.
#[derive(Debug, Clone)]
enum Holding {
    No(Reason),
    Undecided(Reason),
    Yes(Grounds),
}

/// What is decided about.
#[derive(Debug, Clone, Copy)]
enum Level {
    /// The image: the operator's waiver is a yes.
    Image,
    /// An artifact that must be signed: a waiver is no signature.
    Nested,
}

/// What a yes rests on.
#[derive(Debug, Clone)]
enum Grounds {
    Evidence(Until),
    /// The operator's own word, which says so: `static: pass`.
    Stated(String),
}

/// Decides: all of `requirements` must hold. None at all is a no.
pub(super) fn decide(requirements: &[&Requirement], evidence: &Evidence) -> Decision {
    let parts = requirements.iter().map(|requirement| evaluate(requirement, evidence, Level::Image)).collect();
    // Policies whose scopes tie: each is judged over the evidence as if alone.
    match conjunction(parts) {
        Holding::Yes(Grounds::Evidence(valid_until)) => Decision::allow(valid_until),
        Holding::Yes(Grounds::Stated(message)) => Decision::Allow { valid_until: None, stated: Some(message) },
        Holding::No(reason) => Decision::Deny(reason),
        Holding::Undecided(reason) => Decision::Undecided(reason),
    }
}

fn evaluate(requirement: &Requirement, evidence: &Evidence, level: Level) -> Holding {
    let each = |parts: &[Requirement]| parts.iter().map(|part| evaluate(part, evidence, level)).collect();
    match requirement {
        Requirement::Verifier(name) => verifier(name, evidence, level),
        Requirement::Signed { evidence: name, by } => signed(name, by, evidence),
        Requirement::Static { action: Action::Pass, message } => Holding::Yes(Grounds::Stated(message.clone())),
        Requirement::Static { action: Action::Fail, message } => {
            Holding::No(Reason::new(Code::StaticFail, message.clone()))
        }
        Requirement::Any(parts) => disjunction(each(parts)),
        Requirement::All(_) | Requirement::AtLeast { .. } if evidence.coverage == Coverage::Cut => cut(),
        Requirement::All(parts) => conjunction(each(parts)),
        Requirement::AtLeast { count, of } => at_least(*count, of, evidence),
    }
}

/// Over a cut list only an `any` that is satisfied already allows (REG-20).
fn cut() -> Holding {
    Holding::No(Reason::new(Code::LimitExceeded, "the list of referrers was cut; it cannot satisfy `all` or `atLeast`"))
}

fn reports_of<'a>(name: &'a VerifierName, evidence: &'a Evidence) -> impl Iterator<Item = &'a VerifierReport> {
    evidence.reports.iter().filter(move |report| report.verifier == *name)
}

/// A verifier holds when at least one artifact got a yes from it, or it waived; another artifact's no does not undo that.
fn verifier(name: &VerifierName, evidence: &Evidence, level: Level) -> Holding {
    let mut yes: Option<Until> = None;
    let (mut open, mut refused, mut waived) = (None, Vec::new(), None);
    for report in reports_of(name, evidence) {
        match (&report.word, level) {
            (Word::Yes(verified), _) => yes = Some(later(yes, verified.valid_until())),
            (Word::Waived(_), Level::Image) => yes = Some(None),
            (Word::Waived(skip), Level::Nested) => waived = Some(skip),
            (Word::Not(VerifyError::Undecided(undecided)), _) => open = open.or_else(|| Some(Reason::from(undecided))),
            (Word::Not(VerifyError::Rejected(rejection)), _) => refused.push(rejection),
        }
    }
    if let Some(until) = yes {
        return Holding::Yes(Grounds::Evidence(until));
    }
    if let Some(reason) = open {
        return Holding::Undecided(named(name, &reason));
    }
    Holding::No(match waived {
        Some(skip) => {
            let message = format!("{name}: waived by trust policy {:?}, which is no signature", skip.policy());
            Reason::new(Code::NoSignature, message)
        }
        None => nearest(name, &refused),
    })
}

/// Why a verifier said no, of all that it refused.
fn nearest(name: &VerifierName, refused: &[&Rejection]) -> Reason {
    // The nearest miss says most: the rejection that came furthest. Of several the words decide, so that their order does not (R108).
    let rank = |rejection: &&Rejection| (rejection.check(), rejection.code().as_str());
    let nearest = refused.iter().max_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| b.reason().cmp(a.reason())));
    match nearest {
        None => Reason::new(Code::NoSignature, format!("{name}: no evidence was found")),
        Some(nearest) => {
            let others = refused.len().saturating_sub(1);
            let more = if others == 0 { String::new() } else { format!(" (and {others} more refused)") };
            Reason::new(nearest.code(), format!("{name}: {}{more}", nearest.reason()))
        }
    }
}

/// `name` said yes to an artifact, and what is attached to that same artifact satisfies `by`. A yes about one artifact and a
/// signature of another are nothing together.
fn signed(name: &VerifierName, by: &Requirement, evidence: &Evidence) -> Holding {
    let mut yes: Option<Until> = None;
    let (mut open, mut refused, mut unsigned) = (None, Vec::new(), Vec::new());
    for report in reports_of(name, evidence) {
        let until = match &report.word {
            Word::Yes(verified) => Ok(verified.valid_until()),
            Word::Not(VerifyError::Undecided(undecided)) => Err(named(name, &Reason::from(undecided))),
            Word::Not(VerifyError::Rejected(rejection)) => {
                refused.push(rejection);
                continue;
            }
            Word::Waived(waiver) => {
                let reason = format!("waived by trust policy {:?}, so that no artifact was looked at", waiver.policy());
                unsigned.push(Reason::new(Code::NoSignature, reason));
                continue;
            }
        };
        let below = report.nested.as_ref().map(|nested| evaluate(by, &nested.evidence, Level::Nested));
        match (until, below) {
            (_, Some(Holding::No(reason))) => unsigned.push(reason),
            (Err(reason), _) => open = open.or(Some(reason)),
            (Ok(_), None) => {
                let reason = format!("{name}: holds, and nobody looked at what is attached to its artifact");
                open = open.or_else(|| Some(Reason::new(Code::Internal, reason)));
            }
            (Ok(_), Some(Holding::Undecided(reason))) => {
                let reason = Reason::new(reason.code, format!("{name}: whether it is signed: {}", reason.message));
                open = open.or(Some(reason));
            }
            (Ok(until), Some(Holding::Yes(Grounds::Evidence(signed)))) => {
                yes = Some(later(yes, earlier(until, signed)));
            }
            // A configuration that says so is refused.
            (Ok(_), Some(Holding::Yes(Grounds::Stated(message)))) => {
                unsigned.push(Reason::new(Code::NoSignature, message));
            }
        }
    }
    match (yes, open) {
        (Some(until), _) => Holding::Yes(Grounds::Evidence(until)),
        (None, Some(reason)) => Holding::Undecided(reason),
        (None, None) => Holding::No(why_unsigned(name, by, unsigned).unwrap_or_else(|| nearest(name, &refused))),
    }
}

/// Why none of the artifacts that `name` looked at is signed as it must be. `None`: there was none.
fn why_unsigned(name: &VerifierName, by: &Requirement, unsigned: Vec<Reason>) -> Option<Reason> {
    let others = unsigned.len().saturating_sub(1);
    // By their words, so that the order of the reports does not matter (R108).
    let first = unsigned.into_iter().min_by(|a, b| a.message.cmp(&b.message))?;
    let code = if first.code == Code::LimitExceeded { first.code } else { Code::EvidenceUnsigned };
    let more = if others == 0 { String::new() } else { format!(" (and {others} more)") };
    let message = format!("{name}: the artifact itself is not signed by {by}: {}{more}", first.message);
    Some(Reason::new(code, message))
}

fn named(name: &VerifierName, reason: &Reason) -> Reason {
    Reason::new(reason.code, format!("{name}: {}", reason.message))
}

/// One more yes makes it true for as long as the longer one lasts.
fn later(known: Option<Until>, new: Until) -> Until {
    match (known, new) {
        (None, new) => new,
        (Some(None), _) | (_, None) => None,
        (Some(Some(known)), Some(new)) => Some(known.max(new)),
    }
}

fn earlier(a: Until, b: Until) -> Until {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    }
}

/// Evidence stands before a word: only where there is none, the word decides, and the report says so.
fn disjunction(parts: Vec<Holding>) -> Holding {
    let (mut yes, mut stated): (Option<Until>, Option<String>) = (None, None);
    let (mut open, mut refused) = (None, Vec::new());
    for part in parts {
        match part {
            Holding::Yes(Grounds::Evidence(until)) => yes = Some(later(yes, until)),
            Holding::Yes(Grounds::Stated(message)) => stated = stated.or(Some(message)),
            Holding::Undecided(reason) => open = open.or(Some(reason)),
            Holding::No(reason) => refused.push(reason),
        }
    }
    match (yes, stated, open) {
        (Some(until), _, _) => Holding::Yes(Grounds::Evidence(until)),
        (None, Some(message), _) => Holding::Yes(Grounds::Stated(message)),
        (None, None, Some(reason)) => Holding::Undecided(reason),
        (None, None, None) => Holding::No(combine(refused)),
    }
}

fn conjunction(parts: Vec<Holding>) -> Holding {
    let (mut until, mut stated): (Option<Until>, Option<String>) = (None, None);
    let (mut open, mut refused) = (None, Vec::new());
    for part in parts {
        match part {
            Holding::Yes(Grounds::Evidence(end)) => until = Some(earlier(until.flatten(), end)),
            Holding::Yes(Grounds::Stated(message)) => stated = stated.or(Some(message)),
            Holding::Undecided(reason) => open = open.or(Some(reason)),
            Holding::No(reason) => refused.push(reason),
        }
    }
    match (refused.is_empty(), open, until) {
        (false, _, _) => Holding::No(combine(refused)),
        (true, Some(reason), _) => Holding::Undecided(reason),
        (true, None, Some(until)) => Holding::Yes(Grounds::Evidence(until)),
        (true, None, None) => match stated {
            Some(message) => Holding::Yes(Grounds::Stated(message)),
            // All of nothing is nothing.
            None => Holding::No(combine(Vec::new())),
        },
    }
}

/// One reason of several: their common code, else that the policy does not hold; each in words.
fn combine(reasons: Vec<Reason>) -> Reason {
    let code = match reasons.as_slice() {
        [first, rest @ ..] if rest.iter().all(|reason| reason.code == first.code) => first.code,
        _ => Code::PolicyUnsatisfied,
    };
    let said: BTreeSet<_> = reasons.into_iter().map(|reason| reason.message).collect();
    let message = if said.is_empty() { code.meaning().to_owned() } else { Vec::from_iter(said).join("; ") };
    Reason::new(code, message)
}

/// At least `count` of the names hold, each by a signer and an artifact of its own.
///
/// Names are matched to signers one to one, so that one signer, or one envelope, under several names counts once. Signers
/// that share an artifact are one. A waiver has no signer and never counts.
fn at_least(count: usize, of: &[VerifierName], evidence: &Evidence) -> Holding {
    let mut parties = Parties::default();
    let mut until: Until = None;
    let mut choices: Vec<(bool, BTreeSet<usize>)> = Vec::new();
    for name in of {
        let mut signed_by = BTreeSet::new();
        let mut open = false;
        for report in reports_of(name, evidence) {
            match &report.word {
                Word::Yes(verified) => {
                    if let Some(signer) = verified.signer() {
                        // One envelope is one signature; a manifest with a layer for each signer is as many, also where all
                        // signed the same payload (R65).
                        let envelope =
                            report.about.as_ref().map(|about| about.envelope.as_ref().unwrap_or(&about.digest));
                        signed_by.insert(parties.of(&signer.identity, envelope.map(String::as_str)));
                        until = earlier(until, verified.valid_until());
                    }
                }
                Word::Not(VerifyError::Undecided(_)) => open = true,
                Word::Not(VerifyError::Rejected(_)) | Word::Waived(_) => {}
            }
        }
        choices.push((open, signed_by));
    }
    let settle = |choices: &[(bool, BTreeSet<usize>)], skip_open: bool| {
        let sets: Vec<BTreeSet<usize>> = choices
            .iter()
            .filter(|(open, _)| !(skip_open && *open))
            .map(|(_, set)| set.iter().map(|party| parties.root(*party)).collect())
            .collect();
        matching(&sets)
    };
    let found = settle(&choices, false);
    if found >= count {
        return Holding::Yes(Grounds::Evidence(until));
    }
    let open = choices.iter().filter(|(open, _)| *open).count();
    let names = of.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(", ");
    let message = format!("{found} of {count} distinct signers found among {names}");
    if open.saturating_add(settle(&choices, true)) >= count {
        Holding::Undecided(Reason::new(Code::RegistryUnavailable, format!("{message}; some evidence could not be had")))
    } else {
        Holding::No(Reason::new(Code::PolicyUnsatisfied, message))
    }
}

/// Signers, merged where they share an artifact.
#[derive(Debug, Default)]
struct Parties {
    by_signer: BTreeMap<String, usize>,
    by_artifact: BTreeMap<String, usize>,
    parents: Vec<usize>,
}

impl Parties {
    fn of(&mut self, signer: &str, artifact: Option<&str>) -> usize {
        let fresh = self.parents.len();
        let party = *self.by_signer.entry(signer.to_owned()).or_insert(fresh);
        if party == fresh {
            self.parents.push(fresh);
        }
        if let Some(artifact) = artifact {
            let other = *self.by_artifact.entry(artifact.to_owned()).or_insert(party);
            let (a, b) = (self.root(party), self.root(other));
            if let Some(parent) = self.parents.get_mut(a) {
                *parent = b;
            }
        }
        party
    }

    fn root(&self, party: usize) -> usize {
        let mut at = party;
        while let Some(parent) = self.parents.get(at).filter(|parent| **parent != at) {
            at = *parent;
        }
        at
    }
}

/// The largest number of sets that can each have an element of its own (augmenting paths).
fn matching(sets: &[BTreeSet<usize>]) -> usize {
    fn augment(
        set: usize,
        sets: &[BTreeSet<usize>],
        taken: &mut BTreeMap<usize, usize>,
        seen: &mut BTreeSet<usize>,
    ) -> bool {
        for element in sets.get(set).into_iter().flatten() {
            if !seen.insert(*element) {
                continue;
            }
            let free = match taken.get(element).copied() {
                None => true,
                Some(owner) => augment(owner, sets, taken, seen),
            };
            if free {
                taken.insert(*element, set);
                return true;
            }
        }
        false
    }
    let mut taken = BTreeMap::new();
    (0..sets.len()).filter(|set| augment(*set, sets, &mut taken, &mut BTreeSet::new())).count()
}

#[cfg(test)]
mod tests;
