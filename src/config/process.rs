//! What the process was given: its environment, read once and handed out.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The environment, as far as anything of ours may look at it. Its values may be secrets: `Debug` shows names only.
#[derive(Clone, Default)]
pub struct Process {
    variables: BTreeMap<String, String>,
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

impl Process {
    /// This process's environment. What is not UTF-8 is nothing that we read.
    pub fn current() -> Self {
        let utf8 =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self { variables: utf8.collect() }
    }

    /// An environment of these variables, for tests.
    pub fn of<const N: usize>(variables: [(&str, &str); N]) -> Self {
        Self { variables: variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect() }
    }

    pub(crate) const fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// A variable that is set and not empty.
    fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether colour is unwanted (no-color.org: set and not empty, whatever its value).
    pub fn no_color(&self) -> bool {
        self.get("NO_COLOR").is_some()
    }

    /// The host's name: in a Pod, the Pod's.
    pub fn host_name(&self) -> Option<&str> {
        self.get("HOSTNAME")
    }

    /// Docker's `config.json`, where there is one: in `DOCKER_CONFIG`, else in the home's `.docker`.
    pub fn docker_config(&self) -> Option<PathBuf> {
        let folder = match (self.get("DOCKER_CONFIG"), self.get("HOME")) {
            (Some(folder), _) => PathBuf::from(folder),
            (None, Some(home)) => Path::new(home).join(".docker"),
            (None, None) => return None,
        };
        Some(folder.join("config.json")).filter(|file| file.is_file())
    }

    /// Where traces go by OpenTelemetry's own variables.
    ///
    /// Rule: OpenTelemetry, "OTLP Exporter Configuration": the general endpoint is a base for the signal's path.
    pub fn otlp_endpoint(&self) -> Option<String> {
        let of_traces = self.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").map(str::to_owned);
        let general = || self.get("OTEL_EXPORTER_OTLP_ENDPOINT");
        of_traces.or_else(|| general().map(|base| format!("{}/v1/traces", base.trim_end_matches('/'))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_is_as_good_as_none() {
        assert!(!Process::of([("NO_COLOR", "")]).no_color());
        assert!(Process::of([("NO_COLOR", "0")]).no_color());
        assert_eq!(Process::default().docker_config(), None);
        let folder = tempfile::tempdir().unwrap();
        let docker = Process::of([("DOCKER_CONFIG", folder.path().to_str().unwrap())]);
        assert_eq!(docker.docker_config(), None, "no such file");
        std::fs::write(folder.path().join("config.json"), "{}").unwrap();
        assert_eq!(docker.docker_config(), Some(folder.path().join("config.json")));
    }

    #[test]
    fn traces_go_where_the_environment_says() {
        let (traces, general) = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT");
        assert_eq!(Process::default().otlp_endpoint(), None);
        let base = Process::of([(general, "http://collector:4318/")]);
        assert_eq!(base.otlp_endpoint().as_deref(), Some("http://collector:4318/v1/traces"));
        let both = Process::of([(general, "http://collector:4318"), (traces, "http://other:1/t")]);
        assert_eq!(both.otlp_endpoint().as_deref(), Some("http://other:1/t"));
    }

    #[test]
    fn values_are_not_shown() {
        assert_eq!(format!("{:?}", Process::of([("A_TOKEN", "hidden")])), r#"{"A_TOKEN"}"#);
    }
}
