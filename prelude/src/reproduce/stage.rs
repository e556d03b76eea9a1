//! The stages, and what each leaves in the folder.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::inputs::{Net, Which, network, pictures};
use super::table::{self, Bounds, Measured, Tables};
use super::{Cifar10Config, Outcome, Sizes, folder, mark, read_json, write_json};
use crate::bound::{BoundConfig, Target, variational_bound, variational_bound_learned};
use crate::curve::{CurveConfig, MseCurve, Shard};
use crate::data::{Dataset, Split};
use crate::denoiser::{Denoiser, Rounding};
use crate::distribution::Gaussian;
use crate::error::{Error, Result};
use crate::estimate::Estimate;
use crate::io;
use crate::logsnr::{Logistic, Quadrature};
use crate::schedule::NoiseSchedule;
use crate::train::{Interval, TrainConfig, train};

/// Seed of the uniform noise that makes levels a density.
const DEQUANTIZE: u64 = 0;

/// In which form a network's errors are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Its estimate clamped to the range of the pixels.
    Plain,
    /// Rounded softly.
    Rounded,
    /// On pixels with uniform noise.
    Dequantized,
}

impl Form {
    pub const ALL: [Self; 3] = [Self::Plain, Self::Rounded, Self::Dequantized];

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Rounded => "rounded",
            Self::Dequantized => "dequantized",
        }
    }
}

/// A run with its data at hand.
pub(super) struct Run {
    pub config: Cifar10Config,
    pub sizes: Sizes,
    pub data: Split,
    /// The test images behind the curves, as they are and with uniform noise.
    pub test: Dataset,
    noisy: Dataset,
    pub points: Quadrature,
}

impl Run {
    /// Reads the data; the folder is made, or must hold the same run.
    pub fn open(config: &Cifar10Config) -> Result<Self> {
        folder(&config.folder)?;
        let run = Self::read(config)?;
        let (train, test) = (run.data.train.digest()?, run.data.test.digest()?);
        let nets = Which::ALL.map(|which| network(which, config)?.digest());
        let [ddpm, iddpm] = nets;
        let settings = json!({
            "run": "cifar10", "version": 2, "scale": config.scale.name(),
            "train": train, "test": test, "ddpm": ddpm?, "iddpm": iddpm?,
        });
        mark(&config.folder, &settings)?;
        Ok(run)
    }

    /// Reads the data, whatever the folder holds; at the scale `smoke` they are drawn there first.
    pub fn read(config: &Cifar10Config) -> Result<Self> {
        let sizes = config.scale.sizes();
        let data = pictures(config)?;
        let images = sizes.images.unwrap_or(usize::MAX).min(data.test.len());
        let test = data.test.take(images)?;
        let (low, high) = Logistic::published_for_cifar10()?.interval();
        Ok(Self {
            config: config.clone(),
            sizes,
            noisy: test.dequantize(DEQUANTIZE)?,
            test,
            data,
            points: Quadrature::trapezoid(low, high, sizes.points)?,
        })
    }

    /// Does what is missing, in order.
    pub fn all(&self, tell: &mut dyn FnMut(&str)) -> Result<Outcome> {
        tell(&format!(
            "spectrum: the covariance of {} images",
            self.data.train.len()
        ));
        let gaussian = self.spectrum()?;
        let mut waiting = Vec::new();
        for which in Which::ALL {
            self.curves(which, false, tell, &mut waiting)?;
        }
        if self.config.shard.count > 1 || !waiting.is_empty() {
            return Ok(Outcome::Waiting(waiting));
        }
        for which in Which::ALL {
            self.tune(which, tell)?;
            self.curves(which, true, tell, &mut waiting)?;
        }
        let mut measured = Vec::new();
        for (which, tuned) in Which::ALL.into_iter().flat_map(|w| [(w, false), (w, true)]) {
            let [plain, rounded, dequantized] =
                Form::ALL.map(|form| self.curve(which, tuned, form));
            measured.push(Measured {
                name: table::name(which, tuned),
                plain: plain?,
                rounded: rounded?,
                dequantized: dequantized?,
                bounds: self.bounds(which, tuned, tell)?,
            });
        }
        measured.sort_by_key(|one| table::place(&one.name));
        tell("tables and figures");
        let tables = Tables::new(&gaussian, &self.test, &self.noisy, &self.points, &measured)?;
        tables.write(&self.config.folder, self.config.scale)?;
        Ok(Outcome::Done(Box::new(tables)))
    }

    /// The Gaussian with the training images' mean and covariance.
    fn spectrum(&self) -> Result<Gaussian> {
        let gaussian = self.data.train.gaussian()?;
        let path = self.config.folder.join("spectrum.json");
        if read_json(&path)?.is_none() {
            let entropy = gaussian.entropy()?;
            let found = json!({
                "images": self.data.train.len(),
                "entropy_nats": entropy.nats,
                "bits_per_dim": entropy.bits_per_dim(),
                "published_nats": crate::curve::CIFAR10_GAUSSIAN_ENTROPY,
                "published_from": "12,500 training images",
            });
            write_json(&path, &found)?;
        }
        Ok(gaussian)
    }

    fn place(&self, which: Which, tuned: bool, form: Form) -> PathBuf {
        let tuned = if tuned { "-tuned" } else { "" };
        let name = format!("{}{tuned}-{}", which.name(), form.name());
        self.config.folder.join("curves").join(name)
    }

    fn tuned(&self, which: Which) -> PathBuf {
        let name = format!("{}.safetensors", which.name());
        self.config.folder.join("tuned").join(name)
    }

    pub fn net(&self, which: Which, tuned: bool) -> Result<Net> {
        match tuned {
            true => which.load(&self.tuned(which)),
            false => network(which, &self.config),
        }
    }

    /// What this process measures of a curve: its own shard, or, where it has none, all that are missing of those in
    /// which others began.
    fn shards(&self, parts: &Path) -> Result<Vec<Shard>> {
        let own = self.config.shard;
        let names = match std::fs::read_dir(parts) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(vec![own]),
            Err(error) => return Err(super::of_file(parts)(error)),
            Ok(entries) => entries.flatten().map(|entry| entry.file_name()),
        };
        let begun = names.filter_map(|name| Shard::of_file_name(name.to_str()?));
        let mut counts: Vec<usize> = begun.map(|shard| shard.count).collect();
        if own.count > 1 {
            counts.push(own.count);
        }
        let count = counts.first().copied().unwrap_or(own.count);
        if let Some(other) = counts.iter().find(|other| **other != count) {
            return Err(Error::Mismatch {
                what: "the parts of one curve",
                left: format!("{count} in {}", parts.display()),
                right: other.to_string(),
                next: "give all processes the same count, or remove the folder",
            });
        }
        match own.count {
            1 => (1..=count).map(|index| Shard::new(index, count)).collect(),
            _ => Ok(vec![own]),
        }
    }

    /// This process's shards of a network's three curves; notes those of which parts are missing.
    fn curves(
        &self,
        which: Which,
        tuned: bool,
        tell: &mut dyn FnMut(&str),
        waiting: &mut Vec<String>,
    ) -> Result<()> {
        let mut net = None;
        for form in Form::ALL {
            let parts = self.place(which, tuned, form);
            if io::merge_folder(&parts).is_ok() {
                continue;
            }
            for shard in self.shards(&parts)? {
                let file = parts.join(shard.file_name());
                if file.try_exists().map_err(super::of_file(&file))? {
                    continue;
                }
                let net: &Net = match &mut net {
                    Some(net) => net,
                    none => none.insert(self.net(which, tuned)?),
                };
                tell(&format!(
                    "curve: {}, {} images at {} points",
                    parts.file_name().unwrap_or_default().to_string_lossy(),
                    self.test.len(),
                    self.points.len()
                ));
                self.measure(net.trainable(), form, &parts, shard)?;
            }
            match io::merge_folder(&parts) {
                Ok(_) => {}
                Err(error @ Error::Missing { .. }) => {
                    let name = parts.file_name().unwrap_or_default().to_string_lossy();
                    waiting.push(format!("{name}: {error}"));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn measure(&self, net: &dyn Denoiser, form: Form, parts: &Path, shard: Shard) -> Result<()> {
        let grid = self.test.grid()?;
        let config = CurveConfig {
            clamp: Some((grid.low, grid.high)),
            // Shards share out whole batches.
            batch: self.sizes.batch,
            ..CurveConfig::default()
        };
        let points = &self.points;
        match form {
            Form::Plain => io::mse_curve_shard_to(parts, net, &self.test, points, &config, shard),
            Form::Rounded => {
                let soft = crate::denoiser::Rounded::new(net, Rounding::Soft(grid));
                io::mse_curve_shard_to(parts, &soft, &self.test, points, &config, shard)
            }
            Form::Dequantized => {
                // The noise reaches half a level beyond the range.
                let half = 0.5 * grid.spacing();
                let config = CurveConfig {
                    clamp: Some((grid.low - half, grid.high + half)),
                    ..config
                };
                io::mse_curve_shard_to(parts, net, &self.noisy, points, &config, shard)
            }
        }
        .map(drop)
    }

    fn curve(&self, which: Which, tuned: bool, form: Form) -> Result<MseCurve> {
        io::merge_folder(self.place(which, tuned, form))
    }

    /// Tunes a network by Eq. 15, with the settings of App. B.3; goes on at its last checkpoint.
    fn tune(&self, which: Which, tell: &mut dyn FnMut(&str)) -> Result<()> {
        let path = self.tuned(which);
        if path.try_exists().map_err(super::of_file(&path))? {
            return Ok(());
        }
        let settings = self.tuning(which)?;
        tell(&format!(
            "tuning: {}, batches of {}, rate {:e}",
            which.name(),
            settings.batch,
            settings.learning_rate
        ));
        let net = self.net(which, false)?;
        train(net.trainable(), &self.data.train, &settings)?;
        folder(&self.config.folder.join("tuned"))?;
        net.save(&path)
    }

    pub fn tuning(&self, which: Which) -> Result<TrainConfig> {
        let (batch, learning_rate) = match which {
            Which::Ddpm => (64, 1e-4),
            Which::Iddpm => (32, 2.5e-5),
        };
        Ok(TrainConfig {
            batch: batch.min(self.data.train.len() / 4),
            learning_rate,
            steps: self.sizes.tuning,
            log_snr: Some(Logistic::published_for_cifar10()?),
            run: Some(self.config.folder.join("runs").join(which.name())),
            checkpoint: Interval::Minutes(5.0),
            validation: None,
            ..TrainConfig::fine_tuning()
        })
    }

    /// The variational bounds of a network, on levels and on the density.
    fn bounds(&self, which: Which, tuned: bool, tell: &mut dyn FnMut(&str)) -> Result<Bounds> {
        let name = table::name(which, tuned);
        let file = format!("{}.json", name.replace(' ', "-"));
        let path = self.config.folder.join("bounds").join(file);
        if let Some(found) = read_json(&path)? {
            return Bounds::read(&found).ok_or_else(|| Error::Missing {
                what: format!("the bounds in {}", path.display()),
                next: "remove the file; it is then made again",
            });
        }
        let images = self
            .test
            .take(self.sizes.bound_images.min(self.test.len()))?;
        tell(&format!(
            "bounds: {name}, {} images, {} steps",
            images.len(),
            self.sizes.bound_steps
        ));
        let net = self.net(which, tuned)?;
        let grid = images.grid()?;
        let full = match which {
            Which::Ddpm => NoiseSchedule::linear(4000)?,
            Which::Iddpm => NoiseSchedule::cosine(4000)?,
        };
        let levels = BoundConfig::levels(full.strided(self.sizes.bound_steps)?, grid);
        let density = BoundConfig {
            target: Target::Continuous,
            ..levels.clone()
        };
        let bound = |config: &BoundConfig| -> Result<Estimate> {
            let bound = match &net {
                Net::Ddpm(net) => variational_bound(net, &images, config)?,
                Net::Iddpm(net) => variational_bound_learned(net, &images, config)?,
            };
            Ok(bound.total)
        };
        let found = Bounds {
            levels: bound(&levels)?,
            density: bound(&density)?,
        };
        folder(&self.config.folder.join("bounds"))?;
        write_json(&path, &found.to_json())?;
        Ok(found)
    }
}
