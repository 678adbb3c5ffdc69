//! A provider that says yes and does nothing: what the harness and this machine can do at best. Speaks the same TLS as the product, in a
//! process of its own (this binary again).

use std::{io, path::Path, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::{parent, pem};

#[derive(Deserialize)]
struct Question<'a> {
    #[serde(borrow)]
    request: Request<'a>,
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

/// The process itself: `load null FOLDER`, with `tls.crt`, `tls.key` and `ca.crt` in the folder. Says where it listens, and ends with
/// its standard input.
///
/// # Errors
/// It cannot listen.
pub async fn serve(folder: &Path) -> io::Result<()> {
    let acceptor = TlsAcceptor::from(Arc::new(server_config(folder)?));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    parent::say(&listener.local_addr()?.to_string())?;
    let accepting = async {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    // A client that goes away ends its connection, and nothing else.
                    let _ = answer(&mut stream).await;
                }
            });
        }
    };
    let mut told = parent::lines();
    tokio::select! {
        () = accepting => {}
        _ = told.recv() => {}
    }
    Ok(())
}

fn server_config(folder: &Path) -> io::Result<ServerConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let roots = Arc::new(pem::roots(&folder.join("ca.crt"))?);
    let clients = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(pem::wrong)?
        .with_client_cert_verifier(clients.map_err(pem::wrong)?)
        .with_single_cert(pem::certificates(&folder.join("tls.crt"))?, pem::key(&folder.join("tls.key"))?)
        .map_err(pem::wrong)?;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let head = loop {
            if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at.saturating_add(4);
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let length = {
            let text = String::from_utf8_lossy(buffer.get(..head).unwrap_or_default());
            let length = text.split("\r\n").find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            length.unwrap_or_default()
        };
        let end = head.saturating_add(length);
        while buffer.len() < end {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        let reply = reply(buffer.get(head..end).unwrap_or_default());
        stream.write_all(&reply).await?;
        stream.flush().await?;
        buffer.drain(..end);
    }
}

/// Yes to everything.
fn reply(body: &[u8]) -> Vec<u8> {
    let keys = serde_json::from_slice::<Question<'_>>(body).map(|question| question.request.keys).unwrap_or_default();
    let items: Vec<String> = keys
        .iter()
        .map(|key| format!(r#"{{"key":{key},"value":{{"isSuccess":true,"succeeded":true,"verifierReports":[]}}}}"#))
        .collect();
    let body = format!(
        "{{\"apiVersion\":\"externaldata.gatekeeper.sh/v1beta1\",\"kind\":\"ProviderResponse\",\"response\":{{\"items\":[{}]}}}}\n",
        items.join(",")
    );
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}
