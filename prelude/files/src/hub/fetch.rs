//! From a name to weights on this disk.

use std::path::{Path, PathBuf};

use super::cache_dirs::CacheDirs;
use super::find::find_in;
#[cfg(feature = "hub")]
use super::find::{ENDINGS, own, weights};
use super::model::Model;
#[cfg(feature = "hub")]
use super::model::{Known, Origin};
#[cfg(feature = "hub")]
use super::server::Hub;
use super::sha256::sha256;
use crate::error::{Error, Result};

/// A network on this disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The file with its weights; where there are several, the one that [`find`](super::find) gives.
    pub weights: PathBuf,
    /// All its files.
    pub files: Vec<FetchedFile>,
    /// Whether it was there before, so that no server was asked.
    pub was_there: bool,
    /// Why a server that was asked was of no use, where what is there may be a part of what there should be.
    pub doubt: Option<String>,
}

/// One file of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// Its check sum, as it is now, in hexadecimal digits.
    pub sha256: String,
}

/// Downloads a network, unless it is on this disk.
///
/// `model` is a short name ([`MODELS`](super::MODELS)), `OWNER/NAME` of the hub, or the address of a file. Of a
/// repository come `.json` and the weights: `.safetensors`, `.bin`, `.pt`, `.pth`, of files that differ only in their
/// ending the first one. A repository that has no short name is asked about even when some of it is there, since only
/// the hub knows whether that is all.
///
/// # Errors
/// [`Error::Missing`] names every place that was tried, and how to get the network by hand; [`Error::Interrupted`]
/// when the user stops it, and the next call goes on.
///
/// # Example: without a network, what is missing is named
/// ```no_run
/// # use itd_files as itd_prelude;
/// use itd_prelude::hub;
///
/// let ddpm = hub::fetch("ddpm-cifar10")?;
/// println!("{}", ddpm.weights.display());
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn fetch(model: &str) -> Result<Fetched> {
    let (model, places) = (Model::named(model)?, CacheDirs::from_env());
    #[cfg(feature = "hub")]
    let hub = Hub::from_env();
    #[cfg(feature = "hub")]
    let hub = hub.as_ref();
    #[cfg(not(feature = "hub"))]
    let hub = None;
    fetch_to(&model, &places, hub)
}

/// What stands in for the hub where there is none.
#[cfg(not(feature = "hub"))]
type Hub = std::convert::Infallible;

/// As [`fetch`], from a hub and to places of the caller's choice.
pub(super) fn fetch_to(model: &Model, places: &CacheDirs, hub: Option<&Hub>) -> Result<Fetched> {
    let found = find_in(model, places);
    if let (Ok(weights), true) = (&found, !matches!(model, Model::Repository(_))) {
        return on_disk(weights, None);
    }
    let why = match download(model, places, hub) {
        Ok(paths) => return downloaded(&paths),
        Err(Error::Interrupted(stopped)) => return Err(Error::Interrupted(stopped)),
        Err(error) => match error {
            Error::Missing { what, .. } => what,
            other => other.to_string(),
        },
    };
    match found {
        Ok(weights) => on_disk(&weights, Some(why)),
        Err(mut tried) => {
            tried.push(why);
            Err(Error::Missing {
                what: format!("{model} was not found: {}", tried.join(", ")),
                next: model.advice(),
            })
        }
    }
}

#[cfg(not(feature = "hub"))]
fn download(_: &Model, _: &CacheDirs, _: Option<&Hub>) -> Result<Vec<PathBuf>> {
    Err(Error::Missing {
        what: "no server is asked, since this was built without the feature `hub`".into(),
        next: "build with it",
    })
}

/// The files of the network, downloaded, weights first.
#[cfg(feature = "hub")]
fn download(model: &Model, places: &CacheDirs, hub: Option<&Hub>) -> Result<Vec<PathBuf>> {
    let lacking = |what: &str| Error::Missing {
        what: what.to_owned(),
        next: "set it",
    };
    let hub = hub.ok_or_else(|| lacking("no server is asked (HF_HUB_OFFLINE)"))?;
    if let Some(repository) = model.repository() {
        let cache = places.caches.first();
        let cache =
            cache.ok_or_else(|| lacking("the hub has no folder for its cache (HF_HUB_CACHE)"))?;
        let snapshot = hub.fetch(&repository, cache, &|names| wanted(model, names))?;
        let names = model.names();
        let mut files = snapshot.files;
        // What `find` would give stands first.
        let first = match names.is_empty() {
            true => weights(&snapshot.folder),
            false => None,
        };
        files.sort_by_key(|path| match &first {
            Some(first) => path != first,
            None => !names.iter().any(|name| path.ends_with(name)),
        });
        return Ok(files);
    }
    let (Some(url), Some(place)) = (model.url(), own(model, places)) else {
        return Err(lacking(
            "there is no folder for what is downloaded (ITD_CACHE)",
        ));
    };
    hub.fetch_url(url, &place)?;
    Ok(vec![place])
}

/// The files of a repository that are wanted; none without weights.
#[cfg(feature = "hub")]
fn wanted(model: &Model, names: &[&str]) -> Vec<String> {
    let mut chosen: Vec<String> = Vec::new();
    if let Model::Known(Known {
        origin: Origin::Hub { weights, .. },
        ..
    }) = model
    {
        chosen.extend(
            weights
                .iter()
                .find(|name| names.contains(name))
                .map(|&name| name.into()),
        );
        let config = names.iter().filter(|&&name| name == "config.json");
        match chosen.is_empty() {
            true => return chosen,
            false => chosen.extend(config.map(|&name| name.into())),
        }
        return chosen;
    }
    let stem = |name: &str| Path::new(name).with_extension("");
    let better = |name: &str, other: &str| {
        stem(name) == stem(other) && ending(Path::new(other)) < ending(Path::new(name))
    };
    let weights = names
        .iter()
        .filter(|name| ending(Path::new(name)) < ENDINGS.len());
    let weights = weights.filter(|name| !names.iter().any(|other| better(name, other)));
    chosen.extend(weights.map(|&name| name.to_owned()));
    if !chosen.is_empty() {
        let settings = names.iter().filter(|name| name.ends_with(".json"));
        chosen.extend(settings.map(|&name| name.to_owned()));
    }
    chosen
}

/// The place of a file's ending among those of weights.
#[cfg(feature = "hub")]
fn ending(path: &Path) -> usize {
    let ending = path.extension().and_then(|ending| ending.to_str());
    let place = ENDINGS.iter().position(|known| Some(*known) == ending);
    place.unwrap_or(ENDINGS.len())
}

fn downloaded(paths: &[PathBuf]) -> Result<Fetched> {
    let files: Vec<FetchedFile> = paths.iter().map(|path| file(path)).collect::<Result<_>>()?;
    let first = files.first().ok_or(Error::Empty {
        what: "the download",
    })?;
    Ok(Fetched {
        weights: first.path.clone(),
        files,
        was_there: false,
        doubt: None,
    })
}

/// Weights that were there, and the settings beside them.
fn on_disk(weights: &Path, doubt: Option<String>) -> Result<Fetched> {
    let mut files = vec![file(weights)?];
    let config = weights.with_file_name("config.json");
    if config.is_file() {
        files.push(file(&config)?);
    }
    Ok(Fetched {
        weights: weights.to_owned(),
        files,
        was_there: true,
        doubt,
    })
}

fn file(path: &Path) -> Result<FetchedFile> {
    let (sha256, bytes) = sha256(path).map_err(|cause| Error::File {
        path: path.to_owned(),
        cause: cause.into(),
    })?;
    Ok(FetchedFile {
        path: path.to_owned(),
        bytes,
        sha256,
    })
}

#[cfg(all(test, feature = "hub"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_of_a_repository() {
        let ddpm = Model::named("ddpm-cifar10").unwrap();
        let (best, second) = (
            "diffusion_pytorch_model.safetensors",
            "diffusion_pytorch_model.bin",
        );
        let some = ["README.md", "config.json", second, "scheduler_config.json"];
        assert_eq!(wanted(&ddpm, &some), [second, "config.json"]);
        let all = [&some[..], &[best]].concat();
        assert_eq!(wanted(&ddpm, &all), [best, "config.json"]);
        assert!(wanted(&ddpm, &["config.json", "other.safetensors"]).is_empty());

        let other = Model::named("someone/net").unwrap();
        let names = [
            "a.bin",
            "a.safetensors",
            "sub/a.bin",
            "b.pt",
            "b.pth",
            "x.json",
            "y.md",
        ];
        assert_eq!(
            wanted(&other, &names),
            ["a.safetensors", "sub/a.bin", "b.pt", "x.json"]
        );
        assert!(wanted(&other, &["x.json", "README.md"]).is_empty());
    }
}
