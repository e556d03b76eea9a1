//! `itd reproduce cifar10` at the smallest scale: killed in each stage it goes on, in parts it comes to the same
//! numbers, and another run's folder is left alone.

mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn reproduce(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = common::itd(&["reproduce", "cifar10", "--scale", "smoke", "--folder"]);
    command.arg(folder).args(arguments);
    command
}

fn done(folder: &Path, arguments: &[&str]) -> Output {
    let output = reproduce(folder, arguments)
        .output()
        .expect("itd can be run");
    assert!(output.status.success(), "{}", common::text(&output));
    output
}

fn numbers(folder: &Path) -> serde_json::Value {
    common::read_json(&folder.join("tables.json"))
}

/// The same but for the last digits, in which a network differs with the images that go through it together.
fn near(a: &serde_json::Value, b: &serde_json::Value) -> bool {
    match (a, b) {
        (serde_json::Value::Array(a), serde_json::Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| near(a, b))
        }
        (serde_json::Value::Object(a), serde_json::Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(name, a)| b.get(name).is_some_and(|b| near(a, b)))
        }
        _ => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs(),
            _ => a == b,
        },
    }
}

/// The lines that name stages, without the bars.
fn stages(text: &str) -> Vec<String> {
    let names = ["spectrum:", "curve:", "tuning:", "bounds:", "tables"];
    let lines = text.split(['\n', '\r']).map(str::trim);
    let stages = lines.filter(|line| names.iter().any(|name| line.starts_with(name)));
    stages.map(str::to_owned).collect()
}

#[test]
fn the_tables_come_about_whatever_stops_them() {
    common::prelude();
    let home = tempfile::tempdir().expect("a temporary folder");
    let whole = home.path().join("whole");
    let output = done(&whole, &[]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for row in ["DDPM ", "IDDPM ", "DDPM (tune)", "IDDPM (tune)", "Ensemble"] {
        assert!(text.matches(row).count() >= 2, "{row}: {text}");
    }
    assert!(
        text.contains("(-4.29)"),
        "what is printed stands beside: {text}"
    );
    for file in [
        "spectrum.json",
        "figure_2.svg",
        "figure_3.svg",
        "tables.txt",
    ] {
        assert!(whole.join(file).is_file(), "{file}");
    }
    let all = stages(&String::from_utf8_lossy(&output.stderr));
    assert_eq!(all.len(), 1 + 12 + 2 + 4 + 1, "{all:#?}");

    // Again: nothing is left to do but the tables.
    let again = done(&whole, &[]);
    let again = stages(&String::from_utf8_lossy(&again.stderr));
    assert_eq!(again.len(), 2, "{again:#?}");

    // Killed as soon as a new stage has begun, until all have.
    let killed = home.path().join("killed");
    let mut begun: Vec<String> = Vec::new();
    let mut starts = 0;
    while !killed.join("tables.json").is_file() {
        starts += 1;
        assert!(starts < 40, "{begun:#?}");
        let mut child = reproduce(&killed, &[])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("itd can be run");
        let stderr = child.stderr.take().expect("its words");
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let new: Vec<String> = stages(&line)
                .into_iter()
                .filter(|stage| !begun.contains(stage))
                .collect();
            if !new.is_empty() && !line.starts_with("spectrum") {
                begun.extend(new);
                child.kill().expect("it can be killed");
                break;
            }
        }
        child.wait().expect("it ends");
        if begun.len() == all.len() - 1 {
            done(&killed, &[]);
        }
    }
    assert_eq!(numbers(&killed), numbers(&whole));

    // In three parts, one of which is left to the command without a part.
    let parts = home.path().join("parts");
    for part in ["3/3", "1/3"] {
        done(&parts, &["--shard", part]);
    }
    done(&parts, &[]);
    assert!(near(&numbers(&parts), &numbers(&whole)));

    // Another run's folder, and a folder without pictures.
    let refused = |output: Output, what: &str| {
        let text = common::text(&output);
        assert!(!output.status.success() && text.contains(what), "{text}");
    };
    let data = home.path().join("none");
    std::fs::create_dir(&data).expect("a folder");
    let mut command = reproduce(&whole, &["--data"]);
    refused(command.arg(&data).output().expect("itd can be run"), "none");
    let drawn = killed.join("inputs/cifar-10");
    let first = drawn.join("data_batch_1.bin");
    let bytes = std::fs::read(&first).expect("pictures");
    let mut other = bytes.clone();
    other[10] ^= 1;
    std::fs::write(&first, &other).expect("another picture");
    let mut command = reproduce(&whole, &["--data"]);
    refused(
        command.arg(&drawn).output().expect("itd can be run"),
        "give another folder, or remove this one",
    );
    std::fs::write(&first, &bytes[..5000]).expect("a piece of a picture");
    let mut command = reproduce(&home.path().join("new"), &["--data"]);
    refused(
        command.arg(&drawn).output().expect("itd can be run"),
        "data_batch_1.bin",
    );
    // Other networks than those that the folder's curves are of, and parts that do not belong together.
    let weights = parts.join("inputs/iddpm/diffusion_pytorch_model.safetensors");
    let mut other = std::fs::read(&weights).expect("a network");
    *other.last_mut().expect("not empty") ^= 1;
    std::fs::write(&weights, &other).expect("another network");
    refused(
        reproduce(&parts, &[]).output().expect("itd can be run"),
        "this run and the one in its folder",
    );
    let mixed = home.path().join("mixed");
    done(&mixed, &["--shard", "1/3"]);
    refused(
        reproduce(&mixed, &["--shard", "2/4"])
            .output()
            .expect("itd can be run"),
        "the parts of one curve",
    );
    let output = common::itd(&["reproduce", "cifar10", "--shard", "3/2"]).output();
    refused(output.expect("itd can be run"), "3/2");

    // To ask what it takes begins no run.
    let asked = home.path().join("asked");
    done(&asked, &["--cost"]);
    assert!(!asked.join("plan.json").exists());
}
