//! A set of samples.

use candle_core::{DType, Device, Storage, Tensor};

use super::{Grid, Spectrum, SpectrumConfig};
use crate::error::{Error, Result};
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
            return Err(self.mislabelled(labels.len()));
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

    /// Labels that do not fit the samples.
    pub(super) fn mislabelled(&self, labels: usize) -> Error {
        Error::Mismatch {
            what: "labels and samples",
            left: labels.to_string(),
            right: self.len().to_string(),
            next: "give each sample one label",
        }
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
pub(super) mod tests {
    use super::*;

    pub(in crate::data) fn points(n: usize) -> Dataset {
        let x = Tensor::arange(0f32, 2.0 * n as f32, &Device::Cpu).unwrap();
        let mut data = Dataset::new("points", x.reshape((n, 2)).unwrap()).unwrap();
        data.labels = Some((0..n as u8).collect());
        data
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let data = points(4);
        assert!(data.subset(&[4]).is_err());
        assert!(data.take(0).is_err());
        assert!(data.dequantize(0).is_err());
        assert!(data.sample(1, 1, 0).is_err());
        let nan = Tensor::new(&[[f32::NAN, 1.0]], &Device::Cpu).unwrap();
        assert!(Dataset::new("bad", nan).is_err());
        let inf = Tensor::new(&[[f32::INFINITY, 1.0]], &Device::Cpu).unwrap();
        assert!(Dataset::new("bad", inf).is_err());
        assert!(Dataset::new("bad", Tensor::new(&[1f32], &Device::Cpu).unwrap()).is_err());
    }
    #[test]
    fn what_is_not_finite_is_named() {
        let new = |values: [f32; 2]| {
            let x = Tensor::new(&[values], &Device::Cpu).unwrap();
            Dataset::new("bad", x).unwrap_err()
        };
        let got = |error| match error {
            Error::NotFinite { got, .. } => got,
            other => panic!("{other}"),
        };
        assert!(got(new([f32::INFINITY, f32::NAN])).is_nan());
        assert_eq!(got(new([0.0, f32::NEG_INFINITY])), f64::INFINITY);
    }
}
