//! Puts the objects into a cluster that make Gatekeeper ask us, and waits until it does.
//!
//! ```text
//! Manifest ──Settings──► each, in order: kind served? ──► who owns caBundle? ──► server-side apply ──► State::Active?
//!                                           └──── waited for, said when it changes, until the deadline ────┘
//! ```
//! A chart cannot do this: a constraint's kind is there only after Gatekeeper has read its template, and a `caBundle` that a
//! chart renders would be reset by each upgrade. Server-side apply leaves alone what it does not name, so a `caBundle` is named
//! only where it is ours to set:
//!
//! | `caBundle` | applied as `countersign` | as [`CERTIFICATES_MANAGER`] |
//! |---|---|---|
//! | given, or in the manifest | with the rest | – |
//! | of the certificates' Secret, and nobody else keeps one there | – | first of all, so that no Provider is ever without |
//! | of the certificates' Secret, kept by the rotation | – | – |
//! | not given | as it is, if we set it before | – |

use std::{collections::BTreeMap, fmt, time::Duration};

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt as _,
    api::{DynamicObject, Patch, PatchParams},
    core::{GroupVersionKind, Status},
    discovery,
    error::DiscoveryError,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until, timeout};

use self::{
    active::{State, state},
    manifest::{CONSTRAINTS, Kind},
};
pub use self::{
    bundle::{BundleError, CaBundle},
    manifest::{Manifest, ManifestError, Part, to_list},
    settings::{EnforcementAction, NAMESPACE, Settings, SettingsError},
};
use super::Cluster;
use crate::reason;

mod active;
mod bundle;
mod manifest;
mod settings;

/// Who owns the fields that are applied.
pub const MANAGER: &str = "countersign";
/// Who owns a `caBundle` that the rotation of certificates keeps.
pub const CERTIFICATES_MANAGER: &str = "countersign-certificates";

/// Longest wait for one answer; what is slower is asked again.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest word of the API server that is repeated.
const MAX_WORD_BYTES: usize = 400;

/// Where a Provider's CA bundle comes from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Bundle {
    /// This one.
    Given(CaBundle),
    /// What is there stays.
    Kept,
    /// `ca.crt` of this Secret, once it is there, where nobody else keeps a bundle.
    Secret {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

/// What becomes of fields that somebody else owns with another value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OthersFields {
    /// The object is refused.
    Keep,
    /// They are taken over.
    Take,
}

/// Whether anything is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Run {
    /// The API server checks each object and keeps none.
    Dry,
    /// Objects are kept.
    Real,
}

/// How to apply.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The Providers' CA bundle.
    pub bundle: Bundle,
    /// Fields of others.
    pub others: OthersFields,
    /// Whether to change anything.
    pub run: Run,
    /// Until when it is waited.
    pub until: Instant,
    /// How long between two looks.
    pub every: Duration,
}

/// What happens, for whoever waits.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Said {
    /// Gatekeeper acts on the object.
    Active(String),
    /// The object was sent, and what that changed.
    Applied(String, Change),
    /// It could not be checked without changing something.
    Skipped(String, &'static str),
    /// What is waited for, when that changes.
    Waiting(String, String),
}

/// What an apply changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Some of it.
    Configured,
    /// It was not there.
    Created,
    /// Nothing.
    Unchanged,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configured => "configured",
            Self::Created => "created",
            Self::Unchanged => "unchanged",
        })
    }
}

/// Why not everything is active. What was applied before stays applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// Gatekeeper read the object and reports an error, to the end.
    #[error("{object}: Gatekeeper does not act on it: {fault}")]
    Complaint {
        /// Which object.
        object: String,
        /// Gatekeeper's word.
        fault: String,
    },
    /// Fields of it are somebody else's.
    #[error("{object}: {}; they keep it. Leave the field to them, or take it over with --force-conflicts", owned(.fields))]
    Conflict {
        /// Which object.
        object: String,
        /// Who owns which field.
        fields: Vec<(String, String)>,
    },
    /// The API server refuses it.
    #[error("{object}: the API server refuses it ({status}): {message}")]
    Denied {
        /// Which object.
        object: String,
        /// HTTP status.
        status: u16,
        /// The API server's word.
        message: String,
    },
    /// A Provider that Gatekeeper would refuse.
    #[error("{object}: has no caBundle, and none is given: use --ca-bundle or --ca-secret")]
    NoBundle {
        /// Which Provider.
        object: String,
    },
    /// The time is over.
    #[error("{object}: not active in time: {waiting}")]
    NotYet {
        /// Which object.
        object: String,
        /// What was waited for.
        waiting: String,
    },
}

impl ApplyError {
    /// Whether the same command may succeed later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NotYet { .. } => true,
            Self::Complaint { .. } | Self::Conflict { .. } | Self::Denied { .. } | Self::NoBundle { .. } => false,
        }
    }
}

fn owned(fields: &[(String, String)]) -> String {
    let texts: Vec<String> = fields.iter().map(|(manager, field)| format!("{manager} owns {field}")).collect();
    reason::printable(&texts.join(", "), MAX_WORD_BYTES)
}

/// Applies `manifests` in their order, each kind once it is served, and waits until Gatekeeper acts on all of them.
///
/// # Errors
/// [`ApplyError`] of the first object that could not be applied, or was not active in time. Answers that time may change
/// (nobody there, 429, 5xx, a kind that is not served) are waited out.
pub async fn apply(
    client: &Client,
    manifests: &[Manifest],
    terms: &Terms,
    say: &mut (dyn FnMut(Said) + Send),
) -> Result<(), ApplyError> {
    let mut session = Session { client, terms, say, waiting: BTreeMap::new() };
    for manifest in manifests {
        session.apply(manifest).await?;
        // A constraint's kind is made from its template.
        if manifest.kind == Kind::ConstraintTemplate && terms.run == Run::Real {
            session.wait(manifest).await?;
        }
    }
    if terms.run == Run::Real {
        for manifest in manifests.iter().filter(|manifest| manifest.kind != Kind::ConstraintTemplate) {
            session.wait(manifest).await?;
        }
    }
    Ok(())
}

struct Session<'a> {
    client: &'a Client,
    terms: &'a Terms,
    say: &'a mut (dyn FnMut(Said) + Send),
    /// What was last said of an object.
    waiting: BTreeMap<String, String>,
}

/// What an attempt came to.
enum Step<T> {
    Done(T),
    Stop(ApplyError),
    Wait(String),
}

/// What an answer means for the object that it is about.
enum Answer<T> {
    Is(T),
    /// A reason that time may change.
    Later(String),
    No(Box<Status>),
}

impl Session<'_> {
    /// The kind's API, once it is served. `None`: a dry run, and it is served only after another object is there.
    async fn api(&mut self, manifest: &Manifest) -> Result<Option<Api<DynamicObject>>, ApplyError> {
        let kind = GroupVersionKind::gvk(&manifest.group, &manifest.version, &manifest.kind_name);
        loop {
            let found = timeout(CALL_TIMEOUT, discovery::pinned_kind(self.client, &kind)).await;
            let why = match found {
                Ok(Ok((resource, _))) => return Ok(Some(Api::all_with(self.client.clone(), &resource))),
                Ok(Err(kube::Error::Api(status))) if status.code == 404 => not_served(manifest),
                Ok(Err(kube::Error::Discovery(DiscoveryError::MissingKind(_)))) => not_served(manifest),
                other => match answer(other.map(|found| found.map(|_| ()))) {
                    Answer::Is(()) => not_served(manifest),
                    Answer::Later(why) => why,
                    Answer::No(status) => return Err(denied(manifest, &status)),
                },
            };
            if self.terms.run == Run::Dry && manifest.group == CONSTRAINTS {
                return Ok(None);
            }
            self.pause(manifest, why).await?;
        }
    }

    async fn apply(&mut self, manifest: &Manifest) -> Result<(), ApplyError> {
        let Some(api) = self.api(manifest).await? else {
            (self.say)(Said::Skipped(
                manifest.to_string(),
                "its kind is made from its template, which a dry run does not apply",
            ));
            return Ok(());
        };
        loop {
            match self.attempt(manifest, &api).await {
                Step::Done(change) => {
                    (self.say)(Said::Applied(manifest.to_string(), change));
                    return Ok(());
                }
                Step::Stop(error) => return Err(error),
                Step::Wait(why) => self.pause(manifest, why).await?,
            }
        }
    }

    async fn attempt(&self, manifest: &Manifest, api: &Api<DynamicObject>) -> Step<Change> {
        let before = match answer(timeout(CALL_TIMEOUT, api.get_opt(&manifest.name)).await) {
            Answer::Is(before) => before,
            Answer::Later(why) => return Step::Wait(why),
            Answer::No(status) => return Step::Stop(denied(manifest, &status)),
        };
        let patches = match self.patches(manifest, before.as_ref()).await {
            Step::Done(patches) => patches,
            Step::Stop(error) => return Step::Stop(error),
            Step::Wait(why) => return Step::Wait(why),
        };
        let mut version = None;
        for patch in patches {
            match self.send(manifest, api, &patch).await {
                Step::Done(object) => version = object.resource_version(),
                Step::Stop(error) => return Step::Stop(error),
                Step::Wait(why) => return Step::Wait(why),
            }
        }
        Step::Done(match before {
            None => Change::Created,
            Some(before) if before.resource_version() == version => Change::Unchanged,
            Some(_) => Change::Configured,
        })
    }

    /// What is to be sent, in order: the object, and before and after it what the table in this module's head says of its
    /// `caBundle`.
    async fn patches(&self, manifest: &Manifest, before: Option<&DynamicObject>) -> Step<Vec<Sent>> {
        let ours = |bundle| Sent { manager: MANAGER, force: self.terms.others == OthersFields::Take, object: bundle };
        if manifest.kind != Kind::Provider {
            return Step::Done(vec![ours(manifest.object(None))]);
        }
        let is_there = before.is_some_and(|object| !bundle_of(object).is_empty());
        let given = match &self.terms.bundle {
            Bundle::Given(bundle) => Some(bundle),
            Bundle::Kept | Bundle::Secret { .. } => manifest.bundle.as_ref(),
        };
        if let Some(bundle) = given {
            return Step::Done(vec![ours(manifest.object(Some(bundle)))]);
        }
        let Bundle::Secret { namespace, name } = &self.terms.bundle else {
            if !is_there {
                return Step::Stop(ApplyError::NoBundle { object: manifest.to_string() });
            }
            let own = before.filter(|object| owners(object).any(|owner| owner == MANAGER)).map(bundle_of);
            return Step::Done(vec![ours(manifest.object_with(own))]);
        };
        let is_kept = before.is_some_and(|object| owners(object).any(|owner| owner != MANAGER));
        if is_there && is_kept {
            return Step::Done(vec![ours(manifest.object(None))]);
        }
        let bundle = match self.bundle(namespace, name).await {
            Ok(bundle) => bundle,
            Err(why) => return Step::Wait(why),
        };
        let whole = manifest.object(Some(&bundle));
        if self.terms.run == Run::Dry && before.is_none() {
            return Step::Done(vec![ours(whole)]);
        }
        let kept = |object| Sent { manager: CERTIFICATES_MANAGER, force: true, object };
        let alone = manifest.bundle_alone(&bundle);
        let rest = ours(manifest.object(None));
        Step::Done(match before {
            // Gatekeeper refuses a Provider without a bundle, so the first word has everything; the last gives back the rest.
            None => vec![kept(whole), rest, kept(alone)],
            Some(_) => vec![kept(alone), rest],
        })
    }

    /// The CA bundle of the certificates' Secret. `Err`: what is waited for.
    async fn bundle(&self, namespace: &str, name: &str) -> Result<CaBundle, String> {
        let cluster = Cluster::new(self.client.clone(), Some(namespace));
        let secret: Option<Secret> = match cluster.get(&cluster.path("/api/v1", "secrets"), name).await {
            Ok(secret) => secret,
            Err(error) => return Err(format!("Secret {namespace}/{name} cannot be read: {}", reason::chain(&error))),
        };
        let Some(secret) = secret else { return Err(format!("Secret {namespace}/{name} does not exist")) };
        let data = secret.data.unwrap_or_default();
        let Some(bytes) = data.get("ca.crt") else { return Err(format!("Secret {namespace}/{name} has no ca.crt")) };
        CaBundle::parse(&bytes.0).map_err(|error| format!("ca.crt of Secret {namespace}/{name} {error}"))
    }

    async fn send(&self, manifest: &Manifest, api: &Api<DynamicObject>, sent: &Sent) -> Step<DynamicObject> {
        let Sent { manager, force, object } = sent;
        // Strict: a field that this Gatekeeper does not know would be dropped without a word, and what it says with it.
        let mut params = PatchParams::apply(manager).validation_strict();
        params.force = *force;
        params.dry_run = self.terms.run == Run::Dry;
        match answer(timeout(CALL_TIMEOUT, api.patch(&manifest.name, &params, &Patch::Apply(object))).await) {
            Answer::Is(object) => Step::Done(object),
            Answer::Later(why) => Step::Wait(why),
            Answer::No(status) => refusal(manifest, &status),
        }
    }

    async fn wait(&mut self, manifest: &Manifest) -> Result<(), ApplyError> {
        let Some(api) = self.api(manifest).await? else { return Ok(()) };
        loop {
            let why = match answer(timeout(CALL_TIMEOUT, api.get_opt(&manifest.name)).await) {
                Answer::Is(Some(object)) => match state(manifest.kind, &as_value(&object)) {
                    State::Active => {
                        (self.say)(Said::Active(manifest.to_string()));
                        return Ok(());
                    }
                    State::Faulty(fault) if self.is_over() => {
                        return Err(ApplyError::Complaint { object: manifest.to_string(), fault });
                    }
                    State::Faulty(why) | State::Waiting(why) => why,
                },
                Answer::Is(None) => "it was taken away again".to_owned(),
                Answer::Later(why) => why,
                Answer::No(status) => return Err(denied(manifest, &status)),
            };
            self.pause(manifest, why).await?;
        }
    }

    fn is_over(&self) -> bool {
        Instant::now() + self.terms.every > self.terms.until
    }

    /// Says what is waited for, if that is news, and waits a little.
    async fn pause(&mut self, manifest: &Manifest, why: String) -> Result<(), ApplyError> {
        let object = manifest.to_string();
        if self.is_over() {
            return Err(ApplyError::NotYet { object, waiting: why });
        }
        if self.waiting.insert(object.clone(), why.clone()).as_ref() != Some(&why) {
            (self.say)(Said::Waiting(object, why));
        }
        sleep_until(Instant::now() + self.terms.every).await;
        Ok(())
    }
}

/// One apply.
struct Sent {
    manager: &'static str,
    force: bool,
    object: Value,
}

/// Who owns a Provider's `caBundle`.
fn owners(object: &DynamicObject) -> impl Iterator<Item = &str> {
    let entries = object.metadata.managed_fields.iter().flatten();
    let names_bundle = |fields: &Value| fields.pointer("/f:spec/f:caBundle").is_some();
    entries
        .filter(move |entry| entry.fields_v1.as_ref().is_some_and(|fields| names_bundle(&fields.0)))
        .filter_map(|entry| entry.manager.as_deref())
}

fn bundle_of(object: &DynamicObject) -> &str {
    object.data.pointer("/spec/caBundle").and_then(Value::as_str).unwrap_or_default()
}

fn as_value(object: &DynamicObject) -> Value {
    let status = object.data.get("status").cloned().unwrap_or_default();
    json!({ "metadata": { "generation": object.metadata.generation }, "status": status })
}

/// Sorts what came of a call.
fn answer<T>(result: Result<kube::Result<T>, tokio::time::error::Elapsed>) -> Answer<T> {
    match result {
        Ok(Ok(answer)) => Answer::Is(answer),
        Ok(Err(kube::Error::Api(status))) if status.code == 429 || status.code >= 500 || status.code == 0 => {
            Answer::Later(format!("the API server answers {}: {}", status.code, word(&status)))
        }
        Ok(Err(kube::Error::Api(status))) => Answer::No(status),
        Ok(Err(error)) => Answer::Later(format!("the API server cannot be reached: {}", reason::chain(&error))),
        Err(_) => Answer::Later(format!("the API server does not answer within {} s", CALL_TIMEOUT.as_secs())),
    }
}

/// What a refusal of an apply means.
fn refusal<T>(manifest: &Manifest, status: &Status) -> Step<T> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let fields: Vec<(String, String)> = causes
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .map(|cause| {
            let manager = cause.message.split('"').nth(1).unwrap_or("somebody").to_owned();
            (manager, cause.field.clone())
        })
        .collect();
    if !fields.is_empty() {
        return Step::Stop(ApplyError::Conflict { object: manifest.to_string(), fields });
    }
    match (status.code, manifest.kind) {
        // Somebody else wrote at the same time, or the kind is about to be served again; or a pod of Gatekeeper that has not yet read the
        // template does not know the constraint's kind.
        (404 | 409, _) | (400 | 422, Kind::Constraint) => Step::Wait(word(status)),
        _ => Step::Stop(denied(manifest, status)),
    }
}

fn denied(manifest: &Manifest, status: &Status) -> ApplyError {
    ApplyError::Denied { object: manifest.to_string(), status: status.code, message: word(status) }
}

fn word(status: &Status) -> String {
    reason::printable(&status.message, MAX_WORD_BYTES)
}

fn not_served(manifest: &Manifest) -> String {
    let hint = match manifest.kind {
        Kind::Constraint => "Gatekeeper makes it from the ConstraintTemplate",
        Kind::ConstraintTemplate => "is Gatekeeper installed?",
        Kind::ExpansionTemplate => "is Gatekeeper installed, with expansion on?",
        Kind::Mutator => "is Gatekeeper installed, with mutation on?",
        Kind::Provider => "is Gatekeeper installed, with external data on?",
    };
    format!("the kind {} of {} is not served; {hint}", manifest.kind_name, manifest.api_version())
}
