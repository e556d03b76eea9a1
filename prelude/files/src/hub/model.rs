//! The published networks, and the names by which they are called.

use data_encoding::HEXLOWER;
use std::fmt;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::repository::{Repository, is_plain};
use crate::error::{Error, Result};

/// Where a published network comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A repository of the hub, whose weights lie in the first of these files that it has.
    Hub {
        /// `OWNER/NAME`.
        repository: &'static str,
        /// The files, the better one first.
        weights: &'static [&'static str],
    },
    /// A file on another server.
    Url(&'static str),
}

/// A published network that has a short name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The short name.
    pub name: &'static str,
    /// What it is.
    pub what: &'static str,
    /// Numbers in its tensors, of 4 bytes each.
    pub parameters: u64,
    /// Where it comes from.
    pub origin: Origin,
    /// How to get it by hand.
    advice: &'static str,
}

/// The networks that have short names.
pub static MODELS: [Known; 3] = [
    Known {
        name: "ddpm-cifar10",
        what: "DDPM of Ho et al. (2020), CIFAR-10, as converted for diffusers",
        parameters: 35_746_307,
        origin: Origin::Hub {
            repository: "google/ddpm-cifar10-32",
            weights: &[
                "diffusion_pytorch_model.safetensors",
                "diffusion_pytorch_model.bin",
            ],
        },
        advice: "where there is a network, get it with `curl --create-dirs --output-dir ddpm-cifar10 -LO \
                 'https://huggingface.co/google/ddpm-cifar10-32/resolve/main/{config.json,\
                 diffusion_pytorch_model.safetensors}'`, and put the folder into the one that ITD_DATA names",
    },
    Known {
        name: "iddpm-cifar10-vlb",
        what: "IDDPM of Nichol and Dhariwal (2021), CIFAR-10, trained on the bound L_vlb",
        parameters: 52_546_438,
        origin: Origin::Url(
            "https://openaipublic.blob.core.windows.net/diffusion/march-2021/\
             cifar10_uncond_vlb_50M_500K.pt",
        ),
        advice: "where there is a network, get it with `curl -LO \
                 https://openaipublic.blob.core.windows.net/diffusion/march-2021/\
                 cifar10_uncond_vlb_50M_500K.pt`, and put it into the folder that ITD_DATA names",
    },
    Known {
        name: "iddpm-cifar10-hybrid",
        what: "IDDPM of Nichol and Dhariwal (2021), CIFAR-10, trained on L_hybrid",
        parameters: 52_546_438,
        origin: Origin::Url(
            "https://openaipublic.blob.core.windows.net/diffusion/march-2021/\
             cifar10_uncond_50M_500K.pt",
        ),
        advice: "where there is a network, get it with `curl -LO \
                 https://openaipublic.blob.core.windows.net/diffusion/march-2021/\
                 cifar10_uncond_50M_500K.pt`, and put it into the folder that ITD_DATA names",
    },
];

/// A network that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Model {
    /// One with a short name.
    Known(&'static Known),
    /// All weights of a repository.
    Repository(Repository),
    /// A file on some server.
    Url(String),
}

impl Model {
    /// What a name means: a short name, `OWNER/NAME`, or the address of a file.
    ///
    /// # Errors
    /// [`Error::Missing`] when it is none of these, [`Error::Parameter`] for an address without a file's name.
    ///
    /// # Example
    /// ```
    /// # use itd_files as itd_prelude;
    /// use itd_prelude::hub::Model;
    ///
    /// assert_eq!(Model::named("ddpm-cifar10")?.to_string(), "google/ddpm-cifar10-32");
    /// assert!(Model::named("ddpm").unwrap_err().to_string().contains("iddpm-cifar10-vlb"));
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn named(name: &str) -> Result<Self> {
        if let Some(known) = MODELS.iter().find(|known| known.name == name) {
            return Ok(Self::Known(known));
        }
        if name.contains("://") {
            place(name)?;
            return Ok(Self::Url(name.to_owned()));
        }
        if name.contains('/') {
            return Ok(Self::Repository(Repository::model(name)?));
        }
        let names = MODELS.map(|known| known.name).join(", ");
        Err(Error::Missing {
            what: format!("there is no model {name:?}; known are {names}"),
            next: "other ones are called by the hub's OWNER/NAME, or by the address of a file (https://…)",
        })
    }

    /// Its repository on the hub, if it has one.
    pub fn repository(&self) -> Option<Repository> {
        match self {
            Self::Known(known) => match known.origin {
                Origin::Hub { repository, .. } => Repository::model(repository).ok(),
                Origin::Url(_) => None,
            },
            Self::Repository(repository) => Some(repository.clone()),
            Self::Url(_) => None,
        }
    }

    /// The address of its file, if it is one.
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::Known(Known {
                origin: Origin::Url(url),
                ..
            }) => Some(url),
            Self::Url(url) => Some(url),
            _ => None,
        }
    }

    /// The names that its weights may have, the better one first; empty when any will do.
    pub(super) fn names(&self) -> Vec<String> {
        match self {
            Self::Known(Known {
                origin: Origin::Hub { weights, .. },
                ..
            }) => weights.iter().map(|&name| name.to_owned()).collect(),
            _ => self
                .url()
                .and_then(|url| place(url).ok()?.pop())
                .into_iter()
                .collect(),
        }
    }

    /// Its folders in a folder of networks.
    pub(super) fn folders(&self) -> Vec<PathBuf> {
        let mut folders: Vec<PathBuf> = Vec::new();
        if let Self::Known(known) = self {
            folders.push(known.name.into());
        }
        if let Some(repository) = self.repository() {
            folders.extend(repository.name.rsplit('/').next().map(PathBuf::from));
            folders.push(repository.name.into());
        } else {
            folders.push(PathBuf::new());
        }
        let below = folders
            .iter()
            .map(|folder| PathBuf::from("models").join(folder));
        let below: Vec<PathBuf> = below.collect();
        folders.extend(below);
        folders
    }

    /// How to get it by hand.
    pub(super) fn advice(&self) -> &'static str {
        match self {
            Self::Known(known) => known.advice,
            Self::Repository(_) => {
                "where there is a network, get it with `hf download OWNER/NAME`, and put its files into the \
                 subfolder OWNER/NAME of the folder that ITD_DATA names"
            }
            Self::Url(_) => {
                "where there is a network, get it with `curl -LO ADDRESS`, and put it into the folder that \
                 ITD_DATA names"
            }
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.repository(), self.url()) {
            (Some(repository), _) => f.write_str(&repository.name),
            (None, url) => f.write_str(url.unwrap_or_default()),
        }
    }
}

/// The place of a server's file among the files of all servers: the server, and the folders to it. What follows a
/// `?` goes into the name of one more folder, since it may choose another file.
pub(super) fn place(url: &str) -> Result<Vec<String>> {
    let refuse = |need| {
        Err(Error::Parameter {
            name: "the address",
            got: format!("{url:?}"),
            need,
        })
    };
    let Some(rest) = url.strip_prefix("https://").or(url.strip_prefix("http://")) else {
        return refuse("one that begins with https:// or http://");
    };
    let rest = rest.split('#').next().unwrap_or_default();
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut parts = path.split('/').map(str::to_owned);
    let server = parts
        .next()
        .unwrap_or_default()
        .replace([':', '[', ']'], "_");
    if server.contains('@') {
        return refuse("one without user and password: a private file is to be downloaded by hand");
    }
    let parts: Vec<String> = [server].into_iter().chain(parts).collect();
    // A file's name comes from outside: it must be one on every system, and no way up.
    let legal = |c: char| c.is_alphanumeric() || "-_.+=%~,@ ".contains(c);
    let word = |part: &String| is_plain(part) && part.chars().all(legal) && part.len() < 200;
    if parts.len() < 2 || !parts.iter().all(word) {
        return refuse(
            "https://SERVER/…/FILE, of letters, digits and -_.+=%~,@ between the slashes",
        );
    }
    if query.is_empty() {
        return Ok(parts);
    }
    let digits = HEXLOWER.encode(&Sha256::digest(query.as_bytes())[..4]);
    let mut parts = parts;
    parts.insert(parts.len() - 1, digits);
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        let known = Model::named("iddpm-cifar10-vlb").unwrap();
        assert_eq!(known.names(), ["cifar10_uncond_vlb_50M_500K.pt"]);
        assert!(known.repository().is_none() && known.url().is_some());
        let other = Model::named("someone/some.thing_2").unwrap();
        assert_eq!(other.repository().unwrap().name, "someone/some.thing_2");
        assert_eq!(other.url(), None);
        let address = Model::named("https://a.example/b/c.pt").unwrap();
        assert_eq!(address.url(), Some("https://a.example/b/c.pt"));
        for wrong in [
            "",
            "ddpm",
            "a/b/c",
            "/etc/passwd",
            "../x",
            "a/..",
            "a/b c",
            "file:///etc/passwd",
        ] {
            assert!(Model::named(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_known_network_can_be_found_and_fetched() {
        for known in &MODELS {
            let model = Model::named(known.name).unwrap();
            assert!(
                model.repository().is_some() != model.url().is_some(),
                "{}",
                known.name
            );
            assert!(!model.names().is_empty() && known.advice.contains(&model.names()[0]));
        }
    }

    #[test]
    fn addresses_become_places_below_one_folder() {
        assert_eq!(
            place("https://a.example:8080/b/c.pt").unwrap(),
            ["a.example_8080", "b", "c.pt"]
        );
        let [one, two] = ["https://a.example/c.pt?x=1", "https://a.example/c.pt?x=2"];
        assert_eq!(place(one).unwrap().len(), 3);
        assert_ne!(place(one).unwrap(), place(two).unwrap());
        for wrong in [
            "https://",
            "https://a.example",
            "https://a.example/",
            "https://a.example/b/",
            "https://a.example/../c.pt",
            "https://a.example/b//c.pt",
            "https://../c.pt",
            "https:///c.pt",
            "https://me:secret@a.example/c.pt",
            "https://a.example/b\\c.pt",
            "https://a.example/\0",
            "ftp://a.example/c.pt",
        ] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }
}
