//! Verification levels: which validation is enforced, which is only logged.
//!
//! Rule: Notary Project trust store and trust policy specification v1.1.0, "Signature verification details".

use std::fmt;

/// A validation that a trust policy can speak about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Validation {
    /// Certificates were valid when it was signed.
    AuthenticTimestamp,
    /// The signer is trusted.
    Authenticity,
    /// The signature has not expired.
    Expiry,
    /// The envelope is whole.
    Integrity,
    /// No certificate is revoked.
    Revocation,
}

impl Validation {
    /// All of them, as a policy spells them.
    pub const NAMES: &'static str = "integrity, authenticity, authenticTimestamp, expiry, revocation";

    /// Reads the exact spelling.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "authenticTimestamp" => Some(Self::AuthenticTimestamp),
            "authenticity" => Some(Self::Authenticity),
            "expiry" => Some(Self::Expiry),
            "integrity" => Some(Self::Integrity),
            "revocation" => Some(Self::Revocation),
            _ => None,
        }
    }

    /// The exact spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthenticTimestamp => "authenticTimestamp",
            Self::Authenticity => "authenticity",
            Self::Expiry => "expiry",
            Self::Integrity => "integrity",
            Self::Revocation => "revocation",
        }
    }
}

impl fmt::Display for Validation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a failed validation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// It ends this signature.
    Enforce,
    /// It is recorded; the next validation follows.
    Log,
    /// The validation is not made.
    Skip,
}

impl Action {
    /// Reads the exact spelling.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "enforce" => Some(Self::Enforce),
            "log" => Some(Self::Log),
            "skip" => Some(Self::Skip),
            _ => None,
        }
    }

    /// The exact spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Log => "log",
            Self::Skip => "skip",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A level as a policy names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// Only integrity is enforced.
    Audit,
    /// Integrity and authenticity are enforced.
    Permissive,
    /// Nothing is verified.
    Skip,
    /// Everything is enforced.
    Strict,
}

impl Level {
    /// Reads the exact spelling.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "audit" => Some(Self::Audit),
            "permissive" => Some(Self::Permissive),
            "skip" => Some(Self::Skip),
            "strict" => Some(Self::Strict),
            _ => None,
        }
    }
}

/// What each validation's failure does. Integrity has no field: it is always enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actions {
    authentic_timestamp: Action,
    authenticity: Action,
    expiry: Action,
    revocation: Action,
}

impl Actions {
    /// The actions of a level; `None` for `skip`, which has none.
    pub const fn of(level: Level) -> Option<Self> {
        let (authenticity, others) = match level {
            Level::Audit => (Action::Log, Action::Log),
            Level::Permissive => (Action::Enforce, Action::Log),
            Level::Skip => return None,
            Level::Strict => (Action::Enforce, Action::Enforce),
        };
        Some(Self { authentic_timestamp: others, authenticity, expiry: others, revocation: others })
    }

    /// These actions with one of them overridden; `None` where the specification allows no such override: integrity is
    /// never overridden, and only revocation may be skipped.
    #[must_use]
    pub const fn with(mut self, validation: Validation, action: Action) -> Option<Self> {
        let slot = match (validation, action) {
            (Validation::Integrity, _)
            | (Validation::AuthenticTimestamp | Validation::Authenticity | Validation::Expiry, Action::Skip) => {
                return None;
            }
            (Validation::AuthenticTimestamp, _) => &mut self.authentic_timestamp,
            (Validation::Authenticity, _) => &mut self.authenticity,
            (Validation::Expiry, _) => &mut self.expiry,
            (Validation::Revocation, _) => &mut self.revocation,
        };
        *slot = action;
        Some(self)
    }

    /// What a failure of `validation` does.
    pub const fn action(&self, validation: Validation) -> Action {
        match validation {
            Validation::AuthenticTimestamp => self.authentic_timestamp,
            Validation::Authenticity => self.authenticity,
            Validation::Expiry => self.expiry,
            Validation::Integrity => Action::Enforce,
            Validation::Revocation => self.revocation,
        }
    }

    /// Whether everything is enforced.
    pub fn is_strict(&self) -> bool {
        Some(*self) == Self::of(Level::Strict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: [Validation; 5] = [
        Validation::Integrity,
        Validation::Authenticity,
        Validation::AuthenticTimestamp,
        Validation::Expiry,
        Validation::Revocation,
    ];

    // item 51
    #[test]
    fn levels_give_the_actions_of_the_specification() {
        use Action::{Enforce, Log};
        for (level, actions) in [
            (Level::Strict, [Enforce; 5]),
            (Level::Permissive, [Enforce, Enforce, Log, Log, Log]),
            (Level::Audit, [Enforce, Log, Log, Log, Log]),
        ] {
            let found = Actions::of(level).unwrap();
            assert_eq!(ORDER.map(|validation| found.action(validation)), actions, "{level:?}");
        }
        assert_eq!(Actions::of(Level::Skip), None);
    }

    // item 51, item 52
    #[test]
    fn an_override_changes_its_validation_and_no_other() {
        for level in [Level::Strict, Level::Permissive, Level::Audit] {
            let base = Actions::of(level).unwrap();
            for validation in ORDER {
                for action in [Action::Enforce, Action::Log, Action::Skip] {
                    let allowed = validation != Validation::Integrity
                        && (action != Action::Skip || validation == Validation::Revocation);
                    let found = base.with(validation, action);
                    assert_eq!(found.is_some(), allowed, "{level:?} {validation} {action}");
                    let Some(found) = found else { continue };
                    for other in ORDER {
                        let expected = if other == validation { action } else { base.action(other) };
                        assert_eq!(found.action(other), expected, "{level:?} {validation} {action} {other}");
                    }
                }
            }
        }
    }
}
