//! What one denoiser sees and another does not: four readings of the same noisy samples.

use candle_core::{DType, Tensor};
use ndarray::{Array1, Array2, Axis};

use crate::curve::{
    Asked, CurveConfig, Engine, MseCurve, Noise, NoisyBatch, SquaredError, Statistic,
};
use crate::data::Dataset;
use crate::denoiser::Denoiser;
use crate::error::{Error, Result};
use crate::estimate::Estimate;
use crate::logsnr::Quadrature;
use crate::stats;

/// By how much a denoiser that knows more is better, at each log-SNR. Made by [`gap_curves`].
///
/// With `a = ε − ε̂(z)` and `δ = ε̂(z, y) − ε̂(z)`, both of the same noisy samples `z`,
///
/// ```text
/// p(α) = E⟨a, δ⟩,    q(α) = E‖δ‖²,    E‖ε − ε̂(z)‖² − E‖ε − ε̂(z, y)‖² = 2p − q
/// ```
///
/// With the best denoisers `p = q`, and half the area under it is the mutual information `I(x; y)`, in nats. Networks
/// err, and the four readings err in different ways: an under-trained conditional network makes [`Self::direct`] and
/// [`Self::orthogonal`] too small, an over-trained one makes the first too small and the second too large. So their
/// difference says how far to trust them.
///
/// # Source
/// Yu, Shi, Kong, Jia, Ver Steeg (2025), MMG, arXiv:2509.20609: the direct and the orthogonal form. The mean and the
/// scaled form follow from the same two numbers.
#[derive(Debug, Clone)]
pub struct GapCurves {
    /// `p`, with the value of each sample.
    pub inner: MseCurve,
    /// `q`, with the value of each sample.
    pub squared: MseCurve,
}

/// Measures how two denoisers differ, on the same noisy samples.
///
/// `with` is asked with the conditions of the data or is otherwise the one that knows more, `without` is the other. A
/// network that can do both is given twice, see [`Asked`].
///
/// # Errors
/// As [`mse_curve_with`](crate::curve::mse_curve_with); `clamp` and `conditioning` of the settings are not looked at.
///
/// # Example: two normals with correlation ρ
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::curve::{Asked, Conditioning::{Conditional, Unconditional}};
/// use itd_prelude::distribution::ConditionalGaussian;
/// use itd_prelude::information::gap_curves;
///
/// # fn main() -> Result<()> {
/// let rho: f64 = 0.8;
/// let joint = Gaussian::new(&[0.0, 0.0], &[[1.0, rho], [rho, 1.0]])?;
/// let pairs = joint.sample(2000, &mut rng::seeded(0))?;
/// let data = Dataset::new("pair", pairs.narrow(1, 0, 1)?)?.given(Condition::vectors(&pairs.narrow(1, 1, 1)?)?)?;
/// let net = ConditionalGaussian::new(&joint, 1)?.denoiser(&[1])?;
/// let points = Quadrature::trapezoid(-7.0, 11.0, 55)?;
/// let (with, without) = (Asked(&net, Conditional), Asked(&net, Unconditional));
/// let gap = gap_curves(with, without, &data, &points, &CurveConfig::default())?;
/// let truth = -0.5 * (1.0 - rho * rho).ln(); // 0.511 nats
/// check!(gap.direct()?.within(truth, 4.0));
/// check!(gap.orthogonal()?.within(truth, 4.0));
/// check!(gap.mean()?.within(truth, 4.0));
/// # Ok(()) }
/// ```
pub fn gap_curves<'a>(
    with: impl Into<Asked<'a>>,
    without: impl Into<Asked<'a>>,
    data: &Dataset,
    points: &Quadrature,
    config: &CurveConfig,
) -> Result<GapCurves> {
    config.check()?;
    let asked = |Asked(net, conditioning): Asked<'a>| SquaredError {
        net,
        conditioning,
        clamp: None,
    };
    let pair = Pair {
        with: asked(with.into()),
        without: asked(without.into()),
    };
    let noise = Noise::addressed(config.seed, config.draws);
    let engine = Engine::new(&pair, data, points, config.batch, noise)?;
    let curves = engine.curves(&pair, "measuring what the condition tells")?;
    let [inner, squared] = <[MseCurve; 2]>::try_from(curves)
        .unwrap_or_else(|_| unreachable!("the statistic has two numbers"));
    Ok(GapCurves { inner, squared })
}

/// `⟨a, δ⟩` and `‖δ‖²`.
struct Pair<'a> {
    with: SquaredError<'a>,
    without: SquaredError<'a>,
}

impl Statistic for Pair<'_> {
    fn denoisers(&self) -> Vec<&dyn Denoiser> {
        vec![self.with.net, self.without.net]
    }

    fn width(&self) -> usize {
        2
    }

    fn values(&self, batch: &NoisyBatch) -> Result<Tensor> {
        let flat = |x: Tensor| -> Result<Tensor> { Ok(x.flatten_from(1)?.to_dtype(DType::F64)?) };
        let without = flat(self.without.eps_hat(batch)?)?;
        let step = (flat(self.with.eps_hat(batch)?)? - &without)?;
        let error = (flat(batch.eps.clone())? - without)?;
        let (inner, squared) = ((error * &step)?.sum(1)?, step.sqr()?.sum(1)?);
        Ok(Tensor::stack(&[inner, squared], 1)?)
    }
}

impl GapCurves {
    /// `½ ∫ (2p − q) dα`: the difference of the two errors.
    ///
    /// Where `without` is the best denoiser, its mean over new data is never above the mutual information.
    ///
    /// # Errors
    /// [`Error::Mismatch`](crate::Error::Mismatch) when the curves do not belong together.
    pub fn direct(&self) -> Result<Estimate> {
        information(&self.combined(2.0, -1.0)?)
    }

    /// `½ ∫ q dα`: the distance of the two denoisers. It has the smallest sampling error, and is never below 0: noise
    /// in the networks adds to it.
    ///
    /// # Errors
    /// As [`Self::direct`].
    pub fn orthogonal(&self) -> Result<Estimate> {
        information(&self.squared)
    }

    /// `½ ∫ p dα`, the mean of the two: errors of `with` that have nothing to do with the signal cancel.
    ///
    /// # Errors
    /// As [`Self::direct`].
    pub fn mean(&self) -> Result<Estimate> {
        information(&self.inner)
    }

    /// `½ ∫ p²/q dα`, the direct form of the best multiple of `δ` at each log-SNR; never below [`Self::direct`].
    ///
    /// # Errors
    /// As [`Self::direct`].
    ///
    /// # Numerics
    /// The multiple is chosen by the same samples, which counts about half a standard error of each point that
    /// matters; its standard error is that of the first order. Points where `q` is 0 count as 0.
    pub fn scaled(&self) -> Result<Estimate> {
        let multiple: Vec<f64> = std::iter::zip(&self.inner.mse, &self.squared.mse)
            .map(|(p, q)| if *q > 0.0 { p / q } else { 0.0 })
            .collect();
        // The derivative of p²/q: 2 (p/q) dp − (p/q)² dq, whose mean over the samples is p²/q itself.
        let row = |power: i32, factor: f64| -> Vec<f64> {
            multiple.iter().map(|c| factor * c.powi(power)).collect()
        };
        information(&self.weighted(&row(1, 2.0), &row(2, -1.0))?)
    }

    /// `I(z_α; y)` along the channel: half the area under `p` from the lower end of the interval up to each point.
    ///
    /// # Errors
    /// As [`MseCurve::cumulative_area`].
    pub fn along(&self) -> Result<Vec<f64>> {
        self.inner.cumulative_area()
    }

    /// One standard error of each of [`Self::along`]'s values: that of the samples.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) when the values of single samples were not kept; as [`Self::along`].
    pub fn along_err(&self) -> Result<Vec<f64>> {
        let Some(errors) = &self.inner.errors else {
            return Err(not_kept());
        };
        let points = &self.inner.points;
        let of = |row: ndarray::ArrayView1<f64>| {
            MseCurve::exact(points, self.inner.dim, row.to_vec())?.cumulative_area()
        };
        let running: Vec<Vec<f64>> = errors.rows().into_iter().map(of).collect::<Result<_>>()?;
        let at = |j: usize| running.iter().map(|row| row[j]).collect::<Vec<f64>>();
        Ok((0..points.len()).map(|j| stats::std_err(&at(j))).collect())
    }

    /// `2p − q`, the difference of the two curves of the squared error.
    ///
    /// # Errors
    /// As [`Self::direct`].
    pub fn curve(&self) -> Result<MseCurve> {
        self.combined(2.0, -1.0)
    }

    /// The gaps of parts of the samples as that of all; `rows` tells where the samples of each part stand.
    pub(super) fn joined(parts: &[Self], rows: &[Vec<u32>], data: &str) -> Result<Self> {
        let joined = |of: fn(&Self) -> &MseCurve| -> Result<MseCurve> {
            let Some(first) = parts.first().map(of) else {
                return Err(Error::Empty {
                    what: "the list of parts",
                });
            };
            let n = rows.iter().map(Vec::len).sum();
            let mut all = Array2::zeros((n, first.points.len()));
            for (part, rows) in std::iter::zip(parts, rows) {
                let errors = of(part)
                    .errors
                    .iter()
                    .flat_map(|errors| errors.outer_iter());
                for (&row, values) in rows.iter().zip(errors) {
                    all.row_mut(row as usize).assign(&values);
                }
            }
            MseCurve::of_errors(&first.points, first.dim, all, Some(data.to_owned()))
        };
        Ok(Self {
            inner: joined(|gap| &gap.inner)?,
            squared: joined(|gap| &gap.squared)?,
        })
    }

    /// `a` times this gap and `b` times another one of the same samples and points.
    pub(super) fn scaled_sum(&self, a: f64, other: &Self, b: f64) -> Result<Self> {
        let sum = |of: fn(&Self) -> &MseCurve| -> Result<MseCurve> {
            let (one, two) = (of(self), of(other));
            one.check_like(two)?;
            let (Some(first), Some(second)) = (&one.errors, &two.errors) else {
                return Err(not_kept());
            };
            let errors = a * first + &(b * second);
            MseCurve::of_errors(&one.points, one.dim, errors, one.data.clone())
        };
        Ok(Self {
            inner: sum(|gap| &gap.inner)?,
            squared: sum(|gap| &gap.squared)?,
        })
    }

    fn combined(&self, p: f64, q: f64) -> Result<MseCurve> {
        let k = self.inner.points.len();
        self.weighted(&vec![p; k], &vec![q; k])
    }

    /// `p` and `q` with a factor for each point.
    fn weighted(&self, p: &[f64], q: &[f64]) -> Result<MseCurve> {
        let (inner, squared) = (&self.inner, &self.squared);
        inner.check_like(squared)?;
        let row = |factors: &[f64]| Array1::from(factors.to_vec()).insert_axis(Axis(0));
        let errors = match (&inner.errors, &squared.errors) {
            (Some(a), Some(b)) => a * &row(p) + b * &row(q),
            _ => return Err(not_kept()),
        };
        MseCurve::of_errors(&inner.points, inner.dim, errors, inner.data.clone())
    }
}

fn not_kept() -> Error {
    Error::Missing {
        what: "the gap has not kept the values of its samples".into(),
        next: "measure it with `gap_curves`, which keeps them",
    }
}

/// Half the area under a curve, as an estimate of an information.
fn information(curve: &MseCurve) -> Result<Estimate> {
    let area = curve.area()?;
    let (common, warnings) = (area.common_err(1.0), area.warnings(1.0));
    let data = curve.data.clone().unwrap_or_default();
    Ok(Estimate::of_samples(area.per_sample, data, common).warned(warnings))
}
