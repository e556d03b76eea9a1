//! The paper's equations on sources about which everything is known, without sampling.

use itd_prelude::data::{Dataset, Grid, Spectrum};
use itd_prelude::integral::Fallback;
use itd_prelude::likelihood::{
    continuous_nll, continuous_nll_with, discrete_nll, normal_entropy, pointwise_discrete_nll,
};
use itd_prelude::logsnr::{LogSnr, LogisticLogSnr};
use itd_prelude::mmse::{CurveConfig, gaussian_curve, mse_curve, mse_curve_with, source_curve};
use itd_prelude::net::exact::{Part, Source};
use itd_prelude::{candle, rng, stats};

/// Eqs. 12 and 13: a fair coin is ln 2.
#[test]
fn the_coin_is_ln_2() {
    let coin = Source::coin();
    for (gamma, known) in [
        (0.1, 0.908659),
        (1.0, 0.449600),
        (2.0, 0.231018),
        (5.0, 0.038463),
        (10.0, 0.002411),
    ] {
        assert!((coin.mmse(gamma) - known).abs() < 1e-6, "{gamma}");
    }
    let grid = Grid::new(-1.0, 1.0, 2).unwrap();
    let spectrum = coin.spectrum(1).unwrap();
    for points in [
        LogSnr::trapezoid(-8.0, 6.0, 57).unwrap(),
        LogisticLogSnr::new(-1.0, 1.0, 8.0)
            .unwrap()
            .quadrature(400)
            .unwrap(),
    ] {
        let found = discrete_nll(&source_curve(&coin, 1, &points).unwrap(), &spectrum, grid);
        let error = (found.unwrap().nats - 2f64.ln()).abs();
        println!("{:?}: ½∫mmse − ln 2 = {error:.1e}", points.rule);
        assert!(error < 1e-4, "{:?}: {error}", points.rule);
    }
    // The value that is known for these 57 points, before the tail is added.
    let points = LogSnr::trapezoid(-8.0, 6.0, 57).unwrap();
    let inside = points.integrate(|alpha| 0.5 * alpha.exp() * coin.mmse(alpha.exp()));
    assert!((inside - 0.692979).abs() < 1e-6, "{inside}");
}

/// Eqs. 9 to 11 and 14: whatever the reference, the entropy of a normal is its own.
#[test]
fn normals_have_their_entropy_under_any_reference() {
    let covariance = [
        vec![2.0, 0.9, 0.1],
        vec![0.9, 1.0, -0.2],
        vec![0.1, -0.2, 0.5],
    ];
    let truth = Spectrum::new(vec![0.3, -1.0, 0.0], &covariance).unwrap();
    let known = truth.gaussian_entropy().unwrap();
    let points = LogSnr::trapezoid(-34.0, 40.0, 4001).unwrap();
    let curve = gaussian_curve(&truth, &points).unwrap();
    let narrow = [
        vec![0.2, 0.0, 0.0],
        vec![0.0, 0.1, 0.0],
        vec![0.0, 0.0, 4.0],
    ];
    for reference in [
        truth.clone(),
        Spectrum::standard(3).unwrap(),
        Spectrum::new(vec![0.0; 3], &narrow).unwrap(),
    ] {
        let found = continuous_nll_with(&curve, &reference, Fallback::Never).unwrap();
        let error = (found.nats - known).abs();
        println!("reference {:?}: {error:.1e}", reference.eigenvalues);
        assert!(error < 1e-6, "{error}");
    }
}

/// Eq. 10 for a mixture and for the uniform square, from their exact curves.
#[test]
fn mixtures_and_the_uniform_square_have_their_entropy() {
    let root = 3f64.sqrt();
    let mixture = [
        (0.3, Part::Normal(-2.0, 0.1)),
        (0.5, Part::Normal(0.5, 0.4)),
        (0.2, Part::Uniform(1.0, 2.0)),
    ];
    // Beyond α₁ the uniform's edges still cost about e^(−α₁/2).
    for (source, dim, end, tolerance) in [
        (Source::new(&mixture).unwrap(), 1, 16.0, 1e-4),
        (Source::uniform(-root, root).unwrap(), 2, 20.0, 1e-4),
    ] {
        let known = dim as f64 * source.entropy();
        let points = LogSnr::trapezoid(-20.0, end, 200).unwrap();
        let curve = source_curve(&source, dim, &points).unwrap();
        for reference in [
            source.spectrum(dim).unwrap(),
            Spectrum::standard(dim).unwrap(),
        ] {
            let found = continuous_nll_with(&curve, &reference, Fallback::Never).unwrap();
            println!("{dim} dimensions: {found}, known {known:.6}");
            assert!((found.nats - known).abs() < tolerance, "{found} {known}");
        }
    }
    let square = 2.0 * Source::uniform(-root, root).unwrap().entropy();
    assert!((square - 2.4849).abs() < 1e-4);
}

/// A matched Gaussian is never below the best denoiser, and equal to it only for a normal.
#[test]
fn the_gap_to_the_gaussian_is_never_negative() {
    let points = LogSnr::trapezoid(-10.0, 10.0, 81).unwrap();
    for source in [
        Source::coin(),
        Source::uniform(-1.0, 1.0).unwrap(),
        Source::normal(0.0, 3.0).unwrap(),
    ] {
        let spectrum = source.spectrum(1).unwrap();
        let own = source_curve(&source, 1, &points).unwrap();
        let gaussian = gaussian_curve(&spectrum, &points).unwrap();
        for (own, gaussian) in own.mse.iter().zip(&gaussian.mse) {
            assert!(own <= &(gaussian + 1e-9), "{source:?}: {own} {gaussian}");
        }
        let entropy = source.entropy();
        let bound = continuous_nll(&own, &spectrum).unwrap().nats;
        assert!(entropy == f64::NEG_INFINITY || bound <= normal_entropy(source.variance()) + 1e-9);
    }
}

/// The measured curve of the exact denoiser is the exact curve.
#[test]
fn sampled_curves_agree_with_exact_ones() {
    let source = Source::new(&[(1.0, Part::Uniform(-1.0, 0.0)), (1.0, Part::Point(0.5))]).unwrap();
    let draws: Vec<f32> = source
        .sample(6000, &mut rng::seeded(5))
        .iter()
        .map(|&x| x as f32)
        .collect();
    let x = candle::Tensor::from_vec(draws, (3000, 2), &candle::Device::Cpu).unwrap();
    let data = Dataset::new("mixed", x).unwrap();
    let points = LogSnr::trapezoid(-3.0, 4.0, 15).unwrap();
    let found = mse_curve(&source.denoiser(&[2]).unwrap(), &data, &points).unwrap();
    let known = source_curve(&source, 2, &points).unwrap();
    for j in 0..15 {
        let off = (found.mse[j] - known.mse[j]).abs() / found.std_err[j];
        assert!(off < 4.0, "α = {}: {off} standard errors", found.log_snr[j]);
    }
}

/// Eq. 12, sample by sample: unequal points have unequal code lengths.
#[test]
fn each_level_has_its_own_code_length() {
    let source = Source::new(&[
        (0.7, Part::Point(-1.0)),
        (0.2, Part::Point(0.0)),
        (0.1, Part::Point(1.0)),
    ])
    .unwrap();
    let x = candle::Tensor::new(&[[-1f32], [0.0], [1.0]], &candle::Device::Cpu).unwrap();
    let grid = Grid::new(-1.0, 1.0, 3).unwrap();
    let data = Dataset::new("levels", x).unwrap().on_grid(grid).unwrap();
    let config = CurveConfig {
        draws: 4000,
        ..Default::default()
    };
    let points = LogSnr::trapezoid(-9.0, 6.0, 61).unwrap();
    let net = source.denoiser(&[1]).unwrap();
    let curve = mse_curve_with(&net, &data, &points, &config, &mut rng::seeded(0)).unwrap();
    let spectrum = source.spectrum(1).unwrap();
    let found = pointwise_discrete_nll(&curve, &spectrum, &data).unwrap();
    for (found, chance) in found.nats.iter().zip([0.7, 0.2, 0.1f64]) {
        // Runs with other seeds spread by 0.015.
        assert!(
            (found + chance.ln()).abs() < 0.06,
            "{found} {}",
            -chance.ln()
        );
    }
}

/// A density read as a probability: for fine bins `H = h − d ln Δ`, and dequantizing gives it back.
#[test]
fn density_and_mass_differ_by_the_bins() {
    let grid = Grid::new(-6.0, 6.0, 241).unwrap();
    let normal = Source::normal(0.0, 1.0).unwrap();
    let weights = (0..grid.levels).map(|i| (-normal.surprise(grid.level(i))).exp());
    let binned: Vec<(f64, Part)> = weights
        .enumerate()
        .map(|(i, w)| (w, Part::Point(grid.level(i))))
        .collect();
    let entropy = Source::new(&binned).unwrap().entropy();
    let density = itd_prelude::estimate::Estimate::exact(normal.entropy(), 1);
    assert!((density.per_bin(grid.spacing()).nats - entropy).abs() < 1e-6);
}

/// The paper's bootstrap and per-image errors are of a size; see `likelihood::bootstrap`.
#[test]
fn errors_of_the_mean_do_not_depend_on_how_they_are_found() {
    let data = itd_prelude::data::moons(600, 2).unwrap().train;
    let spectrum = data.spectrum().unwrap();
    let points = LogisticLogSnr::from_spectrum(&spectrum)
        .unwrap()
        .quadrature(20)
        .unwrap();
    let net = itd_prelude::net::exact::Gaussian::new(&spectrum, &[2]).unwrap();
    let curve = mse_curve(&net, &data, &points).unwrap();
    let area = itd_prelude::integral::area_under(&curve).unwrap();
    let spread =
        itd_prelude::likelihood::bootstrap(&[&curve], 200, &mut rng::seeded(0), |curves| {
            Ok(itd_prelude::integral::area_under(&curves[0])?.nats)
        });
    let ratio = spread.unwrap() / area.std_err;
    assert!((ratio - 1.0).abs() < 0.2, "{ratio}");
    assert!((stats::mean(&area.per_sample) - area.nats).abs() < 1e-4);
}
