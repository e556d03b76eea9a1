//! Which values of a sample tell its condition: pixels, and regions of them.

mod paths;

use candle_core::{DType, Tensor};
use ndarray::{Array2, Axis, s};

use super::{GapCurves, Information, Readout, gap_curves};
use crate::channel;
use crate::curve::{
    Asked, Conditioning, CurveConfig, Engine, MseCurve, Noise, NoisyBatch, SquaredError, Statistic,
};
use crate::data::{Condition, ConditionKind, Dataset};
use crate::denoiser::{Conditional, Denoiser, same_shape};
use crate::error::{Error, Result};
use crate::estimate::Estimate;
use crate::logsnr::Quadrature;
use crate::stats;

/// How an attribution is measured.
#[derive(Debug, Clone)]
pub struct AttributionConfig {
    /// Points of log-SNR; `None` takes [`Self::count`] points where a first look at a few samples finds the gap.
    pub points: Option<Quadrature>,
    /// How many points, where they are chosen.
    pub count: usize,
    /// Noises for each sample and point.
    pub draws: usize,
    /// What the other denoiser knows.
    pub without: Without,
    /// Seed of the noise.
    pub seed: u64,
}

impl Default for AttributionConfig {
    fn default() -> Self {
        Self {
            points: None,
            count: 40,
            draws: 2,
            without: Without::default(),
            seed: 0,
        }
    }
}

/// What the denoiser knows that the one with the condition is held against.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Without {
    /// Nothing: the network is asked without a condition, as it was trained to answer. As published.
    #[default]
    Untold,
    /// The classes and how likely each is: the answers for all of them, each with the probability that the class has so
    /// far. The network's own answer without a condition, which is harder to learn than those with one, is not needed.
    ///
    /// It asks the network as often as there are classes, and gives [`Attribution::posterior`].
    Classes(Vec<f64>),
    /// One other condition: "8 and not 3".
    Other(Condition),
}

impl Without {
    /// So many classes that are equally likely; at most 2²⁰, which is more than any network here is told.
    pub fn classes(count: usize) -> Self {
        let count = count.min(1 << 20);
        Self::Classes(vec![1.0 / count.max(1) as f64; count])
    }
}

impl AttributionConfig {
    fn curves(&self) -> CurveConfig {
        CurveConfig {
            draws: self.draws,
            seed: self.seed,
            ..CurveConfig::default()
        }
    }
}

/// What noisy samples tell of their class, at each point of log-SNR. Made by [`attribution_with`] and
/// [`Without::Classes`].
#[derive(Debug, Clone)]
pub struct ClassPath {
    /// The gap between the denoiser that is told the class and the one that only weighs the classes: half the area under
    /// it up to `α` is `I(z_α; y)`.
    pub gap: GapCurves,
    /// `−ln p(y | z_α)` of each sample's own class, `[n, points]`: what a reader who has the network finds surprising.
    pub surprise: Array2<f64>,
}

impl ClassPath {
    /// `ln K − E[−ln p(y | z_α)]` at each point with its standard error, for `K` classes that are equally likely: a lower
    /// bound on `I(z_α; y)`, up to the sampling error.
    ///
    /// # Errors
    /// [`Error::Parameter`] for fewer than two classes.
    pub fn decoded(&self, classes: usize) -> Result<Vec<(f64, f64)>> {
        if classes < 2 {
            return Err(Error::Parameter {
                name: "classes",
                got: classes.to_string(),
                need: "at least 2",
            });
        }
        let entropy = (classes as f64).ln();
        let columns = self.surprise.columns().into_iter();
        let at = |column: ndarray::ArrayView1<f64>| {
            let values = column.to_vec();
            (entropy - stats::mean(&values), stats::std_err(&values))
        };
        Ok(columns.map(at).collect())
    }
}

/// The information `i(x; y)` of samples and their conditions, value by value. Made by [`attribution`].
///
/// Each reading of the gap is a sum over the values `j` of a sample; with `a = ε − ε̂(z)` and `δ = ε̂(z, y) − ε̂(z)`, the
/// three maps are
///
/// ```text
/// mean          i_j = ½ ∫ E a_j δ_j dα
/// orthogonal    i_j = ½ ∫ E δ_j² dα
/// direct        i_j = ½ ∫ E (2 a_j δ_j − δ_j²) dα = ½ ∫ E (ε − ε̂(z))_j² − (ε − ε̂(z, y))_j² dα
/// ```
///
/// over the noise `ε`. Values of one pixel (its channels) are summed up. The sum of a map is what the sample tells, the
/// mean of the sums over the samples is `I(x; y)`. With the best denoisers
///
/// - the direct map of one sample sums to its own `i(x; y) = ln p(x | y)/p(x)`, but for the noise that was drawn;
/// - the orthogonal map is nowhere negative, and sums to `I(x; y)` in the mean over samples, not for each;
/// - the mean map lies between them.
#[derive(Debug, Clone)]
pub struct Attribution {
    /// The samples, with their conditions.
    pub data: Dataset,
    /// The shape of a map: height and width of pictures, otherwise that of a sample.
    pub shape: Vec<usize>,
    /// The points of log-SNR.
    pub points: Quadrature,
    /// What the other denoiser knew.
    pub without: Without,
    /// The probability of each class by the end of the channel, where [`Without::Classes`] was asked for.
    pub posterior: Option<Posterior>,
    /// The same along the channel, where [`Without::Classes`] was asked for.
    pub along: Option<ClassPath>,
    /// How many classes the network knows, if it is told classes.
    classes: Option<usize>,
    /// `½ ∫ E a_j δ_j dα`, `[n, places]`.
    inner: Array2<f64>,
    /// `½ ∫ E δ_j² dα`, `[n, places]`.
    squared: Array2<f64>,
}

/// Which pixels of each sample tell its condition, in nats, by a network that can be told it; see [`Attribution`].
///
/// # Numerics
/// The points are chosen where a few samples show a gap, between −14 and 14. A network that was not trained on all of that
/// may show one where there is none: give it points of your own then, by [`attribution_with`].
///
/// # Errors
/// As [`attribution_with`].
///
/// # Example: two coordinates, of which the first has the class in its mean
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::information::{Readout, attribution};
///
/// # fn main() -> Result<()> {
/// let part = |mean: f64| Gaussian::diagonal(vec![mean, 0.0], vec![0.25, 1.0]);
/// let two = Mixture::new(&[(0.5, part(-1.0)?), (0.5, part(1.0)?)])?;
/// let (x, y) = two.sample_with_parts(200, &mut rng::seeded(0))?;
/// let data = Dataset::new("two", x)?.given(Condition::Class(y))?;
/// let found = attribution(&two.denoiser(&[2])?, &data)?;
/// let maps = found.maps(Readout::Mean)?;
/// check!(maps.column(1).iter().all(|nats| nats.abs() < 1e-12)); // tells nothing
/// check!(found.information(Readout::Mean)?.nats < 2f64.ln());
/// # Ok(()) }
/// ```
pub fn attribution(net: &dyn Denoiser, data: &Dataset) -> Result<Attribution> {
    attribution_with(net, data, &AttributionConfig::default())
}

/// As [`attribution`], with settings.
///
/// Both denoisers are asked about the same noisy samples. Against another condition the sum over a map is
/// `ln p(x | y)/p(x | y')`: what tells the one from the other.
///
/// # Shapes
/// Pictures `[n, channels, height, width]` give maps `[height, width]`, summed over the channels; other samples maps of
/// their own shape.
///
/// # Units
/// Nats.
///
/// # Errors
/// [`Error::Missing`] when the data have no conditions; [`Error::Mismatch`] when the network cannot be told them;
/// [`Error::Parameter`] for no points, or no draws, or when what the other is told is not one condition; otherwise as
/// [`measure`](crate::curve::measure()).
///
/// # Source
/// Kong, Liu, Li, Yogatama, Ver Steeg (2024), Interpretable Diffusion via Information Decomposition, arXiv:2310.07972: the
/// direct ("standard") and the orthogonal map. The mean map follows from the same two numbers.
pub fn attribution_with(
    net: &dyn Denoiser,
    data: &Dataset,
    config: &AttributionConfig,
) -> Result<Attribution> {
    data.y()?;
    let other = match &config.without {
        Without::Other(y) => Some(Conditional::new(net, y.clone())?),
        _ => None,
    };
    let without = match &other {
        None => Asked(net, Conditioning::Unconditional),
        Some(other) => Asked(other, Conditioning::Unconditional),
    };
    let with = Asked(net, Conditioning::Conditional);
    let log_shares = match &config.without {
        Without::Classes(shares) => Some(log_shares(net, data, shares)?),
        _ => None,
    };
    let points = match &config.points {
        Some(points) => points.clone(),
        None => where_the_gap_is(with, without, data, config)?,
    };
    let curves = config.curves();
    curves.check()?;
    let shape = match data.shape() {
        [_, height, width] => vec![*height, *width],
        other => other.to_vec(),
    };
    let places: usize = shape.iter().product();
    let found = Attribution {
        data: data.clone(),
        shape,
        without: config.without.clone(),
        posterior: None,
        along: None,
        classes: match net.condition() {
            Some(ConditionKind::Class { classes }) => Some(classes),
            _ => None,
        },
        inner: Array2::default((0, 0)),
        squared: Array2::default((0, 0)),
        points,
    };
    if let Some(log_shares) = log_shares {
        let labels = data.labels()?.to_vec();
        same_shape(data, net)?;
        channel::check_precision(&data.x, &found.points)?;
        in_order(&found.points)?;
        let points = &found.points;
        let followed = paths::follow(net, data, &labels, &log_shares, points, places, config)?;
        let log_probs = followed.log_probs;
        let (dim, digest) = (data.dim(), data.digest()?);
        let curve = |errors| MseCurve::of_errors(&found.points, dim, errors, Some(digest.clone()));
        let along = ClassPath {
            gap: GapCurves {
                inner: curve(followed.inner_along)?,
                squared: curve(followed.squared_along)?,
            },
            surprise: followed.surprise,
        };
        return Ok(Attribution {
            along: Some(along),
            inner: followed.inner,
            squared: followed.squared,
            posterior: Some(Posterior { log_probs, labels }),
            ..found
        });
    }
    let asked = |Asked(net, conditioning)| SquaredError {
        net,
        conditioning,
        clamp: None,
    };
    let pair = PerPlace {
        with: asked(with),
        without: asked(without),
        places,
    };
    let noise = Noise::addressed(config.seed, config.draws);
    let engine = Engine::new(&pair, data, &found.points, curves.batch, noise)?;
    let sums = 0.5 * engine.sums(&pair, "which values tell the condition")?;
    Ok(Attribution {
        inner: sums.slice(s![.., ..places]).to_owned(),
        squared: sums.slice(s![.., places..]).to_owned(),
        ..found
    })
}

/// The logarithms of the classes' probabilities, scaled to sum to 1, if the network and the data have such classes.
fn log_shares(net: &dyn Denoiser, data: &Dataset, shares: &[f64]) -> Result<Vec<f64>> {
    if let Some(bad) = shares.iter().find(|&&p| !(p > 0.0 && p.is_finite())) {
        return Err(Error::Parameter {
            name: "the classes' probabilities",
            got: bad.to_string(),
            need: "finite and above 0",
        });
    }
    let able = net.condition();
    if able
        != Some(ConditionKind::Class {
            classes: shares.len(),
        })
    {
        return Err(Error::Mismatch {
            what: "the classes' probabilities and the network",
            left: format!("{} probabilities", shares.len()),
            right: able.map_or("one that takes no condition".into(), |kind| {
                format!("one that takes {kind}")
            }),
            next: "give one for each class of the network",
        });
    }
    if let Some(&bad) = data.labels()?.iter().find(|&&y| y as usize >= shares.len()) {
        return Err(Error::Mismatch {
            what: "the classes' probabilities and the samples",
            left: format!("{} probabilities", shares.len()),
            right: format!("a sample of class {bad}, counted from 0"),
            next: "give the probability of each class",
        });
    }
    let total: f64 = shares.iter().sum();
    Ok(shares.iter().map(|p| (p / total).ln()).collect())
}

fn in_order(points: &Quadrature) -> Result<()> {
    match points.log_snr.windows(2).all(|two| two[0] < two[1]) {
        true => Ok(()),
        false => Err(Error::Parameter {
            name: "points",
            got: "in no order".into(),
            need: "in ascending order, from noise to signal: take a quadrature",
        }),
    }
}

/// Samples of the first look.
const FEW: usize = 32;
/// What is looked at first, and in how many points.
const WIDE: (f64, f64, usize) = (-14.0, 14.0, 29);
/// The share of the area that may lie beyond each end.
const BEYOND: f64 = 1e-3;

/// Points between the ends of the gap, of which a few samples tell enough.
fn where_the_gap_is(
    with: Asked,
    without: Asked,
    data: &Dataset,
    config: &AttributionConfig,
) -> Result<Quadrature> {
    if config.count < 3 {
        return Err(Error::Parameter {
            name: "count",
            got: config.count.to_string(),
            need: "at least 3",
        });
    }
    // A fair choice: the first ones may be of one class.
    let step = data.len().div_ceil(FEW).max(1);
    let few: Vec<u32> = (0..data.len()).step_by(step).map(|i| i as u32).collect();
    let (low, high, count) = WIDE;
    let wide = Quadrature::trapezoid(low, high, count)?;
    let once = CurveConfig {
        draws: 1,
        ..config.curves()
    };
    let gap = gap_curves(with, without, &data.subset(&few)?, &wide, &once)?.squared;
    let running = gap.cumulative_area()?;
    let whole = running.last().copied().unwrap_or(0.0);
    let first = running.iter().position(|area| *area > BEYOND * whole);
    let last = running
        .iter()
        .position(|area| *area >= (1.0 - BEYOND) * whole);
    let (Some(first), Some(last)) = (first, last) else {
        // No gap at all, as of a network that has learned nothing yet.
        return Quadrature::trapezoid(low, high, config.count);
    };
    let at = |j: usize| wide.log_snr[j];
    let ends = (at(first.saturating_sub(2)), at((last + 1).min(count - 1)));
    Quadrature::trapezoid(ends.0, ends.1, config.count)
}

/// `a_j δ_j` of each place, and `δ_j²` of each.
struct PerPlace<'a> {
    with: SquaredError<'a>,
    without: SquaredError<'a>,
    places: usize,
}

impl Statistic for PerPlace<'_> {
    fn denoisers(&self) -> Vec<&dyn Denoiser> {
        vec![self.with.net, self.without.net]
    }

    fn width(&self) -> usize {
        2 * self.places
    }

    fn values(&self, batch: &NoisyBatch) -> Result<Tensor> {
        // [rows, channels, places]
        let by_place = |x: &Tensor| -> Result<Tensor> {
            let rows = x.dim(0)?;
            let channels = x.elem_count() / (rows * self.places).max(1);
            Ok(x.reshape((rows, channels, self.places))?
                .to_dtype(DType::F64)?)
        };
        let without = by_place(&self.without.eps_hat(batch)?)?;
        let step = (by_place(&self.with.eps_hat(batch)?)? - &without)?;
        let error = (by_place(&batch.eps)? - without)?;
        let (inner, squared) = ((error * &step)?.sum(1)?, step.sqr()?.sum(1)?);
        Ok(Tensor::cat(&[inner, squared], 1)?)
    }
}

impl Attribution {
    /// The map of each sample, `[n, places]` in reading order, in nats.
    ///
    /// # Errors
    /// [`Error::Parameter`] for [`Readout::Scaled`], which has no map: it is not a sum over the values.
    pub fn maps(&self, readout: Readout) -> Result<Array2<f64>> {
        match readout {
            Readout::Direct => Ok(2.0 * &self.inner - &self.squared),
            Readout::Orthogonal => Ok(self.squared.clone()),
            Readout::Mean => Ok(self.inner.clone()),
            Readout::Scaled => Err(Error::Parameter {
                name: "readout",
                got: "Scaled".into(),
                need: "Direct, Orthogonal or Mean: the scaled reading is not a sum over the values",
            }),
        }
    }

    /// What each sample tells of its condition, the sum over its map, in nats. With the best denoisers and the direct
    /// reading it is `i(x; y)` but for the noise that was drawn.
    ///
    /// # Errors
    /// As [`Self::maps`].
    pub fn pointwise(&self, readout: Readout) -> Result<Vec<f64>> {
        Ok(self.maps(readout)?.sum_axis(Axis(1)).to_vec())
    }

    /// `I(x; y)`, the mean over the samples. The standard error is that of the samples, or half the difference of the
    /// direct and the orthogonal reading, which the network's errors make, where that is larger.
    ///
    /// A class of probability `p(y)` can be told at most `−ln p(y)`. A value that is clearly above the mean of that has a
    /// warning: the network is wrong by more than the information that is asked for. Of [`Without::Untold`], the classes
    /// are taken to be equally likely. The standard error of one sample is not known: NaN.
    ///
    /// # Errors
    /// As [`Self::maps`].
    pub fn information(&self, readout: Readout) -> Result<Information> {
        let mut found = Information::of_samples(self.pointwise(readout)?);
        let sum = |values: &Array2<f64>| values.sum() / values.nrows() as f64;
        let (mean, orthogonal) = (sum(&self.inner), sum(&self.squared));
        let direct = 2.0 * mean - orthogonal;
        let samples = found.std_err;
        // Not `f64::max`, which leaves out NaN.
        let readouts = 0.5 * (orthogonal - direct).abs();
        found.std_err = if samples < readouts {
            readouts
        } else {
            samples
        };
        if let Some((most, whose)) = self.most_there_is_to_tell()
            && found.nats - 2.0 * samples > most
        {
            found.warnings.push(format!(
                "of {whose} there are at most {most:.3} nats to tell: what is above is the error of the network, so do \
                 not believe the value"
            ));
        }
        Ok(found
            .with("direct", direct)
            .with("orthogonal", orthogonal)
            .with("mean", mean))
    }

    /// What the places of a region tell together, in the mean over the samples. `region` says of each place of a map, in
    /// reading order, whether it is inside.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there is one mark for each place; as [`Self::maps`].
    pub fn region(&self, region: &[bool], readout: Readout) -> Result<Estimate> {
        let maps = self.maps(readout)?;
        if region.len() != maps.ncols() {
            return Err(Error::Shape {
                what: "the region",
                got: vec![region.len()],
                need: format!("[{}], a mark for each place of a map", maps.ncols()),
            });
        }
        let inside = |row: ndarray::ArrayView1<f64>| -> f64 {
            let places = row.iter().zip(region);
            places.filter(|(_, inside)| **inside).map(|(v, _)| v).sum()
        };
        let each = maps.rows().into_iter().map(inside).collect();
        Ok(Estimate::of_samples(each, self.data.digest_unheard()?, 0.0))
    }

    /// The places of each sample, those that tell most first.
    ///
    /// # Errors
    /// As [`Self::maps`].
    pub fn ranked(&self, readout: Readout) -> Result<Vec<Vec<usize>>> {
        let maps = self.maps(readout)?;
        let order = |row: ndarray::ArrayView1<f64>| {
            let mut places: Vec<usize> = (0..row.len()).collect();
            places.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
            places
        };
        Ok(maps.rows().into_iter().map(order).collect())
    }

    /// The mean of `−ln p(y)`, and of what; none where no classes are told, or one is held against another.
    fn most_there_is_to_tell(&self) -> Option<(f64, String)> {
        match &self.without {
            Without::Other(_) => None,
            Without::Untold => {
                let classes = self.classes.filter(|classes| *classes > 0)?;
                let whose = format!("{classes} equally likely classes");
                Some(((classes as f64).ln(), whose))
            }
            Without::Classes(shares) => {
                let all: f64 = shares.iter().sum();
                let labels = self.data.labels().ok()?.iter();
                let told: Option<Vec<f64>> = labels
                    .map(|&y| Some(-(shares.get(y as usize)? / all).ln()))
                    .collect();
                let whose = "classes with these probabilities".to_owned();
                Some((stats::mean(&told?), whose))
            }
        }
    }
}

/// What a network that can be told classes makes of samples: `p(y | x) ∝ p(y) e^{i(x; y)}`, a classifier for free. Made by
/// [`attribution_with`] against [`Without::Classes`], and kept as [`Attribution::posterior`].
///
/// # Source
/// Li, Prabhudesai, Duggal, Brown, Pathak (2023), Your Diffusion Model is Secretly a Zero-Shot Classifier,
/// arXiv:2303.16203. Other than there: each sample is followed along one path through the channel, whose steps have a
/// likelihood, so that the probabilities are those of a proper model.
#[derive(Debug, Clone)]
pub struct Posterior {
    /// `ln p(y | x)` of each sample and class, `[n, classes]`.
    pub log_probs: Array2<f64>,
    /// The class of each sample.
    pub labels: Vec<u32>,
}

impl Posterior {
    /// The share of the samples whose class is the most probable one.
    pub fn accuracy(&self) -> f64 {
        let right = |(row, label): (ndarray::ArrayView1<f64>, &u32)| {
            let own = row[*label as usize];
            row.iter()
                .enumerate()
                .all(|(class, log)| class == *label as usize || *log < own)
        };
        let all = self.log_probs.rows().into_iter().zip(&self.labels);
        let count = all
            .filter(|(row, label)| right((row.view(), label)))
            .count();
        count as f64 / self.labels.len().max(1) as f64
    }

    /// The cross-entropy `−E ln p(y | x)`, in nats. The entropy of the classes less this is a lower bound of `I(x; y)`, of
    /// any classifier: `ln K − CE ≤ I(x; y) ≤ ln K` for `K` classes that are equally frequent.
    pub fn cross_entropy(&self) -> Estimate {
        let rows = self.log_probs.rows().into_iter().zip(&self.labels);
        let nats: Vec<f64> = rows.map(|(row, label)| -row[*label as usize]).collect();
        Estimate::new(stats::mean(&nats), stats::std_err(&nats), nats.len())
    }

    /// The same classifier, less sure of itself or more: `p(y | x)` to the power of `1/temperature`. Noise in the errors
    /// makes it too sure; a temperature that is chosen on other samples takes that back.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless the temperature is finite and above 0.
    pub fn tempered(&self, temperature: f64) -> Result<Self> {
        if !(temperature > 0.0 && temperature.is_finite()) {
            return Err(Error::Parameter {
                name: "temperature",
                got: temperature.to_string(),
                need: "finite and above 0",
            });
        }
        let mut log_probs = &self.log_probs / temperature;
        for mut row in log_probs.rows_mut() {
            let all = stats::log_sum_exp(&row.to_vec());
            row -= all;
        }
        Ok(Self {
            log_probs,
            labels: self.labels.clone(),
        })
    }

    /// The temperature with the smallest cross-entropy on these samples, from 1 to 1000.
    pub fn best_temperature(&self) -> f64 {
        let of = |i: u32| 10f64.powf(0.05 * f64::from(i));
        let worth = |temperature: &f64| {
            self.tempered(*temperature)
                .map_or(f64::INFINITY, |found| found.cross_entropy().nats)
        };
        let tried = (0..=60).map(of);
        tried
            .min_by(|a, b| worth(a).total_cmp(&worth(b)))
            .unwrap_or(1.0)
    }
}
