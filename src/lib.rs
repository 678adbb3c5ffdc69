//! countersign: Gatekeeper asks "may these images run?", countersign answers with proof.
//!
//! # One request's way
//!
//! ```text
//!   Gatekeeper ──HTTPS, mTLS──► 1 server::verify        read under a byte limit, check kind and version, open a span
//!                               2 server                take the generation once, and `now` once
//!                               3 server                keys together, bounded; answers in request order
//!                               4 oci::Reference        parse, or refuse this key; store.resolve ──► Subject
//!                               5 executor::cache       a verdict that is still true ends here
//!   registry ◄──HTTPS────────── 6 store.referrers       list, where a verifier says; can_verify drops what cannot matter
//!                               7 executor::examine     each referrer: Content::check ─► Artifact::read ─► verifier ─► items;
//!                                 executor::nested      where a policy wants evidence signed: 6 and 7 below it first, bounded
//!                               8 policy.decide         Evidence ─► Decision ─► Verdict; report::wire renders
//!   Gatekeeper ◄── item value (yes, no) │ systemError (don't know, broken)
//! ```
//!
//! # Where it says yes
//!
//! | constructor | checks |
//! |---|---|
//! | [`oci::Content::check`] | the bytes have their descriptor's size and digest |
//! | [`oci::Artifact::read`] | the referrer's manifest names this subject, or cosign's tag does and then the signed bytes must |
//! | [`verifier::Verified::conclude`] | integrity or signature, and subject, passed; authenticity was judged; or a pinned plugin, and subject, passed; it is still true |
//! | [`verifier::Waiver`] | nothing: the operator wrote `skip` for a named scope, and every report shows it |
//! | `require: { static: { action: pass } }` | nothing: the operator wrote it for a named scope; every report and count shows it |
//!
//! Everything else only passes these on. A definite *no* ([`verifier::Rejection`]), *don't know*
//! ([`verifier::Undecided`]) and *broken* ([`reason::Class::Broken`]) stay apart down to the wire.
//!
//! # The map
//!
//! ```text
//! main.rs      flags, telemetry, run; prints an error chain, sets the exit code
//! cli/         serve · verify · discover · inspect · resolve · plugin · demo · check: a file each, thin
//! demo/        pki, signers, a mini Sigstore, registry, a Gatekeeper-shaped client (feature `demo`)
//! server/      external data, verify, mutate, admin, tls
//! app          composition root: configuration → keys → plugins → Executor; swaps generations
//! kubernetes/  the cluster: the serving certificate made and rotated, Gatekeeper's client CA followed
//! config       the operator's YAML; names every plugin's own Config; cross-field checks
//! executor/    reference → verdict: resolve, list, examine, decide; flights, places, verdict cache
//! report/      VerifierReport, Verdict, Decision; `wire` alone knows Ratify's shapes
//! policy/      trait PolicyProvider; threshold (any / all / atLeast by distinct signer / signed evidence / static)
//! verifier/    trait Verifier; notation (revocation, timestamps), cosign (signatures, attestations; trusted roots),
//!              exec (programs of the operator's, started by this binary as `__launch`)
//! store/       trait Store; registry, layout, routed, cached
//! oci/         Reference, Repository, Scope, Digest, Descriptor, Manifest; Subject, Referrer, Artifact, Content
//! crypto/      algorithms, schemes, X.509, DSSE, timestamps, OCSP, CRLs: pure and synchronous
//! reason       every stable code with meaning and remedy; the printer of error chains
//! json duration flight tenant time telemetry   strict JSON · `24h` · one task for equal calls · who asks · the one clock · logs, metrics, traces
//! ```
//!
//! Each plugin has the same inside: `foo.rs` is the **shell** (I/O, translating errors), the files under `foo/` are the
//! **core** (parse and check; synchronous; `now` and limits are arguments).
//!
//! # Who may know whom
//!
//! A test reads `crate::` paths in `src/**` against this table (`integration-tests/tests/layering.rs`).
//!
//! | layer | module | may use |
//! |---|---|---|
//! | 0 | `crypto`, `duration`, `flight`, `json`, `oci`, `reason`, `telemetry`, `tenant`, `time` | `json`, `reason` |
//! | 1 | `store` | `json`, `oci`, `reason` |
//! | 2 | `verifier` | `json`, `oci`, `reason`, `store` |
//! | 2 | `report` | `oci`, `reason`, `tenant`, `verifier` |
//! | 2 | `policy` | `oci`, `reason`, `report`, `verifier` |
//! | 3 | `store::*` | `flight`, `json`, `oci`, `reason`, `store`, `telemetry` |
//! | 3 | `verifier::*` | `crypto`, `duration`, `flight`, `json`, `oci`, `reason`, `store`, `telemetry`, `verifier` |
//! | 3 | `policy::*` | `oci`, `policy`, `reason`, `report`, `verifier` |
//! | 3 | `executor` | `flight`, `oci`, `policy`, `reason`, `report`, `store`, `telemetry`, `tenant`, `verifier` |
//! | 4 | `config` | `executor`, `json`, `kubernetes`, `oci`, `policy`, `reason`, `server`, `store`, `telemetry`, `verifier` |
//! | 5 | `app` | all above; the only module that names every plugin |
//! | 5 | `kubernetes` | `config`, `duration`, `json`, `oci`, `reason`, `store`, `telemetry`, `time` |
//! | 6 | `server` | `app`, `duration`, `executor`, `json`, `oci`, `reason`, `report`, `store`, `telemetry`, `tenant`, `time` |
//! | 7 | `cli`, `demo` | all above |
//!
//! `config` takes from the others their `Config` and `Limits` only; those of `server` and `kubernetes` stand in their `config`,
//! which imports nothing of ours. Sibling plugins never know each other. Only [`time`] reads the wall clock, only `config` the environment.

pub mod app;
pub mod cli;
pub mod config;
pub mod crypto;
#[cfg(feature = "demo")]
pub mod demo;
pub mod duration;
pub mod executor;
mod flight;
pub mod json;
pub mod kubernetes;
pub mod oci;
pub mod policy;
pub mod reason;
pub mod report;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod tenant;
pub mod time;
pub mod verifier;
