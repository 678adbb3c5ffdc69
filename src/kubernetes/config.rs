//! The section `kubernetes`. Imports nothing of ours but how durations are written.

use std::time::Duration;

use serde::Deserialize;

use crate::duration;

/// Shortest life of a leaf that can be configured: below it a short outage of the API server would end service.
const MIN_VALIDITY: Duration = Duration::from_hours(24);
/// Longest life of an authority that can be configured.
const MAX_VALIDITY: Duration = Duration::from_hours(24 * 3653);
/// Shortest overlap: Gatekeeper hears of a changed Provider in seconds, and looks at nothing but its own cache of it.
const MIN_OVERLAP: Duration = Duration::from_mins(1);
/// Longest name of an object (RFC 1123, DNS subdomain).
const MAX_NAME_BYTES: usize = 253;
/// Most Providers that are kept.
const MAX_PROVIDERS: usize = 16;

/// `kubernetes`. Absent: no API server is ever contacted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// Where the objects below are. Absent: the ServiceAccount's own namespace.
    pub namespace: Option<String>,
    /// The serving certificate is made and rotated by ourselves.
    pub certificates: Option<Certificates>,
    /// A Secret whose `ca.crt` holds the authorities of Gatekeeper's client certificate; followed when it changes.
    pub client_ca_secret: Option<String>,
}

/// `kubernetes.certificates`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Certificates {
    /// The Secret with `ca.crt`, `ca.key`, `tls.crt` and `tls.key`; made where it is absent.
    pub secret: String,
    /// The Service whose names the certificate has.
    pub service: String,
    /// The Providers whose `spec.caBundle` is kept; absent ones are skipped.
    pub providers: Vec<String>,
    /// The Lease that makes one replica the writer.
    pub lease: String,
    /// A leaf's life.
    #[serde(deserialize_with = "duration::deserialize")]
    pub validity: Duration,
    /// How long before its end a leaf is renewed.
    #[serde(deserialize_with = "duration::deserialize")]
    pub renew_before: Duration,
    /// An authority's life.
    #[serde(deserialize_with = "duration::deserialize")]
    pub authority_validity: Duration,
    /// How long before its end an authority's successor is published.
    #[serde(deserialize_with = "duration::deserialize")]
    pub authority_renew_before: Duration,
    /// How long a successor has been seen in every Provider before it signs.
    #[serde(deserialize_with = "duration::deserialize")]
    pub overlap: Duration,
}

impl Default for Certificates {
    fn default() -> Self {
        let days = |count: u64| Duration::from_hours(count.saturating_mul(24));
        Self {
            secret: "countersign-tls".to_owned(),
            service: "countersign".to_owned(),
            providers: vec!["countersign".to_owned(), "countersign-mutation".to_owned()],
            lease: "countersign-certificates".to_owned(),
            // Long enough for a cluster that is off over the holidays, short enough that renewal is an everyday thing.
            validity: days(90),
            renew_before: days(30),
            authority_validity: days(730),
            // Twice a leaf's life: no leaf is ever cut short by its authority.
            authority_renew_before: days(180),
            overlap: Duration::from_hours(1),
        }
    }
}

/// What is wrong with a field, below `kubernetes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Path of the field, as `certificates.secret`.
    pub field: &'static str,
    /// What is wrong and what is allowed.
    pub message: String,
}

impl Config {
    /// Everything that is out of range, or does not go together.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.namespace.as_deref().is_some_and(|name| !is_label(name)) {
            faults.push(fault("namespace", "is no name of a namespace"));
        }
        if self.client_ca_secret.as_deref().is_some_and(|name| !is_subdomain(name)) {
            faults.push(fault("clientCaSecret", NO_NAME));
        }
        if let Some(certificates) = &self.certificates {
            certificates.faults(&mut faults);
            // Writing there would take Gatekeeper's own certificate from it.
            if self.client_ca_secret.as_ref() == Some(&certificates.secret) {
                faults.push(fault("certificates.secret", "is the Secret of clientCaSecret, which is another's"));
            }
        }
        faults
    }
}

const NO_NAME: &str = "is no name of an object: lower case letters, digits, `-` and `.`";

impl Certificates {
    fn faults(&self, faults: &mut Vec<Fault>) {
        for (field, name) in [("certificates.secret", &self.secret), ("certificates.lease", &self.lease)] {
            if !is_subdomain(name) {
                faults.push(fault(field, NO_NAME));
            }
        }
        if !is_label(&self.service) {
            faults.push(fault("certificates.service", "is no name of a Service"));
        }
        let names = &self.providers;
        if names.len() > MAX_PROVIDERS {
            faults.push(fault("certificates.providers", format!("at most {MAX_PROVIDERS}")));
        } else if names.iter().any(|name| !is_subdomain(name)) {
            faults.push(fault("certificates.providers", NO_NAME));
        }
        let longest = |field, value: Duration, least: Duration, most: Duration, rule: &str| {
            (!(least..=most).contains(&value)).then(|| fault(field, format!("must be {rule}")))
        };
        let sound = [
            longest("certificates.validity", self.validity, MIN_VALIDITY, MAX_VALIDITY, "24h to ten years"),
            longest(
                "certificates.renewBefore",
                self.renew_before,
                Duration::from_hours(1),
                self.validity / 4 * 3,
                "1h to three quarters of validity",
            ),
            longest(
                "certificates.overlap",
                self.overlap,
                MIN_OVERLAP,
                self.renew_before / 2,
                "1m to half of renewBefore, so that a leaf never ends while its successor waits",
            ),
            longest(
                "certificates.authorityRenewBefore",
                self.authority_renew_before,
                self.validity.saturating_add(self.renew_before),
                self.authority_validity / 2,
                "at least validity and renewBefore together, and at most half of authorityValidity",
            ),
            longest(
                "certificates.authorityValidity",
                self.authority_validity,
                MIN_VALIDITY,
                MAX_VALIDITY,
                "24h to ten years",
            ),
        ];
        faults.extend(sound.into_iter().flatten());
    }
}

fn fault(field: &'static str, message: impl Into<String>) -> Fault {
    Fault { field, message: message.into() }
}

/// RFC 1123, DNS label.
fn is_label(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !name.is_empty() && name.len() <= 63 && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

/// RFC 1123, DNS subdomain.
fn is_subdomain(name: &str) -> bool {
    name.len() <= MAX_NAME_BYTES && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn faults(value: Value) -> Vec<&'static str> {
        let config: Config = serde_json::from_value(value).unwrap();
        config.faults().into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn defaults_are_sound_and_read_from_nothing() {
        assert!(faults(json!({})).is_empty());
        assert!(faults(json!({ "certificates": {}, "clientCaSecret": "gatekeeper-webhook-server-cert" })).is_empty());
    }

    // CFG-07, CFG-09
    #[test]
    fn each_rule_has_its_nearest_neighbour_on_the_other_side() {
        for (name, certificates, expected) in [
            ("shortest leaf", json!({ "validity": "24h", "renewBefore": "12h" }), None),
            ("shorter leaf", json!({ "validity": "23h", "renewBefore": "12h" }), Some("certificates.validity")),
            ("renewed always", json!({ "renewBefore": "1621h" }), Some("certificates.renewBefore")),
            ("renewed often", json!({ "renewBefore": "1620h" }), None),
            ("renewed at the end", json!({ "renewBefore": "59m", "overlap": "1m" }), Some("certificates.renewBefore")),
            ("shortest overlap", json!({ "overlap": "1m" }), None),
            ("no overlap", json!({ "overlap": "59s" }), Some("certificates.overlap")),
            ("overlap too long", json!({ "overlap": "361h" }), Some("certificates.overlap")),
            (
                "authority outlived",
                json!({ "authorityRenewBefore": "2879h" }),
                Some("certificates.authorityRenewBefore"),
            ),
            ("authority in time", json!({ "authorityRenewBefore": "2880h" }), None),
            ("always rotating", json!({ "authorityRenewBefore": "8761h" }), Some("certificates.authorityRenewBefore")),
            ("for ever", json!({ "authorityValidity": "87673h" }), Some("certificates.authorityValidity")),
            ("a path", json!({ "secret": "../other" }), Some("certificates.secret")),
            ("a wildcard", json!({ "service": "*" }), Some("certificates.service")),
            ("no Lease", json!({ "lease": "" }), Some("certificates.lease")),
            ("a query", json!({ "providers": ["a?b"] }), Some("certificates.providers")),
            ("no Providers", json!({ "providers": [] }), None),
        ] {
            assert_eq!(faults(json!({ "certificates": certificates })), Vec::from_iter(expected), "{name}");
        }
        assert_eq!(faults(json!({ "namespace": "a.b" })), ["namespace"]);
        assert_eq!(faults(json!({ "clientCaSecret": "A" })), ["clientCaSecret"]);
        let same = json!({ "certificates": { "secret": "one" }, "clientCaSecret": "one" });
        assert_eq!(faults(same), ["certificates.secret"]);
    }

    #[test]
    fn unknown_fields_are_refused() {
        for wrong in [json!({ "certificate": {} }), json!({ "certificates": { "secretName": "x" } })] {
            assert!(serde_json::from_value::<Config>(wrong).is_err());
        }
    }
}
