//! A U-Net on disk: its parameters as safetensors, its settings beside them.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor, Var};
use serde::de::DeserializeOwned;

use super::{UNet, UNetConfig, plan};
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Place, Result};

/// The keys of the file's metadata: what wrote it, the settings, and the shape of a sample.
const KIND: (&str, &str) = ("itd.network", "unet");
const CONFIG: &str = "itd.config";
const SHAPE: &str = "itd.shape";

impl UNet {
    /// Writes the network to a file, whole or not at all: settings, and parameters as they are now.
    ///
    /// The format is safetensors, which other libraries read too; settings and shape are JSON in its metadata.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be written, or a parameter is not finite; what was there stays.
    ///
    /// # Example: a network comes back as it was
    /// ```
    /// use itd_prelude::candle::{Device, Tensor};
    /// use itd_prelude::denoiser::Denoiser;
    /// use itd_prelude::net::{UNet, UNetConfig};
    ///
    /// let net = UNet::new(&UNetConfig::small(), &[1, 8, 8], &Device::Cpu)?;
    /// let path = std::env::temp_dir().join(format!("unet-{}.safetensors", std::process::id()));
    /// net.save(&path)?;
    /// let again = UNet::load(&path, &Device::Cpu)?;
    /// assert_eq!((again.config(), again.shape()), (net.config(), net.shape()));
    /// # std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let json = |value: serde_json::Result<String>| {
            value.map_err(|cause| Error::File {
                path: path.to_owned(),
                cause: cause.into(),
            })
        };
        let metadata = BTreeMap::from([
            (KIND.0.to_owned(), KIND.1.to_owned()),
            (
                CONFIG.to_owned(),
                json(serde_json::to_string(&self.config))?,
            ),
            (SHAPE.to_owned(), json(serde_json::to_string(&self.shape))?),
        ]);
        let tensor = |(name, var): &(String, Var)| (name.clone(), var.as_tensor().clone());
        let tensors: Vec<(String, Tensor)> = self.params.iter().map(tensor).collect();
        Checkpoint::save(path, &tensors, &metadata)
    }

    /// Reads a network that [`Self::save`] wrote.
    ///
    /// # Errors
    /// [`Error::File`] when the file cannot be read, [`Error::Format`] when it is no such network: settings are
    /// missing or bad, or parameters are missing, misshapen, too many or not finite. Nothing is made of a
    /// file's settings that its parameters do not bear out.
    pub fn load(path: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let file = Checkpoint::open(path)?;
        let refuse = |what, got: String, need: String| {
            let (path, at) = (file.path().to_owned(), Place::File);
            Error::Format {
                path,
                at,
                what,
                got,
                need,
            }
        };
        let known = file.metadata().get(KIND.0).map(String::as_str);
        if known != Some(KIND.1) {
            let got = known.unwrap_or("not told").to_owned();
            let need = "`unet`, as `UNet::save` writes it".into();
            return Err(refuse("the kind of network in its metadata", got, need));
        }
        let config: UNetConfig = setting(&file, CONFIG).map_err(|got| {
            refuse(
                "the network's settings",
                got,
                "those of a `UNetConfig`".into(),
            )
        })?;
        let shape: Vec<usize> = setting(&file, SHAPE)
            .map_err(|got| refuse("the shape of a sample", got, "a list of numbers".into()))?;
        let (shape, plan) = plan(&config, &shape).map_err(|cause| {
            refuse(
                "a network's setting",
                format!("refused ({cause})"),
                "valid".into(),
            )
        })?;
        let layout: Vec<_> = plan
            .iter()
            .map(|p| (p.name.clone(), p.shape.clone()))
            .collect();
        let keys = file.compare(&layout);
        if !keys.fit() {
            let need = format!("what the settings say, {} of them", layout.len());
            return Err(refuse(
                "the list of parameters",
                format!("another:\n{keys}"),
                need,
            ));
        }
        let read = |(name, _): &(String, _)| Ok(Var::from_tensor(&file.tensor(name, device)?)?);
        let vars = layout.iter().map(read).collect::<Result<Vec<_>>>()?;
        Self::of(&config, shape, plan, vars, device)
    }
}

/// A value of the metadata, or what is wrong with it.
fn setting<T: DeserializeOwned>(file: &Checkpoint, key: &str) -> Result<T, String> {
    let text = file
        .metadata()
        .get(key)
        .ok_or("missing from the metadata")?;
    serde_json::from_str(text).map_err(|cause| cause.to_string())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::denoiser::{Conditional, Denoiser, Query, Trainable};
    use crate::rng;

    fn net() -> UNet {
        let config = UNetConfig {
            channels: vec![4, 8],
            heads: 2,
            groups: 2,
            classes: Some(3),
            data_std: 0.1 + 0.2,
            seed: 5,
            ..UNetConfig::small()
        };
        let net = UNet::new(&config, &[2, 5, 3], &Device::Cpu).unwrap();
        for (seed, var) in (0..).zip(net.vars()) {
            let noise = rng::normal(var.dims(), &mut rng::seeded(seed)).unwrap();
            var.set(&noise).unwrap();
        }
        net
    }

    /// A path that is removed in the end.
    struct Spot(PathBuf);

    impl Spot {
        fn new(name: &str) -> Self {
            let name = format!("itd-unet-{name}-{}.safetensors", std::process::id());
            Self(std::env::temp_dir().join(name))
        }
    }

    impl Drop for Spot {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    type Parts = (Vec<(String, Tensor)>, BTreeMap<String, String>);

    /// What a file of [`net`] holds.
    fn parts(name: &str) -> Parts {
        let spot = Spot::new(name);
        let net = net();
        net.save(&spot.0).unwrap();
        let file = Checkpoint::open(&spot.0).unwrap();
        let tensor = |(name, var): &(String, Var)| (name.clone(), var.as_tensor().clone());
        let tensors = net.params.iter().map(tensor).collect();
        (tensors, file.metadata().clone())
    }

    #[test]
    fn a_network_comes_back_bit_for_bit() {
        let (spot, net) = (Spot::new("round-trip"), net());
        net.save(&spot.0).unwrap();
        let again = UNet::load(&spot.0, &Device::Cpu).unwrap();
        assert_eq!(again.config(), net.config());
        assert_eq!(again.shape(), net.shape());
        for ((name, old), (other, new)) in net.params.iter().zip(&again.params) {
            let bits = |var: &Var| -> Vec<u32> {
                let values = var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                values.into_iter().map(f32::to_bits).collect()
            };
            assert_eq!((name, bits(old)), (other, bits(new)));
        }
        let z = rng::normal(&[3, 2, 5, 3], &mut rng::seeded(0)).unwrap();
        let alpha = Tensor::new(&[-3f32, 1.0, 6.0], &Device::Cpu).unwrap();
        let eps = |net: &UNet| {
            let eps = Conditional::class(net, 2)
                .unwrap()
                .denoise(&Query::new(&z, &alpha))
                .unwrap();
            eps.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        assert_eq!(eps(&net), eps(&again));
        // What was read can be trained, and saved over itself.
        again.vars()[0]
            .set(&net.vars()[0].zeros_like().unwrap())
            .unwrap();
        again.save(&spot.0).unwrap();
        let third = UNet::load(&spot.0, &Device::Cpu).unwrap();
        assert_eq!(eps(&third), eps(&again));
        assert_ne!(eps(&third), eps(&net));
    }

    #[test]
    fn files_that_are_no_such_network_are_refused() {
        let refused = |name: &str, change: &dyn Fn(&mut Parts)| -> String {
            let spot = Spot::new(name);
            let mut parts = parts(name);
            change(&mut parts);
            Checkpoint::save(&spot.0, &parts.0, &parts.1).unwrap();
            let error = UNet::load(&spot.0, &Device::Cpu).unwrap_err();
            assert!(matches!(error, Error::Format { .. }), "{error}");
            error.to_string()
        };
        let set = |key: &'static str, value: &'static str| {
            move |parts: &mut Parts| {
                parts.1.insert(key.into(), value.into());
            }
        };
        let gone = |key: &'static str| move |parts: &mut Parts| drop(parts.1.remove(key));
        assert!(refused("kind", &gone(KIND.0)).contains("kind of network"));
        assert!(refused("other", &set(KIND.0, "mlp")).contains("mlp"));
        assert!(refused("config", &gone(CONFIG)).contains("missing from the metadata"));
        assert!(refused("no-json", &set(CONFIG, "{")).contains("settings"));
        assert!(refused("null", &set(CONFIG, "null")).contains("settings"));
        assert!(refused("shape", &gone(SHAPE)).contains("shape of a sample"));
        assert!(refused("flat", &set(SHAPE, "[30]")).contains("[30]"));
        assert!(refused("minus", &set(SHAPE, "[-1, 5, 3]")).contains("shape of a sample"));
        let huge = "[18446744073709551615, 18446744073709551615, 2]";
        assert!(refused("huge-shape", &set(SHAPE, huge)).contains("setting"));
        let swap = |from: &'static str, to: &'static str| {
            move |parts: &mut Parts| {
                let config = parts.1.get_mut(CONFIG).unwrap();
                assert!(config.contains(from), "{config}");
                *config = config.replace(from, to);
            }
        };
        let unknown = swap("\"blocks\":1", "\"blocks\":1,\"dropout\":0.1");
        assert!(refused("unknown", &unknown).contains("dropout"));
        let bad = swap("\"groups\":2", "\"groups\":3");
        assert!(refused("groups", &bad).contains("groups is 3"));
        let nan = swap("0.30000000000000004", "NaN");
        assert!(refused("nan-setting", &nan).contains("data_std"));
        // Settings of a network of several gigabytes, in a file of a few kilobytes.
        let huge = swap("[4,8]", "[4096,4096,4096,4096,4096,4096,4096,4096]");
        assert!(refused("huge", &huge).contains("stem.weight"));
        assert!(refused("wider", &swap("[4,8]", "[4,16]")).contains("middle.0.first.weight"));
        assert!(refused("less", &|parts| drop(parts.0.pop())).contains("out.bias"));
        let more = |parts: &mut Parts| {
            let extra = Tensor::new(&[1f32], &Device::Cpu).unwrap();
            parts.0.push(("extra".into(), extra));
        };
        assert!(refused("more", &more).contains("extra"));
        let turned = |parts: &mut Parts| {
            let last = parts.0.last_mut().unwrap();
            last.1 = last.1.unsqueeze(0).unwrap();
        };
        assert!(refused("turned", &turned).contains("out.bias"));
    }

    #[test]
    fn a_broken_file_is_refused_and_a_failed_save_leaves_the_old_one() {
        let (spot, net) = (Spot::new("broken"), net());
        net.save(&spot.0).unwrap();
        let whole = std::fs::read(&spot.0).unwrap();
        for length in [0, 4, 8, 100, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&spot.0, &whole[..length]).unwrap();
            assert!(UNet::load(&spot.0, &Device::Cpu).is_err(), "{length}");
        }
        // The last four bytes are a parameter.
        let mut nan = whole.clone();
        let end = nan.len() - 4;
        nan[end..].copy_from_slice(&f32::NAN.to_le_bytes());
        std::fs::write(&spot.0, &nan).unwrap();
        let error = UNet::load(&spot.0, &Device::Cpu).unwrap_err();
        assert!(error.to_string().contains("finite"), "{error}");
        std::fs::remove_file(&spot.0).unwrap();
        let error = UNet::load(&spot.0, &Device::Cpu).unwrap_err();
        assert!(matches!(error, Error::File { .. }), "{error}");
        let nowhere = spot.0.join("no/such/folder");
        assert!(matches!(net.save(nowhere), Err(Error::File { .. })));
    }
}
