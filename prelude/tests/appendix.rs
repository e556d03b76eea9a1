//! The statements of the paper's Appendix A, in numbers.

use itd_prelude::curve::excess_mse;
use itd_prelude::data;
use itd_prelude::distribution::decompose;
use itd_prelude::integral::{Fallback, area_between};
use itd_prelude::prelude::*;

fn three() -> Dataset {
    Dataset::of("three", &[[0.3, -1.0], [2.0, 0.5], [-0.1, 0.0]]).unwrap()
}

/// A.3 with Σ = I, A.4 with any: `∫ (mmse_G(x) − mmse_G) dγ = Σ (qᵢ²/λᵢ − 1)`, point by point.
#[test]
fn what_one_sample_costs_beyond_the_average() {
    let points = Quadrature::trapezoid(-36.0, 36.0, 2001).unwrap();
    let correlated = [[1.5, 0.6], [0.6, 0.4]];
    for gaussian in [
        Gaussian::standard(2).unwrap(),
        Gaussian::new(&[0.5, -0.5], &correlated).unwrap(),
    ] {
        let own = gaussian.curve_on(&three(), &points).unwrap();
        let average = gaussian.curve(&points).unwrap();
        let area = area_between(&own, &average, Fallback::Never).unwrap();
        let coordinates = gaussian.coordinates(&three().flat().unwrap()).unwrap();
        let coordinates = coordinates.to_vec2::<f64>().unwrap();
        assert_eq!(area.per_sample.len(), 3);
        for (found, q) in area.per_sample.iter().zip(coordinates) {
            let square: f64 = q
                .iter()
                .zip(&gaussian.eigenvalues)
                .map(|(q, l)| q * q / l)
                .sum();
            // The area is half the integral.
            assert!(
                (2.0 * found - (square - 2.0)).abs() < 1e-5,
                "{found} {square}"
            );
        }
    }
}

/// A.6: the curve of a worse denoiser lies above the best one's by the mean squared distance of the two.
#[test]
fn excess_error_is_the_distance_to_the_best_denoiser() {
    let coin = Scalar::coin();
    let pairs = coin.iid(2).unwrap();
    let x = pairs.sample(4000, &mut rng::seeded(0)).unwrap();
    let data = Dataset::new("coins", x).unwrap();
    let points = Quadrature::trapezoid(-3.0, 3.0, 9).unwrap();
    let best = pairs.denoiser(&[2]).unwrap();
    let linear = coin.gaussian(2).unwrap().denoiser(&[2]).unwrap();
    let config = CurveConfig {
        seed: 1,
        ..Default::default()
    };
    let gap = excess_mse(&linear, &best, &data, &points, &config).unwrap();
    let worse = mse_curve(&linear, &data, &points).unwrap();
    let own = mse_curve(&best, &data, &points).unwrap();
    // Of the same samples with the same noise: their common part is no error.
    let difference = worse.minus(&own).unwrap();
    for j in 0..9 {
        let off = difference.mse[j] - gap.mse[j];
        let std_err = difference.std_err[j].hypot(gap.std_err[j]);
        assert!(off.abs() < 4.0 * std_err, "{j}: {off} {std_err}");
        assert!(gap.mse[j] >= 0.0);
        // At low SNR the gap itself is known far better than the difference of two curves, even of paired ones.
        let independent = worse.std_err[j].hypot(own.std_err[j]);
        let better =
            gap.std_err[j] < 0.2 * independent && gap.std_err[j] < 0.5 * difference.std_err[j];
        assert!(points.log_snr[j] > 0.0 || better);
    }
    let other = data::digits().unwrap().test;
    assert!(excess_mse(&linear, &best, &other, &points, &config).is_err());
}

/// A.7: however much of the channel the prior and the reconstruction take, the sum stays; and for discrete
/// data the integral alone remains when they take nothing.
#[test]
fn a_variational_bound_has_the_same_integral() {
    let levels = Scalar::levels(Grid::new(-1.0, 1.0, 3).unwrap()).unwrap();
    let all = Quadrature::trapezoid(-16.0, 5.5, 600).unwrap();
    let whole = decompose(&levels, 0.0, &all).unwrap();
    let narrow = Quadrature::trapezoid(-2.0, 1.0, 600).unwrap();
    let part = decompose(&levels, 0.0, &narrow).unwrap();
    assert!((whole.nats() - part.nats()).abs() < 1e-5);
    assert!((whole.diffusion - 3f64.ln()).abs() < 1e-5, "{whole:?}");
    assert!(part.prior > 0.001 && part.reconstruction > 0.1, "{part:?}");
    let under = levels.curve(&all).unwrap().area().unwrap();
    assert!((under.nats - 3f64.ln()).abs() < 1e-5);
}
