//! That every long function hears an interrupt, and what it leaves behind. Tests in a process of their own, one at a
//! time: the flag is the whole process's.

mod files;
#[cfg(feature = "hub")]
mod server;

use std::cell::Cell;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use itd_prelude::bound::{Target, variational_bound_learned};
use itd_prelude::candle::DType;
use itd_prelude::cell;
use itd_prelude::curve::{
    PartialCurve, Shard, SquaredError, ensemble_as_published, excess_mse, measure, mse_curve_shard,
};
use itd_prelude::denoiser::LearnedVariance;
use itd_prelude::distribution::{Basis, Component, decompose};
use itd_prelude::error::Interrupted;
use itd_prelude::images::{self, ImageSpec};
use itd_prelude::information::{
    AttributionConfig, Doe, Estimator as _, JointGaussian, Ksg, Masked, Minde, Rows, Without,
    attribution_with, interaction_gaps, interactions,
};
use itd_prelude::integral::pooled_std_err;
use itd_prelude::likelihood::{DensityMap, Derivative, OdeNll, Trace, neg_log_prob_at};
use itd_prelude::net::mlp::Input;
use itd_prelude::prelude::*;
use itd_prelude::sample::{Samples, Steps, sample_learned};
use itd_prelude::task;
use itd_prelude::train::{Denoising, Fit, Interval};
use itd_prelude::{
    bound::continuous_time_bound, curve::Conditioning, denoiser::FnDenoiser,
    denoiser::Parametrization, denoiser::Query, likelihood::OdeConfig, sample::Sampler,
    schedule::Variance, train::Trainer,
};

static ALONE: Mutex<()> = Mutex::new(());

fn stopped<T: std::fmt::Debug>(result: Result<T>) -> Interrupted {
    match result {
        Err(Error::Interrupted(stopped)) => stopped,
        other => panic!("it should have been stopped: {other:?}"),
    }
}

fn parameters(net: &Mlp) -> Vec<f32> {
    use itd_prelude::denoiser::Trainable;
    let vars = net.vars().into_iter();
    vars.flat_map(|var| var.flatten_all().unwrap().to_vec1::<f32>().unwrap())
        .collect()
}

/// When the interrupt comes: early in the work, and in the midst of it.
const MOMENTS: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(500)];
/// Work that is over by then is not long.
const SOONEST: Duration = Duration::from_millis(50);
/// How long the user waits for the work to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often work may be too slow before it is a fault: the machine may be busy with something else.
const TRIES: usize = 3;

/// Interrupts long work and tells what is wrong with how it ends, if anything.
fn ends_soon<T>(what: &str, work: impl Fn() -> Result<T>) -> Vec<String> {
    let complaint = |mut moment: Duration| {
        let mut slow = 0;
        loop {
            cell::begin(file!());
            let asking = thread::spawn(move || {
                thread::sleep(moment);
                let now = Instant::now();
                cell::interrupt();
                now
            });
            let result = work();
            let end = Instant::now();
            let asked = asking.join().unwrap();
            let waited = end.saturating_duration_since(asked);
            println!("{what}, asked after {moment:?}: {waited:?}");
            return match result {
                Err(Error::Interrupted(_)) if end < asked => {
                    Some("it stopped before anybody asked".into())
                }
                Err(Error::Interrupted(_)) if waited > PATIENCE => {
                    slow += 1;
                    if slow < TRIES {
                        continue;
                    }
                    Some(format!("it took {waited:?} to stop"))
                }
                Err(Error::Interrupted(_)) => None,
                Err(error) => Some(error.to_string()),
                // A machine that is so fast is asked earlier.
                Ok(_) if waited <= PATIENCE && moment > SOONEST => {
                    moment /= 2;
                    continue;
                }
                Ok(_) => Some(format!("it ended {waited:?} later, and did not listen")),
            };
        }
    };
    let complaints = MOMENTS.into_iter().filter_map(complaint);
    let told = complaints
        .map(|complaint| format!("{what}: {complaint}"))
        .collect();
    cell::begin(file!());
    told
}

/// Work that is over within the patience need not listen.
fn is_short<T>(what: &str, work: impl Fn() -> Result<T>) -> Vec<String> {
    let once = |_| {
        let start = Instant::now();
        let result = work().map(drop);
        let took = start.elapsed();
        println!("{what}: {took:?}");
        match result {
            Ok(()) if took <= PATIENCE => None,
            result => Some(format!("{what}: {took:?}, {result:?}")),
        }
    };
    // All tries are faulty, or none counts.
    let faults: Option<Vec<String>> = (0..TRIES).map(once).collect();
    faults
        .into_iter()
        .flat_map(|mut faults| faults.pop())
        .collect()
}

/// A normal whose coordinates have to be turned, as those of pictures have.
fn turned(dim: usize) -> Gaussian {
    let eye = Tensor::eye(dim, DType::F64, &Device::Cpu).unwrap();
    Gaussian {
        basis: Basis::Vectors(eye),
        ..Gaussian::standard(dim).unwrap()
    }
}

fn normal(n: usize, dim: usize) -> Dataset {
    let x = rng::normal(&[n, dim], &mut rng::seeded(0)).unwrap();
    Dataset::new("normal", x).unwrap()
}

/// A network that is as sure at every step.
struct Sure(Mlp);

impl Denoiser for Sure {
    fn eps_hat(&self, query: &Query) -> Result<Tensor> {
        self.0.denoise(query)
    }
    fn shape(&self) -> &[usize] {
        self.0.shape()
    }
}

impl LearnedVariance for Sure {
    fn denoise_with_variance(&self, query: &Query) -> Result<(Tensor, Tensor)> {
        Ok((self.0.denoise(query)?, query.z.zeros_like()?))
    }
}

/// A curve that is not measured, with an error for each sample.
fn noted(data: &Dataset, points: &Quadrature) -> MseCurve {
    let (n, k) = (data.len(), points.len());
    let error = |(i, j)| 1.0 + ((i * 31 + j * 17) % 101) as f64 / 101.0;
    let errors = ndarray::Array2::from_shape_fn((n, k), error);
    MseCurve {
        points: points.clone(),
        mse: (0..k).map(|j| errors.column(j).sum() / n as f64).collect(),
        std_err: vec![0.01; k],
        n,
        dim: data.dim(),
        errors: Some(errors),
        data: Some(data.digest().unwrap()),
    }
}

#[test]
fn every_long_function_ends_within_a_second_of_the_interrupt() {
    let _alone = ALONE.lock().unwrap_or_else(|broken| broken.into_inner());
    let mut faults = Vec::new();
    let mut long = |told: Vec<String>| faults.extend(told);

    // Curves, and what is measured as they are.
    let flat = normal(50_000, 2);
    let standard = Gaussian::standard(2).unwrap();
    let perceptron = |gaussian: &Gaussian, config: MlpConfig| {
        Mlp::new(&config, gaussian, &[gaussian.dim()], &Device::Cpu).unwrap()
    };
    let net = perceptron(&standard, MlpConfig::default());
    let points = Quadrature::trapezoid(-8.0, 12.0, 200).unwrap();
    let config = CurveConfig::default();
    long(ends_soon("mse_curve", || mse_curve(&net, &flat, &points)));
    let draws = CurveConfig {
        draws: 1000,
        ..config.clone()
    };
    let some = flat.take(100).unwrap();
    long(ends_soon("mse_curve_with many draws", || {
        mse_curve_with(&net, &some, &points, &draws)
    }));
    long(ends_soon("mse_curve_shard", || {
        mse_curve_shard(&net, &flat, &points, &config, Shard::new(1, 2)?)
    }));
    let other = standard.denoiser(&[2]).unwrap();
    long(ends_soon("excess_mse", || {
        excess_mse(&net, &other, &flat, &points, &config)
    }));
    let statistic = SquaredError {
        net: &net,
        conditioning: Conditioning::Unconditional,
        clamp: None,
    };
    long(ends_soon("measure", || {
        measure(&statistic, &flat, &points, &config)
    }));
    // One evaluation of a large network takes its time.
    let (large, pictures) = (turned(784), normal(20_000, 784));
    let config = MlpConfig {
        width: 2048,
        ..Default::default()
    };
    let wide = perceptron(&large, config);
    let few = Quadrature::trapezoid(-8.0, 12.0, 20).unwrap();
    long(ends_soon("mse_curve of a large network", || {
        mse_curve(&wide, &pictures, &few)
    }));
    let grid = Grid::new(-8.0, 8.0, 65_536).unwrap();
    let rounded = large
        .denoiser(&[784])
        .unwrap()
        .rounded(Rounding::Soft(grid));
    long(ends_soon("mse_curve of a rounded denoiser", || {
        mse_curve(&rounded, &pictures, &few)
    }));

    // Gaussians of many dimensions.
    let (turned, samples) = (turned(2000), normal(20_000, 2000));
    long(ends_soon("Gaussian::curve_on", || {
        turned.curve_on(&samples, &points)
    }));
    let curve = noted(&samples, &few);
    long(ends_soon("MseCurve::nll on data", || {
        curve.nll(turned.on(&samples))
    }));
    long(ends_soon("Gaussian::nll", || turned.nll(&samples)));
    let levels = rng::uniform(&[20_000, 2000], &mut rng::seeded(0)).unwrap();
    let levels = Dataset::new("levels", levels.round().unwrap()).unwrap();
    let levels = levels.on_grid(Grid::new(0.0, 1.0, 2).unwrap()).unwrap();
    let curve = noted(&levels, &few);
    long(ends_soon("MseCurve::code_length", || {
        curve.code_length(turned.on(&levels))
    }));
    drop((curve, levels));
    long(ends_soon("Gaussian::sample", || {
        turned.sample(20_000, &mut rng::seeded(0))
    }));
    let closed = || turned.curve(&Quadrature::trapezoid(-8.0, 12.0, 300_000)?);
    long(ends_soon("Gaussian::curve", closed));
    let rows = samples.flat().unwrap();
    long(ends_soon("Gaussian::from_samples", || {
        Gaussian::from_samples(&rows)
    }));

    // Mutual information.
    let pairs = task::sparse((8, 8), 2, 2.0)
        .unwrap()
        .sample(60_000, 0)
        .unwrap();
    let (x, y) = (pairs.x.view(), pairs.y.view());
    long(ends_soon("Ksg", || Ksg::default().information(x, y)));
    long(ends_soon("mi", || mi(&pairs.x, &pairs.y)));
    long(ends_soon("Mmg", || Mmg::default().information(x, y)));
    let spiral = task::sparse((25, 25), 2, 2.0).unwrap().spiral(1.0).unwrap();
    long(ends_soon("Benchmark::sample", || {
        spiral.sample(3_000_000, 0)
    }));

    // Mixtures and single numbers.
    let part = |i: usize| {
        let mean = vec![i as f64; 256];
        let part = Gaussian {
            mean,
            ..self::turned(256)
        };
        (1.0, part)
    };
    let mixture = Mixture::new(&(0..16).map(part).collect::<Vec<_>>()).unwrap();
    long(ends_soon("the curve of a mixture", || {
        Distribution::curve(&mixture, &points)
    }));
    long(ends_soon("the entropy of a mixture", || {
        Distribution::entropy(&mixture)
    }));
    long(ends_soon("Mixture::sample", || {
        mixture.sample(400_000, &mut rng::seeded(0))
    }));
    let many = Scalar::levels(Grid::new(-1.0, 1.0, 1000).unwrap()).unwrap();
    long(ends_soon("the curve of a scalar", || many.curve(&points)));
    let dense = Quadrature::trapezoid(-8.0, 12.0, 2000).unwrap();
    long(ends_soon("decompose", || decompose(&many, 0.0, &dense)));
    let narrow = |i| (1.0, Component::Normal(f64::from(i), 0.01));
    let normals = Scalar::new(&(0..2000).map(narrow).collect::<Vec<_>>()).unwrap();
    long(ends_soon("the entropy of a scalar", || {
        Distribution::entropy(&normals)
    }));
    let fine = Scalar::levels(Grid::new(0.0, 1.0, 40_000).unwrap()).unwrap();
    long(ends_soon("the entropy of levels", || {
        Distribution::entropy(&fine)
    }));
    let line = normal(100_000, 1);
    let one = many.denoiser(&[1]).unwrap();
    long(ends_soon("mse_curve of a scalar's denoiser", || {
        mse_curve(&one, &line, &points)
    }));
    let places = line.flat().unwrap();
    long(ends_soon("Scalar::log_prob", || {
        Distribution::log_prob(&normals, &places)
    }));

    // Training.
    long(ends_soon("train", || {
        train(&net, &flat, &TrainConfig::default())
    }));
    let every = TrainConfig {
        validation: Some(Validation {
            every: Interval::Steps(1),
            samples: 20_000,
            points: 100,
            ..Default::default()
        }),
        ..TrainConfig::fine_tuning()
    };
    long(ends_soon("fine-tuning, in a measurement", || {
        train(&net, &flat, &every)
    }));
    let raw = digits().unwrap().train;
    let unet = UNet::new(&UNetConfig::small(), raw.shape(), &Device::Cpu).unwrap();
    let tuning = TrainConfig {
        dequantize: true,
        ..TrainConfig::fine_tuning()
    };
    long(ends_soon("fine-tuning of a U-Net", || {
        train(&unet, &raw, &tuning)
    }));
    let huge = perceptron(&turned, MlpConfig::default());
    long(ends_soon("train, in the fit of the Gaussian", || {
        train(&huge, &samples, &TrainConfig::default())
    }));
    drop((rows, samples));

    // Samples and the ODE.
    for sampler in [
        Sampler::Ancestral(Variance::Small),
        Sampler::Ancestral(Variance::Large),
        Sampler::Ddim { eta: 0.5 },
        Sampler::Heun,
    ] {
        let config = SampleConfig {
            sampler,
            steps: Steps::even(1000),
            ..Default::default()
        };
        long(ends_soon(&format!("sample by {sampler:?}"), || {
            sample(&net, 50_000, &config)
        }));
    }
    let sure = Sure(net.clone());
    let learned = SampleConfig {
        sampler: Sampler::Learned,
        steps: Steps::even(1000),
        ..Default::default()
    };
    long(ends_soon("sample_learned", || {
        sample_learned(&sure, 50_000, &learned)
    }));
    for derivative in [Derivative::Gradient, Derivative::Difference] {
        let config = OdeConfig {
            derivative,
            ..Default::default()
        };
        long(ends_soon(&format!("ode_nll by {derivative:?}"), || {
            ode_nll(&net, &flat, &config)
        }));
    }
    let exact = OdeConfig {
        trace: Trace::Exact,
        ..Default::default()
    };
    let straight = large.denoiser(&[784]).unwrap();
    long(ends_soon("ode_nll with the exact trace", || {
        ode_nll(&straight, &pictures, &exact)
    }));

    // Maps, repetitions, bounds.
    let config = MapConfig {
        points: 1000,
        ..Default::default()
    };
    let waves = MlpConfig {
        input: Input::Waves(16),
        ..Default::default()
    };
    let waves = perceptron(&standard, waves);
    long(ends_soon("density_map", || {
        density_map(&waves, &standard, &few, &config)
    }));
    long(ends_soon("neg_log_prob_at", || {
        neg_log_prob_at(&waves, &standard, &points, &flat.x, &config)
    }));
    long(ends_soon("DensityMap::of", || {
        DensityMap::of(&config, toy::moons_density)
    }));
    let curve = noted(&some, &points);
    long(ends_soon("bootstrap", || {
        bootstrap(std::slice::from_ref(&curve), 1_000_000, 0, |curves| {
            Ok(curves[0].area()?.nats)
        })
    }));
    let bound = BoundConfig::density(NoiseSchedule::linear(1000).unwrap());
    long(ends_soon("variational_bound", || {
        variational_bound(&net, &flat, &bound)
    }));
    long(ends_soon("variational_bound_learned", || {
        variational_bound_learned(&sure, &flat, &bound)
    }));
    let grid = Grid::new(-1.0, 1.0, 256).unwrap();
    let bytes = rng::uniform(&[5000, 784], &mut rng::seeded(0)).unwrap();
    let bytes = (bytes * 255.0)
        .unwrap()
        .round()
        .unwrap()
        .affine(2.0 / 255.0, -1.0)
        .unwrap();
    let bytes = Dataset::new("bytes", bytes).unwrap().on_grid(grid).unwrap();
    let curve = noted(&bytes, &few);
    long(ends_soon("continuous_time_bound", || {
        continuous_time_bound(&curve, &bytes, Target::Discrete(grid), 0)
    }));

    let curve = noted(&flat, &points);
    long(ends_soon("interpolate", || curve.interpolate(&dense)));

    // What works on curves alone, at the size of CIFAR-10's test set and 200 points.
    let test = flat.take(10_000).unwrap();
    let curve = noted(&test, &points);
    let both = [curve.clone(), curve.clone()];
    long(is_short("Ensemble", || {
        Ensemble::choose(&both)?.apply(&both)
    }));
    long(is_short("ensemble_as_published", || {
        ensemble_as_published(&both)
    }));
    long(is_short("area", || curve.area()));
    long(is_short("nll", || curve.nll(&standard)));
    long(is_short("pooled_std_err", || pooled_std_err(None, &curve)));
    let narrow = Quadrature::trapezoid(-11.0, 10.0, 200).unwrap();
    let curve = noted(&test.take(2000).unwrap(), &narrow);
    long(is_short("bound_of_curve", || {
        bound_of_curve(&curve, &standard, &bound)
    }));

    // What cannot be asked to stop is left to itself, and takes time from all that comes after: the last one.
    let rows = normal(20, 3000).flat().unwrap();
    long(ends_soon("eigenvalues", || Gaussian::from_samples(&rows)));
    assert!(faults.is_empty(), "{faults:#?}");
}

/// What pixels tell and what several vectors share.
#[test]
fn attribution_and_interactions_end_within_a_second_of_the_interrupt() {
    let _alone = ALONE.lock().unwrap_or_else(|broken| broken.into_inner());
    let mut faults = Vec::new();
    let mut long = |told: Vec<String>| faults.extend(told);
    let part = |i: usize| {
        (
            1.0,
            Gaussian::diagonal(vec![i as f64; 256], vec![1.0; 256]).unwrap(),
        )
    };
    let mixture = Mixture::new(&(0..8).map(part).collect::<Vec<_>>()).unwrap();
    let (x, y) = mixture
        .sample_with_parts(20_000, &mut rng::seeded(0))
        .unwrap();
    let data = Dataset::new("parts", x).unwrap();
    let data = data.given(Condition::Class(y)).unwrap();
    let net = mixture.denoiser(&[256]).unwrap();
    long(ends_soon("attribution", || attribution(&net, &data)));
    let along = AttributionConfig {
        without: Without::classes(8),
        ..Default::default()
    };
    long(ends_soon("attribution against classes", || {
        attribution_with(&net, &data, &along)
    }));
    let many = normal(40_000, 12);
    let joint = JointGaussian::new(&Gaussian::standard(12).unwrap(), &[1; 12]).unwrap();
    let points = Quadrature::trapezoid(-8.0, 12.0, 100).unwrap();
    long(ends_soon("interaction_gaps", || {
        interaction_gaps(&joint, &many, &points, &CurveConfig::default())
    }));
    let rows = many.rows().unwrap();
    let parts: Vec<_> = (0..4)
        .map(|i| rows.slice(ndarray::s![.., 3 * i..3 * (i + 1)]))
        .collect();
    long(ends_soon("interactions", || {
        interactions(&[&parts[0], &parts[1], &parts[2], &parts[3]])
    }));
    long(ends_soon("Masked", || {
        Masked::default().interactions(&parts)
    }));
    long(ends_soon("Minde", || {
        Minde::default().information(parts[0], parts[1])
    }));
    long(ends_soon("Doe", || {
        Doe::default().information(parts[0], parts[1])
    }));
    long(ends_soon("entropy", || Ksg::default().entropy(rows.view())));
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Training that is stopped as soon as it has begun.
fn started<'a>(net: &'a Mlp, data: &Dataset, config: &TrainConfig) -> Trainer<Denoising<&'a Mlp>> {
    cell::begin(file!());
    let task = Denoising::new(net, data, config).unwrap();
    let trainer = Trainer::new(task, config).unwrap();
    cell::interrupt();
    trainer
}

#[test]
fn stopped_loops_return_what_they_have() {
    let _alone = ALONE.lock().unwrap_or_else(|broken| broken.into_inner());
    let data = toy::moons(2000, 0).unwrap();
    let config = MlpConfig {
        width: 16,
        layers: 1,
        ..Default::default()
    };
    let net = Mlp::new(&config, &Gaussian::standard(2).unwrap(), &[2], &Device::Cpu).unwrap();
    let before = parameters(&net);

    let training = stopped(started(&net, &data.train, &TrainConfig::default()).run());
    assert_eq!((training.what.as_str(), training.done), ("training", 1));
    assert!(training.planned > 100);
    let fit: Fit = training.partial().expect("the fit so far");
    assert_eq!(fit.loss.len(), 1);
    assert_ne!(
        parameters(&net),
        before,
        "the network keeps what it has learned"
    );

    // With a folder it goes on from there, and ends where training ends that nobody stopped.
    let folder = files::Folder::new("stopped-run");
    let fresh = || Mlp::new(&config, &Gaussian::standard(2).unwrap(), &[2], &Device::Cpu).unwrap();
    let settings = |run| TrainConfig {
        steps: Some(20),
        run,
        ..Default::default()
    };
    let run = settings(Some(folder.0.clone()));
    let training = stopped(started(&fresh(), &data.train, &run).run());
    assert_eq!((training.done, training.planned), (1, 20));
    cell::begin(file!());
    let (whole, parts) = (fresh(), fresh());
    let known = train(&whole, &data.train, &settings(None)).unwrap();
    let fit = train(&parts, &data.train, &run).unwrap();
    assert_eq!(fit.loss, known.loss);
    assert_eq!(parameters(&parts), parameters(&whole));
    cell::interrupt();

    // A curve of many points is measured a few samples at a time; those that are whole are kept.
    let points = Logistic::new(0.0, 2.0, 4.0).unwrap();
    let points = points.quadrature(100).unwrap();
    let measuring = stopped(mse_curve(&net, &data.train, &points));
    assert_eq!(measuring.done, 1);

    // A shard is whole or not there.
    let (parts, shard) = (files::Folder::new("stopped"), Shard::new(1, 2).unwrap());
    let measure = |net: &dyn Denoiser| {
        let config = CurveConfig::default();
        io::mse_curve_shard_to(&parts.0, net, &data.train, &points, &config, shard)
    };
    // Three evaluations tell which network it is; it is stopped at the next.
    let asked = Cell::new(0);
    let stopping = FnDenoiser::new(&[2], Parametrization::Eps, |query| {
        asked.set(asked.get() + 1);
        if asked.get() == 4 {
            cell::interrupt();
        }
        net.denoise(query)
    });
    cell::begin(file!());
    let measuring = stopped(measure(&stopping));
    assert_eq!(measuring.what, "measuring errors, shard 1 of 2");
    assert!(measuring.partial::<PartialCurve>().is_none());
    assert_eq!(std::fs::read_dir(&parts.0).unwrap().count(), 0);

    // A covariance listens too, however small it is.
    let wide = rng::normal(&[20, 2000], &mut rng::seeded(0)).unwrap();
    let adding = stopped(Gaussian::from_samples(&wide));
    assert_eq!((adding.what.as_str(), adding.done), ("covariance", 0));
    assert_eq!(stopped(data.test.gaussian()).what, "covariance");
    // Reading many pictures stops as well.
    let folder = files::Folder::new("interrupt");
    folder.write("cat_1.png", &files::png(&[1, 2], [1, 1, 2]));
    let reading = stopped(images::folder::read(&folder.0, &ImageSpec::default()));
    assert_eq!((reading.done, reading.planned), (0, 1));
    // Nor need one wait for eigenvalues that are on their way.
    cell::begin(file!());
    let asked = std::thread::spawn(|| {
        std::thread::sleep(std::time::Duration::from_millis(400));
        cell::interrupt();
    });
    let wider = rng::normal(&[20, 3000], &mut rng::seeded(0)).unwrap();
    let solving = stopped(Gaussian::from_samples(&wider));
    assert_eq!((solving.done, solving.planned), (1, 2));
    asked.join().unwrap();

    // A server that has gone silent is no reason to wait; what it sent stays.
    #[cfg(feature = "hub")]
    silent_server(&folder.0);
    // Of samples, and of the ODE's densities, the batches that are finished are kept.
    let (asked, stop) = (Cell::new(0), Cell::new(30));
    let watched = FnDenoiser::new(&[2], Parametrization::Eps, |query| {
        asked.set(asked.get() + 1);
        if asked.get() == stop.get() {
            cell::interrupt();
        }
        net.denoise(query)
    });
    cell::begin(file!());
    let config = SampleConfig {
        sampler: Sampler::Ddim { eta: 0.0 },
        steps: Steps::even(20),
        batch: 3,
        ..Default::default()
    };
    let drawing = stopped(sample(&watched, 10, &config));
    assert_eq!((drawing.done, drawing.planned), (30, 80));
    let samples: Samples = drawing.partial().expect("the first batch");
    assert_eq!(samples.len(), 3);
    cell::begin(file!());
    // 6 looks of 3 evaluations and 5 steps of 3 more: 33 a batch.
    asked.set(0);
    stop.set(40);
    let config = OdeConfig {
        steps: 5,
        trace: Trace::Rademacher(1),
        derivative: Derivative::Difference,
        batch: 20,
        ..Default::default()
    };
    let data_30 = data.test.take(30).unwrap();
    let following = stopped(ode_nll(&watched, &data_30, &config));
    assert_eq!(following.planned, 12);
    let nll: OdeNll = following.partial().expect("the first batch");
    let values = nll.mean.per_sample().expect("the value of each sample");
    assert_eq!((values.len(), nll.std_err.len(), nll.mean.n), (20, 20, 20));

    // The next cell is not concerned.
    cell::begin(file!());
    assert!(measure(&net).is_ok() && parts.0.join(shard.file_name()).exists());
    assert!(mse_curve(&net, &data.train.take(100).unwrap(), &points).is_ok());
    assert!(images::folder::read(&folder.0, &ImageSpec::default()).is_ok());
}

#[cfg(feature = "hub")]
fn silent_server(folder: &std::path::Path) {
    let server = server::Server::start(server::State::default());
    let file = (vec![7u8; 5000], Some("\"tag\"".to_owned()));
    server.set(|state| {
        state.files.insert("/net.pt".into(), file);
        state.silent = Some(1000);
    });
    let (url, place) = (format!("{}/net.pt", server.address), folder.join("net.pt"));
    let part = folder.join("net.pt.part");
    let hub = itd_prelude::hub::Hub::new("http://127.0.0.1:1", None);
    cell::begin(file!());
    let written = part.clone();
    let asked = std::thread::spawn(move || {
        while std::fs::metadata(&written).map_or(0, |meta| meta.len()) < 1000 {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        cell::interrupt();
    });
    let downloading = stopped(hub.fetch_url(&url, &place));
    assert_eq!((downloading.done, downloading.planned), (1000, 5000));
    asked.join().unwrap();
    assert_eq!(std::fs::metadata(&part).unwrap().len(), 1000);
    server.set(|state| state.silent = None);
    cell::begin(file!());
    hub.fetch_url(&url, &place).unwrap();
    assert_eq!(server.asked()[1], "/net.pt from 1000");
}
