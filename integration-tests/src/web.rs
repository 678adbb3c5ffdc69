//! A forward proxy that is the whole web: what it has, it answers by absolute URL; everything else is a 404.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What one address answers.
#[derive(Debug, Clone)]
pub struct Page {
    /// The whole URL; of a responder its beginning.
    pub url: String,
    /// An OCSP responder: a POST goes to the URL itself, a GET to what lies below.
    pub responder: bool,
    /// The status.
    pub status: u16,
    /// Its media type.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
}

/// A request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// `GET` or `POST`.
    pub method: String,
    /// In absolute form.
    pub url: String,
    /// The media type of what was posted.
    pub content_type: Option<String>,
    /// What was posted.
    pub body: Vec<u8>,
}

/// The proxy, on loopback, until it is dropped.
#[derive(Debug)]
pub struct Web {
    url: String,
    pages: Arc<Mutex<Vec<Page>>>,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    task: JoinHandle<()>,
}

impl Drop for Web {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Web {
    /// Serves `pages`.
    pub async fn start(pages: Vec<Page>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (pages, arrived) = (Arc::new(Mutex::new(pages)), Arc::new(Mutex::default()));
        let (shown, seen) = (Arc::clone(&pages), Arc::clone(&arrived));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (pages, arrived) = (Arc::clone(&shown), Arc::clone(&seen));
                tokio::spawn(async move { answer(stream, &pages, &arrived).await });
            }
        });
        Self { url, pages, arrived, task }
    }

    /// The proxy's own URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Replaces what there is.
    pub fn show(&self, pages: Vec<Page>) {
        *self.pages.lock().expect("no panic") = pages;
    }

    /// All requests so far, in order.
    pub fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().expect("no panic").clone()
    }
}

/// The pages of a directory with a `urls.json` as the fixtures have it.
pub fn pages(folder: &Path) -> Vec<Page> {
    let text = std::fs::read_to_string(folder.join("trust/web/urls.json")).expect("the list of pages");
    let listed: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).expect("a map by URL");
    let page = |(url, page): (String, serde_json::Value)| {
        let text = |name: &str| page[name].as_str().expect("a text").to_owned();
        Page {
            url,
            responder: text("match") == "prefix",
            status: page["status"].as_u64().and_then(|status| status.try_into().ok()).expect("a status"),
            content_type: text("contentType"),
            body: std::fs::read(folder.join(text("path"))).expect("the page"),
        }
    };
    listed.into_iter().map(page).collect()
}

async fn answer(mut stream: TcpStream, pages: &Mutex<Vec<Page>>, arrived: &Mutex<Vec<Arrived>>) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let mut words = head.split(' ');
    let (method, url) = (words.next()?.to_owned(), words.next()?.to_owned());
    let length = header("content-length").map_or(0, |length| length.parse().expect("a length"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let is = |page: &&Page| match (page.responder, method.as_str()) {
        (false, "GET") | (true, "POST") => page.url == url,
        (true, "GET") => url.strip_prefix(&page.url).is_some_and(|rest| rest.len() > 1 && rest.starts_with('/')),
        _ => false,
    };
    let page = pages.lock().expect("no panic").iter().find(is).cloned();
    arrived.lock().expect("no panic").push(Arrived { method, url, content_type: header("content-type"), body });
    let (status, content_type, body) =
        page.map_or((404, String::new(), Vec::new()), |page| (page.status, page.content_type, page.body));
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), &body].concat()).await.ok()?;
    stream.shutdown().await.ok()
}
