//! Lists, fetches and has described: the part of `inspect` that waits.

use futures_util::{StreamExt as _, stream};
use time::OffsetDateTime;

use super::document::{self, Attached, Document, Item, NOTICE, Other, What};
use crate::{
    crypto::describe::{Described, Unreadable, plain},
    oci::{
        Artifact, Completeness, Content, Descriptor, Discovery, Listing, Manifest, Reference, Referrer, Repository,
        Subject,
    },
    reason::{self, Class, Code},
    store::{Deadline, Store, StoreError},
    verifier::{
        Rejection,
        cosign::{self, evidence::Shape},
        notation,
    },
};

/// Most artifacts that are looked at (`threats.md` 1.2: referrers of an image).
const MAX_ARTIFACTS: usize = 200;
/// Most signatures or attestations of one artifact that are looked at.
const MAX_ITEMS: usize = 100;
/// Artifacts that are looked at side by side.
const AT_ONCE: usize = 8;

/// What was found.
pub(super) struct Inspection {
    pub(super) document: Document,
    /// Of something attached nothing could be found out.
    pub(super) is_open: bool,
}

/// Where things are, and how long that may take.
#[derive(Clone, Copy)]
struct Place<'a> {
    store: &'a dyn Store,
    repository: &'a Repository,
    deadline: Deadline,
}

/// Looks at an image.
///
/// # Errors
/// [`StoreError`]: there is no such image, or no list of what is attached to it. What cannot be had or read of a single
/// artifact is said in the document.
pub(super) async fn inspect(
    store: &dyn Store,
    reference: &Reference,
    now: OffsetDateTime,
    deadline: Deadline,
) -> Result<Inspection, StoreError> {
    let descriptor = store.resolve(reference, deadline).await?;
    let subject = Subject::new(reference.repository().clone(), descriptor);
    let place = Place { store, repository: subject.repository(), deadline };
    let listing = store.referrers(place.repository, subject.digest(), Discovery::everywhere(), deadline).await?;
    let mut looks = Vec::new();
    for referrer in listing.referrers.iter().take(MAX_ARTIFACTS) {
        looks.push(attached(place, &subject, &listing, referrer));
    }
    let mut artifacts: Vec<Attached> = stream::iter(looks).buffered(AT_ONCE).collect().await;
    artifacts.extend(sbom(place, &subject).await);
    let warnings = document::warnings(&artifacts, now);
    let is_open = artifacts.iter().any(is_open);
    let document = Document {
        notice: NOTICE,
        subject: subject.to_string(),
        media_type: plain(&subject.descriptor().media_type),
        at: now,
        not_shown: not_shown(&listing, &artifacts),
        artifacts,
        warnings,
    };
    Ok(Inspection { document, is_open })
}

fn not_shown(listing: &Listing, artifacts: &[Attached]) -> Vec<String> {
    let mut said = Vec::new();
    if listing.completeness == Completeness::Cut {
        said.push("the list of referrers was cut at a limit: there may be more".to_owned());
    }
    let count = listing.referrers.len();
    if count > MAX_ARTIFACTS {
        said.push(format!("of {count} artifacts the first {MAX_ARTIFACTS} are shown"));
    }
    for artifact in artifacts {
        if let What::Cosign { items } = &artifact.what
            && items.len() >= MAX_ITEMS
        {
            said.push(format!("of {} at most the first {MAX_ITEMS} layers are shown", artifact.digest));
        }
    }
    said
}

pub(super) fn is_open(artifact: &Attached) -> bool {
    let open = |unreadable: &Unreadable| match unreadable.code.class() {
        Class::Broken | Class::Undecided => true,
        Class::No | Class::Yes => false,
    };
    match &artifact.what {
        What::Cosign { items } => items.iter().any(|item| match &item.content {
            Described::Not(unreadable) => open(unreadable),
            Described::Read(_) => false,
        }),
        What::Not(unreadable) => open(unreadable),
        What::Notation { signature } => match &**signature {
            Described::Not(unreadable) => open(unreadable),
            Described::Read(_) => false,
        },
        What::Other(_) => false,
    }
}

fn of_store(error: &StoreError) -> Unreadable {
    Unreadable::because(error.code(), error)
}

fn of_rejection(rejection: &Rejection) -> Unreadable {
    Unreadable::new(rejection.code(), rejection.reason())
}

async fn attached(place: Place<'_>, subject: &Subject, listing: &Listing, referrer: &Referrer) -> Attached {
    let listed = referrer.descriptor.artifact_type.as_deref().unwrap_or_default();
    let (artifact_type, what) = match artifact(place, subject, listing, referrer).await {
        Ok(artifact) => (artifact.artifact_type().to_owned(), what(place, &artifact).await),
        Err(unreadable) => (listed.to_owned(), What::Not(unreadable)),
    };
    Attached {
        digest: referrer.descriptor.digest.to_string(),
        artifact_type: plain(&artifact_type),
        found: document::found(referrer.found),
        what,
    }
}

async fn artifact(
    place: Place<'_>,
    subject: &Subject,
    listing: &Listing,
    referrer: &Referrer,
) -> Result<Artifact, Unreadable> {
    let wanted = &referrer.descriptor;
    let read = listing.manifests.iter().find(|content| content.descriptor().digest == wanted.digest);
    let content: Content = if let Some(content) = read {
        content.clone()
    } else {
        let fetched = place.store.manifest(place.repository, wanted, place.deadline).await;
        fetched.map_err(|error| of_store(&error))?
    };
    Artifact::read(subject, referrer, &content).map_err(|error| Unreadable::because(error.code(), &error))
}

async fn what(place: Place<'_>, artifact: &Artifact) -> What {
    if artifact.artifact_type() == notation::describe::ARTIFACT_TYPE {
        return What::Notation { signature: Box::new(notary(place, artifact).await.into()) };
    }
    match cosign::describe::layers(artifact) {
        // An index carries no signature, and is an artifact all the same.
        Err(_) if matches!(artifact.manifest(), Manifest::Index(_)) => What::Other(Other::of(artifact.manifest())),
        Err(rejection) => What::Not(of_rejection(&rejection)),
        Ok(layers) if layers.is_empty() => What::Other(Other::of(artifact.manifest())),
        Ok(layers) => {
            let mut items = Vec::new();
            for (shape, layer) in layers.into_iter().take(MAX_ITEMS) {
                items.push(item(place, shape, layer).await);
            }
            What::Cosign { items }
        }
    }
}

async fn notary(place: Place<'_>, artifact: &Artifact) -> Result<notation::describe::Description, Unreadable> {
    let layer = notation::describe::layer(artifact).map_err(|rejection| of_rejection(&rejection))?;
    let limit = notation::describe::envelope_bytes();
    let fetched = place.store.blob(place.repository, layer, limit, place.deadline).await;
    let content = fetched.map_err(|error| of_store(&error))?;
    match notation::describe::describe(&layer.media_type, content.bytes()) {
        Described::Not(unreadable) => Err(unreadable),
        Described::Read(description) => Ok(description),
    }
}

async fn item(place: Place<'_>, shape: Shape, layer: &Descriptor) -> Item {
    let limit = cosign::describe::MAX_LAYER_BYTES;
    let content = match place.store.blob(place.repository, layer, limit, place.deadline).await {
        Ok(content) => cosign::describe::describe(shape, layer, content.bytes().clone()),
        Err(error) => Described::Not(of_store(&error)),
    };
    Item { layer: layer.digest.to_string(), content }
}

/// Cosign's `sha256-<hex>.sbom`: an SBOM that nobody signed, bound by nothing but its tag.
async fn sbom(place: Place<'_>, subject: &Subject) -> Option<Attached> {
    let tag = format!("{}:{}.sbom", place.repository, subject.digest().referrers_tag());
    let reference = Reference::parse(&tag).ok()?;
    let (digest, what) = match place.store.resolve(&reference, place.deadline).await {
        Err(error) if error.code() == Code::NotFound => return None,
        Err(error) => (String::new(), What::Not(of_store(&error))),
        Ok(descriptor) => (descriptor.digest.to_string(), sbom_manifest(place, &descriptor).await),
    };
    Some(Attached { digest, artifact_type: String::new(), found: "cosign tag .sbom", what })
}

async fn sbom_manifest(place: Place<'_>, descriptor: &Descriptor) -> What {
    match place.store.manifest(place.repository, descriptor, place.deadline).await {
        Err(error) => What::Not(of_store(&error)),
        Ok(content) => match Manifest::parse(&descriptor.media_type, content.bytes()) {
            Err(error) => What::Not(Unreadable { code: error.code(), unreadable: reason::chain(&error) }),
            Ok(manifest) => What::Other(Other::of(&manifest)),
        },
    }
}
