//! Which values tell the condition: mixtures whose every coordinate is known, planted patches, digits.

use itd_prelude::candle::DType;
use itd_prelude::curve::Asked;
use itd_prelude::curve::Conditioning::{Conditional, Unconditional};
use itd_prelude::data::ConditionKind;
use itd_prelude::denoiser::{FnDenoiser, Parametrization};
use itd_prelude::information::{
    AttributionConfig, Posterior, Readout, Without, attribution_with, gap_curves,
};
use itd_prelude::ndarray::Array2;
use itd_prelude::prelude::*;
use itd_prelude::stats;

/// Means of the two coordinates that have half of the class each, and all variances.
const MEANS: [f64; 2] = [1.0, 0.6];
const VARIANCES: [f64; 3] = [0.25, 0.5, 1.0];

/// Four classes: one bit is in the sign of the first coordinate's mean, one in that of the second. The third tells
/// nothing.
fn four(n: usize) -> (Mixture, Dataset) {
    let part = |class: usize| {
        let [a, b] = signs(class);
        let mean = vec![a * MEANS[0], b * MEANS[1], 0.0];
        (0.25, Gaussian::diagonal(mean, VARIANCES.to_vec()).unwrap())
    };
    let mixture = Mixture::new(&[0, 1, 2, 3].map(part)).unwrap();
    let (x, y) = mixture.sample_with_parts(n, &mut rng::seeded(3)).unwrap();
    let data = Dataset::new("four", x).unwrap();
    (mixture, data.given(Condition::Class(y)).unwrap())
}

fn signs(class: usize) -> [f64; 2] {
    [class & 1, class >> 1].map(|bit| 2.0 * bit as f64 - 1.0)
}

/// `ln p(x_j | y)/p(x_j)` of each coordinate.
fn known(data: &Dataset) -> Array2<f64> {
    let rows = data.flat().unwrap().to_vec2::<f32>().unwrap();
    let labels = data.labels().unwrap();
    Array2::from_shape_fn((rows.len(), 3), |(i, j)| match j {
        2 => 0.0,
        _ => {
            let sign = signs(labels[i] as usize)[j];
            let odds = -2.0 * sign * MEANS[j] * f64::from(rows[i][j]) / VARIANCES[j];
            -(0.5 * (1.0 + odds.exp())).ln()
        }
    })
}

fn wide() -> AttributionConfig {
    AttributionConfig {
        points: Quadrature::trapezoid(-14.0, 16.0, 121).ok(),
        draws: 4,
        ..Default::default()
    }
}

fn within(differences: &[f64], slack: f64) {
    let (mean, err) = (stats::mean(differences), stats::std_err(differences));
    assert!(mean.abs() < 4.0 * err + slack, "{mean} ± {err}");
}

#[test]
fn each_coordinate_tells_what_its_density_says() {
    let (mixture, data) = four(600);
    let net = mixture.denoiser(&[3]).unwrap();
    let found = attribution_with(&net, &data, &wide()).unwrap();
    let known = known(&data);
    for readout in [Readout::Direct, Readout::Mean, Readout::Orthogonal] {
        let maps = found.maps(readout).unwrap();
        for j in 0..2 {
            let apart: Vec<f64> = (&maps.column(j) - &known.column(j)).to_vec();
            within(&apart, 1e-4);
            // Only the noise is left in the direct map: it is the sample's own value.
            if readout == Readout::Direct {
                let spread = stats::variance(&apart).sqrt();
                let own = stats::variance(&known.column(j).to_vec()).sqrt();
                assert!(spread < 2.0 * own, "{spread} {own}");
            }
        }
        assert!(maps.column(2).iter().all(|nats| nats.abs() < 1e-12));
        // The pixels of all samples together are the information.
        let information = found.information(readout).unwrap();
        let sum = maps.sum() / 600.0;
        assert!((information.nats / sum - 1.0).abs() < 1e-12);
        let truth = stats::mean(&known.sum_axis(itd_prelude::ndarray::Axis(1)).to_vec());
        assert!(
            (information.nats - truth).abs() < 4.0 * information.std_err,
            "{information} {truth}"
        );
        assert!(information.warnings.is_empty(), "{information}");
        // So are regions, for those inside.
        let first = found.region(&[true, false, false], readout).unwrap();
        assert!((first.nats - maps.column(0).sum() / 600.0).abs() < 1e-12);
    }
    let orthogonal = found.maps(Readout::Orthogonal).unwrap();
    assert!(orthogonal.iter().all(|nats| *nats >= 0.0));
    let ranked = found.ranked(Readout::Orthogonal).unwrap();
    assert!(ranked.iter().all(|places| places[2] == 2));
}

/// The same noise gives the same numbers, whether they are summed up pixel by pixel or all at once.
#[test]
fn the_sum_of_a_map_is_the_gap_of_the_curves() {
    let (mixture, data) = four(50);
    let net = mixture.denoiser(&[3]).unwrap();
    let settings = wide();
    let found = attribution_with(&net, &data, &settings).unwrap();
    let config = CurveConfig {
        draws: settings.draws,
        ..Default::default()
    };
    let (with, without) = (Asked(&net, Conditional), Asked(&net, Unconditional));
    let points = settings.points.unwrap();
    let gap = gap_curves(with, without, &data, &points, &config).unwrap();
    for (readout, of_curves) in [
        (Readout::Direct, gap.direct().unwrap()),
        (Readout::Orthogonal, gap.orthogonal().unwrap()),
        (Readout::Mean, gap.mean().unwrap()),
    ] {
        let own = found.pointwise(readout).unwrap();
        for (a, b) in own.iter().zip(of_curves.per_sample().unwrap()) {
            assert!((a - b).abs() < 1e-9, "{readout:?}: {a} {b}");
        }
    }
    // Pictures are summed over their channels.
    let shape = |shape: [usize; 4]| {
        let x = data.x.reshape(&shape).unwrap();
        Dataset::new("four", x)
            .unwrap()
            .given(data.y.clone().unwrap())
            .unwrap()
    };
    let net = mixture.denoiser(&[3, 1, 1]).unwrap();
    let summed = attribution_with(&net, &shape([50, 3, 1, 1]), &wide()).unwrap();
    assert_eq!(summed.shape, [1, 1]);
    let gap = summed.maps(Readout::Mean).unwrap().column(0).to_vec();
    for (a, b) in gap.iter().zip(found.pointwise(Readout::Mean).unwrap()) {
        assert!((a - b).abs() < 1e-9);
    }
}

#[test]
fn against_another_class_it_is_what_tells_the_two_apart() {
    let (mixture, data) = four(500);
    let net = mixture.denoiser(&[3]).unwrap();
    let ones = data.by_class(1).unwrap();
    let config = AttributionConfig {
        without: Without::Other(Condition::Class(vec![0])),
        ..wide()
    };
    let found = attribution_with(&net, &ones, &config).unwrap();
    // One class has no entropy of its own, and yet there is something to tell of it.
    for without in [Without::classes(4), Without::Untold] {
        let config = AttributionConfig { without, ..wide() };
        let told = attribution_with(&net, &ones, &config).unwrap();
        let told = told.information(Readout::Mean).unwrap();
        assert!(told.nats > 0.3 && told.warnings.is_empty(), "{told}");
        let one = attribution_with(&net, &ones.take(1).unwrap(), &config).unwrap();
        assert!(one.information(Readout::Mean).unwrap().std_err.is_nan());
    }
    let maps = found.maps(Readout::Direct).unwrap();
    let rows = ones.flat().unwrap().to_vec2::<f32>().unwrap();
    // ln N(x; m, v)/N(x; −m, v) = 2 m x/v of the coordinate in which classes 0 and 1 differ.
    let apart: Vec<f64> = std::iter::zip(maps.column(0), &rows)
        .map(|(nats, row)| nats - 2.0 * MEANS[0] * f64::from(row[0]) / VARIANCES[0])
        .collect();
    within(&apart, 1e-3);
    assert!(maps.column(1).iter().all(|nats| nats.abs() < 1e-12));
}

/// The mixture of the classes, followed through the channel, is the best denoiser without a class: the same values, and
/// the probabilities of Bayes.
#[test]
fn the_classes_together_are_what_is_known_without_one() {
    let (mixture, data) = four(600);
    let net = mixture.denoiser(&[3]).unwrap();
    let config = AttributionConfig {
        points: Quadrature::trapezoid(-12.0, 12.0, 121).ok(),
        without: Without::classes(4),
        ..Default::default()
    };
    let found = attribution_with(&net, &data, &config).unwrap();
    let known = known(&data);
    for readout in [Readout::Direct, Readout::Mean, Readout::Orthogonal] {
        let maps = found.maps(readout).unwrap();
        for j in 0..2 {
            within(&(&maps.column(j) - &known.column(j)).to_vec(), 0.01);
        }
        assert!(maps.column(2).iter().all(|nats| nats.abs() < 1e-12));
    }
    let exact = bayes(&data);
    let found = found.posterior.unwrap();
    for (own, known) in std::iter::zip(&found.log_probs, &exact.log_probs) {
        assert!((own.exp() - known.exp()).abs() < 0.1, "{own} {known}");
    }
    let apart = found.cross_entropy().nats - exact.cross_entropy().nats;
    assert!(apart.abs() < 0.01, "{apart}");
    assert!((found.accuracy() - exact.accuracy()).abs() < 0.02);
    // A sandwich: ln K − CE ≤ I ≤ ln K.
    let truth = stats::mean(&known.sum_axis(itd_prelude::ndarray::Axis(1)).to_vec());
    let below = 4f64.ln() - found.cross_entropy().nats;
    assert!(below < truth + 2.0 * found.cross_entropy().std_err && truth < 4f64.ln());
    let cooled = found.tempered(found.best_temperature()).unwrap();
    assert!(cooled.cross_entropy().nats <= found.cross_entropy().nats + 1e-9);
    let sums = found
        .log_probs
        .mapv(f64::exp)
        .sum_axis(itd_prelude::ndarray::Axis(1));
    assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-12));
    assert!(found.tempered(0.0).is_err());
}

/// `p(y | x)` of the four classes.
fn bayes(data: &Dataset) -> Posterior {
    let rows = data.flat().unwrap().to_vec2::<f32>().unwrap();
    let log_probs = Array2::from_shape_fn((rows.len(), 4), |(i, class)| {
        let bit = |j: usize| {
            let odds = -2.0 * signs(class)[j] * MEANS[j] * f64::from(rows[i][j]) / VARIANCES[j];
            -odds.exp().ln_1p()
        };
        bit(0) + bit(1)
    });
    let labels = data.labels().unwrap().to_vec();
    Posterior { log_probs, labels }
}

#[test]
fn where_the_gap_is_is_found() {
    let (mixture, data) = four(400);
    let net = mixture.denoiser(&[3]).unwrap();
    let found = attribution(&net, &data).unwrap();
    assert_eq!(found.points.len(), 40);
    let (low, high) = found.points.interval;
    assert!(low > -14.0 && high < 14.0, "{low} {high}");
    let wide = attribution_with(&net, &data, &wide()).unwrap();
    let [own, all] = [&found, &wide].map(|found| found.information(Readout::Orthogonal).unwrap());
    assert!(
        (own.nats - all.nats).abs() < 4.0 * own.std_err + 2e-3 * all.nats,
        "{own} {all}"
    );
}

/// A patch that has the class, in noise: a network that was trained on such pictures finds it.
#[test]
fn a_planted_patch_is_found() {
    let (n, side, from) = (12400usize, 6usize, 2usize);
    let rng = &mut rng::seeded(5);
    let noise = rng::normal(&[n, side * side], rng)
        .unwrap()
        .to_vec2::<f32>()
        .unwrap();
    let inside = |at: usize| {
        [at / side, at % side]
            .iter()
            .all(|&k| (from..from + 2).contains(&k))
    };
    let labels: Vec<u32> = (0..n as u32).map(|i| i % 4).collect();
    let mut values = Vec::new();
    for (row, &label) in noise.iter().zip(&labels) {
        let mut corner = 0;
        for (at, value) in row.iter().enumerate() {
            // Of the four pixels of the patch the class's own is bright.
            let bright = inside(at) && {
                corner += 1;
                corner - 1 == label
            };
            let value = if inside(at) {
                0.5 * value + 2.0 * f32::from(u8::from(bright))
            } else {
                *value
            };
            values.push(value);
        }
    }
    let x = Tensor::from_vec(values, (n, 1, side, side), &Device::Cpu).unwrap();
    let data = Dataset::new("patches", x)
        .unwrap()
        .given(Condition::Class(labels))
        .unwrap();
    let rows: Vec<u32> = (0..n as u32).collect();
    let (learn, test) = (
        data.subset(&rows[..12_000]).unwrap(),
        data.subset(&rows[12_000..]).unwrap(),
    );
    let config = MlpConfig {
        width: 128,
        layers: 3,
        condition: Some(ConditionKind::Class { classes: 4 }),
        ..Default::default()
    };
    let gaussian = learn.gaussian().unwrap();
    let net = Mlp::new(&config, &gaussian, data.shape(), &Device::Cpu).unwrap();
    let how = TrainConfig {
        steps: Some(3000),
        batch: 256,
        condition_dropout: 0.5,
        log_snr: Logistic::new(0.0, 2.0, 5.0).ok(),
        ..Default::default()
    };
    train(&net, &learn, &how).unwrap();
    let found = attribution(&net, &test).unwrap();
    let patch: Vec<bool> = (0..side * side).map(inside).collect();
    for readout in [Readout::Mean, Readout::Orthogonal] {
        let all = found.information(readout).unwrap();
        let own = found.region(&patch, readout).unwrap();
        println!("{readout:?}: {all}, in the patch {own}");
        assert!(own.nats > 0.95 * all.nats, "{readout:?}: {own} of {all}");
        assert!((own.nats - 4f64.ln()).abs() < 0.1, "{own}");
    }
}

#[test]
fn what_cannot_be_attributed_is_refused() {
    let (mixture, data) = four(40);
    let net = mixture.denoiser(&[3]).unwrap();
    let refused = |data: &Dataset, config: AttributionConfig| {
        attribution_with(&net, data, &config)
            .unwrap_err()
            .to_string()
    };
    let untold = Dataset::new("untold", data.x.clone()).unwrap();
    assert!(refused(&untold, wide()).contains("no conditions"));
    let classes = data.clone().given(Condition::Class(vec![7; 40])).unwrap();
    assert!(refused(&classes, wide()).contains("8 classes"));
    let against = |y| AttributionConfig {
        without: Without::Other(y),
        ..wide()
    };
    assert!(refused(&data, against(Condition::Class(vec![0, 1]))).contains("2 conditions"));
    assert!(refused(&data, against(Condition::Class(vec![4]))).contains("5 classes"));
    let few = AttributionConfig {
        count: 2,
        ..Default::default()
    };
    assert!(refused(&data, few).contains("count"));
    let none = AttributionConfig { draws: 0, ..wide() };
    assert!(refused(&data, none).contains("draws"));
    let found = attribution(&net, &data).unwrap();
    assert!(found.maps(Readout::Scaled).is_err());
    let region = found.region(&[true; 4], Readout::Mean).unwrap_err();
    assert!(region.to_string().contains("[3]"), "{region}");
    let shares = |shares: &[f64]| AttributionConfig {
        without: Without::Classes(shares.to_vec()),
        ..wide()
    };
    for bad in [&[][..], &[0.5, 0.5], &[0.2; 5], &[0.3, 0.3, 0.4, f64::NAN]] {
        assert!(
            refused(&data, shares(bad)).contains("probabilities"),
            "{bad:?}"
        );
    }
    let backwards = AttributionConfig {
        points: Quadrature::trapezoid(-4.0, 4.0, 9)
            .map(|p| p.shuffled(&mut rng::seeded(0)))
            .ok(),
        ..shares(&[0.25; 4])
    };
    assert!(refused(&data, backwards).contains("ascending"));
}

/// More than the classes' entropy is not told as a fact.
#[test]
fn an_estimate_above_the_entropy_is_flagged() {
    let (mixture, data) = four(300);
    let best = mixture.denoiser(&[3]).unwrap();
    // Exaggerates what the class changes.
    let net = Exaggerated(best);
    let found = attribution(&net, &data).unwrap();
    let told = found.information(Readout::Orthogonal).unwrap();
    assert!(told.nats > 4f64.ln());
    assert!(told.warnings[0].contains("at most 1.386 nats"), "{told}");
    let (direct, orthogonal) = (told.diagnostic("direct"), told.diagnostic("orthogonal"));
    assert!(direct.unwrap() < 0.0 && told.std_err > 0.4 * orthogonal.unwrap());
}

struct Exaggerated<D>(D);

impl<D: Denoiser> Denoiser for Exaggerated<D> {
    fn eps_hat(&self, query: &itd_prelude::denoiser::Query) -> Result<Tensor> {
        let free = itd_prelude::denoiser::Query::new(&query.z, &query.log_snr);
        let free = self.0.eps_hat(&free)?;
        Ok((&free + ((self.0.eps_hat(query)? - &free)? * 3.0)?)?)
    }
    fn shape(&self) -> &[usize] {
        self.0.shape()
    }
    fn condition(&self) -> Option<ConditionKind> {
        self.0.condition()
    }
    fn dtype(&self) -> DType {
        self.0.dtype()
    }
}

/// A network that has learned nothing yet tells nothing, and that is no error.
#[test]
fn without_a_gap_the_map_is_zero() {
    let (_, data) = four(30);
    let net = FnDenoiser::new(&[3], Parametrization::Eps, |query| Ok(query.z.clone()));
    assert!(attribution(&net, &data).is_err()); // takes no condition
    let config = MlpConfig {
        condition: Some(ConditionKind::Class { classes: 4 }),
        ..Default::default()
    };
    let net = Mlp::new(&config, &data.gaussian().unwrap(), &[3], &Device::Cpu).unwrap();
    let found = attribution(&net, &data).unwrap();
    assert_eq!(found.information(Readout::Mean).unwrap().nats, 0.0);
}

/// The network that comes with the notebooks, on digits that it was not trained on.
fn digits_net() -> (UNet, Split) {
    let weights = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../notebooks/weights/digits_classes.safetensors"
    );
    let net = UNet::load(weights, &Device::Cpu).unwrap();
    (net, digits().unwrap())
}

/// Between what a classifier proves and what there is to tell: `ln K − CE ≤ I ≤ ln K`.
#[test]
fn digits_tell_their_class() {
    let (net, data) = digits_net();
    let test = data.dequantize(0).unwrap().test.take(100).unwrap();
    let config = AttributionConfig {
        points: Quadrature::trapezoid(-9.0, 13.0, 60).ok(),
        draws: 1,
        without: Without::classes(10),
        ..Default::default()
    };
    let found = attribution_with(&net, &test, &config).unwrap();
    let posterior = found.posterior.as_ref().unwrap();
    let ce = posterior.cross_entropy();
    println!("accuracy {:.3}, cross-entropy {ce}", posterior.accuracy());
    assert!(posterior.accuracy() > 0.94);
    for readout in [Readout::Mean, Readout::Orthogonal] {
        let told = found.information(readout).unwrap();
        println!("{readout:?}: {told}");
        let (low, high) = (10f64.ln() - ce.nats, 10f64.ln());
        assert!(
            told.nats > low - 2.0 * ce.std_err - 2.0 * told.std_err,
            "{told}"
        );
        assert!(told.nats < high + 2.0 * told.std_err, "{told}");
    }
}

/// The share of pictures whose class the nearest training picture still tells, while more and more pixels are taken out in
/// some order; the mean over the shares of pixels that are out.
fn deletion(data: &Split, test: &Dataset, orders: &[Vec<usize>]) -> f64 {
    let rows = |data: &Dataset| data.flat().unwrap().to_vec2::<f32>().unwrap();
    let (known, labels) = (rows(&data.train), data.train.labels().unwrap());
    let mean: Vec<f32> = (0..64)
        .map(|j| known.iter().map(|row| row[j]).sum::<f32>() / known.len() as f32)
        .collect();
    let mut shares = Vec::new();
    for out in (0..=64).step_by(4) {
        let right = rows(test)
            .into_iter()
            .zip(orders)
            .zip(test.labels().unwrap());
        let right = right.filter(|((row, order), label)| {
            let mut row = row.clone();
            order[..out].iter().for_each(|&at| row[at] = mean[at]);
            let far = |one: &Vec<f32>| -> f32 {
                one.iter().zip(&row).map(|(a, b)| (a - b) * (a - b)).sum()
            };
            let nearest = known
                .iter()
                .zip(labels)
                .min_by(|a, b| far(a.0).total_cmp(&far(b.0)));
            nearest.unwrap().1 == *label
        });
        shares.push(right.count() as f64 / test.len() as f64);
    }
    stats::mean(&shares)
}

/// The pixels that tell most are those without which the class is lost first. The class is decided by a log-SNR of 2; beyond,
/// only the network's errors are added.
#[test]
fn without_the_pixels_that_tell_the_class_is_lost_soonest() {
    let (net, data) = digits_net();
    let test = data.test.take(200).unwrap();
    let config = AttributionConfig {
        points: Quadrature::trapezoid(-9.0, 2.0, 40).ok(),
        draws: 8,
        ..Default::default()
    };
    let found = attribution_with(&net, &test, &config).unwrap();
    let own = deletion(&data, &test, &found.ranked(Readout::Mean).unwrap());
    let mut rng = rng::seeded(0);
    let any: Vec<Vec<usize>> = (0..200)
        .map(|_| {
            rng::permutation(64, &mut rng)
                .into_iter()
                .map(|i| i as usize)
                .collect()
        })
        .collect();
    let by_chance = deletion(&data, &test, &any);
    let [gradient, occlusion] =
        by_regression(&data, &test).map(|orders| deletion(&data, &test, &orders));
    println!(
        "area: {own:.3}; by chance {by_chance:.3}, gradient × input {gradient:.3}, occlusion {occlusion:.3}"
    );
    assert!(own < by_chance && own < gradient && own < occlusion);
}

/// Orders of pixels by a softmax regression: its gradient times the input, and what it loses without a pixel.
fn by_regression(data: &Split, test: &Dataset) -> [Vec<Vec<usize>>; 2] {
    let rows = |data: &Dataset| data.flat().unwrap().to_vec2::<f32>().unwrap();
    let (train, labels) = (rows(&data.train), data.train.labels().unwrap());
    let mean: Vec<f64> = (0..64)
        .map(|j| train.iter().map(|row| f64::from(row[j])).sum::<f64>() / train.len() as f64)
        .collect();
    let centred = |row: &Vec<f32>| -> Vec<f64> {
        row.iter()
            .zip(&mean)
            .map(|(x, mean)| f64::from(*x) - mean)
            .collect()
    };
    let mut weights = Array2::<f64>::zeros((10, 65));
    let probs = |weights: &Array2<f64>, x: &[f64]| -> Vec<f64> {
        let score = |c: usize| {
            weights[[c, 64]]
                + x.iter()
                    .enumerate()
                    .map(|(j, x)| weights[[c, j]] * x)
                    .sum::<f64>()
        };
        let scores: Vec<f64> = (0..10).map(score).collect();
        let all = stats::log_sum_exp(&scores);
        scores
            .into_iter()
            .map(|score| (score - all).exp())
            .collect()
    };
    let inputs: Vec<Vec<f64>> = train.iter().map(centred).collect();
    for _ in 0..200 {
        let mut slope = Array2::<f64>::zeros((10, 65));
        for (x, &label) in inputs.iter().zip(labels) {
            for (c, p) in probs(&weights, x).into_iter().enumerate() {
                let error = p - f64::from(u8::from(c == label as usize));
                x.iter()
                    .enumerate()
                    .for_each(|(j, x)| slope[[c, j]] += error * x);
                slope[[c, 64]] += error;
            }
        }
        weights = weights - slope * (1.0 / inputs.len() as f64);
    }
    let order = |worth: Vec<f64>| {
        let mut places: Vec<usize> = (0..64).collect();
        places.sort_by(|&a, &b| worth[b].total_cmp(&worth[a]));
        places
    };
    let (mut gradient, mut occlusion) = (Vec::new(), Vec::new());
    for (row, &label) in rows(test).iter().zip(test.labels().unwrap()) {
        let (x, label) = (centred(row), label as usize);
        let p = probs(&weights, &x);
        let slope =
            |j: usize| weights[[label, j]] - (0..10).map(|c| p[c] * weights[[c, j]]).sum::<f64>();
        gradient.push(order((0..64).map(|j| slope(j) * x[j]).collect()));
        let lost = |j: usize| {
            let mut without = x.clone();
            without[j] = 0.0;
            p[label].ln() - probs(&weights, &without)[label].ln()
        };
        occlusion.push(order((0..64).map(lost).collect()));
    }
    [gradient, occlusion]
}
