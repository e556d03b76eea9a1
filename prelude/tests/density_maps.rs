//! Density maps at their default settings, against densities that are known, with exact denoisers.

use itd_prelude::likelihood::DensityMap;
use itd_prelude::prelude::*;
use itd_prelude::stats;

/// Mass, and the root of the mean square of the errors over the grid where there is anything to see: within 12 nats of
/// the densest place.
fn compare(
    name: &str,
    truth: &dyn Distribution,
    reference: &Gaussian,
    config: &MapConfig,
) -> (f64, f64) {
    // Wide enough for the tails of the narrowest part.
    let points = Quadrature::trapezoid(-12.0, 14.0, 80).unwrap();
    let net = truth.denoiser(&[2]).unwrap();
    let map = density_map(&net, reference, &points, config).unwrap();
    let logs = truth.log_prob(&map.places().unwrap()).unwrap();
    let known = DensityMap {
        nats: logs.iter().map(|log| -log).collect(),
        ..map.clone()
    };
    let least = known.nats.iter().copied().fold(f64::INFINITY, f64::min);
    let pairs = map
        .nats
        .iter()
        .zip(&known.nats)
        .filter(|(_, known)| **known < least + 12.0);
    let squares: Vec<f64> = pairs
        .map(|(found, known)| (found - known).powi(2))
        .collect();
    let (mass, rms) = (map.mass() / known.mass(), stats::mean(&squares).sqrt());
    println!(
        "{name}: {mass:.4} of the mass, {rms:.4} nats rms at {} places",
        squares.len()
    );
    (mass, rms)
}

fn settings() -> Vec<(&'static str, Box<dyn Distribution>, Gaussian)> {
    let normal = Gaussian::new(&[0.3, -0.2], &[[1.0, 0.6], [0.6, 0.8]]).unwrap();
    let blob = |x: f64| Gaussian::new(&[x, 0.0], &[[0.02, 0.0], [0.0, 0.02]]).unwrap();
    let blobs = Mixture::new(&[(0.5, blob(-1.0)), (0.5, blob(1.0))]).unwrap();
    let around = |i: i32| {
        let angle = f64::from(i) * std::f64::consts::TAU / 24.0;
        let at = [1.4 * angle.cos(), 1.4 * angle.sin()];
        (
            1.0,
            Gaussian::new(&at, &[[0.03, 0.0], [0.0, 0.03]]).unwrap(),
        )
    };
    let ring = Mixture::new(&(0..24).map(around).collect::<Vec<_>>()).unwrap();
    vec![
        ("a Gaussian", Box::new(normal.clone()), normal),
        (
            "two tight blobs",
            Box::new(blobs),
            Gaussian::new(&[0.0; 2], &[[1.02, 0.0], [0.0, 0.02]]).unwrap(),
        ),
        (
            "a ring",
            Box::new(ring),
            Gaussian::new(&[0.0; 2], &[[1.01, 0.0], [0.0, 1.01]]).unwrap(),
        ),
    ]
}

/// Each in a test of its own, so that two run at a time.
fn the_default_map_is_the_density(which: usize) {
    let (name, truth, reference) = settings().swap_remove(which);
    let (mass, rms) = compare(name, truth.as_ref(), &reference, &MapConfig::default());
    assert!((mass - 1.0).abs() < 0.02, "{name}: {mass}");
    assert!(rms < 0.05, "{name}: {rms}");
}

#[test]
fn a_gaussian_is_found() {
    the_default_map_is_the_density(0);
}

/// Noise of one length was 1.11 of the mass here, with the exact denoiser.
#[test]
fn two_tight_blobs_are_found() {
    the_default_map_is_the_density(1);
}

#[test]
fn a_ring_is_found() {
    the_default_map_is_the_density(2);
}
