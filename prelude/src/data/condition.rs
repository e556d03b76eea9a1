//! What is known of each sample beside its values: a class, or a vector.

use std::fmt;

use candle_core::{DType, Device, Tensor};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// What is known of each sample beside its values: the `y` of `p(x|y)`.
///
/// # Example: classes of four samples, and a vector for each
/// ```
/// use itd_prelude::candle::{Device, Tensor};
/// use itd_prelude::data::{Condition, ConditionKind};
///
/// let classes = Condition::Class(vec![0, 2, 1, 2]);
/// assert_eq!((classes.len(), classes.kind()), (4, ConditionKind::Class { classes: 3 }));
/// assert_eq!(classes.subset(&[1, 3])?, Condition::Class(vec![2, 2]));
///
/// let vectors = Condition::vectors(&Tensor::zeros((4, 2), itd_prelude::candle::DType::F32, &Device::Cpu)?)?;
/// assert_eq!(vectors.kind(), ConditionKind::Vector { dim: 2 });
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone)]
pub enum Condition {
    /// The number of each sample's class, counted from 0.
    Class(Vec<u32>),
    /// A vector for each sample, `[n, k]`, `f32` on the CPU. Made by [`Self::vectors`], which checks it.
    Vector(Tensor),
}

/// What kind of condition there is, or what kind a network can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConditionKind {
    /// One of so many classes.
    Class {
        /// Their number. Of data it is one more than the largest that occurs.
        classes: usize,
    },
    /// A vector.
    Vector {
        /// Its length.
        dim: usize,
    },
}

impl Condition {
    /// Vectors `[n, k]`, or numbers `[n]`, which become vectors of length 1.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there are one or two axes, none of them empty; [`Error::NotFinite`] when a value is
    /// NaN or infinite.
    pub fn vectors(values: &Tensor) -> Result<Self> {
        let values = match values.rank() {
            1 => values.unsqueeze(1)?,
            _ => values.clone(),
        };
        if values.rank() != 2 || values.dims().contains(&0) {
            return Err(Error::Shape {
                what: "the tensor of conditions",
                got: values.dims().to_vec(),
                need: "[n, k] with no empty axis, or [n]".into(),
            });
        }
        let values = values
            .to_dtype(DType::F32)?
            .to_device(&Device::Cpu)?
            .contiguous()?;
        if let Some(got) = super::dataset::not_finite(&values)? {
            return Err(Error::NotFinite {
                what: "a value of the condition",
                got,
                next: "leave out such samples",
            });
        }
        Ok(Self::Vector(values))
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        match self {
            Self::Class(classes) => classes.len(),
            Self::Vector(values) => values.dims().first().copied().unwrap_or(0),
        }
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Classes or vectors, and how many or how long.
    pub fn kind(&self) -> ConditionKind {
        match self {
            Self::Class(classes) => ConditionKind::Class {
                classes: classes.iter().max().map_or(0, |&most| most as usize + 1),
            },
            Self::Vector(values) => ConditionKind::Vector {
                dim: values.dims().get(1).copied().unwrap_or(0),
            },
        }
    }

    /// The conditions of the samples at `indices`, in that order.
    ///
    /// # Errors
    /// [`Error::Parameter`] when an index is too large.
    pub fn subset(&self, indices: &[u32]) -> Result<Self> {
        if let Some(bad) = indices.iter().find(|&&i| i as usize >= self.len()) {
            return Err(Error::Parameter {
                name: "an index of the subset",
                got: bad.to_string(),
                need: "below the number of samples",
            });
        }
        Ok(match self {
            Self::Class(classes) => {
                Self::Class(indices.iter().map(|&i| classes[i as usize]).collect())
            }
            Self::Vector(values) => {
                Self::Vector(values.index_select(&Tensor::new(indices, &Device::Cpu)?, 0)?)
            }
        })
    }

    /// The conditions of `len` samples from the one at `start` on.
    ///
    /// # Errors
    /// [`Error::Parameter`] when there are not so many.
    pub fn narrow(&self, start: usize, len: usize) -> Result<Self> {
        let end = start.checked_add(len).filter(|&end| end <= self.len());
        let Some(end) = end else {
            return Err(Error::Parameter {
                name: "the end of the part",
                got: format!("{start} + {len}"),
                need: "at most the number of samples",
            });
        };
        Ok(match self {
            Self::Class(classes) => Self::Class(classes[start..end].to_vec()),
            Self::Vector(values) => Self::Vector(values.narrow(0, start, len)?),
        })
    }

    /// SHA-256 of the classes, or of the vectors' shape and bits, as 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`Error::Tensor`] when the vectors cannot be read.
    pub fn digest(&self) -> Result<String> {
        let mut hash = Sha256::new();
        match self {
            Self::Class(classes) => {
                hash.update("classes\n");
                classes
                    .iter()
                    .for_each(|class| hash.update(class.to_le_bytes()));
            }
            Self::Vector(values) => {
                hash.update(format!("{:?}\n", values.dims()));
                super::digest::add(&mut hash, values)?;
            }
        }
        Ok(HEXLOWER.encode(&hash.finalize()))
    }

    /// All conditions, one after the other, so many times.
    ///
    /// # Errors
    /// [`Error::Tensor`] when memory runs out.
    pub fn repeat(&self, times: usize) -> Result<Self> {
        Ok(match self {
            Self::Class(classes) => Self::Class(classes.repeat(times)),
            Self::Vector(values) => Self::Vector(values.repeat((times, 1))?),
        })
    }
}

/// Equal classes, or vectors that are equal to the last bit.
impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Class(a), Self::Class(b)) => a == b,
            (Self::Vector(a), Self::Vector(b)) => {
                let values = |tensor: &Tensor| tensor.to_vec2::<f32>().ok();
                a.dims() == b.dims() && values(a) == values(b)
            }
            _ => false,
        }
    }
}

/// `10 classes`, `vectors of length 5`.
impl fmt::Display for ConditionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Class { classes } => write!(f, "{classes} classes"),
            Self::Vector { dim } => write!(f, "vectors of length {dim}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_checked_and_keep_their_samples() {
        let values = Tensor::new(&[[1f32, 2.0], [3.0, 4.0], [5.0, 6.0]], &Device::Cpu).unwrap();
        let y = Condition::vectors(&values).unwrap();
        let picked = y.subset(&[2, 0]).unwrap();
        let Condition::Vector(picked) = picked else {
            panic!("vectors stay vectors")
        };
        assert_eq!(picked.to_vec2::<f32>().unwrap(), [[5.0, 6.0], [1.0, 2.0]]);
        assert_eq!(
            y.narrow(1, 2).unwrap().repeat(2).unwrap(),
            y.subset(&[1, 2, 1, 2]).unwrap()
        );
        assert!(y.subset(&[3]).is_err() && y.narrow(2, 2).is_err());
        assert!(y.narrow(usize::MAX, 2).is_err());
        let numbers = Tensor::new(&[1f32, 2.0], &Device::Cpu).unwrap();
        let numbers = Condition::vectors(&numbers).unwrap();
        assert_eq!(numbers.kind(), ConditionKind::Vector { dim: 1 });
        let bad = Tensor::new(&[f32::NAN], &Device::Cpu).unwrap();
        assert!(Condition::vectors(&bad).is_err());
        let flat = Tensor::zeros((2, 0), DType::F32, &Device::Cpu).unwrap();
        assert!(Condition::vectors(&flat).is_err());
    }
}
