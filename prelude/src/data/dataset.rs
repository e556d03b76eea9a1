//! A set of samples.

use candle_core::{DType, Device, Tensor};

use super::{Condition, ConditionKind, Grid};
use crate::error::{Error, Result};
use crate::{rng, slices};

/// Samples of one shape, with what else is known of each and the grid that their values lie on, where there is any.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// What the set is called.
    pub name: String,
    /// The samples, `f32` on the CPU: `[n, shape…]`; pictures are `[n, channels, height, width]`.
    pub x: Tensor,
    /// The class of each sample, or a vector for each; see [`Self::given`].
    pub y: Option<Condition>,
    /// What the classes are called, number by number; empty when they have no names.
    pub classes: Vec<String>,
    grid: Option<Grid>,
}

impl Dataset {
    /// A set of continuous samples `[n, shape…]`; `[n]` is taken as `[n, 1]`.
    ///
    /// # Errors
    /// [`Error::Shape`] when an axis is empty; [`Error::NotFinite`] when a value is NaN or infinite.
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
        let x = match x.rank() {
            1 => x.unsqueeze(1)?,
            _ => x,
        };
        let shape = x.dims();
        if shape.len() < 2 || shape.contains(&0) {
            return Err(Error::Shape {
                what: "the tensor of samples",
                got: shape.to_vec(),
                need: "[n, shape…] with no empty axis".into(),
            });
        }
        let x = single(&x.to_device(&Device::Cpu)?)?;
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
            y: None,
            classes: Vec::new(),
            grid: None,
        })
    }

    /// A set of samples of a few values each, written down.
    ///
    /// # Errors
    /// As [`Self::new`]; [`Error::Shape`] also when samples differ in length.
    ///
    /// # Example
    /// ```
    /// use itd_prelude::data::Dataset;
    ///
    /// let corners = Dataset::of("corners", &[[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]])?;
    /// assert_eq!((corners.len(), corners.shape()), (3, &[2][..]));
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn of(name: impl Into<String>, samples: &[impl AsRef<[f64]>]) -> Result<Self> {
        let dim = samples.first().map_or(0, |sample| sample.as_ref().len());
        let unlike = samples.iter().find(|sample| sample.as_ref().len() != dim);
        if let Some(unlike) = unlike {
            return Err(Error::Shape {
                what: "a sample",
                got: vec![unlike.as_ref().len()],
                need: format!("[{dim}], like the first"),
            });
        }
        let values: Vec<f64> = samples
            .iter()
            .flat_map(|sample| sample.as_ref().to_vec())
            .collect();
        Self::new(
            name,
            Tensor::from_vec(values, (samples.len(), dim), &Device::Cpu)?,
        )
    }

    /// The same samples with a condition for each.
    ///
    /// # Errors
    /// [`Error::Mismatch`] unless there is one for each sample.
    ///
    /// # Example: two classes
    /// ```
    /// use itd_prelude::{candle::{Device, Tensor}, data::{Condition, Dataset}};
    ///
    /// let points = Tensor::new(&[0.0f32, 1.0, 0.1], &Device::Cpu)?;
    /// let data = Dataset::new("low and high", points)?.given(Condition::Class(vec![0, 1, 0]))?;
    /// assert_eq!(data.by_class(0)?.len(), 2);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn given(mut self, y: Condition) -> Result<Self> {
        self.y = Some(y);
        self.check_y()?;
        Ok(self)
    }

    /// The same samples with names for their classes.
    ///
    /// # Errors
    /// [`Error::Missing`] when the samples have no classes, [`Error::Mismatch`] when they have more than there are
    /// names.
    pub fn with_classes(mut self, names: Vec<String>) -> Result<Self> {
        let last = self.class_counts()?.last().map(|(last, _)| *last as usize);
        let there = last.map_or(0, |last| last + 1);
        if there > names.len() {
            return Err(Error::Mismatch {
                what: "the classes and their names",
                left: format!("{there} classes"),
                right: format!("{} names", names.len()),
                next: "give each class a name",
            });
        }
        self.classes = names;
        Ok(self)
    }

    /// The same samples, known to lie on the levels of a grid.
    ///
    /// # Errors
    /// [`Error::Parameter`] when a value lies further from its nearest level than a hundredth of their distance, or for a
    /// grid that is none.
    ///
    /// # Example: coins
    /// ```
    /// use itd_prelude::{candle::{Device, Tensor}, data::{Dataset, Grid}};
    ///
    /// let coins = Dataset::new("coins", Tensor::new(&[1f32, -1.0, -1.0], &Device::Cpu)?)?;
    /// assert!(coins.clone().on_grid(Grid::new(-1.0, 1.0, 2)?).is_ok());
    /// assert!(coins.on_grid(Grid::new(0.0, 1.0, 2)?).is_err());
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn on_grid(mut self, grid: Grid) -> Result<Self> {
        grid.check()?;
        let slack = 0.01 * grid.spacing();
        let off = slices::around(&self.x, |values| {
            let far = |value: &&f32| {
                let value = f64::from(**value);
                (value - grid.nearest(value)).abs() > slack
            };
            values.iter().find(far).copied()
        })?;
        if let Some(value) = off {
            return Err(Error::Parameter {
                name: "a value of the data",
                got: format!("{value}, {} from the nearest level", {
                    let value = f64::from(value);
                    (value - grid.nearest(value)).abs()
                }),
                need: "on a level of the grid",
            });
        }
        self.grid = Some(grid);
        Ok(self)
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
            next: "call `on_grid` if its values lie on levels, or ask the data set from before `dequantize` for it",
        })
    }

    /// The condition of each sample.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is none, [`Error::Mismatch`] unless there is one for each sample.
    pub fn y(&self) -> Result<&Condition> {
        self.check_y()?;
        self.y.as_ref().ok_or_else(|| Error::Missing {
            what: format!("{} has no conditions", self.name),
            next: "give it a class or a vector for each sample with `given`",
        })
    }

    /// What kind of condition the samples have; of named classes there are as many as names.
    pub fn condition_kind(&self) -> Option<ConditionKind> {
        match self.y.as_ref()?.kind() {
            ConditionKind::Class { classes } => Some(ConditionKind::Class {
                classes: classes.max(self.classes.len()),
            }),
            kind => Some(kind),
        }
    }

    /// Refuses conditions that are not one for each sample.
    fn check_y(&self) -> Result<()> {
        match &self.y {
            Some(y) if y.len() != self.len() => Err(Error::Mismatch {
                what: "conditions and samples",
                left: y.len().to_string(),
                right: self.len().to_string(),
                next: "give each sample one condition",
            }),
            _ => Ok(()),
        }
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

    /// The samples at `indices`, in that order, with their conditions; one may come more than once.
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
        self.check_y()?;
        let rows = Tensor::new(indices, &Device::Cpu)?;
        Ok(Self {
            name: self.name.clone(),
            x: self.x.index_select(&rows, 0)?,
            y: self.y.as_ref().map(|y| y.subset(indices)).transpose()?,
            classes: self.classes.clone(),
            grid: self.grid,
        })
    }

    /// The same samples around 0: a number is subtracted from all values, and from the levels of the grid. No density
    /// and no probability changes, and more digits are left for small noise.
    ///
    /// # Errors
    /// [`Error::Tensor`] only if memory runs out.
    ///
    /// # Example: two levels that lie far out
    /// ```
    /// use itd_prelude::{candle::{Device, Tensor}, data::{Dataset, Grid}};
    ///
    /// let far = Dataset::new("far", Tensor::new(&[1e6f32, 1e6 + 1.0], &Device::Cpu)?)?;
    /// let near = far.on_grid(Grid::new(1e6, 1e6 + 1.0, 2)?)?.centered()?;
    /// assert_eq!(near.x.flatten_all()?.to_vec1::<f32>()?, [0.0, 1.0]);
    /// assert_eq!(near.grid()?, Grid::new(0.0, 1.0, 2)?);
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn centered(&self) -> Result<Self> {
        // A level of the grid, so that levels stay levels to the last bit.
        let by = match self.grid {
            Some(grid) => grid.level((grid.levels - 1) / 2),
            None => {
                let mean = self
                    .x
                    .to_dtype(DType::F64)?
                    .mean_all()?
                    .to_scalar::<f64>()?;
                f64::from(mean as f32)
            }
        };
        let x = (self.x.to_dtype(DType::F64)? - by)?.to_dtype(DType::F32)?;
        let moved = |grid: Grid| Grid::new(grid.low - by, grid.high - by, grid.levels);
        Ok(Self {
            x,
            grid: self.grid.map(moved).transpose()?,
            ..self.clone()
        })
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
        self.dequantized(&mut rng::stream(seed, "dequantize"))
    }

    /// As [`Self::dequantize`], with noise from a generator.
    pub(super) fn dequantized(&self, rng: &mut rng::Rng) -> Result<Self> {
        let noise = rng::uniform(self.x.dims(), rng)?;
        let noise = ((noise - 0.5)? * self.grid()?.spacing())?;
        Ok(Self {
            name: format!("{}, dequantized", self.name),
            x: (&self.x + noise)?,
            y: self.y.clone(),
            classes: self.classes.clone(),
            grid: None,
        })
    }
}

/// The values as `f32`; refused when that takes away what tells the samples apart.
fn single(x: &Tensor) -> Result<Tensor> {
    let single = x.to_dtype(DType::F32)?.contiguous()?;
    let wide = match x.dtype() {
        DType::F64 => x.clone(),
        DType::U32 | DType::I32 | DType::I64 => x.to_dtype(DType::I64)?,
        _ => return Ok(single),
    };
    if not_finite(&single)?.is_some() {
        return Ok(single);
    }
    let rows = wide.flatten_from(1)?;
    let of_values = |t: Tensor| -> Result<Vec<f64>> { Ok(t.to_vec1()?) };
    let lost = (&rows - single.flatten_from(1)?.to_dtype(wide.dtype())?)?;
    let lost = of_values(lost.to_dtype(DType::F64)?.abs()?.max(0)?)?;
    // From the first sample on, so that whole numbers keep all digits.
    let apart = rows.broadcast_sub(&rows.narrow(0, 0, 1)?)?;
    let apart = apart.to_dtype(DType::F64)?;
    let spread = apart.broadcast_sub(&apart.mean_keepdim(0)?)?;
    let spread = of_values(spread.sqr()?.mean(0)?.sqrt()?)?;
    let rows = rows.to_dtype(DType::F64)?;
    let size = of_values(rows.abs()?.max(0)?)?;
    for (j, ((lost, spread), size)) in lost.into_iter().zip(spread).zip(size).enumerate() {
        // A value that is the same in all samples, but for round-off, tells none apart. One that is rounded to a
        // thousandth of the spread still has ten bits.
        if spread > 1e-12 * size && lost > 1e-3 * spread {
            return Err(Error::Parameter {
                name: "the spread of the values",
                got: format!(
                    "{spread:.3e} at place {j} of the samples, of which 32 bits take away {lost:.1e}"
                ),
                need: "at least a thousand times what is rounded off: subtract the mean of the samples first",
            });
        }
    }
    Ok(single)
}

/// NaN if a value is NaN, else ∞ if one is infinite.
pub(crate) fn not_finite(x: &Tensor) -> Result<Option<f64>> {
    let found = slices::around(x, |values| {
        if values.iter().all(|value| value.is_finite()) {
            return None;
        }
        let any_nan = values.iter().any(|value| value.is_nan());
        Some(if any_nan { f64::NAN } else { f64::INFINITY })
    })?;
    Ok(found)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::data) fn points(n: usize) -> Dataset {
        let x = Tensor::arange(0f32, 2.0 * n as f32, &Device::Cpu).unwrap();
        let mut data = Dataset::new("points", x.reshape((n, 2)).unwrap()).unwrap();
        data.y = Some(Condition::Class((0..n as u32).collect()));
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
        let empty = Tensor::zeros((3, 0), DType::F32, &Device::Cpu).unwrap();
        assert!(Dataset::new("bad", empty).is_err());
        assert!(points(4).given(Condition::Class(vec![0; 3])).is_err());
    }

    #[test]
    fn numbers_are_samples_of_one_value() {
        let numbers = Tensor::new(&[1f32, 2.0, 3.0], &Device::Cpu).unwrap();
        let data = Dataset::new("numbers", numbers).unwrap();
        assert_eq!((data.len(), data.shape()), (3, &[1][..]));
    }

    #[test]
    fn only_what_tells_samples_apart_can_be_lost() {
        // One sample, samples that are all the same, and a value that is the same in all of them.
        for samples in [
            vec![[0.1, 0.2]],
            vec![[0.1, 0.1]; 3],
            vec![[0.1, 0.2], [0.1, 0.7]],
        ] {
            let data = Dataset::of("few", &samples).unwrap();
            assert_eq!(data.len(), samples.len());
        }
        assert_eq!(Dataset::of("one number", &[[0.1]]).unwrap().len(), 1);
        let counts = Tensor::new(&[0i64, 1, 16_777_216], &Device::Cpu).unwrap();
        assert!(Dataset::new("counts", counts).is_ok());
        let counts = Tensor::new(&[16_777_216u32, 16_777_217], &Device::Cpu).unwrap();
        assert!(Dataset::new("counts", counts).is_err());
        // Of the first value nothing would be left, however far apart the second ones are.
        for samples in [
            [[1e9, 0.0], [1e9 + 1.0, 1e9]],
            [[0.1, 0.0], [0.1 + 1e-10, 1.0]],
        ] {
            let error = Dataset::of("far", &samples).unwrap_err().to_string();
            assert!(
                error.contains("place 0") && error.contains("32 bits"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_grid_is_believed_only_where_the_values_lie_on_it() {
        let grid = Grid::new(0.0, 7.0, 8).unwrap();
        let data = points(4).on_grid(grid).unwrap();
        assert_eq!(data.subset(&[2]).unwrap().grid().unwrap(), grid);
        let error = points(5).on_grid(grid).unwrap_err().to_string();
        assert!(error.contains("8, 1 from the nearest level"), "{error}");
    }

    #[test]
    fn conditions_go_with_their_samples() {
        let data = points(5).subset(&[4, 1]).unwrap();
        assert_eq!(data.y, Some(Condition::Class(vec![4, 1])));
        let vectors = Condition::vectors(&points(3).x).unwrap();
        let data = points(3).given(vectors).unwrap();
        assert_eq!(
            data.condition_kind(),
            Some(ConditionKind::Vector { dim: 2 })
        );
        assert!(data.class_counts().is_err() && data.clone().with_classes(vec![]).is_err());
        let named = points(3).with_classes(vec!["a".into(); 9]).unwrap();
        assert_eq!(
            named.condition_kind(),
            Some(ConditionKind::Class { classes: 9 })
        );
        assert!(points(3).with_classes(vec!["a".into(); 2]).is_err());
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
