//! What the first case study needs: what noisy samples tell of their class, at each log-SNR.

use itd_prelude::information::{AttributionConfig, Without, attribution_with};
use itd_prelude::prelude::*;

/// Two normals as classes: `I(z; y) = I(z; x) − I(z; x | y)`, both known.
#[test]
fn what_is_told_of_the_class_along_the_channel() {
    let (mean, variance) = (1.0, 0.25);
    let part = |mean: f64| Gaussian::new(&[mean], &[[variance]]).unwrap();
    let two = Mixture::new(&[(0.5, part(-mean)), (0.5, part(mean))]).unwrap();
    let (x, y) = two.sample_with_parts(1500, &mut rng::seeded(0)).unwrap();
    let data = Dataset::new("two", x).unwrap();
    let data = data.given(Condition::Class(y)).unwrap();
    let points = Quadrature::trapezoid(-9.0, 9.0, 181).unwrap();
    let config = AttributionConfig {
        points: Some(points.clone()),
        draws: 2,
        without: Without::classes(2),
        ..Default::default()
    };
    let found = attribution_with(&two.denoiser(&[1]).unwrap(), &data, &config).unwrap();
    let along = found.along.unwrap();
    let (running, errors) = (along.gap.along().unwrap(), along.gap.along_err().unwrap());
    let decoded = along.decoded(2).unwrap();
    let normals = [
        (0.5, Component::Normal(-mean, variance)),
        (0.5, Component::Normal(mean, variance)),
    ];
    let scalar = Scalar::new(&normals).unwrap();
    for at in [40, 80, 90, 100, 120] {
        let snr = points.log_snr[at].exp();
        let truth = scalar.mutual_information(snr) - 0.5 * (snr * variance).ln_1p();
        let (read, err) = decoded[at];
        println!(
            "α = {}: {truth:.4}, gap {:.4} ± {:.4}, read {read:.4} ± {err:.4}",
            points.log_snr[at], running[at], errors[at]
        );
        // The steps of the path are those of the points: a little is lost.
        assert!((running[at] - truth).abs() < 4.0 * errors[at] + 0.01);
        assert!((read - truth).abs() < 4.0 * err + 0.01);
    }
    // The orthogonal form never falls.
    let squared = along.gap.squared.cumulative_area().unwrap();
    assert!(squared.windows(2).all(|pair| pair[0] <= pair[1]));
    assert!(along.decoded(1).is_err());
}
