//! The rules on signed attributes that JWS and COSE share.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use time::OffsetDateTime;

use super::{Attributes, EnvelopeError, Plugin, SigningScheme, quoted};

pub(super) const SIGNING_SCHEME: &str = "io.cncf.notary.signingScheme";
pub(super) const SIGNING_TIME: &str = "io.cncf.notary.signingTime";
pub(super) const AUTHENTIC_SIGNING_TIME: &str = "io.cncf.notary.authenticSigningTime";
pub(super) const EXPIRY: &str = "io.cncf.notary.expiry";
pub(super) const PLUGIN: &str = "io.cncf.notary.verificationPlugin";
pub(super) const PLUGIN_MIN_VERSION: &str = "io.cncf.notary.verificationPluginMinVersion";
pub(super) const TIMESTAMP: &str = "io.cncf.notary.timestampSignature";
pub(super) const SIGNING_AGENT: &str = "io.cncf.notary.signingAgent";

/// The name of a header parameter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Label {
    Number(i64),
    Text(String),
}

impl Label {
    pub(super) fn text(name: &str) -> Self {
        Self::Text(name.to_owned())
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "label {number}"),
            Self::Text(text) => f.write_str(&quoted(text)),
        }
    }
}

/// What a protected header's parameter is worth here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// Any other; not understood.
    Extended,
    /// Of the envelope itself (`alg`, `cty`, …): processed, may not be critical.
    Fixed,
    /// Of the envelope itself: processed, may also be critical (COSE).
    FixedOrCritical,
    Text(String),
    Time(OffsetDateTime),
}

/// A protected header, decoded.
#[derive(Debug)]
pub(super) struct Protected {
    pub(super) parameters: BTreeMap<Label, Value>,
    pub(super) critical: Vec<Label>,
    /// Whether `signingTime` may also be critical (COSE).
    pub(super) signing_time_may_be_critical: bool,
}

impl Protected {
    /// Applies the rules.
    pub(super) fn check(self) -> Result<Attributes, EnvelopeError> {
        let scheme = self.scheme()?;
        let plugin = self.plugin()?;
        let expiry = self.time(EXPIRY);
        self.check_critical(scheme, plugin.as_ref(), expiry)?;
        let extended = self.parameters.iter().filter(|(_, value)| **value == Value::Extended);
        let extended = extended.map(|(label, _)| label.to_string()).collect();
        Ok(Attributes { scheme, expiry, plugin, extended })
    }

    fn time(&self, name: &str) -> Option<OffsetDateTime> {
        match self.parameters.get(&Label::text(name)) {
            Some(Value::Time(time)) => Some(*time),
            Some(Value::Extended | Value::Fixed | Value::FixedOrCritical | Value::Text(_)) | None => None,
        }
    }

    fn string(&self, name: &str) -> Option<&str> {
        match self.parameters.get(&Label::text(name)) {
            Some(Value::Text(text)) => Some(text),
            Some(Value::Extended | Value::Fixed | Value::FixedOrCritical | Value::Time(_)) | None => None,
        }
    }

    /// The scheme and its own time; the other scheme's time is forbidden (D16).
    fn scheme(&self) -> Result<SigningScheme, EnvelopeError> {
        let missing = |name| EnvelopeError::AttributeMissing { name };
        let forbid = |name, scheme| match self.time(name) {
            Some(_) => Err(EnvelopeError::AttributeForbidden { name, scheme }),
            None => Ok(()),
        };
        match self.string(SIGNING_SCHEME).ok_or_else(|| missing(SIGNING_SCHEME))? {
            SigningScheme::X509 => {
                forbid(AUTHENTIC_SIGNING_TIME, SigningScheme::X509)?;
                let signing_time = self.time(SIGNING_TIME).ok_or_else(|| missing(SIGNING_TIME))?;
                Ok(SigningScheme::X509 { signing_time })
            }
            SigningScheme::SIGNING_AUTHORITY => {
                forbid(SIGNING_TIME, SigningScheme::SIGNING_AUTHORITY)?;
                let time = self.time(AUTHENTIC_SIGNING_TIME).ok_or_else(|| missing(AUTHENTIC_SIGNING_TIME))?;
                Ok(SigningScheme::SigningAuthority { authentic_signing_time: time })
            }
            stated => Err(EnvelopeError::Scheme { stated: quoted(stated) }),
        }
    }

    fn plugin(&self) -> Result<Option<Plugin>, EnvelopeError> {
        let wrong = |name: &str, expected| EnvelopeError::AttributeValue { name: name.to_owned(), expected };
        let min_version = self.string(PLUGIN_MIN_VERSION);
        let Some(name) = self.string(PLUGIN) else {
            // Item 106.
            return match min_version {
                Some(_) => Err(EnvelopeError::AttributeMissing { name: PLUGIN }),
                None => Ok(None),
            };
        };
        if name.trim().is_empty() {
            return Err(wrong(PLUGIN, "a plugin's name"));
        }
        if min_version.is_some_and(|version| !is_semantic_version(version)) {
            return Err(wrong(PLUGIN_MIN_VERSION, "a semantic version"));
        }
        Ok(Some(Plugin { name: name.to_owned(), min_version: min_version.map(str::to_owned) }))
    }

    /// Each entry once, present, allowed and understood; all that must be critical is.
    fn check_critical(
        &self,
        scheme: SigningScheme,
        plugin: Option<&Plugin>,
        expiry: Option<OffsetDateTime>,
    ) -> Result<(), EnvelopeError> {
        let mut required = vec![SIGNING_SCHEME];
        required.extend(matches!(scheme, SigningScheme::SigningAuthority { .. }).then_some(AUTHENTIC_SIGNING_TIME));
        required.extend(expiry.map(|_| EXPIRY));
        required.extend(plugin.map(|_| PLUGIN));
        required.extend(plugin.and_then(|plugin| plugin.min_version.as_ref()).map(|_| PLUGIN_MIN_VERSION));
        let required: BTreeSet<Label> = required.into_iter().map(Label::text).collect();

        let mut listed = BTreeSet::new();
        let mut unknown = None;
        for label in &self.critical {
            let name = || label.to_string();
            if !listed.insert(label.clone()) {
                return Err(EnvelopeError::CriticalDuplicate { name: name() });
            }
            match self.parameters.get(label) {
                None => return Err(EnvelopeError::CriticalAbsent { name: name() }),
                Some(_) if required.contains(label) => {}
                Some(Value::Extended) => unknown = unknown.or_else(|| Some(name())),
                Some(Value::FixedOrCritical) => {}
                Some(Value::Time(_)) if self.signing_time_may_be_critical && *label == Label::text(SIGNING_TIME) => {}
                Some(Value::Fixed | Value::Text(_) | Value::Time(_)) => {
                    return Err(EnvelopeError::CriticalNotAllowed { name: name() });
                }
            }
        }
        let missing: Vec<String> = required.difference(&listed).map(Label::to_string).collect();
        if !missing.is_empty() {
            return Err(EnvelopeError::CriticalMissing { names: missing.join(", ") });
        }
        match (unknown, plugin) {
            (None, _) => Ok(()),
            (Some(name), None) => Err(EnvelopeError::UnknownCritical { name }),
            (Some(name), Some(plugin)) => {
                Err(EnvelopeError::UnknownCriticalOfPlugin { name, plugin: quoted(&plugin.name) })
            }
        }
    }
}

/// Semantic versioning 2.0.0.
fn is_semantic_version(text: &str) -> bool {
    let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
    let (core, pre) = text.split_once('-').map_or((text, None), |(core, pre)| (core, Some(pre)));
    let number = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) && (part == "0" || !part.starts_with('0'))
    };
    let identifier = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    core.split('.').count() == 3
        && core.split('.').all(number)
        && pre.is_none_or(|pre| pre.split('.').all(|part| identifier(part) && (!digits(part) || number(part))))
        && build.is_none_or(|build| build.split('.').all(identifier))
}
