//! Follows image pull Secrets, and the `ServiceAccount`s that list them, for the stores that take their credentials from them.
//!
//! ```text
//! store::registry::PullSecrets ──wanted──► a task an object ──Seen──► what is known ──publish──► the store's slots
//!                                             │  ▲
//!                                    get ◄────┘  └──── bell (a watch on metadata), or a growing pause
//! ```
//! A Secret that is deleted is known to be absent at once. One that cannot be read, or is half-written, leaves what it said
//! before in use: nobody has said that it is no longer good, and the registry will say so if it is not.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge, Meter},
};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::sleep,
};

use super::{
    CallError, Cluster,
    bell::{self, Ring},
};
use crate::{
    reason,
    store::registry::{Known, ObjectName, PullSecret, PullSecrets, Snapshot, Wanted},
};

/// How often an object is looked at without being rung for.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// The first pause after a failure; it doubles up to [`LOOK_EVERY`].
const RETRY: Duration = Duration::from_millis(500);
/// Most objects that are followed; each is one watch.
const MAX_OBJECTS: usize = 256;
/// Most Secrets that a ServiceAccount lists.
const MAX_LISTED: usize = 64;

/// What a look at an object found.
#[derive(Debug, Clone, PartialEq)]
enum Seen {
    /// A Secret's content.
    Holds(PullSecret),
    /// A ServiceAccount's Secrets.
    Lists(Vec<Wanted>),
    /// Nothing that can be used.
    Nothing(Known),
}

/// An object that is followed.
struct Object {
    seen: Seen,
    task: AbortHandle,
}

#[derive(Debug, Clone)]
struct Metrics {
    errors: Counter<u64>,
    objects: Gauge<u64>,
}

impl Metrics {
    fn new(meter: &Meter) -> Self {
        let errors = meter
            .u64_counter("countersign_pull_secret_errors")
            .with_description("Failures to follow pull Secrets, by what failed")
            .build();
        for what in ["content", "read", "watch"] {
            errors.add(0, &[KeyValue::new("what", what)]);
        }
        let objects = meter
            .u64_gauge("countersign_pull_secrets")
            .with_description("Pull Secrets and ServiceAccounts that are followed, by what is known of them")
            .build();
        Self { errors, objects }
    }
}

/// All instruments, each with a value: what the README's table is made from.
#[cfg(test)]
pub(crate) fn show_metrics(meter: &Meter) {
    Metrics::new(meter).objects.record(0, &[KeyValue::new("state", "known")]);
}

/// Feeds the stores' slots.
#[derive(Debug)]
pub struct Feeder {
    cluster: Cluster,
    followed: PullSecrets,
    metrics: Metrics,
}

impl Feeder {
    /// `cluster`: its namespace is that of objects without one. Contacts nobody yet.
    pub fn new(cluster: Cluster, followed: PullSecrets, meter: &Meter) -> Self {
        Self { cluster, followed, metrics: Metrics::new(meter) }
    }

    /// Follows whatever is wanted until `stop` ends.
    pub async fn run_until(self, stop: impl Future<Output = ()>) {
        let Self { cluster, followed, metrics } = self;
        let mut stop = std::pin::pin!(stop);
        let (reports, mut reported) = mpsc::channel(16);
        let mut turns = followed.turns();
        // Tasks end with this call.
        let mut desk = Desk { cluster, followed, metrics, reports, objects: BTreeMap::new(), tasks: JoinSet::new() };
        loop {
            desk.sync();
            tokio::select! {
                () = &mut stop => return,
                // The sender is held by `desk`.
                _ = turns.changed() => {}
                Some((wanted, seen)) = reported.recv() => desk.take(&wanted, seen),
                Some(ended) = desk.tasks.join_next_with_id() => {
                    if let Err(error) = ended && error.is_panic() {
                        tracing::error!(target: "countersign", "following a pull Secret failed, and begins anew");
                        desk.objects.retain(|_, object| object.task.id() != error.id());
                    }
                }
            }
        }
    }
}

/// What is followed, and what is known of it.
struct Desk {
    cluster: Cluster,
    followed: PullSecrets,
    metrics: Metrics,
    reports: mpsc::Sender<(Wanted, Seen)>,
    objects: BTreeMap<Wanted, Object>,
    tasks: JoinSet<()>,
}

impl Desk {
    /// Begins and ends what follows objects, and publishes what is known.
    fn sync(&mut self) {
        let wanted = self.followed.wanted();
        let roots: Vec<(Wanted, Wanted)> = wanted.into_iter().map(|one| (one.clone(), self.placed(&one))).collect();
        let mut needed: BTreeSet<Wanted> = roots.iter().map(|(_, placed)| placed.clone()).collect();
        for (_, placed) in &roots {
            if let Some(Object { seen: Seen::Lists(secrets), .. }) = self.objects.get(placed) {
                needed.extend(secrets.iter().cloned());
            }
        }
        self.objects.retain(|wanted, object| {
            let is_needed = needed.contains(wanted);
            if !is_needed {
                object.task.abort();
            }
            is_needed
        });
        for wanted in needed {
            if self.objects.len() < MAX_OBJECTS && !self.objects.contains_key(&wanted) {
                let follower = follow(self.cluster.clone(), wanted.clone(), self.reports.clone(), self.metrics.clone());
                let task = self.tasks.spawn(follower);
                self.objects.insert(wanted, Object { seen: Seen::Nothing(unread()), task });
            }
        }
        for (wanted, placed) in roots {
            self.followed.publish(&wanted, self.snapshot(&placed));
        }
        self.count();
    }

    /// With its namespace.
    fn placed(&self, wanted: &Wanted) -> Wanted {
        let place = |name: &ObjectName| ObjectName {
            namespace: Some(name.namespace.clone().unwrap_or_else(|| self.cluster.namespace().to_owned())),
            name: name.name.clone(),
        };
        match wanted {
            Wanted::Secret(name) => Wanted::Secret(place(name)),
            Wanted::ServiceAccount(name) => Wanted::ServiceAccount(place(name)),
        }
    }

    fn snapshot(&self, wanted: &Wanted) -> Snapshot {
        let known = |wanted: &Wanted| match self.objects.get(wanted).map(|object| &object.seen) {
            Some(Seen::Holds(secret)) => Known::Read(secret.clone()),
            Some(Seen::Nothing(known)) => known.clone(),
            Some(Seen::Lists(_)) => unread(),
            None => Known::Unread(format!("is not followed: more than {MAX_OBJECTS} objects are")),
        };
        match self.objects.get(wanted).map(|object| &object.seen) {
            Some(Seen::Lists(secrets)) => {
                Snapshot(secrets.iter().map(|secret| (secret.clone(), known(secret))).collect())
            }
            Some(Seen::Holds(_) | Seen::Nothing(_)) | None => Snapshot(vec![(wanted.clone(), known(wanted))]),
        }
    }

    /// Takes a report in the place of what was known, unless it says only that something went wrong.
    fn take(&mut self, wanted: &Wanted, seen: Seen) {
        let Some(object) = self.objects.get_mut(wanted) else { return };
        if object.seen == seen {
            return;
        }
        let is_good = !matches!(object.seen, Seen::Nothing(_));
        match &seen {
            Seen::Nothing(Known::Malformed(why) | Known::Unread(why)) if is_good => {
                tracing::warn!(target: "countersign", object = %wanted, %why, "what a pull Secret said before stays in use");
                return;
            }
            // It was seen once: the last word about it that was one.
            Seen::Nothing(Known::Unread(_)) if !matches!(object.seen, Seen::Nothing(Known::Unread(_))) => return,
            Seen::Nothing(Known::Absent) => {
                tracing::warn!(target: "countersign", object = %wanted, "a pull Secret, or a ServiceAccount, does not exist");
            }
            Seen::Nothing(Known::Malformed(why) | Known::Unread(why)) => {
                tracing::warn!(target: "countersign", object = %wanted, %why, "a pull Secret cannot be used");
            }
            Seen::Holds(_) | Seen::Lists(_) | Seen::Nothing(Known::Read(_)) => {
                tracing::info!(target: "countersign", object = %wanted, "what a pull Secret says is in use");
            }
        }
        object.seen = seen;
    }

    fn count(&self) {
        let states = ["absent", "malformed", "read", "unread"];
        let state = |object: &Object| match object.seen {
            Seen::Nothing(Known::Absent) => "absent",
            Seen::Nothing(Known::Malformed(_)) => "malformed",
            Seen::Holds(_) | Seen::Lists(_) | Seen::Nothing(Known::Read(_)) => "read",
            Seen::Nothing(Known::Unread(_)) => "unread",
        };
        for name in states {
            let count = self.objects.values().filter(|object| state(object) == name).count();
            self.metrics.objects.record(u64::try_from(count).unwrap_or(u64::MAX), &[KeyValue::new("state", name)]);
        }
    }
}

fn unread() -> Known {
    Known::Unread("has not been read yet".to_owned())
}

/// Looks at one object whenever it may have changed, for ever.
async fn follow(cluster: Cluster, wanted: Wanted, reports: mpsc::Sender<(Wanted, Seen)>, metrics: Metrics) {
    let (name, is_secret) = match &wanted {
        Wanted::Secret(name) => (name, true),
        Wanted::ServiceAccount(name) => (name, false),
    };
    let cluster = Cluster::new(cluster.client().clone(), name.namespace.as_deref());
    let mut bell = if is_secret {
        bell::secret(&cluster, &name.name).boxed()
    } else {
        bell::service_account(&cluster, &name.name).boxed()
    };
    let mut pause = RETRY;
    loop {
        let seen = if is_secret { secret(&cluster, &name.name).await } else { account(&cluster, &name.name).await };
        match &seen {
            Seen::Nothing(Known::Unread(_)) => metrics.errors.add(1, &[KeyValue::new("what", "read")]),
            Seen::Nothing(Known::Malformed(_)) => metrics.errors.add(1, &[KeyValue::new("what", "content")]),
            Seen::Holds(_) | Seen::Lists(_) | Seen::Nothing(Known::Absent | Known::Read(_)) => {}
        }
        pause = match &seen {
            Seen::Nothing(Known::Unread(_)) => pause.saturating_mul(2).min(LOOK_EVERY),
            Seen::Holds(_) | Seen::Lists(_) | Seen::Nothing(_) => RETRY,
        };
        let wait = if pause == RETRY { LOOK_EVERY } else { pause };
        if reports.send((wanted.clone(), seen)).await.is_err() {
            return;
        }
        let mut over = std::pin::pin!(sleep(wait));
        loop {
            tokio::select! {
                () = &mut over => break,
                Some(ring) = bell.next() => match ring {
                    Ring::Changed => break,
                    Ring::Lost => metrics.errors.add(1, &[KeyValue::new("what", "watch")]),
                },
            }
        }
    }
}

async fn secret(cluster: &Cluster, name: &str) -> Seen {
    let found: Result<Option<Secret>, CallError> = cluster.get(&cluster.path("/api/v1", "secrets"), name).await;
    let secret = match found {
        Ok(Some(secret)) => secret,
        Ok(None) => return Seen::Nothing(Known::Absent),
        Err(error) => return failure(&error),
    };
    let data: BTreeMap<String, Vec<u8>> =
        secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect();
    match PullSecret::parse(secret.type_.as_deref().unwrap_or("Opaque"), &data) {
        Ok(secret) => Seen::Holds(secret),
        Err(why) => Seen::Nothing(Known::Malformed(why)),
    }
}

async fn account(cluster: &Cluster, name: &str) -> Seen {
    let path = cluster.path("/api/v1", "serviceaccounts");
    let found: Result<Option<ServiceAccount>, CallError> = cluster.get(&path, name).await;
    let account = match found {
        Ok(Some(account)) => account,
        Ok(None) => return Seen::Nothing(Known::Absent),
        Err(error) => return failure(&error),
    };
    let listed = account.image_pull_secrets.unwrap_or_default();
    if listed.len() > MAX_LISTED {
        return Seen::Nothing(Known::Malformed(format!("lists more than {MAX_LISTED} pull Secrets")));
    }
    let namespace = Some(cluster.namespace().to_owned());
    let secret = |name: String| Wanted::Secret(ObjectName { namespace: namespace.clone(), name });
    let names = listed.into_iter().map(|secret| secret.name).filter(|name| !name.is_empty());
    Seen::Lists(names.map(secret).collect())
}

/// Nothing was learnt about the object: it is asked for again soon.
fn failure(error: &CallError) -> Seen {
    Seen::Nothing(Known::Unread(format!("cannot be read: {}", reason::chain(error))))
}
