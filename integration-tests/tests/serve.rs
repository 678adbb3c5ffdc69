//! The real server from its configuration file, asked as Gatekeeper asks: what registries hear, what is answered, what a
//! reload changes.

use countersign::oci::Descriptor;
use integration_tests::{
    provider::{Provider, Stage, configuration},
    registry::FakeRegistry,
    shelf::Shelf,
};

mod calls;
mod evidence;
mod hostile;
mod protocol;
mod reload;
mod tenancy;
mod wire;

/// A registry with one image in `shop/web`, tagged `v1`, that `signers` signed, and a server for it.
struct Scene {
    stage: Stage,
    registry: FakeRegistry,
    provider: Provider,
    image: Descriptor,
}

impl Scene {
    async fn signed_by(signers: usize) -> Self {
        let (stage, registry) = (Stage::set(), FakeRegistry::start().await);
        let image = registry.repository("shop/web").put_image("image", Some("v1"));
        for number in 0..signers {
            registry.repository("shop/web").sign(&image, &stage.authority.signer(&format!("signer {number}")));
        }
        let provider = stage.start(&configuration([registry.host().as_str()])).await;
        Self { stage, registry, provider, image }
    }

    fn by_digest(&self) -> String {
        self.registry.repository("shop/web").digest(&self.image.digest).to_string()
    }

    fn by_tag(&self) -> String {
        self.registry.repository("shop/web").tag("v1").to_string()
    }
}
