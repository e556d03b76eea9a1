//! The paper's own curves on CIFAR-10, and its rule for a number from them.

use std::path::Path;
use std::sync::OnceLock;

use itd_files::table::{Format, malformed};
use rand::{Rng as _, RngCore};

use super::{MseCurve, ensemble_as_published};
use crate::cell::memory::room_for;
use crate::error::{Error, Result};
use crate::estimate::Estimate;
use crate::logsnr::{Logistic, Quadrature, Rule};
use crate::stats;

/// Numbers in a CIFAR-10 image.
pub const CIFAR10_DIM: usize = 3072;

/// Images behind the paper's curves.
pub const CIFAR10_TEST_IMAGES: usize = 10_000;

/// Entropy of the Gaussian with the covariance of CIFAR-10, in nats: −2.4695 bits per dimension.
pub const CIFAR10_GAUSSIAN_ENTROPY: f64 = -5258.48;

/// A curve of the paper: the squared error of a network on the 10,000 test images of CIFAR-10.
///
/// Read off the vector figures that come with the published code: 1,000 values of the log-SNR, as they were drawn for
/// the paper from [`Logistic::published_for_cifar10`], and the error per dimension at each to six digits. A value is
/// right to about 5e-4, since the paths were simplified to 64 to 195 vertices when they were drawn. The pixels are on
/// [−1, 1] with 256 levels. The numbers stand in `published.parquet` beside this file, with their source.
///
/// # Source
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Figs. 2 and 3: `cont_density.pdf` and
/// `disc_density.pdf` in `github.com/kxh001/ITdiffusion` (commit 36f2c0b), `results/figs`.
///
/// # Example: a network beats the Gaussian, until it is asked what it never learned
/// ```
/// use itd_prelude::curve::Published;
///
/// let (gaussian, ddpm) = (Published::Gaussian.curve()?, Published::Ddpm.curve()?);
/// assert_eq!(ddpm.points.len(), 1000);
/// assert!(ddpm.mse[500] < gaussian.mse[500] && ddpm.mse[999] > gaussian.mse[999]);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Published {
    /// The Gaussian's own curve, `f_Σ`.
    Gaussian,
    /// Ho et al.'s network.
    Ddpm,
    /// Nichol and Dhariwal's network.
    Iddpm,
    /// DDPM, tuned with the loss of Eq. 15.
    DdpmTuned,
    /// IDDPM, tuned with the loss of Eq. 15.
    IddpmTuned,
    /// DDPM, softly rounded.
    DdpmRounded,
    /// IDDPM, softly rounded.
    IddpmRounded,
    /// DDPM, tuned and softly rounded.
    DdpmTunedRounded,
    /// IDDPM, tuned and softly rounded.
    IddpmTunedRounded,
}

impl Published {
    /// All curves, in the order of the paper's figures.
    pub const ALL: [Self; 9] = [
        Self::Gaussian,
        Self::Ddpm,
        Self::Iddpm,
        Self::DdpmTuned,
        Self::IddpmTuned,
        Self::DdpmRounded,
        Self::IddpmRounded,
        Self::DdpmTunedRounded,
        Self::IddpmTunedRounded,
    ];

    /// The name that the paper's tables use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gaussian => "Gaussian",
            Self::Ddpm => "DDPM",
            Self::Iddpm => "IDDPM",
            Self::DdpmTuned => "DDPM (tune)",
            Self::IddpmTuned => "IDDPM (tune)",
            Self::DdpmRounded => "DDPM, rounded",
            Self::IddpmRounded => "IDDPM, rounded",
            Self::DdpmTunedRounded => "DDPM (tune), rounded",
            Self::IddpmTunedRounded => "IDDPM (tune), rounded",
        }
    }

    /// The curve at its 1,000 points, in ascending order, with the weights of the trapezoid rule between them.
    ///
    /// It was measured on [`CIFAR10_TEST_IMAGES`] images, and its errors were not told: `std_err` is NaN, but for the
    /// Gaussian's own curve, which is a closed form.
    ///
    /// # Errors
    /// None in fact: the table is sound.
    pub fn curve(self) -> Result<MseCurve> {
        let table = table()?;
        self.on(Quadrature::through(table.log_snr.clone())?, |all| {
            all.to_vec()
        })
    }

    /// The curve at points of the table.
    fn on(self, points: Quadrature, pick: impl FnOnce(&[f64]) -> Vec<f64>) -> Result<MseCurve> {
        let dim = CIFAR10_DIM as f64;
        let mse: Vec<f64> = pick(&table()?.error[self as usize])
            .into_iter()
            .map(|error| dim * error)
            .collect();
        let unknown = vec![f64::NAN; mse.len()];
        let exact = MseCurve::exact(&points, CIFAR10_DIM, mse)?;
        Ok(match self {
            Self::Gaussian => exact,
            _ => MseCurve {
                n: CIFAR10_TEST_IMAGES,
                std_err: unknown,
                ..exact
            },
        })
    }

    /// Several curves at other points.
    ///
    /// # Errors
    /// As [`MseCurve::interpolate`].
    ///
    /// # Example
    /// ```
    /// use itd_prelude::{curve::Published, logsnr::Quadrature};
    ///
    /// let fine = Quadrature::trapezoid(-4.0, 18.0, 200)?;
    /// let [gaussian, ddpm] = Published::curves_at([Published::Gaussian, Published::Ddpm], &fine)?;
    /// assert!(ddpm.crossings(&gaussian)?.last().is_some_and(|alpha| (12.0..14.0).contains(alpha)));
    /// # Ok::<(), itd_prelude::Error>(())
    /// ```
    pub fn curves_at<const N: usize>(
        which: [Self; N],
        points: &Quadrature,
    ) -> Result<[MseCurve; N]> {
        let curves = which.map(|one| one.curve()?.interpolate(points));
        let mut found = Vec::with_capacity(N);
        for curve in curves {
            found.push(curve?);
        }
        found.try_into().map_err(|_| Error::Empty {
            what: "the list of curves",
        })
    }

    /// The name of the column.
    fn column(self) -> &'static str {
        match self {
            Self::Gaussian => "gaussian",
            Self::Ddpm => "ddpm",
            Self::Iddpm => "iddpm",
            Self::DdpmTuned => "ddpm_tuned",
            Self::IddpmTuned => "iddpm_tuned",
            Self::DdpmRounded => "ddpm_rounded",
            Self::IddpmRounded => "iddpm_rounded",
            Self::DdpmTunedRounded => "ddpm_tuned_rounded",
            Self::IddpmTunedRounded => "iddpm_tuned_rounded",
        }
    }
}

/// The published script's estimate of an integral over log-SNR from points that were drawn at random: with the
/// proposal `q` of [`Logistic::published_for_cifar10`], cut off at −6.129 and 18.652,
///
/// ```text
/// ∫ f(α) dα  ≈  1/n Σ_j f(α_j) / q(α_j)
/// ```
///
/// The paper took [all](Self::all) 1,000 points for the column of discrete data, and for the column of continuous data
/// the mean of ten runs with [100 of them](Self::random) each, drawn with replacement.
///
/// # Numerics
/// The standard error of an estimate is that of its points, `sd(f/q)/√n`. The images' own part is not in it: the errors
/// of single images were not published.
///
/// # Source
/// `github.com/kxh001/ITdiffusion` (commit 36f2c0b), `scripts/plot_results.py`.
///
/// # Example: a number of Table 2
/// ```
/// use itd_prelude::curve::{Published, PublishedRule};
///
/// let bits = PublishedRule::all()?.code_length(&[Published::Ddpm, Published::DdpmRounded])?;
/// let everywhere = PublishedRule::all()?.code_length(&[Published::DdpmRounded])?;
/// assert_eq!(format!("{:.1}", everywhere.bits_per_dim()), "3.7"); // printed 3.68
/// assert!(bits.nats < everywhere.nats); // rounded only where it helps
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedRule {
    rows: Vec<usize>,
}

impl PublishedRule {
    /// All 1,000 points, each once.
    ///
    /// # Errors
    /// None in fact: the table is sound.
    pub fn all() -> Result<Self> {
        Ok(Self {
            rows: (0..table()?.log_snr.len()).collect(),
        })
    }

    /// `n` of the 1,000 points, drawn with replacement.
    ///
    /// # Errors
    /// [`Error::Empty`] when `n` is 0.
    pub fn random(n: usize, rng: &mut impl RngCore) -> Result<Self> {
        if n == 0 {
            return Err(Error::Empty {
                what: "the list of points",
            });
        }
        room_for::<usize>("the points", &[n])?;
        let all = table()?.log_snr.len();
        Ok(Self {
            rows: (0..n).map(|_| rng.random_range(0..all)).collect(),
        })
    }

    /// A curve at these points, with their weights `1/(n q(α))`.
    ///
    /// # Errors
    /// None in fact: the table is sound.
    pub fn curve(&self, which: Published) -> Result<MseCurve> {
        let table = table()?;
        let points = Quadrature {
            log_snr: self.rows.iter().map(|&row| table.log_snr[row]).collect(),
            weight: self
                .rows
                .iter()
                .map(|&row| table.weight[row] / self.rows.len() as f64)
                .collect(),
            rule: Rule::Draws,
            interval: Logistic::published_for_cifar10()?.interval(),
        };
        which.on(points, |all| {
            self.rows.iter().map(|&row| all[row]).collect()
        })
    }

    /// Table 1's integral, the bound on the density of Eq. 14: the Gaussian's entropy, less half the area by which the
    /// lowest of the curves lies below the Gaussian's. Where all lie above, the Gaussian stands in.
    ///
    /// # Units
    /// Nats for all dimensions together, of pixels on [−1, 1].
    ///
    /// # Errors
    /// None in fact: the table is sound.
    pub fn density(&self, curves: &[Published]) -> Result<Estimate> {
        let gaussian = self.curve(Published::Gaussian)?;
        let best = self.lowest(&[&[Published::Gaussian], curves].concat())?;
        let gap = std::iter::zip(&gaussian.mse, &best.mse).map(|(own, best)| own - best);
        let area = half_area(&gaussian.points, gap);
        let nats = CIFAR10_GAUSSIAN_ENTROPY - area.nats;
        Ok(Estimate::new(nats, area.std_err, area.n).of_dim(CIFAR10_DIM))
    }

    /// Table 2's integral, the code length of Eq. 12: half the area under the lowest of the curves. As published,
    /// without the tails beyond both ends, of which the left one is at most 0.0004 bits per dimension.
    ///
    /// # Units
    /// Nats for all dimensions together.
    ///
    /// # Errors
    /// [`Error::Empty`] without curves.
    pub fn code_length(&self, curves: &[Published]) -> Result<Estimate> {
        let best = self.lowest(curves)?;
        Ok(half_area(&best.points, best.mse.iter().copied()))
    }

    fn lowest(&self, curves: &[Published]) -> Result<MseCurve> {
        let curves: Result<Vec<MseCurve>> = curves.iter().map(|&which| self.curve(which)).collect();
        ensemble_as_published(&curves?)
    }
}

/// Half the integral of values at points that were drawn.
fn half_area(points: &Quadrature, values: impl Iterator<Item = f64>) -> Estimate {
    let terms: Vec<f64> = std::iter::zip(&points.weight, values)
        .map(|(weight, value)| 0.5 * weight * value)
        .collect();
    let err = stats::root_sum_squares(&points.draws_errs(&terms));
    Estimate::new(terms.iter().sum(), err, CIFAR10_TEST_IMAGES).of_dim(CIFAR10_DIM)
}

/// The figures' numbers; see the metadata of the file for their source.
static FILE: &[u8] = include_bytes!("published.parquet");

/// What is in the file.
struct Table {
    /// `α`, in ascending order.
    log_snr: Vec<f64>,
    /// `1/q(α)` of each.
    weight: Vec<f64>,
    /// The error per dimension of each of [`Published::ALL`].
    error: Vec<Vec<f64>>,
}

fn table() -> Result<&'static Table> {
    static TABLE: OnceLock<std::result::Result<Table, String>> = OnceLock::new();
    let read = TABLE.get_or_init(|| read().map_err(|error| error.to_string()));
    read.as_ref().map_err(malformed)
}

fn read() -> Result<Table> {
    let path = Path::new("published.parquet");
    let frame = Format::Parquet.decode(path, FILE.to_vec(), false)?;
    let column = |name: &str| -> Result<Vec<f64>> {
        let values: Vec<f64> = frame.column(name)?.f64()?.into_no_null_iter().collect();
        Ok(values)
    };
    let log_snr = column("log_snr")?;
    let proposal = Logistic::published_for_cifar10()?;
    let (low, high) = proposal.interval();
    let share = |alpha: f64| stats::sigmoid((alpha - proposal.loc()) / proposal.scale());
    let inside = share(high) - share(low);
    let weight = log_snr.iter().map(|&alpha| {
        let t = (alpha - proposal.loc()) / proposal.scale();
        proposal.scale() * inside / (stats::sigmoid(t) * stats::sigmoid(-t))
    });
    Ok(Table {
        weight: weight.collect(),
        error: Published::ALL
            .into_iter()
            .map(|which| column(which.column()))
            .collect::<Result<_>>()?,
        log_snr,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_columns_go_together() {
        for (i, which) in Published::ALL.into_iter().enumerate() {
            assert_eq!(which as usize, i);
            let curve = which.curve().unwrap();
            curve.check().unwrap();
            assert_eq!(curve.points.len(), 1000);
            assert!(curve.mse.iter().all(|mse| (0.0..3600.0).contains(mse)));
            assert_eq!(which.name().contains("IDDPM"), [2, 4, 6, 8].contains(&i));
            assert_eq!(
                which.name().contains("tune"),
                which.column().contains("tuned")
            );
            assert_eq!(
                which.name().contains("rounded"),
                which.column().contains("rounded")
            );
        }
        // Written down by hand from the figures, at α = 4, before all points were read.
        let known = [
            0.2628, 0.1517, 0.1519, 0.1558, 0.1523, 0.1780, 0.1783, 0.1820, 0.1783,
        ];
        let four = Quadrature::trapezoid(4.0, 5.0, 2).unwrap();
        for (which, known) in Published::ALL.into_iter().zip(known) {
            let found = which.curve().unwrap().interpolate(&four).unwrap().mse[0] / 3072.0;
            assert!((found - known).abs() < 1e-3, "{which:?}: {found} {known}");
        }
    }

    #[test]
    fn the_file_says_where_its_numbers_are_from() {
        let text = String::from_utf8_lossy(FILE);
        for word in [
            "arXiv:2302.03792",
            "github.com/kxh001/ITdiffusion",
            "accuracy",
        ] {
            assert!(text.contains(word), "{word}");
        }
    }

    /// The points were drawn from the proposal: Kolmogorov and Smirnov, exceeded once in 10⁴ such tests.
    #[test]
    fn the_points_are_draws_of_the_published_proposal() {
        let proposal = Logistic::published_for_cifar10().unwrap();
        let all = PublishedRule::all()
            .unwrap()
            .curve(Published::Gaussian)
            .unwrap();
        let n = all.points.len() as f64;
        let apart = all.points.log_snr.iter().enumerate().map(|(i, &alpha)| {
            let (below, above) = (i as f64 / n, (i + 1) as f64 / n);
            let cdf = proposal.cdf(alpha);
            (cdf - below).abs().max((above - cdf).abs())
        });
        let apart = apart.fold(0.0, f64::max);
        assert!(apart < 2.225 / n.sqrt(), "{apart}");
        // Their weights are those that such draws get.
        let length = all.points.integrate(|_| 1.0);
        assert!((length - 24.78).abs() < 2.0, "{length}");
        all.check().unwrap();
    }

    #[test]
    fn no_points_and_no_curves_are_refused() {
        assert!(PublishedRule::random(0, &mut crate::rng::seeded(0)).is_err());
        assert!(PublishedRule::all().unwrap().code_length(&[]).is_err());
    }
}
