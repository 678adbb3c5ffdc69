//! Places for verifications under way, handed out fairly: of the tenants that wait, the one that holds the fewest comes first.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::limits::Limits;
use crate::tenant::Tenant;

/// All places, and who waits for one.
#[derive(Debug)]
pub(super) struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    total: usize,
    per_tenant: usize,
    queued: usize,
    queued_per_tenant: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    taken: usize,
    waiting: usize,
    /// Numbers of those who ever waited: of two tenants that hold as many, who waits longer comes first.
    numbers: u64,
    /// Those who hold a place or wait for one, and nobody else.
    tenants: HashMap<Tenant, Share>,
}

/// What one tenant has.
#[derive(Debug, Default)]
struct Share {
    held: usize,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    hand: oneshot::Sender<Place>,
}

/// A place, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    /// `None`: nobody took it.
    of: Option<(Arc<Shared>, Tenant)>,
}

/// No place became free in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    Queue,
    Tenant,
    TenantQueue,
    Total,
}

impl Full {
    pub(super) const ALL: [Self; 4] = [Self::Queue, Self::Tenant, Self::TenantQueue, Self::Total];

    pub(super) const fn what(self) -> &'static str {
        match self {
            Self::Queue => "limits.queued verifications wait already",
            Self::Tenant => "limits.inFlightPerTenant verifications of this namespace are under way",
            Self::TenantQueue => "this namespace's share of limits.queued verifications waits already",
            Self::Total => "limits.inFlight verifications are under way",
        }
    }

    /// The limit's name, for metrics.
    pub(super) const fn limit(self) -> &'static str {
        match self {
            Self::Queue => "queued",
            Self::Tenant => "inFlightPerTenant",
            Self::TenantQueue => "queuedPerTenant",
            Self::Total => "inFlight",
        }
    }
}

impl Places {
    pub(super) fn new(limits: &Limits) -> Self {
        Self(Arc::new(Shared {
            total: limits.in_flight,
            per_tenant: limits.in_flight_per_tenant,
            queued: limits.queued,
            queued_per_tenant: limits.queued_per_tenant(),
            state: Mutex::default(),
        }))
    }

    /// Waits for a place, at most until `deadline`.
    pub(super) async fn take(&self, tenant: &Tenant, deadline: Instant) -> Result<Place, Full> {
        let (number, mut handed) = match self.0.ask(tenant)? {
            Asked::Taken => return Ok(self.0.place(tenant)),
            Asked::Waits(number, handed) => (number, handed),
        };
        let mut queued = Queued { shared: &self.0, tenant, number, served: false };
        match timeout_at(deadline, &mut handed).await {
            Ok(Ok(place)) => {
                queued.served = true;
                Ok(place)
            }
            Ok(Err(_)) | Err(_) => Err(self.0.short_of(tenant)),
        }
    }
}

enum Asked {
    Taken,
    Waits(u64, oneshot::Receiver<Place>),
}

/// Takes whoever stops waiting out of the queue, for whatever reason; a place that was handed over meanwhile is given back by
/// itself.
struct Queued<'a> {
    shared: &'a Shared,
    tenant: &'a Tenant,
    number: u64,
    served: bool,
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        if self.served {
            return;
        }
        let mut state = self.shared.state();
        let Some(share) = state.tenants.get_mut(self.tenant) else { return };
        let before = share.waiting.len();
        share.waiting.retain(|waiting| waiting.number != self.number);
        let left = before.saturating_sub(share.waiting.len());
        state.waiting = state.waiting.saturating_sub(left);
        state.forget_idle(self.tenant);
    }
}

impl Shared {
    /// A poisoned lock: a holder panicked between two counts, each of which is whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keys without a namespace may use all.
    const fn most(&self, tenant: &Tenant) -> (usize, usize) {
        match tenant {
            Tenant::Cluster => (self.total, self.queued),
            Tenant::Namespace(_) => (self.per_tenant, self.queued_per_tenant),
        }
    }

    fn place(self: &Arc<Self>, tenant: &Tenant) -> Place {
        Place { of: Some((Arc::clone(self), tenant.clone())) }
    }

    fn ask(&self, tenant: &Tenant) -> Result<Asked, Full> {
        let (most, queued) = self.most(tenant);
        let mut state = self.state();
        let State { taken, waiting, numbers, tenants } = &mut *state;
        let share = tenants.entry(tenant.clone()).or_default();
        // Whoever waits while there is a free place waits for its own tenant.
        if *taken < self.total && share.held < most {
            *taken = taken.saturating_add(1);
            share.held = share.held.saturating_add(1);
            return Ok(Asked::Taken);
        }
        let full = if *waiting >= self.queued {
            Some(Full::Queue)
        } else {
            (share.waiting.len() >= queued).then_some(Full::TenantQueue)
        };
        if let Some(full) = full {
            state.forget_idle(tenant);
            return Err(full);
        }
        let (hand, handed) = oneshot::channel();
        let number = *numbers;
        *numbers = numbers.wrapping_add(1);
        share.waiting.push_back(Waiting { number, hand });
        *waiting = waiting.saturating_add(1);
        Ok(Asked::Waits(number, handed))
    }

    /// What a tenant that waited in vain was short of.
    fn short_of(&self, tenant: &Tenant) -> Full {
        let (most, _) = self.most(tenant);
        let state = self.state();
        let held = state.tenants.get(tenant).map_or(0, |share| share.held);
        if state.taken >= self.total || held < most { Full::Total } else { Full::Tenant }
    }

    /// Gives a place back, and what is free to whoever waits.
    fn give_back(self: &Arc<Self>, tenant: &Tenant) {
        let mut state = self.state();
        state.taken = state.taken.saturating_sub(1);
        if let Some(share) = state.tenants.get_mut(tenant) {
            share.held = share.held.saturating_sub(1);
        }
        state.forget_idle(tenant);
        while state.taken < self.total {
            let Some((next, waiting)) = self.next(&mut state) else { break };
            let Err(mut place) = waiting.hand.send(self.place(&next)) else {
                state.taken = state.taken.saturating_add(1);
                if let Some(share) = state.tenants.get_mut(&next) {
                    share.held = share.held.saturating_add(1);
                }
                continue;
            };
            // Nobody is there any more, so it was never taken.
            place.of = None;
            state.forget_idle(&next);
        }
    }

    /// The first of those who wait, of the tenant that holds the fewest.
    fn next(&self, state: &mut State) -> Option<(Tenant, Waiting)> {
        let may = |tenant: &Tenant, share: &Share| share.held < self.most(tenant).0;
        let waiting = state.tenants.iter().filter(|(tenant, share)| may(tenant, share));
        let first = waiting.filter_map(|(tenant, share)| Some(((share.held, share.waiting.front()?.number), tenant)));
        let tenant = first.min_by_key(|(order, _)| *order).map(|(_, tenant)| tenant.clone())?;
        let waiting = state.tenants.get_mut(&tenant)?.waiting.pop_front()?;
        state.waiting = state.waiting.saturating_sub(1);
        Some((tenant, waiting))
    }
}

impl State {
    fn forget_idle(&mut self, tenant: &Tenant) {
        if self.tenants.get(tenant).is_some_and(|share| share.held == 0 && share.waiting.is_empty()) {
            self.tenants.remove(tenant);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((shared, tenant)) = self.of.take() {
            shared.give_back(&tenant);
        }
    }
}

#[cfg(test)]
mod tests;
