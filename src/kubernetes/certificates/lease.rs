//! One writer at a time, by a Lease. Whoever holds it looks and writes; the others only follow.
//!
//! Nobody's clock is compared with anybody else's: a holder is gone when its record has not changed for its whole duration *as
//! measured here*, on the monotonic clock. A writer stops well before others could think so. And were there two writers all the
//! same, each write names the `resourceVersion` that it was made from, so that only one of them could be taken.

use k8s_openapi::{
    api::coordination::v1::{Lease as LeaseObject, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use time::OffsetDateTime;
use tokio::time::{Duration, Instant};

use crate::kubernetes::{CallError, Cluster};

const API: &str = "/apis/coordination.k8s.io/v1";
const PLURAL: &str = "leases";
/// How long others wait for a holder that says nothing.
const DURATION: Duration = Duration::from_mins(1);
/// How long a holder goes on without having renewed.
const HOLD: Duration = Duration::from_secs(40);
/// Longest duration of somebody else's that is believed.
const MAX_DURATION: Duration = Duration::from_hours(1);

/// The Lease, as this replica sees it.
#[derive(Debug)]
pub(super) struct Lease {
    name: String,
    identity: String,
    /// What the holder wrote last, and when that was seen first.
    observed: Option<(Record, Instant)>,
    held_until: Option<Instant>,
}

/// What a holder changes by renewing.
#[derive(Debug, Clone, PartialEq)]
struct Record {
    holder: String,
    renewed: Option<MicroTime>,
    transitions: i32,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// There is none.
    Create,
    /// It is ours already.
    Renew,
    /// It is nobody's, or its holder is gone.
    Take,
    /// It is somebody else's.
    Wait,
}

/// What the API server's clock said, where it said anything.
pub(super) struct Kept {
    pub(super) date: Option<OffsetDateTime>,
}

impl Lease {
    pub(super) const fn new(name: String, identity: String) -> Self {
        Self { name, identity, observed: None, held_until: None }
    }

    /// Whether this replica may write at `at`.
    pub(super) fn is_held(&self, at: Instant) -> bool {
        self.held_until.is_some_and(|until| at < until)
    }

    /// Renews or takes it, if that can be. `now` is only shown to people.
    pub(super) async fn keep(
        &mut self,
        cluster: &Cluster,
        now: OffsetDateTime,
        at: Instant,
    ) -> Result<Kept, CallError> {
        let path = cluster.path(API, PLURAL);
        let found = cluster.get_dated::<LeaseObject>(&path, &self.name).await?;
        let act = self.decide(found.object.as_ref().and_then(|lease| lease.spec.as_ref()), found.object.is_some(), at);
        let written = match act {
            Act::Wait => {
                self.held_until = None;
                return Ok(Kept { date: found.date });
            }
            Act::Create => {
                let metadata = ObjectMeta {
                    name: Some(self.name.clone()),
                    namespace: Some(cluster.namespace().to_owned()),
                    ..ObjectMeta::default()
                };
                let lease = LeaseObject { metadata, spec: Some(self.record(None, act, now)) };
                cluster.create(&path, &lease).await
            }
            Act::Renew | Act::Take => {
                let mut lease = found.object.unwrap_or_default();
                lease.spec = Some(self.record(lease.spec.as_ref(), act, now));
                cluster.replace(&path, &self.name, &lease).await
            }
        };
        match written {
            Ok(_) => {
                // Counted from before the request: others count from after it.
                self.held_until = at.checked_add(HOLD);
                self.observed = None;
                Ok(Kept { date: found.date })
            }
            Err(error) if error.is_conflict() => {
                self.held_until = None;
                Ok(Kept { date: found.date })
            }
            Err(error) => Err(error),
        }
    }

    /// Lets others have it at once.
    pub(super) async fn release(&mut self, cluster: &Cluster) -> Result<(), CallError> {
        if self.held_until.take().is_none() {
            return Ok(());
        }
        let path = cluster.path(API, PLURAL);
        let Some(mut lease) = cluster.get::<LeaseObject>(&path, &self.name).await? else { return Ok(()) };
        match &mut lease.spec {
            Some(spec) if spec.holder_identity.as_ref() == Some(&self.identity) => spec.holder_identity = None,
            Some(_) | None => return Ok(()),
        }
        cluster.replace(&path, &self.name, &lease).await.map(|_| ())
    }

    fn decide(&mut self, spec: Option<&LeaseSpec>, exists: bool, at: Instant) -> Act {
        if !exists {
            return Act::Create;
        }
        let Some((spec, holder)) =
            spec.and_then(|spec| Some((spec, spec.holder_identity.clone().filter(|holder| !holder.is_empty())?)))
        else {
            return Act::Take;
        };
        if holder == self.identity {
            return Act::Renew;
        }
        let record = Record {
            holder,
            renewed: spec.renew_time.clone(),
            transitions: spec.lease_transitions.unwrap_or_default(),
        };
        match &self.observed {
            Some((seen, since)) if *seen == record => {
                let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
                let duration = seconds.map_or(DURATION, Duration::from_secs).min(MAX_DURATION);
                if at.saturating_duration_since(*since) >= duration { Act::Take } else { Act::Wait }
            }
            Some(_) | None => {
                self.observed = Some((record, at));
                Act::Wait
            }
        }
    }

    fn record(&self, before: Option<&LeaseSpec>, act: Act, now: OffsetDateTime) -> LeaseSpec {
        let now = i64::try_from(now.unix_timestamp_nanos() / 1000).ok();
        let now = now.and_then(|micros| Timestamp::from_microsecond(micros).ok()).map(MicroTime);
        let transitions = before.and_then(|spec| spec.lease_transitions);
        LeaseSpec {
            acquire_time: if act == Act::Renew {
                before.and_then(|spec| spec.acquire_time.clone())
            } else {
                now.clone()
            },
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            lease_transitions: match act {
                Act::Take => Some(transitions.unwrap_or_default().saturating_add(1)),
                Act::Create | Act::Renew | Act::Wait => transitions.or(Some(0)),
            },
            renew_time: now,
            ..before.cloned().unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

    fn ours() -> Lease {
        Lease::new("lease".to_owned(), "us".to_owned())
    }

    /// What somebody else writes with a clock of their own.
    fn theirs(now: OffsetDateTime) -> LeaseSpec {
        Lease::new("lease".to_owned(), "them".to_owned()).record(None, Act::Create, now)
    }

    #[test]
    fn a_silent_holder_is_gone_after_its_duration_as_measured_here() {
        let (mut lease, start) = (ours(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        // Whatever its clock says.
        let spec = theirs(NOW - time::Duration::days(365));
        for (seconds, act) in [(0, Act::Wait), (30, Act::Wait), (59, Act::Wait), (60, Act::Take)] {
            assert_eq!(lease.decide(Some(&spec), true, at(seconds)), act, "{seconds}");
        }
        let renewed = theirs(NOW + time::Duration::days(365));
        for (seconds, act) in [(61, Act::Wait), (120, Act::Wait), (121, Act::Take)] {
            assert_eq!(lease.decide(Some(&renewed), true, at(seconds)), act, "renewed, {seconds}");
        }
    }

    #[test]
    fn a_lease_of_nobody_is_taken_and_ours_is_renewed() {
        let at = Instant::now();
        assert_eq!(ours().decide(None, false, at), Act::Create);
        assert_eq!(ours().decide(None, true, at), Act::Take);
        let released = LeaseSpec { holder_identity: None, ..theirs(NOW) };
        assert_eq!(ours().decide(Some(&released), true, at), Act::Take);
        let empty = LeaseSpec { holder_identity: Some(String::new()), ..theirs(NOW) };
        assert_eq!(ours().decide(Some(&empty), true, at), Act::Take);
        let own = ours().record(None, Act::Create, NOW);
        assert_eq!(ours().decide(Some(&own), true, at), Act::Renew);
    }

    #[test]
    fn transitions_count_holders_and_a_renewal_is_none() {
        let taken = ours().record(Some(&theirs(NOW)), Act::Take, NOW);
        assert_eq!((taken.lease_transitions, taken.holder_identity.as_deref()), (Some(1), Some("us")));
        let later = NOW + time::Duration::MINUTE;
        let renewed = ours().record(Some(&taken), Act::Renew, later);
        assert_eq!(renewed.lease_transitions, Some(1));
        assert_eq!(renewed.acquire_time, taken.acquire_time);
        assert_ne!(renewed.renew_time, taken.renew_time);
    }

    #[test]
    fn a_duration_that_never_ends_is_not_believed() {
        let (mut lease, start) = (ours(), Instant::now());
        let spec = LeaseSpec { lease_duration_seconds: Some(i32::MAX), ..theirs(NOW) };
        assert_eq!(lease.decide(Some(&spec), true, start), Act::Wait);
        assert_eq!(lease.decide(Some(&spec), true, start + MAX_DURATION), Act::Take);
    }

    #[test]
    fn a_holder_stops_before_others_could_take_over() {
        assert!(HOLD < DURATION);
        let mut lease = ours();
        let at = Instant::now();
        assert!(!lease.is_held(at));
        lease.held_until = Some(at + HOLD);
        assert!(lease.is_held(at) && !lease.is_held(at + HOLD));
    }
}
