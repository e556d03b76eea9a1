//! Pictures of one size, put one after the other while they are read.

use std::io;
use std::path::Path;

use candle_core::{Device, Tensor};

use super::source::file_error;
use super::{Condition, Dataset, Grid};
use crate::error::Result;

/// Values of pictures on 256 levels from −1 to 1, where they will lie in the tensor.
///
/// All memory is asked for at the start: a vector that grows would need that of the set twice.
pub(super) struct Stack {
    shape: [usize; 3],
    values: Vec<f32>,
    levels: [f32; 256],
}

impl Stack {
    /// Room for `count` pictures `[channels, height, width]` from a file.
    pub(super) fn new(path: &Path, count: usize, shape: [usize; 3]) -> Result<Self> {
        let mut values = Vec::new();
        let size = shape
            .iter()
            .try_fold(count, |size, &axis| size.checked_mul(axis));
        let reserved = size.map(|size| values.try_reserve_exact(size));
        if !matches!(reserved, Some(Ok(()))) {
            let text = format!("{count} pictures {shape:?} do not fit into memory");
            let cause = io::Error::new(io::ErrorKind::OutOfMemory, text);
            return Err(file_error(path, cause));
        }
        Ok(Self {
            shape,
            values,
            // Divided in f64, so that each level is the f32 nearest to it.
            levels: std::array::from_fn(|level| (level as f64 / 127.5 - 1.0) as f32),
        })
    }

    /// `[channels, height, width]` of each picture.
    pub(super) fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Bytes in the order of the tensor: channels, rows, columns.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let levels = &self.levels;
        self.values
            .extend(bytes.iter().map(|&byte| levels[usize::from(byte)]));
    }

    /// Bytes of one picture with the channels of a pixel next to each other: rows, columns, channels.
    pub(super) fn push_pixels(&mut self, bytes: &[u8]) {
        let channels = self.shape[0];
        for channel in 0..channels {
            let plane = bytes.iter().skip(channel).step_by(channels);
            let levels = &self.levels;
            self.values
                .extend(plane.map(|&byte| levels[usize::from(byte)]));
        }
    }

    /// The data set that the pictures make.
    pub(super) fn finish(self, name: &str, labels: Option<Vec<u8>>) -> Result<Dataset> {
        let [channels, height, width] = self.shape;
        let count = self.values.len() / (channels * height * width).max(1);
        let shape = (count, channels, height, width);
        let data = Dataset::new(name, Tensor::from_vec(self.values, shape, &Device::Cpu)?)?
            .on_grid(Grid::new(-1.0, 1.0, 256)?)?;
        match labels {
            Some(labels) => data.given(Condition::Class(
                labels.into_iter().map(u32::from).collect(),
            )),
            None => Ok(data),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_the_nearest_to_those_of_the_grid() {
        let mut stack = Stack::new(Path::new("none"), 1, [1, 16, 16]).unwrap();
        stack.push(&(0..=255).collect::<Vec<u8>>());
        let data = stack.finish("all levels", None).unwrap();
        let grid = data.grid().unwrap();
        assert_eq!(grid.spacing(), 2.0 / 255.0);
        let values: Vec<f32> = data.x.flatten_all().unwrap().to_vec1().unwrap();
        for (i, &value) in values.iter().enumerate() {
            assert_eq!(value, grid.level(i) as f32);
        }
    }

    #[test]
    fn pixels_become_planes() {
        let mut stack = Stack::new(Path::new("none"), 1, [3, 1, 2]).unwrap();
        stack.push_pixels(&[0, 1, 2, 255, 254, 253]);
        let data = stack.finish("two pixels", None).unwrap();
        let values: Vec<f32> = data.x.flatten_all().unwrap().to_vec1().unwrap();
        let bytes: Vec<f32> = values.iter().map(|v| (v + 1.0) * 127.5).collect();
        for (byte, known) in bytes.iter().zip([0.0, 255.0, 1.0, 254.0, 2.0, 253.0]) {
            assert!((byte - known).abs() < 1e-4, "{bytes:?}");
        }
    }

    #[test]
    fn too_much_is_an_error() {
        assert!(Stack::new(Path::new("none"), usize::MAX, [1, 28, 28]).is_err());
    }
}
