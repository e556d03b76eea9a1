//! Mean and covariance of many rows, added up in `f64`, a few rows at a time.

use candle_core::{DType, Device, Tensor};
use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::{Accum, MatMut, MatRef, get_global_parallelism};

use crate::error::{Error, Result};
use crate::rounds::Rounds;

/// Values that are held in `f64` at once; the data themselves never are.
const BLOCK: usize = 1 << 22;

/// What a covariance is made of.
#[derive(Debug)]
pub(super) struct Moments {
    /// Rows.
    pub n: usize,
    /// `μ = 1/n Σ x`.
    pub mean: Vec<f64>,
    /// `1/(n − 1) Σ (x − μ)(x − μ)ᵀ`, `[dim, dim]` row by row.
    pub covariance: Vec<f64>,
    /// `Σ ‖x − μ‖⁴`.
    pub fourth: f64,
}

/// Rows `[n, dim]` on the CPU, whatever their type.
pub(super) struct Rows {
    rows: Tensor,
    pub n: usize,
    pub dim: usize,
}

impl Rows {
    /// # Errors
    /// [`Error::Shape`] unless there are two axes, and two rows at least.
    pub fn new(rows: &Tensor) -> Result<Self> {
        let &[n, dim] = rows.dims() else {
            return Err(Error::Shape {
                what: "the samples",
                got: rows.dims().to_vec(),
                need: "[n, dim]".into(),
            });
        };
        if n < 2 || dim == 0 {
            return Err(Error::Shape {
                what: "the tensor of samples",
                got: vec![n, dim],
                need: "[n, dim] with at least two samples: one has no covariance".into(),
            });
        }
        let rows = rows.to_device(&Device::Cpu)?;
        Ok(Self { rows, n, dim })
    }

    /// The number of blocks of [`Self::blocks`].
    pub fn count(&self) -> usize {
        self.n.div_ceil(self.height())
    }

    fn height(&self) -> usize {
        // Of products of many dimensions no more than a tenth of a second, so that an interrupt is heard.
        let short = (4e9 / (self.dim as f64).powi(2)) as usize;
        (BLOCK / self.dim).min(short).clamp(1, self.n)
    }

    /// The values of a few whole rows at a time.
    pub fn blocks(&self) -> impl Iterator<Item = Result<Vec<f64>>> {
        let height = self.height();
        (0..self.n).step_by(height).map(move |start| {
            let block = self.rows.narrow(0, start, height.min(self.n - start))?;
            Ok(block.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
        })
    }

    /// `1/n Σ x`.
    fn mean(&self, work: &mut Rounds) -> Result<Vec<f64>> {
        let mut sum = vec![0.0; self.dim];
        for block in self.blocks() {
            for row in block?.chunks_exact(self.dim) {
                sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
            }
            work.listen()?;
        }
        Ok(sum.iter().map(|sum| sum / self.n as f64).collect())
    }

    /// The mean, and `1/(n − 1) Σ (x − μ)²` of each value alone.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when the user asks to stop.
    pub fn variances(&self) -> Result<(Vec<f64>, Vec<f64>)> {
        let mut work = Rounds::new("variances", self.count(), 0.0);
        let mean = self.mean(&mut work)?;
        let mut sum = vec![0.0; self.dim];
        for block in self.blocks() {
            for row in block?.chunks_exact(self.dim) {
                let gaps = row.iter().zip(&mean).map(|(x, mean)| x - mean);
                sum.iter_mut()
                    .zip(gaps)
                    .for_each(|(sum, gap)| *sum += gap * gap);
            }
            work.step()?;
        }
        let variances = sum.iter().map(|sum| sum / (self.n - 1) as f64);
        Ok((mean, variances.collect()))
    }

    /// Mean first, then the products of the centred rows: no digits are lost to a large mean.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when the user asks to stop.
    pub fn moments(&self, work: &mut Rounds) -> Result<Moments> {
        let (n, dim) = (self.n, self.dim);
        let mean = self.mean(work)?;
        let mut covariance = vec![0.0; dim * dim];
        let mut fourth = 0.0;
        for block in self.blocks() {
            let mut block = block?;
            for row in block.chunks_exact_mut(dim) {
                row.iter_mut().zip(&mean).for_each(|(x, mean)| *x -= mean);
                fourth += row.iter().map(|x| x * x).sum::<f64>().powi(2);
            }
            let x = MatRef::from_row_major_slice(&block, block.len() / dim, dim);
            matmul(
                MatMut::from_row_major_slice_mut(&mut covariance, dim, dim),
                BlockStructure::TriangularLower,
                Accum::Add,
                x.transpose(),
                BlockStructure::Rectangular,
                x,
                BlockStructure::Rectangular,
                1.0,
                get_global_parallelism(),
            );
            work.step()?;
        }
        for i in 0..dim {
            for j in 0..=i {
                let value = covariance[i * dim + j] / (n - 1) as f64;
                covariance[i * dim + j] = value;
                covariance[j * dim + i] = value;
            }
        }
        Ok(Moments {
            n,
            mean,
            covariance,
            fourth,
        })
    }
}
