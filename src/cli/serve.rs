//! `countersign serve`: answers Gatekeeper until it is told to stop.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use clap::Args;
use tokio::{
    runtime::Handle,
    signal::unix::{SignalKind, signal},
};

use super::Outcome;
use crate::{
    app::App,
    config::{Config, Process},
    server::{OfApp, Parts, Server},
    store::registry::Outside,
    telemetry::Telemetry,
    time::Clock,
};

/// How often the configuration and what it names is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Answers Gatekeeper's questions until SIGTERM or SIGINT.
///
/// A changed configuration, and whatever it names, is taken into use without a restart; a broken one is not, and is
/// counted. Addresses and `telemetry` are read once.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  countersign serve --config /etc/countersign/countersign.yaml
  COUNTERSIGN__TELEMETRY__LOG_LEVEL=debug countersign serve --config countersign.yaml")]
pub(super) struct Serve {
    /// The configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl Serve {
    pub(super) async fn run(self, process: &Process) -> anyhow::Result<Outcome> {
        let Self { config: file } = self;
        let config = Config::load(&file, process)?;
        let runtime = Handle::current();
        let telemetry = Arc::new(Telemetry::init(&config.telemetry, &runtime).context("telemetry cannot be set up")?);
        let outside = Outside { meter: Some(telemetry.meter()), ..Outside::default() };
        let app = Arc::new(App::start(&file, process.clone(), outside, runtime).await?);
        let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be waited for")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be waited for")?;
        let parts = Parts {
            config: config.server,
            limits: config.limits.server(),
            generations: Arc::new(OfApp::new(Arc::clone(&app))),
            telemetry: Arc::clone(&telemetry),
            clock: Clock::System,
        };
        let server = Server::bind(parts)?;
        let (address, admin) = (server.address(), server.admin_address());
        tracing::info!(target: "countersign", %address, %admin, "answering");
        let stopped = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = app.watch(LOOK_EVERY) => {}
            }
        };
        let ended = server.run_until(stopped).await;
        tracing::info!(target: "countersign", "stopped");
        tokio::task::block_in_place(|| telemetry.flush());
        ended?;
        Ok(Outcome::Done)
    }
}
