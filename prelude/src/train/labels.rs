//! The classes of the samples, as a network is told them in training.

use candle_core::{Device, Tensor};

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::net::Trainable;
use crate::rng::{self, Rng};

/// A label for each sample, some of which are withheld.
#[derive(Debug)]
pub(super) struct Labels {
    of: Vec<u32>,
    /// What a network takes for "no class": their number.
    none: u32,
    dropout: f64,
}

impl Labels {
    /// The data's labels, if the network asks for such and the data have them.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the data have other classes than the network.
    pub(super) fn new(net: &dyn Trainable, data: &Dataset, dropout: f64) -> Result<Option<Self>> {
        let (Some(classes), Some(labels)) = (net.classes(), &data.labels) else {
            return Ok(None);
        };
        // Refuses labels that do not fit the samples.
        let counts = data.class_counts()?;
        let highest = counts.last().map_or(0, |(label, _)| usize::from(*label));
        let named = data.classes.len();
        if highest >= classes || (named > 0 && named != classes) {
            return Err(Error::Mismatch {
                what: "the classes of the data and of the network",
                left: match named {
                    0 => format!("labels up to {highest}"),
                    named => format!("{named} classes, labels up to {highest}"),
                },
                right: format!("{classes} classes"),
                next: "make the network with the data's number of classes",
            });
        }
        Ok(Some(Self {
            of: labels.iter().copied().map(u32::from).collect(),
            none: classes as u32,
            dropout,
        }))
    }

    /// The labels of some samples.
    pub(super) fn pick(&self, rows: &[u32], rng: &mut Rng) -> Result<Tensor> {
        let lots: Vec<f32> = rng::uniform(&[rows.len()], rng)?.to_vec1()?;
        let told = |(&row, lot): (&u32, f32)| match f64::from(lot) < self.dropout {
            true => self.none,
            false => self.of.get(row as usize).copied().unwrap_or(self.none),
        };
        let labels: Vec<u32> = rows.iter().zip(lots).map(told).collect();
        Ok(Tensor::new(labels, &Device::Cpu)?)
    }
}
