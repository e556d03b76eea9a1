//! A set of samples, and its split into a part to learn from and a part to judge with.

use candle_core::{D, DType, Device, Storage, Tensor};

use super::{Grid, Spectrum, SpectrumConfig};
use crate::error::{Error, Result};
use crate::figure::{Figure, Pixels};
use crate::rng;

/// Samples of one shape, with labels and value grid where there are any.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// What the set is called.
    pub name: String,
    /// The samples, `f32` on the CPU: `[n, shape…]`; pictures are `[n, channels, height, width]`.
    pub x: Tensor,
    /// The class of each sample.
    pub labels: Option<Vec<u8>>,
    /// What the classes are called, label by label; empty when they have no names.
    pub classes: Vec<String>,
    /// The levels that the values lie on; `None` for continuous data.
    pub grid: Option<Grid>,
}

/// A data set in two parts.
#[derive(Debug, Clone)]
pub struct Split {
    /// To learn from.
    pub train: Dataset,
    /// To judge with; no number that is fitted has seen it.
    pub test: Dataset,
}

impl Dataset {
    /// A set of continuous, unlabelled samples `[n, shape…]`.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there are at least two axes, none of them empty; [`Error::NotFinite`] when
    /// a value is NaN or infinite.
    ///
    /// # Example: your own points
    /// ```
    /// use itd_prelude::{candle::{Device, Tensor}, data::Dataset};
    ///
    /// let points = Tensor::new(&[[0.0f32, 1.0], [2.0, 3.0], [4.0, 5.0]], &Device::Cpu)?;
    /// let data = Dataset::new("three points", points)?;
    /// assert_eq!((data.len(), data.dim()), (3, 2));
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn new(name: impl Into<String>, x: Tensor) -> Result<Self> {
        let shape = x.dims();
        if shape.len() < 2 || shape.contains(&0) {
            return Err(Error::Shape {
                what: "the tensor of samples",
                got: shape.to_vec(),
                need: "[n, shape…] with no empty axis".into(),
            });
        }
        let x = x
            .to_dtype(DType::F32)?
            .to_device(&Device::Cpu)?
            .contiguous()?;
        if let Some(got) = not_finite(&x)? {
            return Err(Error::NotFinite {
                what: "a value of the data",
                got,
                next: "remove such samples before making the data set",
            });
        }
        Ok(Self {
            name: name.into(),
            x,
            labels: None,
            classes: Vec::new(),
            grid: None,
        })
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        self.x.dims().first().copied().unwrap_or(0)
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The shape of one sample.
    pub fn shape(&self) -> &[usize] {
        self.x.dims().get(1..).unwrap_or_default()
    }

    /// The number of values in one sample.
    pub fn dim(&self) -> usize {
        self.shape().iter().product()
    }

    /// The levels that the values lie on.
    ///
    /// # Errors
    /// [`Error::Missing`] when the data are continuous, or were made so by [`Self::dequantize`].
    pub fn grid(&self) -> Result<Grid> {
        self.grid.ok_or_else(|| Error::Missing {
            what: format!("{} has no grid of values", self.name),
            next: "ask the data set from before `dequantize` for it",
        })
    }

    /// The samples as rows: `[n, dim]`.
    pub fn flat(&self) -> Result<Tensor> {
        Ok(self.x.reshape((self.len(), self.dim()))?)
    }

    /// The first `n` samples, or all when there are fewer.
    ///
    /// # Errors
    /// [`Error::Empty`] when `n` is 0.
    pub fn take(&self, n: usize) -> Result<Self> {
        let indices: Vec<u32> = (0..n.min(self.len()) as u32).collect();
        self.subset(&indices)
    }

    /// The samples at `indices`, in that order; one may come more than once.
    ///
    /// # Errors
    /// [`Error::Empty`] without indices, [`Error::Parameter`] when one is too large.
    pub fn subset(&self, indices: &[u32]) -> Result<Self> {
        if indices.is_empty() {
            return Err(Error::Empty {
                what: "the subset of the data",
            });
        }
        if let Some(bad) = indices.iter().find(|&&i| i as usize >= self.len()) {
            return Err(Error::Parameter {
                name: "an index of the subset",
                got: bad.to_string(),
                need: "below the number of samples",
            });
        }
        if let Some(labels) = self
            .labels
            .as_ref()
            .filter(|labels| labels.len() != self.len())
        {
            return Err(Error::Mismatch {
                what: "labels and samples",
                left: labels.len().to_string(),
                right: self.len().to_string(),
                next: "give each sample one label",
            });
        }
        let rows = Tensor::new(indices, &Device::Cpu)?;
        let pick = |labels: &Vec<u8>| indices.iter().map(|&i| labels[i as usize]).collect();
        Ok(Self {
            name: self.name.clone(),
            x: self.x.index_select(&rows, 0)?,
            labels: self.labels.as_ref().map(pick),
            classes: self.classes.clone(),
            grid: self.grid,
        })
    }

    /// The mean and the covariance, by its eigenvalues.
    ///
    /// What takes long is kept on disk, see [`Cache::Auto`](super::Cache::Auto).
    ///
    /// # Errors
    /// [`Error::Empty`] for fewer than two samples, [`Error::Interrupted`] when the user stops it.
    pub fn spectrum(&self) -> Result<Spectrum> {
        self.spectrum_with(&SpectrumConfig::default())
    }

    /// As [`Self::spectrum`], with a choice of what to do when there are few samples.
    ///
    /// # Errors
    /// As [`Self::spectrum`], and [`Error::Parameter`] for bad settings.
    pub fn spectrum_with(&self, config: &SpectrumConfig) -> Result<Spectrum> {
        Spectrum::with(&self.flat()?, config)
    }

    /// The same data made continuous: `x + Δ·(u − ½)` with `u` uniform on `[0, 1)` for each value.
    ///
    /// A density can only be given to continuous data. The mean negative log density of these, read with
    /// [`Estimate::per_bin`](crate::estimate::Estimate::per_bin), bounds that of the levels from above.
    ///
    /// # Errors
    /// [`Error::Missing`] when the data lie on no grid.
    ///
    /// # Example
    /// ```
    /// let digits = itd_prelude::data::digits()?;
    /// let smooth = digits.train.dequantize(0)?;
    /// let moved = (&smooth.x - &digits.train.x)?.abs()?.max_all()?.to_scalar::<f32>()?;
    /// assert!(moved <= 0.125 / 2.0 + 1e-6);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn dequantize(&self, seed: u64) -> Result<Self> {
        let noise = rng::uniform(self.x.dims(), &mut rng::seeded(seed))?;
        let noise = ((noise - 0.5)? * self.grid()?.spacing())?;
        Ok(Self {
            name: format!("{}, dequantized", self.name),
            x: (&self.x + noise)?,
            labels: self.labels.clone(),
            classes: self.classes.clone(),
            grid: None,
        })
    }

    /// A picture of `rows × columns` samples drawn without replacement, for data that are pictures.
    ///
    /// # Errors
    /// As [`Self::tiles`].
    pub fn sample(&self, rows: usize, columns: usize, seed: u64) -> Result<Figure> {
        self.check_tiles(rows, columns)?;
        let order = rng::permutation(self.len(), &mut rng::seeded(seed));
        self.subset(&order[..rows * columns])?.tiles(rows, columns)
    }

    /// A picture of the first `rows × columns` samples, row by row, for data that are pictures.
    ///
    /// # Errors
    /// [`Error::Shape`] when a sample is not `[1 or 3, height, width]`; [`Error::Parameter`] when more
    /// samples are asked for than there are.
    pub fn tiles(&self, rows: usize, columns: usize) -> Result<Figure> {
        let (channels, height, width) = self.check_tiles(rows, columns)?;
        let count = rows * columns;
        let chosen = self.take(count)?;
        let (low, high) = chosen.ends()?;
        let values = chosen.flat()?.to_vec2::<f32>()?;
        // Each pixel becomes a square, so that the whole is at most about 640 pixels wide.
        let zoom = (640 / (columns * (width + 1))).clamp(1, 6);
        let (step_down, step_right) = (height * zoom + 2, width * zoom + 2);
        let mut picture = Pixels::new(columns * step_right + 2, rows * step_down + 2, 255);
        for (i, sample) in values.iter().enumerate() {
            let (top, left) = (i / columns * step_down + 2, i % columns * step_right + 2);
            for row in 0..height * zoom {
                for column in 0..width * zoom {
                    let at = row / zoom * width + column / zoom;
                    let shade = |c: usize| {
                        let value = f64::from(sample[c * height * width + at]);
                        ((value - low) / (high - low) * 255.0).round() as u8
                    };
                    let rgb = [shade(0), shade(1 % channels), shade(2 % channels)];
                    picture.set(top + row, left + column, rgb);
                }
            }
        }
        picture.figure(format!("{count} samples of {}", self.name))
    }

    /// Channels, height and width of the samples, if they are pictures and there are enough of them.
    fn check_tiles(&self, rows: usize, columns: usize) -> Result<(usize, usize, usize)> {
        let &[channels @ (1 | 3), height, width] = self.shape() else {
            return Err(Error::Shape {
                what: "a sample",
                got: self.shape().to_vec(),
                need: "[1 or 3, height, width] to be a picture; `plot_points` draws points".into(),
            });
        };
        let count = rows.saturating_mul(columns);
        if count == 0 || count > self.len() {
            return Err(Error::Parameter {
                name: "rows × columns",
                got: count.to_string(),
                need: "at least 1 and at most the number of samples",
            });
        }
        Ok((channels, height, width))
    }

    /// What is drawn black and white: the ends of the grid, else the extremes of the values.
    fn ends(&self) -> Result<(f64, f64)> {
        if let Some(grid) = self.grid {
            return Ok((grid.low, grid.high));
        }
        let flat = self.x.flatten_all()?;
        let low = f64::from(flat.min(D::Minus1)?.to_scalar::<f32>()?);
        let high = f64::from(flat.max(D::Minus1)?.to_scalar::<f32>()?);
        Ok((low, high.max(low + f64::EPSILON)))
    }
}

impl Split {
    /// Splits a set at random: `test` samples are set apart, the others are to learn from.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless at least one sample is left on each side.
    pub fn random(data: &Dataset, test: usize, seed: u64) -> Result<Self> {
        if test == 0 || test >= data.len() {
            return Err(Error::Parameter {
                name: "test",
                got: test.to_string(),
                need: "at least 1 and below the number of samples",
            });
        }
        let order = rng::permutation(data.len(), &mut rng::seeded(seed));
        let (test, train) = order.split_at(test);
        let part = |rows, name| -> Result<Dataset> {
            let mut part = data.subset(rows)?;
            part.name = format!("{} ({name})", data.name);
            Ok(part)
        };
        Ok(Self {
            train: part(train, "train")?,
            test: part(test, "test")?,
        })
    }

    /// The shape of one sample.
    pub fn shape(&self) -> &[usize] {
        self.train.shape()
    }

    /// The number of values in one sample.
    pub fn dim(&self) -> usize {
        self.train.dim()
    }

    /// The levels that the values lie on; see [`Dataset::grid`].
    ///
    /// # Errors
    /// [`Error::Missing`] when the data are continuous.
    pub fn grid(&self) -> Result<Grid> {
        self.train.grid()
    }

    /// Both parts made continuous; see [`Dataset::dequantize`].
    ///
    /// # Errors
    /// [`Error::Missing`] when the data lie on no grid.
    pub fn dequantize(&self, seed: u64) -> Result<Self> {
        Ok(Self {
            train: self.train.dequantize(seed)?,
            test: self.test.dequantize(seed.wrapping_add(1))?,
        })
    }
}

/// NaN if a value is NaN, else ∞ if one is infinite. Reads the values where they lie: a copy of a set of
/// pictures would be as large as the set.
fn not_finite(x: &Tensor) -> Result<Option<f64>> {
    let (storage, layout) = x.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else {
        return Err(candle_core::Error::Msg("the data are not on the CPU".into()).into());
    };
    let values = storage.as_slice::<f32>()?;
    let values = match layout.contiguous_offsets() {
        Some((start, end)) => values.get(start..end).unwrap_or_default(),
        None => values,
    };
    if values.iter().all(|value| value.is_finite()) {
        return Ok(None);
    }
    let any_nan = values.iter().any(|value| value.is_nan());
    Ok(Some(if any_nan { f64::NAN } else { f64::INFINITY }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(n: usize) -> Dataset {
        let x = Tensor::arange(0f32, 2.0 * n as f32, &Device::Cpu).unwrap();
        let mut data = Dataset::new("points", x.reshape((n, 2)).unwrap()).unwrap();
        data.labels = Some((0..n as u8).collect());
        data
    }

    #[test]
    fn a_split_keeps_each_sample_once() {
        let split = Split::random(&points(20), 5, 0).unwrap();
        assert_eq!((split.train.len(), split.test.len()), (15, 5));
        let mut all = split.train.labels.clone().unwrap();
        all.extend(split.test.labels.clone().unwrap());
        // A label still belongs to its sample.
        let first = split.test.x.to_vec2::<f32>().unwrap()[0][0];
        assert_eq!(first, 2.0 * f32::from(split.test.labels.unwrap()[0]));
        all.sort_unstable();
        assert_eq!(all, (0..20).collect::<Vec<u8>>());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let data = points(4);
        assert!(data.subset(&[4]).is_err());
        assert!(data.take(0).is_err());
        assert!(Split::random(&data, 0, 0).is_err());
        assert!(Split::random(&data, 4, 0).is_err());
        assert!(data.dequantize(0).is_err());
        assert!(data.sample(1, 1, 0).is_err());
        let nan = Tensor::new(&[[f32::NAN, 1.0]], &Device::Cpu).unwrap();
        assert!(Dataset::new("bad", nan).is_err());
        let inf = Tensor::new(&[[f32::INFINITY, 1.0]], &Device::Cpu).unwrap();
        assert!(Dataset::new("bad", inf).is_err());
        assert!(Dataset::new("bad", Tensor::new(&[1f32], &Device::Cpu).unwrap()).is_err());
    }
}
