//! How fast each way to integrate over log-SNR comes near a known integral, and whether it knows how near.

use itd_prelude::integral::Area;
use itd_prelude::prelude::*;
use itd_prelude::stats;

/// `½ ∫ σ(α) dα` over the interval of the proposal: half of `ln(1 + e^α)` at both ends.
fn proposal() -> (Logistic, f64) {
    let proposal = Logistic::new(0.5, 2.0, 4.0).unwrap();
    let (low, high) = proposal.interval();
    (
        proposal,
        0.5 * (stats::softplus(high) - stats::softplus(low)),
    )
}

fn half_area(points: &Quadrature) -> Area {
    let normal = Gaussian::standard(1).unwrap();
    normal.curve(points).unwrap().area().unwrap()
}

/// The slope of `ln error` over `ln n`.
fn rate(sizes: &[usize], error: impl Fn(usize) -> f64) -> f64 {
    let points: Vec<(f64, f64)> = sizes
        .iter()
        .map(|&n| ((n as f64).ln(), error(n).ln()))
        .collect();
    let mean =
        |f: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(f).sum::<f64>() / points.len() as f64;
    let (mx, my) = (mean(&|p| p.0), mean(&|p| p.1));
    let top: f64 = points.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum();
    top / points.iter().map(|p| (p.0 - mx).powi(2)).sum::<f64>()
}

/// Root mean square of the error over 200 seeds.
fn rms(n: usize, draw: impl Fn(usize, u64) -> Quadrature, known: f64) -> f64 {
    let squares: Vec<f64> = (0..200)
        .map(|seed| (half_area(&draw(n, seed)).nats - known).powi(2))
        .collect();
    stats::mean(&squares).sqrt()
}

#[test]
fn each_rule_converges_at_its_rate() {
    let (proposal, known) = proposal();
    let sizes = [128, 256, 512, 1024];
    let draws = |n, seed| proposal.sample(n, &mut rng::seeded(seed)).unwrap();
    let strata = |n, seed| proposal.stratified(n, &mut rng::seeded(seed)).unwrap();
    let fixed = |points: Quadrature| (half_area(&points).nats - known).abs();
    for (name, error, theory) in [
        (
            "draws",
            &(|n| rms(n, draws, known)) as &dyn Fn(usize) -> f64,
            -0.5,
        ),
        ("stratified", &|n| rms(n, strata, known), -1.5),
        (
            "midpoint",
            &|n| fixed(proposal.quadrature(n).unwrap()),
            -2.0,
        ),
        (
            "trapezoid",
            &|n| fixed(proposal.trapezoid(n).unwrap()),
            -2.0,
        ),
    ] {
        let found = rate(&sizes, error);
        println!(
            "{name}: n^{found:.2}, at 128 points {:.1e} nats",
            error(128)
        );
        assert!((found - theory).abs() < 0.1, "{name}: {found} {theory}");
    }
}

#[test]
fn each_rule_knows_its_error() {
    let (proposal, known) = proposal();
    for n in [200, 201, 202] {
        for points in [
            proposal.quadrature(n).unwrap(),
            proposal.trapezoid(n).unwrap(),
        ] {
            let found = half_area(&points);
            let ratio = found.quadrature_err / (found.nats - known).abs();
            assert!(
                (0.7..1.5).contains(&ratio),
                "{:?} {n}: {ratio}",
                points.rule
            );
            assert_eq!(found.std_err, 0.0);
        }
        for stratified in [false, true] {
            let runs: Vec<Area> = (0..300)
                .map(|seed| {
                    let rng = &mut rng::seeded(seed);
                    half_area(&match stratified {
                        true => proposal.stratified(n, rng).unwrap(),
                        false => proposal.sample(n, rng).unwrap(),
                    })
                })
                .collect();
            let nats: Vec<f64> = runs.iter().map(|run| run.nats).collect();
            let said: Vec<f64> = runs.iter().map(|run| run.std_err.powi(2)).collect();
            let ratio = stats::mean(&said).sqrt() / stats::variance(&nats).sqrt();
            println!("n = {n}, stratified {stratified}: said/true {ratio:.2}");
            assert!((0.8..1.4).contains(&ratio), "{n} {stratified}: {ratio}");
            // Unbiased.
            let off = (stats::mean(&nats) - known).abs() / stats::std_err(&nats);
            assert!(off < 4.0, "{n} {stratified}: {off}");
        }
    }
}

/// Where the integrand vanishes at both ends, the trapezoid rule gains digits with each point.
#[test]
fn the_trapezoid_rule_is_best_for_bumps() {
    let bump = |alpha: f64| (alpha / 2.0).cosh().powi(-2);
    let error = |n| {
        let points = Quadrature::trapezoid(-40.0, 40.0, n).unwrap();
        (points.integrate(bump) - 4.0).abs()
    };
    assert!(
        error(41) < 1e-2 && error(81) < 1e-6,
        "{} {}",
        error(41),
        error(81)
    );
}
