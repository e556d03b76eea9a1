//! A small server that speaks the hub's protocol, and serves single files as any server does.

// Each test takes what it needs of these.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest, Sha256};

/// What the server has, and what it was asked for.
#[derive(Default)]
pub struct State {
    /// By `datasets/NAME` or `models/OWNER/NAME`, the files in the order of the list.
    pub repositories: BTreeMap<String, Vec<(String, Vec<u8>)>>,
    /// Files that belong to no repository, by path, with their tags.
    pub files: BTreeMap<String, (Vec<u8>, Option<String>)>,
    /// Paths that lead to other addresses.
    pub moved: BTreeMap<String, String>,
    /// Whether to announce other checksums than those of the files.
    pub wrong_sum: bool,
    /// Bytes after which the line breaks.
    pub cut: Option<usize>,
    /// Bytes after which nothing comes any more, though the line stays.
    pub silent: Option<usize>,
    /// The answer to everything.
    pub status: Option<&'static str>,
    /// Whether to send every file from its beginning.
    pub from_the_beginning: bool,
    /// Path, first byte, and whether a token was told.
    pub asked: Vec<(String, usize, bool)>,
}

/// A running server.
pub struct Server {
    pub address: String,
    state: Arc<Mutex<State>>,
}

/// What matters of a request.
#[derive(Default)]
struct Request {
    path: String,
    start: usize,
    if_range: Option<String>,
    token: bool,
}

/// What is sent.
struct Answer {
    status: &'static str,
    headers: String,
    body: Vec<u8>,
}

impl Server {
    pub fn start(state: State) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(&stream.unwrap(), &shared));
            }
        });
        Self { address, state }
    }

    /// Changes what the server does.
    pub fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    /// What the server was asked since the last call, as `PATH from BYTE`.
    pub fn asked(&self) -> Vec<String> {
        let asked = std::mem::take(&mut self.state.lock().unwrap().asked);
        let line = |(path, start, _)| format!("{path} from {start}");
        asked.into_iter().map(line).collect()
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn serve(stream: &TcpStream, state: &Mutex<State>) {
    let Some(request) = read(stream) else { return };
    let mut state = state.lock().unwrap();
    let asked = (request.path.clone(), request.start, request.token);
    state.asked.push(asked);
    let answer = answer(&state, &request);
    let full = answer.body.len();
    let listed = request.path.starts_with("/api/");
    let cut = state.cut.filter(|_| !listed);
    let silent = state.silent.filter(|_| !listed);
    drop(state);
    let sent = full.min(cut.or(silent).unwrap_or(full));
    let head = format!(
        "HTTP/1.1 {}\r\nContent-Length: {full}\r\nConnection: close\r\n{}\r\n",
        answer.status, answer.headers
    );
    let mut stream = stream;
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(&answer.body[..sent]);
    if silent.is_some() {
        std::thread::sleep(Duration::from_secs(60));
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let first = lines.next()?.ok()?;
    let mut request = Request {
        path: first.split(' ').nth(1)?.to_owned(),
        ..Default::default()
    };
    for line in lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
    {
        let (name, value) = line.split_once(": ")?;
        match name.to_lowercase().as_str() {
            "range" => {
                let start = value.strip_prefix("bytes=")?.trim_end_matches('-');
                request.start = start.parse().ok()?;
            }
            "if-range" => request.if_range = Some(value.to_owned()),
            "authorization" => request.token = true,
            _ => {}
        }
    }
    Some(request)
}

fn answer(state: &State, request: &Request) -> Answer {
    let plain = |status, body: &str| Answer {
        status,
        headers: String::new(),
        body: body.into(),
    };
    if let Some(status) = state.status {
        return plain(status, "no");
    }
    if let Some(to) = state.moved.get(&request.path) {
        return Answer {
            headers: format!("Location: {to}\r\n"),
            ..plain("302 Found", "")
        };
    }
    if let Some(rest) = request.path.strip_prefix("/api/") {
        return match rest
            .split_once("/revision/")
            .and_then(|(name, _)| state.repositories.get(name))
        {
            Some(files) => plain("200 OK", &list(files, state.wrong_sum)),
            None => plain("404 Not Found", "{}"),
        };
    }
    let Some((body, tag)) = file(state, &request.path) else {
        return plain("404 Not Found", "");
    };
    let changed = request.if_range.is_some() && request.if_range != tag;
    let start = match state.from_the_beginning || changed {
        true => 0,
        false => request.start,
    };
    let mut headers = tag
        .map(|tag| format!("ETag: {tag}\r\n"))
        .unwrap_or_default();
    let length = body.len();
    if start >= length.max(1) {
        return plain("416 Range Not Satisfiable", "");
    }
    if start == 0 {
        return Answer {
            status: "200 OK",
            headers,
            body,
        };
    }
    headers.push_str(&format!(
        "Content-Range: bytes {start}-{}/{length}\r\n",
        length - 1
    ));
    Answer {
        status: "206 Partial Content",
        headers,
        body: body[start..].to_vec(),
    }
}

/// The file at a path, and its tag.
fn file(state: &State, path: &str) -> Option<(Vec<u8>, Option<String>)> {
    if let Some(found) = state.files.get(path) {
        return Some(found.clone());
    }
    let (name, rest) = path.strip_prefix('/')?.split_once("/resolve/c0ffee/")?;
    let name = match name.starts_with("datasets/") {
        true => name.to_owned(),
        false => format!("models/{name}"),
    };
    let files = state.repositories.get(&name)?;
    let (_, body) = files.iter().find(|(name, _)| name == rest)?;
    Some((body.clone(), None))
}

/// The hub's list: small files are not in its large file storage, and have no checksum.
fn list(files: &[(String, Vec<u8>)], wrong_sum: bool) -> String {
    let file = |(name, bytes): &(String, Vec<u8>)| {
        let mut sum = sha256(bytes);
        if wrong_sum {
            sum = sum.chars().rev().collect();
        }
        let lfs = match name.ends_with(".json") {
            true => serde_json::Value::Null,
            false => serde_json::json!({"sha256": sum, "size": bytes.len(), "pointerSize": 134}),
        };
        serde_json::json!({"rfilename": name, "size": bytes.len(), "lfs": lfs})
    };
    let files: Vec<_> = files.iter().map(file).collect();
    serde_json::json!({"sha": "c0ffee", "siblings": files}).to_string()
}
