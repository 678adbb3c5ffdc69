//! HTTP/1.1 by hand: only so can it be broken as the tables ask.

use std::{future::pending, io, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    time::sleep,
};

use super::{Body, Call, Reply, Response, State};
use crate::asked::Asked;

/// Largest head that the fake reads.
const MAX_HEAD_BYTES: usize = 256 << 10;

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
        let _under_way = state.begin();
        let (reply, latency) = state.receive(call.clone()).await;
        if !latency.is_zero() {
            sleep(latency).await;
        }
        let response = match reply {
            Reply::Close => return Ok(End::Close),
            Reply::Edited(change) => change(&call, state.faithful(&call)),
            Reply::Faithful => state.faithful(&call),
            Reply::Own(response) => response,
            Reply::Raw(pieces, pause) => {
                for piece in pieces {
                    sleep(pause).await;
                    write(stream, &piece).await?;
                }
                return Ok(End::Close);
            }
            Reply::Reset(bytes) => {
                write(stream, &bytes).await?;
                return Ok(End::Reset);
            }
            Reply::Silent => pending().await,
        };
        if respond(stream, response).await? == Keep::Close {
            return Ok(End::Close);
        }
    }
    Ok(End::Close)
}

async fn read<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>) -> io::Result<Option<Call>> {
    let Some(Asked { method, target, headers, body }) = Asked::read(stream, buffer, MAX_HEAD_BYTES).await? else {
        return Ok(None);
    };
    Ok(Some(Call { method, target, headers, body: String::from_utf8_lossy(&body).into_owned() }))
}

#[derive(PartialEq, Eq)]
enum Keep {
    Close,
    Open,
}

async fn respond<S: AsyncWrite + Unpin>(stream: &mut S, response: Response) -> io::Result<Keep> {
    let Response { status, headers, body } = response;
    let mut head = format!("HTTP/1.1 {status} Fake\r\n");
    for (name, value) in &headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    let framing = match &body {
        Body::Chunked(..) | Body::Endless(..) => "Transfer-Encoding: chunked\r\n".to_owned(),
        Body::Declared(_, length) => format!("Content-Length: {length}\r\n"),
        Body::UntilClose(_) => "Connection: close\r\n".to_owned(),
        Body::Whole(bytes) => format!("Content-Length: {}\r\n", bytes.len()),
    };
    head.push_str(&framing);
    head.push_str("\r\n");
    match body {
        Body::Whole(bytes) => {
            head.reserve(bytes.len());
            let mut whole = head.into_bytes();
            whole.extend_from_slice(&bytes);
            write(stream, &whole).await?;
            return Ok(Keep::Open);
        }
        Body::Declared(bytes, _) | Body::UntilClose(bytes) => {
            write(stream, head.as_bytes()).await?;
            write(stream, &bytes).await?;
        }
        Body::Chunked(chunks, pause) => {
            write(stream, head.as_bytes()).await?;
            for bytes in chunks {
                chunk(stream, &bytes, pause).await?;
            }
            write(stream, b"0\r\n\r\n").await?;
            return Ok(Keep::Open);
        }
        Body::Endless(bytes, pause) => {
            write(stream, head.as_bytes()).await?;
            loop {
                chunk(stream, &bytes, pause).await?;
            }
        }
    }
    Ok(Keep::Close)
}

async fn chunk<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &Bytes, pause: Duration) -> io::Result<()> {
    if !pause.is_zero() {
        sleep(pause).await;
    }
    write(stream, format!("{:x}\r\n", bytes.len()).as_bytes()).await?;
    write(stream, bytes).await?;
    write(stream, b"\r\n").await
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}
