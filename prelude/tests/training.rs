//! Training that ends in the middle goes on as if it had not. Processes are killed for real: the test runs itself
//! again, as a child with an order in its environment.

mod files;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use itd_prelude::denoiser::Trainable;
use itd_prelude::pl::DataFrame;
use itd_prelude::prelude::*;
use itd_prelude::rand::Rng as _;
use itd_prelude::train::Trainer;
use itd_prelude::train::{Denoising, Fit, Interval, LearningRate, StopReason};

/// Where a child writes, and what it is to do.
const RUN: &str = "ITD_TEST_RUN";
const ORDER: &str = "ITD_TEST_ORDER";

fn samples() -> Dataset {
    toy::moons(600, 0).unwrap().train
}

fn net() -> Mlp {
    let config = MlpConfig {
        width: 32,
        layers: 2,
        ..Default::default()
    };
    Mlp::new(&config, &Gaussian::standard(2).unwrap(), &[2], &Device::Cpu).unwrap()
}

/// Every part of the state matters for these: dropout of conditions alone is missing.
fn config(steps: usize, run: Option<&Path>) -> TrainConfig {
    TrainConfig {
        steps: Some(steps),
        batch: 50,
        weight_decay: 0.01,
        max_grad_norm: Some(1.0),
        validation: Some(Validation {
            every: Interval::Steps(8),
            samples: 60,
            points: 6,
            before: true,
            on_train: true,
        }),
        patience: Some(1000),
        run: run.map(Path::to_owned),
        checkpoint: Interval::Steps(3),
        ..Default::default()
    }
}

fn parameters(net: &dyn Trainable) -> Vec<u32> {
    let vars = net.vars().into_iter();
    let flat = vars.flat_map(|var| var.flatten_all().unwrap().to_vec1::<f32>().unwrap());
    flat.map(f32::to_bits).collect()
}

/// All numbers of a fit that do not tell the time.
fn numbers(fit: &Fit) -> Vec<u64> {
    let mut all: Vec<f64> = [&fit.loss, &fit.grad_norm, &fit.learning_rate]
        .into_iter()
        .flatten()
        .copied()
        .collect();
    for validated in &fit.validation {
        all.push(validated.step as f64);
        let train = validated.train.as_ref().unwrap();
        for measured in [&validated.held_out, train] {
            let curve = measured.curve.as_ref().unwrap();
            all.extend(&curve.mse);
            all.extend(&curve.std_err);
            all.extend([measured.loss.nats, measured.loss.std_err]);
            all.extend(measured.loss.per_sample().unwrap());
        }
    }
    // The errors of points that two measurements have in common cancel, after a break as without one.
    all.extend(fit.gain().iter().flat_map(|gain| [gain.nats, gain.std_err]));
    all.iter().map(|value| value.to_bits()).collect()
}

fn uninterrupted(steps: usize) -> (Vec<u64>, Vec<u32>) {
    let net = net();
    let fit = train(&net, &samples(), &config(steps, None)).unwrap();
    (numbers(&fit), parameters(&net))
}

/// Trains to the end in a folder, with a network that has other parameters.
fn go_on(steps: usize, run: &Path) -> (Fit, Vec<u32>) {
    let net = net();
    let fit = train(&net, &samples(), &config(steps, Some(run))).unwrap();
    (fit, parameters(&net))
}

fn states(run: &Path) -> Vec<usize> {
    let names = fs::read_dir(run)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap());
    let step = |name: String| {
        let step = name
            .strip_prefix("checkpoint-")?
            .strip_suffix(".safetensors")?;
        step.parse().ok()
    };
    let mut steps: Vec<usize> = names.filter_map(step).collect();
    steps.sort();
    steps
}

fn state(run: &Path, step: usize) -> PathBuf {
    run.join(format!("checkpoint-{step}.safetensors"))
}

/// Runs the test `child` of this file in a process of its own.
fn order(run: &Path, order: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture", "--test-threads=1"])
        .env(RUN, run)
        .env(ORDER, order)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// What a child does; without an order, nothing.
#[test]
fn child() {
    let (Ok(run), Ok(order)) = (std::env::var(RUN), std::env::var(ORDER)) else {
        return;
    };
    let run = PathBuf::from(run);
    match order.split_once(' ').unwrap() {
        ("step", steps) => step_by_step(&run, steps.parse().unwrap()),
        ("fill", "state") => fill_disk(&run, |run| fs::metadata(state(run, 9)).unwrap().len() / 2),
        ("fill", "metrics") => fill_disk(&run, |run| {
            fs::metadata(run.join("metrics.csv")).unwrap().len() + 40
        }),
        order => panic!("{order:?}"),
    }
}

fn trainer<'a>(net: &'a Mlp, config: &TrainConfig) -> Trainer<Denoising<&'a Mlp>> {
    let task = Denoising::new(net, &samples(), config).unwrap();
    Trainer::new(task, config).unwrap()
}

/// Says each step, so that the parent can kill it at any.
fn step_by_step(run: &Path, steps: usize) {
    let net = net();
    let mut trainer = trainer(&net, &config(steps, Some(run)));
    while !trainer.done() {
        trainer.step().unwrap();
        println!("step {}", trainer.fit().steps());
    }
    trainer.finish().unwrap();
}

/// Trains until the system refuses to write more, then, with room again, to the end.
fn fill_disk(run: &Path, room: fn(&Path) -> u64) {
    let (net, data) = (net(), samples());
    let mut trainer = trainer(&net, &config(30, Some(run)));
    while trainer.fit().steps() < 10 {
        trainer.step().unwrap();
    }
    limit(room(run));
    let error = loop {
        match trainer.step() {
            Ok(()) => assert!(!trainer.done(), "the disk was never full"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::File { .. }), "{error}");
    // A second call fails as well, and makes no step.
    let made = trainer.fit().steps();
    assert!(trainer.step().is_err());
    assert_eq!(trainer.fit().steps(), made);
    drop(trainer);
    // Nothing older is lost, and nothing unfinished is left.
    assert!(states(run).contains(&9), "{:?}", states(run));
    let names = fs::read_dir(run)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap());
    assert!(names.into_iter().all(|name| !name.ends_with(".part")));
    let error = train(&net, &data, &config(30, Some(run))).unwrap_err();
    assert!(matches!(error, Error::File { .. }), "{error}");
    assert!(
        parameters(&net)
            .iter()
            .all(|&bits| f32::from_bits(bits).is_finite())
    );
    limit(libc::RLIM_INFINITY);
    let (fit, now) = go_on(30, run);
    assert_eq!((numbers(&fit), now), uninterrupted(30));
}

/// Makes writes beyond so many bytes of a file fail, as on a full disk.
fn limit(bytes: u64) {
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: only this process's own limit and its answer to the signal are set.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &limit), 0);
    }
}

#[test]
fn a_killed_process_goes_on_bit_for_bit() {
    const STEPS: usize = 150;
    let folder = files::Folder::new("killed");
    let mut rng = rng::seeded(0);
    let (mut kills, mut last) = (0, 0);
    loop {
        let mut child = order(&folder.0, &format!("step {STEPS}"));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // So many steps, and then a moment more, which may be in the middle of a state.
        let mut left = rng.random_range(1..12);
        while left > 0 {
            match lines.next() {
                Some(line) => left -= usize::from(line.unwrap().contains("step ")),
                None => break,
            }
        }
        std::thread::sleep(Duration::from_micros(rng.random_range(0..3000)));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        if status.success() {
            break;
        }
        assert_eq!(status.signal(), Some(libc::SIGKILL), "{status}");
        kills += 1;
        let newest = states(&folder.0).last().copied().unwrap();
        assert!(newest >= last, "a state was lost: {newest} after {last}");
        last = newest;
        assert!(kills < 500, "it does not come forward");
    }
    assert!(kills >= 12, "only {kills} kills");
    println!("{kills} kills over {STEPS} steps");
    let (fit, now) = go_on(STEPS, &folder.0);
    assert_eq!((numbers(&fit), now), uninterrupted(STEPS));
    // The table has each step once, with the numbers of the fit.
    let metrics: DataFrame = io::read(folder.0.join("metrics.csv")).unwrap();
    let losses = metrics.column("loss").unwrap().f64().unwrap();
    assert_eq!(losses.into_no_null_iter().collect::<Vec<_>>(), fit.loss);
    let measured = metrics.column("validation").unwrap();
    // The measurement before the first step has no line.
    assert_eq!(fit.validation[0].step, 0);
    assert_eq!(
        measured.len() - measured.null_count(),
        fit.validation.len() - 1
    );
}

/// What an entropic proposal has seen belongs to the state.
#[test]
fn an_entropic_run_goes_on_bit_for_bit() {
    let entropic = |run| TrainConfig {
        entropic: true,
        ..config(30, run)
    };
    let whole = net();
    let fit = train(&whole, &samples(), &entropic(None)).unwrap();
    let known = (numbers(&fit), parameters(&whole));
    let folder = files::Folder::new("entropic");
    let half = net();
    let mut first = trainer(&half, &entropic(Some(&folder.0)));
    while first.fit().steps() < 17 {
        first.step().unwrap();
    }
    drop(first);
    let last = net();
    let fit = train(&last, &samples(), &entropic(Some(&folder.0))).unwrap();
    assert!(!fit.notes.is_empty(), "it began anew");
    assert_eq!((numbers(&fit), parameters(&last)), known);
    // Without it the run is another one.
    assert_ne!(known, uninterrupted(30));
}

#[test]
fn a_full_disk_costs_nothing_older() {
    for what in ["state", "metrics"] {
        let folder = files::Folder::new(what);
        let mut child = order(&folder.0, &format!("fill {what}"));
        let said: Vec<String> = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok)
            .collect();
        assert!(child.wait().unwrap().success(), "{what}: {said:#?}");
    }
}

#[test]
fn a_damaged_state_is_known_and_the_one_before_it_serves() {
    let known = uninterrupted(30);
    let cut = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 3]).unwrap();
    };
    let alter = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let empty = |path: &Path| fs::write(path, []).unwrap();
    type Harm<'a> = &'a dyn Fn(&Path);
    let cases: [(&[(usize, Harm)], &str); 5] = [
        (&[(30, &cut)], "step 27"),
        (&[(30, &alter)], "step 27"),
        (&[(30, &empty), (27, &alter)], "step 24"),
        (&[(27, &cut)], "step 30"),
        (&[(30, &cut), (27, &cut), (24, &cut)], "began anew"),
    ];
    for (i, (harms, note)) in cases.into_iter().enumerate() {
        let folder = files::Folder::new(&format!("damaged-{i}"));
        go_on(30, &folder.0);
        assert_eq!(states(&folder.0), [24, 27, 30]);
        for (step, harm) in harms {
            harm(&state(&folder.0, *step));
        }
        let (fit, now) = go_on(30, &folder.0);
        let notes = fit.notes.join("; ");
        assert!(notes.contains(note), "{i}: {notes}");
        assert_eq!((numbers(&fit), now), known, "{i}");
        // It was set aside with a word, unless nobody came by.
        for (step, _) in harms
            .iter()
            .filter(|(step, _)| !note.contains("30") || *step == 30)
        {
            assert!(
                notes.contains(&format!("checkpoint-{step}")),
                "{i}: {notes}"
            );
            assert!(state(&folder.0, *step).with_extension("damaged").exists());
        }
    }
}

#[test]
fn a_run_that_is_over_gives_its_parameters_back() {
    let folder = files::Folder::new("over");
    let (first, known) = go_on(20, &folder.0);
    let (again, now) = go_on(20, &folder.0);
    assert_eq!((numbers(&again), now), (numbers(&first), known));
    assert_eq!(
        (again.end, again.elapsed),
        (Some(StopReason::Steps), first.elapsed)
    );
    assert_eq!(again.notes, ["went on from step 20"]);
}

#[test]
fn another_call_is_refused_with_what_differs() {
    let folder = files::Folder::new("other");
    go_on(10, &folder.0);
    let before = fs::read(folder.0.join("config.json")).unwrap();
    let refused = |net: &dyn Trainable, data: &Dataset, config: &TrainConfig, words: &[&str]| {
        let error = train(net, data, config).unwrap_err();
        assert!(matches!(error, Error::Mismatch { .. }), "{error}");
        let text = error.to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    };
    let base = || config(10, Some(&folder.0));
    let faster = TrainConfig {
        learning_rate: 0.01,
        ..base()
    };
    refused(
        &net(),
        &samples(),
        &faster,
        &["learning_rate 0.005", "learning_rate 0.01"],
    );
    let longer = TrainConfig {
        steps: None,
        lr_schedule: LearningRate::Constant,
        ..base()
    };
    refused(
        &net(),
        &samples(),
        &longer,
        &["steps 10", "steps null", "Constant"],
    );
    let others = toy::moons(600, 1).unwrap().train;
    refused(&net(), &others, &base(), &["data.sha256"]);
    let wide = MlpConfig {
        width: 33,
        layers: 2,
        ..Default::default()
    };
    let wide = Mlp::new(&wide, &Gaussian::standard(2).unwrap(), &[2], &Device::Cpu).unwrap();
    refused(&wide, &samples(), &base(), &["network.parameters"]);
    // As many parameters, around another Gaussian.
    let frame = Gaussian::diagonal(vec![0.0; 2], vec![4.0; 2]).unwrap();
    let size = MlpConfig {
        width: 32,
        layers: 2,
        ..Default::default()
    };
    let moved = Mlp::new(&size, &frame, &[2], &Device::Cpu).unwrap();
    refused(&moved, &samples(), &base(), &["network.made_as.constants"]);
    // How often the state is written makes no numbers.
    let rarely = TrainConfig {
        checkpoint: Interval::Minutes(1.0),
        ..base()
    };
    assert!(train(&net(), &samples(), &rarely).is_ok());
    // A trainer of this process is not another process.
    let held = Trainer::new(Denoising::new(net(), &samples(), &base()).unwrap(), &base()).unwrap();
    let said = train(&net(), &samples(), &base()).unwrap_err().to_string();
    assert!(said.contains("of this session"), "{said}");
    drop(held);
    assert!(train(&net(), &samples(), &base()).is_ok());
    assert_eq!(fs::read(folder.0.join("config.json")).unwrap(), before);
}

/// With one thread and with two: a perceptron, and a U-Net on digits.
fn with_threads(threads: usize) -> (Vec<Fit>, Vec<Vec<u32>>) {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    pool.install(|| {
        let config = TrainConfig {
            steps: Some(100),
            ..config(100, None)
        };
        let perceptron = net();
        let first = train(&perceptron, &samples(), &config).unwrap();
        let digits = digits().unwrap().train;
        let unet = UNet::new(&UNetConfig::small(), &[1, 8, 8], &Device::Cpu).unwrap();
        let config = TrainConfig {
            steps: Some(12),
            batch: 32,
            dequantize: true,
            learning_rate: 2e-3,
            ..Default::default()
        };
        let second = train(&unet, &digits, &config).unwrap();
        (
            vec![first, second],
            vec![parameters(&perceptron), parameters(&unet)],
        )
    })
}

#[test]
fn threads_change_the_numbers_no_more_than_rounding_does() {
    let (one, again, two) = (with_threads(2), with_threads(2), with_threads(1));
    assert_eq!(one.1, again.1);
    for (i, (fit, other)) in one.0.iter().zip(&two.0).enumerate() {
        assert_eq!(numbers(fit), numbers(&again.0[i]));
        let apart = fit.loss.iter().zip(&other.loss);
        let apart = apart
            .map(|(a, b)| (a - b).abs() / a.abs().max(1.0))
            .fold(0.0, f64::max);
        println!("network {i}: losses apart by {apart:.1e} at most");
        assert!(apart < 1e-3, "network {i}: {apart}");
    }
}
