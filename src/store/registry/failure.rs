//! What an HTTP client's error means.

use std::{error::Error, io};

use super::resolver::Denied;
use crate::reason::printable;

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Not HTTP that we accept (REG-55).
    BadHttp(String),
    /// An address rule, met while connecting.
    Denied(Denied),
    /// No TLS that can be trusted (REG-56, REG-57).
    Tls(String),
    /// No connection, or it broke.
    Unavailable(String),
}

/// Reads the cause out of `error`'s chain. `plain`: it was plain HTTP.
pub(super) fn classify(error: &reqwest::Error, plain: bool) -> Failure {
    let mut text = String::new();
    let mut http = None;
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(denied) = current.downcast_ref::<Denied>() {
            return Failure::Denied(denied.clone());
        }
        if let Some(tls) = current.downcast_ref::<rustls::Error>() {
            return Failure::Tls(tls_text(tls));
        }
        http = http.or(current.downcast_ref::<hyper::Error>());
        text = current.to_string();
        // An I/O error's `source` leaves out the error that it wraps.
        cause = match current.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => current.source(),
        };
    }
    let text = printable(&text, 200);
    match http {
        Some(http) if http.is_parse() && plain && http.to_string().contains("version") => Failure::Tls(
            "it does not answer in plain HTTP; if it has TLS, remove plainHttp from its entry in hosts".to_owned(),
        ),
        Some(http) if http.is_parse() => Failure::BadHttp(text),
        _ if error.is_timeout() => Failure::Unavailable("no connection within the connect timeout".to_owned()),
        _ => Failure::Unavailable(text),
    }
}

fn tls_text(error: &rustls::Error) -> String {
    let text = printable(&error.to_string(), 200);
    if matches!(error, rustls::Error::InvalidMessage(_)) {
        format!("{text}; if it speaks plain HTTP, set plainHttp on its entry in hosts")
    } else {
        text
    }
}
