//! What refers to a subject: the referrers API, the referrers tag after its 404, cosign's tags.
//!
//! Only a 404 means "none". Everything else that is not a list is an error, on the API and on the tag alike (REG-29).
//!
//! Rule: OCI distribution specification v1.1, "Listing Referrers", "Referrers Tag Schema".

use std::collections::HashSet;

use futures_util::future::{try_join, try_join_all};
use reqwest::header::{HeaderValue, LINK};
use url::Url;

use super::{
    super::StoreError,
    link, manifest,
    metrics::Kind,
    place::{Place, Want, content_type},
    transport::{Reply, redirect_target},
};
use crate::{
    oci::{
        Completeness, Content, CosignTag, Descriptor, Digest, Discovery, Found, Listing, Manifest, ManifestError,
        Referrer, media_type,
    },
    reason::{chain, printable},
};

/// Lists what refers to `subject`. A list that has more than the limits is cut and says so.
///
/// The ways are asked side by side: none waits for another.
pub(super) async fn list(place: &Place<'_>, subject: &Digest, ways: &Discovery) -> Result<Listing, StoreError> {
    let listed = async {
        if !ways.referrers {
            return Ok(Listing::whole(Vec::new()));
        }
        match api(place, subject).await? {
            Some(listing) => Ok(listing),
            None => tag(place, subject).await,
        }
    };
    let tagged = try_join_all(ways.cosign_tags.iter().map(|tag| cosign(place, subject, tag)));
    let (mut listing, tagged) = try_join(listed, tagged).await?;
    for (referrer, content) in tagged.into_iter().flatten() {
        listing.referrers.push(referrer);
        listing.manifests.push(content);
    }
    Ok(listing)
}

/// `None`: 404, the registry has no referrers API.
async fn api(place: &Place<'_>, subject: &Digest) -> Result<Option<Listing>, StoreError> {
    let limits = place.transport.limits;
    let mut url = place.url(&format!("referrers/{subject}"))?;
    let mut listing = Listing::whole(Vec::new());
    let mut seen: HashSet<Url> = HashSet::new();
    loop {
        seen.insert(url.clone());
        let reply = match page(place, subject, url.clone(), media_type::IMAGE_INDEX).await {
            // Only the first page may be missing: a later one was promised.
            Err(StoreError::NotFound { .. }) if seen.len() == 1 => return Ok(None),
            Err(StoreError::NotFound { .. }) => return Err(malformed(subject, "a page that it links does not exist")),
            other => other?,
        };
        let whole = append(&mut listing, entries(&reply, subject)?, Found::ReferrersApi, limits.descriptors);
        let values = reply.headers.get_all(LINK).iter().map(HeaderValue::as_bytes);
        let next = link::next(values, &url).map_err(|detail| malformed(subject, detail))?;
        let Some(next) = next else { return Ok(Some(listing)) };
        check_next(place, &next)?;
        if seen.contains(&next) {
            return Err(malformed(subject, "its pages link in a circle"));
        }
        if !whole || seen.len() >= limits.pages {
            listing.completeness = Completeness::Cut;
            return Ok(Some(listing));
        }
        url = next;
    }
}

/// The index under the referrers tag; 404 means that there are none.
async fn tag(place: &Place<'_>, subject: &Digest) -> Result<Listing, StoreError> {
    let url = place.url(&format!("manifests/{}", subject.referrers_tag()))?;
    let mut listing = Listing::whole(Vec::new());
    // A registry that has something else there says 404 where only an index is accepted, and that would read as "none".
    match page(place, subject, url, &media_type::SUBJECTS.join(", ")).await {
        Err(StoreError::NotFound { .. }) => Ok(listing),
        Err(error) => Err(error),
        Ok(reply) => {
            manifest::check_digest_header(&reply, &format!("index under the tag {}", subject.referrers_tag()))?;
            let most = place.transport.limits.descriptors;
            append(&mut listing, entries(&reply, subject)?, Found::ReferrersTag, most);
            Ok(listing)
        }
    }
}

/// The manifest under one of cosign's tags, if there is one. What it is, its reader finds out.
async fn cosign(
    place: &Place<'_>,
    subject: &Digest,
    tag: &CosignTag,
) -> Result<Option<(Referrer, Content)>, StoreError> {
    match manifest::tagged(place, &tag.name(subject)).await {
        Ok(content) => {
            let descriptor = content.descriptor().clone();
            Ok(Some((Referrer { descriptor, found: Found::CosignTag(tag.kind) }, content)))
        }
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn page(place: &Place<'_>, subject: &Digest, url: Url, accept: &str) -> Result<Reply, StoreError> {
    let what = format!("referrers of {}@{subject}", place.path);
    let limit = place.transport.limits.manifest_bytes;
    place.get(url, Want { kind: Kind::Referrers, accept, limit, descriptor: None, what: &what }).await
}

/// The next page must be at the same origin (REG-23): the credentials go there.
fn check_next(place: &Place<'_>, next: &Url) -> Result<(), StoreError> {
    let denied = |rule: &str| StoreError::RedirectDenied {
        registry: place.origin.to_string(),
        target: printable(&format!("{}://{}", next.scheme(), next.host_str().unwrap_or_default()), 200),
        rule: rule.to_owned(),
    };
    if redirect_target(next).map_err(denied)? == place.origin {
        Ok(())
    } else {
        Err(denied("the next page of a list must be at the registry's own origin"))
    }
}

fn entries(reply: &Reply, subject: &Digest) -> Result<Vec<Descriptor>, StoreError> {
    let announced = content_type(reply).unwrap_or_default();
    if announced != media_type::IMAGE_INDEX {
        return Err(malformed(subject, &format!("its media type is {announced:?}, an image index is wanted")));
    }
    match Manifest::parse(&announced, &reply.body) {
        Ok(Manifest::Index(index)) => Ok(index.manifests),
        Ok(Manifest::Image(_)) => Err(malformed(subject, "it is an image manifest")),
        Err(ManifestError::TooMany { limit, .. }) => Err(StoreError::Limit {
            what: format!("list of referrers of {subject}"),
            limit: u64::try_from(limit).unwrap_or(u64::MAX),
            unit: "entries",
        }),
        Err(error) => Err(malformed(subject, &chain(&error))),
    }
}

/// Appends up to `most` in all; false, and the list is cut, where there are more.
fn append(listing: &mut Listing, entries: Vec<Descriptor>, found: Found, most: usize) -> bool {
    let room = most.saturating_sub(listing.referrers.len());
    let whole = entries.len() <= room;
    if !whole {
        listing.completeness = Completeness::Cut;
    }
    listing.referrers.extend(entries.into_iter().take(room).map(|descriptor| Referrer { descriptor, found }));
    whole
}

fn malformed(subject: &Digest, detail: &str) -> StoreError {
    StoreError::Referrers { subject: subject.to_string(), detail: printable(detail, 300) }
}
