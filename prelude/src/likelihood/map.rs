//! Densities point by point, and maps of them over a plane.

use candle_core::{Device, Tensor};

use crate::cubature::Cubature;
use crate::curve::{Conditioning, Engine, Noise, NoisyBatch, SquaredError, Statistic};
use crate::data::Dataset;
use crate::denoiser::Denoiser;
use crate::distribution::{Gaussian, LinearDenoiser};
use crate::error::{Error, Result};
use crate::logsnr::Quadrature;
use crate::rng;
use crate::rounds::Rounds;

/// How a density is mapped.
#[derive(Debug, Clone, PartialEq)]
pub struct MapConfig {
    /// Lower and upper end of the horizontal coordinate.
    pub x: (f64, f64),
    /// Lower and upper end of the vertical coordinate.
    pub y: (f64, f64),
    /// Points along each axis.
    pub points: usize,
    /// Parts into which each square between four points is divided along each axis, where there is anything to see:
    /// within 9 nats of the densest place. Elsewhere the finer points lie on a surface through the coarse ones. 1
    /// divides nothing.
    pub refine: usize,
    /// Pairs of opposite noises for each point of log-SNR, the same for every place; see [`Cubature`]. With the default
    /// 4 pairs of 4 lengths the rule is exact up to degree 7; with exact denoisers the map of two tight blobs is then
    /// right to 0.01 nats (root mean square).
    pub pairs: usize,
    /// Lengths of each of them. A place costs `2 · pairs · radii` evaluations of the network at each log-SNR.
    pub radii: usize,
    /// Seed of the noise.
    pub seed: u64,
}

impl Default for MapConfig {
    fn default() -> Self {
        Self {
            x: (-3.0, 3.0),
            y: (-3.0, 3.0),
            points: 50,
            refine: 1,
            pairs: 4,
            radii: 4,
            seed: 0,
        }
    }
}

impl MapConfig {
    fn check(&self) -> Result<()> {
        let refuse = |name, got: String, need| Err(Error::Parameter { name, got, need });
        for (name, (low, high)) in [("x", self.x), ("y", self.y)] {
            if !(low < high && (high - low).is_finite()) {
                return refuse(
                    name,
                    format!("({low}, {high})"),
                    "a finite interval, lower end first",
                );
            }
        }
        if !(2..=1000).contains(&self.points) {
            return refuse("points", self.points.to_string(), "2 to 1000");
        }
        if self.refine == 0 || self.along() > 1000 {
            return refuse(
                "refine",
                self.refine.to_string(),
                "at least 1, and with `points` at most 1000 along each axis",
            );
        }
        Ok(())
    }

    /// Points along each axis, with those in between.
    fn along(&self) -> usize {
        (self.points - 1)
            .saturating_mul(self.refine)
            .saturating_add(1)
    }
}

/// A density over a rectangle of the plane.
#[derive(Debug, Clone)]
pub struct DensityMap {
    /// The horizontal coordinates.
    pub x: Vec<f64>,
    /// The vertical coordinates.
    pub y: Vec<f64>,
    /// `−ln p`, in nats: for each `y` in turn all the `x`.
    pub nats: Vec<f64>,
}

impl DensityMap {
    /// A map of a function of the plane that gives `−ln p`, to be compared with a measured one.
    ///
    /// # Errors
    /// [`Error::Parameter`] for bad settings; [`Error::Interrupted`] when the user asks to stop.
    pub fn of(config: &MapConfig, neg_log_prob: impl Fn(f64, f64) -> f64) -> Result<Self> {
        config.check()?;
        let count = config.along();
        let along = |(low, high): (f64, f64)| -> Vec<f64> {
            let step = (high - low) / (count - 1) as f64;
            (0..count).map(|i| low + i as f64 * step).collect()
        };
        let (x, y) = (along(config.x), along(config.y));
        let mut work = Rounds::new("mapping the density", y.len(), 0.0);
        let mut nats = Vec::with_capacity(x.len() * y.len());
        for &y in &y {
            nats.extend(x.iter().map(|&x| neg_log_prob(x, y)));
            work.step()?;
        }
        Ok(Self { x, y, nats })
    }

    /// Refuses a map whose lists do not belong together, as one made by hand might be.
    ///
    /// # Errors
    /// [`Error::Mismatch`] unless there is a value for each place; [`Error::Parameter`] unless both coordinates rise.
    ///
    /// # Example
    /// ```
    /// use itd_prelude::likelihood::DensityMap;
    ///
    /// let map = DensityMap { x: vec![0.0, 1.0], y: vec![0.0, 1.0], nats: vec![0.0; 3] };
    /// assert!(map.check().is_err());
    /// ```
    pub fn check(&self) -> Result<()> {
        if self.x.len().checked_mul(self.y.len()) != Some(self.nats.len()) {
            return Err(Error::Mismatch {
                what: "the places and the values of a map",
                left: format!("{} by {} places", self.x.len(), self.y.len()),
                right: format!("{} values", self.nats.len()),
                next: "give one value for each place, for each `y` in turn all the `x`",
            });
        }
        for (name, places) in [("x", &self.x), ("y", &self.y)] {
            let rises = places.windows(2).all(|pair| pair[0] < pair[1]);
            if places.len() < 2 || !rises || places.iter().any(|place| !place.is_finite()) {
                return Err(Error::Parameter {
                    name,
                    got: format!("{} places", places.len()),
                    need: "at least two, finite and rising",
                });
            }
        }
        Ok(())
    }

    /// The probability inside of the rectangle, by the sum over its points; about 1 when the map is right
    /// and wide enough.
    pub fn mass(&self) -> f64 {
        let side = |v: &[f64]| match (v.first(), v.last()) {
            (Some(first), Some(last)) if v.len() > 1 => (last - first) / (v.len() - 1) as f64,
            _ => 0.0,
        };
        let cell = side(&self.x) * side(&self.y);
        self.nats.iter().map(|nats| (-nats).exp()).sum::<f64>() * cell
    }

    /// The places of the map, `[points², 2]`, for each `y` in turn all the `x`.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn places(&self) -> Result<Tensor> {
        self.check()?;
        let plane = self
            .y
            .iter()
            .flat_map(|&y| self.x.iter().map(move |&x| [x as f32, y as f32]));
        let plane: Vec<f32> = plane.flatten().collect();
        Ok(Tensor::from_vec(plane, (self.nats.len(), 2), &Device::Cpu)?)
    }
}

/// Maps `−ln p` over a rectangle, for data in two dimensions; see [`neg_log_prob_at`].
///
/// # Errors
/// [`Error::Parameter`] for bad settings, [`Error::Mismatch`] unless the network has two dimensions,
/// [`Error::Interrupted`] when it is stopped.
///
/// # Example: the mass of two blobs is 1
/// ```
/// use itd_prelude::prelude::*;
///
/// # fn main() -> Result<()> {
/// let blob = |x: f64| Gaussian::new(&[x, 0.0], &[[0.1, 0.0], [0.0, 0.1]]);
/// let blobs = Mixture::new(&[(0.5, blob(-1.0)?), (0.5, blob(1.0)?)])?;
/// let reference = Gaussian::new(&[0.0, 0.0], &[[1.1, 0.0], [0.0, 0.1]])?;
/// let points = Logistic::as_published(&reference)?.quadrature(60)?;
/// let map = density_map(&blobs.denoiser(&[2])?, &reference, &points, &MapConfig::default())?;
/// check!(close(map.mass(), 1.0, 0.02));
/// # Ok(()) }
/// ```
pub fn density_map(
    net: &dyn Denoiser,
    gaussian: &Gaussian,
    points: &Quadrature,
    config: &MapConfig,
) -> Result<DensityMap> {
    config.check()?;
    if net.dim() != 2 {
        return Err(Error::Mismatch {
            what: "the network and a map of the plane",
            left: format!("samples of shape {:?}", net.shape()),
            right: "two dimensions".into(),
            next: "give a network for points of the plane, or ask for single places with `neg_log_prob_at`",
        });
    }
    let coarse = MapConfig {
        refine: 1,
        ..config.clone()
    };
    let mut map = DensityMap::of(&coarse, |_, _| f64::NAN)?;
    let places = map.places()?;
    map.nats = neg_log_prob_at(net, gaussian, points, &places, config)?;
    if config.refine == 1 {
        return Ok(map);
    }
    let mut fine = DensityMap::of(config, |_, _| f64::NAN)?;
    let asked = fill(&mut fine, &map, config.refine);
    if asked.is_empty() {
        return Ok(fine);
    }
    let rows = Tensor::new(
        asked.iter().map(|&i| i as u32).collect::<Vec<_>>(),
        &Device::Cpu,
    )?;
    let places = fine.places()?.index_select(&rows, 0)?;
    let found = neg_log_prob_at(net, gaussian, points, &places, config)?;
    for (i, nats) in asked.into_iter().zip(found) {
        fine.nats[i] = nats;
    }
    Ok(fine)
}

/// How far below the densest place a square is still divided, in nats.
const WORTH: f64 = 9.0;

/// Fills a map from a coarser one whose squares it divides by `refine`, and says which places are worth asking for.
fn fill(fine: &mut DensityMap, coarse: &DensityMap, refine: usize) -> Vec<usize> {
    let (columns, rows) = (coarse.x.len(), coarse.y.len());
    let nats = |row: usize, column: usize| coarse.nats[row * columns + column];
    let least = coarse.nats.iter().copied().fold(f64::INFINITY, f64::min);
    // A ridge may pass between the corners of a square, so those around count as well. NaN is worth a question.
    let worth = |row: usize, column: usize| {
        let near = |i: usize, most: usize| i.saturating_sub(1)..=(i + 2).min(most - 1);
        near(row, rows).any(|r| near(column, columns).any(|c| !(nats(r, c) > least + WORTH)))
    };
    let worth: Vec<bool> = (0..(rows - 1) * (columns - 1))
        .map(|i| worth(i / (columns - 1), i % (columns - 1)))
        .collect();
    let across = fine.x.len();
    let mut asked = Vec::new();
    for i in 0..fine.nats.len() {
        let (row, column) = (i / across, i % across);
        let (r, c) = (
            (row / refine).min(rows - 2),
            (column / refine).min(columns - 2),
        );
        let (down, right) = (row - r * refine, column - c * refine);
        let (t, s) = (down as f64 / refine as f64, right as f64 / refine as f64);
        let of = |weight: f64, nats: f64| if weight > 0.0 { weight * nats } else { 0.0 };
        fine.nats[i] = of((1.0 - t) * (1.0 - s), nats(r, c))
            + of((1.0 - t) * s, nats(r, c + 1))
            + of(t * (1.0 - s), nats(r + 1, c))
            + of(t * s, nats(r + 1, c + 1));
        let between = down % refine != 0 || right % refine != 0;
        if between && worth[r * (columns - 1) + c] {
            asked.push(i);
        }
    }
    asked
}

/// `−ln p(x)` at each row of `x`, from the network alone:
///
/// ```text
/// −ln N(x; μ, Σ) − ½ ∫ E_ε(‖ε − ε̂_G‖² − ‖ε − ε̂‖²) dα
/// ```
///
/// Both errors are measured with the same noises, the nodes of a [`Cubature`] for each point of log-SNR, and all rows
/// with the same, so that the result is smooth in `x`. Without a fallback, since a map shows the network as it is.
/// Only `pairs`, `radii` and `seed` of the settings are looked at; from three dimensions on `pairs` should be a
/// multiple of `dim`.
///
/// # Shapes
/// `x`: `[n, dim]`; gives `n` numbers.
///
/// # Errors
/// [`Error::Degenerate`] when an eigenvalue is 0; [`Error::Mismatch`] or [`Error::Shape`] when dimensions
/// differ; [`Error::Empty`] without points; [`Error::Interrupted`] when it is stopped.
///
/// # Paper
/// Kong, Brekelmans, Ver Steeg (2023), arXiv:2302.03792, Eq. 8 with a general Gaussian (App. A).
pub fn neg_log_prob_at(
    net: &dyn Denoiser,
    gaussian: &Gaussian,
    points: &Quadrature,
    x: &Tensor,
    config: &MapConfig,
) -> Result<Vec<f64>> {
    let gap = Gap {
        reference: gaussian.denoiser(net.shape())?,
        net,
    };
    let n = x.dims().first().copied().unwrap_or(0);
    if x.elem_count() != n * net.dim() {
        return Err(Error::Shape {
            what: "the places",
            got: x.dims().to_vec(),
            need: format!("[n, {}], as the network has samples", net.dim()),
        });
    }
    let shape = [&[n], net.shape()].concat();
    let data = Dataset::new("places", x.reshape(shape.as_slice())?)?;
    let nats = gaussian.neg_log_prob(&data.flat()?)?;
    let mut rng = rng::stream(config.seed, "density map");
    let rule = |_| Cubature::new(net.dim(), config.pairs, config.radii, &mut rng);
    let rules = (0..points.len()).map(rule).collect::<Result<_>>()?;
    let engine = Engine::new(&gap, &data, points, 1 << 14, Noise::Common(rules))?;
    let gaps = engine.sums(&gap, "mapping the density")?;
    let pairs = nats.into_iter().zip(gaps);
    Ok(pairs.map(|(nats, gap)| nats - 0.5 * gap).collect())
}

/// By how much the Gaussian's squared error is larger than the network's.
struct Gap<'a> {
    reference: LinearDenoiser,
    net: &'a dyn Denoiser,
}

impl Statistic for Gap<'_> {
    fn denoisers(&self) -> Vec<&dyn Denoiser> {
        vec![&self.reference, self.net]
    }

    fn values(&self, batch: &NoisyBatch) -> Result<Tensor> {
        let error = |net| {
            let error = SquaredError {
                net,
                conditioning: Conditioning::Unconditional,
                clamp: None,
            };
            error.values(batch)
        };
        Ok((error(&self.reference)? - error(self.net)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_settings_are_refused() {
        let base = MapConfig::default;
        let of = |config| DensityMap::of(&config, |_, _| 0.0).is_err();
        assert!(of(MapConfig {
            x: (1.0, f64::NAN),
            ..base()
        }));
        assert!(of(MapConfig {
            y: (-1e308, 1e308),
            ..base()
        }));
        assert!(of(MapConfig {
            points: 1,
            ..base()
        }));
        for refine in [0, 21, usize::MAX] {
            assert!(of(MapConfig { refine, ..base() }));
        }
        let points = Quadrature::trapezoid(-1.0, 1.0, 3).unwrap();
        let gaussian = Gaussian::standard(2).unwrap();
        let net = gaussian.denoiser(&[2]).unwrap();
        let map = |config| density_map(&net, &gaussian, &points, &config).is_err();
        assert!(map(MapConfig { pairs: 0, ..base() }));
        assert!(map(MapConfig { radii: 0, ..base() }));
        let line = Gaussian::standard(1).unwrap();
        assert!(density_map(&net, &line, &points, &base()).is_err());
    }

    /// A finer map has the coarse one's values where both have places, and asks for what lies between only where there
    /// is anything.
    #[test]
    fn a_finer_map_asks_where_there_is_something() {
        let blob = |x: f64, y: f64| 40.0 * ((x - 1.0).powi(2) + y * y);
        let coarse = MapConfig {
            points: 31,
            ..Default::default()
        };
        let config = MapConfig {
            refine: 3,
            ..coarse.clone()
        };
        let (coarse, mut fine) = (
            DensityMap::of(&coarse, blob).unwrap(),
            DensityMap::of(&config, blob).unwrap(),
        );
        let known = fine.nats.clone();
        let asked = fill(&mut fine, &coarse, 3);
        assert!((100..1500).contains(&asked.len()), "{}", asked.len());
        let dense = (0..known.len()).filter(|&i| known[i] < WORTH);
        let corner = |i: usize| (i / 91).is_multiple_of(3) && (i % 91).is_multiple_of(3);
        assert!(dense.clone().count() > 100);
        for i in dense {
            assert!(asked.contains(&i) != corner(i), "{i}");
        }
        for i in (0..known.len()).filter(|&i| corner(i)) {
            assert!((fine.nats[i] - known[i]).abs() < 1e-9);
        }
        // With the values that it asked for, the mass is right where the coarse sum is not.
        for &i in &asked {
            fine.nats[i] = known[i];
        }
        let truth = std::f64::consts::PI / 40.0;
        assert!(
            (fine.mass() / truth - 1.0).abs() < 1e-4,
            "{}",
            fine.mass() / truth
        );
    }

    /// A Gaussian's own map is exact: both denoisers are one.
    #[test]
    fn the_map_of_a_gaussian_is_its_density() {
        let gaussian = Gaussian::new(&[0.5, 0.0], &[[0.5, 0.2], [0.2, 0.3]]).unwrap();
        let points = Quadrature::trapezoid(-8.0, 12.0, 41).unwrap();
        let config = MapConfig {
            points: 21,
            ..Default::default()
        };
        let net = gaussian.denoiser(&[2]).unwrap();
        let map = density_map(&net, &gaussian, &points, &config).unwrap();
        let known = gaussian.neg_log_prob(&map.places().unwrap()).unwrap();
        for (found, known) in map.nats.iter().zip(known) {
            assert!((found - known).abs() < 1e-9);
        }
    }
}
