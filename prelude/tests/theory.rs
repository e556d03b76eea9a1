//! The paper's equations on distributions about which everything is known, without sampling.

use itd_prelude::distribution::Component;
use itd_prelude::prelude::*;
use itd_prelude::{stats, train};

/// Eqs. 12 and 13: a fair coin is ln 2.
#[test]
fn the_coin_is_ln_2() {
    let coin = Scalar::coin();
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
    let gaussian = coin.gaussian(1).unwrap();
    for points in [
        Quadrature::trapezoid(-8.0, 6.0, 57).unwrap(),
        Logistic::new(-1.0, 1.0, 8.0)
            .unwrap()
            .quadrature(400)
            .unwrap(),
    ] {
        let curve = coin.curve(&points).unwrap();
        let found = curve.code_length(gaussian.with_grid(grid)).unwrap();
        let error = (found.nats - 2f64.ln()).abs();
        println!("{:?}: ½∫mmse − ln 2 = {error:.1e}", points.rule);
        assert!(error < 1e-4, "{:?}: {error}", points.rule);
    }
    // The value that is known for these 57 points, before the tail is added.
    let points = Quadrature::trapezoid(-8.0, 6.0, 57).unwrap();
    let inside = points.integrate(|alpha| 0.5 * alpha.exp() * coin.mmse(alpha.exp()));
    assert!((inside - 0.692979).abs() < 1e-6, "{inside}");
}

/// Eqs. 9 to 11 and 14: whatever the reference, the entropy of a normal is its own.
#[test]
fn normals_have_their_entropy_under_any_reference() {
    let covariance = [[2.0, 0.9, 0.1], [0.9, 1.0, -0.2], [0.1, -0.2, 0.5]];
    let truth = Gaussian::new(&[0.3, -1.0, 0.0], &covariance).unwrap();
    let known = truth.entropy().unwrap().nats;
    let points = Quadrature::trapezoid(-34.0, 40.0, 4001).unwrap();
    let curve = truth.curve(&points).unwrap();
    for reference in [
        truth.clone(),
        Gaussian::standard(3).unwrap(),
        Gaussian::diagonal(vec![0.0; 3], vec![0.2, 0.1, 4.0]).unwrap(),
    ] {
        let found = curve.nll(&reference).unwrap();
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
        (0.3, Component::Normal(-2.0, 0.1)),
        (0.5, Component::Normal(0.5, 0.4)),
        (0.2, Component::Uniform(1.0, 2.0)),
    ];
    // Beyond α₁ the uniform's edges still cost about e^(−α₁/2).
    for (scalar, dim, end, tolerance) in [
        (Scalar::new(&mixture).unwrap(), 1, 16.0, 1e-4),
        (Scalar::uniform(-root, root).unwrap(), 2, 20.0, 1e-4),
    ] {
        let known = dim as f64 * scalar.entropy();
        let points = Quadrature::trapezoid(-20.0, end, 200).unwrap();
        let curve = scalar.iid(dim).unwrap().curve(&points).unwrap();
        for reference in [
            scalar.gaussian(dim).unwrap(),
            Gaussian::standard(dim).unwrap(),
        ] {
            let found = curve.nll(&reference).unwrap();
            println!("{dim} dimensions: {found}, known {known:.6}");
            assert!((found.nats - known).abs() < tolerance, "{found} {known}");
        }
    }
    let square = 2.0 * Scalar::uniform(-root, root).unwrap().entropy();
    assert!((square - 2.4849).abs() < 1e-4);
}

/// A matched Gaussian is never below the best denoiser, and equal to it only for a normal.
#[test]
fn the_gap_to_the_gaussian_is_never_negative() {
    let points = Quadrature::trapezoid(-10.0, 10.0, 81).unwrap();
    for scalar in [
        Scalar::coin(),
        Scalar::uniform(-1.0, 1.0).unwrap(),
        Scalar::normal(0.0, 3.0).unwrap(),
    ] {
        let gaussian = scalar.gaussian(1).unwrap();
        let own = scalar.curve(&points).unwrap();
        let normal = gaussian.curve(&points).unwrap();
        for (own, normal) in own.mse.iter().zip(&normal.mse) {
            assert!(own <= &(normal + 1e-9), "{scalar:?}: {own} {normal}");
        }
        let bound = own.nll(&gaussian).unwrap().nats;
        let most = 0.5 * (std::f64::consts::TAU * std::f64::consts::E * scalar.variance()).ln();
        assert!(bound <= most + 1e-9, "{scalar:?}: {bound} {most}");
    }
}

/// The measured curve of the exact denoiser is the exact curve.
#[test]
fn sampled_curves_agree_with_exact_ones() {
    let parts = [
        (1.0, Component::Uniform(-1.0, 0.0)),
        (1.0, Component::Point(0.5)),
    ];
    let pairs = Scalar::new(&parts).unwrap().iid(2).unwrap();
    let x = pairs.sample(3000, &mut rng::seeded(5)).unwrap();
    let data = Dataset::new("mixed", x).unwrap();
    let points = Quadrature::trapezoid(-3.0, 4.0, 15).unwrap();
    let found = mse_curve(&pairs.denoiser(&[2]).unwrap(), &data, &points).unwrap();
    let off = found.max_z_score(&pairs.curve(&points).unwrap()).unwrap();
    assert!(off < 4.0, "{off} standard errors");
}

/// Eq. 12, sample by sample: unequal points have unequal code lengths.
#[test]
fn each_level_has_its_own_code_length() {
    let scalar = Scalar::new(&[
        (0.7, Component::Point(-1.0)),
        (0.2, Component::Point(0.0)),
        (0.1, Component::Point(1.0)),
    ])
    .unwrap();
    let grid = Grid::new(-1.0, 1.0, 3).unwrap();
    let data = Dataset::of("levels", &[[-1.0], [0.0], [1.0]]).unwrap();
    let data = data.on_grid(grid).unwrap();
    let points = Quadrature::trapezoid(-9.0, 6.0, 61).unwrap();
    let net = scalar.denoiser(&[1]).unwrap();
    let gaussian = scalar.gaussian(1).unwrap();
    let run = |seed| {
        let config = CurveConfig {
            draws: 200,
            seed,
            ..Default::default()
        };
        let curve = mse_curve_with(&net, &data, &points, &config).unwrap();
        let found = curve.code_length(gaussian.on(&data)).unwrap();
        found.per_sample().unwrap().to_vec()
    };
    let runs: Vec<Vec<f64>> = (0..20).map(run).collect();
    for (i, chance) in [0.7, 0.2, 0.1f64].into_iter().enumerate() {
        let nats: Vec<f64> = runs.iter().map(|run| run[i]).collect();
        let (mean, error) = (stats::mean(&nats), stats::std_err(&nats));
        println!("{mean:.4} ± {error:.4}, known {:.4}", -chance.ln());
        assert!(error < 0.03 && (mean + chance.ln()).abs() < 4.0 * error);
    }
}

/// A density read as a probability: for fine bins `H = h − d ln Δ`, and dequantizing gives it back.
#[test]
fn density_and_mass_differ_by_the_bins() {
    let grid = Grid::new(-6.0, 6.0, 241).unwrap();
    let normal = Scalar::normal(0.0, 1.0).unwrap();
    let weights = (0..grid.levels).map(|i| (-normal.surprisal(grid.level(i))).exp());
    let binned: Vec<(f64, Component)> = weights
        .enumerate()
        .map(|(i, w)| (w, Component::Point(grid.level(i))))
        .collect();
    let entropy = Scalar::new(&binned).unwrap().entropy();
    let density = Distribution::entropy(&normal).unwrap();
    assert!((density.per_bin(grid.spacing()).nats - entropy).abs() < 1e-6);
}

/// The paper's bootstrap and per-image errors are of a size; see `likelihood::bootstrap`.
#[test]
fn errors_of_the_mean_do_not_depend_on_how_they_are_found() {
    let data = toy::moons(600, 2).unwrap().train;
    let gaussian = data.gaussian().unwrap();
    let points = Logistic::matched(&gaussian).unwrap();
    let points = points.quadrature(20).unwrap();
    let net = gaussian.denoiser(&[2]).unwrap();
    let curve = mse_curve(&net, &data, &points).unwrap();
    let area = curve.area().unwrap();
    let spread = bootstrap(&[curve], 200, 0, |curves| Ok(curves[0].area()?.nats));
    let ratio = spread.unwrap() / area.std_err;
    // The spread of 200 rounds is itself known to 5 %.
    assert!((ratio - 1.0).abs() < 0.2, "{ratio}");
    assert!((stats::mean(&area.per_sample) - area.nats).abs() < 1e-9);
}

/// Eq. 15: the loss over log-SNRs from a proposal, each weighted by its density, is half the area under the curve,
/// whatever the proposal.
#[test]
fn the_loss_is_half_the_area_for_any_proposal() {
    let data = toy::correlated_gaussian(4000, 0).unwrap().train;
    let gaussian = data.gaussian().unwrap();
    // Untrained, it is the Gaussian's denoiser.
    let net = Mlp::new(&MlpConfig::default(), &gaussian, &[2], &Device::Cpu).unwrap();
    for (loc, scale) in [(1.0, 2.0), (3.0, 1.5)] {
        let proposal = Logistic::new(loc, scale, 4.0).unwrap();
        let loss = |seed| {
            let mut rng = rng::seeded(seed);
            let points = proposal
                .stratified(data.len(), &mut rng)
                .unwrap()
                .shuffled(&mut rng);
            let eps = rng::normal(data.x.dims(), &mut rng).unwrap();
            let loss = train::loss(&net, &data.x, &eps, &points, None).unwrap();
            f64::from(loss.to_scalar::<f32>().unwrap())
        };
        let losses: Vec<f64> = (0..30).map(loss).collect();
        let (low, high) = proposal.interval();
        let fine = Quadrature::trapezoid(low, high, 400).unwrap();
        let half_area = gaussian.curve(&fine).unwrap().area().unwrap().nats;
        let (found, std_err) = (stats::mean(&losses), stats::std_err(&losses));
        assert!(
            (found - half_area).abs() < 4.0 * std_err,
            "{found} ± {std_err} {half_area}"
        );
        assert!(std_err < 0.02 * half_area, "{std_err}");
    }
}
