//! Whether the truth lies within two standard errors, on tasks that no estimator was made for.
//!
//! `ITD_MI_SAMPLES=10000 ITD_MI_SEEDS=3 cargo test --release -p itd-prelude --test information error_bars -- --nocapture`
//! is the full scale.

use itd_prelude::information::mi;
use itd_prelude::ndarray::{Array2, s};
use itd_prelude::rng::{self, Rng};
use itd_prelude::{stats, task};
use rand::Rng as _;
use rand_distr::{Distribution, Exp1, Gamma, Poisson, StandardNormal};
use statrs::function::{factorial::ln_factorial, gamma::digamma, gamma::ln_gamma};

use crate::common::{Case, clouds, normal};

const TAU: f64 = std::f64::consts::TAU;

/// A task: its name, and samples of a number and a seed.
type Fresh = (&'static str, Box<dyn Fn(usize, u64) -> Case>);

fn case(x: Array2<f64>, y: Array2<f64>, nats: f64) -> Case {
    let name = String::new();
    Case { name, x, y, nats }
}

/// One number each.
fn pair(n: usize, seed: u64, nats: f64, mut draw: impl FnMut(&mut Rng) -> (f64, f64)) -> Case {
    let rng = &mut rng::seeded(seed);
    let all: Vec<(f64, f64)> = (0..n).map(|_| draw(rng)).collect();
    let of = |side: fn(&(f64, f64)) -> f64| Array2::from_shape_fn((n, 1), |(i, _)| side(&all[i]));
    case(of(|one| one.0), of(|one| one.1), nats)
}

fn bell(t: f64, s: f64) -> f64 {
    (-0.5 * (t / s).powi(2)).exp() / (s * TAU.sqrt())
}

fn sum(low: f64, high: f64, steps: u32, of: impl Fn(f64) -> f64) -> f64 {
    let step = (high - low) / f64::from(steps);
    (0..steps)
        .map(|i| step * of(low + (f64::from(i) + 0.5) * step))
        .sum()
}

/// The entropy of a density on a line.
fn entropy(low: f64, high: f64, density: impl Fn(f64) -> f64) -> f64 {
    sum(low, high, 2000, |t| match density(t) {
        p if p > 1e-300 => -p * p.ln(),
        _ => 0.0,
    })
}

/// `y = f(x) + s e` of normal `x` and `e`.
fn function(s: f64, range: f64, f: fn(f64) -> f64) -> Box<dyn Fn(usize, u64) -> Case> {
    let density = |t: f64| sum(-8.0, 8.0, 1600, |x| bell(x, 1.0) * bell(t - f(x), s));
    let nats = entropy(-range, range, density) - 0.5 * (TAU * 1f64.exp() * s * s).ln();
    Box::new(move |n, seed| {
        pair(n, seed, nats, |rng| {
            let (x, e): (f64, f64) = (rng.sample(StandardNormal), rng.sample(StandardNormal));
            (x, f(x) + s * e)
        })
    })
}

fn noise_of_a_size() -> Box<dyn Fn(usize, u64) -> Case> {
    let scale = |x: f64| 0.2 + x.abs();
    let density = |t: f64| sum(-8.0, 8.0, 1600, |x| bell(x, 1.0) * bell(t, scale(x)));
    let given = sum(-8.0, 8.0, 4000, |x| bell(x, 1.0) * scale(x).ln());
    let nats = entropy(-30.0, 30.0, density) - given - 0.5 * (TAU * 1f64.exp()).ln();
    Box::new(move |n, seed| {
        pair(n, seed, nats, |rng| {
            let (x, e): (f64, f64) = (rng.sample(StandardNormal), rng.sample(StandardNormal));
            (x, scale(x) * e)
        })
    })
}

/// Waiting times that are added: the information is Euler's constant.
fn waiting(n: usize, seed: u64) -> Case {
    pair(n, seed, -digamma(1.0), |rng| {
        let (x, e): (f64, f64) = (Exp1.sample(rng), Exp1.sample(rng));
        (x, x + e)
    })
}

fn clayton() -> Box<dyn Fn(usize, u64) -> Case> {
    let theta = 2.0f64;
    let draw = move |rng: &mut Rng| -> (f64, f64) {
        let (u, w): (f64, f64) = (rng.random(), rng.random());
        let v = ((w.powf(-theta / (1.0 + theta)) - 1.0) * u.powf(-theta) + 1.0).powf(-1.0 / theta);
        (u, v)
    };
    let log = |(u, v): (f64, f64)| {
        (1.0 + theta).ln()
            - (1.0 + theta) * (u * v).ln()
            - (2.0 + 1.0 / theta) * (u.powf(-theta) + v.powf(-theta) - 1.0).ln()
    };
    let rng = &mut rng::seeded(1000);
    let values: Vec<f64> = (0..400_000).map(|_| log(draw(rng))).collect();
    let nats = stats::mean(&values);
    Box::new(move |n, seed| pair(n, seed, nats, draw))
}

/// An angle and a noisy one, each as a point in the plane, at a length of its own.
fn angles(n: usize, seed: u64) -> Case {
    let rng = &mut rng::seeded(seed);
    let (mut x, mut y) = (Array2::zeros((n, 2)), Array2::zeros((n, 2)));
    for i in 0..n {
        let angle = TAU * rng.random::<f64>();
        let other = angle + 0.5 * rng.sample::<f64, _>(StandardNormal);
        for (point, angle) in [(&mut x, angle), (&mut y, other)] {
            let length: f64 = rng.random_range(1.0..2.0);
            (point[(i, 0)], point[(i, 1)]) = (length * angle.cos(), length * angle.sin());
        }
    }
    case(x, y, TAU.ln() - 0.5 * (TAU * 1f64.exp() * 0.25).ln())
}

/// Numbers of 5 and their class of 3.
fn classes() -> Box<dyn Fn(usize, u64) -> Case> {
    const D: usize = 5;
    let draw = |rng: &mut Rng| -> (Vec<f64>, usize) {
        let class = rng.random_range(0..3usize);
        let at =
            |j: usize| rng.sample::<f64, _>(StandardNormal) + f64::from(u8::from(j == class)) * 1.5;
        ((0..D).map(at).collect(), class)
    };
    let log = |(x, class): &(Vec<f64>, usize)| {
        let own = |c: usize| 1.5 * x[c] - 0.5 * 1.5 * 1.5;
        own(*class) - stats::log_sum_exp(&[own(0), own(1), own(2)]) + 3f64.ln()
    };
    let rng = &mut rng::seeded(1001);
    let values: Vec<f64> = (0..400_000).map(|_| log(&draw(rng))).collect();
    let nats = stats::mean(&values);
    Box::new(move |n, seed| {
        let rng = &mut rng::seeded(seed);
        let (mut x, mut y) = (Array2::zeros((n, D)), Array2::zeros((n, 1)));
        for i in 0..n {
            let (own, class) = draw(rng);
            own.iter()
                .enumerate()
                .for_each(|(j, value)| x[(i, j)] = *value);
            y[(i, 0)] = class as f64;
        }
        case(x, y, nats)
    })
}

/// A count whose mean is a Gamma variable.
fn counts() -> Box<dyn Fn(usize, u64) -> Case> {
    let shape = 3.0;
    let of_count = |k: u64| {
        let k = k as f64;
        ln_gamma(k + shape) - ln_gamma(shape) - ln_gamma(k + 1.0) - (k + shape) * 2f64.ln()
    };
    let own = |mean: f64, k: u64| k as f64 * mean.ln() - mean - ln_factorial(k);
    let density = |t: f64| ((shape - 1.0) * t.ln() - t - ln_gamma(shape)).exp();
    let nats = sum(0.0, 40.0, 4000, |t| {
        let told = (0..120u64).map(|k| own(t, k).exp() * (own(t, k) - of_count(k)));
        density(t) * told.sum::<f64>()
    });
    let gamma = Gamma::new(shape, 1.0).unwrap();
    Box::new(move |n, seed| {
        pair(n, seed, nats, |rng| {
            let x: f64 = gamma.sample(rng);
            (x, Poisson::new(x).unwrap().sample(rng))
        })
    })
}

/// A noisy product and its two factors.
fn product() -> Box<dyn Fn(usize, u64) -> Case> {
    let density = |t: f64| sum(-8.0, 8.0, 800, |y| bell(y, 1.0) * bell(t, y.hypot(0.5)));
    let nats = entropy(-30.0, 30.0, density) - 0.5 * (TAU * 1f64.exp() * 0.25).ln();
    Box::new(move |n, seed| {
        let noise = normal(n, 3, &mut rng::seeded(seed));
        let y = Array2::from_shape_fn((n, 1), |(i, _)| {
            noise[(i, 0)] * noise[(i, 1)] + 0.5 * noise[(i, 2)]
        });
        case(noise.slice(s![.., 0..2]).to_owned(), y, nats)
    })
}

/// Two uniform numbers with uniform noise.
fn two_with_edges(n: usize, seed: u64) -> Case {
    let rng = &mut rng::seeded(seed);
    let x = Array2::from_shape_simple_fn((n, 2), || rng.random::<f64>());
    let y = x.mapv(|x| x + 0.6 * rng.random::<f64>() - 0.3);
    case(x, y, 2.0 * (0.3 - 0.6f64.ln()))
}

fn of_task(task: task::Benchmark) -> Box<dyn Fn(usize, u64) -> Case> {
    Box::new(move |n, seed| {
        let pairs = task.sample(n, seed).unwrap();
        case(pairs.x, pairs.y, task.nats)
    })
}

/// Three normal pairs of planes, which differ in their means and in their correlations.
fn mixture() -> task::Benchmark {
    let part = |shift: f64, rho: f64| {
        let covariance = Array2::from_shape_fn((4, 4), |(i, j)| match (i == j, i % 2 == j % 2) {
            (true, _) => 1.0,
            (_, true) => rho,
            _ => 0.0,
        });
        task::Normal::new((2, 2), &[shift, 0.0, -shift, shift], &covariance).unwrap()
    };
    let parts = [part(0.0, 0.8), part(1.5, -0.6), part(-2.0, 0.0)];
    let mixture = task::Mixture::new(&[0.4, 0.3, 0.3], &parts).unwrap();
    task::Benchmark::measured("mixture", mixture, 200_000).unwrap()
}

fn fresh() -> Vec<Fresh> {
    vec![
        ("sine", function(0.3, 4.0, |x| (3.0 * x).sin())),
        ("square", function(0.5, 40.0, |x| x * x)),
        ("noise of a size", noise_of_a_size()),
        ("waiting", Box::new(waiting)),
        ("Clayton", clayton()),
        ("angles", Box::new(angles)),
        ("classes", classes()),
        ("counts", counts()),
        ("product", product()),
        ("two with edges", Box::new(two_with_edges)),
        ("mixture", of_task(mixture())),
        ("clouds in 5", Box::new(|n, seed| clouds(n, 5, 1.5, seed))),
        ("clouds in 20", Box::new(|n, seed| clouds(n, 20, 1.0, seed))),
        ("random 10", of_task(task::random(10).unwrap())),
        ("random 11", of_task(task::random(11).unwrap())),
        ("random 12", of_task(task::random(12).unwrap())),
        ("random 13", of_task(task::random(13).unwrap())),
        (
            "dense in 8",
            of_task(task::dense((8, 8), 0.4).unwrap().asinh().unwrap()),
        ),
        (
            "nothing in 4",
            Box::new(|n, seed| {
                let rng = &mut rng::seeded(seed);
                case(
                    normal(n, 4, rng).mapv(|x| x.powi(3)),
                    normal(n, 4, rng),
                    0.0,
                )
            }),
        ),
    ]
}

#[test]
fn error_bars() {
    let set = |name: &str, usual: usize| std::env::var(name).map_or(usual, |n| n.parse().unwrap());
    let (n, seeds) = (set("ITD_MI_SAMPLES", 2000), set("ITD_MI_SEEDS", 1) as u64);
    let (mut within, mut all) = (0, 0);
    let (mut errors, mut bars) = (Vec::new(), Vec::new());
    for (name, draw) in fresh() {
        for seed in 10..10 + seeds {
            let case = draw(n, seed);
            let found = mi(&case.x, &case.y).unwrap();
            let off = found.nats - case.nats;
            let inside = off.abs() <= 2.0 * found.std_err;
            println!(
                "{name:16} {:.4} {off:+.4} ± {:.4} {:5.1} {}",
                case.nats,
                found.std_err,
                off / found.std_err,
                found.warnings[0]
            );
            (within, all) = (within + usize::from(inside), all + 1);
            errors.push(off.abs());
            bars.push(found.std_err);
        }
    }
    println!(
        "{within} of {all}, mean |error| {:.4}, mean bar {:.4}",
        stats::mean(&errors),
        stats::mean(&bars)
    );
    assert!(100 * within >= 85 * all, "{within} of {all}");
    // Bars that say nothing would hold the truth, too.
    assert!(stats::mean(&bars) < 1.5 * stats::mean(&errors));
}
