//! What a Fulcio certificate says beside subject and issuer: the run that signed, by the extensions `1.3.6.1.4.1.57264.1.N`.
//!
//! Rule: sigstore/fulcio `docs/oid-info.md`; `sigstore.md` §2.4.

use std::{collections::BTreeMap, fmt};

use der::asn1::ObjectIdentifier;

macro_rules! claims {
    ($($name:ident = $text:literal, $oid:literal, $encoding:ident, $meaning:literal;)*) => {
        /// A claim of a Fulcio certificate, in the order of its OID.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Claim {
            $(#[doc = $meaning] $name,)*
        }

        impl Claim {
            /// All claims.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name in configuration and reports.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The extension that carries it.
            pub const fn oid(self) -> ObjectIdentifier {
                match self { $(Self::$name => ObjectIdentifier::new_unwrap($oid),)* }
            }

            pub(super) const fn encoding(self) -> Encoding {
                match self { $(Self::$name => Encoding::$encoding,)* }
            }
        }
    };
}

/// How an extension's value holds its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// The bytes themselves: the extensions of Fulcio's first years.
    Raw,
    /// A DER `UTF8String`.
    Utf8String,
}

claims! {
    GithubWorkflowTrigger = "githubWorkflowTrigger", "1.3.6.1.4.1.57264.1.2", Raw, "The event that started a GitHub workflow (deprecated).";
    GithubWorkflowSha = "githubWorkflowSha", "1.3.6.1.4.1.57264.1.3", Raw, "The commit that a GitHub workflow ran on (deprecated).";
    GithubWorkflowName = "githubWorkflowName", "1.3.6.1.4.1.57264.1.4", Raw, "A GitHub workflow's name (deprecated).";
    GithubWorkflowRepository = "githubWorkflowRepository", "1.3.6.1.4.1.57264.1.5", Raw, "`owner/name` of a GitHub workflow's repository (deprecated).";
    GithubWorkflowRef = "githubWorkflowRef", "1.3.6.1.4.1.57264.1.6", Raw, "The git ref that a GitHub workflow ran on (deprecated).";
    BuildSignerUri = "buildSignerUri", "1.3.6.1.4.1.57264.1.9", Utf8String, "The build instructions that signed, e.g. a reusable workflow.";
    BuildSignerDigest = "buildSignerDigest", "1.3.6.1.4.1.57264.1.10", Utf8String, "The version of those instructions.";
    RunnerEnvironment = "runnerEnvironment", "1.3.6.1.4.1.57264.1.11", Utf8String, "`github-hosted` or `self-hosted`.";
    SourceRepositoryUri = "sourceRepositoryUri", "1.3.6.1.4.1.57264.1.12", Utf8String, "The repository that was built.";
    SourceRepositoryDigest = "sourceRepositoryDigest", "1.3.6.1.4.1.57264.1.13", Utf8String, "The commit that was built.";
    SourceRepositoryRef = "sourceRepositoryRef", "1.3.6.1.4.1.57264.1.14", Utf8String, "The git ref that was built.";
    SourceRepositoryIdentifier = "sourceRepositoryIdentifier", "1.3.6.1.4.1.57264.1.15", Utf8String, "The repository's immutable identifier.";
    SourceRepositoryOwnerUri = "sourceRepositoryOwnerUri", "1.3.6.1.4.1.57264.1.16", Utf8String, "The repository's owner.";
    SourceRepositoryOwnerIdentifier = "sourceRepositoryOwnerIdentifier", "1.3.6.1.4.1.57264.1.17", Utf8String, "The owner's immutable identifier.";
    BuildConfigUri = "buildConfigUri", "1.3.6.1.4.1.57264.1.18", Utf8String, "The build's top-level instructions.";
    BuildConfigDigest = "buildConfigDigest", "1.3.6.1.4.1.57264.1.19", Utf8String, "The version of those instructions.";
    BuildTrigger = "buildTrigger", "1.3.6.1.4.1.57264.1.20", Utf8String, "The event that started the build.";
    RunInvocationUri = "runInvocationUri", "1.3.6.1.4.1.57264.1.21", Utf8String, "The run that signed.";
    SourceRepositoryVisibilityAtSigning = "sourceRepositoryVisibilityAtSigning", "1.3.6.1.4.1.57264.1.22", Utf8String, "Whether the repository was public or private when it signed.";
    DeploymentEnvironment = "deploymentEnvironment", "1.3.6.1.4.1.57264.1.23", Utf8String, "The environment that the run deployed to.";
    TokenSubject = "tokenSubject", "1.3.6.1.4.1.57264.1.24", Utf8String, "`sub` of the identity token.";
}

impl Claim {
    /// The claim of this name; names are case-sensitive.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|claim| claim.as_str() == name)
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The claims of one certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims(BTreeMap<Claim, String>);

impl Claims {
    /// What the certificate claims; `None`: nothing.
    pub fn get(&self, claim: Claim) -> Option<&str> {
        self.0.get(&claim).map(String::as_str)
    }

    /// All that it claims, in the order of [`Claim`].
    pub fn iter(&self) -> impl Iterator<Item = (Claim, &str)> {
        self.0.iter().map(|(claim, text)| (*claim, text.as_str()))
    }

    /// Whether it claims nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(Claim, String)> for Claims {
    fn from_iter<I: IntoIterator<Item = (Claim, String)>>(claims: I) -> Self {
        Self(claims.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_claim_has_one_name_and_one_extension() {
        let mut arcs: Vec<u32> = Vec::new();
        for claim in Claim::ALL {
            assert_eq!(Claim::from_name(claim.as_str()), Some(*claim));
            arcs.push(claim.oid().arcs().last().unwrap());
            assert!(claim.oid().to_string().starts_with("1.3.6.1.4.1.57264.1."), "{claim}");
        }
        // 1 and 8 are the issuer, 7 is a kind of subject name.
        assert_eq!(arcs, (2..=6).chain(9..=24).collect::<Vec<_>>());
        for name in ["", "GithubWorkflowRef", "githubworkflowref", "githubWorkflowRef ", "issuer"] {
            assert_eq!(Claim::from_name(name), None, "{name}");
        }
    }
}
