//! A curve in parts is the curve, bit for bit; anything else is refused by name.

mod files;

use std::fs;
use std::path::Path;

use files::Folder;
use itd_prelude::curve::{PartialCurve, Shard, ShardBy, merge_shards, mse_curve_shard};
use itd_prelude::data::ConditionKind;
use itd_prelude::denoiser::Trainable as _;
use itd_prelude::distribution::{LinearDenoiser, MixtureDenoiser};
use itd_prelude::io::{merge_folder, mse_curve_shard_to};
use itd_prelude::logsnr::Rule;
use itd_prelude::prelude::*;
use itd_prelude::{
    curve::Conditioning, denoiser::FnDenoiser, denoiser::Parametrization, denoiser::Query,
};

fn points(k: usize) -> Quadrature {
    Logistic::new(0.0, 2.0, 4.0).unwrap().quadrature(k).unwrap()
}

fn standard() -> LinearDenoiser {
    Gaussian::standard(2).unwrap().denoiser(&[2]).unwrap()
}

fn mixture() -> MixtureDenoiser {
    let covariance = [[0.3, 0.1], [0.1, 0.2]];
    let part = |weight, mean: [f64; 2]| (weight, Gaussian::new(&mean, &covariance).unwrap());
    let parts = [part(1.0, [1.0, 0.5]), part(2.0, [-1.0, 0.0])];
    Mixture::new(&parts).unwrap().denoiser(&[2]).unwrap()
}

/// A network whose last layer is not 0 any more, as if it had been trained.
fn mlp(dim: usize) -> Mlp {
    let config = MlpConfig {
        width: 48,
        layers: 2,
        ..Default::default()
    };
    let net = Mlp::new(
        &config,
        &Gaussian::standard(dim).unwrap(),
        &[dim],
        &Device::Cpu,
    )
    .unwrap();
    let mut rng = rng::seeded(11);
    for var in net.vars() {
        let noise = (rng::normal(var.dims(), &mut rng).unwrap() * 0.1).unwrap();
        var.set(&(var.as_tensor() + noise).unwrap()).unwrap();
    }
    net
}

fn normal(n: usize, dim: usize) -> Dataset {
    Dataset::new(
        "normal",
        rng::normal(&[n, dim], &mut rng::seeded(8)).unwrap(),
    )
    .unwrap()
}

/// All fields of a curve, as bits.
type Bits = (Vec<u64>, Vec<u64>, Rule, usize, usize, String);

fn bits(curve: &MseCurve) -> Bits {
    let points = &curve.points;
    let ends = vec![points.interval.0, points.interval.1];
    let lists = [
        &points.log_snr,
        &points.weight,
        &curve.mse,
        &curve.std_err,
        &ends,
    ];
    let errors = curve.errors.as_ref().unwrap();
    assert_eq!(errors.dim(), (curve.n, points.len()));
    (
        lists.into_iter().flatten().map(|v| v.to_bits()).collect(),
        errors.iter().map(|v| v.to_bits()).collect(),
        points.rule,
        curve.n,
        curve.dim,
        curve.data.clone().unwrap(),
    )
}

fn config(batch: usize) -> CurveConfig {
    CurveConfig {
        batch,
        ..Default::default()
    }
}

fn seeded(batch: usize, seed: u64) -> CurveConfig {
    CurveConfig {
        seed,
        ..config(batch)
    }
}

fn in_parts(
    net: &dyn Denoiser,
    data: &Dataset,
    alphas: &Quadrature,
    config: &CurveConfig,
    (count, by): (usize, ShardBy),
) -> Result<Vec<PartialCurve>> {
    let shards = (1..=count).map(|index| Ok(Shard::new(index, count)?.by(by)));
    shards
        .map(|shard: Result<Shard>| mse_curve_shard(net, data, alphas, config, shard?))
        .collect()
}

#[test]
fn any_complete_set_of_shards_is_the_curve() {
    let gaussian = standard();
    let (mixture, small, large) = (mixture(), mlp(2), mlp(600));
    let nets: [(&str, &dyn Denoiser); 4] = [
        ("Gaussian", &gaussian),
        ("mixture", &mixture),
        ("small network", &small),
        ("large network", &large),
    ];
    let mut merged = 0;
    for (name, net) in nets {
        let data = normal(61, net.dim());
        for (k, batch, draws, clamp) in [
            (7, 40, 1, None),
            (7, 3, 2, Some((-2.5, 2.5))),
            (23, 5, 1, None),
        ] {
            let alphas = points(k);
            let config = CurveConfig {
                batch,
                draws,
                clamp,
                seed: 5,
                ..Default::default()
            };
            let whole = mse_curve_with(net, &data, &alphas, &config).unwrap();
            for by in [ShardBy::Both, ShardBy::Images, ShardBy::Points] {
                for count in [1, 2, 3, 5, 16] {
                    let Ok(mut parts) = in_parts(net, &data, &alphas, &config, (count, by)) else {
                        // More shards than batches or chunks of points.
                        assert!(by == ShardBy::Points || count == 16, "{by:?} {count}");
                        continue;
                    };
                    let order = rng::permutation(count, &mut rng::seeded(count as u64));
                    parts.sort_by_key(|part| order[part.shard.index - 1]);
                    let curve = merge_shards(parts).unwrap();
                    assert!(
                        bits(&curve) == bits(&whole),
                        "{name}, {k}, {batch}, {by:?}, {count}"
                    );
                    merged += 1;
                }
            }
        }
    }
    assert!(merged > 120, "{merged}");
}

#[test]
fn the_batch_changes_nothing() {
    let gaussian = standard();
    let (mixture, mlp) = (mixture(), mlp(2));
    let data = normal(50, 2);
    let nets: [(&str, &dyn Denoiser); 3] = [
        ("Gaussian", &gaussian),
        ("mixture", &mixture),
        ("network", &mlp),
    ];
    for (name, net) in nets {
        let curve = |batch| {
            let config = CurveConfig {
                draws: 2,
                seed: 1,
                ..config(batch)
            };
            mse_curve_with(net, &data, &points(13), &config).unwrap()
        };
        let known = bits(&curve(4096));
        for batch in [1, 7, 64, 200] {
            let curve = curve(batch);
            // A product of one row is added up in another order than one of several.
            if batch == 1 && name == "network" {
                for (a, b) in curve.errors.unwrap().iter().zip(&known.1) {
                    let b = f64::from_bits(*b);
                    assert!((a - b).abs() < 1e-5 * b.max(1.0), "{a} {b}");
                }
            } else {
                assert!(bits(&curve) == known, "{name}, {batch}");
            }
        }
    }
}

#[test]
fn defaults_are_those_of_a_whole_curve() {
    let (net, data, alphas) = (mixture(), normal(300, 2), points(40));
    let config = CurveConfig::default();
    let part = mse_curve_shard(&net, &data, &alphas, &config, Shard::WHOLE);
    let merged = merge_shards(vec![part.unwrap()]).unwrap();
    assert!(bits(&merged) == bits(&mse_curve(&net, &data, &alphas).unwrap()));
}

/// Measures shards into a folder.
fn fill(folder: &Path, indices: &[usize], count: usize, seed: u64) {
    let (net, data, alphas) = (mixture(), normal(20, 2), points(6));
    for &index in indices {
        let shard = Shard::new(index, count).unwrap();
        let config = seeded(10, seed);
        let part = mse_curve_shard_to(folder, &net, &data, &alphas, &config, shard);
        assert_eq!(part.unwrap().file.unwrap(), folder.join(shard.file_name()));
    }
}

fn refused(folder: &Path) -> String {
    merge_folder(folder).unwrap_err().to_string()
}

#[test]
fn files_bring_back_every_bit() {
    let folder = Folder::new("shards");
    for (count, draws, clamp, by) in [
        (5, 1, None, ShardBy::Both),
        (3, 2, Some((f64::NEG_INFINITY, 1.0 / 3.0)), ShardBy::Images),
        (2, 1, None, ShardBy::Points),
    ] {
        let (net, data, alphas) = (mixture(), normal(20, 2), points(6));
        let config = CurveConfig {
            batch: 3,
            draws,
            clamp,
            seed: 9,
            ..Default::default()
        };
        let into = folder.0.join(format!("by-{by:?}"));
        for index in (1..=count).rev() {
            let shard = Shard::new(index, count).unwrap().by(by);
            let part = mse_curve_shard_to(&into, &net, &data, &alphas, &config, shard).unwrap();
            let read = PartialCurve::load(into.join(shard.file_name())).unwrap();
            assert_eq!((&read.spec, read.shard), (&part.spec, part.shard));
            assert_eq!((read.error, read.noise), (part.error, part.noise));
        }
        let whole = mse_curve_with(&net, &data, &alphas, &config).unwrap();
        assert!(bits(&merge_folder(&into).unwrap()) == bits(&whole));
    }
}

#[test]
fn missing_and_doubled_shards_are_named() {
    let folder = Folder::new("missing");
    fill(&folder.0, &[1, 2, 4, 5, 6], 7, 0);
    let text = refused(&folder.0);
    assert!(
        text.starts_with("shards 3 and 7 of 7 are missing"),
        "{text}"
    );
    fill(&folder.0, &[3, 7], 7, 0);
    assert_eq!(merge_folder(&folder.0).unwrap().n, 20);
    let (one, copy) = ("part-004-of-007.parquet", "part-004-of-007-copy.parquet");
    fs::copy(folder.0.join(one), folder.0.join(copy)).unwrap();
    let text = refused(&folder.0);
    assert!(text.contains(one) && text.contains(copy), "{text}");
    assert!(text.contains("shard 4 of 7"), "{text}");
    let empty = Folder::new("empty");
    let text = refused(&empty.0);
    assert!(text.contains("no parts of a curve in"), "{text}");
    let none: &[&str] = &[];
    assert!(io::merge_files(none).is_err());
    assert!(refused(&empty.0.join("nowhere")).contains("nowhere"));
}

#[test]
fn parts_of_another_run_are_told_apart() {
    let (net, data, alphas) = (mixture(), normal(20, 2), points(6));
    let first = Shard::new(1, 2).unwrap();
    let second = Shard::new(2, 2).unwrap();
    let part = mse_curve_shard(&net, &data, &alphas, &config(10), first).unwrap();
    let refused = |other: Result<PartialCurve>| {
        let error = merge_shards(vec![part.clone(), other.unwrap()]).unwrap_err();
        assert_eq!(error.name(), "Mismatch");
        error.to_string()
    };
    let same = mse_curve_shard(&net, &data, &alphas, &config(10), second);
    assert!(merge_shards(vec![part.clone(), same.unwrap()]).is_ok());
    let begins = |text: String, start: &str| assert!(text.starts_with(start), "{text}");

    let mut moved = alphas.clone();
    moved.log_snr[3] = f64::from_bits(moved.log_snr[3].to_bits() + 1);
    let other = mse_curve_shard(&net, &data, &moved, &config(10), second);
    begins(refused(other), "the points of two parts do not fit");
    let fewer = data.take(19).unwrap();
    let other = mse_curve_shard(&net, &fewer, &alphas, &config(10), second);
    begins(refused(other), "the numbers of samples of two parts");
    let order: Vec<u32> = (0..20).rev().collect();
    let turned = data.subset(&order).unwrap();
    let other = mse_curve_shard(&net, &turned, &alphas, &config(10), second);
    begins(refused(other), "the data of two parts");
    let draws = CurveConfig {
        draws: 2,
        ..config(10)
    };
    let other = mse_curve_shard(&net, &data, &alphas, &draws, second);
    begins(
        refused(other),
        "the draws of two parts do not fit: 1 in shard 1 of 2",
    );
    let clamp = CurveConfig {
        clamp: Some((-1.0, 1.0)),
        ..config(10)
    };
    let other = mse_curve_shard(&net, &data, &alphas, &clamp, second);
    begins(
        refused(other),
        "the clamps of two parts do not fit: none in shard 1 of 2",
    );
    let other = mse_curve_shard(&net, &data, &alphas, &config(11), second);
    begins(refused(other), "the batches of two parts");
    let other = mse_curve_shard(&net, &data, &alphas, &seeded(10, 1), second);
    begins(refused(other), "the noise keys of two parts");
    let gaussian = standard();
    let other = mse_curve_shard(&gaussian, &data, &alphas, &config(10), second);
    begins(refused(other), "the networks of two parts");
    let third = Shard::new(3, 3).unwrap();
    let other = mse_curve_shard(&net, &data, &alphas, &config(10), third);
    begins(refused(other), "the numbers of shards of two parts");
    let images = second.by(ShardBy::Images);
    let other = mse_curve_shard(&net, &data, &alphas, &config(10), images);
    begins(refused(other), "the numbers of shards of two parts");
    let mut broken = part.clone();
    broken.shard = second;
    broken.error[2].pop();
    begins(refused(Ok(broken)), "the shard and its lists");
}

#[test]
fn a_curve_that_was_told_conditions_is_another() {
    let classes = Condition::Class((0..20).map(|i| i % 2).collect());
    let (data, alphas) = (normal(20, 2).given(classes).unwrap(), points(6));
    // It could be told the class, and takes no notice of it: all else is the same.
    let net = FnDenoiser::new(&[2], Parametrization::Eps, |query| Ok(query.z.clone()))
        .given(ConditionKind::Class { classes: 2 });
    let part = |index, conditioning| {
        let config = CurveConfig {
            conditioning,
            ..config(10)
        };
        mse_curve_shard(&net, &data, &alphas, &config, Shard::new(index, 2).unwrap()).unwrap()
    };
    let told = part(2, Conditioning::Conditional);
    let error = merge_shards(vec![part(1, Conditioning::Unconditional), told.clone()]).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("the conditioning of two parts"), "{text}");
    assert!(merge_shards(vec![part(1, Conditioning::Conditional), told]).is_ok());
}

#[test]
fn what_is_there_is_not_measured_again() {
    struct Never(MixtureDenoiser, std::sync::atomic::AtomicUsize);
    impl Denoiser for Never {
        fn eps_hat(&self, query: &Query) -> Result<Tensor> {
            self.1
                .fetch_add(query.len(), std::sync::atomic::Ordering::Relaxed);
            self.0.denoise(query)
        }
        fn shape(&self) -> &[usize] {
            self.0.shape()
        }
        fn dtype(&self) -> candle::DType {
            self.0.dtype()
        }
    }
    let folder = Folder::new("resume");
    fill(&folder.0, &[1, 3], 4, 0);
    let before = fs::read(folder.0.join("part-003-of-004.parquet")).unwrap();
    let (net, data, alphas) = (Never(mixture(), 0.into()), normal(20, 2), points(6));
    let measure = |index, seed| {
        let shard = Shard::new(index, 4).unwrap();
        net.1.store(0, std::sync::atomic::Ordering::Relaxed);
        let part = mse_curve_shard_to(&folder.0, &net, &data, &alphas, &seeded(10, seed), shard);
        let seen = net.1.load(std::sync::atomic::Ordering::Relaxed);
        (part.map_err(|error| error.to_string()), seen)
    };
    // Three evaluations tell that it is the same network.
    let (part, seen) = measure(3, 0);
    assert_eq!((part.unwrap().shard.index, seen), (3, 3));
    let (part, seen) = measure(2, 0);
    assert_eq!((part.unwrap().shard.index, seen), (2, 3 + 20 * 6 / 4));
    // What is there of another run stays.
    let (part, seen) = measure(3, 1);
    let text = part.unwrap_err();
    assert!(text.starts_with("the noise keys") && seen == 3, "{text}");
    assert_eq!(
        fs::read(folder.0.join("part-003-of-004.parquet")).unwrap(),
        before
    );
    // So does what is under another shard's name, and what is no part.
    fs::rename(
        folder.0.join("part-003-of-004.parquet"),
        folder.0.join("part-004-of-004.parquet"),
    )
    .unwrap();
    let text = measure(4, 0).0.unwrap_err();
    assert!(text.contains("it holds shard 3/4, not 4/4"), "{text}");
    let path = folder.write("part-003-of-004.parquet", &before[..before.len() / 2]);
    let text = measure(3, 0).0.unwrap_err();
    assert!(text.contains("part-003-of-004.parquet"), "{text}");
    assert_eq!(fs::read(path).unwrap(), before[..before.len() / 2]);
    // Nothing unfinished lies about.
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 4);
}

#[test]
fn files_that_are_cut_off_or_altered_are_refused() {
    let folder = Folder::new("altered");
    fill(&folder.0, &[1, 2], 2, 0);
    let path = folder.0.join("part-002-of-002.parquet");
    let whole = fs::read(&path).unwrap();
    let steps = whole.len() / 60 + 1;
    for at in (0..whole.len()).step_by(steps) {
        fs::write(&path, &whole[..at]).unwrap();
        let text = refused(&folder.0);
        assert!(text.contains("part-002-of-002.parquet"), "{at}: {text}");
        let mut altered = whole.clone();
        altered[at] ^= 16;
        fs::write(&path, &altered).unwrap();
        // The mark of the check sum may be what was altered; the numbers are right then.
        match merge_folder(&folder.0) {
            Ok(curve) => {
                fs::write(&path, &whole).unwrap();
                assert!(
                    bits(&curve) == bits(&merge_folder(&folder.0).unwrap()),
                    "{at}"
                );
            }
            Err(error) => assert!(error.to_string().contains("part-002"), "{at}: {error}"),
        }
    }
}

#[test]
fn tables_that_claim_too_much_are_refused() {
    let folder = Folder::new("claims");
    let (net, data, alphas) = (mixture(), normal(20, 2), points(6));
    let shard = Shard::new(1, 2).unwrap();
    let part = mse_curve_shard(&net, &data, &alphas, &config(10), shard).unwrap();
    let good = part.to_frame().unwrap();
    let path = folder.0.join("part-001-of-002.parquet");
    let claim = |column: &str, value: i64| {
        let mut frame = good.clone();
        frame
            .with_column(pl::Column::new(column.into(), vec![value; 6]))
            .unwrap();
        io::write(&path, &frame).unwrap();
        let text = PartialCurve::load(&path).unwrap_err().to_string();
        assert!(text.contains("part-001-of-002.parquet"), "{text}");
        text
    };
    for value in [0, -1, 19, 1 << 40, i64::MAX] {
        claim("n", value);
        claim("points", value);
        claim("shards", value);
        // The first shard begins with sample 0.
        if value != 0 {
            claim("first", value);
        }
    }
    for column in [
        "dim",
        "draws",
        "batch",
        "shard",
        "error",
        "key",
        "fingerprint",
        "conditioning",
    ] {
        for value in [0, -1] {
            claim(column, value);
        }
    }
    let mut frame = good.clone();
    frame
        .with_column(pl::Column::new("by".into(), vec!["moons"; 6]))
        .unwrap();
    io::write(&path, &frame).unwrap();
    let text = PartialCurve::load(&path).unwrap_err().to_string();
    assert!(text.contains("no cut by \"moons\""), "{text}");
    io::write(&path, &good).unwrap();
    assert!(PartialCurve::load(&path).is_ok());
}

#[test]
fn more_shards_than_batches_are_refused_with_advice() {
    let (net, data, alphas) = (mixture(), normal(20, 2), points(6));
    let shard = Shard::new(1, 16).unwrap();
    let error = mse_curve_shard(&net, &data, &alphas, &config(4096), shard).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("16 shards against 1 batch of 20 samples"),
        "{text}"
    );
    assert!(text.contains("one of 7 makes enough"), "{text}");
    assert!(mse_curve_shard(&net, &data, &alphas, &config(7), shard).is_ok());
}
