//! Health, readiness and metrics, on a port of their own: plain HTTP, for the kubelet and Prometheus. Never on the port that
//! Gatekeeper asks (OPS-09).

use std::sync::{Arc, atomic::Ordering};

use actix_web::{HttpResponse, http::header::ContentType, web};

use super::{http::State, tls::Readiness};
use crate::reason;

/// `GET /healthz`, `GET /readyz`, `GET /metrics`.
pub(super) fn routes(state: &Arc<State>, service: &mut web::ServiceConfig) {
    service
        .app_data(web::Data::from(Arc::clone(state)))
        .route("/healthz", web::get().to(health))
        .route("/readyz", web::get().to(readiness))
        .route("/metrics", web::get().to(metrics));
}

async fn health() -> HttpResponse {
    text(HttpResponse::Ok(), "ok\n")
}

async fn readiness(state: web::Data<State>) -> HttpResponse {
    let not_ready = |why: &'static str| text(HttpResponse::ServiceUnavailable(), why);
    if state.draining.load(Ordering::Relaxed) {
        not_ready("shutting down\n")
    } else if state.generations.current().is_none() {
        not_ready("no configuration has been loaded yet\n")
    } else if state.generations.is_stale() {
        not_ready("the configuration in force could not be renewed for too long\n")
    } else if !state.generations.knows_pull_secrets() {
        not_ready("pull Secrets have not been read yet\n")
    } else {
        match state.tls.as_ref().map_or(Readiness::Ready, |tls| tls.readiness(state.clock.now())) {
            Readiness::CertificateEnded => not_ready("the serving certificate is not valid, or ends within a minute\n"),
            Readiness::NoCertificate => not_ready("there is no serving certificate yet\n"),
            Readiness::NoClientCa => not_ready("the client CA has not been read yet\n"),
            Readiness::Ready => text(HttpResponse::Ok(), "ready\n"),
            Readiness::ReadyButEnding => {
                text(HttpResponse::Ok(), "ready, but the serving certificate ends within a day and is not renewed\n")
            }
        }
    }
}

async fn metrics(state: web::Data<State>) -> HttpResponse {
    match state.telemetry.prometheus_text() {
        Ok(metrics) => HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(metrics),
        Err(error) => {
            tracing::error!(target: "countersign", error = reason::chain(&error), "metrics cannot be written");
            text(HttpResponse::InternalServerError(), "metrics cannot be written\n")
        }
    }
}

fn text(mut response: actix_web::HttpResponseBuilder, body: &'static str) -> HttpResponse {
    response.content_type(ContentType::plaintext()).body(body)
}
