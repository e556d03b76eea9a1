//! What a denoiser is asked.

use candle_core::Tensor;

use crate::data::{Condition, ConditionKind};
use crate::error::{Error, Result};

/// What a denoiser is asked: noisy samples, their log-SNR, and what else is known of them.
///
/// # Example
/// ```
/// use itd_prelude::candle::{DType, Device, Tensor};
/// use itd_prelude::{data::Condition, denoiser::Query};
///
/// let (z, alpha) = (Tensor::zeros((2, 3), DType::F32, &Device::Cpu)?, Tensor::new(&[0f32, 1.0], &Device::Cpu)?);
/// let query = Query::new(&z, &alpha).given(Condition::Class(vec![7, 1]));
/// assert_eq!(query.len(), 2);
/// assert_eq!(query.narrow(1, 1)?.y, Some(Condition::Class(vec![1])));
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Query {
    /// The noisy samples, `[n, shape…]`.
    pub z: Tensor,
    /// The log-SNR of each, `[n]`.
    pub log_snr: Tensor,
    /// The condition of each; `None` asks without.
    pub y: Option<Condition>,
    /// Of which samples the condition is told; the others are asked without. `None` tells it of all.
    pub told: Option<Vec<bool>>,
}

impl Query {
    /// Asks for the noise without a condition.
    pub fn new(z: &Tensor, log_snr: &Tensor) -> Self {
        Self {
            z: z.clone(),
            log_snr: log_snr.clone(),
            y: None,
            told: None,
        }
    }

    /// The same with a condition for each sample.
    pub fn given(self, y: impl Into<Option<Condition>>) -> Self {
        Self {
            y: y.into(),
            ..self
        }
    }

    /// The same with the condition told of some samples only.
    pub fn told(self, told: Vec<bool>) -> Self {
        Self {
            told: Some(told),
            ..self
        }
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        self.z.dims().first().copied().unwrap_or(0)
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same of `len` samples from the one at `start` on.
    ///
    /// # Errors
    /// [`Error::Tensor`] or [`Error::Parameter`] when there are not so many.
    pub fn narrow(&self, start: usize, len: usize) -> Result<Self> {
        let y = self.y.as_ref().map(|y| y.narrow(start, len)).transpose()?;
        let told = self.told.as_ref();
        Ok(Self {
            z: self.z.narrow(0, start, len)?,
            log_snr: self.log_snr.narrow(0, start, len)?,
            y,
            told: told.map(|told| told.iter().skip(start).take(len).copied().collect()),
        })
    }

    /// The class of each sample for a network of so many classes, that number itself where no class is told.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the condition is a vector.
    pub fn classes(&self, classes: usize) -> Result<Option<Vec<u32>>> {
        let Some(y) = &self.y else { return Ok(None) };
        let Condition::Class(labels) = y else {
            return Err(unlike(Some(ConditionKind::Class { classes }), y.kind()));
        };
        let told = |i: usize| {
            self.told
                .as_ref()
                .is_none_or(|told| told.get(i) != Some(&false))
        };
        let null = classes as u32;
        let labels = labels.iter().enumerate();
        Ok(Some(
            labels
                .map(|(i, &class)| if told(i) { class } else { null })
                .collect(),
        ))
    }

    /// Refuses a query that a denoiser of that shape and condition cannot answer.
    pub(crate) fn check(&self, shape: &[usize], kind: Option<ConditionKind>) -> Result<()> {
        let n = self.len();
        if n == 0 || self.z.dims().get(1..) != Some(shape) {
            return Err(Error::Shape {
                what: "the noisy samples",
                got: self.z.dims().to_vec(),
                need: format!("[n, {}]", join(shape)),
            });
        }
        if self.log_snr.dims() != [n] {
            return Err(Error::Shape {
                what: "log_snr",
                got: self.log_snr.dims().to_vec(),
                need: format!("[{n}], one value for each sample"),
            });
        }
        let lists = [
            ("conditions", self.y.as_ref().map(Condition::len)),
            (
                "marks of whom they are told",
                self.told.as_ref().map(Vec::len),
            ),
        ];
        for (what, len) in lists {
            if let Some(len) = len.filter(|&len| len != n) {
                return Err(Error::Mismatch {
                    what: "the query's lists",
                    left: format!("{n} samples"),
                    right: format!("{len} {what}"),
                    next: "give one for each sample",
                });
            }
        }
        self.y
            .as_ref()
            .map_or(Ok(()), |y| check_kind(kind, y.kind()))
    }
}

/// Refuses conditions that a denoiser cannot be told.
pub(crate) fn check_kind(able: Option<ConditionKind>, got: ConditionKind) -> Result<()> {
    match fits(able, got) {
        true => Ok(()),
        false => Err(unlike(able, got)),
    }
}

/// Whether a denoiser that can be told `able` can be told `got`.
fn fits(able: Option<ConditionKind>, got: ConditionKind) -> bool {
    use ConditionKind::{Class, Vector};
    match (able, got) {
        (Some(Class { classes }), Class { classes: got }) => got <= classes,
        (Some(Vector { dim }), Vector { dim: got }) => got == dim,
        _ => false,
    }
}

/// A condition that a denoiser cannot be told.
pub(crate) fn unlike(able: Option<ConditionKind>, got: ConditionKind) -> Error {
    let (right, next) = match able {
        None => (
            "one that takes no condition".to_owned(),
            "ask it without a condition, or make a network that takes one",
        ),
        Some(able) => (
            format!("one that takes {able}"),
            "make the network for the conditions that the data have",
        ),
    };
    Error::Mismatch {
        what: "the condition and the denoiser",
        left: got.to_string(),
        right,
        next,
    }
}

fn join(shape: &[usize]) -> String {
    let axes = shape.iter().map(usize::to_string);
    axes.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    #[test]
    fn what_a_denoiser_takes_no_notice_of_is_refused() {
        let z = Tensor::zeros((2, 3), DType::F32, &Device::Cpu).unwrap();
        let alpha = Tensor::zeros(2, DType::F32, &Device::Cpu).unwrap();
        let plain = Query::new(&z, &alpha);
        let classes = |labels: &[u32]| plain.clone().given(Condition::Class(labels.to_vec()));
        let vectors = plain.clone().given(Condition::vectors(&z).unwrap());
        let (none, ten) = (None, Some(ConditionKind::Class { classes: 10 }));
        let three = Some(ConditionKind::Vector { dim: 3 });
        for kind in [none, ten, three] {
            assert!(plain.check(&[3], kind).is_ok());
            assert!(plain.check(&[4], kind).is_err());
        }
        assert!(classes(&[9, 0]).check(&[3], ten).is_ok());
        assert!(vectors.check(&[3], three).is_ok());
        let refused = |query: &Query, kind| query.check(&[3], kind).unwrap_err().to_string();
        assert!(refused(&classes(&[9, 0]), none).contains("takes no condition"));
        assert!(refused(&classes(&[10, 0]), ten).contains("11 classes"));
        assert!(refused(&classes(&[1]), ten).contains("1 conditions"));
        assert!(refused(&classes(&[1, 0]).told(vec![true]), ten).contains("1 marks"));
        assert!(refused(&classes(&[1, 0]), three).contains("takes vectors of length 3"));
        assert!(refused(&vectors, Some(ConditionKind::Vector { dim: 2 })).contains("length 2"));
        let short = Query::new(&z, &alpha.narrow(0, 0, 1).unwrap());
        assert!(refused(&short, none).starts_with("log_snr"));
    }

    #[test]
    fn those_that_are_not_told_have_the_class_behind_the_last() {
        let z = Tensor::zeros((3, 1), DType::F32, &Device::Cpu).unwrap();
        let alpha = Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap();
        let query = Query::new(&z, &alpha).given(Condition::Class(vec![2, 0, 1]));
        assert_eq!(query.classes(4).unwrap(), Some(vec![2, 0, 1]));
        let query = query.told(vec![true, false, true]);
        assert_eq!(query.classes(4).unwrap(), Some(vec![2, 4, 1]));
        assert_eq!(
            query.narrow(1, 2).unwrap().classes(4).unwrap(),
            Some(vec![4, 1])
        );
    }
}
