//! KSG against its slow twins, and against known answers.

use crate::common::{additive, normal, pairs, student};
use itd_prelude::information::{Estimator, Information, Ksg, KsgAlgorithm, Scale};
use itd_prelude::ndarray::{Array2, ArrayView2, array};
use itd_prelude::rng;
use itd_prelude::{Error, Result};
use rand::Rng as _;
use statrs::function::gamma::digamma;

const BOTH: [KsgAlgorithm; 2] = [KsgAlgorithm::One, KsgAlgorithm::Two];

fn as_published(neighbours: usize, algorithm: KsgAlgorithm) -> Ksg {
    Ksg {
        neighbours,
        algorithm,
        scale: Scale::AsIs,
    }
}

fn gap(a: &ArrayView2<f64>, i: usize, j: usize) -> f64 {
    let gaps = (0..a.ncols()).map(|c| (a[(i, c)] - a[(j, c)]).abs());
    gaps.fold(0.0, f64::max)
}

/// The `k` nearest others, by distance in the joint space and then by number.
fn nearest(spaces: &[ArrayView2<f64>], i: usize, k: usize) -> Vec<(f64, usize)> {
    let far = |j| {
        spaces
            .iter()
            .map(|space| gap(space, i, j))
            .fold(0.0, f64::max)
    };
    let mut all: Vec<(f64, usize)> = (0..spaces[0].nrows())
        .filter(|&j| j != i)
        .map(|j| (far(j), j))
        .collect();
    all.sort_by(|a, b| a.partial_cmp(b).unwrap());
    all.truncate(k);
    all
}

/// The distance of the `k`-th neighbour, if it is 0 or the next one is as near.
fn shared(found: &[(f64, usize)]) -> Option<f64> {
    let [.., last, next] = found else { return None };
    (last.0 == 0.0 || last.0 == next.0).then_some(last.0)
}

/// `n + 1` of algorithm 1 or `n` of algorithm 2 in the space of some vectors, by `k + 1` neighbours.
fn count(
    group: &[ArrayView2<f64>],
    i: usize,
    found: &[(f64, usize)],
    algorithm: KsgAlgorithm,
) -> f64 {
    let far = |j| {
        group
            .iter()
            .map(|space| gap(space, i, j))
            .fold(0.0, f64::max)
    };
    let others = (0..group[0].nrows()).filter(|&j| j != i);
    if let Some(radius) = shared(found) {
        return 1.0 + others.filter(|&j| far(j) <= radius).count() as f64;
    }
    let found = &found[..found.len() - 1];
    match algorithm {
        KsgAlgorithm::One => {
            let radius = found[found.len() - 1].0;
            1.0 + others.filter(|&j| far(j) < radius).count() as f64
        }
        KsgAlgorithm::Two => {
            let radius = found.iter().map(|&(_, j)| far(j)).fold(0.0, f64::max);
            others.filter(|&j| far(j) <= radius).count() as f64
        }
    }
}

/// What a sample is counted by: algorithm 1 where algorithm 2 would take a reach that several others share.
fn way(
    spaces: &[ArrayView2<f64>],
    i: usize,
    found: &[(f64, usize)],
    algorithm: KsgAlgorithm,
) -> KsgAlgorithm {
    let several = |space: &ArrayView2<f64>| {
        let found = &found[..found.len() - 1];
        let reach = found
            .iter()
            .map(|&(_, j)| gap(space, i, j))
            .fold(0.0, f64::max);
        let others = (0..space.nrows()).filter(|&j| j != i);
        reach == 0.0 || others.filter(|&j| gap(space, i, j) == reach).count() > 1
    };
    match spaces.iter().any(several) {
        true => KsgAlgorithm::One,
        false => algorithm,
    }
}

/// Each sample's value as the definition has it.
fn slow(ksg: &Ksg, x: ArrayView2<f64>, y: ArrayView2<f64>) -> Vec<f64> {
    let (n, k) = (x.nrows(), ksg.neighbours as f64);
    let value = |i| {
        let found = nearest(&[x, y], i, ksg.neighbours + 1);
        let way = way(&[x, y], i, &found, ksg.algorithm);
        let psi = |group| digamma(count(&[group], i, &found, way));
        let top = match (shared(&found), way) {
            (Some(_), _) => digamma(count(&[x, y], i, &found, way)),
            (None, KsgAlgorithm::One) => digamma(k),
            (None, KsgAlgorithm::Two) => digamma(k) - 1.0 / k,
        };
        top + digamma(n as f64) - psi(x) - psi(y)
    };
    (0..n).map(value).collect()
}

fn slow_conditional(ksg: &Ksg, [x, y, z]: [ArrayView2<f64>; 3]) -> Vec<f64> {
    let (n, k) = (x.nrows(), ksg.neighbours as f64);
    let value = |i| {
        let found = nearest(&[x, y, z], i, ksg.neighbours + 1);
        let of = |group: &[ArrayView2<f64>]| digamma(count(group, i, &found, ksg.algorithm));
        let top = match shared(&found) {
            Some(_) => of(&[x, y, z]),
            None => digamma(k),
        };
        top + of(&[z]) - of(&[x, z]) - of(&[y, z])
    };
    (0..n).map(value).collect()
}

fn slow_classes(k: usize, x: ArrayView2<f64>, class: &[u32]) -> Vec<f64> {
    let n = x.nrows();
    let value = |i| {
        let mut own: Vec<f64> = (0..n)
            .filter(|&j| j != i && class[j] == class[i])
            .map(|j| gap(&x, i, j))
            .collect();
        own.sort_by(f64::total_cmp);
        let k = k.min(own.len());
        let radius = own[k - 1];
        let all = (0..n).filter(|&j| j != i).map(|j| gap(&x, i, j));
        let shared = radius == 0.0 || own.get(k) == Some(&radius);
        let (top, near) = match shared {
            true => {
                let own = own.iter().filter(|far| **far <= radius).count();
                (own as f64 + 1.0, all.filter(|far| *far <= radius).count())
            }
            false => (k as f64, all.filter(|far| *far < radius).count()),
        };
        digamma(n as f64) + digamma(top)
            - digamma(own.len() as f64 + 1.0)
            - digamma(near as f64 + 1.0)
    };
    (0..n).map(value).collect()
}

fn check_equal(found: Result<Information>, slow: &[f64]) {
    let found = found.unwrap();
    let per_sample = found.per_sample.unwrap();
    assert_eq!(per_sample.len(), slow.len());
    for (i, (a, b)) in per_sample.iter().zip(slow).enumerate() {
        assert!((a - b).abs() < 1e-12, "sample {i}: {a} against {b}");
    }
    let mean = slow.iter().sum::<f64>() / slow.len() as f64;
    assert!((found.nats - mean).abs() < 1e-12);
}

/// Values, some of them rounded so that many are equal.
fn samples(n: usize, d: usize, step: f64, seed: u64) -> Array2<f64> {
    let x = normal(n, d, &mut rng::seeded(seed));
    if step > 0.0 {
        x.mapv(|x| (x / step).round() * step)
    } else {
        x
    }
}

#[test]
fn the_fast_paths_give_what_the_definition_says() {
    for (dx, dy) in [(1, 1), (1, 2), (2, 2), (3, 1), (5, 5), (9, 12)] {
        for n in [17, 33, 300] {
            for step in [0.0, 0.25, 1.0] {
                let x = samples(n, dx, step, 1);
                let y = samples(n, dy, step, 2);
                for (k, algorithm) in [1, 3, 10].into_iter().flat_map(|k| BOTH.map(|a| (k, a))) {
                    let ksg = as_published(k, algorithm);
                    check_equal(
                        ksg.information(x.view(), y.view()),
                        &slow(&ksg, x.view(), y.view()),
                    );
                }
            }
        }
    }
}

#[test]
fn large_ones_too() {
    for (n, d) in [(4000, 1), (4000, 2), (2500, 4)] {
        let case = pairs(n, d, 1, 0.9, 3);
        let ksg = as_published(3, KsgAlgorithm::One);
        check_equal(
            ksg.information(case.x.view(), case.y.view()),
            &slow(&ksg, case.x.view(), case.y.view()),
        );
    }
}

#[test]
fn the_conditional_form_is_its_definition() {
    for (dx, dy, dz) in [(1, 1, 1), (1, 2, 1), (3, 3, 3)] {
        for step in [0.0, 1.0] {
            let (x, y, z) = (
                samples(200, dx, step, 1),
                samples(200, dy, 0.0, 2),
                samples(200, dz, step, 3),
            );
            let y = if dy == 1 { y.mapv(f64::round) } else { y };
            let ksg = as_published(4, KsgAlgorithm::One);
            let slow = slow_conditional(&ksg, [x.view(), y.view(), z.view()]);
            check_equal(ksg.conditional(x.view(), y.view(), z.view()), &slow);
        }
    }
}

#[test]
fn the_form_for_classes_is_its_definition() {
    for (d, step) in [(1, 0.0), (2, 0.0), (6, 0.0), (1, 1.0), (2, 1.0), (6, 2.0)] {
        let x = samples(300, d, step, 1);
        let mut class: Vec<u32> = (0..300).map(|i| i % 3).collect();
        (class[7], class[8]) = (5, 5);
        check_equal(
            as_published(3, KsgAlgorithm::One).with_classes(x.view(), &class),
            &slow_classes(3, x.view(), &class),
        );
    }
}

#[test]
fn known_answers() {
    for ksg in [
        Ksg::default(),
        Ksg {
            neighbours: 5,
            ..Default::default()
        },
    ] {
        for (case, slack) in [
            (pairs(4000, 1, 1, 0.75, 0), 0.0),
            (pairs(4000, 1, 1, 0.0, 1), 0.0),
            (student(4000, 1, 1.0, 2), 0.02),
            (additive(4000, 0.75, 3), 0.02),
            (pairs(4000, 2, 1, 0.6, 4), 0.02),
        ] {
            let found = ksg.information(case.x.view(), case.y.view()).unwrap();
            let gap = (found.nats - case.nats).abs();
            assert!(
                gap < 4.0 * found.std_err + slack,
                "{}: {found}, {}",
                case.name,
                case.nats
            );
        }
    }
}

#[test]
fn conditional_known_answers() {
    // x → z → y: nothing is left; x, y → z: ½ ln of the partial correlation.
    let rng = &mut rng::seeded(5);
    let (x, y, e) = (
        normal(4000, 1, rng),
        normal(4000, 1, rng),
        normal(4000, 1, rng),
    );
    let z = &x + &y + &e;
    let ksg = Ksg::default();
    let found = ksg.conditional(x.view(), y.view(), z.view()).unwrap();
    let truth = -0.5 * (1.0f64 - 0.25).ln();
    assert!((found.nats - truth).abs() < 0.03, "{found} {truth}");
    let chain = &z + &normal(4000, 1, rng);
    let none = ksg.conditional(x.view(), chain.view(), z.view()).unwrap();
    assert!(none.nats.abs() < 4.0 * none.std_err, "{none}");
    let two = Ksg {
        algorithm: KsgAlgorithm::Two,
        ..Default::default()
    };
    assert!(two.conditional(x.view(), y.view(), z.view()).is_err());
}

#[test]
fn classes_known_answers() {
    // Two normals 2 apart: ln 2 − E ln(1 + e^…), by a fine sum.
    let step = 1e-3;
    let truth: f64 = (-12_000..12_000)
        .map(|i| i as f64 * step)
        .map(|t| {
            (-0.5 * (t - 1.0) * (t - 1.0)).exp() / std::f64::consts::TAU.sqrt()
                * (2f64.ln() - (-2.0 * t).exp().ln_1p())
                * step
        })
        .sum();
    let rng = &mut rng::seeded(6);
    let class: Vec<u32> = (0..4000).map(|_| rng.random_range(0..2)).collect();
    let mut x = normal(4000, 1, rng);
    x.iter_mut()
        .zip(&class)
        .for_each(|(x, &c)| *x += 2.0 * f64::from(c));
    let found = Ksg::default().with_classes(x.view(), &class).unwrap();
    assert!(
        (found.nats - truth).abs() < 4.0 * found.std_err,
        "{found} {truth}"
    );
    assert!((found.diagnostic("entropy of the classes").unwrap() - 2f64.ln()).abs() < 1e-3);
}

#[test]
fn ranks_make_maps_of_columns_immaterial() {
    let case = pairs(500, 2, 2, 0.8, 7);
    let (x, y) = (case.x.mapv(|x| x.powi(3)), case.y.mapv(f64::exp));
    let ksg = Ksg::default();
    let (plain, mapped) = (
        ksg.information(case.x.view(), case.y.view()),
        ksg.information(x.view(), y.view()),
    );
    assert_eq!(plain.unwrap().nats, mapped.unwrap().nats);
}

#[test]
fn bad_input_is_refused() {
    let good = samples(50, 1, 0.0, 1);
    let ksg = Ksg::default();
    let refused = |x: &Array2<f64>, y: &Array2<f64>| {
        ksg.information(x.view(), y.view()).unwrap_err().to_string()
    };
    assert!(refused(&good, &Array2::ones((50, 1))).contains("y does not vary in column 0"));
    assert!(refused(&good, &samples(49, 1, 0.0, 1)).contains("50 rows of x against 49 rows of y"));
    let four = samples(4, 1, 0.0, 1);
    assert!(refused(&four, &four).contains("n at least 5"));
    let none = Ksg {
        neighbours: 0,
        ..Default::default()
    };
    assert!(matches!(
        none.information(good.view(), good.view()),
        Err(Error::Parameter {
            name: "neighbours",
            ..
        })
    ));
    let huge = Ksg {
        neighbours: usize::MAX,
        ..Default::default()
    };
    assert!(huge.information(good.view(), good.view()).is_err());
    let one = ksg
        .with_classes(good.view(), &[1; 50])
        .unwrap_err()
        .to_string();
    assert!(one.contains("one class tells nothing"), "{one}");
    assert!(ksg.with_classes(good.view(), &[1; 49]).is_err());
}

#[test]
fn what_is_near_the_most_is_told() {
    let x = samples(100, 1, 0.0, 1);
    let found = Ksg::default().information(x.view(), x.view()).unwrap();
    assert!(
        found
            .warnings
            .iter()
            .any(|w| w.contains("the truth may be far more")),
        "{found}"
    );
    let tied = array![[1.0], [1.0], [2.0], [3.0], [4.0], [5.0]];
    let told = Ksg::default()
        .information(tied.view(), tied.view())
        .unwrap();
    assert!(
        told.warnings.iter().any(|w| w.contains("has ties")),
        "{told}"
    );
}
