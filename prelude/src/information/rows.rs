//! What can be taken as samples of a vector.

use candle_core::{DType, Device, Tensor};
use ndarray::{Array1, Array2, ArrayView2};

use crate::data::Dataset;
use crate::error::{Error, Result};

/// Samples of a vector, one a row: matrices, tensors, data sets, lists of numbers or of arrays.
///
/// # Example
/// ```
/// use itd_prelude::information::Rows;
///
/// assert_eq!([1.0, 2.0, 4.0].as_slice().rows()?.dim(), (3, 1));
/// assert_eq!(vec![[1.0, 2.0], [3.0, 4.0]].rows()?.dim(), (2, 2));
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub trait Rows {
    /// The samples, `[n, d]`.
    ///
    /// # Errors
    /// [`Error::Shape`] for a tensor without a dimension; [`Error::Tensor`] when a tensor cannot be read.
    fn rows(&self) -> Result<Array2<f64>>;
}

impl Rows for Array2<f64> {
    fn rows(&self) -> Result<Array2<f64>> {
        Ok(self.clone())
    }
}

impl Rows for ArrayView2<'_, f64> {
    fn rows(&self) -> Result<Array2<f64>> {
        Ok(self.to_owned())
    }
}

impl Rows for Array1<f64> {
    fn rows(&self) -> Result<Array2<f64>> {
        Ok(self.clone().insert_axis(ndarray::Axis(1)))
    }
}

impl Rows for [f64] {
    fn rows(&self) -> Result<Array2<f64>> {
        Array1::from(self.to_vec()).rows()
    }
}

impl Rows for Vec<f64> {
    fn rows(&self) -> Result<Array2<f64>> {
        self.as_slice().rows()
    }
}

impl<const D: usize> Rows for [[f64; D]] {
    fn rows(&self) -> Result<Array2<f64>> {
        Ok(Array2::from_shape_fn((self.len(), D), |(i, j)| self[i][j]))
    }
}

impl<const D: usize> Rows for Vec<[f64; D]> {
    fn rows(&self) -> Result<Array2<f64>> {
        self.as_slice().rows()
    }
}

impl Rows for Tensor {
    fn rows(&self) -> Result<Array2<f64>> {
        let refuse = || Error::Shape {
            what: "the tensor of samples",
            got: self.dims().to_vec(),
            need: "[n, d…], one row for each sample".into(),
        };
        let n = *self.dims().first().ok_or_else(refuse)?;
        let flat = match self.rank() {
            1 => self.unsqueeze(1)?,
            _ => self.flatten_from(1)?,
        };
        let values = flat.to_dtype(DType::F64)?.to_device(&Device::Cpu)?;
        let d = flat.dim(1)?;
        let values = values.flatten_all()?.to_vec1()?;
        Array2::from_shape_vec((n, d), values).map_err(|_| refuse())
    }
}

impl Rows for Dataset {
    fn rows(&self) -> Result<Array2<f64>> {
        self.x.rows()
    }
}

impl<R: Rows + ?Sized> Rows for &R {
    fn rows(&self) -> Result<Array2<f64>> {
        (**self).rows()
    }
}
