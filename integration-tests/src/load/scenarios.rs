//! The scenarios, by name: what each does, and which belong to the smoke set.

use std::{io, pin::Pin};

use super::{options::Options, report::Outcome};

mod cold;
mod faults;
mod hot;
mod memory;
mod oracle;
mod reload;
mod restart;
mod rotation;
mod sockets;
mod tenancy;

/// A scenario under way.
type Running<'a> = Pin<Box<dyn Future<Output = io::Result<Outcome>> + 'a>>;

/// A scenario.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// `L1`
    pub name: &'static str,
    /// What it does, and what must hold.
    pub what: &'static str,
    /// Whether every change must pass it.
    pub smoke: bool,
    /// Whether it can be run against a provider that is not ours.
    pub foreign: bool,
    run: for<'a> fn(&'a Options) -> Running<'a>,
}

impl Scenario {
    /// Runs it.
    ///
    /// # Errors
    /// A process cannot be started.
    pub async fn run(&self, options: &Options) -> io::Result<Outcome> {
        (self.run)(options).await
    }
}

/// A scenario of ours alone, which restarts or reconfigures the server.
const fn own(
    name: &'static str,
    smoke: bool,
    what: &'static str,
    run: for<'a> fn(&'a Options) -> Running<'a>,
) -> Scenario {
    Scenario { name, what, smoke, foreign: false, run }
}

/// A scenario that any provider can be put to.
const fn any(
    name: &'static str,
    smoke: bool,
    what: &'static str,
    run: for<'a> fn(&'a Options) -> Running<'a>,
) -> Scenario {
    Scenario { name, what, smoke, foreign: true, run }
}

/// All of them, in the order in which they run.
pub const ALL: &[Scenario] = &[
    any("L1", true, "hot, kept alive, 1 key, 32 clients", |options| Box::pin(hot::kept(options))),
    any("L1b", false, "hot, 10 keys, 5 signatures each", |options| Box::pin(hot::many_keys(options))),
    any("L2", true, "hot, a new mTLS connection each", |options| Box::pin(hot::fresh(options))),
    any("L3", false, "cold Notation, 5 signatures, registry 20 ms away", |options| Box::pin(cold::notation(options))),
    any("L3c", false, "cold .sig and bundles, 5 signatures, registry 20 ms away", |options| {
        Box::pin(cold::cosign(options))
    }),
    own("L4", true, "500 clients for one cold image: 1 listing, each blob once", |options| {
        Box::pin(cold::herd(options))
    }),
    any("L5", false, "one request with 512 cold keys on 8 hosts", |options| Box::pin(cold::batch(options))),
    own("L6", true, "mutate, half by digest already", |options| Box::pin(hot::mutate(options))),
    any("L7", false, "10,000 requests for 10 images of 10 with 5 signatures", |options| Box::pin(cold::pods(options))),
    any("L8", false, "a registry limited to 50 calls a second", |options| Box::pin(cold::small_registry(options))),
    own("L9", false, "soak: hot, cold and reloads", |options| Box::pin(reload::soak(options))),
    own("L10", false, "five times as many clients as places", |options| Box::pin(hot::overload(options))),
    own("F1", true, "a registry that refuses connections", |options| Box::pin(faults::down(options))),
    own("F2", true, "a registry that says nothing", |options| Box::pin(faults::stalled(options))),
    any("F3", true, "503 for every second answer", |options| Box::pin(faults::every_second(options))),
    own("F4", false, "a registry 2 s away beside one that is near", |options| Box::pin(faults::far(options))),
    own("F5", false, "the token service fails, the registry does not", |options| Box::pin(faults::tokens(options))),
    own("F6", false, "all caches end under load", |options| Box::pin(reload::cold_caches(options))),
    own("F9", true, "SIGTERM with requests in flight; SIGKILL and restart", |options| {
        Box::pin(restart::killed(options))
    }),
    own("F10", true, "serving certificates rotated, broken pairs, client CAs overlapping", |options| {
        Box::pin(rotation::rotated(options))
    }),
    own("F11", true, "configurations reloaded, broken ones, a trust anchor taken away", |options| {
        Box::pin(reload::reloaded(options))
    }),
    own("M1", true, "memory bombs from registry and client, 32 at once", |options| Box::pin(memory::bombs(options))),
    own("M2", false, "millions of keys, each once", |options| Box::pin(memory::distinct(options))),
    own("S1", true, "idle and half-open connections beside a good client", |options| Box::pin(sockets::slow(options))),
    own("fds", true, "no file descriptors left for a while", |options| Box::pin(sockets::descriptors(options))),
    own("T1", false, "one tenant floods a slow registry beside another", |options| Box::pin(tenancy::flood(options))),
    own("oracle", true, "verdicts under random faults, each held against the truth", |options| {
        Box::pin(oracle::run(options))
    }),
];
