//! The gap between two denoisers, and swirls.

use itd_prelude::curve::Asked;
use itd_prelude::curve::Conditioning::{Conditional, Unconditional};
use itd_prelude::distribution::ConditionalGaussian;
use itd_prelude::information::{Base, Estimator, Experts, GapCurves, Mmg, Readout, gap_curves};
use itd_prelude::ndarray::ArrayView2;
use itd_prelude::prelude::*;
use itd_prelude::task::{self, Form};

/// A Gaussian pair in `2 d` dimensions, `x_i` and `y_i` with correlation `rho`.
fn joint(d: usize, rho: f64) -> Gaussian {
    let row = |i: usize| -> Vec<f64> {
        (0..2 * d)
            .map(|j| match (i == j, i % d == j % d) {
                (true, _) => 1.0,
                (_, true) => rho,
                _ => 0.0,
            })
            .collect()
    };
    let rows: Vec<Vec<f64>> = (0..2 * d).map(row).collect();
    Gaussian::new(&vec![0.0; 2 * d], &rows).unwrap()
}

fn measured(d: usize, rho: f64, n: usize, points: &Quadrature) -> GapCurves {
    let joint = joint(d, rho);
    let pairs = joint.sample(n, &mut rng::seeded(1)).unwrap();
    let y = Condition::vectors(&pairs.narrow(1, d, d).unwrap()).unwrap();
    let x = pairs.narrow(1, 0, d).unwrap();
    let data = Dataset::new("pair", x).unwrap().given(y).unwrap();
    let net = ConditionalGaussian::new(&joint, d).unwrap();
    let net = net.denoiser(&[d]).unwrap();
    let (with, without) = (Asked(&net, Conditional), Asked(&net, Unconditional));
    gap_curves(with, without, &data, points, &CurveConfig::default()).unwrap()
}

/// Exact curves: half the area is the information, as far as the interval reaches.
#[test]
fn the_area_of_exact_curves_is_the_information() {
    for (rho, reach) in [(0.5, 8.0), (0.99, 12.0), (0.999_999, 21.0)] {
        let pair = ConditionalGaussian::new(&joint(1, rho), 1).unwrap();
        let points = Quadrature::trapezoid(-18.0, 18.0 + reach, 4001).unwrap();
        let (without, with) = (
            pair.marginal.curve(&points).unwrap(),
            pair.residual.curve(&points).unwrap(),
        );
        let found = without.minus(&with).unwrap().area().unwrap().nats;
        let known = -0.5 * ((1.0 - rho) * (1.0 + rho)).ln();
        assert!((found - known).abs() < 1e-6, "{rho}: {found} {known}");
    }
}

#[test]
fn four_readings_of_exact_denoisers_agree() {
    let points = Quadrature::trapezoid(-8.0, 10.0, 60).unwrap();
    for (d, rho) in [(1, 0.75), (5, 0.6), (50, 0.3)] {
        let gap = measured(d, rho, 1500, &points);
        let truth = -0.5 * d as f64 * (1.0 - rho * rho).ln();
        let (direct, orthogonal, mean, scaled) = (
            gap.direct().unwrap(),
            gap.orthogonal().unwrap(),
            gap.mean().unwrap(),
            gap.scaled().unwrap(),
        );
        for (name, one) in [
            ("direct", &direct),
            ("orthogonal", &orthogonal),
            ("mean", &mean),
        ] {
            assert!(one.within(truth, 4.0).holds, "{name} {d}: {one} {truth}");
        }
        assert!((mean.nats - 0.5 * (direct.nats + orthogonal.nats)).abs() < 1e-12 * truth);
        assert!(scaled.nats >= direct.nats - 1e-12, "{scaled} {direct}");
        assert!(orthogonal.std_err < direct.std_err);
        // The direct form is the difference of the two curves.
        let along = gap.along().unwrap();
        let last = along.last().unwrap();
        assert!((last - mean.nats).abs() < 0.02 * truth, "{last} {mean}");
        assert!(along[20] < along[40]);
    }
}

#[test]
fn one_denoiser_asked_twice_has_no_gap() {
    let net = joint(1, 0.5).denoiser(&[2]).unwrap();
    let data = toy::correlated_gaussian(300, 0).unwrap().test;
    let points = Quadrature::trapezoid(-4.0, 4.0, 9).unwrap();
    let gap = gap_curves(&net, &net, &data, &points, &CurveConfig::default()).unwrap();
    assert_eq!(gap.mean().unwrap().nats, 0.0);
    assert_eq!(gap.scaled().unwrap().nats, 0.0);
    let alone = Asked(&net, Conditional);
    assert!(gap_curves(alone, &net, &data, &points, &CurveConfig::default()).is_err());
}

/// A network learns both denoisers: each reading is near, and what is independent has nothing.
#[test]
fn a_network_finds_the_gap() {
    let small = Mmg {
        train: TrainConfig {
            steps: Some(600),
            ..Mmg::default().train
        },
        ..Mmg::default()
    };
    let task = task::bivariate(0.75).unwrap();
    let pairs = task.sample(3000, 0).unwrap();
    let found = small.information(pairs.x.view(), pairs.y.view()).unwrap();
    assert!(
        (found.nats - task.nats).abs() < 0.05,
        "{found} {}",
        task.nats
    );
    let gap = found.gap.as_ref().unwrap();
    assert_eq!(found.diagnostic("mean"), Some(gap.mean().unwrap().nats));
    assert!(
        found
            .per_sample
            .as_ref()
            .is_some_and(|values| values.len() == 3000)
    );
    // Pointwise values go with the true ones.
    let (_, pointwise) = task.sample_with_pointwise(3000, 0).unwrap();
    let own = found.per_sample.unwrap();
    let together = correlation(&own, &pointwise);
    assert!(together > 0.8, "{together}");
    let none = task::independent((2, 2)).unwrap().sample(3000, 0).unwrap();
    let direct = Mmg {
        readout: Readout::Direct,
        ..small
    };
    let found = direct.information(none.x.view(), none.y.view()).unwrap();
    assert!(found.nats.abs() < 0.05, "{found}");
}

/// Two networks that share log-SNR find what one finds.
#[test]
fn experts_find_the_gap() {
    let task = task::bivariate(0.75).unwrap();
    let pairs = task.sample(3000, 0).unwrap();
    let of = |experts, adapt| Mmg {
        experts,
        adapt,
        train: TrainConfig {
            steps: Some(900),
            ..Mmg::default().train
        },
        ..Mmg::default()
    };
    for (experts, adapt) in [
        (Experts::At(2.0), Some(0.1)),
        (Experts::HalfGap, Some(0.1)),
        (Experts::At(0.0), None),
    ] {
        let mmg = of(experts, adapt);
        let found = mmg.information(pairs.x.view(), pairs.y.view()).unwrap();
        let off = found.nats - task.nats;
        assert!(off.abs() < 0.05, "{experts:?}: {found} of {}", task.nats);
    }
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    use itd_prelude::stats::{mean, variance};
    let (ma, mb) = (mean(a), mean(b));
    let both = std::iter::zip(a, b)
        .map(|(a, b)| (a - ma) * (b - mb))
        .sum::<f64>();
    both / (a.len() as f64 - 1.0) / (variance(a) * variance(b)).sqrt()
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let refused =
        |net: Mmg, x: ArrayView2<f64>| net.information(x, x.view()).unwrap_err().to_string();
    let x = task::bivariate(0.5).unwrap().sample(60, 0).unwrap().x;
    let mmg = Mmg::default;
    let bad = [
        (Mmg { folds: 1, ..mmg() }, "folds"),
        (Mmg { folds: 31, ..mmg() }, "folds"),
        (
            Mmg {
                train: TrainConfig {
                    run: Some("folder".into()),
                    ..mmg().train
                },
                ..mmg()
            },
            "train",
        ),
        (Mmg { points: 2, ..mmg() }, "points"),
        (Mmg { draws: 0, ..mmg() }, "draws"),
        (
            Mmg {
                adapt: Some(f64::NAN),
                ..mmg()
            },
            "adapt",
        ),
        (
            Mmg {
                widest: (f64::NAN, 24.0),
                ..mmg()
            },
            "widest",
        ),
        (
            Mmg {
                experts: Experts::At(14.0),
                ..mmg()
            },
            "experts",
        ),
        (
            Mmg {
                experts: Experts::At(f64::NAN),
                ..mmg()
            },
            "experts",
        ),
        (
            Mmg {
                experts: Experts::HalfGap,
                adapt: None,
                ..mmg()
            },
            "experts",
        ),
    ];
    for (net, name) in bad {
        let text = refused(net, x.view());
        assert!(text.contains(name), "{text}");
    }
}

/// What is hidden by angles that grow with the length is found, at any strength.
#[test]
fn spirals_are_undone() {
    for (name, task, tolerance) in [
        (
            "3",
            task::sparse((3, 3), 2, 2.0).unwrap().spiral(1.0).unwrap(),
            0.05,
        ),
        (
            "5",
            task::sparse((5, 5), 2, 2.0).unwrap().spiral(1.0).unwrap(),
            0.05,
        ),
        ("high", task::high_mi(200.0, 3, Form::Spiral).unwrap(), 0.1),
    ] {
        let pairs = task.sample(10_000, 0).unwrap();
        let found = Base::default()
            .information(pairs.x.view(), pairs.y.view())
            .unwrap();
        let gap = found.nats - task.nats;
        assert!(gap.abs() < tolerance, "{name}: {found} {}", task.nats);
        println!("{name}: {gap:+.4} {found}");
    }
}
