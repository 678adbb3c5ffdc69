//! `countersign resolve`: what a reference stands for.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    time::Duration,
};

use clap::Args;
use tokio::time::Instant;

use super::{
    Outcome,
    registries::{Places, timeout},
};
use crate::{
    config::Process,
    oci::Reference,
    reason::{self, Class},
    store::StoreError,
};

/// Prints the reference by digest that a reference stands for now.
///
/// Exit code: 1 if there is no such image, 3 if that could not be found out.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  countersign resolve registry.example.com/app:1.2
  countersign resolve app:1.2 --layout ./images")]
pub(super) struct Resolve {
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

impl Resolve {
    pub(super) async fn run(self, process: &Process) -> anyhow::Result<Outcome> {
        let Self { reference, config, places, timeout } = self;
        let store = places.store(config.as_deref(), &reference, process).await?;
        match store.resolve(&reference, Instant::now() + timeout).await {
            Ok(descriptor) => {
                let resolved = Reference::to_digest(reference.repository().clone(), descriptor.digest);
                writeln!(io::stdout(), "{resolved}")?;
                Ok(Outcome::Done)
            }
            Err(error) => fail(&error),
        }
    }
}

/// Says why a store has no answer, and whether that is a no.
pub(super) fn fail(error: &StoreError) -> anyhow::Result<Outcome> {
    let code = error.code();
    let mut out = io::stderr().lock();
    writeln!(out, "{code}: {}", reason::chain(error))?;
    writeln!(out, "remedy: {}", code.remedy())?;
    Ok(match code.class() {
        Class::No => Outcome::Refused,
        Class::Broken | Class::Undecided | Class::Yes => Outcome::Undecided,
    })
}
