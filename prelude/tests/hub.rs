//! The hub's protocol, spoken by a small server here: what is downloaded, gone on with, and refused.
//!
//! One test, since the environment that it sets is the whole process's.
#![cfg(feature = "hub")]

mod files;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use files::Folder;
use itd_prelude::data::mnist;
use itd_prelude::pl::ParquetCompression;
use sha2::{Digest, Sha256};

/// What the server has, and what it was asked for.
#[derive(Default)]
struct State {
    parquet: Vec<u8>,
    /// Whether to announce another checksum than that of the file.
    wrong_sum: bool,
    /// Another name than the file's own.
    rename: Option<String>,
    /// Bytes after which the line breaks.
    cut: Option<usize>,
    asked: Vec<String>,
}

fn serve(state: Arc<Mutex<State>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().unwrap().unwrap();
            let path = first.split(' ').nth(1).unwrap().to_owned();
            let mut start = 0;
            for line in lines
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty())
            {
                let line = line.to_lowercase();
                if let Some(range) = line.strip_prefix("range: bytes=") {
                    start = range.trim_end_matches('-').parse().unwrap();
                }
            }
            let mut state = state.lock().unwrap();
            state.asked.push(format!("{path} from {start}"));
            let body = match path.starts_with("/api/") {
                true => info(&state).into_bytes(),
                false => state.parquet[start..].to_vec(),
            };
            let status = if start > 0 {
                "206 Partial Content"
            } else {
                "200 OK"
            };
            let sent = match path.starts_with("/api/") {
                true => body.len(),
                false => state.cut.unwrap_or(body.len()).min(body.len()),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(&body[..sent]);
        }
    });
    address
}

fn info(state: &State) -> String {
    let mut sum: String = Sha256::digest(&state.parquet)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    if state.wrong_sum {
        sum = sum.chars().rev().collect();
    }
    let size = state.parquet.len();
    let names = ["mnist/train/0000.parquet", "mnist/test/0000.parquet"].map(String::from);
    let mut names = names.to_vec();
    names.extend(state.rename.clone());
    let file =
        |name: String| serde_json::json!({"rfilename": name, "size": size, "lfs": {"sha256": sum}});
    let files: Vec<_> = names.into_iter().map(file).collect();
    serde_json::json!({"sha": "c0ffee", "siblings": files}).to_string()
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files_in(&path)),
            path => found.push(path),
        }
    }
    found.sort();
    found
}

#[test]
fn a_set_comes_from_the_hub_once() {
    let shape = [1, 28, 28];
    let pictures: Vec<_> = (0..3)
        .map(|i| files::png(&vec![40 * i + 9; 784], shape))
        .collect();
    let parquet = files::parquet(
        "image",
        &pictures,
        Some(&[7, 1, 2]),
        ParquetCompression::Snappy,
    );
    let state = Arc::new(Mutex::new(State {
        parquet: parquet.clone(),
        ..State::default()
    }));
    let address = serve(state.clone());
    let cache = Folder::new("hub");
    let set = |name: &str, value: &str| {
        // SAFETY: this process has this one test, and no other thread reads the environment.
        unsafe { std::env::set_var(name, value) }
    };
    set("HF_HUB_CACHE", &cache.0.display().to_string());
    set("HF_ENDPOINT", &address);
    set("ITD_DATA", "");
    let snapshot = cache
        .0
        .join("datasets--ylecun--mnist/snapshots/c0ffee/mnist");
    let asked = || std::mem::take(&mut state.lock().unwrap().asked);

    // Another checksum than announced: refused, and nothing stays.
    state.lock().unwrap().wrong_sum = true;
    let error = mnist().unwrap_err().to_string();
    assert!(error.contains("not what the hub announced"), "{error}");
    assert!(
        error.contains(&address) && error.contains("curl"),
        "{error}"
    );
    assert_eq!(files_in(&cache.0), Vec::<PathBuf>::new());
    state.lock().unwrap().wrong_sum = false;

    // The line breaks: what came stays, and the next call goes on from there.
    state.lock().unwrap().cut = Some(100);
    assert!(mnist().is_err());
    let part = snapshot.join("train/0000.parquet.part");
    assert_eq!(fs::metadata(&part).unwrap().len(), 100);
    state.lock().unwrap().cut = None;
    asked();
    let data = mnist().unwrap();
    assert_eq!(data.train.x.dims(), [3, 1, 28, 28]);
    assert_eq!(data.test.labels, Some(vec![7, 1, 2]));
    let log = asked();
    assert!(log[1].ends_with("train/0000.parquet from 100"), "{log:?}");
    assert!(log[2].ends_with("test/0000.parquet from 0"), "{log:?}");
    assert_eq!(
        fs::read(snapshot.join("train/0000.parquet")).unwrap(),
        parquet
    );

    // Now it is in the cache: the hub is not asked again.
    assert_eq!(mnist().unwrap().train.len(), 3);
    assert_eq!(asked(), Vec::<String>::new());

    // A name that leads out of the folder is not followed.
    fs::remove_dir_all(cache.0.join("datasets--ylecun--mnist")).unwrap();
    state.lock().unwrap().rename = Some("mnist/test/../../../../../escaped.parquet".into());
    mnist().unwrap();
    assert!(
        files_in(&cache.0)
            .iter()
            .all(|path| path.starts_with(&snapshot) || path.ends_with("parquet"))
    );
    assert!(asked().iter().all(|path| !path.contains("escaped")));

    // Offline by wish, and with nobody there.
    fs::remove_dir_all(cache.0.join("datasets--ylecun--mnist")).unwrap();
    set("HF_HUB_OFFLINE", "1");
    let error = mnist().unwrap_err().to_string();
    assert!(error.contains("HF_HUB_OFFLINE"), "{error}");
    set("HF_HUB_OFFLINE", "0");
    set("HF_ENDPOINT", "http://127.0.0.1:1");
    let error = mnist().unwrap_err().to_string();
    assert!(error.contains("127.0.0.1:1"), "{error}");
}
