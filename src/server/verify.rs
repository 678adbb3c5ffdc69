//! `POST …/verify`: for each key a report, or, where none could be had, a `systemError` and no item.
//!
//! Gatekeeper keeps every item for minutes, but never a `systemError`: so a definite answer, yes or no, is an item's
//! `value`, and "could not find out" leaves its key out.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    decision::Record,
    external_data::{Idempotent, ProviderRequest, ReplyTooLarge, ResponseWriter},
    http::Context,
    key::Key,
};
use crate::{
    executor::{Answer, Question},
    reason::{self, Code},
    report::{Decision, Reason, wire::Rendered},
};

/// What became of a key.
#[derive(Debug)]
enum Outcome {
    /// The engine answered.
    Answered(Answer),
    /// Late, or a fault of ours.
    Lost(Reason),
    /// No image; a definite no.
    Refused(Reason, Box<Rendered>),
}

impl Outcome {
    /// What goes into the reply; the reason where nothing does.
    fn rendered(&self) -> Result<&Rendered, &Reason> {
        match self {
            Self::Answered(answer) => match &answer.verdict.decision {
                Decision::Allow { .. } | Decision::Deny(_) => Ok(&answer.rendered),
                Decision::Undecided(reason) => Err(reason),
            },
            Self::Lost(reason) => Err(reason),
            Self::Refused(_, rendered) => Ok(rendered),
        }
    }
}

/// Answers a request: what is cached at once, the rest together.
pub(super) async fn answer(context: &Context<'_>, request: &ProviderRequest) -> Result<Vec<u8>, ReplyTooLarge> {
    let started = Instant::now();
    let mut outcomes = Vec::with_capacity(request.distinct.len());
    let mut open = Vec::new();
    for (slot, key) in keys(request).enumerate() {
        let outcome = match ask(context, key) {
            Asked::Done(outcome) => outcome,
            Asked::Open(question) => {
                open.push((slot, Arc::clone(&context.generation.decider), question));
                Outcome::Lost(Reason::new(Code::Timeout, "verification did not end before the deadline"))
            }
        };
        outcomes.push((outcome, started.elapsed()));
    }
    let tasks = open
        .into_iter()
        .map(|(slot, decider, question)| (slot, async move { (decider.verify(question).await, started.elapsed()) }));
    let ended = context.gather(tasks).await;
    let late = started.elapsed();
    for (outcome, took) in &mut outcomes {
        if matches!(outcome, Outcome::Lost(_)) {
            *took = late;
        }
    }
    for (slot, result) in ended {
        if let Some(place) = outcomes.get_mut(slot) {
            *place = match result {
                Some((answer, took)) => (Outcome::Answered(answer), took),
                None => (Outcome::Lost(Reason::new(Code::Internal, Code::Internal.meaning())), late),
            };
        }
    }
    for (key, (outcome, took)) in keys(request).zip(&outcomes) {
        note(context, key, outcome, *took);
    }
    write(context, request, &outcomes)
}

/// The distinct keys, in the order in which they were first asked.
fn keys(request: &ProviderRequest) -> impl Iterator<Item = &str> {
    request.distinct.iter().filter_map(|place| request.keys.get(*place)).map(String::as_str)
}

enum Asked {
    Done(Outcome),
    Open(Question),
}

/// Parses a key, and answers it where that takes no waiting.
fn ask(context: &Context<'_>, text: &str) -> Asked {
    let key = match Key::parse(text, context.generation.tenancy) {
        Ok(key) => key,
        Err(error) => {
            let reason = Reason::new(error.code(), reason::chain(&error));
            let rendered = Box::new(Rendered::refusal(text, &reason));
            return Asked::Done(Outcome::Refused(reason, rendered));
        }
    };
    let deadline = context.engine_deadline();
    let question = Question { tenant: key.tenant, reference: key.reference, now: context.now, deadline };
    match context.generation.decider.cached(&question) {
        Some(answer) => Asked::Done(Outcome::Answered(answer)),
        None => Asked::Open(question),
    }
}

fn write(
    context: &Context<'_>,
    request: &ProviderRequest,
    outcomes: &[(Outcome, Duration)],
) -> Result<Vec<u8>, ReplyTooLarge> {
    let mut writer = ResponseWriter::new(request.version, Idempotent::Unsaid, context.reply_bytes);
    for (key, slot) in request.keys.iter().zip(&request.slots) {
        if let Some(Ok(rendered)) = outcomes.get(*slot).map(|(outcome, _)| outcome.rendered()) {
            writer.value(key, |out| rendered.write_value(out, context.trace_id, context.now))?;
        }
    }
    let mut undecided = keys(request)
        .zip(outcomes)
        .filter_map(|(key, (outcome, _))| outcome.rendered().err().map(|reason| (key, reason)));
    let Some((key, reason)) = undecided.next() else {
        return Ok(writer.finish(None));
    };
    // The first in the order of the request; bounded by parts, so that each of them is seen.
    let mut message = format!("{}: {}", reason::printable(key, 160), reason::printable(&reason.message, 240));
    let others = undecided.count();
    if others > 0 {
        // Writing to a String does not fail.
        let _ = write!(message, " (and {others} more keys are undecided)");
    }
    Ok(writer.finish(Some((reason.code, &message))))
}

/// Counts a key and writes its decision record.
fn note(context: &Context<'_>, key: &str, outcome: &Outcome, took: Duration) {
    let (decision, answer) = match outcome {
        Outcome::Answered(answer) => (answer.verdict.decision.clone(), Some(answer)),
        Outcome::Lost(reason) => (Decision::Undecided(reason.clone()), None),
        Outcome::Refused(reason, _) => (Decision::Deny(reason.clone()), None),
    };
    let metrics = &context.state.metrics;
    metrics.key("verify", decision.code().as_str());
    if answer.is_some_and(|answer| answer.cached) {
        metrics.cache_hit();
    }
    let record = Record {
        key,
        decision: &decision,
        answer,
        took,
        trace_id: context.trace_id,
        generation: context.generation.number,
        now: context.now,
    };
    let telemetry = &context.state.telemetry;
    if record.is_wanted(telemetry.decision_log()) {
        telemetry.lines().write(&record.line());
    }
}
