//! Case study I on Fashion-MNIST: pictures go forward and back through DDPM's chain, and a classifier says what comes out.
//!
//! `cargo run --release --manifest-path prelude/Cargo.toml --example fashion_chain [PAIRS] [FILE]`, with 400 and
//! `docs/case_study_fashion.parquet` when nothing is said. What the file has already is not done again.
//!
//! A row is a number of pictures of one class that came out as one class: of which mode, schedule and number of steps;
//! beside it the bound on what the end of the chain can know of the picture, and what a reader who has the network finds
//! there of the class (`ln 10 − E[−ln p(y | z)]`, in nats, with its standard error). The mode `control` has no chain: real
//! pictures, shown as the published code shows them.

use std::path::{Path, PathBuf};

use itd_prelude::class_table::ClassTable;
use itd_prelude::classifier::{Classifier, ClassifierConfig, Mode};
use itd_prelude::data::jpeg_round_trip;
use itd_prelude::denoiser::Query;
use itd_prelude::information::{AttributionConfig, Without, attribution_with, leakage};
use itd_prelude::io;

use itd_prelude::prelude::*;
use itd_prelude::sample::{Sampler, Steps};
use itd_prelude::schedule::{Betas, Variance};
use polars::prelude::{DataFrame, df};

/// A chain, and the mode in which it is followed.
const CHAINS: [(&str, &str, usize); 8] = [
    ("correct", "linear", 100),
    ("correct", "linear", 300),
    ("as in the code", "linear", 100),
    ("correct", "linear", 500),
    ("correct", "linear", 700),
    ("as in the code", "linear", 300),
    ("correct", "cosine", 300),
    ("correct", "linear", 1000),
];

/// Pictures that the classifier learns from: enough to be right in nine cases of ten.
const JUDGED: usize = 20_000;

/// One row of the file.
#[derive(Clone)]
struct Row {
    mode: String,
    schedule: String,
    steps: u32,
    bound: f64,
    read: f64,
    read_err: f64,
    input: u32,
    output: u32,
    count: u32,
}

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let pairs = words
        .next()
        .and_then(|word| word.parse().ok())
        .unwrap_or(400);
    let file = words
        .next()
        .map_or_else(|| "docs/case_study_fashion.parquet".into(), PathBuf::from);
    let mut rows = match file.exists() {
        true => read(&file)?,
        false => Vec::new(),
    };
    let data = fashion_mnist()?;
    let covariance = data.dequantize(0)?.train.gaussian()?;
    let config = ClassifierConfig {
        epochs: 6,
        ..Default::default()
    };
    let judge = Classifier::fit(&data.train.take(JUDGED)?, 10, &config)?;
    let net = UNet::load("notebooks/weights/fashion.safetensors", &device())?;
    let places: Vec<u32> = (0..pairs).map(|i| (i % data.train.len()) as u32).collect();
    let inputs = data.train.subset(&places)?;
    let labels = inputs.labels()?.to_vec();
    if rows.iter().all(|row| row.mode != "control") {
        let real = &data.test;
        let shrunk = jpeg_round_trip(&real.x, (-1.0, 1.0), 75)?.affine(0.5, 0.5)?;
        for (shown, x) in [("[-1, 1]", &real.x), ("[0, 1], JPEG", &shrunk)] {
            let found = judge.classes(x, Mode::Evaluation)?;
            let table = ClassTable::of_pairs(real.labels()?, &found, 10)?;
            add(&mut rows, ("control", shown, 0), [f64::NAN; 3], &table);
        }
        write(&file, &rows)?;
    }
    let told = UNet::load("notebooks/weights/fashion_classes.safetensors", &device())?;
    let mut known: Option<Reading> = None;
    for (mode, name, steps) in CHAINS {
        let done =
            |row: &Row| row.mode == mode && row.schedule == name && row.steps as usize == steps;
        if rows.iter().any(done) {
            continue;
        }
        let schedule = schedule(name, steps)?;
        let reading = match &known {
            Some(reading) => reading,
            None => known.insert(reading(&told, &data)?),
        };
        let (read, read_err) = reading.at(schedule.log_snr[steps - 1]);
        let out = match mode {
            "correct" => judge.classes(
                &there_and_back(&net, &inputs.x, &schedule)?,
                Mode::Evaluation,
            )?,
            _ => as_in_the_code(&net, &judge, &inputs.x, &schedule)?,
        };
        let table = ClassTable::of_pairs(&labels, &out, 10)?;
        let bound = leakage(&schedule, &covariance)?.nats;
        add(
            &mut rows,
            (mode, name, steps),
            [bound, read, read_err],
            &table,
        );
        write(&file, &rows)?;
        let found = table.information(499, 0)?;
        println!(
            "{mode}, {name}, T = {steps}: at most {bound:.3} nats, read {read:.3} ± {read_err:.3}; {found}; {}",
            table.homogeneity()?
        );
    }
    Ok(())
}

fn schedule(name: &str, steps: usize) -> Result<NoiseSchedule> {
    match name {
        "cosine" => NoiseSchedule::new(steps, Betas::Cosine { offset: 0.01 }, (1e-4, 0.9999)),
        _ => {
            let betas = Betas::Linear {
                first: 1e-4,
                last: 0.02,
            };
            NoiseSchedule::new(steps, betas, (0.0, 0.999))
        }
    }
}

/// What noisy test pictures tell a reader of their class, along the channel.
struct Reading {
    log_snr: Vec<f64>,
    nats: Vec<(f64, f64)>,
}

fn reading(told: &UNet, data: &Split) -> Result<Reading> {
    let points = Quadrature::trapezoid(-12.0, 4.0, 33)?;
    let config = AttributionConfig {
        points: Some(points.clone()),
        draws: 1,
        without: Without::classes(10),
        ..Default::default()
    };
    let test = data.dequantize(0)?.test.take(300)?;
    let found = attribution_with(told, &test, &config)?;
    let along = found.along.ok_or(Error::Empty {
        what: "what the classes say",
    })?;
    Ok(Reading {
        log_snr: points.log_snr,
        nats: along.decoded(10)?,
    })
}

impl Reading {
    /// At the nearest of its points.
    fn at(&self, alpha: f64) -> (f64, f64) {
        let apart = |i: &usize| (self.log_snr[*i] - alpha).abs();
        let nearest = (0..self.log_snr.len()).min_by(|a, b| apart(a).total_cmp(&apart(b)));
        nearest.map_or((f64::NAN, f64::NAN), |i| self.nats[i])
    }
}

fn there_and_back(net: &UNet, x: &Tensor, schedule: &NoiseSchedule) -> Result<Tensor> {
    let last = schedule.log_snr[schedule.steps() - 1] as f32;
    let start = channel::draw(x, &Tensor::full(last, x.dim(0)?, &Device::Cpu)?, 11)?.z;
    let config = SampleConfig {
        sampler: Sampler::Ancestral(Variance::Large),
        steps: Steps::Schedule(schedule.clone()),
        clamp: Some((-1.0, 1.0)),
        start: Some(start),
        seed: 5,
        ..Default::default()
    };
    Ok(sample(net, x.dim(0)?, &config)?.x)
}

/// Forward by the network's own steps in ascending order, and back; then as the published code shows it.
fn as_in_the_code(
    net: &UNet,
    judge: &Classifier,
    x: &Tensor,
    schedule: &NoiseSchedule,
) -> Result<Vec<u32>> {
    let mut dice = rng::stream(7, "as in the code");
    let mut z = x.clone();
    for t in (0..schedule.steps()).chain((0..schedule.steps()).rev()) {
        let alpha = Tensor::full(schedule.log_snr[t] as f32, z.dim(0)?, &Device::Cpu)?;
        let eps = net.denoise(&Query::new(&z, &alpha))?;
        let clean = channel::eps_to_x(&z, &eps, &alpha)?.clamp(-1.0, 1.0)?;
        z = match t {
            0 => clean,
            _ => {
                let (of_x, of_z) = schedule.posterior_mean_coefficients(t);
                let noise = (rng::normal(z.dims(), &mut dice)? * schedule.betas[t].sqrt())?;
                (((clean * of_x)? + (z * of_z)?)? + noise)?
            }
        };
    }
    let shown = jpeg_round_trip(&z, (-1.0, 1.0), 75)?.affine(0.5, 0.5)?;
    let mut all = Vec::new();
    for start in (0..x.dim(0)?).step_by(512) {
        let batch = shown.narrow(0, start, 512.min(x.dim(0)? - start))?;
        all.extend(judge.classes(&batch, Mode::Training { seed: start as u64 })?);
    }
    Ok(all)
}

fn add(
    rows: &mut Vec<Row>,
    (mode, schedule, steps): (&str, &str, usize),
    [bound, read, read_err]: [f64; 3],
    table: &ClassTable,
) {
    let cells = table.counts().indexed_iter();
    rows.extend(cells.map(|((input, output), &count)| Row {
        mode: mode.to_owned(),
        schedule: schedule.to_owned(),
        steps: steps as u32,
        bound,
        read,
        read_err,
        input: input as u32,
        output: output as u32,
        count: count as u32,
    }));
}

fn write(path: &Path, rows: &[Row]) -> Result<()> {
    let texts = |of: fn(&Row) -> &str| rows.iter().map(of).collect::<Vec<_>>();
    let numbers = |of: fn(&Row) -> f64| rows.iter().map(of).collect::<Vec<_>>();
    let counts = |of: fn(&Row) -> u32| rows.iter().map(of).collect::<Vec<_>>();
    let frame: DataFrame = df!(
        "mode" => texts(|row| &row.mode),
        "schedule" => texts(|row| &row.schedule),
        "steps" => counts(|row| row.steps),
        "bound" => numbers(|row| row.bound),
        "read" => numbers(|row| row.read),
        "read_err" => numbers(|row| row.read_err),
        "input" => counts(|row| row.input),
        "output" => counts(|row| row.output),
        "count" => counts(|row| row.count),
    )?;
    io::write(path, &frame)
}

fn read(path: &Path) -> Result<Vec<Row>> {
    let frame: DataFrame = io::read(path)?;
    let text = |name: &str| -> Result<Vec<String>> {
        let column = frame.column(name)?.str()?.clone();
        Ok(column
            .iter()
            .map(|text| text.unwrap_or_default().to_owned())
            .collect())
    };
    let number = |name: &str| -> Result<Vec<f64>> {
        let column = frame.column(name)?.f64()?.clone();
        Ok(column
            .iter()
            .map(|value| value.unwrap_or(f64::NAN))
            .collect())
    };
    let count = |name: &str| -> Result<Vec<u32>> {
        let column = frame.column(name)?.u32()?.clone();
        Ok(column.iter().map(|value| value.unwrap_or(0)).collect())
    };
    let (modes, schedules, steps) = (text("mode")?, text("schedule")?, count("steps")?);
    let (bounds, reads, errs) = (number("bound")?, number("read")?, number("read_err")?);
    let (inputs, outputs, counts) = (count("input")?, count("output")?, count("count")?);
    Ok((0..frame.height())
        .map(|i| Row {
            mode: modes[i].clone(),
            schedule: schedules[i].clone(),
            steps: steps[i],
            bound: bounds[i],
            read: reads[i],
            read_err: errs[i],
            input: inputs[i],
            output: outputs[i],
            count: counts[i],
        })
        .collect())
}
