//! Cases of the fixtures, and what an engine says about each.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use countersign::{
    app::{self, Materials},
    config::{Config, Fault},
    executor::{Executor, Question},
    oci::Reference,
    reason::Code,
    report::{Decision, Verdict, Word},
    store::{cached::ContentCache, registry::Outside},
    tenant::Tenant,
    verifier::{Check, Outcome, VerifyError, notation::revocation::RevocationEvidence},
};
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::{runtime::Handle, time::Instant};

#[derive(Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) layout: PathBuf,
    pub(crate) subject: CaseSubject,
    pub(crate) signatures: Vec<String>,
    pub(crate) policy: serde_json::Value,
    now: String,
    pub(crate) expected: String,
    pub(crate) check: Option<String>,
    #[serde(default)]
    pub(crate) logged: BTreeSet<String>,
    pub(crate) why: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CaseSubject {
    pub(crate) reference: String,
    pub(crate) digest: String,
    pub(crate) media_type: String,
}

/// What came out for a case.
#[derive(Debug)]
pub(crate) enum Said {
    /// With the checks that were only logged.
    Allow(BTreeSet<String>),
    /// The configuration is refused, with everything that is wrong with it.
    Broken(Vec<String>),
    /// With the decision's code, and each refusal in order.
    Deny(Code, Vec<(Check, Code, String)>),
    /// Without an answer.
    Undecided,
}

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// The cases of `file` in the fixtures.
pub(crate) fn cases(file: &str) -> Vec<Case> {
    let text = std::fs::read_to_string(fixtures().join(file)).unwrap();
    let Cases { cases } = serde_json::from_str(&text).unwrap();
    cases
}

impl Case {
    pub(crate) fn now(&self) -> OffsetDateTime {
        OffsetDateTime::parse(&self.now, &Rfc3339).unwrap()
    }

    /// What cases have in common that one engine can answer.
    pub(crate) fn call(&self) -> (PathBuf, String, String) {
        (self.layout.clone(), self.policy.to_string(), self.now.clone())
    }
}

/// Asks an engine of this configuration about each case.
pub(crate) async fn ask_all(cases: Vec<Case>, config: Result<Config, Vec<Fault>>) -> Vec<(Case, Said)> {
    let engine = match config {
        Ok(config) => {
            let materials = Materials {
                content: ContentCache::new(config.limits.content()),
                outside: Outside::default(),
                evidence: RevocationEvidence::default(),
                runtime: Handle::current(),
            };
            app::build(&config, &materials).await
        }
        Err(faults) => Err(faults),
    };
    let mut answers = Vec::new();
    for case in cases {
        let said = match &engine {
            Ok(engine) => ask(&case, &engine.executor).await,
            Err(faults) => Said::Broken(faults.iter().map(ToString::to_string).collect()),
        };
        answers.push((case, said));
    }
    answers
}

async fn ask(case: &Case, executor: &Arc<Executor>) -> Said {
    let question = Question {
        tenant: Tenant::Cluster,
        reference: Reference::parse(&case.subject.reference).unwrap(),
        now: case.now(),
        deadline: Instant::now() + Duration::from_mins(5),
    };
    let answer = executor.verify(question).await;
    let Verdict { subject, decision, reports, .. } = &*answer.verdict;
    let descriptor = subject.as_ref().unwrap_or_else(|| panic!("{}: {decision:?}", case.id)).descriptor();
    assert_eq!(
        (descriptor.digest.to_string(), &descriptor.media_type),
        (case.subject.digest.clone(), &case.subject.media_type),
        "{}",
        case.id
    );
    assert_eq!(answer.rendered.is_success(), matches!(decision, Decision::Allow { .. }), "{}", case.id);
    let mut refusals = Vec::new();
    let mut logged = BTreeSet::new();
    for report in reports {
        match &report.word {
            Word::Not(VerifyError::Rejected(no)) => refusals.push((no.check(), no.code(), no.reason().to_owned())),
            // The decision tells.
            Word::Not(VerifyError::Undecided(_)) | Word::Waived(_) => {}
            Word::Yes(yes) => {
                let only = yes.checks().iter().filter(|(_, outcome)| matches!(outcome, Outcome::Logged(_)));
                logged.extend(only.map(|(check, _)| check.to_string()));
            }
        }
    }
    match decision {
        Decision::Allow { .. } => Said::Allow(logged),
        Decision::Deny(reason) => Said::Deny(reason.code, refusals),
        Decision::Undecided(_) => Said::Undecided,
    }
}
