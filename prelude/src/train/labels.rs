//! The classes of the samples, as a network is told them in training.

use crate::data::{Condition, ConditionKind, Dataset};
use crate::denoiser::Trainable;
use crate::error::{Error, Result};
use crate::rng::{self, Rng};

/// A label for each sample, some of which are withheld.
#[derive(Debug)]
pub(super) struct Labels {
    y: Condition,
    dropout: f64,
}

impl Labels {
    /// The data's conditions, if the network can be told any.
    ///
    /// # Errors
    /// [`Error::Missing`] when the data have none, [`Error::Mismatch`] when they have others than the network.
    pub(super) fn new(net: &dyn Trainable, data: &Dataset, dropout: f64) -> Result<Option<Self>> {
        let Some(able) = net.condition() else {
            return Ok(None);
        };
        let y = data.y()?;
        let got = data.condition_kind();
        let fits = match (able, got) {
            // The network may be made for classes of which no sample is there, but not for others.
            (ConditionKind::Class { classes }, Some(ConditionKind::Class { classes: there })) => {
                there == classes || (data.classes.is_empty() && there < classes)
            }
            (able, got) => Some(able) == got,
        };
        if !fits {
            return Err(Error::Mismatch {
                what: "the conditions of the data and of the network",
                left: got.map_or_else(String::new, |kind| kind.to_string()),
                right: able.to_string(),
                next: "make the network for the conditions that the data have",
            });
        }
        Ok(Some(Self {
            y: y.clone(),
            dropout,
        }))
    }

    /// The conditions of some samples, and of which they are told.
    pub(super) fn pick(&self, rows: &[u32], rng: &mut Rng) -> Result<(Condition, Vec<bool>)> {
        let lots: Vec<f32> = rng::uniform(&[rows.len()], rng)?.to_vec1()?;
        let told = lots.into_iter().map(|lot| f64::from(lot) >= self.dropout);
        Ok((self.y.subset(rows)?, told.collect()))
    }
}
