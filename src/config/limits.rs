//! `limits`: every bound in one section, handed to who owns it. None can be zero, none means unlimited.

use std::time::Duration;

use serde::Deserialize;

use crate::{
    executor::{self, limits::MAX_NESTED_DEPTH},
    server::config as server,
    server::config::duration,
    store::{cached, layout, registry},
    verifier::exec::config::HostLimits,
};

/// Most places, entries and threads that are configured; past it a typing error is likelier than a wish.
const MAX_COUNT: usize = 1_000_000;
/// Longest life of anything cached in seconds (`threats.md` 7.1: 10 s is the default, 5 minutes is already a decision).
const MAX_TTL: Duration = Duration::from_mins(5);
/// Longest time on a configuration that a broken file keeps from being replaced.
const MAX_STALE: Duration = Duration::from_hours(24 * 30);
/// Most bytes of a cache: 16 GiB.
const MAX_CACHE_BYTES: u64 = 16 << 30;

/// The section `limits`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// A request's body.
    pub request_bytes: usize,
    /// Distinct keys of a request.
    pub keys: usize,
    /// A reply's body.
    pub reply_bytes: usize,
    /// Requests being answered at once; one more is refused at once.
    pub requests: usize,
    /// Open connections for each worker.
    pub connections: usize,
    /// All header lines of a request.
    pub header_bytes: usize,
    /// A TLS handshake, and reading a request's head.
    #[serde(deserialize_with = "duration::deserialize")]
    pub head_timeout: Duration,
    /// An idle connection.
    #[serde(deserialize_with = "duration::deserialize")]
    pub idle_timeout: Duration,
    /// A connection's life.
    #[serde(deserialize_with = "duration::deserialize")]
    pub connection_age: Duration,

    /// Verifications under way at once.
    pub in_flight: usize,
    /// Of these, one namespace's.
    pub in_flight_per_tenant: usize,
    /// Verifications that wait for a place; one more is refused at once.
    pub queued: usize,
    /// Artifacts of one subject that are fetched and verified side by side.
    pub artifacts_at_once: usize,
    /// Levels of evidence on evidence that are looked at below an image.
    pub nested_depth: usize,
    /// How long a verification may go on after its first caller's deadline.
    #[serde(deserialize_with = "duration::deserialize")]
    pub finish: Duration,
    /// How long a yes is kept.
    #[serde(deserialize_with = "duration::deserialize")]
    pub verdict_ttl: Duration,
    /// How long a no is kept.
    #[serde(deserialize_with = "duration::deserialize")]
    pub negative_ttl: Duration,
    /// Bytes of all that is kept in memory: verdicts and listings a quarter each, content the half, unless the next three say
    /// otherwise.
    pub cache_bytes: u64,
    /// Bytes of rendered verdicts that are kept.
    pub verdict_cache_bytes: Option<u64>,
    /// Bytes of listings that are kept.
    pub listing_cache_bytes: Option<u64>,
    /// Bytes of manifests and blobs that are kept.
    pub content_cache_bytes: Option<u64>,

    /// How long a listing with referrers is believed.
    #[serde(deserialize_with = "duration::deserialize")]
    pub listing_ttl: Duration,
    /// How long an empty listing is believed.
    #[serde(deserialize_with = "duration::deserialize")]
    pub empty_listing_ttl: Duration,

    /// How long the last good configuration serves while its successor is broken; then readiness fails.
    #[serde(deserialize_with = "duration::deserialize")]
    pub max_stale: Duration,
    /// What a registry may cost.
    pub registry: registry::Limits,
    /// What reading an image layout may cost.
    pub layout: Layout,
    /// How many verifier plugins may run.
    pub plugins: HostLimits,
}

/// `limits.layout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Layout {
    /// Bytes of a manifest or index.
    pub manifest_bytes: u64,
    /// Manifests, also through indexes.
    pub entries: usize,
    /// Bytes of manifests that are read when the layout is opened.
    pub scan_bytes: u64,
}

impl Default for Layout {
    fn default() -> Self {
        let layout::Limits { manifest_bytes, entries, scan_bytes } = layout::Limits::default();
        Self { manifest_bytes, entries, scan_bytes }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let server = server::Limits::default();
        let engine = executor::limits::Limits::default();
        let cached = cached::Limits::default();
        Self {
            request_bytes: server.request_bytes,
            keys: server.keys,
            reply_bytes: server.reply_bytes,
            requests: server.in_flight,
            connections: server.connections,
            header_bytes: server.header_bytes,
            head_timeout: server.head_timeout,
            idle_timeout: server.idle_timeout,
            connection_age: server.connection_age,
            in_flight: engine.in_flight,
            in_flight_per_tenant: engine.in_flight_per_tenant,
            queued: engine.queued,
            artifacts_at_once: engine.artifacts_at_once,
            nested_depth: engine.nested_depth,
            finish: engine.finish,
            verdict_ttl: engine.verdict_ttl,
            negative_ttl: engine.negative_ttl,
            // A signed image costs about 12 KiB: some 2,500 of them.
            cache_bytes: 32 << 20,
            verdict_cache_bytes: None,
            listing_cache_bytes: None,
            content_cache_bytes: None,
            listing_ttl: cached.listing_age,
            empty_listing_ttl: cached.empty_listing_age,
            // Long enough to be repaired on a Monday, short enough not to be forgotten.
            max_stale: Duration::from_hours(72),
            registry: registry::Limits::default(),
            layout: Layout::default(),
            plugins: HostLimits::default(),
        }
    }
}

impl Limits {
    /// The server's part.
    pub const fn server(&self) -> server::Limits {
        server::Limits {
            request_bytes: self.request_bytes,
            keys: self.keys,
            reply_bytes: self.reply_bytes,
            in_flight: self.requests,
            connections: self.connections,
            header_bytes: self.header_bytes,
            head_timeout: self.head_timeout,
            idle_timeout: self.idle_timeout,
            connection_age: self.connection_age,
        }
    }

    /// The engine's part. `tenancy`: without it nobody is a tenant, and all places are everyone's.
    pub const fn engine(&self) -> executor::limits::Limits {
        executor::limits::Limits {
            in_flight: self.in_flight,
            in_flight_per_tenant: self.in_flight_per_tenant,
            queued: self.queued,
            artifacts_at_once: self.artifacts_at_once,
            nested_depth: self.nested_depth,
            finish: self.finish,
            verdict_ttl: self.verdict_ttl,
            negative_ttl: self.negative_ttl,
            verdict_cache_bytes: share(self.verdict_cache_bytes, self.cache_bytes / 4),
        }
    }

    /// The caches' part.
    pub const fn cached(&self, flight: Duration) -> cached::Limits {
        cached::Limits {
            listing_age: self.listing_ttl,
            empty_listing_age: self.empty_listing_ttl,
            listing_bytes: share(self.listing_cache_bytes, self.cache_bytes / 4),
            flight,
        }
    }

    /// The part of the cache of content, in bytes.
    pub const fn content(&self) -> u64 {
        share(self.content_cache_bytes, self.cache_bytes / 2)
    }

    /// The layout's part.
    pub const fn layout(&self) -> layout::Limits {
        let Layout { manifest_bytes, entries, scan_bytes } = self.layout;
        layout::Limits { manifest_bytes, entries, scan_bytes }
    }

    /// Each field out of range, with what is allowed.
    pub(crate) fn faults(&self) -> Vec<(String, String)> {
        let mut faults: Vec<(String, String)> = Vec::new();
        for fault in self.server().faults() {
            let field = if fault.field == "inFlight" { "requests" } else { fault.field };
            faults.push((format!("limits.{field}"), fault.message));
        }
        for fault in self.registry.faults() {
            let field = fault.split(' ').next().unwrap_or_default();
            faults.push((format!("limits.registry.{field}"), fault.to_owned()));
        }
        for (field, allowed) in self.plugins.faults() {
            faults.push((format!("limits.plugins.{field}"), format!("must be {allowed}")));
        }
        let count = |value: usize| (1..=MAX_COUNT).contains(&value);
        let cache = |value: u64| (1..=MAX_CACHE_BYTES).contains(&value);
        let ttl = |value: Duration| !value.is_zero() && value <= MAX_TTL;
        for (field, holds, allowed) in [
            ("inFlight", count(self.in_flight), "1 to 1000000"),
            ("inFlightPerTenant", count(self.in_flight_per_tenant), "1 to 1000000"),
            ("queued", count(self.queued), "1 to 1000000"),
            ("artifactsAtOnce", (1..=256).contains(&self.artifacts_at_once), "1 to 256"),
            ("nestedDepth", (1..=MAX_NESTED_DEPTH).contains(&self.nested_depth), "1 to 3"),
            ("finish", !self.finish.is_zero() && self.finish <= Duration::from_secs(30), "more than 0 and at most 30s"),
            ("verdictTtl", ttl(self.verdict_ttl), "more than 0 and at most 5m"),
            ("negativeTtl", ttl(self.negative_ttl), "more than 0 and at most 5m"),
            ("cacheBytes", (4..=MAX_CACHE_BYTES).contains(&self.cache_bytes), "4 to 17179869184"),
            ("verdictCacheBytes", self.verdict_cache_bytes.is_none_or(cache), "1 to 17179869184"),
            ("listingCacheBytes", self.listing_cache_bytes.is_none_or(cache), "1 to 17179869184"),
            ("contentCacheBytes", self.content_cache_bytes.is_none_or(cache), "1 to 17179869184"),
            ("listingTtl", ttl(self.listing_ttl), "more than 0 and at most 5m"),
            ("emptyListingTtl", ttl(self.empty_listing_ttl), "more than 0 and at most 5m"),
            ("maxStale", !self.max_stale.is_zero() && self.max_stale <= MAX_STALE, "more than 0 and at most 720h"),
            ("layout.manifestBytes", (1..=64 << 20).contains(&self.layout.manifest_bytes), "1 to 67108864"),
            ("layout.entries", count(self.layout.entries), "1 to 1000000"),
            ("layout.scanBytes", cache(self.layout.scan_bytes), "1 to 17179869184"),
        ] {
            if !holds {
                faults.push((format!("limits.{field}"), format!("must be {allowed}")));
            }
        }
        faults
    }
}

/// A cache's own bytes, or its share of all.
const fn share(own: Option<u64>, of_all: u64) -> u64 {
    match own {
        Some(own) => own,
        None => of_all,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_budget_is_divided_between_the_caches() {
        let caches = |text: &str| {
            let limits: Limits = serde_json::from_str(text).unwrap();
            [limits.engine().verdict_cache_bytes, limits.cached(Duration::ZERO).listing_bytes, limits.content()]
        };
        assert_eq!(caches("{}").iter().sum::<u64>(), Limits::default().cache_bytes);
        assert_eq!(caches(r#"{"cacheBytes": 400}"#), [100, 100, 200]);
        assert_eq!(caches(r#"{"cacheBytes": 400, "contentCacheBytes": 7, "listingCacheBytes": 8}"#), [100, 8, 7]);
    }

    #[test]
    fn defaults_are_the_owners_and_are_in_range() {
        let limits = Limits::default();
        assert_eq!(limits.faults(), []);
        assert_eq!(limits.server(), server::Limits::default());
        assert_eq!(limits.engine(), executor::limits::Limits::default());
        assert_eq!(limits.layout(), layout::Limits::default());
        assert_eq!(limits.cached(cached::Limits::default().flight), cached::Limits::default());
    }

    // CFG-09
    #[test]
    fn zero_is_refused_everywhere_and_never_unlimited() {
        for field in [
            "requestBytes",
            "keys",
            "replyBytes",
            "requests",
            "connections",
            "headerBytes",
            "inFlight",
            "inFlightPerTenant",
            "queued",
            "artifactsAtOnce",
            "nestedDepth",
            "cacheBytes",
            "verdictCacheBytes",
            "listingCacheBytes",
            "contentCacheBytes",
        ] {
            let limits: Limits = serde_json::from_value(serde_json::json!({field: 0})).unwrap();
            let faults = limits.faults();
            assert_eq!(faults.len(), 1, "{field}: {faults:?}");
            assert_eq!(faults[0].0, format!("limits.{field}"));
        }
        for field in [
            "headTimeout",
            "idleTimeout",
            "connectionAge",
            "finish",
            "verdictTtl",
            "negativeTtl",
            "listingTtl",
            "emptyListingTtl",
            "maxStale",
        ] {
            let limits: Limits = serde_json::from_value(serde_json::json!({field: "0s"})).unwrap();
            assert_eq!(limits.faults().first().map(|fault| fault.0.clone()), Some(format!("limits.{field}")));
            for wrong in
                [serde_json::json!(5), serde_json::json!("-1s"), serde_json::json!("1e9h"), serde_json::json!("5")]
            {
                assert!(
                    serde_json::from_value::<Limits>(serde_json::json!({field: wrong})).is_err(),
                    "{field}: {wrong}"
                );
            }
        }
        for (section, field) in
            [("registry", "pages"), ("layout", "entries"), ("layout", "manifestBytes"), ("plugins", "running")]
        {
            let limits: Limits = serde_json::from_value(serde_json::json!({section: {field: 0}})).unwrap();
            assert!(limits.faults().iter().any(|fault| fault.0 == format!("limits.{section}.{field}")), "{field}");
        }
    }

    #[test]
    fn the_upper_end_is_allowed_and_one_more_is_not() {
        let with = |field: &str, value: serde_json::Value| -> Limits {
            serde_json::from_value(serde_json::json!({field: value})).unwrap()
        };
        for (field, most, over) in [
            ("inFlight", serde_json::json!(1_000_000), serde_json::json!(1_000_001)),
            ("artifactsAtOnce", serde_json::json!(256), serde_json::json!(257)),
            ("nestedDepth", serde_json::json!(3), serde_json::json!(4)),
            ("verdictTtl", serde_json::json!("5m"), serde_json::json!("301s")),
            ("maxStale", serde_json::json!("720h"), serde_json::json!("721h")),
        ] {
            assert_eq!(with(field, most).faults(), [], "{field}");
            assert_eq!(with(field, over).faults().len(), 1, "{field}");
        }
    }
}
