//! What a registry is asked, cold and warm: each call, and how many round trips deep.

use std::sync::Arc;

use integration_tests::registry::Call;

use super::Scene;

/// What a call asks for: the repository's part of the path, without the digest.
fn kinds(calls: &[Call]) -> Vec<&'static str> {
    let kind = |call: &Call| {
        assert_eq!(call.method, "GET", "{call:?}");
        ["/manifests/", "/blobs/", "/referrers/", "/token"]
            .into_iter()
            .find(|kind| call.path().contains(kind))
            .unwrap_or_else(|| panic!("neither manifest, blob, referrers nor token: {call:?}"))
    };
    let mut kinds: Vec<_> = calls.iter().map(kind).collect();
    kinds.sort_unstable();
    kinds
}

/// Asks once, answers the registry's calls wave by wave, and gives what each wave asked for.
async fn waves(scene: &Arc<Scene>, key: String, sizes: &[usize]) -> Vec<Vec<&'static str>> {
    scene.registry.forget_calls();
    scene.registry.hold();
    let before = scene.registry.arrivals();
    let asked = Arc::clone(scene);
    let asking = tokio::spawn(async move { asked.provider.code(&key).await });
    let mut waves = Vec::new();
    let mut seen = 0;
    for size in sizes {
        seen += size;
        scene.registry.arrived(before + seen).await;
        waves.push(kinds(&scene.registry.calls()[seen - size..]));
        scene.registry.step();
    }
    assert_eq!(asking.await.unwrap(), "VERIFIED");
    assert_eq!(scene.registry.calls().len(), seen, "nothing else");
    scene.registry.release();
    waves
}

// Limits and figures: 2 + 2k calls, three deep by digest and four by tag; warm 0 and 1
#[tokio::test(flavor = "multi_thread")]
async fn a_cold_image_with_k_signatures_costs_2_and_2k_calls_and_a_warm_one_none() {
    for k in 1..=3 {
        let all = |kind: &'static str| vec![kind; k];
        let scene = Arc::new(Scene::signed_by(k).await);
        let cold = waves(&scene, scene.by_digest(), &[2, k, k]).await;
        assert_eq!(cold, [vec!["/manifests/", "/referrers/"], all("/manifests/"), all("/blobs/")], "{k} by digest");
        scene.registry.forget_calls();
        assert_eq!(scene.provider.code(&scene.by_digest()).await, "VERIFIED");
        assert_eq!(kinds(&scene.registry.calls()), Vec::<&str>::new(), "{k} warm by digest");
        assert_eq!(scene.provider.code(&scene.by_tag()).await, "VERIFIED");
        assert_eq!(kinds(&scene.registry.calls()), ["/manifests/"], "{k} warm by tag");

        let scene = Arc::new(Scene::signed_by(k).await);
        let cold = waves(&scene, scene.by_tag(), &[1, 1, k, k]).await;
        let expected = [vec!["/manifests/"], vec!["/referrers/"], all("/manifests/"), all("/blobs/")];
        assert_eq!(cold, expected, "{k} by tag");
    }
}

// One token for all, no `/v2/` probe, and each call carries it
#[tokio::test(flavor = "multi_thread")]
async fn one_token_serves_all_calls_of_an_image() {
    for k in 1..=3 {
        let scene = Scene::signed_by(k).await;
        scene.registry.require_token();
        assert_eq!(scene.provider.code(&scene.by_digest()).await, "VERIFIED");
        let calls = scene.registry.calls();
        let (with, without): (Vec<Call>, Vec<Call>) =
            calls.into_iter().partition(|call| call.authorization().is_some());
        assert_eq!(with.len(), 2 + 2 * k, "{with:?}");
        // Of the two calls that go first side by side one is challenged, or both are; one token is fetched for both.
        let asked = kinds(&without);
        assert!(
            matches!(asked[..], ["/manifests/", "/referrers/", "/token"] | ["/manifests/" | "/referrers/", "/token"]),
            "{asked:?}"
        );
        scene.registry.forget_calls();
        assert_eq!(scene.provider.code(&scene.by_tag()).await, "VERIFIED");
        assert_eq!(kinds(&scene.registry.calls()), ["/manifests/"], "the token is kept");
    }
}
