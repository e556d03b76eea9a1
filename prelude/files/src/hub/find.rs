//! Whether a network is on this disk.

use std::path::{Path, PathBuf};

use super::cache_dirs::CacheDirs;
use super::model::{Model, place};
use super::repository::entries;
use crate::error::{Error, Result};

/// Endings of files that hold weights, the better one first.
pub(super) const ENDINGS: [&str; 4] = ["safetensors", "bin", "pt", "pth"];

/// Folders within folders that are looked into for weights.
const DEPTH: usize = 3;

/// The weights of a network, if they are on this disk. Nothing is downloaded; [`fetch`](super::fetch) does that.
///
/// `model` is a short name ([`MODELS`](super::MODELS)), `OWNER/NAME` of the hub, or the address of a file. Looked into
/// are the folder that `ITD_DATA` names (itself, its subfolder of that name, and both below `models`), the hub's
/// cache, and our own.
pub fn find(model: &str) -> Option<PathBuf> {
    find_in(&Model::named(model).ok()?, &CacheDirs::from_env()).ok()
}

/// The weights of several networks, all of which must be on this disk. Nothing is downloaded.
///
/// # Errors
/// [`Error::Missing`] lists all that are not there, with their sizes and the commands that get them.
///
/// # Example
/// ```
/// # use itd_files as itd_prelude;
/// use itd_prelude::hub;
///
/// match hub::need(["ddpm-cifar10", "iddpm-cifar10-vlb"]) {
///     Ok([ddpm, iddpm]) => println!("{} and {}", ddpm.display(), iddpm.display()),
///     Err(error) => assert!(error.to_string().contains("`itd fetch ")),
/// }
/// ```
pub fn need<const N: usize>(models: [&str; N]) -> Result<[PathBuf; N]> {
    need_in(models, &CacheDirs::from_env())
}

fn need_in<const N: usize>(models: [&str; N], places: &CacheDirs) -> Result<[PathBuf; N]> {
    let mut found = [const { PathBuf::new() }; N];
    let mut missing = Vec::new();
    for (name, place) in models.iter().zip(&mut found) {
        let model = Model::named(name)?;
        match find_in(&model, places) {
            Ok(path) => *place = path,
            Err(_) => missing.push(match model {
                Model::Known(known) => {
                    let megabytes = 4.0 * known.parameters as f64 / 1e6;
                    format!("`itd fetch {name}` ({megabytes:.0} MB)")
                }
                _ => format!("`itd fetch {name}`"),
            }),
        }
    }
    if missing.is_empty() {
        return Ok(found);
    }
    Err(Error::Missing {
        what: format!(
            "{} of {N} networks {} not on this disk: run {}",
            missing.len(),
            if missing.len() == 1 { "is" } else { "are" },
            missing.join(" and ")
        ),
        next: "or put them into the folder that ITD_DATA names",
    })
}

/// The weights of a network, or what was tried in vain.
pub(super) fn find_in(
    model: &Model,
    places: &CacheDirs,
) -> std::result::Result<PathBuf, Vec<String>> {
    let mut tried = Vec::new();
    match &places.named {
        None => tried.push("ITD_DATA is not set".to_owned()),
        Some(named) => {
            let folders = model.folders();
            for folder in &folders {
                if let Some(found) = weights_in(&named.join(folder), &model.names()) {
                    return Ok(found);
                }
            }
            let folders = folders
                .iter()
                .map(|folder| named.join(folder).display().to_string());
            let folders: Vec<String> = folders.collect();
            tried.push(format!(
                "ITD_DATA does not hold it (looked into {})",
                folders.join(", ")
            ));
        }
    }
    if let Some(repository) = model.repository() {
        for cache in &places.caches {
            for snapshot in repository.snapshots(cache) {
                if let Some(found) = weights_in(&snapshot, &model.names()) {
                    return Ok(found);
                }
            }
            let root = cache.join(repository.folder());
            tried.push(match root.is_dir() {
                true => format!("{} holds no weights", root.display()),
                false => format!("{} is not there", root.display()),
            });
        }
    }
    if let Some(path) = own(model, places) {
        match path.is_file() {
            true => return Ok(path),
            false => tried.push(format!("{} is not there", path.display())),
        }
    }
    Err(tried)
}

/// The place of a file from another server than the hub.
pub(super) fn own(model: &Model, places: &CacheDirs) -> Option<PathBuf> {
    let parts = place(model.url()?).ok()?;
    let mut path = places.own.clone()?;
    path.extend(parts);
    Some(path)
}

/// The file of weights in a folder or below it: safetensors before pickled ones, a file of the folder itself before one
/// of its subfolders, then by name. Of a network in several files it is their index.
pub fn weights(folder: &Path) -> Option<PathBuf> {
    weights_in(folder, &[])
}

/// The first of the named files, or any weights when none are named.
fn weights_in(folder: &Path, names: &[String]) -> Option<PathBuf> {
    if !names.is_empty() {
        let mut paths = names.iter().map(|name| folder.join(name));
        return paths.find(|path| path.is_file());
    }
    let mut level = vec![folder.to_owned()];
    let mut found: Vec<(usize, usize, PathBuf)> = Vec::new();
    for depth in 0..=DEPTH {
        let mut next = Vec::new();
        for path in level.iter().flat_map(|folder| entries(folder)) {
            match rank(&path) {
                Some(rank) if path.is_file() => found.push((rank, depth, path)),
                _ if path.is_dir() => next.push(path),
                _ => {}
            }
        }
        level = next;
    }
    found.into_iter().min().map(|(_, _, path)| path)
}

/// How good a kind of weights is, the lower the better; an index stands just before the files of its kind.
fn rank(path: &Path) -> Option<usize> {
    let name = path.file_name()?.to_str()?;
    let (name, index) = match name.strip_suffix(".index.json") {
        Some(name) => (name, 0),
        None => (name, 1),
    };
    let (_, ending) = name.rsplit_once('.')?;
    let place = ENDINGS.iter().position(|known| *known == ending)?;
    Some(2 * place + index)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn write(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"weights").unwrap();
    }

    #[test]
    fn all_that_is_missing_is_listed_at_once() {
        let root = std::env::temp_dir().join(format!("itd-need-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let places = CacheDirs {
            named: Some(root.clone()),
            caches: Vec::new(),
            own: None,
        };
        let both = ["ddpm-cifar10", "iddpm-cifar10-vlb"];
        let text = need_in(both, &places).unwrap_err().to_string();
        assert!(
            text.contains("2 of 2 networks are not on this disk"),
            "{text}"
        );
        assert!(
            text.contains("`itd fetch ddpm-cifar10` (143 MB) and `itd fetch iddpm"),
            "{text}"
        );
        let (ddpm, iddpm) = (
            root.join("ddpm-cifar10/diffusion_pytorch_model.bin"),
            root.join("cifar10_uncond_vlb_50M_500K.pt"),
        );
        write(&ddpm);
        let text = need_in(both, &places).unwrap_err().to_string();
        assert!(
            text.contains("1 of 2 networks is") && !text.contains("fetch ddpm"),
            "{text}"
        );
        write(&iddpm);
        assert_eq!(need_in(both, &places).unwrap(), [ddpm, iddpm]);
        let unknown = need_in(["ddpm"], &places).unwrap_err().to_string();
        assert!(unknown.contains("there is no model"), "{unknown}");
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn each_place_is_looked_into_in_its_order() {
        let root = std::env::temp_dir().join(format!("itd-find-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let places = CacheDirs {
            named: Some(root.join("data")),
            caches: vec![root.join("hub")],
            own: Some(root.join("own")),
        };
        let file = "cifar10_uncond_vlb_50M_500K.pt";
        let server = "openaipublic.blob.core.windows.net/diffusion/march-2021";
        // From the last place to the first: each newcomer is found before the ones that are there.
        for (model, path) in [
            ("iddpm-cifar10-vlb", format!("own/{server}/{file}")),
            (
                "iddpm-cifar10-vlb",
                format!("data/models/iddpm-cifar10-vlb/{file}"),
            ),
            ("iddpm-cifar10-vlb", format!("data/{file}")),
            (
                "ddpm-cifar10",
                "hub/models--google--ddpm-cifar10-32/snapshots/b/diffusion_pytorch_model.bin"
                    .into(),
            ),
            (
                "ddpm-cifar10",
                "data/google/ddpm-cifar10-32/diffusion_pytorch_model.safetensors".into(),
            ),
            (
                "ddpm-cifar10",
                "data/ddpm-cifar10/diffusion_pytorch_model.bin".into(),
            ),
            ("someone/net", "data/models/net/deep/er/x.pt".into()),
            ("someone/net", "data/someone/net/x.pt".into()),
            ("https://a.example/b/c.pt", "own/a.example/b/c.pt".into()),
        ] {
            let model = Model::named(model).unwrap();
            let path = root.join(path);
            write(&path);
            assert_eq!(find_in(&model, &places), Ok(path));
        }
        let tried = find_in(&Model::named("iddpm-cifar10-hybrid").unwrap(), &places).unwrap_err();
        let tried = tried.join("; ");
        for part in ["data/models", "own/openaipublic", "is not there"] {
            assert!(tried.contains(part), "{tried}");
        }
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn safetensors_stand_before_pickles_and_near_before_far() {
        let root = std::env::temp_dir().join(format!("itd-weights-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        assert_eq!(weights(&root), None);
        for name in [
            "a.pt",
            "b.bin",
            "sub/c.safetensors",
            "z.safetensors",
            "y.safetensors",
        ] {
            write(&root.join(name));
            // Each is better than those before it.
            assert_eq!(weights(&root), Some(root.join(name)));
        }
        write(&root.join("y.safetensors.index.json"));
        assert_eq!(weights(&root), Some(root.join("y.safetensors.index.json")));
        fs::remove_file(root.join("y.safetensors.index.json")).unwrap();
        write(&root.join("x.safetensors.part"));
        write(&root.join("config.json"));
        assert_eq!(weights(&root), Some(root.join("y.safetensors")));
        fs::remove_dir_all(root).unwrap();
    }
}
