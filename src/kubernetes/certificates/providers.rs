//! The Providers' `spec.caBundle`: read, compared, and patched where it differs; nothing else of a Provider is touched, and no
//! Provider that asks somebody else.

use serde::Deserialize;
use serde_json::json;
use url::{Host, Url};

use super::{
    bundle::{self, Comparison},
    material::Anchor,
    plan::Published,
};
use crate::kubernetes::{CallError, Cluster};

const PATH: &str = "/apis/externaldata.gatekeeper.sh/v1beta1/providers";
/// Owns `spec.caBundle`, and nothing else, in `metadata.managedFields`.
const MANAGER: &str = "countersign-certificates";

/// A Provider, as far as we look at it.
#[derive(Debug, Deserialize)]
struct Provider {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    resource_version: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(default)]
    url: String,
    #[serde(default)]
    ca_bundle: String,
}

/// Why a Provider does not list what it should.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProviderError {
    #[error("Provider {name}")]
    Call { name: String, source: CallError },
    #[error("Provider {name} asks another host than this service, and is left alone")]
    Foreign { name: String },
}

/// What becomes of whatever else a Provider lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    Go,
    /// As far as it could be ours.
    Stay,
}

/// What each Provider is to list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) anchors: &'a [&'a Anchor],
    pub(super) others: Others,
}

/// What came of looking at all of them.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Whether they listed what is wanted before anything was changed now.
    pub(super) published: Published,
    /// What stays listed beside that, each once; `None`: a Provider could not be read or written.
    pub(super) others: Option<Vec<Anchor>>,
    pub(super) patched: usize,
    pub(super) errors: Vec<ProviderError>,
}

/// What came of looking at one.
struct Looked {
    comparison: Comparison,
    others: Vec<Anchor>,
    is_patched: bool,
}

/// Sees to it that each of `names` lists what is wanted; those that do not exist are skipped. `hosts`: ours. `may_write`: asked
/// before each write.
pub(super) async fn publish(
    cluster: &Cluster,
    names: &[String],
    hosts: &[String],
    wanted: Wanted<'_>,
    may_write: impl Fn() -> bool,
) -> Outcome {
    let mut outcome =
        Outcome { published: Published::Everywhere, others: Some(Vec::new()), patched: 0, errors: Vec::new() };
    for name in names {
        match publish_one(cluster, name, hosts, wanted, &may_write).await {
            Ok(None) => {}
            Ok(Some(looked)) => {
                if looked.comparison == Comparison::Missing {
                    outcome.published = Published::NotEverywhere;
                }
                outcome.patched = outcome.patched.saturating_add(usize::from(looked.is_patched));
                if let Some(others) = &mut outcome.others {
                    let new: Vec<Anchor> =
                        looked.others.into_iter().filter(|anchor| !others.contains(anchor)).collect();
                    others.extend(new);
                }
            }
            Err(error) => {
                // One that asks somebody else trusts nobody of ours, whatever it lists.
                if !matches!(error, ProviderError::Foreign { .. }) {
                    outcome.published = Published::NotEverywhere;
                    outcome.others = None;
                }
                outcome.errors.push(error);
            }
        }
    }
    outcome
}

/// `None`: there is no such Provider.
async fn publish_one(
    cluster: &Cluster,
    name: &str,
    hosts: &[String],
    wanted: Wanted<'_>,
    may_write: &impl Fn() -> bool,
) -> Result<Option<Looked>, ProviderError> {
    let failed = |source| ProviderError::Call { name: name.to_owned(), source };
    let Some(provider) = cluster.get::<Provider>(PATH, name).await.map_err(failed)? else { return Ok(None) };
    if !is_ours(&provider.spec.url, hosts) {
        return Err(ProviderError::Foreign { name: name.to_owned() });
    }
    let text = &provider.spec.ca_bundle;
    let others = match wanted.others {
        Others::Go => Vec::new(),
        Others::Stay => bundle::others(text, wanted.anchors),
    };
    let all: Vec<&Anchor> = wanted.anchors.iter().copied().chain(&others).collect();
    let is_patched = bundle::compare(text, &all) != Comparison::Equal && may_write();
    if is_patched {
        let patch = json!({
            "metadata": { "resourceVersion": provider.metadata.resource_version },
            "spec": { "caBundle": bundle::render(&all) },
        });
        cluster.merge(PATH, name, MANAGER, &patch).await.map_err(failed)?;
    }
    Ok(Some(Looked { comparison: bundle::compare(text, wanted.anchors), others, is_patched }))
}

/// Whether the URL names one of our hosts, exactly.
fn is_ours(url: &str, hosts: &[String]) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    match url.host() {
        Some(Host::Domain(host)) => url.scheme() == "https" && hosts.iter().any(|ours| ours == host),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::make, *};

    #[test]
    fn a_provider_is_ours_if_its_url_names_our_service() {
        let hosts = make::names("countersign", "ns");
        for (url, expected) in [
            ("https://countersign.ns:6001/countersign/gatekeeper/v1/verify", true),
            ("https://countersign.ns.svc/x", true),
            ("https://countersign.ns.svc.cluster.local:6001", true),
            ("https://COUNTERSIGN.ns:6001/", true),
            ("https://countersign.other:6001/", false),
            ("https://countersign.ns.evil.example/", false),
            ("https://evil.example/countersign.ns", false),
            ("https://countersign.ns@evil.example/", false),
            ("http://countersign.ns:6001/", false),
            ("https://10.0.0.1:6001/", false),
            ("", false),
        ] {
            assert_eq!(is_ours(url, &hosts), expected, "{url}");
        }
    }
}
