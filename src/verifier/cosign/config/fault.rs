//! What can be wrong with the configuration of a verifier of this module: one variant a rule.

use std::{error::Error, fmt, io};

use crate::{
    crypto::x509::FileError,
    oci::scope::ScopeError,
    verifier::cosign::{identity::IdentityFault, key::KeyFault, root::RootFault},
};

/// A fault: where, and what. Its display is what; the place is for who prints it.
#[derive(Debug)]
pub struct ConfigFault {
    path: String,
    /// Which rule is broken.
    pub kind: FaultKind,
}

impl ConfigFault {
    pub(super) fn new(path: impl Into<String>, kind: FaultKind) -> Self {
        Self { path: path.into(), kind }
    }

    /// The member that is at fault, relative to the verifier's own: `trustPolicies[0].keys[1].file`.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl Error for ConfigFault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.kind.source()
    }
}

/// Which rule a configuration breaks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FaultKind {
    /// A member that says nothing beside another.
    #[error("means nothing beside `{other}`; remove one of the two")]
    Beside {
        /// The other.
        other: &'static str,
    },
    /// A certificate file.
    #[error("the certificates cannot be used")]
    Certificates(#[source] FileError),
    /// A certificate that may not issue any.
    #[error("{subject} is no certificate authority, so it can have issued nothing")]
    Authority {
        /// Its subject.
        subject: String,
    },
    /// An intermediate that leads to no root.
    #[error("{subject} was issued by none of `caRoots`, not by way of the other intermediates either")]
    AuthorityLost {
        /// Its subject.
        subject: String,
    },
    /// An empty list or text.
    #[error("is empty; {consequence}")]
    Empty {
        /// What would follow.
        consequence: &'static str,
    },
    /// An identity.
    #[error(transparent)]
    Identity(IdentityFault),
    /// The end before the start.
    #[error("ends before it starts")]
    InvertedWindow,
    /// A key file.
    #[error("the key cannot be used")]
    Key(#[source] KeyFault),
    /// More than there can be.
    #[error("is {value}, the limit is {limit}")]
    Large {
        /// As written.
        value: usize,
        /// The most.
        limit: usize,
    },
    /// Neither of several members.
    #[error("{what} is needed")]
    Missing {
        /// Which.
        what: &'static str,
    },
    /// A name that reports could not show.
    #[error("is empty or has a control character; reports name the trust policy")]
    Name,
    /// The same name twice.
    #[error("two trust policies have the name {name:?}")]
    NameRepeated {
        /// The name.
        name: String,
    },
    /// Neither a URI nor a short name.
    #[error("{written:?} is no URI and none of cosign's short names: {}", aliases())]
    PredicateType {
        /// As written.
        written: String,
    },
    /// A JSON pointer.
    #[error("{written:?} is no JSON pointer (RFC 6901), as /predicate/metadata/scanFinishedOn")]
    Pointer {
        /// As written.
        written: String,
    },
    /// The present as a time, for certificates that live for minutes.
    #[error("is for an own authority (`caRoots`) only: a Sigstore instance's certificates are long expired")]
    Present,
    /// A repository.
    #[error("{written:?} is no repository: no scheme, tag or digest")]
    Repository {
        /// As written.
        written: String,
    },
    /// A trusted root.
    #[error(transparent)]
    Root(#[from] RootFault),
    /// A scope.
    #[error(transparent)]
    Scope(ScopeError),
    /// The same scope twice.
    #[error("scope {scope:?} stands at {first} already")]
    ScopeRepeated {
        /// As written.
        scope: String,
        /// Where it is first.
        first: String,
    },
    /// The beginning of a tag.
    #[error("{written:?} is no beginning of a tag: up to {limit} letters, digits, `_`, `.` and `-`, the first no sign")]
    TagPrefix {
        /// As written.
        written: String,
        /// Most characters.
        limit: usize,
    },
    /// Keyless without a time: when was the certificate used?
    #[error(
        "no time is demanded, but certificates are judged at one: set observerTimestampThreshold or signedTimestampThreshold to 1{}",
        if *own { ", or useCurrentTime" } else { "" }
    )]
    Timeless {
        /// Whether `useCurrentTime` would be another way.
        own: bool,
    },
    /// A time is asked for that nothing gives.
    #[error("needs a time: give `timeField`, or let trust policy {policy:?} demand a log entry or a timestamp")]
    TimeUnknown {
        /// Which trust policy gives none.
        policy: String,
    },
    /// More elements than are read.
    #[error("has {count} elements, the limit is {limit}")]
    TooMany {
        /// How many.
        count: usize,
        /// The most.
        limit: usize,
    },
    /// A file that is larger than is read.
    #[error("{file} has more than {limit} bytes")]
    TooLarge {
        /// Which.
        file: String,
        /// Most bytes.
        limit: usize,
    },
    /// A file that cannot be read.
    #[error("{file} cannot be read")]
    Unreadable {
        /// Which.
        file: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A limit of nothing, or a demand for nothing that is written in another way.
    #[error("is 0; {instead}")]
    Zero {
        /// What to write.
        instead: &'static str,
    },
}

fn aliases() -> String {
    crate::verifier::cosign::statement::aliases().collect::<Vec<_>>().join(", ")
}
