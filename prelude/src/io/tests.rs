use std::fs;
use std::path::PathBuf;
use std::process::Command;

use polars::prelude::{Column, DataFrame, NamedFrom, ParquetWriter, Series};
use rand::Rng as _;

use super::*;
use crate::estimate::Estimate;
use ndarray::Array2;

use crate::curve::MseCurve;
use crate::logsnr::{Quadrature, Rule};
use crate::rng;
use crate::train::{Baseline, Fit, Quantity};

/// Numbers that lose their last bits easily.
const AWKWARD: [f64; 8] = [
    0.1,
    1.0 / 3.0,
    f64::MIN_POSITIVE,
    5e-324,
    f64::MAX,
    -0.0,
    9_007_199_254_740_993.0,
    -1.234_567_890_123_456_7e-200,
];

const ENDS: [&str; 3] = ["csv", "parquet", "npz"];

fn file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("itd-io-{}-{name}", std::process::id()))
}

/// Points whose weights are any numbers: what a table holds, it gives back.
fn points(log_snr: Vec<f64>, weight: Vec<f64>, rule: Rule) -> Quadrature {
    let ends = (log_snr[0], log_snr[log_snr.len() - 1]);
    Quadrature {
        log_snr,
        weight,
        rule,
        interval: (ends.0.min(0.0), ends.1.max(1.0)),
    }
}

/// Values that rise, as the points of a fixed rule do.
fn rising() -> Vec<f64> {
    let mut values = AWKWARD.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

fn exact() -> MseCurve {
    MseCurve {
        points: points(
            rising(),
            AWKWARD.iter().rev().copied().collect(),
            Rule::Trapezoid,
        ),
        mse: AWKWARD.map(|v| v * 0.7).to_vec(),
        std_err: vec![0.0; 8],
        errors: None,
        n: 0,
        dim: 3,
        data: None,
    }
}

fn sampled(n: usize, k: usize) -> MseCurve {
    let mut rng = rng::seeded(0);
    let mut list = |len: usize| -> Vec<f64> { (0..len).map(|_| rng.random()).collect() };
    let std_err = match n {
        1 => vec![f64::NAN; k],
        _ => list(k),
    };
    MseCurve {
        points: points(list(k), list(k), Rule::Draws),
        mse: list(k),
        std_err,
        errors: Some(Array2::from_shape_vec((n, k), list(n * k)).unwrap()),
        n,
        dim: 64,
        data: Some("a digest".into()),
    }
}

fn bits(curve: &MseCurve) -> (Vec<u64>, Rule, usize, usize, Option<String>) {
    let points = &curve.points;
    let ends = vec![points.interval.0, points.interval.1];
    let errors: Vec<f64> = curve.errors.iter().flatten().copied().collect();
    let floats = [
        &points.log_snr,
        &points.weight,
        &curve.mse,
        &curve.std_err,
        &ends,
        &errors,
    ];
    (
        floats.into_iter().flatten().map(|v| v.to_bits()).collect(),
        points.rule,
        curve.n,
        curve.dim,
        curve.data.clone(),
    )
}

fn estimates() -> Vec<(String, Estimate)> {
    let names = [
        "a",
        "01",
        "x, \"y\"",
        "two\nlines",
        " U-Net ",
        "N(μ, Σ) 🦀",
        "null",
        "NaN",
    ];
    let estimate = |(i, nats): (usize, &f64)| {
        let std_err = if i == 3 { f64::NAN } else { nats.abs() };
        let estimate = Estimate::new(*nats, std_err, i * 1000);
        if i == 5 {
            estimate
        } else {
            estimate.of_dim(i + 1)
        }
    };
    let estimates = AWKWARD.iter().enumerate().map(estimate);
    names
        .map(str::to_owned)
        .into_iter()
        .zip(estimates)
        .collect()
}

fn quantity() -> Quantity {
    Quantity {
        label: "loss (nats)".into(),
        unit: " nats".into(),
        digits: 2,
    }
}

fn fit() -> Fit {
    Fit {
        loss: AWKWARD.to_vec(),
        baseline: Some(Baseline {
            name: "N(μ, Σ)".into(),
            loss: -17.3,
            held_out: None,
        }),
        planned: 1000,
        batch: 128,
        samples: 1797,
        seconds: 0.1 + 0.2,
        quantity: quantity(),
        grad_norm: AWKWARD.to_vec(),
        learning_rate: AWKWARD.to_vec(),
        elapsed: AWKWARD.to_vec(),
        ..Default::default()
    }
}

fn round_trip<T: ToFrame + FromFrame>(value: &T, name: &str) -> T {
    let path = file(name);
    write(&path, value).unwrap();
    let read = read(&path);
    fs::remove_file(&path).unwrap();
    read.unwrap()
}

#[test]
fn curves_come_back_bit_for_bit() {
    for end in ENDS {
        let read = round_trip(&exact(), &format!("exact.{end}"));
        assert_eq!(bits(&read), bits(&exact()), "{end}");
    }
    for (n, k) in [(1, 4), (7, 5), (40, 1)] {
        for end in ["parquet", "npz"] {
            let read = round_trip(&sampled(n, k), &format!("sampled-{n}.{end}"));
            assert_eq!(bits(&read), bits(&sampled(n, k)), "{n} × {k}, {end}");
        }
    }
}

#[test]
fn estimates_and_logs_come_back_bit_for_bit() {
    for end in ENDS {
        let read = round_trip(&estimates(), &format!("estimates.{end}"));
        assert_eq!(read.len(), 8);
        for ((name, read), (known_name, known)) in read.iter().zip(&estimates()) {
            assert_eq!(name, known_name, "{end}");
            assert_eq!((read.n, read.dim), (known.n, known.dim));
            assert_eq!(read.nats.to_bits(), known.nats.to_bits(), "{end}");
            let same = read.std_err.to_bits() == known.std_err.to_bits();
            assert!(
                same || read.std_err.is_nan() && known.std_err.is_nan(),
                "{end}"
            );
        }
        let read = round_trip(&fit(), &format!("fit.{end}"));
        let bits = |fit: &Fit| -> Vec<u64> {
            let lists = [&fit.loss, &fit.grad_norm, &fit.learning_rate, &fit.elapsed];
            lists.into_iter().flatten().map(|v| v.to_bits()).collect()
        };
        assert_eq!(bits(&read), bits(&fit()), "{end}");
        assert_eq!((read.planned, read.batch, read.samples), (1000, 128, 1797));
        assert_eq!(read.quantity, quantity());
        let baseline = read.baseline.unwrap();
        assert_eq!((baseline.loss, read.seconds), (-17.3, 0.1 + 0.2));
        assert_eq!(baseline.name, "N(μ, Σ)");
    }
}

#[test]
fn csv_takes_the_means_of_a_curve_but_not_the_curve() {
    let path = file("means.csv");
    let error = write(&path, &sampled(7, 5)).unwrap_err().to_string();
    assert!(
        error.contains("column errors") && error.contains(".npz"),
        "{error}"
    );
    assert!(!path.exists());
    write(
        &path,
        &sampled(7, 5).to_frame().unwrap().drop("errors").unwrap(),
    )
    .unwrap();
    // Without the errors of single samples it is a curve still, of as many samples.
    let curve: MseCurve = read(&path).unwrap();
    assert!(curve.n == 7 && curve.errors.is_none() && !curve.is_exact());
    let frame: DataFrame = read(&path).unwrap();
    let means: Vec<f64> = frame
        .column("mse")
        .unwrap()
        .f64()
        .unwrap()
        .into_no_null_iter()
        .collect();
    assert_eq!(means, sampled(7, 5).mse);
    fs::remove_file(&path).unwrap();
}

#[test]
fn what_does_not_fit_is_not_read() {
    let path = file("huge.csv");
    // A file that is all hole takes no room on the disk.
    let huge = fs::File::create(&path).unwrap();
    if huge.set_len(1 << 42).is_ok() {
        let error = read::<DataFrame>(&path).unwrap_err();
        assert!(matches!(error, Error::Memory { .. }), "{error}");
        assert!(error.to_string().contains("huge.csv"), "{error}");
    }
    fs::remove_file(&path).unwrap();
    let error = read::<DataFrame>(std::env::temp_dir().join("no such folder/a.csv")).unwrap_err();
    assert!(error.to_string().contains("no such folder"), "{error}");
}

#[test]
fn a_table_made_by_hand_is_read() {
    let path = file("hand.csv");
    // A byte order mark, line ends of two bytes, whole numbers, spaces, another order, a column of one's own.
    let text = "\u{feff}nats,std_err,name,n,dim,remark\r\n2,0,\"U-Net, small\",0,64,mine\r\n -1.5 ,1e-3,b,10,2,\r\n";
    fs::write(&path, text).unwrap();
    let read: Vec<(String, Estimate)> = read(&path).unwrap();
    let known = Estimate::new(-1.5, 1e-3, 10).of_dim(2);
    let exact = ("U-Net, small".to_owned(), Estimate::exact(2.0).of_dim(64));
    assert_eq!(read, [exact, ("b".to_owned(), known)]);
    fs::remove_file(&path).unwrap();
}

#[test]
fn the_name_decides_and_a_failure_leaves_the_old_file() {
    for name in ["curve.txt", "curve", "curve.", ".csv"] {
        let path = Path::new(name);
        for error in [
            write(path, &exact()).unwrap_err(),
            read::<MseCurve>(path).unwrap_err(),
        ] {
            let text = error.to_string();
            assert!(text.contains(".csv, .parquet or .npz"), "{text}");
        }
    }
    let path = file("old.NPZ");
    write(&path, &exact()).unwrap();
    let mut broken = sampled(3, 4);
    broken.mse[2] = f64::NAN;
    let error = write(&path, &broken).unwrap_err().to_string();
    assert!(error.contains("row 2 of column mse is NaN"), "{error}");
    assert!(error.contains("old.NPZ"), "{error}");
    broken.mse.pop();
    assert!(write(&path, &broken).is_err());
    assert_eq!(bits(&read(&path).unwrap()), bits(&exact()));
    fs::remove_file(&path).unwrap();
    let error = read::<Fit>(&path).unwrap_err().to_string();
    assert!(error.contains("old.NPZ"), "{error}");
}

#[test]
fn frames_that_hold_no_such_value_say_why() {
    let whole = sampled(3, 4).to_frame().unwrap();
    let with = |column: Column| {
        let mut frame = whole.clone();
        frame.with_column(column).unwrap();
        MseCurve::from_frame(&frame).unwrap_err().to_string()
    };
    let float = |name: &str, last: f64| Column::new(name.into(), [1.0, 2.0, 3.0, last]);
    for name in ["log_snr", "weight", "mse"] {
        let error = with(float(name, f64::NAN));
        assert!(
            error.contains(&format!("row 3 of column {name} is NaN")),
            "{error}"
        );
        let error = with(Column::new(
            name.into(),
            [Some(1.0), None, Some(1.0), Some(1.0)],
        ));
        assert!(
            error.contains(&format!("row 1 of column {name} is empty")),
            "{error}"
        );
        let error = with(Column::new(name.into(), ["1.0", "2", "x", "4"]));
        assert!(
            error.contains(&format!("row 2 of column {name}")),
            "{error}"
        );
    }
    assert!(with(float("std_err", -1.0)).contains("at least 0"));
    assert!(with(Column::new("n".into(), [3i64, 3, 3, -3])).contains("row 3 of column n"));
    assert!(with(Column::new("n".into(), [3i64, 3, 3, 2])).contains("the same in every row"));
    assert!(with(Column::new("n".into(), [2i64; 4])).contains("it must have 2"));
    assert!(with(Column::new("points".into(), [5i64; 4])).contains("4 points of 5"));
    assert!(with(Column::new("rule".into(), ["simpson"; 4])).contains("midpoint"));
    assert!(with(Column::new("errors".into(), [1.0; 4])).contains("a list of"));
    let list = |last: &[f64]| {
        let mut lists = vec![Series::new("".into(), [1.0, 2.0, 3.0]); 3];
        lists.push(Series::new("".into(), last));
        Column::new("errors".into(), lists)
    };
    assert!(with(list(&[1.0, 2.0])).contains("row 3 of column errors has 2 values"));
    assert!(with(list(&[1.0, 2.0, f64::NAN])).contains("finite"));
    for name in whole.get_column_names() {
        if name == "errors" {
            continue;
        }
        let error = MseCurve::from_frame(&whole.drop(name).unwrap()).unwrap_err();
        assert!(error.to_string().contains(name.as_str()), "{name}: {error}");
    }
    let error = MseCurve::from_frame(&whole.head(Some(3))).unwrap_err();
    assert!(error.to_string().contains("3 points of 4"), "{error}");
    assert!(MseCurve::from_frame(&whole.head(Some(0))).is_err());

    let whole = fit().to_frame().unwrap();
    assert!(Fit::from_frame(&whole.slice(1, 3)).is_err());
    assert!(Fit::from_frame(&whole.head(Some(0))).is_err());
    for unit in ["", " nats", "%", "\"", " \"", " \"x\"", "  x", " "] {
        let mut fit = fit();
        fit.quantity.unit = unit.into();
        let back = Fit::from_frame(&fit.to_frame().unwrap()).unwrap();
        assert_eq!(back.quantity, fit.quantity);
        fit.quantity.digits = 100_000;
        assert!(fit.to_frame().is_err(), "no number has so many digits");
    }
    let fit = Fit {
        loss: Vec::new(),
        ..fit()
    };
    assert!(fit.to_frame().is_err());
    assert!([("", Estimate::exact(1.0))].to_frame().is_err());
    assert!([("x", Estimate::exact(f64::NAN))].to_frame().is_err());
}

/// Small files of each kind, with what they hold.
fn small_files() -> Vec<(&'static str, Vec<u8>)> {
    let table = |end| {
        let path = PathBuf::from(format!("x.{end}"));
        let format = Format::of(&path).unwrap();
        let curve = if end == "csv" { exact() } else { sampled(2, 3) };
        (end, format.encode(curve.to_frame().unwrap()).unwrap())
    };
    let mut files: Vec<_> = ENDS.map(table).into();
    // As others write it: without a check sum.
    let mut bytes = Vec::new();
    let frame = &mut sampled(2, 3).to_frame().unwrap();
    ParquetWriter::new(&mut bytes).finish(frame).unwrap();
    files.push(("parquet", bytes));
    files
}

#[test]
fn a_curve_that_is_cut_off_anywhere_is_refused() {
    for (end, whole) in small_files() {
        let path = file(&format!("cut.{end}"));
        // Of CSV, the last line break alone may be missing.
        for len in 0..whole.len() - usize::from(end == "csv") {
            fs::write(&path, &whole[..len]).unwrap();
            let error = read::<MseCurve>(&path).expect_err(end).to_string();
            assert!(error.contains("cut."), "{error}");
        }
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn altered_files_give_a_value_or_an_error() {
    let mut rng = rng::seeded(7);
    let rounds = std::env::var("ITD_FUZZ_ROUNDS").ok();
    let rounds: usize = rounds.and_then(|text| text.parse().ok()).unwrap_or(500);
    let files = small_files();
    let (mut tried, mut read) = (0, 0);
    for _ in 0..rounds {
        for (kind, whole) in &files {
            let mut bytes = whole.clone();
            for _ in 0..rng.random_range(1..4) {
                let at = rng.random_range(0..bytes.len());
                match rng.random_range(0..5) {
                    0 => bytes[at] ^= 1 << rng.random_range(0..8),
                    1 => bytes[at] = rng.random(),
                    2 => bytes[at] = [0, 0x7f, 0x80, 0xff][rng.random_range(0..4)],
                    3 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, rng.random()),
                }
            }
            let format = Format::of(Path::new(&format!("x.{kind}"))).unwrap();
            tried += 1;
            for text in [true, false] {
                let frame = format.decode(Path::new("x"), bytes.clone(), text);
                if let Ok(curve) = frame.and_then(|frame| MseCurve::from_frame(&frame)) {
                    // What was believed is a curve.
                    curve.check().unwrap();
                    assert!(curve.mse.iter().all(|v| v.is_finite()));
                    read += 1;
                }
            }
        }
    }
    eprintln!("{tried} altered files, {read} readings believed");
    assert!(tried > 100, "{tried}");
}

#[test]
fn numpy_reads_what_is_written_and_writes_what_is_read() {
    let python = |code: &str| Command::new("python3").args(["-c", code]).output();
    if !python("import numpy").is_ok_and(|done| done.status.success()) {
        eprintln!("skipped: python3 has no numpy");
        return;
    }
    let (ours, theirs) = (file("ours.npz"), file("theirs.npz"));
    write(&ours, &sampled(3, 4)).unwrap();
    let code = format!(
        "import numpy as np\n\
         a = np.load({ours:?})\n\
         assert a['errors'].shape == (4, 3) and a['errors'].dtype == np.float64, a['errors']\n\
         assert a['rule'].tolist() == ['draws'] * 4 and a['n'].tolist() == [3] * 4\n\
         np.savez({theirs:?}, **{{name: a[name] for name in a.files}})\n"
    );
    let done = python(&code).unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert_eq!(bits(&read(&theirs).unwrap()), bits(&sampled(3, 4)));
    write(&ours, &estimates()).unwrap();
    let code = format!(
        "import numpy as np\n\
         a = np.load({ours:?})\n\
         assert a['name'][5] == 'N(μ, Σ) 🦀', a['name']\n\
         np.savez({theirs:?}, **{{name: a[name] for name in a.files}})\n\
         np.savez_compressed({ours:?}, x=np.zeros(1000))\n"
    );
    let done = python(&code).unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let read_back: Vec<(String, Estimate)> = read(&theirs).unwrap();
    assert_eq!(read_back[5], estimates()[5]);
    let packed: DataFrame = super::read(&ours).unwrap();
    assert_eq!(packed.height(), 1000);
    fs::remove_file(&ours).unwrap();
    fs::remove_file(&theirs).unwrap();
}
