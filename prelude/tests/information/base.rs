//! The closed-form base on tasks with known information.

use crate::common::{
    Case, additive, clouds, cross, dense, half_cube, inliers, mapped, normal, normal_cdf, pairs,
    spiral, student,
};
use itd_prelude::information::{Base, Estimator, Information};
use itd_prelude::ndarray::{Array2, Axis, concatenate};
use itd_prelude::{Error, rng, stats, task};

const N: usize = 10_000;

fn found(case: &Case) -> Information {
    Base::default()
        .information(case.x.view(), case.y.view())
        .unwrap()
}

/// The mean absolute error over some tasks.
fn error(cases: impl IntoIterator<Item = Case>) -> f64 {
    let gap = |case: Case| {
        let one = found(&case);
        let gap = one.nats - case.nats;
        println!("{:24} {gap:+.4} {one}", case.name);
        assert!(
            gap.abs() < 4.0 * one.std_err + 0.06,
            "{}: {one} for {}",
            case.name,
            case.nats
        );
        gap.abs()
    };
    stats::mean(&cases.into_iter().map(gap).collect::<Vec<_>>())
}

#[test]
fn gaussian_tasks() {
    let all = [2, 5, 25]
        .into_iter()
        .flat_map(|d| [dense(N, d, 10), pairs(N, d, 2, 0.8, 11)]);
    let bent = [
        mapped(pairs(N, 1, 1, 0.75, 12), "cdf", normal_cdf),
        mapped(pairs(N, 3, 2, 0.8, 13), "half-cube", half_cube),
        mapped(pairs(N, 5, 2, 0.8, 14), "cdf", normal_cdf),
    ];
    let error = error(all.chain(bent));
    assert!(error < 0.014, "{error}");
}

#[test]
fn student_tasks() {
    let all = [(1, 1.0), (2, 1.0), (3, 3.0), (5, 2.0)].map(|(d, dof)| student(N, d, dof, 10));
    let error = error(all);
    assert!(error < 0.012, "{error}");
}

#[test]
fn nothing_is_found_where_there_is_nothing() {
    for d in [1, 2, 5, 25] {
        let case = pairs(N, d, 0, 0.0, 15);
        assert!(found(&case).nats.abs() < 0.02, "{d}: {}", found(&case));
        let tails = Case {
            x: case.x.mapv(|x| 1.0 / x),
            ..case
        };
        assert!(found(&tails).nats.abs() < 0.02, "{d}: {}", found(&tails));
    }
}

#[test]
fn a_spiral_in_many_dimensions() {
    let error = error([spiral(N, 25, 10), spiral(N, 25, 11)]);
    assert!(error < 0.065, "{error}");
}

#[test]
fn sharp_edges_are_left_to_neighbours() {
    let error = error([additive(N, 0.1, 10), additive(N, 0.75, 10)]);
    assert!(error < 0.04, "{error}");
}

#[test]
fn tasks_outside_of_the_models() {
    let all = [2, 5, 25].into_iter().flat_map(|d| {
        [
            inliers(N, d, 0.2, 10),
            inliers(N, d, 0.5, 11),
            clouds(N, d, 2.0, 12),
        ]
    });
    let error = error(all.chain([cross(N, 10)]));
    assert!(error < 0.04, "{error}");
}

/// Twelve clouds behind waves that are narrower than the way to the fifth neighbour.
#[test]
fn what_is_too_fine_for_neighbours_is_added_and_told() {
    let task = task::waves(100_000).unwrap();
    let samples = task.sample(N, 0).unwrap();
    let one = Base::default()
        .information(samples.x.view(), samples.y.view())
        .unwrap();
    let gap = (one.nats - task.nats).abs();
    assert!(gap < 0.12 && gap < 2.0 * one.std_err, "{one}");
    let told = |one: &Information| one.warnings.iter().any(|one| one.contains("too few for"));
    assert!(told(&one) && !told(&found(&cross(N, 10))), "{one}");
}

#[test]
fn high_information() {
    for strength in [200.0f64, 2000.0] {
        let rho = strength.powi(2) / (1.0 + strength.powi(2));
        for d in [3, 10] {
            let case = pairs(N, d, 2, rho, 16);
            let bent = mapped(pairs(N, d, 2, rho, 16), "half-cube", half_cube);
            for case in [case, bent] {
                let one = found(&case);
                assert!(
                    (one.nats / case.nats - 1.0).abs() < 0.02,
                    "{} {d}: {one} for {}",
                    case.name,
                    case.nats
                );
            }
        }
    }
}

#[test]
fn both_orders_agree() {
    let case = student(4000, 3, 2.0, 17);
    let back = Case {
        x: case.y.clone(),
        y: case.x.clone(),
        ..student(10, 1, 1.0, 0)
    };
    assert!((found(&case).nats - found(&back).nats).abs() < 1e-6);
}

#[test]
fn bad_input_is_refused_or_told() {
    let (x, y) = (
        normal(200, 2, &mut rng::seeded(0)),
        normal(200, 2, &mut rng::seeded(1)),
    );
    let refused = |base: Base, x: &Array2<f64>, y: &Array2<f64>| {
        base.information(x.view(), y.view()).unwrap_err()
    };
    assert!(matches!(
        refused(Base { folds: 1, seed: 0 }, &x, &y),
        Error::Parameter { name: "folds", .. }
    ));
    let few = x.slice(itd_prelude::ndarray::s![..49, ..]).to_owned();
    assert!(
        refused(Base::default(), &few, &few)
            .to_string()
            .contains("n at least 50")
    );
    assert!(matches!(
        refused(Base::default(), &x, &x),
        Error::NotFinite { .. }
    ));
    let sum = x.sum_axis(Axis(1)).insert_axis(Axis(1));
    let more = concatenate![Axis(1), x, sum];
    let plain = Base::default().information(x.view(), y.view()).unwrap();
    let one = Base::default().information(more.view(), y.view()).unwrap();
    assert!(
        one.warnings
            .iter()
            .any(|w| w.contains("1 columns are made of others")),
        "{one}"
    );
    assert!((one.nats - plain.nats).abs() < 0.02, "{one} {plain}");
    assert!(matches!(
        refused(Base::default(), &x, &x.mapv(f64::exp)),
        Error::NotFinite { .. }
    ));
    let rounded = x.mapv(f64::round);
    let told = Base::default()
        .information(rounded.view(), y.view())
        .unwrap();
    assert!(
        told.warnings.iter().any(|w| w.contains("have ties")),
        "{told}"
    );
}
