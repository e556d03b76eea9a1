//! The distance of two scores, as MINDE takes it.

use ndarray::ArrayView2;

use super::masked::{
    JointNet, JointNetConfig, Masked, Seen, conditional_gap, distances, interaction_gaps,
};
use super::mmg::open_ends;
use super::{Estimator, Information};
use crate::curve::CurveConfig;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::logsnr::{Logistic, Quadrature};
use crate::train::{LearningRate, TrainConfig};

/// Which scores are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MindeForm {
    /// MINDE-c: the score of `x` and that of `x` given `y`.
    #[default]
    Conditional,
    /// MINDE-c(σ): each against the score of a normal vector, as a difference of two entropies.
    ConditionalSigma,
    /// MINDE-j: the score of both vectors together and those of each given the other.
    Joint,
    /// MINDE-j(σ): each of the three against the score of a normal vector.
    JointSigma,
}

/// Mutual information by the distance of two scores along a diffusion, as published.
///
/// With `ε̂` for the noise that each score stands for, all of the same noisy samples, and `ε̂_G = √σ(−α)·z`,
///
/// ```text
/// c       ½ ∫ E‖ε̂(z_x) − ε̂(z_x, y)‖² dα
/// c(σ)    ½ ∫ E‖ε̂(z_x, y) − ε̂_G‖² − E‖ε̂(z_x) − ε̂_G‖² dα
/// j       ½ ∫ E‖ε̂(z_x, z_y) − [ε̂(z_x, y), ε̂(z_y, x)]‖² dα
/// j(σ)    ½ ∫ E‖ε̂(z_x, y) − ε̂_G‖² + E‖ε̂(z_y, x) − ε̂_G‖² − E‖ε̂(z_x, z_y) − ε̂_G‖² dα
/// ```
///
/// over the log-SNR of a variance-preserving diffusion with β from 0.1 to 20 and time from 10⁻³ to 1, which is −10.05 to 9.1:
/// more than about 4.6 nats, half of the interval's upper end, it cannot see in a direction. Its importance sampling of
/// time, density ∝ β/variance, is uniform in log-SNR. Form c is the orthogonal reading of [`Mmg`](super::Mmg) on that interval.
///
/// Use it to compare with what the field uses; [`Mmg`](super::Mmg) has error bars that tell more.
///
/// # Units
/// Nats. `x` and `y` are standardized, which changes nothing.
///
/// # Errors
/// [`Error::Parameter`] for settings that cannot be; [`Error::Shape`] for fewer than 50 samples; [`Error::Interrupted`] when
/// the user stops it; the others of [`Estimator`].
///
/// # Numerics
/// The standard error is that of the samples. It does not tell what the network's errors add, which the forms without σ
/// count as information.
///
/// # Source
/// Franzese, Bounoua, Michiardi (2024), MINDE, ICLR, arXiv:2310.09031; settings of `MustaphaBounoua/minde`. Other than
/// there: a perceptron with residual layers on the standard normal's denoiser in place of a "U-Net" of perceptrons,
/// samples held out by turns, the same points of log-SNR for all samples, and 8 copies of each sample with the tasks drawn
/// beforehand.
///
/// # Example: a binormal pair, with a short training
/// ```
/// use itd_prelude::information::{Estimator, Minde, MindeForm};
/// use itd_prelude::task;
///
/// let task = task::bivariate(0.75)?;
/// let pairs = task.sample(1000, 0)?;
/// let short = Minde { steps: Some(500), ..Minde::of(MindeForm::Conditional) };
/// let found = short.information(pairs.x.view(), pairs.y.view())?;
/// assert!((found.nats - task.nats).abs() < 0.15, "{found}, in truth {:.4}", task.nats);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Minde {
    /// Which scores are compared.
    pub form: MindeForm,
    /// Width of the network; `None` takes 64, 128 or 256 for up to 10, 50 or more dimensions together.
    pub width: Option<usize>,
    /// Hidden layers.
    pub layers: usize,
    /// Steps of training; `None` takes as many as published, 300 rounds through the samples in steps of 128, and for more
    /// than 5 + 5 dimensions 500 in steps of 256.
    pub steps: Option<usize>,
    /// Points of log-SNR of the integral.
    pub points: usize,
    /// Noises for each sample and point.
    pub draws: usize,
    /// Into how many parts the samples are divided, each held out once.
    pub folds: usize,
    /// Seed of weights, parts, training and noise.
    pub seed: u64,
}

impl Default for Minde {
    fn default() -> Self {
        Self {
            form: MindeForm::default(),
            width: None,
            layers: 3,
            steps: None,
            points: 50,
            draws: 2,
            folds: 2,
            seed: 0,
        }
    }
}

/// Log-SNR at time 1 and at time 10⁻³.
const ENDS: (f64, f64) = (-10.05, 9.1);
/// A logistic of this scale is as good as uniform between them.
const FLAT: f64 = 500.0;

const BOTH: [Seen; 2] = [Seen::Noisy, Seen::Noisy];
const X_ALONE: [Seen; 2] = [Seen::Noisy, Seen::Hidden];
const X_GIVEN: [Seen; 2] = [Seen::Noisy, Seen::Clean];
const Y_GIVEN: [Seen; 2] = [Seen::Clean, Seen::Noisy];

impl Minde {
    /// That form with the published settings.
    pub fn of(form: MindeForm) -> Self {
        Self {
            form,
            ..Self::default()
        }
    }

    /// What the network learns, task by task.
    fn tasks(&self) -> &'static [[Seen; 2]] {
        match self.form {
            MindeForm::Conditional | MindeForm::ConditionalSigma => &[X_ALONE, X_GIVEN],
            MindeForm::Joint | MindeForm::JointSigma => &[BOTH, X_GIVEN, Y_GIVEN],
        }
    }

    fn masked(&self, n: usize, dims: (usize, usize)) -> Result<Masked> {
        let few = dims.0.max(dims.1) <= 5;
        let (batch, epochs, learning_rate) = match few {
            true => (128, 300, 1e-3),
            false => (256, 500, 2e-3),
        };
        // The samples of a fold, seen so often.
        let learn = n - n / self.folds.max(1);
        let steps = self.steps.unwrap_or(epochs * learn.div_ceil(batch));
        Ok(Masked {
            net: JointNetConfig {
                width: self.width.unwrap_or(match dims.0 + dims.1 {
                    ..=10 => 64,
                    11..=50 => 128,
                    _ => 256,
                }),
                layers: self.layers,
                copies: 8,
                seed: self.seed,
            },
            proposal: Logistic::new(0.5 * (ENDS.0 + ENDS.1), FLAT, 1.0)?.on(ENDS.0, ENDS.1)?,
            points: self.points,
            draws: self.draws,
            folds: self.folds,
            train: TrainConfig {
                steps: Some(steps),
                batch,
                learning_rate,
                lr_schedule: LearningRate::Constant,
                warmup: 0,
                betas: (0.9, 0.999),
                ema_decay: Some(0.999),
                ..TrainConfig::default()
            },
            seed: self.seed,
        })
    }
}

impl Estimator for Minde {
    fn name(&self) -> &'static str {
        match self.form {
            MindeForm::Conditional => "MINDE-c",
            MindeForm::ConditionalSigma => "MINDE-c(σ)",
            MindeForm::Joint => "MINDE-j",
            MindeForm::JointSigma => "MINDE-j(σ)",
        }
    }

    fn information(&self, x: ArrayView2<f64>, y: ArrayView2<f64>) -> Result<Information> {
        if self.steps == Some(0) {
            return Err(Error::Parameter {
                name: "steps",
                got: "0".into(),
                need: "at least 1",
            });
        }
        let tasks = self.tasks();
        let masked = self.masked(x.nrows(), (x.ncols(), y.ncols()))?;
        let learn = |data: &Dataset, widths: &[usize], how: &TrainConfig| {
            JointNet::train_on(data, widths, &masked.net, how, |copy, _| {
                tasks[copy % tasks.len()].to_vec()
            })
        };
        let measure =
            |net: &JointNet, part: &Dataset, points: &Quadrature, config: &CurveConfig| {
                let terms: &[(f64, &[usize], &[Seen])] = match self.form {
                    MindeForm::Conditional => {
                        return Ok([conditional_gap(
                            net,
                            [&[0], &[1], &[]],
                            part,
                            points,
                            config,
                        )?]);
                    }
                    MindeForm::Joint => {
                        return Ok([interaction_gaps(net, part, points, config)?.dual]);
                    }
                    MindeForm::ConditionalSigma => &[(1.0, &[0], &X_GIVEN), (-1.0, &[0], &X_ALONE)],
                    MindeForm::JointSigma => &[
                        (1.0, &[0], &X_GIVEN),
                        (1.0, &[1], &Y_GIVEN),
                        (-1.0, &[0, 1], &BOTH),
                    ],
                };
                Ok([distances(net, terms, part, points, config)?])
            };
        let ([gap], warnings) = masked.measured_by(&[x, y], learn, measure)?;
        let found = gap.orthogonal()?;
        let warned = found
            .warnings
            .iter()
            .map(ToString::to_string)
            .chain(open_ends(&gap))
            .chain(warnings);
        Ok(Information {
            nats: found.nats,
            std_err: found.std_err,
            n: found.n,
            per_sample: found.per_sample().map(<[f64]>::to_vec),
            warnings: warned.collect(),
            diagnostics: Vec::new(),
            gap: Some(gap),
        })
    }
}
