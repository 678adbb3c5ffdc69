//! HTTP/1.1 by hand: only so can it be cut in the middle.

use std::{collections::BTreeMap, io, sync::Arc};

use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split},
    sync::mpsc::UnboundedReceiver,
};

use super::{Call, State, answer::Answer, lock, watch_stream::Frame};
use crate::asked::Asked;

/// Largest head and body that the fake reads; an API server takes 3 MiB.
const MAX_BYTES: usize = 4 << 20;

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// In order.
    Close,
    /// With a reset.
    Reset,
}

/// Serves calls until the connection ends.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, state: &Arc<State>) -> io::Result<End> {
    let mut buffer = Vec::new();
    while let Some(call) = read(stream, &mut buffer).await? {
        match state.answer(call).await {
            Answer::Cut(body) => {
                let head = head(state, 200, "application/json", &format!("Content-Length: {}", body.len()));
                write(stream, head.as_bytes()).await?;
                write(stream, body.get(..body.len() / 2).unwrap_or_default()).await?;
                return Ok(End::Close);
            }
            Answer::Drop => return Ok(End::Close),
            Answer::Json(status, value) => document(stream, state, status, &value, "").await?,
            Answer::Raw(status, body) => {
                let head = head(state, status, "text/plain", &format!("Content-Length: {}", body.len()));
                write(stream, &[head.as_bytes(), body.as_bytes()].concat()).await?;
            }
            Answer::RetryAfter(status, seconds, value) => {
                document(stream, state, status, &value, &format!("Retry-After: {seconds}\r\n")).await?;
            }
            Answer::Reset => return Ok(End::Reset),
            Answer::Watch(frames) => return watch(stream, state, frames).await,
        }
    }
    Ok(End::Close)
}

async fn read<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>) -> io::Result<Option<Call>> {
    let Some(asked) = Asked::read(stream, buffer, MAX_BYTES).await? else { return Ok(None) };
    let headers: BTreeMap<String, String> =
        asked.headers.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
    assert!(!headers.contains_key("transfer-encoding"), "clients announce how long their bodies are");
    Ok(Some(Call::parse(&asked.method, &asked.target, &headers, &asked.body)))
}

fn head(state: &State, status: u16, content_type: &str, last: &str) -> String {
    let date = lock(&state.date).as_ref().map(|date| format!("Date: {date}\r\n")).unwrap_or_default();
    format!("HTTP/1.1 {status} Fake\r\n{date}Content-Type: {content_type}\r\n{last}\r\n\r\n")
}

async fn document<S: AsyncWrite + Unpin>(
    stream: &mut S,
    state: &State,
    status: u16,
    value: &Value,
    more: &str,
) -> io::Result<()> {
    let body = value.to_string();
    let head = head(state, status, "application/json", &format!("{more}Content-Length: {}", body.len()));
    write(stream, &[head.as_bytes(), body.as_bytes()].concat()).await
}

/// Sends what happens, until one side has enough.
async fn watch<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    state: &State,
    mut frames: UnboundedReceiver<Frame>,
) -> io::Result<End> {
    let (mut reading, mut writing) = split(stream);
    write(&mut writing, head(state, 200, "application/json", "Transfer-Encoding: chunked").as_bytes()).await?;
    let mut ignored = [0; 64];
    loop {
        let frame = tokio::select! {
            frame = frames.recv() => frame,
            read = reading.read(&mut ignored) => match read? {
                0 => return Ok(End::Close),
                _ => continue,
            },
        };
        match frame {
            Some(Frame::Event(event)) => chunk(&mut writing, format!("{event}\n").as_bytes()).await?,
            Some(Frame::Half(event)) => {
                let line = event.to_string();
                chunk(&mut writing, line.as_bytes().get(..line.len() / 2).unwrap_or_default()).await?;
                return Ok(End::Close);
            }
            Some(Frame::Reset) => return Ok(End::Reset),
            // The server's own end of a watch, as after its time-out.
            Some(Frame::End) | None => {
                write(&mut writing, b"0\r\n\r\n").await?;
                return Ok(End::Close);
            }
        }
    }
}

async fn chunk<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> io::Result<()> {
    write(stream, &[format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()).await
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}
