//! Small real pictures that ship with the crate.

use candle_core::{Device, Tensor};

use super::{Condition, Dataset, Grid, Split};
use crate::error::Result;
use crate::rng;

/// Records of one label and 64 pixels from 0 to 16; made by `scripts/make_digits.py`.
static RECORDS: &[u8] = include_bytes!("digits.bin");

/// Bytes in a record.
const RECORD: usize = 65;

/// 1,797 handwritten digits of 8×8 pixels in 17 gray levels on [−1, 1], shuffled and split into 1,437 to
/// learn from and 360 to judge with. Always the same.
///
/// # Shapes
/// `[n, 1, 8, 8]`, with labels 0 to 9; the levels lie 0.125 apart.
///
/// # Source
/// E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, test part, UCI Machine
/// Learning Repository, doi:10.24432/C50P49, licence CC BY 4.0.
///
/// # Example
/// ```
/// let data = itd_prelude::data::digits()?;
/// assert_eq!((data.train.len(), data.test.len()), (1437, 360));
/// assert_eq!(data.shape(), [1, 8, 8]);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn digits() -> Result<Split> {
    let records = RECORDS.chunks_exact(RECORD);
    let labels: Vec<u32> = records.clone().map(|record| u32::from(record[0])).collect();
    let pixels = records.flat_map(|record| &record[1..]);
    let values: Vec<f32> = pixels.map(|&p| f32::from(p) / 8.0 - 1.0).collect();
    let x = Tensor::from_vec(values, (labels.len(), 1, 8, 8), &Device::Cpu)?;
    let data = Dataset::new("digits", x)?
        .given(Condition::Class(labels))?
        .on_grid(Grid::new(-1.0, 1.0, 17)?)?;
    // Not by `Split::random`: networks that were trained on one part must never meet the other.
    let order = rng::permutation(data.len(), &mut rng::seeded(0));
    let (test, train) = order.split_at(360);
    let part = |rows, name: &str| -> Result<Dataset> {
        let mut part = data.subset(rows)?;
        part.name = format!("digits ({name})");
        Ok(part)
    };
    Ok(Split {
        train: part(train, "train")?,
        test: part(test, "test")?,
        validation: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The checksum that the script prints.
    fn adler32(bytes: &[u8]) -> u32 {
        let (low, high) = bytes.iter().fold((1u32, 0u32), |(low, high), &byte| {
            let low = (low + u32::from(byte)) % 65_521;
            (low, (high + low) % 65_521)
        });
        high << 16 | low
    }

    #[test]
    fn the_file_is_the_one_that_the_script_makes() {
        assert_eq!(RECORDS.len(), 1797 * RECORD);
        assert_eq!(adler32(RECORDS), 3_309_679_157);
        let mut per_class = [0; 10];
        for record in RECORDS.chunks_exact(RECORD) {
            per_class[usize::from(record[0])] += 1;
            assert!(record[1..].iter().all(|&pixel| pixel <= 16));
        }
        let known = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180];
        assert_eq!(per_class, known);
    }

    #[test]
    fn values_lie_on_the_grid() {
        let data = digits().unwrap();
        let grid = data.grid().unwrap();
        for &value in &data.test.x.flatten_all().unwrap().to_vec1::<f32>().unwrap() {
            assert_eq!(grid.nearest(f64::from(value)), f64::from(value));
        }
    }
}
