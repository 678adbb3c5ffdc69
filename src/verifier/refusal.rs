//! Why there is no yes: a final no, or no answer; and what a program that is not ours says of it.

use std::{error::Error, fmt, sync::Arc};

use serde_json::{Map, Value};

use crate::{
    reason::{self, Class, Code},
    store::StoreError,
    verifier::Check,
};

/// What a program that is not ours says beside a no or a don't know: for the report, never for logs. Escaped and bounded by
/// whoever made it.
#[derive(Clone, Default, PartialEq)]
pub struct Told {
    /// In words.
    pub message: Option<String>,
    /// What the reader can do.
    pub remediation: Option<String>,
    /// What the report shows beside it.
    pub extensions: Map<String, Value>,
}

impl fmt::Debug for Told {
    /// Its words may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told").finish_non_exhaustive()
    }
}

/// A final no.
#[derive(Debug, Clone)]
pub struct Rejection {
    check: Check,
    code: Code,
    reason: String,
    told: Option<Arc<Told>>,
}

impl Rejection {
    /// A no with a reason in words (without `check` and `code`, which are printed beside it). They are escaped and bounded: they
    /// may repeat what a stranger wrote.
    pub fn new(check: Check, code: Code, reason: impl Into<String>) -> Self {
        Self { check, code, reason: reason::printable(&reason.into(), reason::MAX_REASON_BYTES), told: None }
    }

    /// The same, with what somebody else says of it.
    #[must_use]
    pub fn with_told(self, told: Told) -> Self {
        Self { told: Some(Arc::new(told)), ..self }
    }

    /// A no because of an error of a core; its chain becomes the reason.
    pub fn because(check: Check, code: Code, error: &(dyn Error + 'static)) -> Self {
        Self { check, code, reason: reason::chain(error), told: None }
    }

    /// Which check.
    pub const fn check(&self) -> Check {
        self.check
    }

    /// The stable code.
    pub const fn code(&self) -> Code {
        self.code
    }

    /// The reason in words.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// No answer could be had.
#[derive(Debug, Clone)]
pub struct Undecided {
    code: Code,
    reason: String,
    told: Option<Arc<Told>>,
}

impl Undecided {
    /// `code`: of class [`Class::Undecided`] or [`Class::Broken`].
    pub fn new(code: Code, reason: impl Into<String>) -> Self {
        Self { code, reason: reason::printable(&reason.into(), reason::MAX_REASON_BYTES), told: None }
    }

    /// The same, with what somebody else says of it.
    #[must_use]
    pub fn with_told(self, told: Told) -> Self {
        Self { told: Some(Arc::new(told)), ..self }
    }

    /// The stable code.
    pub const fn code(&self) -> Code {
        self.code
    }

    /// The reason in words.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// Why there is no yes.
#[derive(Debug, Clone)]
pub enum VerifyError {
    /// A final no.
    Rejected(Rejection),
    /// Not an answer.
    Undecided(Undecided),
}

impl VerifyError {
    /// What a store's error means for the artifact whose content was asked for.
    pub fn from_store(check: Check, error: &StoreError) -> Self {
        let (code, reason) = (error.code(), reason::chain(error));
        match code.class() {
            Class::No => Self::Rejected(Rejection::new(check, code, reason)),
            Class::Broken | Class::Undecided | Class::Yes => Self::Undecided(Undecided::new(code, reason)),
        }
    }

    /// The stable code.
    pub const fn code(&self) -> Code {
        match self {
            Self::Rejected(rejection) => rejection.code(),
            Self::Undecided(undecided) => undecided.code(),
        }
    }

    /// The reason in words.
    pub fn reason(&self) -> &str {
        match self {
            Self::Rejected(rejection) => rejection.reason(),
            Self::Undecided(undecided) => undecided.reason(),
        }
    }

    /// What somebody else says of it: a plugin.
    pub fn told(&self) -> Option<&Told> {
        match self {
            Self::Rejected(rejection) => rejection.told.as_deref(),
            Self::Undecided(undecided) => undecided.told.as_deref(),
        }
    }
}

impl From<Undecided> for VerifyError {
    fn from(undecided: Undecided) -> Self {
        Self::Undecided(undecided)
    }
}

impl From<Rejection> for VerifyError {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}
