//! Densities point by point, and maps of them over a plane.

use candle_core::{Device, Tensor};

use crate::channel;
use crate::data::Spectrum;
use crate::denoiser::{Denoiser, Query};
use crate::error::{Error, Result};
use crate::logsnr::LogSnr;
use crate::net::exact::Gaussian;
use crate::progress::Progress;
use crate::rng;

/// How a density is mapped.
#[derive(Debug, Clone, PartialEq)]
pub struct MapConfig {
    /// Lower and upper end of the horizontal coordinate.
    pub x: (f64, f64),
    /// Lower and upper end of the vertical coordinate.
    pub y: (f64, f64),
    /// Points along each axis.
    pub points: usize,
    /// Noises for each point of log-SNR, the same for every point of the plane; each is used with both signs.
    pub draws: usize,
    /// Seed of the noise.
    pub seed: u64,
}

impl Default for MapConfig {
    fn default() -> Self {
        Self {
            x: (-3.0, 3.0),
            y: (-3.0, 3.0),
            points: 50,
            draws: 2,
            seed: 0,
        }
    }
}

impl MapConfig {
    fn check(&self) -> Result<()> {
        let refuse = |name, got: String, need| Err(Error::Parameter { name, got, need });
        for (name, (low, high)) in [("x", self.x), ("y", self.y)] {
            if !(low < high && low.is_finite() && high.is_finite()) {
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
        if self.draws == 0 {
            return refuse("draws", "0".into(), "at least 1");
        }
        Ok(())
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
    /// [`Error::Parameter`] for bad settings.
    pub fn of(config: &MapConfig, neg_log_density: impl Fn(f64, f64) -> f64) -> Result<Self> {
        config.check()?;
        let along = |(low, high): (f64, f64)| -> Vec<f64> {
            let step = (high - low) / (config.points - 1) as f64;
            (0..config.points).map(|i| low + i as f64 * step).collect()
        };
        let (x, y) = (along(config.x), along(config.y));
        let plane = y.iter().flat_map(|&y| x.iter().map(move |&x| (x, y)));
        let nats = plane.map(|(x, y)| neg_log_density(x, y)).collect();
        Ok(Self { x, y, nats })
    }

    /// The probability inside of the rectangle, by the sum over its points; about 1 when the map is right
    /// and wide enough.
    pub fn mass(&self) -> f64 {
        let side = |v: &[f64]| (v[v.len() - 1] - v[0]) / (v.len() - 1) as f64;
        let cell = side(&self.x) * side(&self.y);
        self.nats.iter().map(|nats| (-nats).exp()).sum::<f64>() * cell
    }
}

/// Maps `−ln p` over a rectangle, for data in two dimensions; see [`neg_log_density`].
///
/// # Errors
/// [`Error::Parameter`] for bad settings, [`Error::Mismatch`] unless the network has two dimensions,
/// [`Error::Interrupted`] when it is stopped.
pub fn density_map(
    net: &dyn Denoiser,
    spectrum: &Spectrum,
    points: &LogSnr,
    config: &MapConfig,
) -> Result<DensityMap> {
    let mut map = DensityMap::of(config, |_, _| f64::NAN)?;
    let plane = map
        .y
        .iter()
        .flat_map(|&y| map.x.iter().map(move |&x| [x as f32, y as f32]));
    let plane: Vec<f32> = plane.flatten().collect();
    let plane = Tensor::from_vec(plane, (map.nats.len(), 2), &Device::Cpu)?;
    map.nats = neg_log_density(net, spectrum, points, &plane, config.draws, config.seed)?;
    Ok(map)
}

/// `−ln p(x)` at each row of `x`, from the network alone:
///
/// ```text
/// −ln N(x; μ, Σ) − ½ ∫ E_ε(‖ε − ε̂_G‖² − ‖ε − ε̂‖²) dα
/// ```
///
/// Both errors are measured with the same noise, and all rows with the same noises, so that the result is
/// smooth in `x`; the noises are [balanced](rng::balanced), since their error is common to all rows. Without a fallback, since a map shows the network as it is.
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
pub fn neg_log_density(
    net: &dyn Denoiser,
    spectrum: &Spectrum,
    points: &LogSnr,
    x: &Tensor,
    draws: usize,
    seed: u64,
) -> Result<Vec<f64>> {
    let reference = Gaussian::new(spectrum, net.shape())?;
    let mut nats = spectrum.neg_log_density(x)?;
    points.check()?;
    let (n, device) = (nats.len(), net.device());
    let shape = [&[n], net.shape()].concat();
    let x = x.to_device(device)?.reshape(shape.as_slice())?;
    let mut rng = rng::seeded(seed);
    let mut bar = Progress::new("mapping the density", points.len() as u64);
    for (&alpha, weight) in points.log_snr.iter().zip(&points.weight) {
        let log_snr = Tensor::full(alpha as f32, n, device)?;
        let share = 0.5 * weight / (points.len() * 2 * draws) as f64;
        let noises = rng::balanced(draws, net.dim(), &mut rng)?.to_device(device)?;
        for draw in 0..draws {
            let one = noises.get(draw)?.reshape([&[1], net.shape()].concat())?;
            for eps in [one.clone(), one.neg()?] {
                let eps = eps.broadcast_as(shape.as_slice())?.contiguous()?;
                let z = channel::mix(&x, &eps, &log_snr)?;
                let square = |net: &dyn Denoiser| -> Result<Vec<f32>> {
                    let miss =
                        (&eps - net.denoise(&Query::new(&z, &log_snr))?.to_device(device)?)?;
                    Ok(miss.flatten_from(1)?.sqr()?.sum(1)?.to_vec1()?)
                };
                let pairs = square(&reference)?.into_iter().zip(square(net)?);
                for (nats, (gaussian, own)) in nats.iter_mut().zip(pairs) {
                    *nats -= share * (f64::from(gaussian) - f64::from(own));
                }
            }
        }
        bar.step()?;
    }
    bar.finish();
    Ok(nats)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logsnr::LogisticLogSnr;
    use crate::net::exact::{Component, Mixture};

    #[test]
    fn the_exact_denoiser_gives_the_exact_density() {
        let blob = |x: f64, y: f64, v: f64| {
            Component::gaussian(
                1.0,
                Spectrum::new(vec![x, y], &[vec![v, 0.0], vec![0.0, v]]).unwrap(),
            )
        };
        let mixture = Mixture::new(&[blob(-1.0, 0.0, 0.1), blob(1.0, 0.5, 0.3)]).unwrap();
        let reference = Spectrum::standard(2).unwrap();
        let points = LogisticLogSnr::new(1.0, 2.0, 6.0)
            .unwrap()
            .quadrature(60)
            .unwrap();
        let x = Tensor::new(
            &[[-1f32, 0.0], [0.0, 0.0], [1.0, 1.0], [-0.5, -0.5]],
            &Device::Cpu,
        )
        .unwrap();
        let found = neg_log_density(&mixture, &reference, &points, &x, 60, 0).unwrap();
        for (nats, log) in found.iter().zip(mixture.log_density(&x).unwrap()) {
            assert!((nats + log).abs() < 0.1, "{nats} {}", -log);
        }
    }

    #[test]
    fn the_mass_of_a_normal_is_one() {
        let config = MapConfig {
            x: (-6.0, 6.0),
            y: (-6.0, 6.0),
            ..Default::default()
        };
        let map = DensityMap::of(&config, |x, y| {
            0.5 * (x * x + y * y) + std::f64::consts::TAU.ln()
        });
        assert!((map.unwrap().mass() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn bad_settings_are_refused() {
        let base = MapConfig::default;
        let of = |config| DensityMap::of(&config, |_, _| 0.0);
        assert!(
            of(MapConfig {
                x: (1.0, f64::NAN),
                ..base()
            })
            .is_err()
        );
        assert!(
            of(MapConfig {
                points: 1,
                ..base()
            })
            .is_err()
        );
        assert!(of(MapConfig { draws: 0, ..base() }).is_err());
    }
}
