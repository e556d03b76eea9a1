//! A server that speaks the hub's protocol.

use std::env;
use std::fmt;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::download::{Download, download, refusal};
use super::repository::{Kind, Repository, is_plain};
use crate::error::{Error, Result};
use crate::progress::Progress;

/// Most that the hub's answer about a repository may weigh, in bytes.
const LARGEST_ANSWER: u64 = 8 << 20;

/// Longest silence of a server.
const PATIENCE: Duration = Duration::from_secs(30);

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

/// A server that speaks the hub's protocol, and the way to any other.
#[derive(Debug)]
pub struct Hub {
    agent: ureq::Agent,
    endpoint: String,
    token: Option<String>,
}

/// Files of a repository that are in the cache now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Their folder.
    pub folder: PathBuf,
    /// The files below it, in the order of the hub's list.
    pub files: Vec<PathBuf>,
}

impl fmt::Display for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.endpoint)
    }
}

impl Hub {
    /// The hub that the environment names; none when it says to stay offline.
    pub fn from_env() -> Option<Self> {
        let value = |name: &str| env::var(name).ok().filter(|v| !v.is_empty());
        let offline = value("HF_HUB_OFFLINE")
            .is_some_and(|v| ["1", "true", "yes", "on"].contains(&v.to_lowercase().as_str()));
        let endpoint = value("HF_ENDPOINT").unwrap_or("https://huggingface.co".into());
        (!offline).then(|| Self::new(&endpoint, value("HF_TOKEN")))
    }

    /// The hub at an address.
    pub fn new(endpoint: &str, token: Option<String>) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE))
            .http_status_as_error(false)
            .user_agent("itd")
            .build();
        Self {
            agent: config.new_agent(),
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token,
        }
    }

    /// Downloads the files of a repository that `choose` picks from their names, and gives their folder in the cache.
    /// Files that are there already are not asked for again, those begun are gone on with.
    ///
    /// # Errors
    /// [`Error::Network`] when the server does not answer, or not with a list or a file; [`Error::Missing`] when
    /// `choose` picks nothing; [`Error::File`] when the disk refuses or a checksum is wrong; [`Error::Interrupted`].
    pub fn fetch(
        &self,
        repository: &Repository,
        cache: &Path,
        choose: &dyn Fn(&[&str]) -> Vec<String>,
    ) -> Result<Snapshot> {
        let info = self.info(repository)?;
        let plain = info
            .siblings
            .iter()
            .filter(|file| is_plain(&file.rfilename));
        let plain: Vec<&Sibling> = plain.collect();
        let names: Vec<&str> = plain.iter().map(|file| file.rfilename.as_str()).collect();
        let chosen = choose(&names);
        let wanted = plain
            .into_iter()
            .filter(|file| chosen.contains(&file.rfilename));
        let mut wanted: Vec<&Sibling> = wanted.collect();
        if wanted.is_empty() || !is_plain(&info.sha) {
            return Err(Error::Missing {
                what: format!("{self} holds nothing of use under {}", repository.name),
                next: "look at the repository's files on the hub",
            });
        }
        // Settings before weights: where there are weights, the rest is there as well.
        wanted.sort_by_key(|file| !file.rfilename.ends_with(".json"));
        let root = cache.join(repository.folder());
        let folder = root.join("snapshots").join(&info.sha);
        let kind = match repository.kind {
            Kind::Dataset => "datasets/",
            Kind::Model => "",
        };
        let mut bar = None;
        for file in &wanted {
            let place = folder.join(&file.rfilename);
            if place.is_file() {
                continue;
            }
            let bar = bar.get_or_insert_with(|| {
                let lacking = wanted
                    .iter()
                    .filter(|file| !folder.join(&file.rfilename).is_file());
                let bytes = lacking.map(|file| file.size.unwrap_or(0)).sum();
                Progress::bytes(format!("downloading {}", repository.name), bytes)
            });
            bar.note(&file.rfilename);
            let name = in_url(&file.rfilename);
            let path = format!("{}/resolve/{}/{name}", repository.name, info.sha);
            let what = Download {
                url: format!("{}/{kind}{path}", self.endpoint),
                token: self.token.as_deref(),
                place: &place,
                size: file.size,
                sha256: file.lfs.as_ref().map(|lfs| lfs.sha256.as_str()),
                // A commit's files never change.
                changes: false,
            };
            download(&self.agent, &what, bar)?;
        }
        if let Some(mut bar) = bar {
            bar.note("");
            bar.finish();
        }
        let branch = root.join("refs").join(&repository.revision);
        // Only so that others find the snapshot; ours are found without.
        let _ = fs::create_dir_all(branch.parent().unwrap_or(&root))
            .and_then(|()| fs::write(&branch, &info.sha));
        let files = wanted
            .iter()
            .map(|file| folder.join(&file.rfilename))
            .collect();
        Ok(Snapshot { folder, files })
    }

    /// Downloads a file from any server to its place, unless it is there. The token is not told.
    ///
    /// # Errors
    /// [`Error::Network`], [`Error::File`], [`Error::Interrupted`].
    pub fn fetch_url(&self, url: &str, place: &Path) -> Result<()> {
        if place.is_file() {
            return Ok(());
        }
        let name = place.file_name().unwrap_or_default().display();
        let mut bar = Progress::bytes(format!("downloading {name}"), 0);
        let what = Download {
            url: url.to_owned(),
            token: None,
            place,
            size: None,
            sha256: None,
            changes: true,
        };
        if download(&self.agent, &what, &mut bar)? {
            bar.finish();
        }
        Ok(())
    }

    fn info(&self, repository: &Repository) -> Result<Info> {
        let kind = match repository.kind {
            Kind::Dataset => "datasets",
            Kind::Model => "models",
        };
        let revision = repository.revision.replace('/', "%2F");
        let name = &repository.name;
        let url = format!(
            "{}/api/{kind}/{name}/revision/{revision}?blobs=true",
            self.endpoint
        );
        let mut request = self.agent.get(&url);
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let told = |cause: String| Error::Network {
            url: url.clone(),
            cause,
        };
        let answer = request.call().map_err(|error| told(error.to_string()))?;
        if answer.status() != 200 {
            return Err(told(refusal(answer.status().as_u16())));
        }
        let reader = answer.into_body().into_reader().take(LARGEST_ANSWER);
        serde_json::from_reader(reader)
            .map_err(|error| told(format!("the answer is no list of files: {error}")))
    }
}

/// The name of a file as it stands in an address.
fn in_url(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                text.push(byte.into());
            }
            other => text += &format!("%{other:02X}"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_stand_in_addresses_as_they_are_meant() {
        assert_eq!(in_url("a/model.safetensors"), "a/model.safetensors");
        assert_eq!(in_url("my config #1?.json"), "my%20config%20%231%3F.json");
        assert_eq!(in_url("50%41é"), "50%2541%C3%A9");
    }
}
