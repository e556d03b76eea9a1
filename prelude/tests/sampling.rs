//! Samplers against distributions that are known: exact denoisers in, the distribution out.

use std::f64::consts::FRAC_1_SQRT_2;

use itd_prelude::denoiser::LearnedVariance;
use itd_prelude::distribution::{Component, LinearDenoiser, MixtureDenoiser};
use itd_prelude::prelude::*;
use itd_prelude::sample::{Steps, sample_learned};
use itd_prelude::stats;
use itd_prelude::{
    denoiser::FnDenoiser, denoiser::Guided, denoiser::Parametrization, denoiser::Query,
    sample::Sampler, schedule::Variance,
};

const ALL: [Sampler; 6] = [
    Sampler::Ancestral(Variance::Small),
    Sampler::Ancestral(Variance::Large),
    Sampler::Ddim { eta: 0.0 },
    Sampler::Ddim { eta: 0.5 },
    Sampler::Ddim { eta: 1.0 },
    Sampler::Heun,
];

fn config(sampler: Sampler, count: usize, low: f64, high: f64) -> SampleConfig {
    SampleConfig {
        sampler,
        steps: Steps::Even { count, low, high },
        batch: 2000,
        ..Default::default()
    }
}

fn rows(x: &Tensor) -> Vec<Vec<f32>> {
    x.flatten_from(1).unwrap().to_vec2().unwrap()
}

fn column(x: &Tensor, i: usize) -> Vec<f64> {
    rows(x).iter().map(|row| f64::from(row[i])).collect()
}

fn normal(mean: f64, variance: f64) -> LinearDenoiser {
    let normal = Gaussian::new(&[mean], &[[variance]]).unwrap();
    normal.denoiser(&[1]).unwrap()
}

fn seeded(config: SampleConfig, seed: u64) -> SampleConfig {
    SampleConfig { seed, ..config }
}

fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x * FRAC_1_SQRT_2)
}

/// The largest gap between the empirical and the true distribution function.
fn kolmogorov_smirnov(mut x: Vec<f64>, cdf: impl Fn(f64) -> f64) -> f64 {
    x.sort_by(f64::total_cmp);
    let n = x.len() as f64;
    let gap = |(i, &x): (usize, &f64)| {
        let (below, known) = (i as f64 / n, cdf(x));
        (known - below).max(below + 1.0 / n - known)
    };
    x.iter().enumerate().map(gap).fold(0.0, f64::max)
}

/// Weights, means, covariances `(xx, xy, yy)`.
type Blob = (f64, [f64; 2], [f64; 3]);
const BLOBS: [Blob; 3] = [
    (0.5, [-1.2, 0.3], [0.09, 0.05, 0.16]),
    (0.3, [1.0, 1.0], [0.25, -0.1, 0.09]),
    (0.2, [0.8, -1.3], [0.04, 0.0, 0.3]),
];

fn blobs() -> MixtureDenoiser {
    let part = |&(weight, mean, [xx, xy, yy]): &Blob| {
        let blob = Gaussian::new(&mean, &[[xx, xy], [xy, yy]]);
        (weight, blob.unwrap())
    };
    let blobs = Mixture::new(&BLOBS.map(|blob| part(&blob))).unwrap();
    blobs.denoiser(&[2]).unwrap()
}

/// Means, covariances and marginal distributions of samples, each as it must be.
fn is_mixture(name: &str, x: &Tensor) {
    let c = [column(x, 0), column(x, 1)];
    let sum = |f: &dyn Fn(&Blob) -> f64| BLOBS.iter().map(|blob| blob.0 * f(blob)).sum::<f64>();
    let mean = [0, 1].map(|i| sum(&|blob| blob.1[i]));
    for i in 0..2 {
        let off = (stats::mean(&c[i]) - mean[i]) / stats::std_err(&c[i]);
        let cdf = |x: f64| sum(&|(_, mean, cov)| normal_cdf((x - mean[i]) / cov[2 * i].sqrt()));
        let gap = kolmogorov_smirnov(c[i].clone(), cdf) * (c[i].len() as f64).sqrt();
        println!("{name}, coordinate {i}: mean {off:.1} σ, √n·KS {gap:.2}");
        assert!(off.abs() < 4.0, "{name}, mean {i}: {off:.1} σ");
        // Beyond 1.63 by chance once in a hundred.
        assert!(gap < 1.63, "{name}, coordinate {i}: √n·KS is {gap:.2}");
    }
    for (i, j) in [(0, 0), (0, 1), (1, 1)] {
        let products: Vec<f64> = c[i]
            .iter()
            .zip(&c[j])
            .map(|(a, b)| (a - mean[i]) * (b - mean[j]))
            .collect();
        let known = sum(&|(_, m, cov)| cov[i + j] + (m[i] - mean[i]) * (m[j] - mean[j]));
        let off = (stats::mean(&products) - known) / stats::std_err(&products);
        println!("{name}, covariance {i}{j}: {off:.1} σ");
        assert!(off.abs() < 4.0, "{name}, covariance {i}{j}: {off:.1} σ");
    }
}

#[test]
fn every_sampler_draws_the_mixture() {
    let (net, n) = (blobs(), 20_000);
    for (seed, sampler) in (0..).zip(ALL) {
        let steps = match sampler {
            Sampler::Heun => 60,
            _ => 500,
        };
        let config = seeded(config(sampler, steps, -10.0, 12.0), seed);
        let drawn = sample(&net, n, &config).unwrap();
        is_mixture(&format!("{sampler:?}"), &drawn.x);
    }
}

/// What a sampler makes of N(μ, λ) in finitely many steps is N(m, v), known by recursion: the papers' formulas,
/// written once more, as maps of a mean and a variance.
fn by_recursion(sampler: Sampler, alphas: &[f64], mu: f64, lambda: f64) -> (f64, f64) {
    let signal = |alpha: f64| stats::sigmoid(alpha);
    // ε̂ = a·z + b
    let eps = |alpha: f64| {
        let (s, rest) = (signal(alpha), 1.0 - signal(alpha));
        let a = rest.sqrt() / (s * lambda + rest);
        (a, -a * s.sqrt() * mu)
    };
    // x̂ = (z − √(1 − ᾱ)·ε̂)/√ᾱ
    let x = |alpha: f64| {
        let ((a, b), s) = (eps(alpha), signal(alpha));
        let rest = (1.0 - s).sqrt();
        ((1.0 - rest * a) / s.sqrt(), -rest * b / s.sqrt())
    };
    let (mut m, mut v) = (0.0, 1.0);
    for t in (1..alphas.len()).rev() {
        let (now, next) = (alphas[t], alphas[t - 1]);
        let (s, s_next) = (signal(now), signal(next));
        let beta = 1.0 - s / s_next;
        let small = beta * (1.0 - s_next) / (1.0 - s);
        let ((ax, bx), (ae, be)) = (x(now), eps(now));
        let (a, b, noise) = match sampler {
            Sampler::Ancestral(variance) => {
                let of_x = s_next.sqrt() * beta / (1.0 - s);
                let of_z = (1.0 - beta).sqrt() * (1.0 - s_next) / (1.0 - s);
                let noise = match variance {
                    Variance::Large => beta,
                    Variance::Small => small,
                };
                (of_x * ax + of_z, of_x * bx, noise)
            }
            Sampler::Learned => unreachable!("it is between the two"),
            Sampler::Ddim { eta } => {
                let noise = eta * eta * small;
                let of_eps = (1.0 - s_next - noise).sqrt();
                let root = s_next.sqrt();
                (root * ax + of_eps * ae, root * bx + of_eps * be, noise)
            }
            Sampler::Heun => {
                // In u = z/√ᾱ, with the slope at z = √ᾱ·u.
                let far = (-next / 2.0).exp() - (-now / 2.0).exp();
                let slope = |s: f64, (a, b): (f64, f64)| (a * s.sqrt(), b);
                let (k1, c1) = slope(s, eps(now));
                let (k2, c2) = slope(s_next, eps(next));
                // u′ = u + far·(k1·u + c1), u″ = u + far/2·(k1·u + c1 + k2·u′ + c2)
                let a = 1.0 + 0.5 * far * (k1 + k2 * (1.0 + far * k1));
                let b = 0.5 * far * (c1 + c2 + k2 * far * c1);
                let root = s_next.sqrt();
                (a * root / s.sqrt(), b * root, 0.0)
            }
        };
        (m, v) = (a * m + b, a * a * v + noise);
    }
    let (a, b) = x(alphas[0]);
    (a * m + b, a * a * v)
}

#[test]
fn few_steps_are_wrong_exactly_as_they_should_be() {
    let (mu, lambda, n) = (0.7, 0.3, 20_000);
    for (seed, sampler) in (20..).zip(ALL) {
        let config = seeded(config(sampler, 6, -6.0, 5.0), seed);
        let alphas = config.steps.schedule().unwrap().log_snr;
        let (mean, variance) = by_recursion(sampler, &alphas, mu, lambda);
        let drawn = sample(&normal(mu, lambda), n, &config).unwrap();
        let x = column(&drawn.x, 0);
        let off = (stats::mean(&x) - mean) / (variance / n as f64).sqrt();
        let spread = (stats::variance(&x) / variance - 1.0) / (2.0 / n as f64).sqrt();
        let gap = kolmogorov_smirnov(x, |x| normal_cdf((x - mean) / variance.sqrt()));
        println!(
            "{sampler:?}: N({mean:.4}, {variance:.4}) in place of N({mu}, {lambda}); mean {off:.1} σ, \
             variance {spread:.1} σ, √n·KS {:.2}",
            gap * (n as f64).sqrt()
        );
        // Beyond 1.95 by chance once in a thousand.
        assert!(off.abs() < 4.0 && spread.abs() < 4.0 && gap * (n as f64).sqrt() < 1.95);
        assert!((variance / lambda - 1.0).abs() > 0.01, "the steps are few");
    }
}

/// A denoiser with a variance of its own, the same for all.
struct Sure(LinearDenoiser, f64);

impl Denoiser for Sure {
    fn eps_hat(&self, query: &Query) -> Result<Tensor> {
        self.0.denoise(query)
    }
    fn shape(&self) -> &[usize] {
        self.0.shape()
    }
    fn device(&self) -> &Device {
        self.0.device()
    }
}

impl LearnedVariance for Sure {
    fn denoise_with_variance(&self, query: &Query) -> Result<(Tensor, Tensor)> {
        Ok((self.denoise(query)?, (query.z.zeros_like()? + self.1)?))
    }
}

#[test]
fn a_learned_variance_lies_between_the_two() {
    let draw = |sampler, v: f64| {
        let net = Sure(normal(0.0, 0.3), v);
        let config = seeded(config(sampler, 2, -1.0, 1.0), 1);
        column(&sample_learned(&net, 5000, &config).unwrap().x, 0)
    };
    let ends = [Variance::Small, Variance::Large].map(|end| draw(Sampler::Ancestral(end), 0.0));
    for (v, end) in [-1.0, 1.0].into_iter().zip(&ends) {
        let gap = draw(Sampler::Learned, v)
            .into_iter()
            .zip(end)
            .map(|(a, b)| (a - b).abs());
        assert!(gap.fold(0.0, f64::max) < 1e-5, "{v}");
    }
    // With one noisy step x = a·z + b·√Σ·n, of which the three differ in √Σ alone: the middle one is that of the
    // geometric mean.
    let schedule = config(Sampler::Learned, 2, -1.0, 1.0)
        .steps
        .schedule()
        .unwrap();
    let [small, large] = [schedule.posterior_variance(1), schedule.betas[1]].map(f64::sqrt);
    let share = ((small * large).sqrt() - small) / (large - small);
    let middle = draw(Sampler::Learned, 0.0);
    for ((x, a), b) in middle.iter().zip(&ends[0]).zip(&ends[1]) {
        assert!((x - (a + share * (b - a))).abs() < 1e-5);
    }
    let config = config(Sampler::Learned, 8, -6.0, 5.0);
    let refused = sample(&normal(0.0, 1.0), 3, &config);
    assert!(refused.unwrap_err().to_string().contains("sample_learned"));
}

#[test]
fn ddim_with_all_its_noise_is_ancestral() {
    for clamp in [None, Some((-1.0, 1.0))] {
        let draw = |sampler| {
            let config = SampleConfig {
                steps: Steps::Schedule(NoiseSchedule::linear(1000).unwrap().strided(40).unwrap()),
                clamp,
                seed: 3,
                ..config(sampler, 2, 0.0, 1.0)
            };
            rows(&sample(&blobs(), 500, &config).unwrap().x).concat()
        };
        let (ddim, ancestral) = (draw(ALL[4]), draw(ALL[0]));
        let gap = ddim.iter().zip(&ancestral).map(|(a, b)| (a - b).abs());
        assert!(gap.fold(0.0, f32::max) < 1e-4, "{clamp:?}");
        assert_eq!(clamp.is_some(), ddim.iter().all(|x| x.abs() <= 1.0));
    }
}

#[test]
fn without_noise_a_sample_is_a_smooth_function_of_its_start() {
    let scalar = Scalar::new(&[
        (0.5, Component::Normal(-1.0, 0.1)),
        (0.5, Component::Normal(1.0, 0.1)),
    ]);
    let net = scalar.unwrap().denoiser(&[1]).unwrap();
    let start: Vec<f32> = (0..=400).map(|i| i as f32 * 0.01 - 2.0).collect();
    let start = Tensor::from_vec(start, (401, 1), &Device::Cpu).unwrap();
    let drawn = |sampler, count, seed| {
        let config = SampleConfig {
            start: Some(start.clone()),
            seed,
            ..config(sampler, count, -8.0, 8.0)
        };
        column(&sample(&net, 401, &config).unwrap().x, 0)
    };
    for sampler in [ALL[2], ALL[5]] {
        let draw = |seed| drawn(sampler, 60, seed);
        let x = draw(0);
        assert_eq!(x, draw(1), "{sampler:?} draws noise");
        for pair in x.windows(2) {
            let slope = (pair[1] - pair[0]) / 0.01;
            // In one dimension the flow keeps the order; steepest at 0, where the two parts separate.
            assert!(slope > 0.0 && slope < 25.0, "{sampler:?}: {slope}");
        }
        // And odd, as the distribution is even.
        let odd = x.iter().zip(x.iter().rev()).map(|(a, b)| (a + b).abs());
        assert!(odd.fold(0.0, f64::max) < 1e-3, "{sampler:?}");
    }
    assert_ne!(drawn(ALL[3], 20, 0), drawn(ALL[3], 20, 1));
}

#[test]
fn heun_is_of_second_order() {
    let (mu, lambda, low, high) = (0.4f64, 0.2f64, -7.0f64, 7.0f64);
    let start = Tensor::new(&[[-2f32], [-0.5], [1.0], [2.5]], &Device::Cpu).unwrap();
    // u − μ grows with √(λ + ς²), and the end is x̂.
    let (far, near) = ((-low).exp(), (-high).exp());
    let known = |z: f64| {
        let u = z / stats::sigmoid(low).sqrt();
        let u = mu + (u - mu) * ((lambda + near) / (lambda + far)).sqrt();
        mu + lambda / (lambda + near) * (u - mu)
    };
    let error = |sampler, count| {
        let config = SampleConfig {
            start: Some(start.clone()),
            ..config(sampler, count, low, high)
        };
        let drawn = sample(&normal(mu, lambda), 4, &config).unwrap();
        let pairs = column(&drawn.x, 0).into_iter().zip(column(&start, 0));
        pairs.map(|(x, z)| (x - known(z)).abs()).fold(0.0, f64::max)
    };
    for (sampler, order) in [(Sampler::Heun, 2.0), (Sampler::Ddim { eta: 0.0 }, 1.0)] {
        // Steps of equal length, each half of the one before.
        let errors = [20, 40, 80].map(|pieces| error(sampler, pieces + 1));
        for pair in errors.windows(2) {
            let found = (pair[0] / pair[1]).log2();
            println!("{sampler:?}: {:.1e}, order {found:.2}", pair[1]);
            assert!((found - order).abs() < 0.15, "{sampler:?}: {errors:?}");
        }
    }
}

#[test]
fn neither_batches_nor_company_change_a_sample() {
    let net = blobs();
    for sampler in ALL {
        let draw = |n, batch| {
            let config = SampleConfig {
                batch,
                seed: 5,
                ..config(sampler, 20, -8.0, 8.0)
            };
            rows(&sample(&net, n, &config).unwrap().x)
        };
        let all = draw(50, 64);
        for (n, batch) in [(50, 7), (20, 20), (3, 1)] {
            let gap = |(a, b): (&Vec<f32>, &Vec<f32>)| (a[0] - b[0]).abs() + (a[1] - b[1]).abs();
            let gap = all.iter().zip(&draw(n, batch)).map(gap).fold(0.0, f32::max);
            assert!(gap < 1e-5, "{sampler:?}, {n} in batches of {batch}: {gap}");
        }
    }
}

#[test]
fn guidance_moves_a_gaussian_as_it_should() {
    let (given, free) = (normal(0.5, 0.4), normal(-0.5, 0.4));
    let config = seeded(config(Sampler::Heun, 60, -10.0, 10.0), 2);
    let draw = |net: &dyn Denoiser| column(&sample(net, 20_000, &config).unwrap().x, 0);
    let guided = |weight| draw(&Guided::new(&given, &free, weight).unwrap());
    assert_eq!(guided(0.0), draw(&given));
    assert_eq!(guided(-1.0), draw(&free));
    for weight in [0.5, 2.0] {
        let mean = (1.0 + weight) * 0.5 - weight * -0.5;
        let cdf = |x: f64| normal_cdf((x - mean) / 0.4f64.sqrt());
        let gap = kolmogorov_smirnov(guided(weight), cdf) * 20_000f64.sqrt();
        assert!(gap < 1.63, "w = {weight}: √n·KS is {gap:.2}");
    }
    assert!(Guided::new(&given, &free, f64::NAN).is_err());
    assert!(Guided::new(&given, &blobs(), 1.0).is_err());
}

#[test]
fn what_cannot_be_is_refused() {
    let net = normal(0.0, 1.0);
    let run = |config: SampleConfig| sample(&net, 3, &config).unwrap_err().to_string();
    let base = SampleConfig::default;
    assert!(run(SampleConfig { batch: 0, ..base() }).starts_with("batch"));
    for clamp in [(1.0, -1.0), (f64::NAN, 1.0), (0.0, f64::NAN)] {
        let clamp = Some(clamp);
        assert!(run(SampleConfig { clamp, ..base() }).starts_with("clamp"));
    }
    for eta in [-0.1, 1.1, f64::NAN] {
        let sampler = Sampler::Ddim { eta };
        assert!(run(SampleConfig { sampler, ..base() }).starts_with("eta"));
    }
    let steps = Steps::even(1);
    assert!(run(SampleConfig { steps, ..base() }).starts_with("count"));
    assert!(sample(&net, 0, &base()).is_err());
    // A start of another shape, or for another number of samples.
    for shape in [(3, 2), (2, 1)] {
        let start = Tensor::zeros(shape, candle::DType::F32, &Device::Cpu).unwrap();
        let config = SampleConfig {
            start: Some(start),
            ..base()
        };
        assert_eq!(sample(&net, 3, &config).unwrap_err().name(), "Shape");
    }
    for bad in [f64::NAN, f64::INFINITY] {
        let broken = FnDenoiser::new(&[2], Parametrization::Eps, |query| {
            Ok((query.z.zeros_like()? + bad)?)
        });
        for sampler in ALL {
            let config = SampleConfig { sampler, ..base() };
            let error = sample(&broken, 3, &config).unwrap_err();
            assert_eq!(error.name(), "NotFinite");
        }
    }
}

#[test]
fn samples_show_themselves() {
    let digits = digits().unwrap().train;
    let gaussian = digits.gaussian().unwrap();
    let net = gaussian.denoiser(digits.shape()).unwrap();
    let draw = |net: &dyn Denoiser, n, frames| {
        let config = SampleConfig {
            frames,
            ..Default::default()
        };
        sample(net, n, &config).unwrap()
    };
    let (still, moving) = (draw(&net, 8, 0), draw(&net, 8, 30));
    assert_eq!(rows(&still.x), rows(&moving.x));
    assert!(still.trajectory.is_empty() && still.animation().is_err());
    let [first, .., last] = &moving.trajectory[..] else {
        panic!("{} states", moving.trajectory.len());
    };
    assert_eq!((moving.trajectory.len(), moving.evaluations), (30, 99));
    assert!((first.log_snr + 10.0).abs() < 1e-9 && last.log_snr == f64::INFINITY);
    assert_eq!(rows(&last.z), rows(&moving.x));
    for samples in [&still, &moving] {
        let bundle = samples.bundle().unwrap();
        let text = bundle["text/plain"].as_str().unwrap();
        assert!(
            text.contains("8 samples of shape [1, 8, 8], 99 evaluations"),
            "{text}"
        );
        let picture = bundle["image/png"].as_str().unwrap();
        assert!(picture.len() < 300_000, "{} bytes", picture.len());
    }
    let blobs = blobs();
    assert!(
        draw(&blobs, 50, 0)
            .bundle()
            .unwrap()
            .contains_key("image/svg+xml")
    );
    let points = draw(&blobs, 1500, 30).animation().unwrap();
    println!(
        "30 frames: 8 digits {} bytes, 1000 points {} bytes",
        moving.animation().unwrap().bytes().len(),
        points.bytes().len()
    );
    assert!(points.bytes().len() < 300_000);
    let lines = draw(&normal(0.0, 1.0), 3, 2);
    assert!(lines.animation().is_err());
    assert_eq!(lines.bundle().unwrap().len(), 1);
    assert_eq!(lines.dataset("numbers").unwrap().len(), 3);
}
