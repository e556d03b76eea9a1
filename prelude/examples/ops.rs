//! Milliseconds of each operation, forward and with its gradients, against candle's own: `ops [tries]`.
//!
//! With a Python that has PyTorch in the variable `ITD_TORCH`, against that too, on as many threads. Each figure
//! is the median of the tries, and in brackets the least and the greatest.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use itd_prelude::candle::{self, D, Tensor, Var};
use itd_prelude::ops::{Activation, attention, conv2d, group_norm};
use itd_prelude::{Error, Result, rng};

const CASES: &[&str] = &[
    // n, channels in and out, side, kernel, stride
    "conv2d 16 64 64 32 3 1",
    "conv2d 16 128 128 16 3 1",
    "conv2d 16 128 128 32 3 1",
    "conv2d 16 256 256 16 3 1",
    "conv2d 16 256 256 8 3 1",
    "conv2d 16 512 256 4 3 1",
    "conv2d 16 32 32 28 3 1",
    "conv2d 16 3 64 32 3 1",
    "conv2d 16 64 3 32 3 1",
    "conv2d 16 64 64 32 3 2",
    "conv2d 16 256 256 16 1 1",
    "conv2d 1 128 128 32 3 1",
    // n, channels, side, groups; with SiLU
    "group_norm 16 64 32 32",
    "group_norm 16 256 16 32",
    "group_norm 16 256 4 32",
    // n, heads, tokens, dim
    "attention 16 1 256 256",
    "attention 16 4 256 64",
    "attention 16 4 64 64",
];

type Run = Box<dyn Fn(&[Tensor]) -> Result<Tensor>>;

fn main() -> Result<()> {
    let tries = std::env::args().nth(1).and_then(|word| word.parse().ok());
    let tries: usize = tries.unwrap_or(15);
    let threads = rayon::current_num_threads();
    let mut torch = match std::env::var_os("ITD_TORCH") {
        Some(python) => Some(Torch::start(python.as_ref(), threads, tries)?),
        None => None,
    };
    let version = torch.as_ref().map_or("-", |torch| &torch.version);
    println!(
        "{threads} threads, {tries} tries, PyTorch {version}, milliseconds: median (least to greatest)"
    );
    for case in CASES {
        println!("\n{case}");
        let (ours, theirs, shapes) = operation(case)?;
        let mut random = rng::seeded(0);
        let arguments = shapes.iter().map(|shape| rng::normal(shape, &mut random));
        let arguments: Vec<Tensor> = arguments.collect::<Result<_>>()?;
        let torch = torch.as_mut().map(|torch| torch.run(case)).transpose()?;
        let rows = [
            ("here", Some(both(&ours, &arguments, tries)?)),
            ("candle", Some(both(&theirs, &arguments, tries)?)),
            ("PyTorch", torch),
        ];
        let base = rows[0].1.as_ref().map(|[f, fb]| [middle(f), middle(fb)]);
        for (name, times) in rows {
            let (Some([forward, all]), Some(base)) = (times, base) else {
                continue;
            };
            println!(
                "  {name:8} forward {}  with gradients {}  {:.2}× and {:.2}×",
                told(&forward),
                told(&all),
                middle(&forward) / base[0],
                middle(&all) / base[1]
            );
        }
    }
    Ok(())
}

/// The operation here, candle's own, and the shapes of the arguments.
fn operation(case: &str) -> Result<(Run, Run, Vec<Vec<usize>>)> {
    let mut words = case.split_whitespace();
    let name = words.next().unwrap_or_default();
    let sizes: Vec<usize> = words.filter_map(|word| word.parse().ok()).collect();
    Ok(match (name, sizes.as_slice()) {
        ("conv2d", &[n, c, o, side, k, stride]) => (
            Box::new(move |t| conv2d(&t[0], &t[1], &t[2], stride, k / 2)),
            Box::new(move |t| {
                let y = t[0].conv2d(&t[1], k / 2, stride, 1, 1)?;
                Ok(y.broadcast_add(&t[2].reshape((1, o, 1, 1))?)?)
            }),
            vec![vec![n, c, side, side], vec![o, c, k, k], vec![o]],
        ),
        ("group_norm", &[n, c, side, groups]) => (
            Box::new(move |t| group_norm(&t[0], groups, &t[1], &t[2], 1e-5, Activation::Silu)),
            Box::new(move |t| {
                let parts = t[0].reshape((n, groups, ()))?;
                let centred = parts.broadcast_sub(&parts.mean_keepdim(2)?)?;
                let spread = (centred.sqr()?.mean_keepdim(2)? + 1e-5)?.sqrt()?;
                let unit = centred.broadcast_div(&spread)?.reshape(t[0].shape())?;
                let scaled = unit.broadcast_mul(&t[1].reshape((1, c, 1, 1))?)?;
                Ok(scaled.broadcast_add(&t[2].reshape((1, c, 1, 1))?)?.silu()?)
            }),
            vec![vec![n, c, side, side], vec![c], vec![c]],
        ),
        ("attention", &[n, heads, tokens, dim]) => (
            Box::new(move |t| attention(&t[0], &t[1], &t[2])),
            Box::new(move |t| {
                let scores = (t[0].matmul(&t[1].t()?.contiguous()?)? / (dim as f64).sqrt())?;
                let highest = scores.max_keepdim(D::Minus1)?.detach();
                let weights = scores.broadcast_sub(&highest)?.exp()?;
                let total = weights.sum_keepdim(D::Minus1)?;
                Ok(weights.broadcast_div(&total)?.matmul(&t[2])?)
            }),
            vec![vec![n, heads, tokens, dim]; 3],
        ),
        _ => {
            return Err(Error::Missing {
                what: format!("no operation is called {case}"),
                next: "see the list of cases",
            });
        }
    })
}

/// Times of the operation alone and with the gradients by all its arguments.
fn both(run: &Run, arguments: &[Tensor], tries: usize) -> Result<[Vec<f64>; 2]> {
    let forward = times(tries, || run(arguments).map(drop))?;
    let vars = arguments.iter().map(Var::from_tensor);
    let vars: Vec<Var> = vars.collect::<candle::Result<_>>()?;
    let leaves: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    // candle starts from a gradient of ones, whatever the shape.
    let all = times(tries, || Ok(run(&leaves)?.backward().map(drop)?))?;
    Ok([forward, all])
}

fn times(tries: usize, mut call: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    call()?;
    let once = |_| {
        let start = Instant::now();
        call()?;
        Ok(1e3 * start.elapsed().as_secs_f64())
    };
    let mut found: Vec<f64> = (0..tries.max(1)).map(once).collect::<Result<_>>()?;
    found.sort_by(f64::total_cmp);
    Ok(found)
}

fn middle(times: &[f64]) -> f64 {
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

fn told(times: &[f64]) -> String {
    let (least, most) = (times.first(), times.last());
    let (least, most) = (least.unwrap_or(&f64::NAN), most.unwrap_or(&f64::NAN));
    let range = format!("({least:.2} to {most:.2})");
    format!("{:8.2} {range:20}", middle(times))
}

/// A Python that waits for operations to time.
struct Torch {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    version: String,
}

impl Torch {
    fn start(python: &std::path::Path, threads: usize, tries: usize) -> Result<Self> {
        let failed = |cause: std::io::Error| Error::File {
            path: python.into(),
            cause: cause.into(),
        };
        let mut child = Command::new(python)
            .args(["-c", include_str!("ops.py")])
            .args([threads.to_string(), tries.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let out = child.stdout.take().ok_or_else(silent)?;
        let mut lines = BufReader::new(out).lines();
        let version = lines.next().and_then(|line| line.ok()).ok_or_else(silent)?;
        Ok(Self {
            child,
            lines,
            version,
        })
    }

    fn run(&mut self, case: &str) -> Result<[Vec<f64>; 2]> {
        let input = self.child.stdin.as_mut().ok_or_else(silent)?;
        writeln!(input, "{case}").map_err(|_| silent())?;
        let mut next = || -> Result<Vec<f64>> {
            let line = self.lines.next().and_then(|line| line.ok());
            let line = line.ok_or_else(silent)?;
            let times = line.split_whitespace().filter_map(|word| word.parse().ok());
            let mut times: Vec<f64> = times.collect();
            times.sort_by(f64::total_cmp);
            Ok(times)
        };
        Ok([next()?, next()?])
    }
}

impl Drop for Torch {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn silent() -> Error {
    Error::Missing {
        what: "Python with PyTorch gave no answer".into(),
        next: "see what it says above, or leave ITD_TORCH unset",
    }
}
