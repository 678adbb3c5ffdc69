//! The Sigstore instances that everybody knows.

use serde::Deserialize;
use sigstore_trust_root::SigstoreInstance;
use time::{Date, macros::date};

use super::{Origin, Profile, RootFault, TrustedRoot};

/// When sigstore-trust-root 0.15.1 was released, which brings them.
const RELEASED: Date = date!(2026 - 10 - 23);

/// The instances that everybody knows; their trusted roots are compiled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Instance {
    /// GitHub's own, for artifact attestations of private repositories.
    #[serde(rename = "github")]
    GitHub,
    /// `sigstore.dev`.
    PublicGood,
    /// `sigstage.dev`; for tests only.
    Staging,
}

impl Instance {
    /// All, as the configuration spells them.
    pub const ALL: [Self; 3] = [Self::PublicGood, Self::GitHub, Self::Staging];

    /// When the release of the embedded roots was made: they are no newer than this.
    pub const EMBEDDED: Date = RELEASED;

    /// As the configuration spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::PublicGood => "public-good",
            Self::Staging => "staging",
        }
    }

    /// What its items must have.
    pub const fn profile(self) -> Profile {
        match self {
            Self::GitHub => Profile::GitHub,
            Self::PublicGood | Self::Staging => Profile::Sigstore,
        }
    }

    const fn known(self) -> SigstoreInstance {
        match self {
            Self::GitHub => SigstoreInstance::GitHub,
            Self::PublicGood => SigstoreInstance::PublicGood,
            Self::Staging => SigstoreInstance::Staging,
        }
    }

    /// Where its TUF repository is.
    pub(super) fn tuf_url(self) -> &'static str {
        self.known().tuf_url()
    }

    /// The initial root metadata of its TUF repository.
    pub(super) fn initial_tuf_root(self) -> &'static [u8] {
        self.known().tuf_root()
    }

    /// The trusted root that is compiled in.
    ///
    /// # Errors
    /// None in a release: a test parses all of them.
    pub fn embedded(self) -> Result<TrustedRoot, RootFault> {
        let json = self.known().embedded_trusted_root_json();
        let root = TrustedRoot::parse(self.as_str(), json.as_bytes(), self.profile())?;
        Ok(root.from_origin(Origin::Embedded { date: Self::EMBEDDED }))
    }
}
