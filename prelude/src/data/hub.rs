//! The Hugging Face hub: the last place in which a published data set is looked for.
//!
//! Files land in the hub's own cache layout (`datasets--OWNER--NAME/snapshots/COMMIT/…`), so that other
//! programs find them there too. `HF_ENDPOINT` names another server, `HF_TOKEN` a token, and
//! `HF_HUB_OFFLINE=1` keeps this file silent, as the hub's own library has it.

use std::env;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::known::Known;
use crate::error::{Error, Result};
use crate::progress::Progress;

/// The branch in which the hub keeps every data set as Parquet.
const REVISION: &str = "refs/convert/parquet";

/// Most that the hub's answer about a repository may weigh, in bytes.
const LARGEST_ANSWER: u64 = 8 << 20;

/// How a download failed, or that it should not be tried.
pub(super) type Why = String;

/// What the hub says of a repository.
#[derive(Deserialize)]
struct Info {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

/// One of its files.
#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: String,
}

/// A server that speaks the hub's protocol.
#[derive(Debug)]
pub(super) struct Hub {
    agent: ureq::Agent,
    endpoint: String,
    token: Option<String>,
}

impl fmt::Display for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.endpoint)
    }
}

impl Hub {
    /// The hub that the environment names; none when it says to stay offline.
    pub(super) fn from_env() -> Option<Self> {
        let value = |name: &str| env::var(name).ok().filter(|v| !v.is_empty());
        let offline = value("HF_HUB_OFFLINE")
            .is_some_and(|v| ["1", "true", "yes", "on"].contains(&v.to_lowercase().as_str()));
        let endpoint = value("HF_ENDPOINT").unwrap_or("https://huggingface.co".into());
        (!offline).then(|| Self::new(&endpoint, value("HF_TOKEN")))
    }

    pub(super) fn new(endpoint: &str, token: Option<String>) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_recv_response(Some(Duration::from_secs(30)))
            .build();
        Self {
            agent: config.new_agent(),
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token,
        }
    }

    /// Downloads a set into the hub's cache and gives the folder of its snapshot.
    ///
    /// # Errors
    /// [`Error::Interrupted`]; all else is a reason, since the caller has other places to name.
    pub(super) fn fetch(&self, known: &Known, cache: &Path) -> Result<Result<PathBuf, Why>> {
        let name = known.repositories[0];
        let info = match self.info(name) {
            Ok(info) => info,
            Err(why) => return Ok(Err(why)),
        };
        let root = cache.join(format!("datasets--{}", name.replace('/', "--")));
        let snapshot = root.join("snapshots").join(&info.sha);
        let parts = ["train/", "test/"].map(|part| format!("{}/{part}", known.config));
        let wanted: Vec<&Sibling> = info
            .siblings
            .iter()
            .filter(|file| parts.iter().any(|part| file.rfilename.starts_with(part)))
            .filter(|file| file.rfilename.ends_with(".parquet") && is_plain(&file.rfilename))
            .collect();
        if wanted.is_empty() || !is_plain(&info.sha) {
            return Ok(Err(format!("holds no Parquet files of {name}")));
        }
        for file in wanted {
            match self.file(known, name, &info.sha, file, &snapshot) {
                Ok(()) => {}
                Err(Error::Interrupted(stopped)) => return Err(Error::Interrupted(stopped)),
                Err(error) => return Ok(Err(error.to_string())),
            }
        }
        let branch = root.join("refs").join(REVISION);
        // Only so that others find the snapshot; the search finds it without.
        let _ = fs::create_dir_all(branch.parent().unwrap_or(&root))
            .and_then(|()| fs::write(&branch, &info.sha));
        Ok(Ok(snapshot))
    }

    fn get(&self, url: &str) -> ureq::RequestBuilder<ureq::typestate::WithoutBody> {
        let request = self.agent.get(url).header("User-Agent", "itd");
        match &self.token {
            Some(token) => request.header("Authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    fn info(&self, name: &str) -> Result<Info, Why> {
        let revision = REVISION.replace('/', "%2F");
        let url = format!(
            "{}/api/datasets/{name}/revision/{revision}?blobs=true",
            self.endpoint
        );
        let answer = self.get(&url).call().map_err(|error| error.to_string())?;
        let reader = answer.into_body().into_reader().take(LARGEST_ANSWER);
        serde_json::from_reader(reader).map_err(|error| format!("answers what is no list: {error}"))
    }

    /// Downloads one file, goes on where an earlier try stopped, and puts it in its place when all of it is
    /// there and right.
    fn file(
        &self,
        known: &Known,
        name: &str,
        commit: &str,
        file: &Sibling,
        snapshot: &Path,
    ) -> Result<()> {
        let place = snapshot.join(&file.rfilename);
        if place.is_file() {
            return Ok(());
        }
        let part = place.with_extension("parquet.part");
        let told = |cause: io::Error| Error::File {
            path: part.clone(),
            cause: cause.into(),
        };
        fs::create_dir_all(place.parent().unwrap_or(snapshot)).map_err(told)?;
        let mut there = fs::metadata(&part).map_or(0, |meta| meta.len());
        if file.size.is_some_and(|size| there > size) {
            fs::remove_file(&part).map_err(told)?;
            there = 0;
        }
        let url = format!(
            "{}/datasets/{name}/resolve/{commit}/{}",
            self.endpoint, file.rfilename
        );
        if file.size != Some(there) {
            let mut request = self.get(&url);
            if there > 0 {
                request = request.header("Range", format!("bytes={there}-"));
            }
            let answer = request
                .call()
                .map_err(|error| told(io::Error::other(format!("{url}: {error}"))))?;
            // A server that does not go on begins again.
            let goes_on = answer.status() == 206;
            let mut out = match goes_on {
                true => File::options().append(true).open(&part),
                false => File::create(&part),
            }
            .map_err(told)?;
            let total = file.size.unwrap_or(0).max(1) >> 20;
            let mut bar = Progress::new(format!("downloading {}", known.name), total.max(1));
            let mut body = answer.into_body().into_reader();
            // One more than there should be, to see that there is no more.
            let mut left = file
                .size
                .map_or(u64::MAX, |size| size + 1 - if goes_on { there } else { 0 });
            let mut chunk = vec![0; 1 << 20];
            while left > 0 {
                let want = chunk
                    .len()
                    .min(usize::try_from(left).unwrap_or(chunk.len()));
                let count = fill(&mut body, &mut chunk[..want]).map_err(told)?;
                if count == 0 {
                    break;
                }
                out.write_all(&chunk[..count]).map_err(told)?;
                left -= count as u64;
                bar.step()?;
            }
            bar.finish();
        }
        check(&part, file)?;
        fs::rename(&part, &place).map_err(told)
    }
}

/// Whether a path from the network stays below the folder that it is put into.
fn is_plain(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    !path.is_empty() && parts.all(|part| matches!(part, std::path::Component::Normal(_)))
}

/// Reads until the buffer is full or the stream ends.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match from.read(&mut buffer[count..]) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // What came before the line broke is kept.
            Err(_) if count > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// Holds a finished download against the size and the checksum that the hub gave. A wrong one is removed, so
/// that the next try begins anew; a short one stays, to be gone on with.
fn check(part: &Path, file: &Sibling) -> Result<()> {
    let told = |cause: io::Error| Error::File {
        path: part.to_owned(),
        cause: cause.into(),
    };
    let got = fs::metadata(part).map_err(told)?.len();
    if let Some(size) = file.size.filter(|&size| got < size) {
        return Err(told(io::Error::other(format!(
            "the download ended after {got} of {size} bytes; call again to go on"
        ))));
    }
    let (mut digest, mut chunk) = (Sha256::new(), vec![0; 1 << 20]);
    let mut there = File::open(part).map_err(told)?;
    loop {
        match fill(&mut there, &mut chunk).map_err(told)? {
            0 => break,
            count => digest.update(&chunk[..count]),
        }
    }
    let sum: String = digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let right = file.lfs.as_ref().is_none_or(|lfs| lfs.sha256 == sum);
    if right && file.size.is_none_or(|size| got == size) {
        return Ok(());
    }
    fs::remove_file(part).map_err(told)?;
    Err(told(io::Error::other(
        "what was downloaded is not what the hub announced, and was removed; call again",
    )))
}
