//! `countersign serve`: answers Gatekeeper until it is told to stop.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use clap::Args;
use tokio::{
    runtime::Handle,
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use uuid::Uuid;

use super::Outcome;
use crate::{
    app::App,
    config::{Config, Process},
    kubernetes::{self, Cluster, certificates::Keeper, client_ca::Follower, pull_secrets::Feeder},
    server::{Handed, OfApp, Parts, Server},
    store::registry::{Outside, PullSecrets},
    telemetry::Telemetry,
    time::Clock,
};

/// How often the configuration and what it names is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Answers Gatekeeper's questions until SIGTERM or SIGINT.
///
/// A changed configuration, and whatever it names, is taken into use without a restart; a broken one is not, and is
/// counted. Addresses, `telemetry` and `kubernetes` are read once.
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
        let cluster = Followed::new(&config, process, &telemetry, &outside.pull_secrets)?;
        let app = Arc::new(App::start(&file, process.clone(), outside, runtime).await?);
        // OPS-05: others are told so to read their files again or to speak louder. Ours are looked at each second anyway, and a signal
        // that is listened to once does not end the process any more. SIGPIPE is ignored by Rust's own start.
        for kind in [SignalKind::hangup(), SignalKind::user_defined1(), SignalKind::user_defined2()] {
            drop(signal(kind).context("a signal cannot be listened to")?);
        }
        let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be waited for")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be waited for")?;
        let parts = Parts {
            config: config.server,
            limits: config.limits.server(),
            generations: Arc::new(OfApp::new(Arc::clone(&app))),
            handed: cluster.handed(),
            telemetry: Arc::clone(&telemetry),
            clock: Clock::System,
        };
        let server = Server::bind(parts)?;
        let (address, admin) = (server.address(), server.admin_address());
        tracing::info!(target: "countersign", %address, %admin, "answering");
        let (stop, stopping) = watch::channel(false);
        let stopped = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = app.watch(LOOK_EVERY) => {}
            }
        };
        let serving = async {
            let ended = server.run_until(stopped).await;
            stop.send_replace(true);
            ended
        };
        // Certificates are followed until the last answer has left.
        let (ended, ()) = tokio::join!(serving, Box::pin(cluster.run_until(stopping)));
        tracing::info!(target: "countersign", "stopped");
        tokio::task::block_in_place(|| telemetry.flush());
        ended?;
        Ok(Outcome::Done)
    }
}

/// What the section `kubernetes` asks for.
#[derive(Default)]
struct Followed {
    keeper: Option<Keeper>,
    client_ca: Option<Follower>,
    /// There with the section: a configuration may name pull Secrets later. It asks for nothing before.
    pull_secrets: Option<Feeder>,
}

impl Followed {
    fn new(
        config: &Config,
        process: &Process,
        telemetry: &Telemetry,
        pull_secrets: &PullSecrets,
    ) -> anyhow::Result<Self> {
        let Some(section) = &config.kubernetes else { return Ok(Self::default()) };
        let cluster = Cluster::new(kubernetes::in_cluster()?, section.namespace.as_deref());
        let identity = format!("{}_{}", process.host_name().unwrap_or("countersign"), Uuid::new_v4());
        let keeper = |certificates: &kubernetes::config::Certificates| {
            Keeper::new(cluster.clone(), certificates.clone(), identity, &telemetry.meter())
        };
        let follower = |secret: &String| Follower::new(cluster.clone(), secret.clone(), &telemetry.meter());
        Ok(Self {
            keeper: section.certificates.as_ref().map(keeper),
            client_ca: section.client_ca_secret.as_ref().map(follower),
            pull_secrets: Some(Feeder::new(cluster.clone(), pull_secrets.clone(), &telemetry.meter())),
        })
    }

    fn handed(&self) -> Handed {
        Handed {
            certificate: self.keeper.as_ref().map(Keeper::served),
            client_ca: self.client_ca.as_ref().map(Follower::accepted),
        }
    }

    async fn run_until(self, stopping: watch::Receiver<bool>) {
        let Self { keeper, client_ca, pull_secrets } = self;
        let stopped = || {
            let mut stopping = stopping.clone();
            // A dropped sender is a stop, too.
            async move { drop(stopping.wait_for(|stop| *stop).await) }
        };
        let keep = async {
            if let Some(keeper) = keeper {
                keeper.run_until(Clock::System, stopped()).await;
            }
        };
        let follow = async {
            if let Some(client_ca) = client_ca {
                client_ca.run_until(stopped()).await;
            }
        };
        let feed = async {
            if let Some(pull_secrets) = pull_secrets {
                pull_secrets.run_until(stopped()).await;
            }
        };
        tokio::join!(keep, follow, feed);
    }
}
