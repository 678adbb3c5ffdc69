//! Rings when an object may have changed: a watch on its metadata alone, so that no content travels where nobody reads it
//! strictly. What changed is then asked for.

use futures_util::{Stream, StreamExt as _};
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{Secret, ServiceAccount},
};
use kube::{
    Api,
    core::PartialObjectMeta,
    runtime::{WatchStreamExt as _, watcher::watch_object},
};

use super::Cluster;

/// What a watch has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ring {
    /// The object was made, changed or deleted, or is there now that the watch begins.
    Changed,
    /// The watch broke and begins anew by itself, with growing pauses.
    Lost,
}

/// Rings for ever, for one Secret.
pub(super) fn secret(cluster: &Cluster, name: &str) -> impl Stream<Item = Ring> + Send + use<> {
    object::<Secret>(cluster, name)
}

/// The same for a ServiceAccount.
pub(super) fn service_account(cluster: &Cluster, name: &str) -> impl Stream<Item = Ring> + Send + use<> {
    object::<ServiceAccount>(cluster, name)
}

fn object<K>(cluster: &Cluster, name: &str) -> impl Stream<Item = Ring> + Send + use<K>
where
    K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + Send + 'static,
{
    let api: Api<PartialObjectMeta<K>> = Api::namespaced(cluster.client().clone(), cluster.namespace());
    watch_object(api, name).default_backoff().map(|event| if event.is_ok() { Ring::Changed } else { Ring::Lost })
}
