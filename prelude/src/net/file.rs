//! Networks on disk: the parameters as safetensors, the settings in its metadata. The one mechanism for all of them.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use data_encoding::HEXLOWER;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::checkpoint::Checkpoint;
use crate::data::digest;
use crate::denoiser::Denoiser;
use crate::error::{Error, Place, Result};

/// The keys of the file's metadata: which network it is, its settings, and the shape of a sample.
const KIND: &str = "itd.network";
const CONFIG: &str = "itd.config";
const SHAPE: &str = "itd.shape";

/// A network that can be kept in a file.
pub(super) trait Saved: Denoiser + Sized {
    /// What files call it.
    const KIND: &'static str;
    /// All that it was made with, but for the shape of a sample.
    type Settings: Serialize + DeserializeOwned;

    /// What it was made with.
    fn settings(&self) -> Result<Self::Settings>;

    /// Its parameters, and what else it has been given.
    fn tensors(&self) -> Vec<(String, Tensor)>;

    /// The network of these settings, with the tensors of a file that has been held against them.
    fn restore(
        settings: Self::Settings,
        shape: &[usize],
        file: &Checkpoint,
        device: &Device,
    ) -> Result<Self>;
}

/// What a network is beside its parameters, with the digests of the tensors that stay as they are. Without the seeds, which
/// made the parameters that training begins with.
pub(super) fn described<N: Saved>(net: &N, constants: &[&Tensor]) -> Result<Value> {
    let settings = serde_json::to_value(net.settings()?);
    let mut settings = settings.map_err(|cause| Error::Parameter {
        name: "the settings of the network",
        got: cause.to_string(),
        need: "such that JSON holds them",
    })?;
    without_seeds(&mut settings);
    let digest = |tensor: &&Tensor| -> Result<String> {
        let mut hash = Sha256::new();
        digest::add(&mut hash, &tensor.flatten_all()?.unsqueeze(0)?)?;
        Ok(HEXLOWER.encode(&hash.finalize()))
    };
    let constants: Result<Vec<String>> = constants.iter().map(digest).collect();
    Ok(json!({ "kind": N::KIND, "settings": settings, "constants": constants? }))
}

fn without_seeds(settings: &mut Value) {
    if let Value::Object(fields) = settings {
        fields.remove("seed");
        fields.values_mut().for_each(without_seeds);
    }
}

/// Writes a network, whole or not at all.
pub(super) fn save<N: Saved>(net: &N, path: &Path) -> Result<()> {
    let json = |value: serde_json::Result<String>| {
        value.map_err(|cause| Error::File {
            path: path.to_owned(),
            cause: cause.into(),
        })
    };
    let metadata = BTreeMap::from([
        (KIND.to_owned(), N::KIND.to_owned()),
        (
            CONFIG.to_owned(),
            json(serde_json::to_string(&net.settings()?))?,
        ),
        (SHAPE.to_owned(), json(serde_json::to_string(net.shape()))?),
    ]);
    Checkpoint::save(path, &net.tensors(), &metadata)
}

/// Reads a network that [`save`] wrote.
pub(super) fn load<N: Saved>(path: &Path, device: &Device) -> Result<N> {
    let file = Checkpoint::open(path)?;
    let refuse = |what, got: String, need: String| Error::Format {
        path: file.path().to_owned(),
        at: Place::File,
        what,
        got,
        need,
    };
    let known = file.metadata().get(KIND).map(String::as_str);
    if known != Some(N::KIND) {
        let got = known.unwrap_or("not told").to_owned();
        let need = format!("{:?}, as this network's `save` writes it", N::KIND);
        return Err(refuse("the kind of network in its metadata", got, need));
    }
    let settings: N::Settings = setting(&file, CONFIG).map_err(|got| {
        refuse(
            "the network's settings",
            got,
            "those of this network".into(),
        )
    })?;
    let shape: Vec<usize> = setting(&file, SHAPE)
        .map_err(|got| refuse("the shape of a sample", got, "a list of numbers".into()))?;
    N::restore(settings, &shape, &file, device).map_err(|error| match error {
        // What the file tells is the file's fault.
        Error::Parameter { .. } | Error::Shape { .. } | Error::Mismatch { .. } => {
            let got = format!("refused ({error})");
            refuse("a network's setting", got, "valid".into())
        }
        error => error,
    })
}

/// A value of the metadata, or what is wrong with it.
fn setting<T: DeserializeOwned>(file: &Checkpoint, key: &str) -> Result<T, String> {
    let text = file.metadata().get(key);
    let text = text.ok_or("missing from the metadata")?;
    serde_json::from_str(text).map_err(|cause| cause.to_string())
}

/// `save` and `load` of a network; `$make` is code that makes one.
macro_rules! saved {
    ($net:ident, $make:literal) => {
        impl $net {
            /// Writes the network to a file, whole or not at all: settings, and parameters as they are now.
            ///
            /// The format is safetensors, which other libraries read too; settings and the shape of a sample are
            /// JSON in its metadata.
            ///
            /// # Errors
            /// [`Error::File`](crate::Error::File) when it cannot be written, or a parameter is not finite; what was
            /// there stays.
            ///
            /// # Example: a network comes back as it was
            /// ```
            /// use itd_prelude::prelude::*;
            /// # #[allow(unused_imports)]
            /// use itd_prelude::net::{DdpmConfig, IddpmConfig};
            ///
            /// # fn main() -> Result<()> {
            #[doc = concat!("let net = ", $make, ";")]
            #[doc = concat!(
                                                "let path = std::env::temp_dir().join(format!(\"",
                                                stringify!($net),
                                                "-{}.safetensors\", std::process::id()));"
                                            )]
            /// net.save(&path)?;
            #[doc = concat!("let again = ", stringify!($net), "::load(&path, &Device::Cpu)?;")]
            /// assert_eq!((again.config(), again.shape()), (net.config(), net.shape()));
            /// # std::fs::remove_file(&path).expect("the file is there");
            /// # Ok(()) }
            /// ```
            pub fn save(&self, path: impl AsRef<std::path::Path>) -> crate::error::Result<()> {
                crate::net::file::save(self, path.as_ref())
            }

            /// Reads a network that [`Self::save`] wrote.
            ///
            /// # Errors
            /// [`Error::File`](crate::Error::File) when the file cannot be read,
            /// [`Error::Format`](crate::Error::Format) when it is no such network: settings are missing or bad, or
            /// parameters are missing, misshapen, too many or not finite. Nothing is made of a file's settings that
            /// its parameters do not bear out.
            pub fn load(
                path: impl AsRef<std::path::Path>,
                device: &candle_core::Device,
            ) -> crate::error::Result<Self> {
                crate::net::file::load(path.as_ref(), device)
            }
        }
    };
}
pub(super) use saved;

/// Numbers as text, which unlike JSON's are read back to the last bit.
pub(super) mod exact {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::net) fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&value.to_string())
    }

    pub(in crate::net) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;
