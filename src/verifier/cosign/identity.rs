//! Identities that a trust policy believes, matched whole.
//!
//! An identity names its issuer *and* its subject; either is a text that must be equal, case included, or a regular
//! expression that must match the text from its first to its last character. Other tools search: an expression written for
//! them, as `github.com/acme/.*`, then also matches `https://evil.example/github.com/acme/x`, and here it does not.
//!
//! Rule: `sigstore.md` §2.4; `threats.md` COS-26 to COS-29.

use std::{collections::BTreeMap, fmt};

use regex::{Regex, RegexBuilder};
use serde::Deserialize;

use super::certificate::{Claim, Claims};
use crate::reason::printable;

/// Longest regular expression (R27). The ones of published policies have a tenth.
const MAX_PATTERN_BYTES: usize = 2048;
/// Most bytes that a compiled expression takes (R27); one with a Unicode class has some 50 KiB.
const MAX_COMPILED_BYTES: usize = 1 << 20;
/// Longest issuer, subject or claim that can match anything (COS-27): URLs have at most about 2 KiB.
const MAX_TEXT_BYTES: usize = 8 << 10;
/// Longest text of a certificate or the configuration that a message repeats.
const MAX_SHOWN_BYTES: usize = 200;
/// Texts with nothing in common: what matches each of them matches anything.
const PROBES: [&str; 4] = ["x", "https://probe.invalid/0", "probe@invalid", "#"];

/// An element of `identities` as it is written: one of `issuer` and `issuerRegExp`, one of `subject` and `subjectRegExp`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdentityConfig {
    /// The issuer, equal.
    #[serde(default)]
    pub issuer: Option<String>,
    /// The issuer, by a regular expression that matches the whole of it.
    #[serde(default)]
    pub issuer_reg_exp: Option<String>,
    /// The subject, equal.
    #[serde(default)]
    pub subject: Option<String>,
    /// The subject, by a regular expression that matches the whole of it.
    #[serde(default)]
    pub subject_reg_exp: Option<String>,
    /// Claims of the certificate, each equal, by the names of [`Claim`].
    #[serde(default)]
    pub claims: BTreeMap<String, String>,
}

/// What is wrong with an identity of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityFault {
    /// Two members that say the same.
    #[error("`{exact}` and `{pattern}` exclude each other")]
    Both {
        /// For equality.
        exact: &'static str,
        /// For a regular expression.
        pattern: &'static str,
    },
    /// No claim of that name.
    #[error("no claim is named {name:?}; there are {}", claim_names())]
    Claim {
        /// As written.
        name: String,
    },
    /// A text that no certificate can have.
    #[error("the text has a control character, or more than {MAX_TEXT_BYTES} bytes")]
    Control,
    /// Nothing to compare with: it would believe anybody (R76, COS-29).
    #[error("the text is empty")]
    Empty,
    /// Neither of two members.
    #[error("`{exact}` or `{pattern}` is needed: an identity is an issuer and a subject")]
    Missing {
        /// For equality.
        exact: &'static str,
        /// For a regular expression.
        pattern: &'static str,
    },
    /// Not a regular expression, or one that costs too much.
    #[error("{pattern:?} is no regular expression that can be used: {why}")]
    Pattern {
        /// As written.
        pattern: String,
        /// Why not.
        why: String,
    },
}

fn claim_names() -> String {
    Claim::ALL.iter().map(|claim| claim.as_str()).collect::<Vec<_>>().join(", ")
}

/// One element of `identities`, checked.
#[derive(Debug, Clone)]
pub struct Identity {
    issuer: Matcher,
    subject: Matcher,
    claims: BTreeMap<Claim, String>,
}

/// Whose authorities issued the certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authorities {
    /// A Sigstore instance's: a certificate without an issuer names nobody.
    Instance,
    /// The operator's own (`caRoots`), which know no token issuer: an absent issuer is the empty text.
    Own,
}

/// A text that is compared, or a regular expression that matches it whole.
#[derive(Debug, Clone)]
enum Matcher {
    Equal(String),
    Whole { pattern: String, regex: Regex },
}

impl Matcher {
    fn read(
        exact: (&'static str, Option<&String>),
        pattern: (&'static str, Option<&String>),
    ) -> Result<Self, (&'static str, IdentityFault)> {
        match (exact, pattern) {
            ((exact, Some(_)), (member, Some(_))) => Err((member, IdentityFault::Both { exact, pattern: member })),
            ((member, None), (pattern, None)) => Err((member, IdentityFault::Missing { exact: member, pattern })),
            ((member, Some(text)), (_, None)) => Self::equal(text).map_err(|fault| (member, fault)),
            ((_, None), (member, Some(pattern))) => Self::whole(pattern).map_err(|fault| (member, fault)),
        }
    }

    fn equal(text: &str) -> Result<Self, IdentityFault> {
        check_text(text).map(|()| Self::Equal(text.to_owned()))
    }

    fn whole(pattern: &str) -> Result<Self, IdentityFault> {
        if pattern.is_empty() {
            return Err(IdentityFault::Empty);
        }
        let refused = |why: String| IdentityFault::Pattern { pattern: pattern.to_owned(), why };
        if pattern.len() > MAX_PATTERN_BYTES {
            return Err(refused(format!("it has {} bytes, the limit is {MAX_PATTERN_BYTES}", pattern.len())));
        }
        let build = |text: &str| {
            let built = RegexBuilder::new(text).size_limit(MAX_COMPILED_BYTES).build();
            // The message draws the expression over several lines; its last says what is wrong.
            built.map_err(|error| refused(error.to_string().lines().last().unwrap_or_default().trim().to_owned()))
        };
        // By itself first: `a)|(?:b` would otherwise step out of the group, and match parts.
        build(pattern)?;
        // `\A` and `\z` mean the text's ends under any flag; `^` and `$` may mean those of a line.
        let regex = build(&format!(r"\A(?:{pattern})\z"))?;
        Ok(Self::Whole { pattern: pattern.to_owned(), regex })
    }

    fn matches(&self, text: &str) -> bool {
        // COS-27: `[^/]*` would match a line feed.
        if text.len() > MAX_TEXT_BYTES || text.chars().any(char::is_control) {
            return false;
        }
        match self {
            Self::Equal(expected) => expected == text,
            Self::Whole { regex, .. } => regex.is_match(text),
        }
    }

    fn matches_anything(&self) -> bool {
        match self {
            Self::Equal(_) => false,
            Self::Whole { regex, .. } => PROBES.iter().all(|probe| regex.is_match(probe)),
        }
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equal(text) => write!(f, "{:?}", printable(text, MAX_SHOWN_BYTES)),
            Self::Whole { pattern, .. } => write!(f, "matching `{}`", printable(pattern, MAX_SHOWN_BYTES)),
        }
    }
}

fn check_text(text: &str) -> Result<(), IdentityFault> {
    if text.is_empty() {
        Err(IdentityFault::Empty)
    } else if text.len() > MAX_TEXT_BYTES || text.chars().any(char::is_control) {
        Err(IdentityFault::Control)
    } else {
        Ok(())
    }
}

impl Identity {
    /// Checks what is written, and compiles its expressions.
    ///
    /// # Errors
    /// Every fault, each with its member: `issuer`, `claims.NAME`, …
    pub fn compile(config: &IdentityConfig) -> Result<Self, Vec<(String, IdentityFault)>> {
        let IdentityConfig { issuer, issuer_reg_exp, subject, subject_reg_exp, claims } = config;
        let mut faults = Vec::new();
        let mut keep = |read: Result<Matcher, (&'static str, IdentityFault)>| {
            read.map_err(|(member, fault)| faults.push((member.to_owned(), fault))).ok()
        };
        let issuer = keep(Matcher::read(("issuer", issuer.as_ref()), ("issuerRegExp", issuer_reg_exp.as_ref())));
        let subject = keep(Matcher::read(("subject", subject.as_ref()), ("subjectRegExp", subject_reg_exp.as_ref())));
        let mut wanted = BTreeMap::new();
        for (name, value) in claims {
            let read = Claim::from_name(name).ok_or_else(|| IdentityFault::Claim { name: name.clone() });
            match read.and_then(|claim| check_text(value).map(|()| claim)) {
                Ok(claim) => drop(wanted.insert(claim, value.clone())),
                Err(fault) => faults.push((format!("claims.{name}"), fault)),
            }
        }
        match (issuer, subject) {
            (Some(issuer), Some(subject)) if faults.is_empty() => Ok(Self { issuer, subject, claims: wanted }),
            _ => Err(faults),
        }
    }

    /// Compares a certificate's issuer, subject and claims.
    ///
    /// # Errors
    /// [`Mismatch`]: everything that differs.
    pub fn check(
        &self,
        authorities: Authorities,
        issuer: Option<&str>,
        subject: &str,
        claims: &Claims,
    ) -> Result<(), Mismatch> {
        let known = match authorities {
            Authorities::Instance => issuer,
            Authorities::Own => Some(issuer.unwrap_or_default()),
        };
        let mut differences = Vec::new();
        if !known.is_some_and(|issuer| self.issuer.matches(issuer)) {
            differences.push(Difference { what: What::Issuer, found: None, expected: self.issuer.to_string() });
        }
        if !self.subject.matches(subject) {
            differences.push(Difference { what: What::Subject, found: None, expected: self.subject.to_string() });
        }
        for (name, expected) in &self.claims {
            let found = claims.get(*name);
            if found != Some(expected.as_str()) {
                let found = Some(found.map_or_else(|| "absent".to_owned(), shown));
                differences.push(Difference { what: What::Claim(*name), found, expected: shown(expected) });
            }
        }
        if differences.is_empty() {
            return Ok(());
        }
        let issuer = issuer.map_or_else(|| "no issuer".to_owned(), |issuer| format!("issuer {}", shown(issuer)));
        Err(Mismatch { signer: shown(subject), issuer, differences, others: 0 })
    }

    /// The expressions of it that match any text (COS-29): `issuerRegExp`, `subjectRegExp`.
    pub fn open_members(&self) -> Vec<&'static str> {
        let members = [("issuerRegExp", &self.issuer), ("subjectRegExp", &self.subject)];
        members.into_iter().filter(|(_, matcher)| matcher.matches_anything()).map(|(member, _)| member).collect()
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { issuer, subject, claims } = self;
        write!(f, "subject {subject} of issuer {issuer}")?;
        claims.iter().try_for_each(|(name, value)| write!(f, " with {} {}", name.as_str(), shown(value)))
    }
}

fn shown(text: &str) -> String {
    format!("{:?}", printable(text, MAX_SHOWN_BYTES))
}

/// Any of `identities`: the first that is the certificate's.
///
/// # Errors
/// The [`Mismatch`] of the nearest: where issuer and subject differ least, then the claims.
pub fn nearest<'a>(
    identities: &'a [Identity],
    authorities: Authorities,
    issuer: Option<&str>,
    subject: &str,
    claims: &Claims,
) -> Result<&'a Identity, Mismatch> {
    let mut nearest: Option<Mismatch> = None;
    for identity in identities {
        match identity.check(authorities, issuer, subject, claims) {
            Ok(()) => return Ok(identity),
            Err(mismatch) => {
                if nearest.as_ref().is_none_or(|known| mismatch.distance() < known.distance()) {
                    nearest = Some(mismatch);
                }
            }
        }
    }
    let others = identities.len().saturating_sub(1);
    Err(match nearest {
        Some(mismatch) => Mismatch { others, ..mismatch },
        None => Mismatch { signer: shown(subject), issuer: "whoever".to_owned(), differences: Vec::new(), others: 0 },
    })
}

/// How a certificate differs from an identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("signed by {signer} of {issuer}, expected {}{}", listed(differences), more(*others))]
pub struct Mismatch {
    signer: String,
    issuer: String,
    differences: Vec<Difference>,
    others: usize,
}

impl Mismatch {
    /// Issuer and subject, then claims.
    fn distance(&self) -> (usize, usize) {
        let claims = self.differences.iter().filter(|difference| matches!(difference.what, What::Claim(_))).count();
        (self.differences.len().saturating_sub(claims), claims)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Difference {
    what: What,
    /// What the certificate has, where the message has not said it yet.
    found: Option<String>,
    expected: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Claim(Claim),
    Issuer,
    Subject,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.what {
            What::Claim(claim) => claim.as_str(),
            What::Issuer => "issuer",
            What::Subject => "subject",
        };
        write!(f, "{name} {}", self.expected)?;
        self.found.iter().try_for_each(|found| write!(f, " (it is {found})"))
    }
}

fn listed(differences: &[Difference]) -> String {
    if differences.is_empty() {
        return "nobody: no identity is trusted".to_owned();
    }
    differences.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

fn more(others: usize) -> String {
    match others {
        0 => String::new(),
        1 => ", or another identity".to_owned(),
        _ => format!(", or one of {others} other identities"),
    }
}

#[cfg(test)]
mod tests;
