//! More than two vectors: conditional information, interactions, entropies.

use itd_prelude::curve::Asked;
use itd_prelude::curve::Conditioning::{Conditional, Unconditional};
use itd_prelude::distribution::ConditionalGaussian;
use itd_prelude::information::{
    Base, Cca, Information, Interactions, JointGaussian, Ksg, Masked, Rows, conditional_gap,
    conditional_mi, conditional_mi_by, entropy_curve, gap_curves, interaction_gaps, interactions,
    interactions_by,
};
use itd_prelude::ndarray::{Array2, ArrayView2, s};
use itd_prelude::prelude::*;
use itd_prelude::stats;

/// Five numbers in three variables of 2, 1 and 2.
const WIDTHS: [usize; 3] = [2, 1, 2];

fn joint() -> (Gaussian, Vec<Vec<f64>>) {
    // A Bᵀ + I of some loadings.
    let loads: [[f64; 2]; 5] = [[1.0, 0.2], [0.3, -0.8], [0.9, 0.7], [-0.5, 0.6], [0.1, 1.1]];
    let row = |i: usize| -> Vec<f64> {
        (0..5)
            .map(|j| {
                let shared: f64 = (0..2).map(|k| loads[i][k] * loads[j][k]).sum();
                shared + if i == j { 0.7 } else { 0.0 }
            })
            .collect()
    };
    let rows: Vec<Vec<f64>> = (0..5).map(row).collect();
    (
        Gaussian::new(&[0.5, 0.0, -1.0, 0.0, 2.0], &rows).unwrap(),
        rows,
    )
}

/// `½ ln det` of the covariance of some numbers.
fn half_log_det(rows: &[Vec<f64>], of: &[usize]) -> f64 {
    let part: Vec<Vec<f64>> = of
        .iter()
        .map(|&i| of.iter().map(|&j| rows[i][j]).collect())
        .collect();
    let part = Gaussian::new(&vec![0.0; of.len()], &part).unwrap();
    0.5 * part.log_eigenvalues().unwrap().iter().sum::<f64>()
}

const PARTS: [&[usize]; 3] = [&[0, 1], &[2], &[3, 4]];

/// Entropy of some variables, but for `½ d ln 2πe`.
fn h(rows: &[Vec<f64>], variables: &[usize]) -> f64 {
    let mut of: Vec<usize> = variables.iter().flat_map(|&v| PARTS[v].to_vec()).collect();
    of.sort_unstable();
    half_log_det(rows, &of)
}

/// TC, DTC, and `I(x₀; x₁ | x₂)`.
fn known(rows: &[Vec<f64>]) -> (f64, f64, f64) {
    let h = |variables: &[usize]| h(rows, variables);
    let all = h(&[0, 1, 2]);
    let (alone, pairs) = (
        h(&[0]) + h(&[1]) + h(&[2]),
        h(&[0, 1]) + h(&[0, 2]) + h(&[1, 2]),
    );
    let conditional = h(&[0, 2]) + h(&[1, 2]) - h(&[2]) - all;
    (alone - all, pairs - 2.0 * all, conditional)
}

fn near(what: &str, found: &Information, truth: f64) {
    println!("{what}: {found}, in truth {truth:.4}");
    assert!(
        (found.nats - truth).abs() < 4.0 * found.std_err,
        "{what}: {found} {truth}"
    );
}

fn columns(all: &Array2<f64>) -> [ArrayView2<'_, f64>; 3] {
    [s![.., 0..2], s![.., 2..3], s![.., 3..5]].map(|part| all.slice(part))
}

fn all_near(found: &Interactions, (tc, dtc, _): (f64, f64, f64)) {
    near("TC", &found.total_correlation, tc);
    near("DTC", &found.dual_total_correlation, dtc);
    near("Ω", &found.o_information, tc - dtc);
}

#[test]
fn the_chain_rule_finds_what_gaussians_share() {
    let (gaussian, rows) = joint();
    let truth = known(&rows);
    let all = gaussian
        .sample(4000, &mut rng::seeded(1))
        .unwrap()
        .rows()
        .unwrap();
    let [x, y, z] = columns(&all);
    near("base", &conditional_mi(&x, &y, &z).unwrap(), truth.2);
    near(
        "CCA",
        &conditional_mi_by(&Cca::default(), x, y, z).unwrap(),
        truth.2,
    );
    all_near(&interactions(&[&x, &y, &z]).unwrap(), truth);
    let by_cca = interactions_by(&Cca::default(), &[x, y, z]).unwrap();
    all_near(&by_cca, truth);
    // Both ways of the chain are told.
    let found = conditional_mi_by(&Cca::default(), x, y, z).unwrap();
    let ways = [found.diagnostic("by x"), found.diagnostic("by y")].map(Option::unwrap);
    assert!((0.5 * (ways[0] + ways[1]) - found.nats).abs() < 1e-12);
    // Values of single samples: their mean is the value but for the bias that is taken off.
    let each = found.per_sample.unwrap();
    assert!(each.len() == 4000 && (stats::mean(&each) - found.nats).abs() < 0.01);
}

#[test]
fn pairs_are_a_special_case_and_independence_is_zero() {
    let (gaussian, _) = joint();
    let all = gaussian
        .sample(3000, &mut rng::seeded(2))
        .unwrap()
        .rows()
        .unwrap();
    let [x, y, _] = columns(&all);
    let found = interactions_by(&Cca::default(), &[x, y]).unwrap();
    let pair = found.total_correlation.nats;
    assert!((pair - found.dual_total_correlation.nats).abs() < 1e-9);
    assert!(found.o_information.nats.abs() < 1e-9 && pair > 0.1);
    let apart = rng::normal(&[4000, 4], &mut rng::seeded(3))
        .unwrap()
        .rows()
        .unwrap();
    let parts: Vec<ArrayView2<f64>> = (0..4).map(|j| apart.slice(s![.., j..j + 1])).collect();
    let none = interactions_by(&Cca::default(), &parts).unwrap();
    for found in [
        &none.total_correlation,
        &none.dual_total_correlation,
        &none.o_information,
    ] {
        assert!(found.nats.abs() < 0.01, "{found}");
    }
    let given = conditional_mi(&parts[0], &parts[1], &parts[2]).unwrap();
    assert!(given.nats.abs() < 0.01, "{given}");
}

/// Copies of one number are redundant, a sum is synergy.
#[test]
fn the_sign_of_the_o_information_is_redundancy_or_synergy() {
    let noise = rng::normal(&[4000, 4], &mut rng::seeded(4))
        .unwrap()
        .rows()
        .unwrap();
    let n = |j: usize| noise.slice(s![.., j..j + 1]);
    let copies = [1, 2, 3].map(|j| &n(0) + &(0.5 * &n(j)));
    let sum = &n(0) + &n(1) + &(0.5 * &n(2));
    let redundant = interactions(&[&copies[0], &copies[1], &copies[2]]).unwrap();
    let synergy = interactions(&[&n(0), &n(1), &sum]).unwrap();
    // Of x, y and x + y + noise: TC = I(x, y; s) and DTC = 2 I(x; s | y).
    let (tc, dtc) = (0.5 * 9f64.ln(), 2.0 * 0.5 * 5f64.ln());
    near("Ω of a sum", &synergy.o_information, tc - dtc);
    assert!(redundant.o_information.nats > 0.3 && synergy.o_information.nats < -0.3);
}

/// The best denoisers: areas between their error curves are what log-determinants say.
#[test]
fn areas_between_exact_curves_are_what_gaussians_share() {
    let (gaussian, rows) = joint();
    let (tc, dtc, conditional) = known(&rows);
    let x = gaussian.sample(1500, &mut rng::seeded(5)).unwrap();
    let data = Dataset::new("five", x).unwrap();
    let points = Quadrature::trapezoid(-12.0, 14.0, 100).unwrap();
    let net = JointGaussian::new(&gaussian, &WIDTHS).unwrap();
    let config = CurveConfig::default();
    let gaps = interaction_gaps(&net, &data, &points, &config).unwrap();
    for (what, gap, truth) in [("TC", &gaps.total, tc), ("DTC", &gaps.dual, dtc)] {
        for reading in [gap.direct(), gap.orthogonal(), gap.mean()] {
            let reading = reading.unwrap();
            assert!(
                reading.within(truth, 4.0).holds,
                "{what}: {reading} {truth}"
            );
        }
    }
    let gap = |sets| conditional_gap(&net, sets, &data, &points, &config).unwrap();
    let found = gap([&[0], &[1], &[2]]).mean().unwrap();
    assert!(
        found.within(conditional, 4.0).holds,
        "{found} {conditional}"
    );
    // It is symmetric, and the chain rule holds.
    let back = gap([&[1], &[0], &[2]]).mean().unwrap();
    assert!(back.minus(&found).nats.abs() < 4.0 * back.minus(&found).std_err + 1e-3);
    let (both, one) = (gap([&[0], &[1, 2], &[]]), gap([&[0], &[2], &[]]));
    let chain = both.mean().unwrap().minus(&one.mean().unwrap());
    assert!(
        (chain.nats - found.nats).abs() < 1e-3 + 4.0 * chain.std_err,
        "{chain} {found}"
    );
    // Entropies, given something and not.
    for (sets, truth) in [
        ([&[0usize][..], &[]], h(&rows, &[0])),
        ([&[0], &[1]], h(&rows, &[0, 1]) - h(&rows, &[1])),
        ([&[0, 1, 2], &[]], h(&rows, &[0, 1, 2])),
    ] {
        let curve = entropy_curve(&net, sets, &data, &points, &config).unwrap();
        let d = curve.dim;
        let truth = truth + 0.5 * d as f64 * (2.0 * std::f64::consts::PI * 1f64.exp()).ln();
        let found = curve.nll(&Gaussian::standard(d).unwrap()).unwrap();
        assert!(found.within(truth, 4.0).holds, "{sets:?}: {found} {truth}");
    }
}

/// One network for all parts of three variables.
#[test]
fn one_network_learns_what_gaussians_share() {
    let (gaussian, rows) = joint();
    let truth = known(&rows);
    let all = gaussian
        .sample(4000, &mut rng::seeded(6))
        .unwrap()
        .rows()
        .unwrap();
    let found = Masked::default().interactions(&columns(&all)).unwrap();
    all_near(&found, truth);
    let worst = [
        (found.total_correlation.nats - truth.0).abs(),
        (found.dual_total_correlation.nats - truth.1).abs(),
    ];
    assert!(worst.iter().all(|gap| *gap < 0.06), "{worst:?}");
}

/// Noisy products of normal numbers are no Gaussian matter.
#[test]
fn one_network_learns_a_product() {
    let noise = rng::normal(&[6000, 3], &mut rng::seeded(7))
        .unwrap()
        .rows()
        .unwrap();
    let (x, y) = (noise.slice(s![.., 0..1]), noise.slice(s![.., 1..2]));
    let s2: f64 = 0.25;
    let z = &(&x * &y) + &(s2.sqrt() * &noise.slice(s![.., 2..3]));
    // z is N(0, y² + s²) for those who know y; TC = h(z) − h(z | x, y) and DTC = 2 I(x; z | y).
    let normal =
        |t: f64, v: f64| (-0.5 * t * t / v).exp() / (2.0 * std::f64::consts::PI * v).sqrt();
    let step = 0.02;
    let ys: Vec<f64> = (-400..=400).map(|i| f64::from(i) * step).collect();
    let over_y =
        |f: &dyn Fn(f64) -> f64| -> f64 { ys.iter().map(|&y| step * normal(y, 1.0) * f(y)).sum() };
    let entropy: f64 = (-1500..=1500)
        .map(|i| over_y(&|y| normal(f64::from(i) * step, y * y + s2)))
        .map(|p| if p > 1e-300 { -step * p * p.ln() } else { 0.0 })
        .sum();
    let tc = entropy - 0.5 * (2.0 * std::f64::consts::PI * 1f64.exp() * s2).ln();
    let dtc = over_y(&|y| (1.0 + y * y / s2).ln());
    let found = Masked::default().interactions(&[x, y, z.view()]).unwrap();
    let of = [
        (&found.total_correlation, tc),
        (&found.dual_total_correlation, dtc),
        (&found.o_information, tc - dtc),
    ];
    for (found, truth) in of {
        println!("{found}, in truth {truth:.4}");
        assert!((found.nats - truth).abs() < 0.1, "{found} {truth}");
    }
    // By neighbours and the chain rule it is found, too.
    let closed = interactions(&[&x, &y, &z]).unwrap();
    near("TC", &closed.total_correlation, tc);
    near("DTC", &closed.dual_total_correlation, dtc);
}

/// The sign of z is the product of the signs of x and y: no pair of them has anything in common, all three have. Such a
/// step is hard to learn; that there is synergy is seen at once.
#[test]
fn a_parity_is_all_synergy() {
    let noise = rng::normal(&[6000, 3], &mut rng::seeded(7))
        .unwrap()
        .rows()
        .unwrap();
    let (x, y) = (noise.slice(s![.., 0..1]), noise.slice(s![.., 1..2]));
    let z = &(&x * &y).mapv(f64::signum) + &(0.5 * &noise.slice(s![.., 2..3]));
    let truth = coin_through(0.5);
    for pair in [mi(&x, &z), mi(&y, &z), mi(&x, &y)].map(Result::unwrap) {
        assert!(pair.nats.abs() < 0.02, "{pair}");
    }
    let omega = Masked::default()
        .interactions(&[x, y, z.view()])
        .unwrap()
        .o_information;
    println!("Ω {omega}, in truth {:.4}", -truth);
    assert!(
        omega.nats < -0.4 && omega.nats > -truth - 0.1,
        "{omega} {truth}"
    );
}

/// `I(b; b + s n)` of a fair coin ±1, by a sum over the line.
fn coin_through(s: f64) -> f64 {
    let step = 1e-3;
    let bell = |t: f64| (-0.5 * t * t / (s * s)).exp() / (s * (2.0 * std::f64::consts::PI).sqrt());
    let terms = (-8000..8000).map(|i| {
        let t = f64::from(i) * step;
        let (plus, minus) = (bell(t - 1.0), bell(t + 1.0));
        match plus > 1e-300 {
            true => plus * (2.0 * plus / (plus + minus)).ln() * step,
            false => 0.0,
        }
    });
    terms.sum()
}

#[test]
fn neighbours_tell_the_entropy() {
    let (gaussian, _) = joint();
    let all = gaussian
        .sample(4000, &mut rng::seeded(8))
        .unwrap()
        .rows()
        .unwrap();
    for part in [vec![0], vec![0, 1], vec![2, 3, 4]] {
        let of = all.select(itd_prelude::ndarray::Axis(1), &part);
        let rows = joint().1;
        let truth = half_log_det(&rows, &part)
            + 0.5 * part.len() as f64 * (2.0 * std::f64::consts::PI * 1f64.exp()).ln();
        let found = Ksg::default().entropy(of.view()).unwrap();
        assert!(
            (found.nats - truth).abs() < 4.0 * found.std_err + 0.02,
            "{part:?}: {found} {truth}"
        );
        // A unit ten times smaller makes each number ten times larger.
        let scaled = Ksg::default().entropy((10.0 * &of).view()).unwrap();
        let more = part.len() as f64 * 10f64.ln();
        assert!((scaled.nats - found.nats - more).abs() < 1e-9);
    }
    let ties = Array2::from_shape_fn((100, 1), |(i, _)| f64::from(i as u32 % 5));
    let refused = Ksg::default().entropy(ties.view()).unwrap_err().to_string();
    assert!(refused.contains("same place"), "{refused}");
}

/// `I(z_α; y)` along the channel, in standard errors of its own.
#[test]
fn along_the_channel_information_is_what_the_noisy_pair_has() {
    let rho: f64 = 0.8;
    let joint = Gaussian::new(&[0.0, 0.0], &[[1.0, rho], [rho, 1.0]]).unwrap();
    let pairs = joint.sample(3000, &mut rng::seeded(9)).unwrap();
    let y = Condition::vectors(&pairs.narrow(1, 1, 1).unwrap()).unwrap();
    let data = Dataset::new("pair", pairs.narrow(1, 0, 1).unwrap()).unwrap();
    let data = data.given(y).unwrap();
    let net = ConditionalGaussian::new(&joint, 1)
        .unwrap()
        .denoiser(&[1])
        .unwrap();
    let points = Quadrature::trapezoid(-10.0, 12.0, 111).unwrap();
    let (with, without) = (Asked(&net, Conditional), Asked(&net, Unconditional));
    let gap = gap_curves(with, without, &data, &points, &CurveConfig::default()).unwrap();
    let (along, errors) = (gap.along().unwrap(), gap.along_err().unwrap());
    for ((&alpha, found), err) in points.log_snr.iter().zip(&along).zip(&errors) {
        // z and y are normal with squared correlation ρ² σ(α).
        let known = -0.5 * (1.0 - rho * rho * stats::sigmoid(alpha)).ln();
        assert!(
            (found - known).abs() < 4.5 * err + 2e-4,
            "{alpha}: {found} ± {err}, {known}"
        );
    }
    let last = errors.last().unwrap();
    assert!((last / gap.mean().unwrap().std_err - 1.0).abs() < 0.1);
}

#[test]
fn variables_that_cannot_be_are_refused() {
    let (gaussian, _) = joint();
    let all = gaussian
        .sample(60, &mut rng::seeded(0))
        .unwrap()
        .rows()
        .unwrap();
    let [x, y, z] = columns(&all);
    assert!(interactions(&[&x]).is_err());
    let short = z.slice(s![..50, ..]);
    let refused = conditional_mi(&x, &y, &short).unwrap_err().to_string();
    assert!(refused.contains("50 rows"), "{refused}");
    assert!(JointGaussian::new(&gaussian, &[2, 2]).is_err());
    assert!(JointGaussian::new(&gaussian, &[5, 0]).is_err());
    let net = JointGaussian::new(&gaussian, &WIDTHS).unwrap();
    let data = Dataset::new("five", gaussian.sample(10, &mut rng::seeded(0)).unwrap()).unwrap();
    let points = Quadrature::trapezoid(-2.0, 2.0, 5).unwrap();
    let gap = |sets: [&[usize]; 3]| {
        conditional_gap(&net, sets, &data, &points, &CurveConfig::default()).map(|_| ())
    };
    for bad in [
        [&[0usize][..], &[3], &[]],
        [&[0], &[0], &[]],
        [&[], &[1], &[]],
        [&[0], &[], &[]],
    ] {
        assert!(gap(bad).is_err(), "{bad:?}");
    }
    let masked = |masked: Masked| masked.interactions(&[x, y, z]).unwrap_err().to_string();
    let base = Masked::default;
    assert!(masked(Masked { folds: 1, ..base() }).contains("folds"));
    assert!(
        masked(Masked {
            points: 2,
            ..base()
        })
        .contains("points")
    );
    assert!(masked(Masked { draws: 0, ..base() }).contains("draws"));
    let mut run = base();
    run.train.run = Some("folder".into());
    assert!(masked(run).contains("run folder"));
    let mut none = base();
    none.net.copies = 0;
    assert!(masked(none).contains("copies"));
}

/// What one of the two has of the condition itself is known already.
#[test]
fn a_column_of_the_condition_is_no_infinite_information() {
    let (gaussian, _) = joint();
    let all = gaussian
        .sample(3000, &mut rng::seeded(8))
        .unwrap()
        .rows()
        .unwrap();
    let column = |j: usize| all.slice(s![.., j..j + 1]);
    let (x, y, z) = (column(0), column(1), column(2));
    let alone = conditional_mi_by(&Cca::default(), x, y, z).unwrap();
    let both = itd_prelude::ndarray::concatenate![itd_prelude::ndarray::Axis(1), y, z];
    for found in [
        conditional_mi_by(&Cca::default(), x, both.view(), z),
        conditional_mi_by(&Base::default(), both.view(), x, z),
    ] {
        let found = found.unwrap();
        assert!(
            (found.nats - alone.nats).abs() < 0.03,
            "{found}, alone {alone}"
        );
    }
    // Faults are told of the vector that has them.
    let constant = Array2::from_elem((3000, 1), 2.0);
    let error = conditional_mi_by(&Cca::default(), x, y, constant.view()).unwrap_err();
    assert!(
        error.to_string().contains("z does not vary in column 0"),
        "{error}"
    );
    let error = interactions_by(&Cca::default(), &[x, y, constant.view()]).unwrap_err();
    assert!(
        error.to_string().contains("z does not vary in column 0"),
        "{error}"
    );
}
