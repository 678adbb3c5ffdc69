//! What can be wrong with a trust policy document: one variant a rule.

use std::{error::Error, fmt};

use crate::{
    json::JsonError,
    verifier::notation::{identity::IdentityError, level::Validation},
};

/// A fault of a trust policy document: where, and what.
#[derive(Debug)]
pub struct PolicyFault {
    /// Where in the document: `trustPolicies[0].registryScopes[1]`; empty for the whole.
    pub path: String,
    /// Which rule it breaks.
    pub kind: PolicyFaultKind,
}

impl fmt::Display for PolicyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

/// The place is not said: who prints it stands it in front.
impl Error for PolicyFault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.kind.source()
    }
}

impl PolicyFault {
    /// The stable name of the rule.
    pub const fn code(&self) -> &'static str {
        self.kind.code()
    }
}

/// Which rule a document breaks. Names in quotation marks are the document's own. The numbers are the rows of the
/// project's list of rules.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyFaultKind {
    /// Row 1.
    #[error("`version` is missing")]
    VersionMissing,
    /// Row 2.
    #[error("`version` is {version:?}, only \"1.0\" is supported")]
    VersionUnsupported {
        /// What it says.
        version: String,
    },
    /// Row 3.
    #[error("`trustPolicies` has no statement")]
    StatementsMissing,
    /// Row 4.
    #[error("two statements have the name {name:?}")]
    NameRepeated {
        /// The name.
        name: String,
    },
    /// Row 5.
    #[error("statement {index} has no name")]
    NameMissing {
        /// Which statement, from 0.
        index: usize,
    },
    /// Row 6.
    #[error("statement {statement:?} has no verification level")]
    LevelMissing {
        /// Which statement.
        statement: String,
    },
    /// Row 7.
    #[error("statement {statement:?} has level {level:?}, which is none of strict, permissive, audit, skip")]
    LevelUnknown {
        /// Which statement.
        statement: String,
        /// What it says.
        level: String,
    },
    /// Row 8.
    #[error("statement {statement:?} has level skip and `override`")]
    OverrideOfSkip {
        /// Which statement.
        statement: String,
    },
    /// Row 9.
    #[error(
        "statement {statement:?} overrides {validation:?}, which is none of integrity, authenticity, authenticTimestamp, expiry, revocation"
    )]
    OverrideUnknown {
        /// Which statement.
        statement: String,
        /// What it says.
        validation: String,
    },
    /// Row 10.
    #[error("statement {statement:?} overrides with action {action:?}, which is none of enforce, log, skip")]
    OverrideAction {
        /// Which statement.
        statement: String,
        /// What it says.
        action: String,
    },
    /// Row 11.
    #[error("statement {statement:?} overrides integrity, which is always enforced")]
    OverrideIntegrity {
        /// Which statement.
        statement: String,
    },
    /// Row 12.
    #[error("statement {statement:?} skips {validation}, only revocation may be skipped")]
    OverrideToSkip {
        /// Which statement.
        statement: String,
        /// Which validation.
        validation: Validation,
    },
    /// Row 13.
    #[error("statement {statement:?} has verifyTimestamp {value:?}, which is neither always nor afterCertExpiry")]
    VerifyTimestamp {
        /// Which statement.
        statement: String,
        /// What it says.
        value: String,
    },
    /// Row 14.
    #[error("statement {statement:?} has level skip, and trust stores or trusted identities beside it")]
    SkipWithTrust {
        /// Which statement.
        statement: String,
    },
    /// Row 15.
    #[error("statement {statement:?} has no {member}")]
    TrustMissing {
        /// Which statement.
        statement: String,
        /// Which of the two.
        member: &'static str,
    },
    /// Row 16.
    #[error("statement {statement:?} names trust store {value:?} without a type, as in ca:name")]
    StoreWithoutType {
        /// Which statement.
        statement: String,
        /// As written.
        value: String,
    },
    /// Row 17.
    #[error(
        "statement {statement:?} names trust store {value:?} of type {store_type:?}, which is none of ca, signingAuthority, tsa"
    )]
    StoreTypeUnknown {
        /// Which statement.
        statement: String,
        /// The type.
        store_type: String,
        /// As written.
        value: String,
    },
    /// Row 18.
    #[error(
        "statement {statement:?} names trust store {value:?}, whose name {name:?} is not of letters, digits, '_', '.', '-'"
    )]
    StoreName {
        /// Which statement.
        statement: String,
        /// The name.
        name: String,
        /// As written.
        value: String,
    },
    /// Row 19.
    #[error("statement {statement:?} trusts identity \"*\" and others beside it")]
    IdentityAnyWithOthers {
        /// Which statement.
        statement: String,
    },
    /// Row 20.
    #[error("statement {statement:?} has an empty trusted identity")]
    IdentityEmpty {
        /// Which statement.
        statement: String,
    },
    /// Row 21.
    #[error("statement {statement:?} has trusted identity {value:?} without a type, as in x509.subject:")]
    IdentityWithoutType {
        /// Which statement.
        statement: String,
        /// As written.
        value: String,
    },
    /// Row 22.
    #[error("statement {statement:?} has trusted identity {value:?} without a value")]
    IdentityWithoutValue {
        /// Which statement.
        statement: String,
        /// As written.
        value: String,
    },
    /// Row 23.
    #[error("statement {statement:?} has trusted identity {identity:?}, which cannot be trusted")]
    IdentityName {
        /// Which statement.
        statement: String,
        /// As written.
        identity: String,
        /// What is wrong.
        #[source]
        source: IdentityError,
    },
    /// Row 24.
    #[error("statement {statement:?} has trusted identities {first:?} and {second:?}, which overlap")]
    IdentitiesOverlap {
        /// Which statement.
        statement: String,
        /// One of the two.
        first: String,
        /// The other.
        second: String,
    },
    /// Row 25.
    #[error("statement {statement:?} has no registry scope")]
    ScopesMissing {
        /// Which statement.
        statement: String,
    },
    /// Row 26.
    #[error("statement {statement:?} has scope \"*\" and others beside it")]
    ScopeAnyWithOthers {
        /// Which statement.
        statement: String,
    },
    /// Row 27.
    #[error("statement {statement:?} has scope {scope:?}, which is no registry/repository: no scheme, tag or digest")]
    ScopeMalformed {
        /// Which statement.
        statement: String,
        /// As written.
        scope: String,
    },
    /// ENV-34.
    #[error(
        "statement {statement:?} has scope {scope:?}, which would never match: write docker.io/library/NAME in full"
    )]
    ScopeShort {
        /// Which statement.
        statement: String,
        /// As written.
        scope: String,
    },
    /// Row 28.
    #[error("statement {statement:?} has scope {scope:?}: \"*\" stands alone or not at all")]
    ScopeWildcard {
        /// Which statement.
        statement: String,
        /// As written.
        scope: String,
    },
    /// Row 29.
    #[error("scope {scope:?} stands in statement {first:?} and again in {second:?}")]
    ScopeRepeated {
        /// The statement that has it first.
        first: String,
        /// As written.
        scope: String,
        /// The statement that repeats it.
        second: String,
    },
    /// Rows 30 and 31: policies for blobs have rules of their own, and are not for images.
    #[error(
        "statement {statement:?} has `globalPolicy`, which belongs to policies for blobs: use notation's trustpolicy.oci.json"
    )]
    BlobPolicy {
        /// Which statement.
        statement: String,
    },
    /// Row 32.
    #[error("statement {statement:?} has level skip on scope \"*\": skip is for named scopes only")]
    SkipEverywhere {
        /// Which statement.
        statement: String,
    },
    /// Strict reading, D21.
    #[error("document is not readable")]
    Json(#[source] JsonError),
    /// Strict reading, D21.
    #[error("value is not {expected}")]
    MemberType {
        /// What belongs there.
        expected: &'static str,
    },
    /// Strict reading, D21.
    #[error("member {member:?} is unknown")]
    MemberUnknown {
        /// Which one.
        member: String,
    },
    /// A bound (CFG-14).
    #[error("{count} {what}, the limit is {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many may be.
        limit: usize,
    },
}

impl PolicyFaultKind {
    /// The stable name of the rule.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::VersionMissing => "version-missing",
            Self::VersionUnsupported { .. } => "version-unsupported",
            Self::StatementsMissing => "statements-missing",
            Self::NameRepeated { .. } => "name-repeated",
            Self::NameMissing { .. } => "name-missing",
            Self::LevelMissing { .. } => "level-missing",
            Self::LevelUnknown { .. } => "level-unknown",
            Self::OverrideOfSkip { .. } => "override-of-skip",
            Self::OverrideUnknown { .. } => "override-unknown",
            Self::OverrideAction { .. } => "override-action",
            Self::OverrideIntegrity { .. } => "override-integrity",
            Self::OverrideToSkip { .. } => "override-to-skip",
            Self::VerifyTimestamp { .. } => "verify-timestamp",
            Self::SkipWithTrust { .. } => "skip-with-trust",
            Self::TrustMissing { .. } => "trust-missing",
            Self::StoreWithoutType { .. } => "store-without-type",
            Self::StoreTypeUnknown { .. } => "store-type-unknown",
            Self::StoreName { .. } => "store-name",
            Self::IdentityAnyWithOthers { .. } => "identity-any-with-others",
            Self::IdentityEmpty { .. } => "identity-empty",
            Self::IdentityWithoutType { .. } => "identity-without-type",
            Self::IdentityWithoutValue { .. } => "identity-without-value",
            Self::IdentityName { .. } => "identity-name",
            Self::IdentitiesOverlap { .. } => "identities-overlap",
            Self::ScopesMissing { .. } => "scopes-missing",
            Self::ScopeAnyWithOthers { .. } => "scope-any-with-others",
            Self::ScopeMalformed { .. } => "scope-malformed",
            Self::ScopeShort { .. } => "scope-short",
            Self::ScopeWildcard { .. } => "scope-wildcard",
            Self::ScopeRepeated { .. } => "scope-repeated",
            Self::BlobPolicy { .. } => "blob-policy",
            Self::SkipEverywhere { .. } => "skip-everywhere",
            Self::Json(_) => "json",
            Self::MemberType { .. } => "member-type",
            Self::MemberUnknown { .. } => "member-unknown",
            Self::TooMany { .. } => "too-many",
        }
    }
}
