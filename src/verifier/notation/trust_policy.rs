//! Trust policy documents: which repositories, which level, which stores, which identities.
//!
//! ```text
//! trustpolicy.json ──parse──► TrustPolicyDocument ──select(repository)──► Statement
//!                                                                           ├─ Skip: a waiver
//!                                                                           └─ Checked: actions, stores, identities
//! ```
//!
//! Rule: Notary Project trust store and trust policy specification v1.1.0. A document with any fault is refused whole.

use std::collections::HashMap;

use serde_json::Value;

use super::{
    identity::{Identity, SubjectAttributes},
    level::Actions,
};
use crate::{json, oci::Repository};

mod fault;
mod read;
mod scope;
mod trust;

pub use fault::{PolicyFault, PolicyFaultKind};

/// Largest document that is read. Notation's own examples have less than 2 KiB; this is room for thousands of scopes.
pub const MAX_DOCUMENT_BYTES: u64 = 1024 * 1024;

/// A valid trust policy document for OCI artifacts.
#[derive(Debug, Clone)]
pub struct TrustPolicyDocument {
    statements: Vec<Statement>,
    by_scope: HashMap<String, usize>,
    any: Option<usize>,
}

/// One statement of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Unique in the document.
    pub name: String,
    /// What it asks for.
    pub verification: Verification,
}

/// What a statement asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// Signatures are verified so.
    Checked(Checked),
    /// Level `skip`: the operator waives verification for the named scopes.
    Skip,
}

/// How signatures are verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// What each failed validation does.
    pub actions: Actions,
    /// When a timestamp must be there, if a `tsa` store is named.
    pub verify_timestamp: VerifyTimestamp,
    /// The stores, in the policy's order, without repetition.
    pub stores: Vec<StoreName>,
    /// Who is trusted.
    pub identities: Identities,
}

impl Checked {
    /// The stores of one type.
    pub fn stores_of(&self, store_type: StoreType) -> impl Iterator<Item = &StoreName> {
        self.stores.iter().filter(move |store| store.store_type == store_type)
    }
}

/// When a timestamp countersignature is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifyTimestamp {
    /// Only where a certificate of the chain has expired.
    AfterCertExpiry,
    /// Always.
    Always,
}

/// Who is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identities {
    /// `*`: whoever a trust store vouches for.
    Any,
    /// These `x509.subject` names. May be empty, where a policy has only identities of other types: then nobody is.
    Named(Vec<Identity>),
}

impl Identities {
    /// Whether a leaf is trusted; `subject` is `None` where only `*` may match it.
    pub fn has(&self, subject: Option<&SubjectAttributes>) -> bool {
        match self {
            Self::Any => true,
            Self::Named(identities) => {
                subject.is_some_and(|subject| identities.iter().any(|identity| identity.is_part_of(subject)))
            }
        }
    }
}

/// A kind of trust store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StoreType {
    /// For the scheme `notary.x509`.
    Ca,
    /// For the scheme `notary.x509.signingAuthority`.
    SigningAuthority,
    /// For timestamp authorities.
    Tsa,
}

impl StoreType {
    /// The exact spelling, in policies and directories.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ca => "ca",
            Self::SigningAuthority => "signingAuthority",
            Self::Tsa => "tsa",
        }
    }

    /// Reads the exact spelling.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Ca, Self::SigningAuthority, Self::Tsa].into_iter().find(|store_type| store_type.as_str() == text)
    }
}

/// A trust store as a policy names it: `type:name`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreName {
    /// Its type.
    pub store_type: StoreType,
    /// Its name: letters, digits, `_`, `.`, `-`, and neither `.` nor `..`.
    pub name: String,
}

impl StoreName {
    /// Whether `name` may name a store; such a name is one path component.
    pub fn is_name(name: &str) -> bool {
        !matches!(name, "" | "." | "..")
            && name.len() <= 255
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
    }
}

impl std::fmt::Display for StoreName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.store_type.as_str(), self.name)
    }
}

impl TrustPolicyDocument {
    /// Reads a `trustpolicy.json`.
    ///
    /// # Errors
    /// All faults that were found: of its form, or of the rules.
    pub fn parse(bytes: &[u8]) -> Result<Self, Vec<PolicyFault>> {
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if size > MAX_DOCUMENT_BYTES {
            let kind = PolicyFaultKind::TooMany { what: "bytes", count: bytes.len(), limit: 1024 * 1024 };
            return Err(vec![PolicyFault { path: String::new(), kind }]);
        }
        match json::parse(bytes, json::DOCUMENT_DEPTH) {
            Ok(document) => read::document(&document),
            Err(source) => Err(vec![PolicyFault { path: String::new(), kind: PolicyFaultKind::Json(source) }]),
        }
    }

    /// Reads statements that a configuration holds inline: the content of the document's `trustPolicies`.
    ///
    /// # Errors
    /// As [`TrustPolicyDocument::parse`].
    pub fn from_statements(statements: &[Value]) -> Result<Self, Vec<PolicyFault>> {
        read::statements(statements)
    }

    /// Each statement, in the document's order.
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// Every scope but `*`, in no order.
    pub fn exact_scopes(&self) -> impl Iterator<Item = &str> {
        self.by_scope.keys().map(String::as_str)
    }

    /// The stores that statements name; one may come more than once.
    pub fn store_names(&self) -> impl Iterator<Item = &StoreName> {
        self.statements.iter().flat_map(|statement| match &statement.verification {
            Verification::Checked(checked) => checked.stores.as_slice(),
            Verification::Skip => &[],
        })
    }

    /// The statement that applies to a repository: an exact scope before `*`.
    ///
    /// Rule: trust policy specification, "Selecting a trust policy based on artifact URI". A scope equals the whole
    /// canonical `registry/path`; it is no prefix, no pattern, and case counts.
    pub fn select(&self, repository: &Repository) -> Option<&Statement> {
        let index = self.by_scope.get(&repository.to_string()).copied().or(self.any)?;
        self.statements.get(index)
    }
}

#[cfg(test)]
mod tests;
