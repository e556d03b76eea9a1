//! Variational bounds against what is known: Gaussians and levels with their exact denoisers.

use itd_prelude::bound::{
    Bound, BoundConfig, Decoder, Outcome, bound_of_curve, continuous_time_bound, variational_bound,
    variational_bound_learned,
};
use itd_prelude::candle::{Device, Tensor};
use itd_prelude::channel;
use itd_prelude::data::{Dataset, Grid, Spectrum};
use itd_prelude::denoiser::{Denoiser, FnDenoiser, LearnedVariance, Parametrization, Query};
use itd_prelude::likelihood::continuous_nll;
use itd_prelude::logsnr::LogSnr;
use itd_prelude::mmse::{gaussian_curve, mse_curve};
use itd_prelude::net::exact::{Gaussian, Source};
use itd_prelude::schedule::{Schedule, Variance};
use itd_prelude::{Result, rng, stats};

const EULER: f64 = 0.577_215_664_901_532_9;

fn spectrum() -> Spectrum {
    let rows = [
        vec![0.9, 0.0, 0.0],
        vec![0.0, 0.3, 0.0],
        vec![0.0, 0.0, 0.1],
    ];
    Spectrum::new(vec![0.4, -0.2, 0.0], &rows).unwrap()
}

/// Samples of a diagonal Gaussian.
fn samples(spectrum: &Spectrum, n: usize, seed: u64) -> Dataset {
    let noise = rng::normal(&[n, spectrum.dim()], &mut rng::seeded(seed)).unwrap();
    let x = spectrum.coordinates_back(&noise);
    Dataset::new("normal", x).unwrap()
}

/// From independent standard normals to samples.
trait Back {
    fn coordinates_back(&self, noise: &Tensor) -> Tensor;
}

impl Back for Spectrum {
    fn coordinates_back(&self, noise: &Tensor) -> Tensor {
        let roots: Vec<f32> = self.eigenvalues.iter().map(|l| l.sqrt() as f32).collect();
        let mean: Vec<f32> = self.mean.iter().map(|&m| m as f32).collect();
        let roots = Tensor::new(roots, &Device::Cpu).unwrap();
        let turn = self
            .eigenvectors
            .to_dtype(itd_prelude::candle::DType::F32)
            .unwrap();
        let x = noise
            .broadcast_mul(&roots)
            .unwrap()
            .matmul(&turn.t().unwrap())
            .unwrap();
        x.broadcast_add(&Tensor::new(mean, &Device::Cpu).unwrap())
            .unwrap()
    }
}

/// `steps` equal steps from log-SNR `high` down to `low`.
fn even(high: f64, low: f64, steps: usize) -> Schedule {
    let step = (high - low) / (steps - 1) as f64;
    Schedule::from_log_snr((0..steps).map(|t| high - t as f64 * step).collect()).unwrap()
}

/// The exact denoiser of a diagonal Gaussian, with the exact variance of each step back.
struct Exact {
    net: Gaussian,
    spectrum: Spectrum,
    schedule: Schedule,
}

impl Denoiser for Exact {
    fn eps_hat(&self, query: &Query) -> Result<Tensor> {
        self.net.denoise(query)
    }

    fn shape(&self) -> &[usize] {
        self.net.shape()
    }

    fn device(&self) -> &Device {
        &Device::Cpu
    }
}

impl LearnedVariance for Exact {
    fn denoise_with_variance(&self, query: &Query) -> Result<(Tensor, Tensor)> {
        let schedule = &self.schedule;
        let v = |alpha: f32| -> Vec<f32> {
            let t = schedule.time_of(f64::from(alpha)).round() as usize;
            let (of_x, _) = schedule.posterior_mean_coefficients(t);
            let (low, high) = (
                schedule.posterior_log_variance_clipped(t),
                schedule.betas[t].ln(),
            );
            let each = |lambda: &f64| {
                let left = lambda / (1.0 + schedule.log_snr[t].exp() * lambda);
                let variance = schedule.posterior_variance(t) + of_x * of_x * left;
                (2.0 * (variance.ln() - low) / (high - low) - 1.0) as f32
            };
            // The covariance is diagonal: sorted eigenvalues stand on axes found by the eigenvectors.
            let turn: Vec<Vec<f64>> = self.spectrum.eigenvectors.to_vec2().unwrap();
            let on_axis = |row: &Vec<f64>| {
                let k = (0..row.len()).find(|&k| row[k].abs() > 0.5).unwrap();
                each(&self.spectrum.eigenvalues[k])
            };
            turn.iter().map(on_axis).collect()
        };
        let alphas: Vec<f32> = query.log_snr.to_vec1()?;
        let v: Vec<f32> = alphas.into_iter().flat_map(v).collect();
        let v = Tensor::from_vec(v, query.z.shape(), &Device::Cpu)?;
        assert!(v.abs()?.max_all()?.to_scalar::<f32>()? <= 1.0 + 1e-4);
        Ok((self.denoise(query)?, v))
    }
}

/// `D(N(√ᾱ μ, ᾱΛ + 1 − ᾱ) ‖ N(0, I))`: what a standard normal prior costs.
fn prior_cost(spectrum: &Spectrum, signal: f64) -> f64 {
    let means: f64 = spectrum.mean.iter().map(|m| m * m).sum();
    let excess = |l: &f64| {
        let extra = signal * (l - 1.0);
        0.5 * (extra - extra.ln_1p())
    };
    0.5 * signal * means + spectrum.eigenvalues.iter().map(excess).sum::<f64>()
}

/// With the right variance each step back of a Gaussian is right, so nothing is lost but at the prior.
#[test]
fn the_right_variances_make_the_bound_tight_at_any_number_of_steps() {
    let spectrum = spectrum();
    let data = samples(&spectrum, 4000, 1);
    let known = spectrum.neg_log_density(&data.flat().unwrap()).unwrap();
    for steps in [25, 200] {
        let schedule = Schedule::linear(steps).unwrap();
        let net = Exact {
            net: Gaussian::new(&spectrum, &[3]).unwrap(),
            spectrum: spectrum.clone(),
            schedule: schedule.clone(),
        };
        let cost = prior_cost(&spectrum, schedule.signal(steps - 1));
        let config = BoundConfig::density(schedule);
        let bound = variational_bound_learned(&net, &data, &config, &mut rng::seeded(2)).unwrap();
        let gaps: Vec<f64> = bound.nats.iter().zip(&known).map(|(b, k)| b - k).collect();
        let (gap, err) = (stats::mean(&gaps), stats::std_err(&gaps));
        println!("{steps} steps: gap {gap:.4} ± {err:.4}, the prior's {cost:.6}");
        assert!((gap - cost).abs() < 4.0 * err, "{gap} ± {err}, {cost}");
        assert!(err < 0.05);
    }
}

/// `bound − entropy` for the Gaussian's exact curve, without sampling.
fn gap(config: &BoundConfig, spectrum: &Spectrum) -> f64 {
    of_curve(config, spectrum).total.nats - spectrum.gaussian_entropy().unwrap()
}

fn of_curve(config: &BoundConfig, spectrum: &Spectrum) -> Bound {
    let alphas = &config.schedule.log_snr;
    // At the steps themselves nothing is interpolated.
    let points = LogSnr {
        log_snr: alphas.iter().rev().copied().collect(),
        weight: vec![1.0; alphas.len()],
        ..LogSnr::trapezoid(-1.0, 1.0, 2).unwrap()
    };
    let curve = gaussian_curve(spectrum, &points).unwrap();
    bound_of_curve(&curve, spectrum, config).unwrap()
}

#[test]
fn bounds_converge_like_one_over_the_number_of_steps() {
    let spectrum = spectrum();
    for variance in [Variance::Small, Variance::Large] {
        let gap = |steps| {
            let config = BoundConfig {
                variance,
                decoder: Decoder::Channel,
                ..BoundConfig::density(even(22.0, -18.0, steps))
            };
            gap(&config, &spectrum)
        };
        let gaps: Vec<f64> = [1000, 2000, 4000, 8000, 16_000].map(gap).to_vec();
        for pair in gaps.windows(2) {
            let rate = (pair[1] / pair[0]).log2();
            println!(
                "{variance:?}: gap {:.2e}, steps to the power {rate:.3}",
                pair[1]
            );
            assert!((rate + 1.0).abs() < 0.02, "{variance:?}: {gaps:?}");
        }
        assert!(
            gaps.iter().all(|&gap| gap > 0.0) && gaps[4] < 0.04,
            "{gaps:?}"
        );
        // What is left when the step goes to 0, by Richardson: the ends of the interval.
        assert!((2.0 * gaps[4] - gaps[3]).abs() < 2e-4, "{gaps:?}");
    }
}

/// The integral formula needs no steps: the same curve gives the entropy at once.
#[test]
fn the_exact_formula_is_the_limit() {
    let spectrum = spectrum();
    let points = LogSnr::trapezoid(-18.0, 22.0, 400).unwrap();
    let curve = gaussian_curve(&spectrum, &points).unwrap();
    let exact = continuous_nll(&curve, &Spectrum::standard(3).unwrap()).unwrap();
    let entropy = spectrum.gaussian_entropy().unwrap();
    // The reference has another mean, which the interval's left end cuts off.
    assert!(
        (exact.nats - entropy).abs() < 1e-6,
        "{} {entropy}",
        exact.nats
    );
    let config = BoundConfig {
        variance: Variance::Small,
        decoder: Decoder::Channel,
        ..BoundConfig::density(even(22.0, -18.0, 4000))
    };
    let bound = of_curve(&config, &spectrum);
    assert!(
        (bound.prior.nats + bound.integral().unwrap() + bound.reconstruction.nats - entropy).abs()
            < 1e-4
    );
}

/// More of DDPM's linear steps do not help a density: its first steps always are `1, 2, 3 …` times the first noise,
/// and fixed variances are wrong there. Small ones lose `½ Σ (1/t − ln(1 + 1/t))` = half of Euler's constant for each
/// dimension; both lose `½(1 − ln 2)` in the first step, whose variance is half of what it should be.
#[test]
fn what_fixed_variances_lose_at_the_first_steps_stays() {
    let normal = Spectrum::standard(1).unwrap();
    let first = 0.5 * (1.0 - 2f64.ln());
    for (variance, left) in [
        (Variance::Small, 0.5 * EULER + first),
        (Variance::Large, first),
    ] {
        let gap = |steps| {
            let config = BoundConfig {
                variance,
                ..BoundConfig::density(Schedule::linear(steps).unwrap())
            };
            gap(&config, &normal)
        };
        let (some, many) = (gap(20_000), gap(80_000));
        println!("{variance:?}: {some:.5}, {many:.5} nats, limit {left:.5}");
        assert!((many - left).abs() < 5e-3, "{variance:?}: {many} {left}");
        assert!((many - left).abs() < 0.6 * (some - left).abs());
    }
}

#[test]
fn measured_bounds_are_those_of_the_curve() {
    let spectrum = spectrum();
    let data = samples(&spectrum, 6000, 3);
    let net = Gaussian::new(&spectrum, &[3]).unwrap();
    for (variance, decoder) in [
        (Variance::Small, Decoder::Network),
        (Variance::Large, Decoder::Network),
        (Variance::Large, Decoder::Channel),
    ] {
        let config = BoundConfig {
            variance,
            decoder,
            ..BoundConfig::density(Schedule::cosine(40).unwrap())
        };
        let measured = variational_bound(&net, &data, &config, &mut rng::seeded(4)).unwrap();
        let known = of_curve(&config, &spectrum);
        for (measured, known) in [
            (measured.prior, known.prior),
            (measured.diffusion, known.diffusion),
            (measured.total, known.total),
        ] {
            assert!(measured.within(known.nats, 4.5).holds, "{measured} {known}");
        }
        let worst = measured
            .steps
            .iter()
            .zip(&known.steps)
            .map(|(m, k)| (m.nats - k.nats).abs() / m.std_err.max(1e-9));
        assert!(worst.fold(0.0, f64::max) < 4.5);
        assert!(measured.to_string().contains("reconstruction"));
        assert!(measured.figure().unwrap().svg().is_some());
    }
}

#[test]
fn in_continuous_time_only_the_ends_are_lost() {
    let spectrum = spectrum();
    let data = samples(&spectrum, 4000, 5);
    let net = Gaussian::new(&spectrum, &[3]).unwrap();
    let curve = mse_curve(&net, &data, &LogSnr::trapezoid(-12.0, 16.0, 60).unwrap()).unwrap();
    let bound =
        continuous_time_bound(&curve, &data, Outcome::Density, &mut rng::seeded(6)).unwrap();
    let known = stats::mean(&spectrum.neg_log_density(&data.flat().unwrap()).unwrap());
    assert!(
        (bound.total.nats - known).abs() < 4.0 * bound.total.std_err,
        "{bound} {known}"
    );
    assert!(bound.steps.is_empty() && bound.figure().is_err() && bound.integral().is_none());
}

/// Levels: with many steps the bound is the entropy, `ln K`.
#[test]
fn levels_cost_their_entropy() {
    let grid = Grid::new(-1.0, 1.0, 4).unwrap();
    let net = Source::levels(grid).denoiser(&[2]).unwrap();
    let mut rng = rng::seeded(7);
    let draws = rng::uniform(&[3000, 2], &mut rng).unwrap();
    let level = |u: f32| grid.level((f64::from(u) * 4.0) as usize) as f32;
    let values: Vec<f32> = draws.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let values: Vec<f32> = values.into_iter().map(level).collect();
    let x = Tensor::from_vec(values, (3000, 2), &Device::Cpu).unwrap();
    let data = Dataset::new("levels", x).unwrap().on_grid(grid).unwrap();
    let known = 2.0 * 4f64.ln();
    let mut gaps = Vec::new();
    for steps in [40, 160] {
        for (variance, decoder) in [
            (Variance::Small, Decoder::Channel),
            (Variance::Small, Decoder::Network),
        ] {
            let config = BoundConfig {
                variance,
                decoder,
                ..BoundConfig::levels(even(7.0, -10.0, steps), grid)
            };
            let bound = variational_bound(&net, &data, &config, &mut rng).unwrap();
            let gap = bound.total.nats - known;
            println!(
                "{steps} steps, {decoder:?}: {gap:.4} ± {:.4} nats above ln K",
                bound.total.std_err
            );
            assert!(gap > -4.0 * bound.total.std_err);
            if decoder == Decoder::Channel {
                gaps.push(gap);
            }
        }
    }
    assert!(gaps[1] < 0.3 * gaps[0], "{gaps:?}");
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let spectrum = spectrum();
    let net = Gaussian::new(&spectrum, &[3]).unwrap();
    let data = samples(&spectrum, 10, 0);
    let grid = Grid::new(-1.0, 1.0, 16).unwrap();
    let schedule = Schedule::cosine(10).unwrap();
    let measure = |config: &BoundConfig| {
        variational_bound(&net, &data, config, &mut rng::seeded(0)).map(|_| ())
    };
    let density = BoundConfig::density(schedule.clone());
    assert!(measure(&density).is_ok());
    assert!(measure(&BoundConfig::levels(schedule.clone(), grid)).is_err());
    assert!(
        measure(&BoundConfig {
            batch: 0,
            ..density.clone()
        })
        .is_err()
    );
    assert!(
        measure(&BoundConfig {
            clamp: Some((f64::NAN, 1.0)),
            ..density.clone()
        })
        .is_err()
    );
    let curve = gaussian_curve(&spectrum, &LogSnr::trapezoid(-3.0, 3.0, 9).unwrap()).unwrap();
    assert!(bound_of_curve(&curve, &spectrum, &density).is_err()); // too short
    let broken = FnDenoiser::new(&[3], Parametrization::Eps, |query| {
        Ok((&query.z * f64::NAN)?)
    });
    let error = variational_bound(&broken, &data, &density, &mut rng::seeded(0)).unwrap_err();
    assert!(error.to_string().contains("not finite"), "{error}");
    // The clamp changes nothing for estimates inside of it.
    let z = Tensor::new(&[[0.1f32]], &Device::Cpu).unwrap();
    let alpha = Tensor::new(&[0f32], &Device::Cpu).unwrap();
    let eps = channel::clamp_x(&z, &z, &alpha, (-9.0, 9.0)).unwrap();
    assert!((eps.to_vec2::<f32>().unwrap()[0][0] - 0.1).abs() < 1e-6);
}
