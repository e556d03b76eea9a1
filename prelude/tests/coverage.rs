//! Error bars that mean what they say: over many small experiments the truth lies within two standard errors in about 95
//! of 100.
//!
//! Of how many experiments is `ITD_EXPERIMENTS`, 100 by default; `docs/benchmarks.md` has the figures of 400.

use itd_prelude::distribution::Component;
use itd_prelude::estimate::Warning;
use itd_prelude::integral::{Fallback, area_between};
use itd_prelude::likelihood::bootstrap;
use itd_prelude::prelude::*;
use itd_prelude::stats;

fn experiments() -> u64 {
    let asked = std::env::var("ITD_EXPERIMENTS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(100)
}

/// Numbers of which everything is known and that no Gaussian knows.
struct Setting {
    truth: Scalar,
    reference: Gaussian,
    points: Quadrature,
}

impl Setting {
    fn new() -> Self {
        let parts = [
            (0.6, Component::Normal(-1.0, 0.2)),
            (0.4, Component::Normal(1.0, 0.3)),
        ];
        let truth = Scalar::new(&parts).unwrap();
        let reference = truth.gaussian(1).unwrap();
        let points = Logistic::as_published(&reference).unwrap();
        Self {
            points: points.with_clip(6.0).unwrap().quadrature(60).unwrap(),
            truth,
            reference,
        }
    }

    fn data(&self, n: usize, seed: u64) -> Dataset {
        let draws = self.truth.sample(n, &mut rng::stream(seed, "coverage"));
        let draws: Vec<[f64; 1]> = draws.unwrap().into_iter().map(|x| [x]).collect();
        Dataset::of("mixture", &draws).unwrap()
    }

    fn curve(&self, net: &dyn Denoiser, data: &Dataset, seed: u64) -> MseCurve {
        let config = CurveConfig {
            seed,
            ..Default::default()
        };
        mse_curve_with(net, data, &self.points, &config).unwrap()
    }
}

/// How often the truth is within two standard errors, and the mean of the estimates with its error.
struct Found {
    covered: f64,
    mean: f64,
    mean_err: f64,
    warned: usize,
}

fn over(n: usize, truth: f64, of: impl Fn(u64) -> Estimate) -> Found {
    let estimates: Vec<Estimate> = (0..experiments())
        .map(|seed| of(seed + 1000 * n as u64))
        .collect();
    let inside = |e: &&Estimate| (e.nats - truth).abs() <= 2.0 * e.std_err;
    let heavy = |e: &&Estimate| {
        e.warnings
            .iter()
            .any(|w| matches!(w, Warning::HeavyTail { .. }))
    };
    let nats: Vec<f64> = estimates.iter().map(|e| e.nats).collect();
    Found {
        covered: estimates.iter().filter(inside).count() as f64 / estimates.len() as f64,
        mean: stats::mean(&nats),
        mean_err: stats::std_err(&nats),
        warned: estimates.iter().filter(heavy).count(),
    }
}

/// 90 to 98 in 100, and as much more as the number of experiments leaves open by chance.
fn check_coverage(what: &str, n: usize, truth: f64, of: impl Fn(u64) -> Estimate) {
    let found = over(n, truth, of);
    let Found {
        covered,
        mean,
        mean_err,
        warned,
    } = found;
    println!(
        "{what}, n = {n}: {:.1} % within two standard errors; mean {mean:.4} ± {mean_err:.4}, truth {truth:.4}; \
         {warned} warned of",
        100.0 * covered
    );
    let chance = 3.0 * (0.94f64 * 0.06 / experiments() as f64).sqrt();
    let (low, high) = match experiments() {
        400.. => (0.90, 0.98),
        _ => (0.94 - chance - 0.02, 1.0),
    };
    assert!(
        (low..=high).contains(&covered),
        "{what}, n = {n}: {covered}"
    );
    assert!(
        (mean - truth).abs() < 4.0 * mean_err,
        "{what}, n = {n}: {mean} ± {mean_err}, truth {truth}"
    );
}

#[test]
fn a_negative_log_density_is_as_sure_as_it_says() {
    let setting = Setting::new();
    let truth = setting.truth.entropy();
    let net = setting.truth.denoiser(&[1]).unwrap();
    for n in [30, 300] {
        check_coverage("nll", n, truth, |seed| {
            let data = setting.data(n, seed);
            setting
                .curve(&net, &data, seed)
                .nll(setting.reference.on(&data))
                .unwrap()
        });
    }
}

#[test]
fn a_code_length_is_as_sure_as_it_says() {
    let grid = Grid::new(-1.0, 1.0, 4).unwrap();
    let levels = Scalar::levels(grid).unwrap();
    let reference = levels.gaussian(4).unwrap();
    let net = levels.denoiser(&[4]).unwrap();
    // The channel tells the levels apart from here on.
    let points = Quadrature::trapezoid(-8.0, 5.0, 60).unwrap();
    let truth = 4.0 * 4f64.ln();
    for n in [30, 300] {
        check_coverage("code length", n, truth, |seed| {
            let mut rng = rng::stream(seed, "levels");
            let values: Vec<f32> = levels
                .sample(4 * n, &mut rng)
                .unwrap()
                .iter()
                .map(|&v| v as f32)
                .collect();
            let x = Tensor::from_vec(values, (n, 4), &Device::Cpu).unwrap();
            let data = Dataset::new("levels", x).unwrap().on_grid(grid).unwrap();
            let config = CurveConfig {
                seed,
                ..Default::default()
            };
            let curve = mse_curve_with(&net, &data, &points, &config).unwrap();
            curve.code_length(reference.on(&data)).unwrap()
        });
    }
}

/// By how much the linear denoiser is worse than the best one, in nats: the difference of two estimates of the same
/// samples.
#[test]
fn a_paired_difference_is_as_sure_as_it_says() {
    let setting = Setting::new();
    let (best, linear) = (
        setting.truth.denoiser(&[1]).unwrap(),
        setting.reference.denoiser(&[1]).unwrap(),
    );
    // E[−ln p_G] − E[−ln p] = h(G) − h, as mean and variance are those of the mixture.
    let truth = setting.reference.entropy().unwrap().nats - setting.truth.entropy();
    for n in [30, 300] {
        check_coverage("paired difference", n, truth, |seed| {
            let data = setting.data(n, seed);
            let nll = |net: &dyn Denoiser| {
                let reference = setting.reference.on(&data);
                setting.curve(net, &data, seed).nll(reference).unwrap()
            };
            nll(&linear).minus(&nll(&best))
        });
    }
}

#[test]
fn a_bootstrap_is_as_sure_as_it_says() {
    let setting = Setting::new();
    let net = setting.truth.denoiser(&[1]).unwrap();
    let area = |curve: &MseCurve| -> Result<f64> {
        let own = setting.reference.curve(&setting.points)?;
        Ok(area_between(&own, curve, Fallback::Never)?.nats)
    };
    let truth = area(
        &setting
            .truth
            .iid(1)
            .unwrap()
            .curve(&setting.points)
            .unwrap(),
    )
    .unwrap();
    for n in [30, 300] {
        check_coverage("bootstrap", n, truth, |seed| {
            let data = setting.data(n, seed);
            let curve = setting.curve(&net, &data, seed);
            let err = bootstrap(std::slice::from_ref(&curve), 100, seed, |curves| {
                area(&curves[0])
            })
            .unwrap();
            Estimate::new(area(&curve).unwrap(), err, n)
        });
    }
}

/// A coin at a high SNR: the error is nearly always 0, and a few samples make all of it. No standard error can say
/// that; a warning does. It is given wherever fewer than nine in ten intervals hold the truth.
#[test]
fn rare_errors_are_warned_of() {
    let coin = Scalar::coin();
    let grid = Grid::new(-1.0, 1.0, 2).unwrap();
    let net = coin.denoiser(&[1]).unwrap();
    let reference = coin.gaussian(1).unwrap();
    for (low, n) in [
        (0.0, 300),
        (1.0, 300),
        (1.0, 30),
        (2.0, 300),
        (2.0, 30),
        (3.0, 300),
        (3.0, 30),
    ] {
        let points = Quadrature::trapezoid(low, 6.0, 40).unwrap();
        let known = coin
            .curve(&points)
            .unwrap()
            .code_length(reference.with_grid(grid))
            .unwrap();
        let (mut covered, mut warned) = (0, 0);
        for seed in 0..experiments() {
            let mut rng = rng::stream(seed, "coins");
            let draws: Vec<[f64; 1]> = coin
                .sample(n, &mut rng)
                .unwrap()
                .into_iter()
                .map(|x| [x])
                .collect();
            let data = Dataset::of("coins", &draws).unwrap().on_grid(grid).unwrap();
            let config = CurveConfig {
                seed,
                ..Default::default()
            };
            let curve = mse_curve_with(&net, &data, &points, &config).unwrap();
            let found = curve.code_length(reference.on(&data)).unwrap();
            covered += usize::from((found.nats - known.nats).abs() <= 2.0 * found.std_err);
            warned += usize::from(!found.warnings.is_empty());
        }
        let share = |count: usize| 100.0 * count as f64 / experiments() as f64;
        let (covered, warned) = (share(covered), share(warned));
        println!(
            "a coin from α = {low} on, n = {n}: {covered:.1} % covered, {warned:.1} % warned of"
        );
        // The one that is right nearly always is not to be doubted, the others are.
        match covered {
            93.0.. => assert!(warned < 10.0, "from {low}, n = {n}: {warned}"),
            ..80.0 => assert!(warned > 90.0, "from {low}, n = {n}: {warned}"),
            _ => {}
        }
    }
}
