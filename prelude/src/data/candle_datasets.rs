//! The data sets of the crate candle-datasets, whose loaders give values from 0 to 1.

use candle_core::{DType, Tensor};
use candle_datasets::vision;
use itd_files::images::Images;
use itd_files::images::published::Parts;

use super::Split;
use crate::error::{Error, Result};

/// Both parts on 256 levels from −1 to 1, with their labels; rows of as many values as a square has are grey pictures.
///
/// # Errors
/// [`Error::Shape`] unless pictures are `[n, side²]` or `[n, 1 or 3, height, width]`, with a label for each;
/// [`Error::Parameter`] when a value is no 255th part of 1.
impl TryFrom<vision::Dataset> for Split {
    type Error = Error;

    fn try_from(data: vision::Dataset) -> Result<Self> {
        let part = |name: &str, x: &Tensor, labels: &Tensor| -> Result<Images> {
            let shape = match *x.dims() {
                [_, dim] if dim.isqrt().pow(2) == dim => [1, dim.isqrt(), dim.isqrt()],
                [_, channels @ (1 | 3), height, width] => [channels, height, width],
                ref got => {
                    return Err(Error::Shape {
                        what: "the pictures",
                        got: got.to_vec(),
                        need: "[n, side²] or [n, 1 or 3, height, width]".into(),
                    });
                }
            };
            let labels = labels
                .flatten_all()?
                .to_dtype(DType::U32)?
                .to_vec1::<u32>()?;
            if labels.len() != x.dims()[0] {
                return Err(Error::Shape {
                    what: "the labels",
                    got: vec![labels.len()],
                    need: format!("[{}], one a picture", x.dims()[0]),
                });
            }
            let values = x.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
            Ok(Images {
                name: format!("candle-datasets ({name})"),
                shape,
                pixels: values.into_iter().map(byte).collect::<Result<_>>()?,
                labels: Some(labels),
                classes: Vec::new(),
            })
        };
        let train = part("train", &data.train_images, &data.train_labels)?;
        let test = part("test", &data.test_images, &data.test_labels)?;
        Parts { train, test }.try_into()
    }
}

/// The byte that a value was made from.
fn byte(value: f32) -> Result<u8> {
    let level = value * 255.0;
    match (level - level.round()).abs() < 1e-3 && (0.0..=255.0).contains(&level.round()) {
        true => Ok(level.round() as u8),
        false => Err(Error::Parameter {
            name: "a value of the pictures",
            got: value.to_string(),
            need: "a multiple of 1/255 from 0 to 1",
        }),
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn levels_and_labels_are_kept() {
        let tensor = |values: Vec<f32>, shape: &[usize]| {
            Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
        };
        let data = |train: Tensor| vision::Dataset {
            train_images: train,
            train_labels: Tensor::new(&[3u8, 1], &Device::Cpu).unwrap(),
            test_images: tensor(vec![0.0; 3 * 2 * 5], &[1, 3, 2, 5]),
            test_labels: Tensor::new(&[7u8], &Device::Cpu).unwrap(),
            labels: 10,
        };
        let values: Vec<f32> = (0..8).map(|i| i as f32 * 30.0 / 255.0).collect();
        let split = Split::try_from(data(tensor(values, &[2, 4]))).unwrap();
        assert_eq!(
            (split.train.x.dims(), split.test.shape()),
            (&[2, 1, 2, 2][..], &[3, 2, 5][..])
        );
        assert_eq!(
            (split.train.labels().unwrap(), split.test.labels().unwrap()),
            (&[3, 1][..], &[7][..])
        );
        let values = split
            .train
            .x
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap();
        assert!((values[7] - (210.0 / 127.5 - 1.0)).abs() < 1e-6 && values[0] == -1.0);
        assert!(Split::try_from(data(tensor(vec![0.5; 8], &[2, 4]))).is_err());
        assert!(Split::try_from(data(tensor(vec![0.0; 10], &[2, 5]))).is_err());
        assert!(Split::try_from(data(tensor(vec![0.0; 4], &[1, 4]))).is_err());
    }
}
