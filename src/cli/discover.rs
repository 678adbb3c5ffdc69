//! `countersign discover`: what is attached to an image.

use std::{io, path::PathBuf, time::Duration};

use clap::Args;
use tokio::time::Instant;

use super::{
    Outcome,
    registries::{Places, timeout},
    resolve::fail,
    tree::write_referrers,
};
use crate::{
    config::Process,
    oci::{self, Reference, Subject},
};

/// Prints what is attached to an image, of every artifact type, as a tree. Nothing of it is verified.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  countersign discover registry.example.com/app:1.2
  countersign discover app:1.2 --layout ./images
  countersign discover localhost:5000/app:dev --plain-http localhost:5000 --allow-loopback localhost:5000")]
pub(super) struct Discover {
    /// The image
    #[arg(value_name = "REF")]
    reference: Reference,
    /// A configuration whose stores are used
    #[arg(long, value_name = "FILE", conflicts_with = "layout")]
    config: Option<PathBuf>,
    #[command(flatten)]
    places: Places,
    /// How long it may take
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = timeout)]
    timeout: Duration,
}

impl Discover {
    pub(super) async fn run(self, process: &Process) -> anyhow::Result<Outcome> {
        let Self { reference, config, places, timeout } = self;
        let deadline = Instant::now() + timeout;
        let store = places.store(config.as_deref(), &reference, process).await?;
        let descriptor = match store.resolve(&reference, deadline).await {
            Ok(descriptor) => descriptor,
            Err(error) => return fail(&error),
        };
        let subject = Subject::new(reference.repository().clone(), descriptor);
        let ways = oci::Discovery::everywhere();
        match store.referrers(subject.repository(), subject.digest(), ways, deadline).await {
            Ok(listing) => {
                write_referrers(&mut io::stdout().lock(), &subject, &listing)?;
                Ok(Outcome::Done)
            }
            Err(error) => fail(&error),
        }
    }
}
