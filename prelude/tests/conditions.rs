//! Conditions: classes and vectors, told to a network, and what they are worth.

use std::sync::atomic::{AtomicUsize, Ordering};

use itd_prelude::candle::DType;
use itd_prelude::curve::Asked;
use itd_prelude::curve::Conditioning;
use itd_prelude::curve::excess_mse;
use itd_prelude::data::ConditionKind;
use itd_prelude::denoiser::Query;
use itd_prelude::distribution::ConditionalGaussian;
use itd_prelude::integral::{Fallback, area_between};
use itd_prelude::prelude::*;

/// Counts how often a denoiser is asked.
struct Counted<'a>(&'a Mlp, AtomicUsize);

impl Denoiser for Counted<'_> {
    fn eps_hat(&self, query: &Query) -> Result<Tensor> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.eps_hat(query)
    }

    fn shape(&self) -> &[usize] {
        self.0.shape()
    }

    fn condition(&self) -> Option<ConditionKind> {
        self.0.condition()
    }
}

/// `n` pairs of standard normals with correlation `rho`: x as samples, y as their conditions.
fn pairs(rho: f64, n: usize) -> (ConditionalGaussian, Dataset) {
    let pair = Gaussian::new(&[0.0, 0.0], &[[1.0, rho], [rho, 1.0]]).unwrap();
    let both = pair
        .sample(n, &mut rng::seeded(0))
        .unwrap()
        .to_dtype(DType::F32)
        .unwrap();
    let (x, y) = (both.narrow(1, 0, 1).unwrap(), both.narrow(1, 1, 1).unwrap());
    let data = Dataset::new("pairs", x.contiguous().unwrap()).unwrap();
    let data = data.given(Condition::vectors(&y).unwrap()).unwrap();
    (ConditionalGaussian::new(&pair, 1).unwrap(), data)
}

/// `I(X; Y) = −½ ln(1 − ρ²)`, by the exact denoisers with and without the condition and the same noise: the closed form
/// from the curves themselves, the samples' mean within its error.
#[test]
fn a_gaussian_pair_has_its_mutual_information() {
    for rho in [0.3f64, 0.8, 0.99] {
        let known = -0.5 * (1.0 - rho * rho).ln();
        let (pair, data) = pairs(rho, 4000);
        assert!((pair.mutual_information().unwrap().nats - known).abs() < 1e-12);
        // By two curves without sampling.
        let points = Quadrature::trapezoid(-34.0, 40.0, 4001).unwrap();
        let free = Gaussian::standard(1).unwrap().curve(&points).unwrap();
        let told = pair.residual.curve(&points).unwrap();
        let exact = area_between(&free, &told, Fallback::Never).unwrap();
        assert!(
            (exact.nats - known).abs() < 1e-6,
            "{rho}: {} {known}",
            exact.nats
        );
        // By two curves of one denoiser, asked with and without, with the same noise.
        let net = pair.denoiser(&[1]).unwrap();
        let points = Quadrature::trapezoid(-14.0, 22.0, 200).unwrap();
        let measured = |conditioning| {
            let config = CurveConfig {
                conditioning,
                ..Default::default()
            };
            mse_curve_with(&net, &data, &points, &config).unwrap()
        };
        let (free, told) = (
            measured(Conditioning::Unconditional),
            measured(Conditioning::Conditional),
        );
        let found = area_between(&free, &told, Fallback::Never).unwrap();
        assert!(
            (found.nats - known).abs() < 4.0 * found.total_err(),
            "{rho}: {found:?} {known}"
        );
        // In its orthogonal form.
        let distance = excess_mse(
            Asked(&net, Conditioning::Conditional),
            Asked(&net, Conditioning::Unconditional),
            &data,
            &points,
            &CurveConfig::default(),
        );
        let orthogonal = distance.unwrap().area().unwrap();
        assert!(
            (orthogonal.nats - known).abs() < 4.0 * orthogonal.total_err(),
            "{orthogonal:?}"
        );
        println!(
            "ρ = {rho}: {known:.6}; exact curves {:.1e} off, measured {:.4} ± {:.4}, orthogonal {:.4} ± {:.4}",
            (exact.nats - known).abs(),
            found.nats,
            found.total_err(),
            orthogonal.nats,
            orthogonal.total_err()
        );
    }
}

/// Trains a network on data with conditions and measures it on others, told and untold, each in one curve with the
/// same noise: the mean negative log-likelihoods, in nats.
fn trained(
    net: &Mlp,
    train_on: &Dataset,
    test: &Dataset,
    gaussian: &Gaussian,
) -> (Estimate, Estimate) {
    let config = TrainConfig {
        steps: Some(3000),
        batch: 256,
        condition_dropout: 0.3,
        ..Default::default()
    };
    train(net, train_on, &config).unwrap();
    let points = Quadrature::trapezoid(-12.0, 14.0, 100).unwrap();
    let nll = |conditioning| {
        let config = CurveConfig {
            conditioning,
            ..Default::default()
        };
        let curve = mse_curve_with(net, test, &points, &config).unwrap();
        curve.nll(gaussian.on(test)).unwrap()
    };
    (
        nll(Conditioning::Conditional),
        nll(Conditioning::Unconditional),
    )
}

fn show(told: &Estimate, known: f64, untold: &Estimate, known_untold: f64) {
    for (what, found, known) in [("told", told, known), ("untold", untold, known_untold)] {
        let (nats, err) = (found.nats, found.std_err);
        println!("{what}: {nats:.4} ± {err:.4}, known {known:.4}");
    }
}

/// A network that is told a vector learns `p(x|y)` of a Gaussian pair: `h(X|Y) = ½ ln 2πe(1 − ρ²)`, and where it is not
/// told, `h(X) = ½ ln 2πe`.
#[test]
fn a_network_learns_what_a_vector_says() {
    let (rho, size) = (0.8f64, (2.0 * std::f64::consts::PI).ln() + 1.0);
    let known = (0.5 * (size + (1.0 - rho * rho).ln()), 0.5 * size);
    let (_, data) = pairs(rho, 12_000);
    let rows: Vec<u32> = (0..12_000).collect();
    let (learn, test) = (
        data.subset(&rows[..8000]).unwrap(),
        data.subset(&rows[8000..]).unwrap(),
    );
    let config = MlpConfig {
        width: 64,
        layers: 3,
        condition: Some(ConditionKind::Vector { dim: 1 }),
        ..Default::default()
    };
    let gaussian = Gaussian::standard(1).unwrap();
    let net = Mlp::new(&config, &gaussian, &[1], &Device::Cpu).unwrap();
    let (told, untold) = trained(&net, &learn, &test, &gaussian);
    show(&told, known.0, &untold, known.1);
    assert!(
        (told.nats - known.0).abs() < 4.0 * told.std_err + 0.02,
        "{} {}",
        told.nats,
        known.0
    );
    assert!(
        (untold.nats - known.1).abs() < 4.0 * untold.std_err + 0.02,
        "{} {}",
        untold.nats,
        known.1
    );
    // Data of another length of vectors, of classes, and without any are refused.
    let pair = Tensor::zeros((8000, 2), DType::F32, &Device::Cpu).unwrap();
    let plain = Dataset::new("plain", learn.x.clone()).unwrap();
    for y in [
        Condition::vectors(&pair).unwrap(),
        Condition::Class(vec![0; 8000]),
    ] {
        let other = plain.clone().given(y).unwrap();
        assert!(train(&net, &other, &TrainConfig::default()).is_err());
    }
    assert!(train(&net, &plain, &TrainConfig::default()).is_err());
}

/// A network that is told classes, on `N(−2, ¼)` and `N(2, ¼)`, which hardly overlap: told, `h(X|Y) = ½ ln 2πe/4`;
/// untold, ln 2 more.
#[test]
fn a_network_learns_what_a_class_says() {
    let classes: Vec<u32> = (0..6000).map(|i| i % 2).collect();
    let centers = classes.iter().map(|&y| 4.0 * y as f32 - 2.0);
    let centers = Tensor::from_iter(centers, &Device::Cpu)
        .unwrap()
        .unsqueeze(1)
        .unwrap();
    let noise = (rng::normal(&[6000, 1], &mut rng::seeded(3)).unwrap() * 0.5).unwrap();
    let data = Dataset::new("two", (centers + noise).unwrap()).unwrap();
    let data = data.given(Condition::Class(classes)).unwrap();
    let rows: Vec<u32> = (0..6000).collect();
    let (learn, test) = (
        data.subset(&rows[..4000]).unwrap(),
        data.subset(&rows[4000..]).unwrap(),
    );
    let config = MlpConfig {
        width: 64,
        layers: 3,
        condition: Some(ConditionKind::Class { classes: 2 }),
        ..Default::default()
    };
    let gaussian = learn.gaussian().unwrap();
    let net = Mlp::new(&config, &gaussian, &[1], &Device::Cpu).unwrap();
    let (told, untold) = trained(&net, &learn, &test, &gaussian);
    let known = 0.5 * ((2.0 * std::f64::consts::PI * 0.25).ln() + 1.0);
    show(&told, known, &untold, known + 2f64.ln());
    assert!(
        (told.nats - known).abs() < 4.0 * told.std_err + 0.03,
        "{} {known}",
        told.nats
    );
    let gap = untold.nats - told.nats;
    assert!((gap - 2f64.ln()).abs() < 0.06, "{gap} {}", 2f64.ln());
    // A class that the network does not know is found before the first sample is measured, not with the last one.
    let mut classes = test.labels().unwrap().to_vec();
    *classes.last_mut().unwrap() = 2;
    let odd = test.clone().given(Condition::Class(classes)).unwrap();
    let told = CurveConfig {
        conditioning: Conditioning::Conditional,
        ..Default::default()
    };
    let points = Quadrature::trapezoid(-4.0, 4.0, 5).unwrap();
    let counted = Counted(&net, AtomicUsize::new(0));
    assert!(mse_curve_with(&counted, &odd, &points, &told).is_err());
    let asked = Asked(&counted, Conditioning::Conditional);
    assert!(excess_mse(asked, asked, &odd, &points, &told).is_err());
    assert_eq!(counted.1.load(Ordering::Relaxed), 0);
    // One network of each kind that has another number of classes, or vectors, does not take these data.
    for kind in [
        ConditionKind::Class { classes: 3 },
        ConditionKind::Vector { dim: 2 },
    ] {
        let config = MlpConfig {
            condition: Some(kind),
            ..config.clone()
        };
        let other = Mlp::new(&config, &gaussian, &[1], &Device::Cpu).unwrap();
        let error = train(&other, &learn, &TrainConfig::default()).unwrap_err();
        assert!(error.to_string().contains("condition"), "{error}");
    }
}
