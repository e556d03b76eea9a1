//! What a network is told beside a noisy sample, as numbers that it can add to others.

use candle_core::{Device, Tensor};
use candle_nn::{Init, VarBuilder};

use crate::data::{Condition, ConditionKind};
use crate::denoiser::Query;
use crate::error::{Error, Result};
use crate::layers::{Linear, Scheme};
use crate::ops::{Activation, Tape};

/// A learned vector for each class, or a perceptron of the condition's vector; and a learned vector, the null token,
/// for samples of which nothing is told.
#[derive(Debug, Clone)]
pub(super) struct ConditionEmbedding {
    from: From,
    size: usize,
}

#[derive(Debug, Clone)]
enum From {
    /// `[classes + 1, size]`; the last row is the null token.
    Classes { classes: usize, table: Tensor },
    /// The null token: `[1, size]`.
    Vector { layers: [Linear; 2], null: Tensor },
}

/// Most classes, and most numbers of a vector.
const MOST: usize = 65_536;

/// Refuses conditions that no network can be told.
pub(super) fn check(kind: Option<ConditionKind>) -> Result<()> {
    let (name, got) = match kind {
        None => return Ok(()),
        Some(ConditionKind::Class { classes }) => ("condition.classes", classes),
        Some(ConditionKind::Vector { dim }) => ("condition.dim", dim),
    };
    match (1..=MOST).contains(&got) {
        true => Ok(()),
        false => Err(Error::Parameter {
            name,
            got: got.to_string(),
            need: "1 to 65536",
        }),
    }
}

impl ConditionEmbedding {
    /// Embeds conditions of that kind in `size` numbers.
    pub(super) fn new(vb: VarBuilder, kind: ConditionKind, size: usize) -> Result<Self> {
        let normal = Init::Randn {
            mean: 0.0,
            stdev: 1.0,
        };
        let from = match kind {
            ConditionKind::Class { classes } => From::Classes {
                classes,
                table: vb.get_with_hints((classes + 1, size), "weight", normal)?,
            },
            ConditionKind::Vector { dim } => From::Vector {
                layers: [
                    Linear::new(vb.pp("0"), dim, size, Scheme::Normal)?,
                    Linear::new(vb.pp("1"), size, size, Scheme::Normal)?,
                ],
                null: vb.get_with_hints((1, size), "null", normal)?,
            },
        };
        Ok(Self { from, size })
    }

    /// `[n, size]` for a query that fits.
    pub(super) fn embed(&self, tape: &Tape, query: &Query, device: &Device) -> Result<Tensor> {
        let n = query.len();
        let rows = |rows: Vec<u32>| Tensor::new(rows, device);
        match &self.from {
            From::Classes { classes, table } => {
                let null = *classes as u32;
                let labels = query.classes(*classes)?;
                let labels = rows(labels.unwrap_or_else(|| vec![null; n]))?;
                tape.small([table], |[table]| Ok(table.index_select(&labels, 0)?))
            }
            From::Vector { layers, null } => {
                let Some(Condition::Vector(y)) = &query.y else {
                    let all = (n, self.size);
                    return tape
                        .small([null], |[null]| Ok(null.broadcast_as(all)?.contiguous()?));
                };
                let y = y.to_device(device)?.contiguous()?;
                let h = layers[0].apply(tape, &y, Activation::Silu)?;
                let h = layers[1].apply(tape, &h, Activation::None)?;
                let Some(told) = &query.told else {
                    return Ok(h);
                };
                let row = |(i, &told): (usize, &bool)| if told { i as u32 + 1 } else { 0 };
                let rows = rows(told.iter().enumerate().map(row).collect())?;
                tape.small([null, &h], |[null, h]| {
                    Ok(Tensor::cat(&[null, h], 0)?.index_select(&rows, 0)?)
                })
            }
        }
    }
}
