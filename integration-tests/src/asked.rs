//! What a client asked of a server that is written by hand.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// A request in HTTP/1.1, as it came.
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    /// In the order and letter case in which they came.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    /// Reads the next one of a connection, whose bytes that belong to later ones stay in `buffer`; `None`: there is none. `most`:
    /// bytes of a head, and of a body, whose length must be announced.
    pub(crate) async fn read<S: AsyncRead + Unpin>(
        stream: &mut S,
        buffer: &mut Vec<u8>,
        most: usize,
    ) -> io::Result<Option<Self>> {
        let head_end = loop {
            if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            if buffer.len() > most || stream.read_buf(buffer).await? == 0 {
                return Ok(None);
            }
        };
        let body_start = head_end.saturating_add(4);
        let head = String::from_utf8_lossy(buffer.get(..head_end).unwrap_or_default()).into_owned();
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let header = |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        let mut asked = Self { method, target, headers: lines.filter_map(header).collect(), body: Vec::new() };
        let length: usize = asked.header("Content-Length").and_then(|text| text.parse().ok()).unwrap_or_default();
        let end = body_start.saturating_add(length.min(most));
        while buffer.len() < end {
            if stream.read_buf(buffer).await? == 0 {
                return Ok(None);
            }
        }
        buffer.get(body_start..end).unwrap_or_default().clone_into(&mut asked.body);
        buffer.drain(..end);
        Ok(Some(asked))
    }

    /// The first header of a name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// A value of a query or a form.
pub(crate) fn decode(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let hex: Vec<u8> = bytes.by_ref().take(2).collect();
                std::str::from_utf8(&hex).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or(b'?')
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&out).into_owned()
}
