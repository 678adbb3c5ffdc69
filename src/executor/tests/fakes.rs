//! A store of one image, and a verifier that says what it is told: what the executor is tested with.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use serde_json::{Map, json};
use time::macros::datetime;
use tokio::sync::Notify;

use super::*;
use crate::{
    oci::{Completeness, Content, Found, media_type},
    policy::threshold::{Config, Threshold},
    verifier::{
        Check, Endorsement, Findings, Item, Outcome, Rest, Signer, Source, Undecided, Until, VerifierName,
        VerifyRequest, Waiver,
    },
};

pub(super) const NOW: OffsetDateTime = datetime!(2026-01-01 0:00 UTC);
pub(super) const SIGNATURE: &str = "application/vnd.example.signature";
pub(super) const EVIDENCE: &str = "application/vnd.example.evidence";

/// A store of one image and its referrers, which counts and can fail, wait or cut.
#[derive(Debug, Default)]
pub(super) struct FakeStore {
    pub(super) content: Mutex<HashMap<Digest, (Descriptor, Vec<u8>)>>,
    pub(super) referrers: Mutex<Vec<Referrer>>,
    /// What is listed for an artifact; `referrers` for all else.
    pub(super) below: Mutex<HashMap<Digest, Result<Listing, StoreError>>>,
    pub(super) cut: bool,
    pub(super) list_fails: Option<StoreError>,
    pub(super) tags_fail: Option<StoreError>,
    pub(super) asked: Mutex<Vec<(Repository, Discovery)>>,
    pub(super) manifest_fails: Mutex<HashMap<Digest, StoreError>>,
    pub(super) gate: Option<Arc<Notify>>,
    pub(super) resolves: AtomicUsize,
    pub(super) lists: AtomicUsize,
    pub(super) manifests: AtomicUsize,
}

impl FakeStore {
    /// An image with `signatures` signatures. The annotation `word` of each is what [`FakeVerifier`] says.
    pub(super) fn with(words: &[&str]) -> (Self, Descriptor) {
        let store = Self::default();
        let image =
            store.put(media_type::IMAGE_MANIFEST, &json!({"schemaVersion": 2, "config": blob("c"), "layers": []}));
        for (index, word) in words.iter().enumerate() {
            store.sign(&image, word, index);
        }
        (store, image)
    }

    pub(super) fn sign(&self, image: &Descriptor, word: &str, index: usize) {
        let signature = self.artifact(image, SIGNATURE, word, index);
        self.referrers.lock().unwrap().push(signature);
    }

    /// An artifact of the image that can itself be signed; nothing is attached to it yet.
    pub(super) fn evidence(&self, image: &Descriptor, word: &str, index: usize) -> Descriptor {
        let evidence = self.artifact(image, EVIDENCE, word, index);
        self.below.lock().unwrap().insert(evidence.descriptor.digest.clone(), Ok(Listing::whole(vec![])));
        self.referrers.lock().unwrap().push(evidence.clone());
        evidence.descriptor
    }

    /// Attaches a signature, or what is one here, to an artifact.
    pub(super) fn attach(&self, artifact: &Descriptor, artifact_type: &str, word: &str) -> Descriptor {
        let index = self.content.lock().unwrap().len();
        let referrer = self.artifact(artifact, artifact_type, word, index);
        let mut below = self.below.lock().unwrap();
        below.get_mut(&artifact.digest).unwrap().as_mut().unwrap().referrers.push(referrer.clone());
        below.insert(referrer.descriptor.digest.clone(), Ok(Listing::whole(vec![])));
        referrer.descriptor
    }

    /// Changes what is listed for an artifact.
    pub(super) fn relist(&self, artifact: &Descriptor, change: impl FnOnce(&mut Listing)) {
        change(self.below.lock().unwrap().get_mut(&artifact.digest).unwrap().as_mut().unwrap());
    }

    fn artifact(&self, subject: &Descriptor, artifact_type: &str, word: &str, index: usize) -> Referrer {
        let subject = Descriptor { artifact_type: None, ..subject.clone() };
        let mut descriptor = self.put(
            media_type::IMAGE_MANIFEST,
            &json!({"schemaVersion": 2, "artifactType": artifact_type, "config": blob("{}"), "layers": [],
                "subject": subject, "annotations": {"word": word, "index": index.to_string()}}),
        );
        descriptor.artifact_type = Some(artifact_type.into());
        Referrer { descriptor, found: Found::ReferrersApi }
    }

    pub(super) fn put(&self, media_type: &str, document: &serde_json::Value) -> Descriptor {
        let bytes = serde_json::to_vec(document).unwrap();
        let descriptor = Descriptor::of(media_type, &bytes);
        self.content.lock().unwrap().insert(descriptor.digest.clone(), (descriptor.clone(), bytes));
        descriptor
    }

    pub(super) async fn wait(&self) {
        if let Some(gate) = &self.gate {
            gate.notified().await;
            gate.notify_one();
        }
    }
}

pub(super) fn blob(text: &str) -> Descriptor {
    Descriptor::of("application/octet-stream", text.as_bytes())
}

#[async_trait]
impl Store for FakeStore {
    async fn resolve(&self, reference: &Reference, _: Deadline) -> Result<Descriptor, StoreError> {
        self.resolves.fetch_add(1, Ordering::SeqCst);
        self.wait().await;
        let missing = || StoreError::NotFound { what: reference.to_string() };
        let content = self.content.lock().unwrap();
        match reference.digest() {
            Some(digest) => content.get(digest).map(|(descriptor, _)| descriptor.clone()).ok_or_else(missing),
            None => content
                .values()
                .find(|(_, bytes)| !contains(bytes, b"subject"))
                .map(|(d, _)| d.clone())
                .ok_or_else(missing),
        }
    }

    async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        ways: Discovery,
        _: Deadline,
    ) -> Result<Listing, StoreError> {
        self.lists.fetch_add(1, Ordering::SeqCst);
        self.asked.lock().unwrap().push((repository.clone(), ways.clone()));
        if !ways.referrers {
            return self.tags_fail.clone().map_or_else(|| Ok(Listing::whole(vec![])), Err);
        }
        if let Some(listed) = self.below.lock().unwrap().get(subject) {
            return listed.clone();
        }
        if let Some(error) = &self.list_fails {
            return Err(error.clone());
        }
        let completeness = if self.cut { Completeness::Cut } else { Completeness::Whole };
        Ok(Listing::new(self.referrers.lock().unwrap().clone(), completeness))
    }

    async fn manifest(&self, _: &Repository, wanted: &Descriptor, _: Deadline) -> Result<Content, StoreError> {
        self.manifests.fetch_add(1, Ordering::SeqCst);
        if let Some(error) = self.manifest_fails.lock().unwrap().get(&wanted.digest) {
            return Err(error.clone());
        }
        let (_, bytes) = self.content.lock().unwrap().get(&wanted.digest).cloned().unwrap();
        Ok(Content::check(wanted.clone(), bytes.into()).unwrap())
    }

    async fn blob(&self, _: &Repository, _: &Descriptor, _: u64, _: Deadline) -> Result<Content, StoreError> {
        unreachable!("the fake verifier reads no blob")
    }
}

pub(super) fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Says what the artifact's annotation `word` says.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each switches one behaviour of a fake")]
pub(super) struct FakeVerifier {
    pub(super) name: VerifierName,
    pub(super) waives: bool,
    pub(super) covers: bool,
    pub(super) attempts: usize,
    /// Looks in another repository, and under cosign's tags.
    pub(super) elsewhere: bool,
    /// Lets only the last yes stand, if that is all there is; for no longer than an hour.
    pub(super) only_last: bool,
    pub(super) artifact_type: &'static str,
    /// What it was told of what is attached to the artifacts that it looked at.
    pub(super) nested: Arc<Mutex<Vec<Vec<Endorsement>>>>,
}

impl FakeVerifier {
    pub(super) fn named(name: &str) -> Self {
        Self {
            name: name.into(),
            waives: false,
            covers: true,
            attempts: 100,
            elsewhere: false,
            only_last: false,
            artifact_type: SIGNATURE,
            nested: Arc::default(),
        }
    }

    /// One whose artifacts can be signed.
    pub(super) fn of_evidence(name: &str) -> Self {
        Self { artifact_type: EVIDENCE, ..Self::named(name) }
    }
}

#[async_trait]
impl Verifier for FakeVerifier {
    fn name(&self) -> &VerifierName {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "fake"
    }

    fn can_verify(&self, referrer: &Referrer) -> bool {
        referrer.descriptor.artifact_type.as_deref() == Some(self.artifact_type)
    }

    fn source(&self, repository: &Repository) -> Source {
        if self.elsewhere {
            Source { repository: Repository::parse("r.io/signatures").unwrap(), ways: Discovery::everywhere() }
        } else {
            Source { repository: repository.clone(), ways: Discovery::REFERRERS }
        }
    }

    fn max_attempts(&self) -> usize {
        self.attempts
    }

    fn waives(&self, _: &Repository) -> Option<Waiver> {
        self.waives.then(|| Waiver::by_policy("skipped"))
    }

    fn covers(&self, _: &Repository) -> Result<(), Rejection> {
        let missing = || Rejection::new(Check::Policy, Code::TrustPolicyMissing, "no trust policy");
        if self.covers { Ok(()) } else { Err(missing()) }
    }

    fn may_log(&self) -> &'static [Check] {
        &[Check::AuthenticTimestamp, Check::Expiry]
    }

    async fn verify(&self, request: &VerifyRequest<'_>) -> Result<Vec<Item>, VerifyError> {
        self.nested.lock().unwrap().push(request.nested().to_vec());
        match request.artifact().manifest().annotations().get("word").map(String::as_str) {
            Some(word @ ("brief" | "yes")) => {
                let until = (word == "brief").then_some(NOW + Duration::from_hours(1));
                Ok(vec![Item::only(good(request.now(), "x", until))])
            }
            Some("if signed") if request.nested().iter().any(|endorsement| endorsement.outcome.is_ok()) => {
                Ok(vec![Item::only(good(request.now(), "x", None))])
            }
            Some("logged") => Ok(vec![Item::only(only_logged(request.now()))]),
            Some("panic") => panic!("on purpose"),
            Some("late") => Err(Undecided::new(Code::RegistryUnavailable, "not now").into()),
            Some("two") => Ok(["one", "two"].map(|text| item(text, request.now())).into()),
            Some("nothing") => Ok(vec![]),
            _ => Err(Rejection::new(Check::Integrity, Code::SignatureInvalid, "bad").into()),
        }
    }

    fn weigh(&self, verified: &[&Verified], rest: &Rest, now: OffsetDateTime) -> Vec<Result<Until, VerifyError>> {
        if !self.only_last {
            return vec![Ok(None); verified.len()];
        }
        let weigh = |index| match rest {
            Rest::Open(undecided) => Err(VerifyError::Undecided(undecided.clone())),
            Rest::None if index + 1 == verified.len() => Ok(Some(now + Duration::from_hours(1))),
            Rest::Cut | Rest::None => {
                Err(Rejection::new(Check::Policy, Code::AttestationSuperseded, "not last").into())
            }
        };
        (0..verified.len()).map(weigh).collect()
    }
}

pub(super) fn good(
    now: OffsetDateTime,
    signer: &str,
    valid_until: Option<OffsetDateTime>,
) -> Result<Verified, VerifyError> {
    let checks = [Check::Integrity, Check::Authenticity, Check::Subject].map(|check| (check, Outcome::Passed));
    let findings = Findings {
        checks: checks.into(),
        signer: Some(Signer { identity: signer.into(), display: signer.into() }),
        valid_until,
        signer_until: None,
        message: "good".into(),
        extensions: Map::new(),
        warnings: Vec::new(),
        attested: None,
    };
    Ok(Verified::conclude(findings, now)?)
}

/// A yes whose signer's certificates have ended a day ago, which is only logged; the next of them ends in a week.
pub(super) fn only_logged(now: OffsetDateTime) -> Result<Verified, VerifyError> {
    let failed = Rejection::new(Check::AuthenticTimestamp, Code::CertificateExpired, "ended");
    let mut checks: Vec<_> =
        [Check::Integrity, Check::Authenticity, Check::Subject].map(|check| (check, Outcome::Passed)).into();
    checks.push((Check::AuthenticTimestamp, Outcome::Logged(failed)));
    let findings = Findings {
        checks,
        signer: Some(Signer { identity: "s".into(), display: "s".into() }),
        valid_until: None,
        signer_until: Some(now + time::Duration::WEEK),
        message: "logged".into(),
        extensions: Map::new(),
        warnings: Vec::new(),
        attested: None,
    };
    Ok(Verified::conclude(findings, now)?)
}

pub(super) fn item(text: &str, now: OffsetDateTime) -> Item {
    Item {
        layer: Some(Digest::sha256(text.as_bytes())),
        envelope: Some(Digest::sha256(text.as_bytes())),
        outcome: good(now, text, None),
    }
}

pub(super) fn executor_with(store: Arc<FakeStore>, verifier: FakeVerifier, limits: Limits) -> Arc<Executor> {
    let configs: Vec<Config> = serde_json::from_value(json!([{"scopes": ["r.io/**"], "require": "v"}])).unwrap();
    let policy = Threshold::build(&configs, &["v".into()]).unwrap();
    Executor::new(Parts {
        store,
        verifiers: vec![Arc::new(verifier)],
        policy: Arc::new(policy),
        limits,
        runtime: Handle::current(),
        meter: None,
    })
}

/// With several verifiers, and what a policy requires of them.
pub(super) fn executor_of(
    store: &Arc<FakeStore>,
    verifiers: Vec<FakeVerifier>,
    require: &serde_json::Value,
    limits: Limits,
) -> Arc<Executor> {
    let configs: Vec<Config> = serde_json::from_value(json!([{"scopes": ["r.io/**"], "require": require}])).unwrap();
    let names: Vec<VerifierName> = verifiers.iter().map(|verifier| verifier.name.clone()).collect();
    let into_dyn = |verifier| -> Arc<dyn Verifier> { Arc::new(verifier) };
    Executor::new(Parts {
        store: store.clone(),
        verifiers: verifiers.into_iter().map(into_dyn).collect(),
        policy: Arc::new(Threshold::build(&configs, &names).unwrap()),
        limits,
        runtime: Handle::current(),
        meter: None,
    })
}

pub(super) fn executor(store: Arc<FakeStore>) -> Arc<Executor> {
    executor_with(store, FakeVerifier::named("v"), Limits::default())
}

pub(super) fn ask(image: &Descriptor) -> Question {
    question(&format!("r.io/app@{}", image.digest))
}

pub(super) fn question(reference: &str) -> Question {
    Question {
        tenant: Tenant::Cluster,
        reference: Reference::parse(reference).unwrap(),
        now: NOW,
        deadline: Instant::now() + Duration::from_secs(20),
    }
}

pub(super) fn code(answer: &Answer) -> (char, Code) {
    let decision = &answer.verdict.decision;
    let letter = match decision {
        Decision::Allow { .. } => 'y',
        Decision::Deny(_) => 'n',
        Decision::Undecided(_) => '?',
    };
    (letter, decision.code())
}
