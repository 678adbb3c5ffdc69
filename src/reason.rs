//! Why: the closed list of stable reason codes, and how an error is said.

use std::{error::Error, fmt, fmt::Write as _};

use serde::{Serialize, Serializer};

/// What a reason does to a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// A fault of ours; for that request only. On the wire like [`Class::Undecided`].
    Broken,
    /// A definite no.
    No,
    /// No answer could be had: nothing is admitted, nothing is cached as a no.
    Undecided,
    /// A definite yes, or a note beside one.
    Yes,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $class:ident, $meaning:literal, $remedy:literal;)*) => {
        /// Every reason that reports, logs and metrics can give. Stable across releases; the README's table is made from it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $meaning] $name,)*
        }

        impl Code {
            /// All codes, in the order of the README's table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as reports, logs and metrics spell it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What happened, in one clause.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }

            /// What the reader can do.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy,)* }
            }

            /// No, don't know, broken, or yes.
            pub const fn class(self) -> Class {
                match self { $(Self::$name => Class::$class,)* }
            }
        }
    };
}

codes! {
    Verified = "VERIFIED", Yes, "the policy holds", "Nothing to do.";
    Waived = "WAIVED", Yes, "the operator's trust policy skips verification for this scope", "Remove level `skip` from the trust policy if this was not meant.";
    StaticPass = "STATIC_PASS", Yes, "the policy admits this scope without evidence (`static: pass`)", "Replace it by a verifier if this was not meant.";
    Logged = "LOGGED_ONLY", Yes, "a check failed and the trust policy only logs it", "Read the warning; raise the level to `strict` once it is understood.";

    RefInvalid = "REF_INVALID", No, "the key is no image reference", "Correct the image in the Pod: lower-case repository, `:tag` or `@sha256:…`, no URL scheme.";
    HostDenied = "HOST_DENIED", No, "no store serves this registry, or host rules refuse its address", "Add the host to `stores[].hosts`; loopback and private addresses need their own flag there.";
    NoPolicy = "NO_POLICY", No, "no policy covers this repository", "Add its scope to `policies` (or to the verifier's trust policy); what no policy covers is refused.";
    PolicyUnsatisfied = "POLICY_UNSATISFIED", No, "the policy does not hold over the evidence found", "Read the reports beside it: each says what its verifier found.";
    PolicyError = "POLICY_ERROR", No, "the policy could not be evaluated", "Run `countersign check --config FILE`; the message names the rule.";
    NotFound = "NOT_FOUND", No, "the registry has no such manifest", "Push the image, or correct tag or digest.";
    NoSignature = "NO_SIGNATURE", No, "no signature associated with the image was found", "Sign the image (`notation sign`, `cosign sign`), or copy its signatures along when copying the image.";
    DigestMismatch = "DIGEST_MISMATCH", No, "content does not have the digest it was asked for by", "The registry or a mirror served other bytes: push again, and find out why.";
    SizeMismatch = "SIZE_MISMATCH", No, "content does not have the size its descriptor says", "Push the artifact again.";
    LimitExceeded = "LIMIT_EXCEEDED", No, "a configured limit was exceeded", "Remove superfluous referrers, or raise the limit that the message names.";
    AmbiguousManifest = "AMBIGUOUS_MANIFEST", No, "the manifest can be read as two things", "Rebuild the image with a tool that writes one kind of manifest.";
    BadManifest = "BAD_MANIFEST", No, "a manifest is malformed", "Push the artifact again with a current tool.";
    MediaTypeMismatch = "MEDIATYPE_MISMATCH", No, "media types of content, header and descriptor differ", "Push the artifact again; a proxy that rewrites headers also does this.";
    UnsupportedMediaType = "UNSUPPORTED_MEDIATYPE", No, "a media type that is not supported", "Docker schema 1 and HTML pages are not images; push an OCI or Docker schema 2 image.";
    BadReferrers = "BAD_REFERRERS", No, "the list of referrers is malformed", "The registry's referrers API or the referrers tag returns something else than an image index.";
    ArtifactTypeMismatch = "ARTIFACT_TYPE_MISMATCH", No, "a referrer is listed as one artifact type and is another", "Push the referrer again; the list is the registry's word, the manifest decides.";
    SubjectMismatch = "SUBJECT_MISMATCH", No, "the evidence is about another artifact", "Sign this image; a signature cannot be moved from one image to another.";
    SignatureMalformed = "SIG_MALFORMED", No, "the signature envelope is malformed", "Sign again with a current tool.";
    SignatureInvalid = "SIG_INVALID", No, "the signature does not verify", "The envelope was altered or signed with another key: sign again.";
    SignatureAlgorithm = "SIG_ALGORITHM", No, "the signature algorithm is not allowed or does not fit the key", "Use RSA 2048/3072/4096 with PSS, or ECDSA on P-256/384/521.";
    UnknownCritical = "UNKNOWN_CRITICAL", No, "the envelope has a critical attribute that is not understood", "Sign without it, or with a tool whose attributes are supported.";
    PluginRequired = "PLUGIN_REQUIRED", No, "the envelope demands a verification plugin", "Plugins that envelopes name are never run. Add a signature that demands none: `notation sign` with a local key, or with a plugin that only signs, as those of key vaults do. AWS Signer's own signatures always demand its plugin.";
    CertificateInvalid = "CERT_INVALID", No, "the certificate chain breaks the certificate profile", "Issue a certificate that fits: the certificate requirements of the Notary Project signature specification, or Fulcio's profile.";
    CertificateExpired = "CERT_EXPIRED", No, "a certificate of the chain is outside its validity", "Renew the certificate and sign again.";
    NoTrust = "NO_TRUST", No, "the trust store that the policy names is missing, empty or bad", "Mount the trust store; `countersign check` names the file.";
    Untrusted = "UNTRUSTED", No, "no certificate of the chain is in the trust store", "Sign with a trusted certificate, or add its root to the trust store.";
    IdentityMismatch = "IDENTITY_MISMATCH", No, "the signer is not among the trusted identities", "Sign as a trusted identity, or add this one to `trustedIdentities` (notation) or `identities` (cosign).";
    Expired = "EXPIRED", No, "the signature has expired", "Sign again.";
    MetadataMismatch = "METADATA_MISMATCH", No, "required user metadata is missing or differs", "Sign with `--user-metadata` as the policy requires.";
    Revoked = "REVOKED", No, "a certificate of the chain was revoked, or is on hold", "Sign again with a certificate that is not revoked; find out why this one was.";
    RevocationUnknown = "REVOCATION_UNKNOWN", No, "the authority's OCSP responder does not know a certificate of the chain, or the certificate names nobody to ask and `noMethod` is `deny`", "Ask the authority whether it issued this certificate; a CRL that it also publishes would be taken instead.";
    BundleMalformed = "BUNDLE_MALFORMED", No, "the Sigstore bundle, signature layer or DSSE envelope is malformed", "Sign again with a current tool; the message names the member.";
    PayloadMalformed = "PAYLOAD_MALFORMED", No, "what was signed is no cosign payload or in-toto statement", "Sign with `cosign sign` or `cosign attest`; the message says what is wrong.";
    PredicateTypeMismatch = "PREDICATE_TYPE_MISMATCH", No, "what was signed is of another type than the verifier asks for", "Attest with the predicate type that the verifier names; an attestation is not a signature.";
    AnnotationMismatch = "ANNOTATION_MISMATCH", No, "required annotations are missing or differ", "Sign with `cosign sign -a key=value` as the trust policy requires.";
    TlogMissing = "TLOG_MISSING", No, "too few transparency logs vouch for the signature", "Sign with upload to the transparency log, or set `ignoreTlog: true` with its risk understood.";
    TlogInvalid = "TLOG_INVALID", No, "a transparency log entry does not vouch for this signature", "The entry was altered or belongs to another signature: sign again.";
    SctMissing = "SCT_MISSING", No, "too few certificate transparency logs vouch for the certificate", "Use an authority that logs its certificates, or set `ignoreSct: true` with its risk understood.";
    SctInvalid = "SCT_INVALID", No, "a signed certificate timestamp does not fit the certificate", "The certificate or the trusted root is not genuine: compare both with the instance's own.";
    TimestampMissing = "TIMESTAMP_MISSING", No, "too few trusted times are known for the signature", "Sign with a timestamp authority that the trust policy or the trusted root has, or with a Rekor v1 log of that root.";
    TimestampInvalid = "TIMESTAMP_INVALID", No, "a signed timestamp does not verify", "Sign again; the message says what does not fit.";
    NoAttestation = "NO_ATTESTATION", No, "no attestation of the wanted type was found", "Attest the image (`cosign attest`), or copy its attestations along when copying the image.";
    AttestationStale = "ATTESTATION_STALE", No, "the attestation is older than the verifier's `maxAge`", "Scan and attest again.";
    AttestationFuture = "ATTESTATION_FUTURE", No, "the attestation's time lies in the future, or it has none", "Compare the clocks of the attesting machine and this one; `timeField` must name an RFC 3339 time.";
    AttestationSuperseded = "ATTESTATION_SUPERSEDED", No, "another attestation of the image decides (`select: latest` or `all`)", "Read the report beside it.";
    EvidenceUnsigned = "EVIDENCE_UNSIGNED", No, "an artifact that must be signed itself is not (`signedBy`)", "Sign the artifact, by its own digest, with a signer that `signedBy` trusts: a signature of the image is none of it. Its `nestedResults` say what was found.";
    NoArtifact = "NO_ARTIFACT", No, "no artifact that the plugin could look at was found", "Attach one of the verifier's `artifactTypes` (`oras attach`), or copy the image's artifacts along when copying it.";
    PluginRejected = "PLUGIN_REJECTED", No, "the verifier plugin refuses the artifact", "Read what the plugin says beside it.";
    StaticFail = "STATIC_FAIL", No, "the policy refuses this scope without evidence (`static: fail`)", "The policy's message says why; change `policies` if this was not meant.";
    TrustPolicyMissing = "NO_TRUST_POLICY", No, "no trust policy of the verifier covers this repository", "Add its registry scope to the trust policy.";

    BadRequest = "BAD_REQUEST", Undecided, "the provider request cannot be read", "Check what sends it: Gatekeeper itself never does this.";
    UnsupportedVersion = "UNSUPPORTED_VERSION", Undecided, "the provider request has another apiVersion", "Use Gatekeeper 3.11 or later (externaldata.gatekeeper.sh/v1beta1).";
    TooManyKeys = "TOO_MANY_KEYS", Undecided, "the provider request has too many keys or bytes", "Split the request, or raise `limits.keys` and `limits.requestBytes`.";
    UnsupportedEncoding = "UNSUPPORTED_ENCODING", Undecided, "the request is encoded or is not JSON", "Send plain JSON.";
    NoRoute = "NO_ROUTE", Undecided, "no such path or method", "Point the Provider's `url` at `/countersign/gatekeeper/v1/verify` or Ratify's path.";
    Overloaded = "OVERLOADED", Undecided, "more is asked than can be answered in time", "Add replicas, or raise the limit that the message names.";
    NotReady = "NOT_READY", Undecided, "no configuration has been loaded yet", "Look at the log of the start: it names the fault.";
    Timeout = "TIMEOUT", Undecided, "the answer could not be had before the deadline", "Look at the registry's latency; raise `server.providerTimeout` and the Provider's `timeout` together.";
    PluginFailed = "PLUGIN_FAILED", Undecided, "the verifier plugin could not be started, failed or crashed", "Run `countersign plugin test`; the message has the exit status or signal. Its limits are `limits` of the verifier.";
    PluginOutput = "PLUGIN_OUTPUT", Undecided, "the verifier plugin wrote more than it may", "Let it write less, or raise `limits.outputBytes` of the verifier.";
    PluginProtocol = "PLUGIN_PROTOCOL", Undecided, "the verifier plugin's reply is not exactly one verdict about what was asked", "Run `countersign plugin test`: one line of standard output must be a JSON object with a boolean `isSuccess`.";
    PluginTimeout = "PLUGIN_TIMEOUT", Undecided, "the verifier plugin did not end in time", "Make it faster, or raise `timeout` of the verifier and `server.providerTimeout`.";
    RegistryUnavailable = "REG_UNAVAILABLE", Undecided, "the registry cannot be reached or answers with errors", "Look at the registry, its name resolution and the network policy.";
    RateLimited = "RATE_LIMITED", Undecided, "the registry throttles us", "Use credentials with a higher limit, or a mirror.";
    Auth = "AUTH", Undecided, "the registry refuses our credentials, or anonymous access", "Configure `credentials` for this host; check that they may pull.";
    RealmDenied = "REALM_DENIED", Undecided, "the registry names a token service that is not allowed for it", "List the token service under `realms` of the host if it is genuine.";
    RedirectDenied = "REDIRECT_DENIED", Undecided, "the registry redirects or links to a place that is not allowed", "If it is genuine, allow the target's host.";
    Tls = "TLS", Undecided, "no trusted TLS connection to the registry", "Set `ca` for the host, or `plainHttp: true` if it has no TLS at all.";
    BadHttp = "BAD_HTTP", Undecided, "the registry's answer is not acceptable HTTP", "Look for a proxy between us and the registry.";
    Truncated = "TRUNCATED", Undecided, "the registry's answer ended early", "Look for a proxy between us and the registry.";
    RevocationUnavailable = "REVOCATION_UNAVAILABLE", Undecided, "whether a certificate was revoked could not be found out", "Look at the authority's OCSP responder and CRL, and whether they can be reached (`revocation.allowHosts`, `revocation.proxy`); the message says what is wrong.";
    StoreUnreadable = "STORE_UNREADABLE", Undecided, "the image layout on disk cannot be read", "Check path and permissions.";
    Internal = "INTERNAL", Broken, "a fault of ours", "Please report it, with the log lines of this trace id.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Longest text from outside that an answer repeats (`threats.md` 1.2).
pub const MAX_OUTSIDE_TEXT_BYTES: usize = 512;
/// Longest reason of a verifier: words of ours around a text or two from outside. A report repeats it some six times (R110).
pub const MAX_REASON_BYTES: usize = 2 * MAX_OUTSIDE_TEXT_BYTES;

/// Writes an error and its sources as `a: b: c`, escaped and bounded. The one printer of error chains.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Writing to a String does not fail.
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    printable(&text, MAX_OUTSIDE_TEXT_BYTES)
}

/// Escapes control, direction and invisible characters of `text` and cuts it at `limit` bytes, with `…` where it was cut.
///
/// A stranger's text can then neither forge a log line nor hide its end (`threats.md` 3.3).
pub fn printable(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    for c in text.chars() {
        let start = out.len();
        if is_plain(c) {
            out.push(c);
        } else {
            let _ = write!(out, "{}", c.escape_unicode());
        }
        if out.len() > limit {
            out.truncate(start);
            out.push('…');
            break;
        }
    }
    out
}

fn is_plain(c: char) -> bool {
    let hidden = matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}');
    !c.is_control() && !hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_text_is_escaped_and_bounded() {
        assert_eq!(printable("a\n\u{1b}[31m\u{202e}b", 64), "a\\u{a}\\u{1b}[31m\\u{202e}b");
        assert_eq!(printable("abcdef", 4), "abcd…");
        assert_eq!(printable("abcd", 4), "abcd");
    }

    #[test]
    fn codes_are_distinct_and_said_in_full() {
        let mut seen = std::collections::HashSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{code}");
            assert!(!code.meaning().is_empty() && code.remedy().ends_with('.'), "{code}");
        }
    }
}
