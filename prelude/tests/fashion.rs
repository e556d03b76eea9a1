//! Fashion-MNIST as a whole: its spectrum, and what a Gaussian that knows it needs to store a picture.
//!
//! Skipped, with a message, where the set is not installed.

use std::path::Path;

use itd_prelude::data::fashion_mnist_in;
use itd_prelude::logsnr::Logistic;
use itd_prelude::units::bits_per_dim;

const PACKAGE: &str = "/usr/share/datasets/fashion-mnist";

/// The known numbers are NumPy's, from the raw bytes `x/127.5 − 1` in `f64`, with the noise of dequantization
/// integrated out: `C = cov(x) + Δ²/12·I`, entropy `½ ln det(2πe C)`, and the mean over the test pictures of
/// `½ Σ ((qᵢ² + Δ²/12)/λᵢ + ln 2πλᵢ)`, both less `784 ln Δ`.
#[test]
fn a_gaussian_needs_six_and_a_half_bits_a_pixel() {
    if !Path::new(PACKAGE).is_dir() {
        println!("skipped: install the package dataset-fashion-mnist to run it");
        return;
    }
    let raw = fashion_mnist_in(PACKAGE).unwrap();
    let grid = raw.grid().unwrap();
    let data = raw.dequantize(0).unwrap();
    let gaussian = data.train.gaussian().unwrap();
    for (value, known) in gaussian
        .eigenvalues
        .iter()
        .zip([79.239228, 48.448847, 16.424632])
    {
        assert!((value / known - 1.0).abs() < 1e-4, "{value} {known}");
    }
    let per_bin = |nats: f64| bits_per_dim(nats - 784.0 * grid.spacing().ln(), 784);
    let entropy = per_bin(gaussian.entropy().unwrap().nats);
    let test = gaussian.nll(&data.test).unwrap().per_bin(grid.spacing());
    println!("train {entropy:.4}, test {}", test.in_bits_per_dim());
    assert!((entropy - 6.4342).abs() < 5e-4, "{entropy}");
    assert!((test.bits_per_dim() - 6.4609).abs() < 2e-3, "{test}");
    assert!((test.bits_per_dim_err() - 0.01096).abs() < 2e-4, "{test}");
    let proposal = Logistic::matched(&gaussian).unwrap();
    assert!((proposal.loc() - 3.6144).abs() < 2e-3, "{proposal:?}");
    let scale = (1.0 + 3.0 / std::f64::consts::PI.powi(2) * 3.59297f64).sqrt();
    assert!((proposal.scale() - scale).abs() < 2e-3, "{proposal:?}");
}
