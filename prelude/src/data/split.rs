//! A set in parts: to learn from, to judge with, and to choose with.

use super::{Dataset, Grid};
use crate::error::{Error, Result};
use crate::rng;

/// A data set in two parts or three.
#[derive(Debug, Clone)]
pub struct Split {
    /// To learn from.
    pub train: Dataset,
    /// To judge with; no number that is fitted has seen it.
    pub test: Dataset,
    /// To choose with, if it was asked for; see [`Self::with_validation`].
    pub validation: Option<Dataset>,
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
        let order = rng::permutation(data.len(), &mut rng::stream(seed, "split"));
        let (test, train) = order.split_at(test);
        let part = |rows, name| -> Result<Dataset> {
            let mut part = data.subset(rows)?;
            part.name = format!("{} ({name})", data.name);
            Ok(part)
        };
        Ok(Self {
            train: part(train, "train")?,
            test: part(test, "test")?,
            validation: None,
        })
    }

    /// The same data in three parts: `n` samples that were to learn from are set apart to choose with, such
    /// as when to stop, or which of two curves is better. The part to judge with stays what it is.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless at least one sample is left on each side, and when there is such a part
    /// already.
    ///
    /// # Example
    /// ```
    /// let data = itd_prelude::data::digits()?.with_validation(237, 0)?;
    /// assert_eq!((data.train.len(), data.test.len()), (1200, 360));
    /// assert_eq!(data.validation.map(|part| part.len()), Some(237));
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn with_validation(&self, n: usize, seed: u64) -> Result<Self> {
        if let Some(part) = &self.validation {
            return Err(Error::Parameter {
                name: "the validation part",
                got: format!("there already, with {} samples", part.len()),
                need: "absent; split the data from before",
            });
        }
        if n == 0 || n >= self.train.len() {
            return Err(Error::Parameter {
                name: "n",
                got: n.to_string(),
                need: "at least 1 and below the number of samples to learn from",
            });
        }
        let order = rng::permutation(self.train.len(), &mut rng::stream(seed, "validation split"));
        let (apart, rest) = order.split_at(n);
        let mut validation = self.train.subset(apart)?;
        let name = self.train.name.trim_end_matches(" (train)");
        validation.name = format!("{name} (validation)");
        Ok(Self {
            train: self.train.subset(rest)?,
            test: self.test.clone(),
            validation: Some(validation),
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

    /// All parts made continuous; see [`Dataset::dequantize`].
    ///
    /// # Errors
    /// [`Error::Missing`] when the data lie on no grid.
    pub fn dequantize(&self, seed: u64) -> Result<Self> {
        let part = |data: &Dataset, purpose| data.dequantized(&mut rng::stream(seed, purpose));
        let validation = self.validation.as_ref();
        Ok(Self {
            train: part(&self.train, "dequantize train")?,
            test: part(&self.test, "dequantize test")?,
            validation: validation
                .map(|data| part(data, "dequantize validation"))
                .transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::dataset::tests::points;

    #[test]
    fn a_split_keeps_each_sample_once() {
        let split = Split::random(&points(20), 5, 0).unwrap();
        assert_eq!((split.train.len(), split.test.len()), (15, 5));
        let mut all = split.train.labels().unwrap().to_vec();
        all.extend(split.test.labels().unwrap().to_vec());
        // A label still belongs to its sample.
        let first = split.test.x.to_vec2::<f32>().unwrap()[0][0];
        assert_eq!(first, 2.0 * split.test.labels().unwrap()[0] as f32);
        all.sort_unstable();
        assert_eq!(all, (0..20).collect::<Vec<u32>>());
    }

    #[test]
    fn a_third_part_is_taken_from_what_is_to_learn_from() {
        let two = Split::random(&points(20), 5, 0).unwrap();
        let three = two.with_validation(4, 1).unwrap();
        let apart = three.validation.as_ref().unwrap();
        assert_eq!(
            (three.train.len(), apart.len(), three.test.len()),
            (11, 4, 5)
        );
        assert_eq!(three.test.y, two.test.y);
        assert_eq!(apart.name, "points (validation)");
        assert_eq!(three.train.name, "points (train)");
        let mut all = three.train.labels().unwrap().to_vec();
        all.extend(apart.labels().unwrap().to_vec());
        all.sort_unstable();
        let mut before = two.train.labels().unwrap().to_vec();
        before.sort_unstable();
        assert_eq!(all, before);
        for n in [0, 15, 16] {
            assert!(two.with_validation(n, 0).is_err(), "{n}");
        }
        assert!(three.with_validation(1, 0).is_err());
    }

    #[test]
    fn both_sides_need_samples() {
        assert!(Split::random(&points(4), 0, 0).is_err());
        assert!(Split::random(&points(4), 4, 0).is_err());
    }
}
