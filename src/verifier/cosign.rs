//! The verifiers `cosign` and `attestation`: signatures and attestations of the Sigstore world.
//!
//! ```text
//!                          ┌─ legacy ─┐               ┌─ signer   key | certificate, path, SCTs, identity ─┐
//! Artifact ─shape,fetch─►  ┤          ├─► Item ─judge─┤  vouch    log entries, signed timestamps ──► times ├─► Findings
//!                          └─ bundle ─┘               └─ content  payload | statement about the subject ───┘
//!                              trust policy (config ─► policy) ──► keys, roots, identities, demands
//! ```
//!
//! `sigstore-verify` itself is not in the accept path: it reads the wall clock and refuses an item for what should merely not
//! count. Its family's parsers, Merkle proofs and trusted roots are used; the whole is the tests' second opinion.

use std::{fmt::Write as _, path::Path, sync::Arc, thread};

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use time::OffsetDateTime;
use tokio::sync::Semaphore;

use self::{
    config::{AttestationConfig, Compiled, Config, ConfigFault, Wanted},
    evidence::{Shape, Signed},
    identity::Authorities,
    judge::{Target, Want},
    memory::{Memory, Question},
    policy::Trust,
    room::Room,
    select::{Candidate, Completeness, Freshness},
};
use super::{
    Check, Findings, Item, Rejection, Rest, Source, Undecided, Until, Verified, Verifier, VerifierName, VerifyError,
    VerifyRequest, Waiver,
};
use crate::{
    crypto::x509::Certificate,
    oci::{Content, CosignKind, CosignTag, Descriptor, Discovery, Referrer, Repository, Subject},
    reason::Code,
};

pub mod bundle;
pub mod certificate;
pub mod config;
pub mod describe;
pub mod evidence;
mod fetch;
pub mod identity;
pub mod judge;
pub mod key;
pub mod legacy;
mod log;
mod memory;
pub mod payload;
mod pem;
pub mod policy;
mod room;
pub mod root;
pub mod sct;
pub mod select;
mod shape;
pub mod statement;
pub mod timestamp;
mod wire;

pub use pem::PemFault;
pub use wire::WireError;

/// The configuration's `type` for signatures.
pub const KIND: &str = "cosign";
/// The configuration's `type` for attestations.
pub const ATTESTATION: &str = "attestation";

/// Layers of one artifact that are looked at side by side.
const AT_ONCE: usize = 8;

/// A verifier of cosign signatures, or of attestations of one predicate type.
#[derive(Debug)]
pub struct Cosign {
    name: VerifierName,
    rules: Arc<Compiled>,
    want: Arc<Want>,
    memory: Memory,
    /// Parsing and judging is processor work: at most as many at once as there are processors.
    places: Arc<Semaphore>,
    room: Room,
}

impl Cosign {
    /// A verifier of signatures; reads the files that `config` names, relative to `base`.
    ///
    /// # Errors
    /// Every fault of the configuration.
    pub fn load(name: VerifierName, config: &Config, base: &Path) -> Result<Self, Vec<ConfigFault>> {
        config.compile(base).map(|rules| Self::new(name, rules))
    }

    /// A verifier of attestations.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_attestation(
        name: VerifierName,
        config: &AttestationConfig,
        base: &Path,
    ) -> Result<Self, Vec<ConfigFault>> {
        config.compile(base).map(|rules| Self::new(name, rules))
    }

    fn new(name: VerifierName, rules: Compiled) -> Self {
        let want = match &rules.wanted {
            Wanted::Attestation { predicate_type, freshness } => {
                Want::Attestation { predicate_type: predicate_type.clone(), time_field: freshness.time_field.clone() }
            }
            Wanted::Signature => Want::Signature,
        };
        let processors = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            name,
            rules: Arc::new(rules),
            want: Arc::new(want),
            memory: Memory::default(),
            places: Arc::new(Semaphore::new(processors)),
            room: Room::default(),
        }
    }

    /// Each weakening, and what else an operator should look at (R111).
    pub fn warnings(&self) -> &[String] {
        &self.rules.warnings
    }

    /// The trust policies with authorities of their own (`caRoots`), and when the first of their certificates ends.
    pub fn anchors(&self) -> Vec<(&str, OffsetDateTime)> {
        let mut anchors = Vec::new();
        for policy in &self.rules.policies {
            let Trust::Certificates { roots, authorities: Authorities::Own, .. } = &policy.trust else { continue };
            let certificates = roots.iter().flat_map(|root| &root.certificate_authorities);
            let ends = certificates.flat_map(|authority| &authority.chain).map(Certificate::not_after);
            anchors.extend(ends.min().map(|end| (policy.name.as_str(), end)));
        }
        anchors
    }

    /// One layer: the item in it, judged.
    async fn look(&self, request: &VerifyRequest<'_>, shape: Shape, layer: &Descriptor) -> Item {
        let conclude = |findings| Verified::conclude(findings, request.now()).map_err(VerifyError::from);
        let outcome = self.find(request, shape, layer).await.and_then(conclude);
        let alone = shape.is_bundle();
        Item { layer: (!alone).then(|| layer.digest.clone()), envelope: Some(fetch::envelope(layer)), outcome }
    }

    async fn find(
        &self,
        request: &VerifyRequest<'_>,
        shape: Shape,
        layer: &Descriptor,
    ) -> Result<Findings, VerifyError> {
        let (subject, now) = (request.subject(), request.now());
        let question = Question {
            repository: subject.repository().clone(),
            subject: subject.digest().clone(),
            item: fetch::print(shape, layer),
        };
        if let Some(findings) = self.memory.findings(&question, now) {
            return Ok(findings);
        }
        let _held = self.room.hold(layer.size.min(self.rules.max_bundle_bytes)).await;
        let bytes = fetch::layer(request, shape, layer, self.rules.max_bundle_bytes).await?;
        let (task, layer) = (self.task(request), layer.clone());
        let parse_and_judge = move || match fetch::parse(shape, &layer, bytes)? {
            item if matches!(item.signed, Signed::Message { .. }) => Ok(Step::NeedsManifest(item)),
            item => task.judge(&item, None).map(Step::Found),
        };
        let findings = match self.compute(parse_and_judge).await? {
            Step::Found(findings) => findings,
            Step::NeedsManifest(item) => {
                // Nobody's place is held while the registry answers.
                let read = request.subject_manifest().await;
                let manifest = read.map_err(|error| VerifyError::from_store(Check::Content, &error))?;
                let task = self.task(request);
                self.compute(move || task.judge(&item, Some(&manifest))).await?
            }
        };
        self.memory.keep(question, &findings, now);
        Ok(findings)
    }

    fn task(&self, request: &VerifyRequest<'_>) -> Task {
        let (rules, want) = (Arc::clone(&self.rules), Arc::clone(&self.want));
        Task { rules, want, subject: request.subject().clone(), now: request.now() }
    }

    /// Processor work, off the workers that answer requests. A panic is this item's fault and never a yes (R102).
    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Rejection> + Send + 'static,
    ) -> Result<T, VerifyError> {
        let permit = Arc::clone(&self.places).acquire_owned().await.map_err(|_| lost())?;
        let work = move || {
            let done = work();
            // Work goes on when nobody waits for it any more; so does its place.
            drop(permit);
            done
        };
        Ok(tokio::task::spawn_blocking(work).await.map_err(|_| lost())??)
    }
}

/// What became of a layer's bytes.
enum Step {
    Found(Findings),
    /// A message signature: it was made over the subject's manifest.
    NeedsManifest(evidence::Item),
}

/// What judging an item takes beside the item.
struct Task {
    rules: Arc<Compiled>,
    want: Arc<Want>,
    subject: Subject,
    now: OffsetDateTime,
}

impl Task {
    fn judge(&self, item: &evidence::Item, manifest: Option<&Content>) -> Result<Findings, Rejection> {
        let Self { rules, want, subject, now } = self;
        let bytes = manifest.map(|content| content.bytes().as_ref());
        let target = Target { digest: subject.digest(), bytes, repository: Some(subject.repository()) };
        under_all(rules, item, &target, want, *now)
    }
}

fn lost() -> VerifyError {
    VerifyError::Undecided(Undecided::new(Code::Internal, "judging the signature ended without an outcome"))
}

/// An item under every trust policy that applies: where two tie, both must hold.
fn under_all(
    rules: &Compiled,
    item: &evidence::Item,
    target: &Target<'_>,
    want: &Want,
    now: OffsetDateTime,
) -> Result<Findings, Rejection> {
    let mut all: Option<Findings> = None;
    let applicable = target.repository.map(|repository| policy::applicable(&rules.policies, repository));
    for policy in applicable.unwrap_or_default() {
        let next = judge::judge(item, target, want, policy, now)?;
        all = Some(match all {
            None => next,
            Some(mut first) => {
                first.valid_until = first.valid_until.into_iter().chain(next.valid_until).min();
                first.signer_until = first.signer_until.into_iter().chain(next.signer_until).min();
                first.warnings.extend(next.warnings);
                // Writing to a String does not fail.
                let _ = write!(first.message, "; and under trust policy {:?}", policy.name);
                first
            }
        });
    }
    all.ok_or_else(|| Rejection::new(Check::Policy, Code::TrustPolicyMissing, "no trust policy covers the repository"))
}

#[async_trait]
impl Verifier for Cosign {
    fn name(&self) -> &VerifierName {
        &self.name
    }

    fn kind(&self) -> &'static str {
        match self.rules.wanted {
            Wanted::Attestation { .. } => ATTESTATION,
            Wanted::Signature => KIND,
        }
    }

    fn can_verify(&self, referrer: &Referrer) -> bool {
        shape::may_carry(referrer, &self.rules.wanted, self.rules.format)
    }

    fn source(&self, repository: &Repository) -> Source {
        let config::Source { repository: elsewhere, tag_prefix } = &self.rules.source;
        let kind = match self.rules.wanted {
            Wanted::Attestation { .. } => CosignKind::Attestations,
            Wanted::Signature => CosignKind::Signatures,
        };
        let tag = CosignTag { kind, prefix: tag_prefix.as_str().into() };
        let cosign_tags = self.rules.format.wants_legacy().then_some(tag).into_iter().collect();
        let repository = elsewhere.as_ref().unwrap_or(repository).clone();
        Source { repository, ways: Discovery { referrers: true, cosign_tags } }
    }

    fn max_attempts(&self) -> usize {
        self.rules.max_attempts
    }

    fn missing(&self) -> Rejection {
        match &self.rules.wanted {
            Wanted::Attestation { predicate_type, .. } => {
                let reason = format!("no attestation of type {predicate_type} was found");
                Rejection::new(Check::Content, Code::NoAttestation, reason)
            }
            Wanted::Signature => {
                let reason = "no cosign signature associated with the image was found";
                Rejection::new(Check::Content, Code::NoSignature, reason)
            }
        }
    }

    /// Nothing of this kind is believed without evidence.
    fn waives(&self, _: &Repository) -> Option<Waiver> {
        None
    }

    fn covers(&self, repository: &Repository) -> Result<(), Rejection> {
        if policy::applicable(&self.rules.policies, repository).is_empty() {
            let reason = format!("no trust policy of verifier {:?} covers {repository}", self.name);
            return Err(Rejection::new(Check::Policy, Code::TrustPolicyMissing, reason));
        }
        Ok(())
    }

    async fn verify(&self, request: &VerifyRequest<'_>) -> Result<Vec<Item>, VerifyError> {
        let layers = shape::layers(request.artifact(), &self.rules.wanted, self.rules.format)?;
        let mut looks = Vec::new();
        for (shape, layer) in layers.iter().take(self.rules.max_attempts) {
            looks.push(self.look(request, *shape, layer));
        }
        let mut items: Vec<Item> = stream::iter(looks).buffered(AT_ONCE).collect().await;
        if layers.len() > self.rules.max_attempts {
            let (count, limit) = (layers.len(), self.rules.max_attempts);
            let reason = format!("the manifest has {count} layers, the first {limit} are tried (maxSignatureAttempts)");
            items.push(Item::only(Err(Rejection::new(Check::Limits, Code::LimitExceeded, reason).into())));
        }
        Ok(items)
    }

    fn weigh(&self, verified: &[&Verified], rest: &Rest, now: OffsetDateTime) -> Vec<Result<Until, VerifyError>> {
        let freshness = match &self.rules.wanted {
            Wanted::Attestation { freshness, .. } => freshness,
            Wanted::Signature => &Freshness::default(),
        };
        let candidate =
            |one: &&Verified| Candidate { time: one.attested().and_then(|attested| attested.made_at), content: Ok(()) };
        let candidates: Vec<_> = verified.iter().map(candidate).collect();
        let completeness = match rest {
            Rest::Cut => Completeness::Cut,
            Rest::None => Completeness::Whole,
            Rest::Open(undecided) => Completeness::Open(undecided.clone()),
        };
        let kept = select::select(freshness, &candidates, &completeness, now);
        kept.into_iter().map(|kept| kept.map(|kept| kept.until)).collect()
    }
}
