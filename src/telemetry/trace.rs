//! Traces: a caller's `traceparent`, and export by OTLP.

use std::{fmt::Debug, sync::Arc, time::Duration};

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState},
};
use opentelemetry_otlp::{ExporterBuildError, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};
use reqwest::{Certificate, Client, redirect::Policy};
use tokio::runtime::Handle;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::{Otlp, SCOPE};

/// Longest that one batch may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// A caller's trace: who asked us, in the caller's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    trace: TraceId,
    span: SpanId,
    flags: TraceFlags,
}

impl Parent {
    /// Parses a `traceparent`. `None` for anything that is not exactly one: a stranger's text is no id (REQ-33, OPS-13).
    ///
    /// Rule: W3C Trace Context, "traceparent header field values".
    pub fn parse(text: &str) -> Option<Self> {
        // A later version may append fields to the four; version ff is forbidden.
        let bytes = text.as_bytes();
        let (version, rest) = text.split_at_checked(2)?;
        let lower_hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let known = version == "00" && bytes.len() == 55;
        let later = lower_hex(version) && version != "00" && version != "ff" && bytes.len() <= 512;
        if !(known || (later && (bytes.len() == 55 || bytes.get(55) == Some(&b'-')))) {
            return None;
        }
        let mut fields = rest.strip_prefix('-')?.split('-');
        let (trace, span, flags) = (fields.next()?, fields.next()?, fields.next()?);
        if trace.len() != 32 || span.len() != 16 || flags.len() != 2 || ![trace, span, flags].into_iter().all(lower_hex)
        {
            return None;
        }
        let trace = TraceId::from_hex(trace).ok().filter(|id| *id != TraceId::INVALID)?;
        let span = SpanId::from_hex(span).ok().filter(|id| *id != SpanId::INVALID)?;
        let flags = u8::from_str_radix(flags, 16).ok()?;
        // Only the sampled flag has a meaning in version 00.
        Some(Self { trace, span, flags: TraceFlags::new(flags) & TraceFlags::SAMPLED })
    }

    /// The trace's id: 32 lower-case hex digits.
    pub fn trace_id(&self) -> String {
        self.trace.to_string()
    }

    /// Makes `span` a child of the caller's.
    pub fn adopt(&self, span: &Span) {
        let remote = SpanContext::new(self.trace, self.span, self.flags, true, TraceState::NONE);
        if let Err(error) = span.set_parent(Context::new().with_remote_span_context(remote)) {
            tracing::debug!(%error, "the span has no parent");
        }
    }
}

/// Exports spans to a collector, in batches.
pub(super) fn provider(otlp: &Otlp, runtime: &Handle) -> Result<SdkTracerProvider, ExporterBuildError> {
    // The client is made inside the runtime that it will be used in.
    let entered = runtime.enter();
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_endpoint(otlp.endpoint.as_str())
        .with_http_client(client().map_err(|error| ExporterBuildError::InternalFailure(error.to_string()))?)
        .build()?;
    drop(entered);
    let exporter = OnRuntime { exporter: Arc::new(exporter), runtime: runtime.clone() };
    let resource = Resource::builder_empty().with_service_name(SCOPE).build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

/// The machine's authorities, so that a collector may have a certificate of the operator's own; where there are none, as
/// in an image without a certificate bundle, those that are compiled in.
fn client() -> reqwest::Result<Client> {
    let builder = || Client::builder().timeout(EXPORT_TIMEOUT).redirect(Policy::none());
    builder().build().or_else(|_| builder().tls_certs_only(public_roots()).build())
}

fn public_roots() -> impl Iterator<Item = Certificate> {
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
    roots.filter_map(|root| Certificate::from_der(root).ok())
}

/// The batch processor works on a plain thread, where an HTTP client finds no reactor; this takes each export to one.
#[derive(Debug)]
struct OnRuntime<E> {
    exporter: Arc<E>,
    runtime: Handle,
}

impl<E: SpanExporter + 'static> SpanExporter for OnRuntime<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exporter = Arc::clone(&self.exporter);
        let sent = self.runtime.spawn(async move { exporter.export(batch).await });
        sent.await.map_err(|error| OTelSdkError::InternalFailure(error.to_string()))?
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
    };

    use opentelemetry::trace::TracerProvider as _;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_traceparent_is_read() {
        assert_eq!(Parent::parse(GOOD).unwrap().trace_id(), "0af7651916cd43dd8448eb211c80319c");
        assert!(Parent::parse("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later").is_some());
    }

    // REQ-33, OPS-13
    #[test]
    fn anything_else_is_no_id() {
        let long = format!("{GOOD}{}", "0".repeat(1 << 20));
        let long_later = format!("01{}-{}", GOOD.trim_start_matches("00"), "0".repeat(1 << 20));
        for text in [
            "",
            "00",
            "é0-",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319\n-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c8031-9cb7ad6b7169203331-01",
            &long,
            &long_later,
        ] {
            assert_eq!(Parent::parse(text), None, "{}", &text.chars().take(60).collect::<String>());
        }
    }

    #[test]
    fn compiled_in_authorities_make_a_client_on_their_own() {
        let roots: Vec<_> = public_roots().collect();
        assert_eq!(roots.len(), webpki_root_certs::TLS_SERVER_ROOT_CERTS.len());
        assert!(Client::builder().tls_certs_only(roots).build().is_ok());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn spans_reach_the_collector_under_the_callers_trace() {
        let collector = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}/v1/traces", collector.local_addr().unwrap());
        let provider = provider(&Otlp { endpoint: endpoint.parse().unwrap() }, &Handle::current()).unwrap();
        let collected = std::thread::spawn(move || {
            let (mut stream, _) = collector.accept().unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let trace = TraceId::from_hex("0af7651916cd43dd8448eb211c80319c").unwrap().to_bytes();
            let mut bytes = Vec::new();
            while !bytes.windows(16).any(|window| window == trace) {
                let mut part = [0; 4096];
                let read = stream.read(&mut part).unwrap();
                assert_ne!(read, 0, "the collector never saw the caller's trace");
                bytes.extend_from_slice(&part[..read]);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
            bytes
        });
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer(SCOPE));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let span = tracing::info_span!(target: "countersign", "provider_request");
            Parent::parse(GOOD).unwrap().adopt(&span);
            span.in_scope(|| {});
        });
        tokio::task::spawn_blocking(move || provider.force_flush()).await.unwrap().unwrap();
        assert!(collected.join().unwrap().starts_with(b"POST /v1/traces HTTP/1.1\r\n"));
    }
}
