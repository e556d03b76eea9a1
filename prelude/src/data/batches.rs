//! A set in small parts, in random order.

use super::Dataset;
use crate::error::{Error, Result};
use crate::rng;

/// The batches of a set, each sample in one of them; made by [`Dataset::batches`].
#[derive(Debug, Clone)]
pub struct Batches {
    data: Dataset,
    order: Vec<u32>,
    size: usize,
    next: usize,
}

impl Dataset {
    /// The samples in random order, `size` at a time; the last batch may be smaller.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless `size` is from 1 to the number of samples.
    ///
    /// # Example
    /// ```
    /// use itd_prelude::data;
    ///
    /// let data = data::digits()?.train;
    /// let mut seen = 0;
    /// for batch in data.batches(100, 0)? {
    ///     seen += batch?.len();
    /// }
    /// assert_eq!(seen, 1437); // fourteen of 100 and one of 37
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn batches(&self, size: usize, seed: u64) -> Result<Batches> {
        if size == 0 || size > self.len() {
            return Err(Error::Parameter {
                name: "size",
                got: size.to_string(),
                need: "at least 1 and at most the number of samples",
            });
        }
        Ok(Batches {
            data: self.clone(),
            order: rng::permutation(self.len(), &mut rng::stream(seed, "batches")),
            size,
            next: 0,
        })
    }
}

impl Iterator for Batches {
    type Item = Result<Dataset>;

    fn next(&mut self) -> Option<Self::Item> {
        let rows = self.order.chunks(self.size).nth(self.next)?;
        self.next += 1;
        Some(self.data.subset(rows))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self
            .order
            .len()
            .div_ceil(self.size)
            .saturating_sub(self.next);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Batches {}

#[cfg(test)]
mod tests {
    use crate::data::dataset::tests::points;

    fn labels(size: usize, seed: u64) -> Vec<Vec<u32>> {
        let batches = points(10).batches(size, seed).unwrap();
        assert_eq!(batches.len(), 10usize.div_ceil(size));
        batches
            .map(|batch| batch.unwrap().labels().unwrap().to_vec())
            .collect()
    }

    #[test]
    fn each_sample_comes_once() {
        let batches = labels(4, 0);
        let sizes: Vec<usize> = batches.iter().map(Vec::len).collect();
        assert_eq!(sizes, [4, 4, 2]);
        let mut all = batches.concat();
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<u32>>());
    }

    #[test]
    fn the_seed_decides_the_order() {
        assert_ne!(labels(3, 3), labels(3, 4));
        assert_eq!(labels(3, 3), labels(3, 3));
        // A sample keeps its label.
        for batch in points(10).batches(3, 3).unwrap() {
            let batch = batch.unwrap();
            let rows = batch.x.to_vec2::<f32>().unwrap();
            for (row, label) in rows.iter().zip(batch.labels().unwrap()) {
                assert_eq!(row[0], 2.0 * *label as f32);
            }
        }
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        let data = points(10);
        assert!(data.batches(0, 0).is_err());
        assert!(data.batches(11, 0).is_err());
        assert_eq!(data.batches(10, 0).unwrap().len(), 1);
    }
}
