//! `POST …/mutate`: a tag becomes the digest that it stands for; everything else stays as it is.
//!
//! Nothing of this is kept by Gatekeeper, and a `systemError` would discard every other item: so a key that could not be
//! resolved is an item's `error`, for that image alone. What is no reference, or is not ours to judge, is echoed: the
//! validating request decides about it.

use std::sync::Arc;

use super::{
    external_data::{Idempotent, ProviderRequest, ReplyTooLarge, ResponseWriter},
    http::Context,
    key::Key,
};
use crate::{
    oci::{Reference, Subject},
    reason::Code,
    report::Reason,
    tenant::Tenant,
};

/// Whether a resolved reference keeps its tag beside the digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TagAfterMutation {
    /// `repository@digest`.
    #[default]
    Drop,
    /// `repository:tag@digest`.
    Keep,
}

/// What became of a key.
#[derive(Debug)]
enum Outcome {
    Failed(Reason),
    Resolved(String),
    Unchanged,
}

impl Outcome {
    /// For the metric.
    const fn name(&self) -> &'static str {
        match self {
            Self::Failed(reason) => reason.code.as_str(),
            Self::Resolved(_) => "RESOLVED",
            Self::Unchanged => "UNCHANGED",
        }
    }
}

/// Answers a request: each distinct tag is resolved once, all together.
pub(super) async fn answer(context: &Context<'_>, request: &ProviderRequest) -> Result<Vec<u8>, ReplyTooLarge> {
    let mut outcomes = Vec::with_capacity(request.distinct.len());
    let mut open = Vec::new();
    for (slot, place) in request.distinct.iter().enumerate() {
        let to_resolve = request.keys.get(*place).and_then(|text| tagged(context, text));
        outcomes.push(match to_resolve {
            None => Outcome::Unchanged,
            Some(key) => {
                open.push((slot, key));
                Outcome::Failed(Reason::new(Code::Timeout, "the tag did not resolve before the deadline"))
            }
        });
    }
    let tasks = open.into_iter().map(|(slot, key)| {
        let decider = Arc::clone(&context.generation.decider);
        (slot, async move {
            let resolved = decider.resolve(&key.tenant, &key.reference, context.engine_deadline()).await;
            outcome(&key.reference, resolved, context.generation.tag_after_mutation)
        })
    });
    for (slot, result) in context.gather(tasks).await {
        if let Some(place) = outcomes.get_mut(slot) {
            *place = result.unwrap_or_else(|| Outcome::Failed(Reason::new(Code::Internal, Code::Internal.meaning())));
        }
    }
    for outcome in &outcomes {
        context.state.metrics.key("mutate", outcome.name());
    }
    let mut writer = ResponseWriter::new(request.version, Idempotent::Yes, context.reply_bytes);
    for (key, slot) in request.keys.iter().zip(&request.slots) {
        match outcomes.get(*slot) {
            Some(Outcome::Failed(reason)) => writer.error(key, reason.code, &reason.message)?,
            Some(Outcome::Resolved(image)) => writer.text(key, image)?,
            Some(Outcome::Unchanged) | None => writer.text(key, key)?,
        }
    }
    Ok(writer.finish(None))
}

/// The key, if it is a tag that we are to resolve; `None` for what stays as it is, without any I/O.
///
/// A key with a namespace in brackets stays too: Gatekeeper sends none on mutation, so the bracket is the Pod author's,
/// and to strip it would make an image of what is none (REF-25).
fn tagged(context: &Context<'_>, text: &str) -> Option<Key> {
    let key = Key::parse(text, context.generation.tenancy).ok()?;
    let ours = key.tenant == Tenant::Cluster
        && key.reference.digest().is_none()
        && context.generation.decider.has_policy(key.reference.repository());
    ours.then_some(key)
}

fn outcome(reference: &Reference, resolved: Result<Subject, Reason>, tag: TagAfterMutation) -> Outcome {
    let subject = match resolved {
        Ok(subject) => subject,
        Err(reason) => {
            // No store serves it: not ours to change.
            let foreign = matches!(reason.code, Code::HostDenied | Code::NoPolicy);
            return if foreign { Outcome::Unchanged } else { Outcome::Failed(reason) };
        }
    };
    let (repository, digest) = (subject.repository(), subject.digest());
    Outcome::Resolved(match (tag, reference.tag()) {
        (TagAfterMutation::Keep, Some(tag)) => format!("{repository}:{tag}@{digest}"),
        (TagAfterMutation::Keep, None) | (TagAfterMutation::Drop, _) => format!("{repository}@{digest}"),
    })
}
