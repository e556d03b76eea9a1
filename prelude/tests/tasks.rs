//! The benchmark tasks against their closed forms, against the samples of `benchmark-mi`, and against each other.

use std::collections::BTreeMap;

use itd_prelude::rand::Rng as _;
use itd_prelude::rng;
use itd_prelude::stats;
use itd_prelude::task::{self, Base, Benchmark, Form, Map, Pairs, STRENGTHS, Turn};
use itd_prelude::{Error, Result};
use ndarray::{Array1, Array2, ArrayView2, Axis, concatenate};
use serde_json::Value;
use statrs::function::erf::erf;
use statrs::function::gamma::digamma;

/// Dimensions and information of the 40 tasks, to the digits of the reference.
const TABLE: [(usize, usize, f64); 40] = [
    (1, 1, 0.41334),
    (1, 1, 0.41334),
    (1, 1, 1.70944),
    (1, 1, 0.33333),
    (1, 1, 0.41334),
    (1, 1, 0.41334),
    (1, 1, 0.41334),
    (1, 1, 0.22417),
    (1, 1, 0.22417),
    (2, 1, 0.41334),
    (2, 2, 0.29389),
    (3, 3, 0.41334),
    (5, 5, 0.59281),
    (25, 25, 1.29218),
    (50, 50, 1.62427),
    (2, 2, 1.02165),
    (3, 3, 1.02165),
    (5, 5, 1.02165),
    (25, 25, 1.02165),
    (2, 2, 0.43195),
    (2, 2, 0.19315),
    (3, 3, 0.29092),
    (3, 3, 0.17871),
    (5, 5, 0.44815),
    (5, 5, 0.29854),
    (3, 3, 1.02165),
    (5, 5, 1.02165),
    (25, 25, 1.02165),
    (3, 3, 1.02165),
    (5, 5, 1.02165),
    (25, 25, 1.02165),
    (3, 3, 1.02165),
    (5, 5, 1.02165),
    (25, 25, 1.02165),
    (3, 3, 1.02165),
    (5, 5, 1.02165),
    (25, 25, 1.02165),
    (2, 2, 0.43195),
    (3, 3, 0.29092),
    (5, 5, 0.44815),
];

/// What `benchmark-mi` gives; made by `golden/beyond_normal.py`.
fn golden() -> Value {
    serde_json::from_str(include_str!("golden/beyond_normal.json")).unwrap()
}

#[test]
fn the_forty_have_their_truths() {
    let tasks = task::beyond_normal();
    assert_eq!(tasks.len(), TABLE.len());
    for (task, (dim_x, dim_y, nats)) in tasks.iter().zip(TABLE) {
        assert_eq!(task.dims, (dim_x, dim_y), "{}", task.name);
        // The last digit of the table is rounded, or cut.
        assert!(
            (task.nats - nats).abs() < 1e-5,
            "{}: {}",
            task.name,
            task.nats
        );
        assert_eq!(task.std_err, 0.0);
    }
}

#[test]
fn names_dimensions_and_truths_are_those_of_the_package() {
    let golden = golden();
    let entries = golden["tasks"].as_array().unwrap();
    let tasks = task::beyond_normal();
    assert_eq!(tasks.len(), entries.len());
    for (task, entry) in tasks.iter().zip(entries) {
        assert_eq!(task.name, entry["id"].as_str().unwrap());
        assert_eq!(task.dims.0 as u64, entry["dims"][0].as_u64().unwrap());
        assert_eq!(task.dims.1 as u64, entry["dims"][1].as_u64().unwrap());
        // The package counts one of them in 32 bits.
        let error = task.nats - entry["nats"].as_f64().unwrap();
        assert!(error.abs() < 1e-7, "{}: {error:e}", task.name);
    }
}

/// The features of `golden/beyond_normal.py`.
fn features(pairs: &Pairs) -> BTreeMap<String, Vec<f64>> {
    let (x, y) = pairs.views();
    let mut found = BTreeMap::new();
    for (letter, values) in [("x", x), ("y", y)] {
        let last = values.ncols() - 1;
        for i in [0, last.min(1), last] {
            found.insert(format!("{letter}{i}"), values.column(i).to_vec());
        }
    }
    for k in 0..3 {
        let weights = |dim: usize, f: fn(f64) -> f64| -> Array1<f64> {
            (0..dim)
                .map(|i| f(1.0 + f64::from((k + 1) * i as i32)))
                .collect()
        };
        let a = weights(x.ncols(), f64::cos);
        let b = weights(y.ncols(), f64::sin);
        found.insert(format!("p{k}"), (x.dot(&a) + y.dot(&b)).to_vec());
    }
    for i in 0..x.ncols().min(2) {
        for j in 0..y.ncols().min(2) {
            let products = &x.column(i) * &y.column(j);
            found.insert(format!("x{i}*y{j}"), products.to_vec());
        }
    }
    found
}

fn numbers(value: &Value) -> Vec<f64> {
    let numbers = value.as_array().unwrap().iter();
    numbers.map(|number| number.as_f64().unwrap()).collect()
}

/// Kolmogorov–Smirnov distances at the golden levels, and moments in units of their standard errors.
///
/// There are some 450 features. Distances above 2.5/√(nm/(n+m)) come by chance once in 130,000, and errors above 4.8 once
/// in 600,000.
#[test]
fn samplers_are_those_of_the_package() {
    let golden = golden();
    let levels = numbers(&golden["levels"]);
    let n = 100_000;
    let (mut count, mut worst_distance, mut worst_moment) = (0, 0f64, 0f64);
    for (task, entry) in task::beyond_normal()
        .iter()
        .zip(golden["tasks"].as_array().unwrap())
    {
        let m = entry["n"].as_f64().unwrap();
        let found = features(&task.sample(n, 7).unwrap());
        let known = entry["features"].as_object().unwrap();
        assert_eq!(found.len(), known.len(), "{}", task.name);
        let scale = (n as f64 * m / (n as f64 + m)).sqrt();
        for (name, values) in &found {
            count += 1;
            let at = format!("{} {name}", task.name);
            for (level, quantile) in levels.iter().zip(numbers(&known[name]["quantiles"])) {
                let share = values.iter().filter(|&&v| v <= quantile).count() as f64 / n as f64;
                let distance = (share - level).abs() * scale;
                assert!(distance < 2.5, "{at}: {share} for {level}");
                worst_distance = worst_distance.max(distance);
            }
            let g = |v: &f64| {
                if task.name.contains("student") {
                    v.asinh()
                } else {
                    *v
                }
            };
            let values: Vec<f64> = values.iter().map(g).collect();
            let squares: Vec<f64> = values.iter().map(|v| v * v).collect();
            let moments = numbers(&known[name]["moments"]);
            for (values, known) in [values, squares].iter().zip(moments.chunks(2)) {
                let (error, spread) = (stats::mean(values) - known[0], stats::std_err(values));
                let error = error.abs() / spread.hypot(known[1]);
                assert!(error < 4.8, "{at}: {error} standard errors");
                worst_moment = worst_moment.max(error);
            }
        }
    }
    println!("{count} features: distance {worst_distance:.2}, moments {worst_moment:.2}");
    assert!(count > 400);
}

#[test]
fn strong_pairs_have_their_truths() {
    let known = [9.9035, 12.2608, 13.3130, 13.9989, 14.5087];
    for (strength, known) in STRENGTHS.into_iter().zip(known) {
        // In exact integers: (1 + λ²)²/(1 + 2λ²).
        let square = strength as u128 * strength as u128;
        let exact = ((1 + square).pow(2) as f64 / (1 + 2 * square) as f64).ln();
        for dim in [3, 5, 10, 25, 50] {
            for form in Form::ALL {
                let task = task::high_mi(strength, dim, form).unwrap();
                assert!(
                    (task.nats - known).abs() < 5e-5,
                    "{}: {}",
                    task.name,
                    task.nats
                );
                assert!((task.nats - exact).abs() < 1e-13, "{}", task.nats - exact);
                assert_eq!(task.dims, (dim, dim));
            }
        }
    }
}

/// Everything whose truth has a closed form, and that the pointwise information must give too.
fn exact_tasks() -> Vec<Benchmark> {
    let mut tasks = task::beyond_normal();
    for strength in STRENGTHS {
        for form in Form::ALL {
            tasks.push(task::high_mi(strength, 3, form).unwrap());
        }
    }
    tasks.push(task::dense((2, 4), -0.15).unwrap());
    tasks.push(task::student((4, 1), 1.5).unwrap());
    tasks.push(task::bivariate(0.999_999).unwrap());
    tasks
}

#[test]
fn pointwise_information_averages_to_the_truth() {
    for task in exact_tasks() {
        let base = task.sample_base(20_000, 1).unwrap();
        let pointwise = task.pointwise(&base).unwrap();
        assert!(pointwise.iter().all(|i| i.is_finite()), "{}", task.name);
        let error = stats::mean(&pointwise) - task.nats;
        // Bases with the same samples repeat in the list; 25 of some 55 are different.
        let allowed = 4.0 * stats::std_err(&pointwise) + 1e-9;
        assert!(error.abs() < allowed, "{}: {error} of {allowed}", task.name);
        // E exp(−i) = 1 wherever the joint density covers the product.
        if task.nats < 0.5 && !task.name.contains("additive") {
            let weights: Vec<f64> = pointwise.iter().map(|i| (-i).exp()).collect();
            let error = stats::mean(&weights) - 1.0;
            assert!(
                error.abs() < 5.0 * stats::std_err(&weights),
                "{}: {error}",
                task.name
            );
        }
    }
}

#[test]
fn pointwise_information_comes_with_its_samples() {
    let task = task::student((2, 2), 2.0).unwrap().asinh().unwrap();
    let (pairs, pointwise) = task.sample_with_pointwise(1000, 5).unwrap();
    assert_eq!(pairs, task.sample(1000, 5).unwrap());
    let base = task.sample_base(1000, 5).unwrap();
    assert_eq!(pointwise, task.pointwise(&base).unwrap());
    assert_eq!(
        pairs.x,
        base.x
            .mapv(|x| Map::Asinh.apply(ndarray::array![[x]].view()).unwrap()[[0, 0]])
    );
}

/// `½ ln|S|` of the columns of centered values, by a Cholesky factor.
fn half_log_det(values: ArrayView2<f64>) -> f64 {
    let centered = &values - &values.mean_axis(Axis(0)).unwrap();
    let mut s: Array2<f64> = centered.t().dot(&centered) / values.nrows() as f64;
    let dim = s.nrows();
    let mut half = 0.0;
    for k in 0..dim {
        half += 0.5 * s[[k, k]].ln();
        for i in k + 1..dim {
            let factor = s[[i, k]] / s[[k, k]];
            for j in k..dim {
                s[[i, j]] -= factor * s[[k, j]];
            }
        }
    }
    half
}

/// The information of normal samples by their covariance, less its bias.
fn normal_information(pairs: &Pairs) -> f64 {
    let (x, y) = pairs.views();
    let both = concatenate(Axis(1), &[x, y]).unwrap();
    let n = pairs.len() as f64;
    let bias = |p: usize| -> f64 { (0..p).map(|k| digamma(0.5 * (n - 1.0 - k as f64))).sum() };
    let plain = half_log_det(x) + half_log_det(y) - half_log_det(both.view());
    plain - 0.5 * (bias(x.ncols()) + bias(y.ncols()) - bias(both.ncols()))
}

#[test]
fn normal_bases_have_the_information_they_say() {
    let n = 10_000;
    let mut tasks = task::beyond_normal();
    tasks.retain(|task| task.name.contains("normal") && !task.name.contains("student"));
    tasks.push(task::bimodal(0.75).unwrap());
    for strength in STRENGTHS {
        tasks.push(task::high_mi(strength, 3, Form::Spiral).unwrap());
        tasks.push(task::high_mi(strength, 50, Form::HalfCube).unwrap());
    }
    for dims in [(1, 1), (10, 10), (50, 50)] {
        tasks.push(task::independent(dims).unwrap());
    }
    assert!(tasks.len() > 35);
    for task in tasks {
        let base = task.sample_base(n, 3).unwrap();
        let found = normal_information(&base);
        // Var i = Σρ² of the canonical correlations; and dim_x·dim_y/n² of those that are 0.
        let pointwise = task.pointwise(&base).unwrap();
        let (dim_x, dim_y) = task.base().dims();
        let zeros = (dim_x * dim_y) as f64 / 2.0 / (n as f64 * n as f64);
        let error = (stats::variance(&pointwise) / n as f64 + zeros).sqrt();
        let off = (found - task.nats).abs() / error;
        assert!(off < 4.0, "{}: {found} for {}, {off}", task.name, task.nats);
    }
}

#[test]
fn tasks_that_differ_in_maps_share_their_base() {
    let plain = task::sparse((5, 5), 2, 2.0).unwrap();
    let base = plain.sample(500, 2).unwrap();
    let forms = [
        plain.clone().half_cube(),
        plain.clone().spiral(1.0),
        plain.clone().normal_cdf().and_then(|task| task.spiral(1.0)),
    ];
    for task in forms.map(Result::unwrap) {
        assert_eq!(task.sample_base(500, 2).unwrap(), base);
        assert_ne!(task.sample(500, 2).unwrap(), base);
        assert_eq!(task.nats, plain.nats);
    }
}

/// The largest distance between the distribution of values and `N(0, 1)`, times `√n`.
fn ks_normal(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let distance = |(i, x): (usize, &f64)| {
        let known = 0.5 * (1.0 + erf(x / 2f64.sqrt()));
        (known - i as f64 / n)
            .abs()
            .max((known - (i + 1) as f64 / n).abs())
    };
    sorted.iter().enumerate().map(distance).fold(0.0, f64::max) * n.sqrt()
}

#[test]
fn a_spiral_of_standard_normals_is_standard_normal() {
    for n in [3, 5, 25] {
        let task = task::sparse((n, n), 2, 2.0).unwrap().spiral(1.0).unwrap();
        let base = task.sample_base(20_000, 4).unwrap();
        let turned = task.map(base.clone()).unwrap();
        for (before, after) in [(&base.x, &turned.x), (&base.y, &turned.y)] {
            assert_ne!(before, after);
            for (a, b) in before.rows().into_iter().zip(after.rows()) {
                let (a, b) = (a.dot(&a), b.dot(&b));
                assert!((a - b).abs() < 1e-13 * a);
            }
            for column in after.columns() {
                // 2.2 is passed once in 8,000.
                assert!(ks_normal(&column.to_vec()) < 2.2);
            }
            let mut rng = rng::stream(0, "projections");
            for _ in 0..10 {
                let direction: Array1<f64> = (0..n).map(|_| rng.random::<f64>() - 0.5).collect();
                let length = direction.dot(&direction).sqrt();
                let along = after.dot(&(direction / length));
                assert!(ks_normal(&along.to_vec()) < 2.2);
            }
        }
    }
}

#[test]
fn a_seed_fixes_the_samples() {
    let known = [
        [0.16989780600731244, 0.21105760652819539], // 1v1-normal-0.75
        [0.45045153355726636, 1.0149122376982995],  // student-identity-1-1-1
        [0.3556564856402272, 0.2213108528061247],   // 1v1-additive-0.1
        [4.699974276285484, 2.039267922667162],     // 1v1-bimodal-0.75
        [-1.1097913745158758, 0.29110483404269133], // half_cube-multinormal-dense-2-2-0.5
        [-0.5434545369515446, -1.2834738203486014], // spiral-multinormal-sparse-3-3-2-2.0
    ];
    for (task, known) in [
        task::bivariate(0.75),
        task::student((1, 1), 1.0),
        task::additive(0.1),
        task::bimodal(0.75),
        task::dense((2, 2), 0.5).and_then(Benchmark::half_cube),
        task::sparse((3, 3), 2, 2.0).and_then(|task| task.spiral(1.0)),
    ]
    .map(Result::unwrap)
    .iter()
    .zip(known)
    {
        let pairs = task.sample(300, 0).unwrap();
        let found = [pairs.x[[0, 0]], pairs.y[[299, 0]]];
        // To the last bit: all functions are our own or of libm.
        assert_eq!(found, known, "value-breaking: {}", task.name);
    }
}

#[test]
fn samples_do_not_depend_on_threads_or_their_number() {
    let pool = |threads| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
    };
    let (one, many) = (pool(1), pool(5));
    let tasks = [
        task::student((2, 2), 1.5).unwrap(),
        task::x_shape(1000).unwrap(),
        task::inliers((2, 2), 0.5, 1000).unwrap(),
        task::dense((5, 5), 0.5).unwrap().spiral(1.0).unwrap(),
    ];
    for task in tasks {
        let slow = one.install(|| task.sample_with_pointwise(5000, 1)).unwrap();
        let fast = many
            .install(|| task.sample_with_pointwise(5000, 1))
            .unwrap();
        assert_eq!(slow, fast);
        let few = task.sample(777, 1).unwrap();
        assert_eq!(few.x, slow.0.x.slice(ndarray::s![..777, ..]));
        assert_ne!(few, task.sample(777, 2).unwrap());
    }
    let truth = |pool: &rayon::ThreadPool| pool.install(|| task::waves(10_000)).unwrap().nats;
    assert_eq!(truth(&one), truth(&many));
}

/// Published by 2·10⁶ draws, with their standard errors. The first two are integrals over the plane, here by the
/// trapezoid rule with steps of 0.005 and 0.01 (of the second only x₀ tells of y): they are exact, and the published value of
/// X is 1.5 of its errors above.
#[test]
fn mixtures_have_the_published_truths() {
    let draws = 200_000;
    let cases = [
        (task::x_shape(draws), 0.4095, 7e-4),
        (task::x_shape(draws), 0.408_442_55, 0.0),
        (task::waves(draws), 1.3069, 1e-4),
        (task::waves(draws), 1.307_017_37, 0.0),
        (task::inliers((3, 3), 0.2, draws), 0.6363, 6e-4),
        (task::inliers((2, 5), 0.5, draws), 0.2695, 6e-4),
    ];
    for (task, known, error) in cases {
        let task = task.unwrap();
        let error = task.std_err.hypot(error);
        assert!(
            (task.nats - known).abs() < 4.0 * error,
            "{}: {}",
            task.name,
            task.nats
        );
        assert!(task.std_err > 0.0 && task.std_err < 4e-3);
        // Other draws, same mean.
        let base = task.sample_base(50_000, 9).unwrap();
        let pointwise = task.pointwise(&base).unwrap();
        let off = stats::mean(&pointwise) - task.nats;
        assert!(off.abs() < 4.0 * stats::std_err(&pointwise).hypot(task.std_err));
    }
}

#[test]
fn a_measured_truth_is_a_closed_form_within_its_error() {
    let normal = task::Normal::dense((3, 2), 0.5).unwrap();
    let exact = normal.nats().unwrap();
    let measured = Benchmark::measured("normal", normal, 100_000).unwrap();
    assert!((measured.nats - exact).abs() < 4.0 * measured.std_err);
    // Var i = Σρ²; one canonical correlation: ρ² = 1 − exp(−2I).
    let known = ((1.0 - (-2.0 * exact).exp()) / 100_000.0).sqrt();
    assert!((measured.std_err / known - 1.0).abs() < 0.05);
}

#[test]
fn random_tasks_are_sound() {
    let mut names = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let task = task::random(seed).unwrap();
        assert!(names.insert(task.name.clone()));
        assert!(
            task.nats > 0.0 && task.nats < 6.0,
            "{}: {}",
            task.name,
            task.nats
        );
        let (pairs, pointwise) = task.sample_with_pointwise(2000, 0).unwrap();
        assert_eq!((pairs.x.ncols(), pairs.y.ncols()), task.dims);
        let error = (stats::mean(&pointwise) - task.nats).abs();
        assert!(
            error < 5.0 * stats::std_err(&pointwise),
            "{}: {error}",
            task.name
        );
        // Injective in f64, too: different samples stay different.
        for values in [&pairs.x, &pairs.y] {
            let bits =
                |row: ndarray::ArrayView1<f64>| row.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            let all: std::collections::BTreeSet<_> = values.rows().into_iter().map(bits).collect();
            assert_eq!(all.len(), 2000, "{}", task.name);
        }
    }
    assert!(task::random(u64::MAX).is_ok());
}

#[test]
fn the_extra_tasks_are_there() {
    let tasks = task::extra(2000).unwrap();
    assert_eq!(tasks.len(), 16);
    for task in &tasks {
        assert!(task.sample(10, 0).is_ok());
    }
    let independent = tasks.iter().filter(|task| task.nats == 0.0);
    assert_eq!(independent.count(), 4);
}

#[test]
fn samples_that_are_not_the_base_are_refused() {
    let task = task::dense((2, 3), 0.5).unwrap();
    let pairs = |nx, dx, ny, dy| Pairs {
        x: Array2::zeros((nx, dx)),
        y: Array2::zeros((ny, dy)),
    };
    assert!(task.pointwise(&pairs(5, 2, 5, 3)).is_ok());
    for (bad, shape) in [
        (pairs(5, 3, 5, 3), true),
        (pairs(5, 2, 5, 2), true),
        (pairs(5, 2, 4, 3), false),
    ] {
        for error in [
            task.pointwise(&bad).unwrap_err(),
            task.map(bad.clone()).unwrap_err(),
        ] {
            assert_eq!(matches!(error, Error::Shape { .. }), shape, "{error}");
        }
    }
    let turn = Map::Spiral(vec![Turn {
        plane: (0, 5),
        speed: 1.0,
    }]);
    assert!(task.mapped("spiral", &[turn], &[]).is_err());
}

/// `cargo test --release --test tasks -- --ignored --nocapture the_time`
#[test]
#[ignore = "a measurement"]
fn the_time_of_all_forty() {
    let tasks = task::beyond_normal();
    let mut total = 0.0;
    for task in &tasks {
        let start = std::time::Instant::now();
        task.sample(10_000, 0).unwrap();
        let seconds = start.elapsed().as_secs_f64();
        println!("{:6.1} ms {}", 1e3 * seconds, task.name);
        total += seconds;
    }
    println!("{total:.3} s for 10,000 samples of each");
    for make in [task::x_shape, task::waves, |draws| {
        task::inliers((10, 10), 0.2, draws)
    }] {
        let start = std::time::Instant::now();
        let task = make(1_000_000).unwrap();
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "{seconds:.2} s: {} {:.5} ± {:.5}",
            task.name, task.nats, task.std_err
        );
    }
}
