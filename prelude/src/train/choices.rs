//! What is minimized, and how often things are done.

use crate::error::{Error, Result};

/// What training minimizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Objective {
    /// The bound on the entropy: every log-SNR counts alike, whatever it is drawn from (Eq. 15 of the paper).
    #[default]
    Information,
    /// The mean squared error of the noise, `E‖ε − ε̂‖²/d` over the log-SNR that are drawn: what DDPM minimizes
    /// (Ho, Jain, Abbeel, 2020, arXiv:2006.11239, Eq. 14).
    Noise,
}

impl Objective {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Information => "information",
            Self::Noise => "noise",
        }
    }

    /// The loss with its unit.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Information => "loss (nats)",
            Self::Noise => "squared error per dimension",
        }
    }

    /// What stands behind a loss.
    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Information => " nats",
            Self::Noise => "",
        }
    }
}

/// How often something is done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Every {
    /// After so many steps.
    Steps(usize),
    /// After so many rounds through the samples.
    Epochs(usize),
    /// After so much time.
    Minutes(f64),
}

impl Every {
    pub(super) fn check(self, name: &'static str) -> Result<()> {
        let fine = match self {
            Self::Steps(count) | Self::Epochs(count) => count > 0,
            Self::Minutes(minutes) => minutes > 0.0 && minutes.is_finite(),
        };
        match fine {
            true => Ok(()),
            false => Err(Error::Parameter {
                name,
                got: format!("{self:?}"),
                need: "every so many steps or epochs, at least 1, or minutes, finite and > 0",
            }),
        }
    }
}

/// How a network is measured while it learns: its curve on samples that it is not trained on, with the averaged
/// parameters and the same noise each time. A network with classes is not told them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Validation {
    /// How often; at the end, too.
    pub every: Every,
    /// How many samples are taken from the training data for this. Of data that were given apart, so many are
    /// used.
    pub samples: usize,
    /// Points of the curve.
    pub points: usize,
}

impl Default for Validation {
    fn default() -> Self {
        Self {
            every: Every::Epochs(1),
            samples: 500,
            points: 25,
        }
    }
}
