//! What stands beside a run: the registry that a plugin of Ratify's pulls from, and what its environment says about it.

use std::{fmt, io, path::Path};

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{
    evidence::Evidence,
    facade::{Facade, Pulls},
    work::RunFolder,
};

/// What a run is given beside its request; ends with the run.
pub struct Escort {
    environment: Vec<(String, String)>,
    store_config: Value,
    facade: Facade,
}

impl fmt::Debug for Escort {
    /// Its variables hold the word that lets the plugin in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Escort").field("facade", &self.facade).finish_non_exhaustive()
    }
}

impl Escort {
    /// For one run over this evidence.
    ///
    /// # Errors
    /// What kept it from standing there.
    pub async fn start(evidence: &Evidence, folder: &RunFolder) -> io::Result<Self> {
        let facade = Facade::open(evidence.into()).await.map_err(io::Error::other)?;
        let (proxy, docker) = (facade.proxy(), folder.docker());
        let mut environment = vec![("DOCKER_CONFIG".to_owned(), docker.to_string_lossy().into_owned())];
        // Go reads either spelling, curl only the lower-case one for plain HTTP. TLS ends there with a refusal.
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            environment.push((name.to_owned(), proxy.expose_secret().to_owned()));
        }
        Ok(Self { environment, store_config: store_config(&folder.home()), facade })
    }

    /// What the plugin pulls.
    pub(super) fn pulls(&self) -> Pulls {
        self.facade.pulls()
    }

    /// Variables of the plugin's environment.
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// The request's `storeConfig`.
    pub const fn store_config(&self) -> &Value {
        &self.store_config
    }
}

/// Ratify's built-in ORAS store over plain HTTP, with nothing of ours in it.
fn store_config(cache: &Path) -> Value {
    json!({
        "version": "1.0.0",
        "pluginBinDirs": [],
        "store": { "name": "oras", "useHttp": true, "localCachePath": cache.to_string_lossy() },
    })
}
