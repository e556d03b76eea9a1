//! What is asked at the edges: one sample, two points, other data, numbers too large. Each of these gave a wrong number,
//! or none, without a word.

use itd_prelude::class_table::ClassTable;
use itd_prelude::curve::{Shard, mse_curve_shard};
use itd_prelude::data::ConditionKind;
use itd_prelude::denoiser::Trainable;
use itd_prelude::distribution::{Component, MarkovChain};
use itd_prelude::estimate::Warning;
use itd_prelude::integral::{Fallback, area_between};
use itd_prelude::likelihood::{OdeConfig, Reference, Trace};
use itd_prelude::prelude::*;
use itd_prelude::recommender::{World, WorldConfig};
use itd_prelude::train;
use itd_prelude::{
    curve::Conditioning, denoiser::FnDenoiser, denoiser::Parametrization, train::Trainer,
};

/// Two narrow blobs, far from what a Gaussian knows.
fn blobs() -> Mixture {
    let blob = |x| Gaussian::new(&[x], &[[0.04]]).unwrap();
    Mixture::new(&[(0.5, blob(-1.0)), (0.5, blob(1.0))]).unwrap()
}

fn wide(dim: usize) -> Quadrature {
    let points = 400 * dim;
    Quadrature::trapezoid(-24.0, 24.0, points).unwrap()
}

fn text<T: std::fmt::Debug>(result: Result<T>) -> String {
    result.unwrap_err().to_string()
}

/// The fallback to the Gaussian compares with a standard error, which one sample does not have.
#[test]
fn one_sample_has_the_density_that_its_denoiser_gives_it() {
    let blobs = blobs();
    let net = blobs.denoiser(&[1]).unwrap();
    let gaussian = Gaussian::new(&[0.0], &[[1.04]]).unwrap();
    for (samples, truth) in [(vec![[1.0]], 0.002_642), (vec![[1.0], [-0.9]], 0.065_142)] {
        let data = Dataset::of("few", &samples).unwrap();
        let known: Vec<f64> = samples.iter().map(|x| -blobs.log_prob_of(x[0])).collect();
        let known = known.iter().sum::<f64>() / known.len() as f64;
        assert!((known - truth).abs() < 1e-4, "{known}");
        // A thousand noises, so that what is left is small beside the 1.5 nats between the two.
        let config = CurveConfig {
            draws: 1000,
            ..Default::default()
        };
        let points = Logistic::as_published(&gaussian).unwrap();
        let points = points.with_clip(8.0).unwrap().quadrature(100).unwrap();
        let curve = mse_curve_with(&net, &data, &points, &config).unwrap();
        let found = curve.nll(gaussian.on(&data)).unwrap();
        assert!(
            (found.nats - known).abs() < 0.1,
            "{} samples: {found}, known {known}",
            data.len()
        );
        assert_eq!(found.std_err.is_nan(), data.len() == 1);
        assert_eq!(found.n, data.len());
        assert!(
            !found.within(known, 1e9).holds || data.len() > 1,
            "an error that is not known"
        );
    }
}

trait LogProb {
    fn log_prob_of(&self, x: f64) -> f64;
}

impl LogProb for Mixture {
    fn log_prob_of(&self, x: f64) -> f64 {
        self.log_prob(&Tensor::new(&[[x]], &Device::Cpu).unwrap())
            .unwrap()[0]
    }
}

/// Eq. 9 holds for any reference. A fallback that is meant for a matched one cut the integral of any narrower one.
#[test]
fn a_reference_that_does_not_match_gives_the_entropy_all_the_same() {
    let covariance: Vec<Vec<f64>> = (0..5)
        .map(|i: i32| {
            (0..5)
                .map(|j: i32| 1.7 * 0.5f64.powi((i - j).abs()))
                .collect()
        })
        .collect();
    let cases = [
        Gaussian::new(&[0.0], &[[4.0]]).unwrap(),
        Gaussian::new(&[0.0; 5], &covariance).unwrap(),
    ];
    for truth in cases {
        let (dim, known) = (truth.dim(), truth.entropy().unwrap().nats);
        let reference = Gaussian::standard(dim).unwrap();
        let curve = truth.curve(&wide(1)).unwrap();
        let found = curve.nll(&reference).unwrap();
        assert!((found.nats - known).abs() < 1e-6, "{found} {known}");
        assert!(found.warnings.is_empty(), "{found:?}");
        // A fallback that is asked for says where it bites, and by how much.
        let cut = Reference::from(&reference).fallback(Fallback::AsPublished);
        assert!(matches!(
            curve.code_length(cut),
            Err(Error::Parameter { .. })
        ));
        let cut = curve.nll(cut).unwrap();
        let Some(Warning::Fallback { nats, interval, .. }) = cut.warnings.first() else {
            panic!("{cut:?}");
        };
        assert!(cut.nats < known - 0.1 && interval.0 < interval.1, "{cut:?}");
        assert!((cut.nats + nats - found.nats).abs() < 1e-9, "{cut:?}");
        assert!(
            cut.warnings[0].to_string().contains("nats larger"),
            "{cut:?}"
        );
        // What it takes off, it gives where the value is subtracted.
        let less = found.minus(&cut);
        assert!(
            less.warnings[0].to_string().contains("nats smaller"),
            "{less:?}"
        );
        // And so for samples.
        let mut rng = rng::seeded(3);
        let data = Dataset::new("normal", truth.sample(4000, &mut rng).unwrap()).unwrap();
        let points = Logistic::matched(&truth).unwrap().with_clip(8.0).unwrap();
        let net = truth.denoiser(&[dim]).unwrap();
        let curve = mse_curve(&net, &data, &points.quadrature(100).unwrap()).unwrap();
        let found = curve.nll(&reference).unwrap();
        assert!(
            found.within(known, 4.0).holds && found.std_err < 0.2,
            "{found} {known}"
        );
    }
}

/// Levels 10⁶ and 10⁶ + 1: at high SNR an `f32` has no digit left for the noise, and the errors were those of rounding.
#[test]
fn levels_far_from_zero_are_told_apart_or_refused() {
    for (at, high) in [(1e6, 8.0), (1e4, 20.0)] {
        let grid = Grid::new(at, at + 1.0, 2).unwrap();
        let levels = Scalar::levels(grid).unwrap();
        let exact = levels.gaussian(1).unwrap();
        let points = Quadrature::trapezoid(-6.0, high, 120).unwrap();
        let draw: Vec<[f64; 1]> = (0..2000).map(|i| [at + f64::from(i % 2)]).collect();
        let data = Dataset::of("levels", &draw).unwrap().on_grid(grid).unwrap();
        // The closed form computes in f64.
        let net = levels.denoiser(&[1]).unwrap();
        let curve = mse_curve(&net, &data, &points).unwrap();
        let found = curve.code_length(exact.with_grid(grid)).unwrap();
        assert!((found.nats - 2f64.ln()).abs() < 0.05, "{at}: {found}");
        // A network of f32 is refused, with the number of digits that are left and what to do.
        let network = FnDenoiser::new(&[1], Parametrization::X0, |query| Ok(query.z.clone()));
        let error = text(mse_curve(&network, &data, &points));
        assert!(error.contains("centered"), "{error}");
        let centered = data.centered().unwrap();
        assert!(mse_curve(&network, &centered, &points).is_ok());
    }
}

#[test]
fn a_uniform_number_is_known_at_both_ends_of_the_channel() {
    let uniform = Scalar::uniform(0.0, 1.0).unwrap();
    assert!((uniform.mmse(0.0) - 1.0 / 12.0).abs() < 1e-12);
    assert!(uniform.mutual_information(0.0).abs() < 1e-12);
    assert!((uniform.mmse(1e18) * 1e18 - 1.0).abs() < 1e-6);
    let mixed = Scalar::new(&[
        (1.0, Component::Uniform(-1.0, 0.0)),
        (1.0, Component::Point(0.5)),
    ]);
    assert!(mixed.unwrap().mmse(1e18).is_finite());
}

/// Nothing but their number tied a curve to its data.
#[test]
fn a_curve_knows_its_data() {
    let data = toy::moons(1000, 0).unwrap();
    let gaussian = data.train.gaussian().unwrap();
    let points = Logistic::matched(&gaussian)
        .unwrap()
        .quadrature(12)
        .unwrap();
    let net = gaussian.denoiser(&[2]).unwrap();
    let some = data.train.take(100).unwrap();
    let curve = mse_curve(&net, &some, &points).unwrap();
    assert!(curve.nll(gaussian.on(&some)).is_ok());
    let other = data.test.take(100).unwrap();
    for error in [
        text(curve.nll(gaussian.on(&other))),
        text(curve.code_length(gaussian.on(&other.dequantize(0).unwrap_or(other.clone())))),
        text(continuous_time_bound_on(&curve, &other)),
    ] {
        assert!(error.contains("data") || error.contains("grid"), "{error}");
    }
    let elsewhere = mse_curve(&net, &other, &points).unwrap();
    assert!(text(area_between(&curve, &elsewhere, Fallback::Never)).contains("data"));
    assert!(text(Ensemble::choose(&[curve, elsewhere])).contains("data"));
}

fn continuous_time_bound_on(curve: &MseCurve, data: &Dataset) -> Result<f64> {
    use itd_prelude::bound::{Target, continuous_time_bound};
    Ok(continuous_time_bound(curve, data, Target::Continuous, 0)?
        .total
        .nats)
}

/// A curve between its points, or one read from a table of means, passed for exact.
#[test]
fn a_measured_curve_never_passes_for_exact() {
    let data = toy::correlated_gaussian(2000, 0).unwrap().test;
    let gaussian = data.gaussian().unwrap();
    let points = Quadrature::trapezoid(-8.0, 10.0, 37).unwrap();
    let curve = mse_curve(&gaussian.denoiser(&[2]).unwrap(), &data, &points).unwrap();
    let standard = Gaussian::standard(2).unwrap();
    let whole = curve.nll(&standard).unwrap();
    let fine = Quadrature::trapezoid(-8.0, 10.0, 361).unwrap();
    let between = curve.interpolate(&fine).unwrap();
    let means = MseCurve {
        errors: None,
        ..curve.clone()
    };
    let conservative = [means.clone(), means.interpolate(&fine).unwrap()];
    for lost in conservative.iter().chain([&between]) {
        let found = lost.nll(&standard).unwrap();
        assert_eq!((lost.n, found.n), (200, 200));
        assert!(!lost.is_exact());
        assert!(found.std_err > 0.9 * whole.std_err, "{found} {whole}");
    }
    // Without the samples the errors of all points are taken to go together.
    let all_together = means.nll(&standard).unwrap();
    assert!(all_together.std_err >= whole.std_err);
}

/// Two curves of one sample were "0 standard errors apart".
#[test]
fn what_is_not_known_is_not_near() {
    let data = toy::moons(1000, 0).unwrap().train;
    let gaussian = data.gaussian().unwrap();
    let points = Logistic::matched(&gaussian)
        .unwrap()
        .quadrature(12)
        .unwrap();
    let far = Gaussian::new(&[3.0, 3.0], &[[0.1, 0.0], [0.0, 0.1]]).unwrap();
    let one = data.take(1).unwrap();
    let of = |net: &dyn Denoiser| mse_curve(net, &one, &points).unwrap();
    let near = of(&gaussian.denoiser(&[2]).unwrap());
    let other = of(&far.denoiser(&[2]).unwrap());
    assert!(near.max_z_score(&other).unwrap().is_nan());
    // Closed forms that agree are 0 apart, and others infinitely many.
    let (a, b) = (
        gaussian.curve(&points).unwrap(),
        far.curve(&points).unwrap(),
    );
    assert_eq!(a.max_z_score(&a).unwrap(), 0.0);
    assert_eq!(a.max_z_score(&b).unwrap(), f64::INFINITY);
}

/// One point, or two, have no coarser rule to compare with.
#[test]
fn the_error_of_too_few_points_is_not_zero() {
    let normal = Gaussian::standard(1).unwrap();
    let logistic = Logistic::new(0.0, 1.0, 4.0).unwrap();
    for points in [
        logistic.quadrature(1).unwrap(),
        logistic.quadrature(2).unwrap(),
        Quadrature::trapezoid(-4.0, 4.0, 2).unwrap(),
    ] {
        let area = normal.curve(&points).unwrap().area().unwrap();
        assert!(area.quadrature_err.is_nan(), "{points:?}: {area:?}");
    }
    // Unequal steps, as those of the published table, know theirs: the rule is not that of equal ones.
    let steps = Quadrature::through(vec![-4.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 4.0]).unwrap();
    let area = normal.curve(&steps).unwrap().area().unwrap();
    let known = 0.5 * (itd_prelude::stats::softplus(4.0) - itd_prelude::stats::softplus(-4.0));
    let ratio = area.quadrature_err / (area.nats - known).abs();
    assert!((0.3..3.0).contains(&ratio), "{ratio}");
}

/// Numbers that no machine holds ended the process, or gave NaN.
#[test]
fn sizes_are_checked_before_memory_is_asked_for() {
    let (many, huge) = (1usize << 40, 3 * 256 * 256);
    let identity = Gaussian::standard(huge).unwrap();
    assert_eq!(identity.dim(), huge);
    assert!(identity.covariance().is_err());
    assert!((identity.entropy().unwrap().nats / huge as f64 - 1.418_938_5).abs() < 1e-6);
    let zeros = Tensor::zeros((2, huge), itd_prelude::candle::DType::F32, &Device::Cpu).unwrap();
    assert!(Gaussian::from_samples(&zeros).is_err());
    let error = text(Quadrature::trapezoid(-1e308, 1e308, 3));
    assert!(error.contains("finite length"), "{error}");
    let error = text(Quadrature::through(vec![0.0, f64::NAN, 1.0]));
    assert!(
        error.contains("log-SNR") && error.contains("NaN"),
        "{error}"
    );
    let logistic = Logistic::new(0.0, 1.0, 4.0).unwrap();
    let mut rng = rng::seeded(0);
    let normal = Gaussian::standard(1).unwrap();
    let data = Dataset::of("one", &[[0.0], [1.0]]).unwrap();
    let net = normal.denoiser(&[1]).unwrap();
    let map = MapConfig {
        points: many,
        ..Default::default()
    };
    let points = Quadrature::trapezoid(-4.0, 4.0, 5).unwrap();
    let pair = Gaussian::standard(2).unwrap();
    let plane = pair.denoiser(&[2]).unwrap();
    let curve = mse_curve(&net, &data, &points).unwrap();
    let ode = |config: OdeConfig| ode_nll(&net, &data, &config);
    let refused = [
        text(Quadrature::trapezoid(-4.0, 4.0, many)),
        text(logistic.quadrature(many)),
        text(logistic.sample(many, &mut rng)),
        text(logistic.stratified(many, &mut rng)),
        text(NoiseSchedule::linear(many)),
        text(NoiseSchedule::cosine(100).unwrap().quadrature(many)),
        text(itd_prelude::stats::linspace(0.0, 1.0, many)),
        text(toy::moons(many, 0)),
        text(rng::normal(&[many, many], &mut rng)),
        text(Gaussian::standard(many)),
        text(normal.sample(many, &mut rng)),
        text(sample(&net, many, &SampleConfig::default())),
        text(density_map(&plane, &pair, &points, &map)),
        text(sample(
            &net,
            2,
            &SampleConfig {
                steps: itd_prelude::sample::Steps::even(many),
                ..Default::default()
            },
        )),
        text(ode(OdeConfig {
            steps: usize::MAX,
            ..Default::default()
        })),
        text(ode(OdeConfig {
            trace: Trace::Rademacher(many),
            ..Default::default()
        })),
        text(bootstrap(&[&curve], many, 0, |curves| Ok(curves[0].mse[0]))),
        text(
            ClassTable::new(&[[1, 2], [2, 1]])
                .unwrap()
                .information(many, 0),
        ),
        text(MarkovChain::new(
            many,
            &[0.5, 0.5],
            &[[0.9, 0.1], [0.1, 0.9]],
        )),
        text(World::new(&WorldConfig {
            factors: many,
            ..Default::default()
        })),
    ];
    for error in &refused {
        let known = ["memory", "GiB", "TiB", "at most", "to 1000"];
        assert!(known.iter().any(|word| error.contains(word)), "{error}");
    }
    assert!(Grid::new(0.0, 1.0, 1).is_err());
    let draws = CurveConfig {
        draws: 0,
        ..Default::default()
    };
    assert!(mse_curve_with(&net, &data, &points, &draws).is_err());
}

/// A value too few drew a map that was shifted, one too many ended in a panic, and the scale of a huge one had no end.
#[test]
fn what_is_put_together_by_hand_is_checked() {
    use itd_prelude::denoiser::round;
    use itd_prelude::likelihood::{DensityMap, tails};
    let map = |nats| DensityMap {
        x: vec![0.0, 1.0],
        y: vec![0.0, 1.0],
        nats,
    };
    for count in [3, 5] {
        let error = text(plot_density(&map(vec![0.0; count]), None));
        assert!(error.contains(&format!("{count} values")), "{error}");
    }
    assert!(plot_density(&map(vec![-1e300; 4]), None).is_ok());
    let none = Grid {
        low: 0.0,
        high: 1.0,
        levels: 0,
    };
    let normal = Gaussian::standard(2).unwrap();
    let (x, alpha) = (
        rng::normal(&[3, 2], &mut rng::seeded(0)).unwrap(),
        rng::normal(&[3], &mut rng::seeded(1)).unwrap(),
    );
    for error in [
        text(round(&x, &alpha, Rounding::Soft(none))),
        text(tails(&normal, none, (-1.0, 1.0))),
        text(Scalar::levels(none)),
    ] {
        assert!(error.contains("levels"), "{error}");
    }
    // A network of three dimensions has no map of the plane.
    let three = Gaussian::standard(3).unwrap();
    let points = Quadrature::trapezoid(-4.0, 4.0, 5).unwrap();
    let net = three.denoiser(&[3]).unwrap();
    let error = text(density_map(&net, &three, &points, &MapConfig::default()));
    assert!(error.contains("neg_log_prob_at"), "{error}");
    // One sample says nothing of its own spread.
    let one = Dataset::of("one", &[[0.3, -1.0]]).unwrap();
    let curve = mse_curve(&normal.denoiser(&[2]).unwrap(), &one, &points).unwrap();
    let error = text(bootstrap(&[&curve], 9, 0, |curves| Ok(curves[0].mse[0])));
    assert!(error.contains("at least 2"), "{error}");
    assert!(
        Scalar::new(&[
            (1.0, Component::Point(1e200)),
            (1.0, Component::Point(-1e200))
        ])
        .is_err()
    );
    assert!(Mixture::new(&[(1e308, normal.clone()), (1e308, normal)]).is_err());
    assert!(NoiseSchedule::from_log_snr(vec![800.0, 0.0]).is_err());
}

/// Conditions that nobody uses, or that nobody learned, were dropped.
#[test]
fn a_condition_is_told_or_refused_and_never_dropped() {
    let (data, device) = (toy::moons(400, 0).unwrap().train, Device::Cpu);
    let y: Vec<u32> = (0..data.len() as u32).map(|i| i % 3).collect();
    let told = data.clone().given(Condition::Class(y)).unwrap();
    let gaussian = data.gaussian().unwrap();
    let plain = gaussian.denoiser(&[2]).unwrap();
    let points = Quadrature::trapezoid(-2.0, 2.0, 3).unwrap();
    let conditional = CurveConfig {
        conditioning: Conditioning::Conditional,
        ..Default::default()
    };
    // A denoiser that takes no notice of it.
    let error = text(mse_curve_with(&plain, &told, &points, &conditional));
    assert!(error.contains("takes no condition"), "{error}");
    assert!(mse_curve(&plain, &told, &points).is_ok());
    // A network for classes, and data without.
    let digits = digits().unwrap().test;
    let config = UNetConfig {
        condition: Some(ConditionKind::Class { classes: 10 }),
        ..UNetConfig::small()
    };
    let net = UNet::new(&config, digits.shape(), &device).unwrap();
    let steps = TrainConfig {
        steps: Some(1),
        dequantize: true,
        batch: 4,
        ..Default::default()
    };
    let mut bare = digits.clone();
    bare.y = None;
    assert!(text(train(&net, &bare, &steps)).contains("condition"));
    let pair = Condition::vectors(
        &Tensor::zeros((digits.len(), 2), itd_prelude::candle::DType::F32, &device).unwrap(),
    );
    let vectors = bare.clone().given(pair.unwrap()).unwrap();
    assert!(text(train(&net, &vectors, &steps)).contains("vectors"));
    let more = UNet::new(
        &UNetConfig {
            condition: Some(ConditionKind::Class { classes: 12 }),
            ..config
        },
        digits.shape(),
        &device,
    );
    let error = text(train(&more.unwrap(), &digits, &steps));
    assert!(
        error.contains("10 classes") && error.contains("12 classes"),
        "{error}"
    );
    assert!(text(mse_curve_with(&net, &bare, &points, &conditional)).contains("condition"));
    assert_eq!(net.condition(), Some(ConditionKind::Class { classes: 10 }));
    assert!(!net.vars().is_empty());
}

/// Equal seeds gave equal numbers for whatever they were used.
#[test]
fn equal_seeds_are_not_equal_streams() {
    let data = digits().unwrap().test.take(50).unwrap();
    let noise = (data.dequantize(0).unwrap().x - &data.x).unwrap();
    let noise: Vec<f32> = noise.flatten_all().unwrap().to_vec1().unwrap();
    let drawn = rng::uniform(data.x.dims(), &mut rng::seeded(0)).unwrap();
    let drawn: Vec<f32> = drawn.flatten_all().unwrap().to_vec1().unwrap();
    let same = noise
        .iter()
        .zip(&drawn)
        .filter(|(a, b)| (**a / 0.125 + 0.5 - **b).abs() < 1e-4);
    assert!(same.count() < noise.len() / 100);
    // The noise of the channel is not the data that were drawn with the same seed.
    let x = rng::normal(&[200, 2], &mut rng::seeded(0)).unwrap();
    let alpha = Tensor::zeros(200, x.dtype(), &Device::Cpu).unwrap();
    let eps = channel::draw(&x, &alpha, 0).unwrap().eps;
    let product = (&x * &eps)
        .unwrap()
        .mean_all()
        .unwrap()
        .to_scalar::<f32>()
        .unwrap();
    assert!(product.abs() < 4.0 / 400f32.sqrt(), "{product}");
    // Points and their split come from one seed, and not from the same numbers.
    let purposes = ["split", "dequantize", "weights", "noise"];
    let first: Vec<u64> = purposes
        .iter()
        .map(|purpose| {
            use itd_prelude::rand::RngCore as _;
            rng::stream(0, purpose).next_u64()
        })
        .collect();
    let mut different = first.clone();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), purposes.len());
}

/// The same noise wherever a curve is measured: in one piece, in batches, in shards, beside another denoiser.
#[test]
fn one_engine_measures_all() {
    use itd_prelude::curve::{excess_mse, merge_shards};
    let data = toy::moons(300, 0).unwrap().train;
    let gaussian = data.gaussian().unwrap();
    let points = Logistic::matched(&gaussian).unwrap().quadrature(9).unwrap();
    let (own, other) = (
        gaussian.denoiser(&[2]).unwrap(),
        Gaussian::standard(2).unwrap().denoiser(&[2]).unwrap(),
    );
    let small = CurveConfig {
        batch: 50,
        ..Default::default()
    };
    let whole = mse_curve(&own, &data, &points).unwrap();
    let batches = mse_curve_with(&own, &data, &points, &small).unwrap();
    assert!(whole.max_z_score(&batches).unwrap() < 1e-6);
    let parts = [1, 2]
        .map(|i| mse_curve_shard(&own, &data, &points, &small, Shard::new(i, 2).unwrap()).unwrap());
    assert_eq!(merge_shards(parts.into()).unwrap().mse, batches.mse);
    // ‖ε̂₁ − ε̂₂‖² of the same noisy samples: nothing between a denoiser and itself.
    let none = excess_mse(&own, &own, &data, &points, &small).unwrap();
    assert!(none.mse.iter().all(|&mse| mse == 0.0));
    let some = excess_mse(&own, &other, &data, &points, &small).unwrap();
    assert!(some.mse.iter().all(|&mse| mse > 0.0));
}

/// Both ends of the points cut the proposal off.
#[test]
fn an_adapted_proposal_stays_where_the_curve_is_known() {
    let points = Quadrature::trapezoid(-4.0, 18.0, 45).unwrap();
    let bump: Vec<f64> = points
        .log_snr
        .iter()
        .map(|a| (-(a - 14.0f64).powi(2) / 8.0).exp())
        .collect();
    let adapted = Logistic::adapted(&points, &bump).unwrap();
    let (low, high) = adapted.interval();
    assert!(low >= -4.0 - 1e-9 && high <= 18.0 + 1e-9, "{low} {high}");
    let curve = Gaussian::standard(1).unwrap().curve(&points).unwrap();
    assert!(curve.interpolate(&adapted.quadrature(50).unwrap()).is_ok());
}

/// The Gaussian's share in a mean and in a choice come from the same samples.
#[test]
fn differences_of_the_same_samples_are_paired() {
    let data = toy::moons(2000, 0).unwrap();
    let gaussian = data.train.gaussian().unwrap();
    let standard = Gaussian::standard(2).unwrap();
    let (a, b) = (
        gaussian.nll(&data.test).unwrap(),
        standard.nll(&data.test).unwrap(),
    );
    let paired = b.minus(&a);
    let alone = Estimate::new(b.nats, b.std_err, b.n).minus(&Estimate::new(a.nats, a.std_err, a.n));
    assert!((paired.nats - alone.nats).abs() < 1e-9);
    assert!(paired.std_err < 0.7 * alone.std_err, "{paired:?} {alone:?}");
    let other = standard
        .nll(&data.train.take(data.test.len()).unwrap())
        .unwrap();
    assert_eq!(other.minus(&a).per_sample(), None);
}

#[test]
fn a_task_of_ones_own_is_trained_with_all_that_training_has() {
    use itd_prelude::candle::Var;
    use itd_prelude::rng::Rng;
    use train::{Interval, Measured, Task};

    /// The mean of numbers, as the parameter with the smallest squared error.
    struct Mean {
        x: Vec<f32>,
        mean: Var,
    }
    impl Task for Mean {
        fn vars(&self) -> Vec<Var> {
            vec![self.mean.clone()]
        }
        fn samples(&self) -> usize {
            self.x.len()
        }
        fn loss(&self, rows: &[u32], _: &mut Rng) -> Result<Tensor> {
            let x = Tensor::from_iter(rows.iter().map(|&i| self.x[i as usize]), &Device::Cpu)?;
            Ok(x.broadcast_sub(&self.mean)?.sqr()?.mean_all()?)
        }
        fn validate(&self) -> Result<Option<Measured>> {
            let at = f64::from(self.mean.to_vec1::<f32>()?[0]);
            let loss = Estimate::exact((at - 2.0).powi(2));
            Ok(Some(Measured { loss, curve: None }))
        }
    }
    let folder = std::env::temp_dir().join(format!("itd-task-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let task = || Mean {
        x: vec![1.0, 2.0, 3.0],
        mean: Var::new(&[0f32], &Device::Cpu).unwrap(),
    };
    let config = TrainConfig {
        steps: Some(200),
        learning_rate: 0.1,
        ema_decay: None,
        validation: Some(Validation {
            every: Interval::Steps(20),
            ..Default::default()
        }),
        run: Some(folder.clone()),
        checkpoint: Interval::Steps(50),
        ..Default::default()
    };
    let whole = Trainer::new(task(), &config).unwrap().run().unwrap();
    assert!(whole.best().unwrap().held_out.loss.nats < 1e-3, "{whole}");
    assert_eq!(whole.validation.len(), 10);
    // The run folder gives the parameters back.
    let again = task();
    let mean = again.mean.clone();
    let fit = Trainer::new(again, &config).unwrap().run().unwrap();
    assert_eq!(fit.loss, whole.loss);
    assert!((mean.to_vec1::<f32>().unwrap()[0] - 2.0).abs() < 0.05);
    std::fs::remove_dir_all(&folder).unwrap();
    // What is about denoisers is refused.
    let foreign = TrainConfig {
        dequantize: true,
        run: None,
        ..config
    };
    assert!(text(Trainer::new(task(), &foreign).map(|_| ())).contains("dequantize"));
}

/// What few points leave open of two integrals is much the same in both, and is not added up in their difference.
#[test]
fn few_points_are_no_error_of_a_difference() {
    let data = toy::correlated_gaussian(500, 0).unwrap().test;
    let own = data.gaussian().unwrap();
    let other = Gaussian::new(&[0.0, 0.0], &[&[1.2, 0.4], &[0.4, 0.9]]).unwrap();
    let (a, b) = (own.denoiser(&[2]).unwrap(), other.denoiser(&[2]).unwrap());
    let reference = Gaussian::new(&[0.0, 0.0], &[&[30.0, 0.0], &[0.0, 30.0]]).unwrap();
    let proposal = Logistic::new(1.0, 2.0, 5.0).unwrap();
    let mut rng = rng::seeded(3);
    for points in [
        proposal.quadrature(8).unwrap(),
        proposal.trapezoid(8).unwrap(),
        proposal.stratified(8, &mut rng).unwrap(),
        proposal.sample(8, &mut rng).unwrap(),
    ] {
        let (a, b) = (
            mse_curve(&a, &data, &points).unwrap(),
            mse_curve(&b, &data, &points).unwrap(),
        );
        let nll = |curve: &MseCurve| curve.nll(reference.on(&data)).unwrap();
        let (low, high) = (nll(&a), nll(&b));
        let difference = high.minus(&low);
        let known = area_between(&b, &a, Fallback::Never).unwrap();
        let rule = points.rule;
        assert!((difference.nats - known.nats).abs() < 1e-6, "{rule:?}");
        assert!(
            (difference.std_err / known.total_err() - 1.0).abs() < 1e-4,
            "{rule:?}: {difference:?} {known:?}"
        );
        let apart = low.std_err.hypot(high.std_err);
        assert!(difference.std_err < 0.9 * apart, "{rule:?}: {difference:?}");
    }
}
