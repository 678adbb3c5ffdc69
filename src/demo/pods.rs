//! The sample Pods: one for each image, and one for each place where a Pod can name one.

use anyhow::Context as _;
use serde_json::{Value, json};

use super::images::{Expected, Image};

/// A Pod, and what must be decided about it.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) story: &'static str,
    pub(crate) pod: Value,
    /// What it runs, for the report.
    pub(crate) images: Vec<String>,
    pub(crate) expected: Expected,
    /// The one image that is to be refused.
    pub(crate) culprit: Option<String>,
}

/// The lists of a Pod that name images.
#[derive(Default)]
struct Lists<'a> {
    containers: Vec<&'a Image>,
    init: Vec<&'a Image>,
    ephemeral: Vec<&'a Image>,
    volumes: Vec<&'a Image>,
}

impl<'a> Lists<'a> {
    fn all(&self) -> impl Iterator<Item = &'a Image> {
        [&self.containers, &self.init, &self.ephemeral, &self.volumes].into_iter().flatten().copied()
    }

    /// Pods name tags, as people write them.
    fn pod(&self) -> Value {
        let named = |images: &[&Image]| -> Vec<Value> {
            images
                .iter()
                .enumerate()
                .map(|(i, image)| json!({ "name": format!("c{i}"), "image": image.tagged }))
                .collect()
        };
        let mut volumes = vec![json!({ "name": "scratch", "emptyDir": {} })];
        volumes.extend(
            self.volumes.iter().map(|image| json!({ "name": image.name, "image": { "reference": image.tagged } })),
        );
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "demo", "namespace": "default" }, "spec": {
            "containers": named(&self.containers), "initContainers": named(&self.init),
            "ephemeralContainers": named(&self.ephemeral), "volumes": volumes } })
    }

    fn sample(&self, name: &'static str, story: &'static str) -> Sample {
        let culprit = self.all().find(|image| image.expected != Expected::Admitted);
        Sample {
            name,
            story,
            pod: self.pod(),
            images: self.all().map(|image| image.tagged.clone()).collect(),
            expected: culprit.map_or(Expected::Admitted, |image| image.expected),
            culprit: culprit.map(|image| image.tagged.clone()),
        }
    }
}

impl Sample {
    /// A Pod with one container, by digest.
    pub(crate) fn of_image(image: &Image) -> Self {
        let reference = &image.reference;
        Self {
            name: image.name,
            story: image.story,
            pod: json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": image.name, "namespace": "default" },
                "spec": { "containers": [{ "name": "main", "image": reference }] } }),
            images: vec![reference.clone()],
            expected: image.expected,
            culprit: (image.expected != Expected::Admitted).then(|| reference.clone()),
        }
    }

    /// Pods with several images, by tag.
    pub(crate) fn pods(images: &[Image]) -> anyhow::Result<Vec<Self>> {
        let one = |name: &str| {
            images.iter().find(|image| image.name == name).with_context(|| format!("no sample image {name}"))
        };
        let (jws, cose) = (one("signed-jws")?, one("signed-cose")?);
        let good = || Lists { containers: vec![jws, cose], ..Lists::default() };
        let everywhere = Lists { init: vec![jws], ephemeral: vec![cose], volumes: vec![jws], ..good() };
        Ok(vec![
            everywhere.sample("all-signed", "signed images in all four lists"),
            Lists { containers: vec![jws, one("cosign-bundle")?], init: vec![one("cosign-key")?], ..Lists::default() }
                .sample("both-worlds", "notation and cosign side by side"),
            Lists { containers: vec![jws, one("unsigned")?], ..Lists::default() }
                .sample("unsigned-sidecar", "an unsigned container beside a signed one"),
            Lists { init: vec![one("stranger")?], ..good() }.sample("init", "a stranger's init container"),
            Lists { ephemeral: vec![one("tampered")?], ..good() }.sample("debug", "a tampered ephemeral container"),
            Lists { volumes: vec![one("expired")?], ..good() }
                .sample("volume", "an image volume with an expired signer"),
            Lists { containers: vec![jws, one("outage")?], ..Lists::default() }
                .sample("outage", "one registry down: nothing is admitted, nothing remembered"),
        ])
    }
}
