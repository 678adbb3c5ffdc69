//! Gatekeeper's side of a connection: HTTP/1.1 by hand, so that the generator costs little beside what it measures; TLS with a client
//! certificate, never resumed, as Gatekeeper's client does.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// Longest reply that is read; Gatekeeper has no limit, ours is 8 MiB.
const MAX_REPLY: usize = 64 << 20;
const MAX_HEAD: usize = 64 << 10;

/// Where questions go.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its address.
    pub address: SocketAddr,
    /// The path that verifies.
    pub verify: String,
    /// The path that mutates.
    pub mutate: String,
    /// TLS; `None`: plain HTTP.
    pub tls: Option<Arc<ClientConfig>>,
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// One client, with one connection at most.
pub struct Client {
    target: Target,
    stream: Option<Box<dyn Duplex>>,
    buffer: Vec<u8>,
    keep: Keep,
    /// Connections made.
    pub connections: u64,
    /// Longest that a connection took to be made, TLS included.
    pub slowest_connection: Duration,
}

/// What happens to a connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// It is closed: a new connection for each request (Gatekeeper until 3.21).
    Close,
    /// It is used again (Gatekeeper from 3.22).
    Open,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Lost {
    /// The connection was refused, or its handshake failed.
    Connect(io::Error),
    /// It broke, or what came was no HTTP.
    Broken(io::Error),
    /// Nothing came in time.
    Late,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("target", &self.target.address).finish_non_exhaustive()
    }
}

impl Target {
    /// Connects, with TLS where there is any.
    ///
    /// # Errors
    /// The connection is refused, or the handshake fails.
    async fn connect(&self) -> io::Result<Box<dyn Duplex>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let Some(config) = &self.tls else { return Ok(Box::new(stream)) };
        let name = ServerName::IpAddress(self.address.ip().into());
        let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await?;
        Ok(Box::new(stream))
    }
}

impl Client {
    /// A client that has not connected yet.
    pub const fn new(target: Target, keep: Keep) -> Self {
        Self { target, stream: None, buffer: Vec::new(), keep, connections: 0, slowest_connection: Duration::ZERO }
    }

    /// Connects beforehand, where connections are kept. One that fails is made when it is needed.
    pub async fn open(&mut self) {
        if self.keep == Keep::Open && self.stream.is_none() {
            // Whoever asks next sees why it failed.
            let _ = self.connect().await;
        }
    }

    async fn connect(&mut self) -> Result<(), Lost> {
        let start = Instant::now();
        self.stream = Some(self.target.connect().await.map_err(Lost::Connect)?);
        self.connections += 1;
        self.slowest_connection = self.slowest_connection.max(start.elapsed());
        Ok(())
    }

    /// Sends a request, and gives the status and where the body is in the answer.
    ///
    /// # Errors
    /// [`Lost`]: there is no whole answer after `patience`.
    pub async fn post(&mut self, request: &[u8], patience: Duration) -> Result<(u16, &[u8]), Lost> {
        let exchanged = timeout(patience, self.exchange(request)).await;
        match exchanged {
            Ok(Ok(Answer { status, body, close })) => {
                if close || self.keep == Keep::Close {
                    self.stream = None;
                }
                Ok((status, self.buffer.get(body).unwrap_or_default()))
            }
            Ok(Err(lost)) => {
                self.stream = None;
                Err(lost)
            }
            Err(_) => {
                self.stream = None;
                Err(Lost::Late)
            }
        }
    }

    async fn exchange(&mut self, request: &[u8]) -> Result<Answer, Lost> {
        let used = self.stream.is_some();
        match self.try_exchange(request).await {
            // A server may close an idle connection at any moment; whoever asks then asks again on another, as Go's client does.
            Err(Lost::Broken(_)) if used && self.buffer.is_empty() => {
                self.stream = None;
                self.try_exchange(request).await
            }
            outcome => outcome,
        }
    }

    async fn try_exchange(&mut self, request: &[u8]) -> Result<Answer, Lost> {
        self.buffer.clear();
        if self.stream.is_none() {
            self.connect().await?;
        }
        let Self { stream: Some(stream), buffer, .. } = self else { return Err(Lost::Late) };
        let answered = async {
            stream.write_all(request).await?;
            stream.flush().await?;
            read(stream, buffer).await
        };
        answered.await.map_err(Lost::Broken)
    }
}

/// Where a reply is in the buffer.
struct Answer {
    status: u16,
    body: std::ops::Range<usize>,
    close: bool,
}

async fn read(stream: &mut Box<dyn Duplex>, buffer: &mut Vec<u8>) -> io::Result<Answer> {
    let malformed = |what: &'static str| io::Error::new(io::ErrorKind::InvalidData, what);
    let head_end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at.saturating_add(4);
        }
        if buffer.len() > MAX_HEAD {
            return Err(malformed("a head without end"));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let head = std::str::from_utf8(buffer.get(..head_end).unwrap_or_default()).map_err(|_| malformed("a head"))?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let status = status.ok_or_else(|| malformed("no status"))?;
    let (mut length, mut close, mut chunked) = (None, false, false);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse::<usize>().ok().filter(|length| *length <= MAX_REPLY);
        } else if name.eq_ignore_ascii_case("connection") {
            close = value.eq_ignore_ascii_case("close");
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            chunked = value.eq_ignore_ascii_case("chunked");
        }
    }
    if chunked {
        let end = read_chunks(stream, buffer, head_end).await?;
        return Ok(Answer { status, body: head_end..end, close });
    }
    let length = length.ok_or_else(|| malformed("no length"))?;
    let end = head_end.saturating_add(length);
    while buffer.len() < end {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(Answer { status, body: head_end..end, close })
}

/// Reads a chunked body, and closes its gaps in the buffer. Gives its end.
async fn read_chunks(stream: &mut Box<dyn Duplex>, buffer: &mut Vec<u8>, start: usize) -> io::Result<usize> {
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "chunks");
    let (mut at, mut body) = (start, Vec::new());
    loop {
        let line_end = loop {
            let rest = buffer.get(at..).unwrap_or_default();
            if let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
                break at.saturating_add(end);
            }
            if stream.read_buf(buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        let size = std::str::from_utf8(buffer.get(at..line_end).unwrap_or_default()).map_err(|_| malformed())?;
        let size = usize::from_str_radix(size.trim(), 16).map_err(|_| malformed())?;
        if size.saturating_add(body.len()) > MAX_REPLY {
            return Err(malformed());
        }
        let (data, end) = (line_end.saturating_add(2), line_end.saturating_add(size).saturating_add(4));
        while buffer.len() < end {
            if stream.read_buf(buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        if size == 0 {
            buffer.truncate(start);
            buffer.extend_from_slice(&body);
            return Ok(buffer.len());
        }
        body.extend_from_slice(buffer.get(data..data.saturating_add(size)).unwrap_or_default());
        at = end;
    }
}

/// Writes a request for keys, which need no escaping in JSON.
pub fn write_request<'a>(buffer: &mut Vec<u8>, path: &str, keys: impl Iterator<Item = &'a str> + Clone) {
    const START: &str =
        r#"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":["#;
    let body: usize = keys.clone().map(|key| key.len().saturating_add(3)).sum();
    let length = START.len().saturating_add(body.saturating_sub(1)).saturating_add(3);
    buffer.clear();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: countersign\r\nUser-Agent: Go-http-client/1.1\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{START}"
    );
    buffer.extend_from_slice(head.as_bytes());
    for (place, key) in keys.enumerate() {
        if place > 0 {
            buffer.push(b',');
        }
        buffer.push(b'"');
        buffer.extend_from_slice(key.as_bytes());
        buffer.push(b'"');
    }
    buffer.extend_from_slice(b"]}}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_announces_its_true_length() {
        for keys in [&[][..], &["a"], &["host/a:1", "host/b@sha256:0"]] {
            let mut buffer = Vec::new();
            write_request(&mut buffer, "/verify", keys.iter().copied());
            let text = String::from_utf8(buffer).expect("text");
            let (head, body) = text.split_once("\r\n\r\n").expect("a head");
            assert!(head.contains(&format!("Content-Length: {}", body.len())), "{text}");
            let document: serde_json::Value = serde_json::from_str(body).expect("JSON");
            assert_eq!(document["request"]["keys"], serde_json::json!(keys));
        }
    }
}
