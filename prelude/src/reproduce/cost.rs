//! What a run takes.

use std::time::{Duration, Instant};

use super::inputs::Which;
use super::stage::{Form, Run};
use crate::cell::Bundle;
use crate::cell::display::{Show, plain};
use crate::denoiser::Query;
use crate::error::Result;
use crate::rng;

/// What a run takes on this machine, if nothing of it is there yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    /// Pictures that go through a network, on its way forward.
    pub evaluations: u64,
    /// Time for them, and for tuning, which is taken as three evaluations for each picture.
    pub time: Duration,
    /// Bytes in the folder of the run, without inputs and checkpoints of tuning.
    pub disk: u64,
    /// Bytes of the training images in memory, which tuning and the covariance take, and of the covariance.
    pub memory: u64,
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:.2e} evaluations, about {} on this machine; {} of disk, {} of memory beside the networks",
            self.evaluations as f64,
            hours(self.time),
            crate::text::bytes(self.disk),
            crate::text::bytes(self.memory)
        )
    }
}

impl Show for Cost {
    fn bundle(&self) -> Result<Bundle> {
        Ok(plain(self.to_string()))
    }
}

fn hours(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds < 120.0 => format!("{seconds:.0} s"),
        seconds if seconds < 7200.0 => format!("{:.0} min", seconds / 60.0),
        seconds => format!("{:.1} h", seconds / 3600.0),
    }
}

/// Pictures that are timed; the first one is not counted.
const TIMED: usize = 4;

pub(super) fn of(run: &Run) -> Result<Cost> {
    let images = run.test.len() as u64;
    let curves = images * run.points.len() as u64 * Form::ALL.len() as u64;
    let bounds = 2 * (run.sizes.bound_images as u64).min(images) * run.sizes.bound_steps as u64;
    let (mut evaluations, mut time, mut parameters) = (0, Duration::ZERO, 0_u64);
    for which in Which::ALL {
        let net = run.net(which, false)?;
        let net = net.trainable();
        let shape = [&[TIMED], run.test.shape()].concat();
        let z = rng::normal(&shape, &mut rng::stream(0, "cost"))?.to_device(net.device())?;
        let alpha = crate::candle::Tensor::zeros(TIMED, z.dtype(), z.device())?;
        let query = Query::new(&z, &alpha);
        net.denoise(&query.narrow(0, 1)?)?;
        let start = Instant::now();
        net.denoise(&query)?;
        let each = start.elapsed() / TIMED as u32;
        let settings = run.tuning(which)?;
        let train = run.data.train.len();
        let epoch = train / settings.batch.max(1);
        let steps = settings.steps.unwrap_or(settings.epochs * epoch);
        let count = 2 * (curves + bounds) + 3 * (steps * settings.batch) as u64;
        evaluations += count;
        time += each.mul_f64(count as f64);
        for var in net.vars() {
            parameters += var.elem_count() as u64;
        }
    }
    let dim = run.test.dim() as u64;
    Ok(Cost {
        evaluations,
        time,
        // Two tuned networks, and twelve curves with the errors of single images and their noise.
        disk: 4 * parameters + 4 * Form::ALL.len() as u64 * images * run.points.len() as u64 * 16,
        memory: run.data.train.len() as u64 * dim * 4 + 2 * dim * dim * 8,
    })
}
