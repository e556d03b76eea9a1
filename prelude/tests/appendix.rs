//! The statements of the paper's Appendix A, in numbers.

use itd_prelude::candle::{Device, Tensor};
use itd_prelude::data::{self, Dataset, Grid, Spectrum};
use itd_prelude::integral::{Fallback, area, area_under};
use itd_prelude::likelihood::decompose;
use itd_prelude::logsnr::LogSnr;
use itd_prelude::mmse::{estimation_gap, gaussian_curve, gaussian_curve_on, mse_curve};
use itd_prelude::net::exact::{Gaussian, Source};
use itd_prelude::rng;

fn three() -> Dataset {
    let rows = [[0.3f32, -1.0], [2.0, 0.5], [-0.1, 0.0]];
    Dataset::new("three", Tensor::new(&rows, &Device::Cpu).unwrap()).unwrap()
}

/// A.3 with Σ = I, A.4 with any: `∫ (mmse_G(x) − mmse_G) dγ = Σ (qᵢ²/λᵢ − 1)`, point by point.
#[test]
fn what_one_sample_costs_beyond_the_average() {
    let points = LogSnr::trapezoid(-36.0, 36.0, 2001).unwrap();
    let correlated = [vec![1.5, 0.6], vec![0.6, 0.4]];
    for spectrum in [
        Spectrum::standard(2).unwrap(),
        Spectrum::new(vec![0.5, -0.5], &correlated).unwrap(),
    ] {
        let own = gaussian_curve_on(&spectrum, &three(), &points).unwrap();
        let average = gaussian_curve(&spectrum, &points).unwrap();
        let found = area(&own, &average, Fallback::Never).unwrap().per_sample;
        let coordinates = spectrum.coordinates(&three().flat().unwrap()).unwrap();
        for (found, q) in found.iter().zip(coordinates.to_vec2::<f64>().unwrap()) {
            let square: f64 = q
                .iter()
                .zip(&spectrum.eigenvalues)
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
    let coin = Source::coin();
    let sides: Vec<f32> = coin
        .sample(8000, &mut rng::seeded(0))
        .iter()
        .map(|&x| x as f32)
        .collect();
    let x = Tensor::from_vec(sides, (4000, 2), &Device::Cpu).unwrap();
    let data = Dataset::new("coins", x).unwrap();
    let points = LogSnr::trapezoid(-3.0, 3.0, 9).unwrap();
    let best = coin.denoiser(&[2]).unwrap();
    let linear = Gaussian::new(&coin.spectrum(2).unwrap(), &[2]).unwrap();
    let gap = estimation_gap(&linear, &best, &data, &points, &mut rng::seeded(1)).unwrap();
    let worse = mse_curve(&linear, &data, &points).unwrap();
    let own = mse_curve(&best, &data, &points).unwrap();
    for j in 0..9 {
        let off = worse.mse[j] - own.mse[j] - gap.mse[j];
        let std_err = worse.std_err[j].hypot(own.std_err[j]).hypot(gap.std_err[j]);
        assert!(off.abs() < 4.0 * std_err, "{j}: {off} {std_err}");
        assert!(gap.mse[j] >= 0.0);
        // At low SNR the gap itself is known far better than the difference of two curves.
        let difference_err = worse.std_err[j].hypot(own.std_err[j]);
        assert!(points.log_snr[j] > 0.0 || gap.std_err[j] < 0.2 * difference_err);
    }
    let other = data::digits().unwrap().test;
    assert!(estimation_gap(&linear, &best, &other, &points, &mut rng::seeded(0)).is_err());
}

/// A.7: however much of the channel the prior and the reconstruction take, the sum stays; and for discrete
/// data the integral alone remains when they take nothing.
#[test]
fn a_variational_bound_has_the_same_integral() {
    let levels = Source::levels(Grid::new(-1.0, 1.0, 3).unwrap());
    let all = LogSnr::trapezoid(-16.0, 5.5, 600).unwrap();
    let whole = decompose(&levels, 0.0, &all).unwrap();
    let part = decompose(&levels, 0.0, &LogSnr::trapezoid(-2.0, 1.0, 600).unwrap()).unwrap();
    assert!((whole.nats() - part.nats()).abs() < 1e-5);
    assert!((whole.diffusion - 3f64.ln()).abs() < 1e-5, "{whole:?}");
    assert!(part.prior > 0.001 && part.reconstruction > 0.1, "{part:?}");
    let points = LogSnr::trapezoid(-16.0, 5.5, 600).unwrap();
    let curve = itd_prelude::mmse::source_curve(&levels, 1, &points).unwrap();
    assert!((area_under(&curve).unwrap().nats - 3f64.ln()).abs() < 1e-5);
}
