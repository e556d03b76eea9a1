//! Variational bounds against what is known: Gaussians and levels with their exact denoisers.

use itd_prelude::bound::{Bound, Reconstruction, Target, variational_bound_learned};
use itd_prelude::candle::DType;
use itd_prelude::denoiser::LearnedVariance;
use itd_prelude::distribution::LinearDenoiser;
use itd_prelude::prelude::*;
use itd_prelude::{
    bound::continuous_time_bound, denoiser::FnDenoiser, denoiser::Parametrization, denoiser::Query,
    schedule::Variance,
};

const EULER: f64 = 0.577_215_664_901_532_9;

fn gaussian() -> Gaussian {
    let rows = [[0.9, 0.0, 0.0], [0.0, 0.3, 0.0], [0.0, 0.0, 0.1]];
    Gaussian::new(&[0.4, -0.2, 0.0], &rows).unwrap()
}

fn samples(gaussian: &Gaussian, n: usize, seed: u64) -> Dataset {
    let x = gaussian.sample(n, &mut rng::seeded(seed)).unwrap();
    Dataset::new("normal", x).unwrap()
}

/// `steps` equal steps from log-SNR `high` down to `low`.
fn even(high: f64, low: f64, steps: usize) -> NoiseSchedule {
    let step = (high - low) / (steps - 1) as f64;
    NoiseSchedule::from_log_snr((0..steps).map(|t| high - t as f64 * step).collect()).unwrap()
}

/// The exact denoiser of a diagonal Gaussian, with the exact variance of each step back.
struct Exact {
    net: LinearDenoiser,
    /// The variance of each value.
    variances: Vec<f64>,
    schedule: NoiseSchedule,
}

impl Denoiser for Exact {
    fn eps_hat(&self, query: &Query) -> Result<Tensor> {
        self.net.denoise(query)
    }

    fn shape(&self) -> &[usize] {
        self.net.shape()
    }

    fn dtype(&self) -> DType {
        self.net.dtype()
    }
}

impl LearnedVariance for Exact {
    fn denoise_with_variance(&self, query: &Query) -> Result<(Tensor, Tensor)> {
        let schedule = &self.schedule;
        let v = |alpha: f64| {
            let t = schedule.time_of(alpha).round() as usize;
            let (of_x, _) = schedule.posterior_mean_coefficients(t);
            let (low, high) = (
                schedule.posterior_log_variance_clipped(t),
                schedule.betas[t].ln(),
            );
            self.variances.iter().map(move |lambda| {
                let left = lambda / (1.0 + schedule.log_snr[t].exp() * lambda);
                let variance = schedule.posterior_variance(t) + of_x * of_x * left;
                2.0 * (variance.ln() - low) / (high - low) - 1.0
            })
        };
        let alphas: Vec<f64> = query.log_snr.to_vec1()?;
        let v: Vec<f64> = alphas.into_iter().flat_map(v).collect();
        let v = Tensor::from_vec(v, query.z.shape(), &Device::Cpu)?;
        assert!(v.abs()?.max_all()?.to_scalar::<f64>()? <= 1.0 + 1e-4);
        Ok((self.denoise(query)?, v))
    }
}

/// `D(N(√ᾱ μ, ᾱΛ + 1 − ᾱ) ‖ N(0, I))`: what a standard normal prior costs.
fn prior_cost(gaussian: &Gaussian, signal: f64) -> f64 {
    let means: f64 = gaussian.mean.iter().map(|m| m * m).sum();
    let excess = |l: &f64| {
        let extra = signal * (l - 1.0);
        0.5 * (extra - extra.ln_1p())
    };
    0.5 * signal * means + gaussian.eigenvalues.iter().map(excess).sum::<f64>()
}

/// With the right variance each step back of a Gaussian is right, so nothing is lost but at the prior.
#[test]
fn the_right_variances_make_the_bound_tight_at_any_number_of_steps() {
    let gaussian = gaussian();
    let data = samples(&gaussian, 4000, 1);
    let known = gaussian.nll(&data).unwrap();
    let covariance = gaussian.covariance().unwrap();
    for steps in [25, 200] {
        let schedule = NoiseSchedule::linear(steps).unwrap();
        let net = Exact {
            net: gaussian.denoiser(&[3]).unwrap(),
            variances: (0..3).map(|i| covariance[i][i]).collect(),
            schedule: schedule.clone(),
        };
        let cost = prior_cost(&gaussian, schedule.signal(steps - 1));
        let config = BoundConfig {
            seed: 2,
            ..BoundConfig::density(schedule)
        };
        let bound = variational_bound_learned(&net, &data, &config).unwrap();
        // Of the same samples, pair by pair.
        let gap = bound.total.minus(&known);
        println!("{steps} steps: gap {gap}, the prior's {cost:.6}");
        assert!(gap.within(cost, 4.0).holds, "{gap} {cost}");
        assert!(gap.n == 4000 && gap.std_err < 0.05);
    }
}

/// `bound − entropy` for the Gaussian's exact curve, without sampling.
fn gap(config: &BoundConfig, gaussian: &Gaussian) -> f64 {
    of_curve(config, gaussian).total.nats - gaussian.entropy().unwrap().nats
}

fn of_curve(config: &BoundConfig, gaussian: &Gaussian) -> Bound {
    // At the steps themselves nothing is interpolated.
    let alphas = config.schedule.log_snr.iter().rev().copied();
    let points = Quadrature::through(alphas.collect()).unwrap();
    let curve = gaussian.curve(&points).unwrap();
    bound_of_curve(&curve, gaussian, config).unwrap()
}

#[test]
fn bounds_converge_like_one_over_the_number_of_steps() {
    let gaussian = gaussian();
    for variance in [Variance::Small, Variance::Large] {
        let gap = |steps| {
            let config = BoundConfig {
                variance,
                reconstruction: Reconstruction::Vdm,
                ..BoundConfig::density(even(22.0, -18.0, steps))
            };
            gap(&config, &gaussian)
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
    let gaussian = gaussian();
    let points = Quadrature::trapezoid(-18.0, 22.0, 400).unwrap();
    let curve = gaussian.curve(&points).unwrap();
    let exact = curve.nll(&Gaussian::standard(3).unwrap()).unwrap();
    let entropy = gaussian.entropy().unwrap().nats;
    // The reference has another mean, which the interval's left end cuts off.
    assert!(
        (exact.nats - entropy).abs() < 1e-6,
        "{} {entropy}",
        exact.nats
    );
    let config = BoundConfig {
        variance: Variance::Small,
        reconstruction: Reconstruction::Vdm,
        ..BoundConfig::density(even(22.0, -18.0, 4000))
    };
    let bound = of_curve(&config, &gaussian);
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
    let normal = Gaussian::standard(1).unwrap();
    let first = 0.5 * (1.0 - 2f64.ln());
    for (variance, left) in [
        (Variance::Small, 0.5 * EULER + first),
        (Variance::Large, first),
    ] {
        let gap = |steps| {
            let config = BoundConfig {
                variance,
                ..BoundConfig::density(NoiseSchedule::linear(steps).unwrap())
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
    let gaussian = gaussian();
    let data = samples(&gaussian, 6000, 3);
    let net = gaussian.denoiser(&[3]).unwrap();
    for (variance, reconstruction) in [
        (Variance::Small, Reconstruction::Ddpm),
        (Variance::Large, Reconstruction::Ddpm),
        (Variance::Large, Reconstruction::Vdm),
    ] {
        let config = BoundConfig {
            variance,
            reconstruction,
            seed: 4,
            ..BoundConfig::density(NoiseSchedule::cosine(40).unwrap())
        };
        let measured = variational_bound(&net, &data, &config).unwrap();
        let known = of_curve(&config, &gaussian);
        for (measured, known) in [
            (&measured.prior, &known.prior),
            (&measured.diffusion, &known.diffusion),
            (&measured.total, &known.total),
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
    let gaussian = gaussian();
    let data = samples(&gaussian, 4000, 5);
    let net = gaussian.denoiser(&[3]).unwrap();
    let points = Quadrature::trapezoid(-12.0, 16.0, 60).unwrap();
    let curve = mse_curve(&net, &data, &points).unwrap();
    let bound = continuous_time_bound(&curve, &data, Target::Continuous, 6).unwrap();
    // Of the same samples, pair by pair.
    let lost = bound.total.minus(&gaussian.nll(&data).unwrap());
    println!("in continuous time: {lost} lost, {bound}");
    assert!(lost.within(0.0, 4.0).holds, "{bound} {lost}");
    assert!(bound.steps.is_empty() && bound.figure().is_err() && bound.integral().is_none());
}

/// Levels: with many steps the bound is the entropy, `ln K`.
#[test]
fn levels_cost_their_entropy() {
    let grid = Grid::new(-1.0, 1.0, 4).unwrap();
    let net = Scalar::levels(grid).unwrap().denoiser(&[2]).unwrap();
    let draws = rng::uniform(&[3000, 2], &mut rng::seeded(7)).unwrap();
    let level = |u: f32| grid.level((f64::from(u) * 4.0) as usize) as f32;
    let values: Vec<f32> = draws.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let values: Vec<f32> = values.into_iter().map(level).collect();
    let x = Tensor::from_vec(values, (3000, 2), &Device::Cpu).unwrap();
    let data = Dataset::new("levels", x).unwrap().on_grid(grid).unwrap();
    let known = 2.0 * 4f64.ln();
    let mut gaps = Vec::new();
    for steps in [40, 160] {
        for (variance, reconstruction) in [
            (Variance::Small, Reconstruction::Vdm),
            (Variance::Small, Reconstruction::Ddpm),
        ] {
            let config = BoundConfig {
                variance,
                reconstruction,
                seed: 4,
                ..BoundConfig::levels(even(7.0, -10.0, steps), grid)
            };
            let bound = variational_bound(&net, &data, &config).unwrap();
            let gap = bound.total.nats - known;
            println!(
                "{steps} steps, {reconstruction:?}: {gap:.4} ± {:.4} nats above ln K",
                bound.total.std_err
            );
            assert!(gap > -4.0 * bound.total.std_err);
            if reconstruction == Reconstruction::Vdm {
                gaps.push(gap);
            }
        }
    }
    assert!(gaps[1] < 0.3 * gaps[0], "{gaps:?}");
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let gaussian = gaussian();
    let net = gaussian.denoiser(&[3]).unwrap();
    let data = samples(&gaussian, 10, 0);
    let grid = Grid::new(-1.0, 1.0, 16).unwrap();
    let schedule = NoiseSchedule::cosine(10).unwrap();
    let measure = |config: &BoundConfig| variational_bound(&net, &data, config).map(|_| ());
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
    let short = Quadrature::trapezoid(-3.0, 3.0, 9).unwrap();
    let curve = gaussian.curve(&short).unwrap();
    assert!(bound_of_curve(&curve, &gaussian, &density).is_err());
    let broken = FnDenoiser::new(&[3], Parametrization::Eps, |query| {
        Ok((&query.z * f64::NAN)?)
    });
    let error = variational_bound(&broken, &data, &density).unwrap_err();
    assert!(error.to_string().contains("not finite"), "{error}");
    // The clamp changes nothing for estimates inside of it.
    let z = Tensor::new(&[[0.1f32]], &Device::Cpu).unwrap();
    let alpha = Tensor::new(&[0f32], &Device::Cpu).unwrap();
    let eps = channel::clamp_x(&z, &z, &alpha, (-9.0, 9.0)).unwrap();
    assert!((eps.to_vec2::<f32>().unwrap()[0][0] - 0.1).abs() < 1e-6);
}
