//! The artifact that is to be looked at, and the image that it is attached to.

use anyhow::Context as _;
use time::OffsetDateTime;

use crate::{
    oci::{Artifact, Digest, Found, Manifest, Reference, Referrer, Repository, Subject},
    reason,
    store::{Deadline, Store, StoreError},
    verifier::VerifyRequest,
};

/// Where a digest without a name is looked for in a layout. Never `localhost`: plugins in Go use no proxy for that.
const NAMELESS: &str = "layout.invalid/image";

/// What the command line names.
pub(super) struct Wanted {
    artifact: Reference,
    subject: Option<Reference>,
}

impl Wanted {
    /// `artifact`: a digest, then of the repository that `subject` names; or a reference.
    pub(super) fn parse(artifact: &str, subject: Option<Reference>) -> anyhow::Result<Self> {
        let artifact = match Digest::parse(artifact) {
            Ok(digest) => {
                let repository = match &subject {
                    Some(subject) => subject.repository().clone(),
                    None => Repository::parse(NAMELESS)?,
                };
                Reference::to_digest(repository, digest)
            }
            Err(_) => Reference::parse(artifact).context("--artifact is neither a digest nor a reference")?,
        };
        Ok(Self { artifact, subject })
    }
}

/// An artifact that names its image.
pub(super) struct Attached {
    pub(super) subject: Subject,
    pub(super) artifact: Artifact,
    home: Repository,
}

/// Why there is none.
#[derive(Debug)]
pub(super) enum NotAttached {
    /// It is no artifact of this image.
    Artifact(String),
    /// The store has no answer.
    Store(StoreError),
}

impl From<StoreError> for NotAttached {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Attached {
    /// Finds both, and checks that the one names the other.
    pub(super) async fn find(store: &dyn Store, wanted: &Wanted, deadline: Deadline) -> Result<Self, NotAttached> {
        let Wanted { artifact: reference, subject } = wanted;
        let home = reference.repository();
        let mut descriptor = store.resolve(reference, deadline).await?;
        let content = store.manifest(home, &descriptor, deadline).await?;
        let manifest = Manifest::parse(&descriptor.media_type, content.bytes())
            .map_err(|error| NotAttached::Artifact(reason::chain(&error)))?;
        let subject = match (subject, manifest.subject()) {
            (Some(subject), _) => subject.clone(),
            (None, Some(named)) => Reference::to_digest(home.clone(), named.digest.clone()),
            (None, None) => {
                return Err(NotAttached::Artifact(format!(
                    "{reference} is attached to nothing: it names no `subject`"
                )));
            }
        };
        let resolved = store.resolve(&subject, deadline).await?;
        let subject = Subject::new(subject.repository().clone(), resolved);
        descriptor.artifact_type = manifest.effective_artifact_type().map(str::to_owned);
        let referrer = Referrer { descriptor, found: Found::Layout };
        let artifact = Artifact::read(&subject, &referrer, &content)
            .map_err(|error| NotAttached::Artifact(format!("{}: {}", error.code(), reason::chain(&error))))?;
        Ok(Self { subject, artifact, home: home.clone() })
    }

    /// What a verifier would be asked.
    pub(super) fn request<'a>(
        &'a self,
        store: &'a dyn Store,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> VerifyRequest<'a> {
        VerifyRequest::new(&self.subject, &self.artifact, &self.home, now, store, deadline)
    }
}
