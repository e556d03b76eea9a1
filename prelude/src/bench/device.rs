//! What the command `itd bench cuda` runs: the same work on the CPU and where networks compute, number by number.
//!
//! An operation's numbers on the CPU are in `f64`, by candle's own operations, of which its fast form is made there as
//! it is on other devices. So something is compared on a machine without GPU too.

use std::fmt;
use std::time::Instant;

use candle_core::{DType, Device, Result as Candle, Tensor, Var};

use crate::curve::mse_curve;
use crate::data::{Dataset, digits};
use crate::denoiser::{Query, Trainable};
use crate::distribution::Gaussian;
use crate::error::{Error, Result};
use crate::likelihood::{OdeConfig, Trace, ode_nll};
use crate::logsnr::Logistic;
use crate::net::{Ddpm, DdpmConfig, Iddpm, IddpmConfig, Mlp, MlpConfig, UNet, UNetConfig};
use crate::ops::{self, Activation};
use crate::optim::{AdamW, AdamWConfig};
use crate::rng;
use crate::sample::{SampleConfig, Sampler, Steps, sample};
use crate::text::{Side, table};

/// How far apart the two sides' numbers may be, as a share of the largest.
const TOLERANCE: f64 = 1e-4;

/// One piece of work on both sides.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// What was done.
    pub what: String,
    /// Numbers that were compared.
    pub count: usize,
    /// The greatest difference, as a share of the largest number; infinite when a number is not finite.
    pub apart: f64,
    /// Milliseconds on the CPU and on the device, each the second time.
    pub milliseconds: [f64; 2],
}

impl Compared {
    fn new(what: &str, cpu: &[f64], device: &[f64], milliseconds: [f64; 2]) -> Self {
        let largest = cpu.iter().fold(0f64, |all, value| all.max(value.abs()));
        let pairs = cpu.iter().zip(device);
        let most = pairs.fold(0f64, |all, (a, b)| all.max((a - b).abs()));
        let all = || cpu.iter().chain(device);
        let apart = match cpu.len() == device.len() && all().all(|value| value.is_finite()) {
            true if most == 0.0 => 0.0,
            true => most / largest,
            false => f64::INFINITY,
        };
        Self {
            what: what.to_owned(),
            count: cpu.len(),
            apart,
            milliseconds,
        }
    }

    /// Whether both sides say the same.
    pub fn agrees(&self) -> bool {
        self.apart <= TOLERANCE
    }
}

/// What both sides say of all works.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceCheck {
    /// The device that is held against the CPU.
    pub device: String,
    /// All works.
    pub rows: Vec<Compared>,
}

impl DeviceCheck {
    /// Whether both sides say the same of all works.
    pub fn agrees(&self) -> bool {
        self.rows.iter().all(Compared::agrees)
    }
}

impl fmt::Display for DeviceCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let device = &self.device;
        writeln!(
            f,
            "The CPU and {device}. Apart: the greatest difference, as a share of the largest number; at most {TOLERANCE:e}.\n"
        )?;
        let head = ["work", "numbers", "apart", "", "CPU, ms", "device, ms"];
        let mut rows = vec![head.map(String::from).to_vec()];
        rows.extend(self.rows.iter().map(|row| {
            let verdict = if row.agrees() { "agrees" } else { "DIFFERS" };
            let [cpu, device] = row.milliseconds.map(|ms| format!("{ms:.1}"));
            let (count, apart) = (row.count.to_string(), format!("{:.1e}", row.apart));
            vec![row.what.clone(), count, apart, verdict.into(), cpu, device]
        }));
        let (left, right) = (Side::Left, Side::Right);
        write!(
            f,
            "{}",
            table(&rows, &[left, right, right, left, right, right])
        )
    }
}

/// Where a work is done.
enum Place {
    /// On the CPU, as exactly as it can be.
    Reference,
    On(Device),
}

impl Place {
    fn device(&self) -> &Device {
        match self {
            Self::Reference => &Device::Cpu,
            Self::On(device) => device,
        }
    }

    /// What operations are computed in.
    fn dtype(&self) -> DType {
        match self {
            Self::Reference => DType::F64,
            Self::On(_) => DType::F32,
        }
    }
}

/// Holds a device against the CPU: operations with their gradients, networks, the gradients and the loss of a step of
/// training, an error curve, a density by the probability-flow ODE, samples.
///
/// # Errors
/// What the works return: what a device cannot do is named in it.
pub fn check_device(device: &Device) -> Result<DeviceCheck> {
    let place = Place::On(device.clone());
    let mut rows = Vec::new();
    for (what, work) in works() {
        let timed = |place: &Place| -> Result<(Vec<f64>, f64)> {
            work(place)?;
            let start = Instant::now();
            let numbers = work(place)?;
            Ok((numbers, 1e3 * start.elapsed().as_secs_f64()))
        };
        let (cpu, first) = timed(&Place::Reference)?;
        let (there, second) = timed(&place)?;
        rows.push(Compared::new(&what, &cpu, &there, [first, second]));
    }
    Ok(DeviceCheck {
        device: match device {
            Device::Cpu => "the CPU once more".to_owned(),
            other => format!("{:?}", other.location()),
        },
        rows,
    })
}

type Work = Box<dyn Fn(&Place) -> Result<Vec<f64>>>;

/// All that is done, in the order of the table.
fn works() -> Vec<(String, Work)> {
    let mut works: Vec<(String, Work)> = Vec::new();
    let mut operation = |name: &str, shapes: Shapes, run: Operation| {
        let work: Work = Box::new(move |place| with_gradients(place, shapes, run));
        works.push((format!("{name} and gradients"), work));
    };
    operation("conv2d", &[&[4, 16, 17, 17], &[32, 16, 3, 3], &[32]], |t| {
        ops::conv2d(&t[0], &t[1], &t[2], 1, 1)
    });
    operation(
        "conv2d, stride 2",
        &[&[4, 16, 17, 17], &[32, 16, 3, 3], &[32]],
        |t| ops::conv2d(&t[0], &t[1], &t[2], 2, 1),
    );
    operation("group_norm", &[&[4, 32, 9, 9], &[32], &[32]], |t| {
        ops::group_norm(&t[0], 8, &t[1], &t[2], 1e-5, Activation::Silu)
    });
    operation("dense", &[&[64, 48], &[96, 48], &[96]], |t| {
        ops::dense(&t[0], &t[1], &t[2], Activation::Silu)
    });
    const HEADS: Shapes = &[&[2, 4, 65, 16], &[2, 4, 65, 16], &[2, 4, 65, 16]];
    operation("attention", HEADS, |t| ops::attention(&t[0], &t[1], &t[2]));
    operation("sinusoidal", &[&[64], &[16]], |t| {
        ops::sinusoidal(&t[0], &t[1])
    });
    for (name, make) in NETWORKS {
        let make = *make;
        let mut network = |what: &str, run: fn(&dyn Trainable) -> Result<Vec<f64>>| {
            let work: Work = Box::new(move |place| run(&*nudged(make(place.device())?)?));
            works.push((format!("{name}, {what}"), work));
        };
        network("estimate", estimate);
        network("gradients of a step", |net| Ok(step(net)?.0));
        network("loss after the step", |net| Ok(vec![step(net)?.1]));
    }
    for (name, make) in &NETWORKS[..2] {
        let make = *make;
        let mut network = |what: &str, run: fn(&dyn Trainable) -> Result<Vec<f64>>| {
            let work: Work = Box::new(move |place| run(&*nudged(make(place.device())?)?));
            works.push((format!("{name}, {what}"), work));
        };
        network("error curve", curve);
        network("ode_nll", density);
        network("samples", samples);
    }
    works
}

type Shapes = &'static [&'static [usize]];
type Operation = fn(&[Tensor]) -> Result<Tensor>;

/// The result, and the gradient of a weighted sum of it by each argument.
fn with_gradients(place: &Place, shapes: Shapes, run: Operation) -> Result<Vec<f64>> {
    let mut random = rng::seeded(0);
    let mut draw = |shape: &[usize]| -> Result<Tensor> {
        let drawn = rng::normal(shape, &mut random)?.to_dtype(place.dtype())?;
        Ok(drawn.to_device(place.device())?)
    };
    let arguments = shapes.iter().map(|shape| draw(shape));
    let arguments = arguments.collect::<Result<Vec<_>>>()?;
    let leaves = arguments.iter().map(Var::from_tensor);
    let leaves = leaves.collect::<Candle<Vec<Var>>>()?;
    let tracked: Vec<Tensor> = leaves.iter().map(|leaf| leaf.as_tensor().clone()).collect();
    let y = run(&tracked)?;
    let grads = (&y * draw(y.dims())?)?.sum_all()?.backward()?;
    let mut all = numbers(&y)?;
    for leaf in &leaves {
        let gradient = grads.get(leaf).ok_or_else(|| Error::Missing {
            what: "an argument has no gradient".to_owned(),
            next: "see the operation's own tests",
        })?;
        all.extend(numbers(gradient)?);
    }
    Ok(all)
}

type Make = fn(&Device) -> Result<Box<dyn Trainable>>;

const NETWORKS: &[(&str, Make)] = &[
    ("Mlp", |device| {
        let gaussian = Gaussian::standard(64)?;
        Ok(Box::new(Mlp::new(
            &MlpConfig::default(),
            &gaussian,
            &[1, 8, 8],
            device,
        )?))
    }),
    ("UNet", |device| {
        Ok(Box::new(UNet::new(
            &UNetConfig::small(),
            &[1, 8, 8],
            device,
        )?))
    }),
    ("Ddpm", |device| {
        let config = DdpmConfig {
            block_out_channels: vec![32; 4],
            norm_num_groups: 8,
            ..DdpmConfig::cifar10()
        };
        Ok(Box::new(Ddpm::new(&config, 0, device)?))
    }),
    ("Iddpm", |device| {
        let config = IddpmConfig {
            num_channels: 32,
            num_res_blocks: 1,
            norm_groups: 8,
            ..IddpmConfig::cifar10()
        };
        Ok(Box::new(Iddpm::new(&config, 0, device)?))
    }),
];

/// With other parameters: some of a fresh network's are 0, behind which nothing would be seen.
fn nudged(net: Box<dyn Trainable>) -> Result<Box<dyn Trainable>> {
    let mut random = rng::seeded(1);
    for var in net.vars() {
        let nudge = (rng::normal(var.dims(), &mut random)? * 0.05)?;
        var.set(&(var.as_tensor() + nudge.to_device(var.device())?)?)?;
    }
    Ok(net)
}

/// Four noisy samples, where the network computes, and their noise.
fn noisy(net: &dyn Trainable) -> Result<(Query, Tensor)> {
    let mut random = rng::seeded(2);
    let shape = [&[4], net.shape()].concat();
    let z = rng::normal(&shape, &mut random)?.to_device(net.device())?;
    let eps = rng::normal(&shape, &mut random)?.to_device(net.device())?;
    let log_snr = Tensor::new(&[-4f32, -1.0, 1.5, 5.0], net.device())?;
    Ok((Query::new(&z, &log_snr), eps))
}

fn estimate(net: &dyn Trainable) -> Result<Vec<f64>> {
    numbers(&net.denoise(&noisy(net)?.0)?)
}

/// All gradients of the mean squared error, and that error after a step against them.
fn step(net: &dyn Trainable) -> Result<(Vec<f64>, f64)> {
    let (query, eps) = noisy(net)?;
    let scale = 2.0 / eps.elem_count() as f64;
    let gradients = net.gradients(&query, &|first, estimate| {
        let eps = eps.narrow(0, first, estimate.dim(0)?)?;
        Ok(((estimate - eps)? * scale)?)
    })?;
    let vars = net.vars();
    let config = AdamWConfig {
        betas: (0.9, 0.999),
        weight_decay: 0.0,
        ema_decay: None,
    };
    AdamW::new(&vars, &config)?.step(&gradients, 1e-4, 1.0)?;
    let mut all = Vec::new();
    for gradient in gradients.iter().flatten() {
        all.extend(numbers(gradient)?);
    }
    let errors = numbers(&(net.denoise(&query)? - &eps)?)?;
    let squares: f64 = errors.iter().map(|error| error * error).sum();
    Ok((all, squares / errors.len() as f64))
}

fn pictures() -> Result<Dataset> {
    Ok(digits()?.dequantize(0)?.train)
}

fn curve(net: &dyn Trainable) -> Result<Vec<f64>> {
    let all = pictures()?;
    let points = Logistic::matched(&all.gaussian()?)?.quadrature(8)?;
    Ok(mse_curve(net, &all.take(16)?, &points)?.mse)
}

fn density(net: &dyn Trainable) -> Result<Vec<f64>> {
    let config = OdeConfig {
        steps: 8,
        log_snr: (-8.0, 8.0),
        trace: Trace::Rademacher(2),
        ..Default::default()
    };
    let found = ode_nll(net, &pictures()?.take(16)?, &config)?.mean;
    Ok(found.per_sample().unwrap_or_default().to_vec())
}

fn samples(net: &dyn Trainable) -> Result<Vec<f64>> {
    let config = SampleConfig {
        sampler: Sampler::Ddim { eta: 0.0 },
        steps: Steps::even(8),
        clamp: Some((-1.0, 1.0)),
        ..Default::default()
    };
    numbers(&sample(net, 4, &config)?.x)
}

fn numbers(x: &Tensor) -> Result<Vec<f64>> {
    let flat = x.detach().flatten_all()?.to_device(&Device::Cpu)?;
    Ok(flat.to_dtype(DType::F64)?.to_vec1()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_says_something_else_is_told() {
        let row = |device: &[f64]| Compared::new("x", &[1.0, -2.0], device, [1.0, 2.0]);
        assert!(row(&[1.0, -2.0]).agrees());
        assert!(row(&[1.0, -2.0001]).agrees());
        for wrong in [&[1.0, -2.001][..], &[1.0], &[1.0, f64::NAN], &[2.0, -1.0]] {
            let row = row(wrong);
            assert!(!row.agrees(), "{wrong:?}");
            let check = DeviceCheck {
                device: "Cuda".into(),
                rows: vec![row],
            };
            assert!(!check.agrees() && check.to_string().contains("DIFFERS"));
        }
        // Where the CPU says 0, so must the device.
        assert!(Compared::new("x", &[0.0], &[0.0], [1.0, 1.0]).agrees());
        assert!(!Compared::new("x", &[0.0], &[1e-9], [1.0, 1.0]).agrees());
    }

    /// The fast operations against candle's own, the rest against itself: what a GPU is asked goes through here.
    #[test]
    fn the_cpu_agrees_with_itself() {
        let check = check_device(&Device::Cpu).unwrap();
        assert!(check.agrees(), "{check}");
        let operations = &check.rows[..6];
        assert!(
            operations.iter().all(|row| row.apart > 0.0),
            "two ways of computing:\n{check}"
        );
        assert!(check.rows.iter().all(|row| row.count > 0));
    }
}
