//! AdamW, and the moving average of the parameters.

use candle_core::{Tensor, Var};
use rayon::prelude::*;

use super::values::{CHUNK, change, exchange, values, write};
use crate::error::Result;

/// Keeps the quotient finite where a gradient has always been 0.
const EPSILON: f32 = 1e-8;

/// How [`AdamW`] steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWConfig {
    /// `β₁` and `β₂`: how much of the gradient's moving mean, and of its square's, a step keeps.
    pub betas: (f64, f64),
    /// Each step shrinks the parameters by `learning rate · weight_decay`.
    pub weight_decay: f64,
    /// `d` of the moving average; `None` keeps none.
    pub ema_decay: Option<f64>,
}

/// AdamW with decoupled weight decay (Loshchilov and Hutter, 2019, arXiv:1711.05101), and after each step
///
/// ```text
/// average ← d·average + (1 − d)·parameters
/// ```
///
/// early on with a smaller `d`, so that the start is soon forgotten.
///
/// # Numerics
/// One pass over the memory for both, where the parameters lie; candle's own makes twelve tensors. The result does
/// not depend on the number of threads. Parameters that are not on the CPU are copied back and forth.
///
/// # Example: a step against the gradient
/// ```
/// # use itd_kernels as itd_prelude;
/// use itd_prelude::candle::{Device, Tensor, Var};
/// use itd_prelude::optim::{AdamW, AdamWConfig};
///
/// let var = Var::new(&[1f32, -1.0], &Device::Cpu)?;
/// let config = AdamWConfig { betas: (0.9, 0.999), weight_decay: 0.0, ema_decay: None };
/// let mut adamw = AdamW::new(&[var.clone()], &config)?;
/// adamw.step(&[Some(Tensor::new(&[2f32, -5.0], &Device::Cpu)?)], 0.1, 1.0)?;
/// // The first step is as long as the rate, however long the gradient.
/// assert!((var.to_vec1::<f32>()?[0] - 0.9).abs() < 1e-6 && (var.to_vec1::<f32>()?[1] + 0.9).abs() < 1e-6);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug)]
pub struct AdamW {
    slots: Vec<Slot>,
    betas: (f64, f64),
    weight_decay: f64,
    decay: Option<f64>,
    steps: usize,
}

#[derive(Debug)]
struct Slot {
    var: Var,
    mean: Vec<f32>,
    square: Vec<f32>,
    /// Empty without an average.
    average: Vec<f32>,
}

/// The numbers of each parameter that a run is made of.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moments {
    /// The parameter.
    pub value: Vec<f32>,
    /// The moving mean of its gradient.
    pub mean: Vec<f32>,
    /// That of its gradient's square.
    pub square: Vec<f32>,
    /// Its own; empty without an average.
    pub average: Vec<f32>,
}

impl AdamW {
    /// Starts with these parameters, and their average on them.
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor) when they cannot be read.
    pub fn new(vars: &[Var], config: &AdamWConfig) -> Result<Self> {
        let slot = |var: &Var| -> Result<Slot> {
            let count = var.elem_count();
            Ok(Slot {
                mean: vec![0.0; count],
                square: vec![0.0; count],
                average: match config.ema_decay {
                    Some(_) => values(var)?,
                    None => Vec::new(),
                },
                var: var.clone(),
            })
        };
        Ok(Self {
            slots: vars.iter().map(slot).collect::<Result<_>>()?,
            betas: config.betas,
            weight_decay: config.weight_decay,
            decay: config.ema_decay,
            steps: 0,
        })
    }

    /// Makes a step with the gradients times `factor`; one that is missing counts as 0.
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor) when a gradient is not like its parameter.
    pub fn step(&mut self, gradients: &[Option<Tensor>], rate: f64, factor: f64) -> Result<()> {
        self.steps += 1;
        let steps = self.steps as f64;
        let early = steps / (steps + 9.0);
        let rule = Rule {
            beta: (self.betas.0 as f32, self.betas.1 as f32),
            factor: factor as f32,
            shrink: (1.0 - rate * self.weight_decay) as f32,
            rate: (rate / (1.0 - self.betas.0.powf(steps))) as f32,
            root: (1.0 - self.betas.1.powf(steps)).sqrt().recip() as f32,
            rest: self.decay.map_or(0.0, |d| 1.0 - d.min(early)) as f32,
        };
        for (slot, gradient) in self.slots.iter_mut().zip(gradients) {
            let gradient = match gradient {
                Some(gradient) => gradient.contiguous()?,
                None => slot.var.zeros_like()?,
            };
            slot.step(rule, &gradient)?;
        }
        Ok(())
    }

    /// The numbers of each parameter.
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor) when a parameter cannot be read.
    pub fn moments(&self) -> Result<Vec<Moments>> {
        let moments = |slot: &Slot| -> Result<Moments> {
            Ok(Moments {
                value: values(&slot.var)?,
                mean: slot.mean.clone(),
                square: slot.square.clone(),
                average: slot.average.clone(),
            })
        };
        self.slots.iter().map(moments).collect()
    }

    /// Goes on from where such numbers were read after so many steps; whoever has read them has made sure that
    /// each has its parameter's length.
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor) when a parameter cannot be set.
    pub fn restore(&mut self, steps: usize, moments: Vec<Moments>) -> Result<()> {
        for (slot, moments) in self.slots.iter_mut().zip(moments) {
            write(&slot.var, &moments.value)?;
            slot.mean = moments.mean;
            slot.square = moments.square;
            slot.average = moments.average;
        }
        self.steps = steps;
        Ok(())
    }

    /// Exchanges the parameters and their average, if there is one.
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor) when a parameter cannot be set.
    pub fn swap(&mut self) -> Result<()> {
        for slot in self
            .slots
            .iter_mut()
            .filter(|slot| !slot.average.is_empty())
        {
            if slot.var.device().is_cpu() {
                exchange(&slot.var, &mut slot.average)?;
            } else {
                let value = values(&slot.var)?;
                write(&slot.var, &slot.average)?;
                slot.average = value;
            }
        }
        Ok(())
    }
}

impl Slot {
    fn step(&mut self, rule: Rule, gradient: &Tensor) -> Result<()> {
        let Self {
            var,
            mean,
            square,
            average,
        } = self;
        if var.device().is_cpu() {
            return change(var, gradient, |value, gradient| {
                rule.apply(value, gradient, mean, square, average);
            });
        }
        let (mut value, gradient) = (values(var)?, gradient.flatten_all()?.to_vec1()?);
        rule.apply(&mut value, &gradient, mean, square, average);
        write(var, &value)
    }
}

/// What one step does to each number.
#[derive(Debug, Clone, Copy)]
struct Rule {
    beta: (f32, f32),
    factor: f32,
    shrink: f32,
    /// The learning rate over `1 − β₁ᵗ`.
    rate: f32,
    /// `1/√(1 − β₂ᵗ)`
    root: f32,
    rest: f32,
}

impl Rule {
    fn apply(
        self,
        value: &mut [f32],
        gradient: &[f32],
        mean: &mut [f32],
        square: &mut [f32],
        average: &mut [f32],
    ) {
        // Threads take longer to wake than a small parameter takes.
        if value.len() <= CHUNK {
            return self.chunk(value, gradient, mean, square, average);
        }
        let chunks = value
            .par_chunks_mut(CHUNK)
            .zip(gradient.par_chunks(CHUNK))
            .zip(mean.par_chunks_mut(CHUNK))
            .zip(square.par_chunks_mut(CHUNK));
        match average.is_empty() {
            true => chunks.for_each(|(((value, gradient), mean), square)| {
                self.chunk(value, gradient, mean, square, &mut []);
            }),
            false => chunks.zip(average.par_chunks_mut(CHUNK)).for_each(
                |((((value, gradient), mean), square), average)| {
                    self.chunk(value, gradient, mean, square, average);
                },
            ),
        }
    }

    /// Both for numbers that fit into the cache. Vectors of any width give the same bits: no product is fused with a sum.
    fn chunk(
        self,
        value: &mut [f32],
        gradient: &[f32],
        mean: &mut [f32],
        square: &mut [f32],
        average: &mut [f32],
    ) {
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = "avx2")]
            fn wide(
                rule: Rule,
                value: &mut [f32],
                gradient: &[f32],
                mean: &mut [f32],
                square: &mut [f32],
                average: &mut [f32],
            ) {
                rule.adam(value, gradient, mean, square);
                rule.follow(average, value);
            }
            if std::arch::is_x86_feature_detected!("avx2") {
                // SAFETY: the processor has the instructions.
                return unsafe { wide(self, value, gradient, mean, square, average) };
            }
        }
        self.adam(value, gradient, mean, square);
        self.follow(average, value);
    }

    #[inline(always)]
    fn adam(self, value: &mut [f32], gradient: &[f32], mean: &mut [f32], square: &mut [f32]) {
        let (one, two) = (1.0 - self.beta.0, 1.0 - self.beta.1);
        let moments = mean.iter_mut().zip(square);
        for ((value, &g), (mean, square)) in value.iter_mut().zip(gradient).zip(moments) {
            let g = g * self.factor;
            *mean += one * (g - *mean);
            *square += two * (g * g - *square);
            *value =
                *value * self.shrink - self.rate * *mean / (square.sqrt() * self.root + EPSILON);
        }
    }

    #[inline(always)]
    fn follow(self, average: &mut [f32], value: &[f32]) {
        for (average, value) in average.iter_mut().zip(value) {
            *average += self.rest * (value - *average);
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use candle_nn::{AdamW as Slow, Optimizer as _, ParamsAdamW};

    use super::super::values::norm;
    use super::*;
    use crate::rng;

    fn config(ema_decay: Option<f64>) -> AdamWConfig {
        AdamWConfig {
            betas: (0.9, 0.97),
            weight_decay: 0.3,
            ema_decay,
        }
    }

    /// A crooked valley.
    fn loss(v: &Var) -> Tensor {
        let bent = (v.as_tensor().sqr().unwrap() - 1.0).unwrap().sqr().unwrap();
        (bent.sum_all().unwrap() + v.as_tensor().sum_all().unwrap()).unwrap()
    }

    fn start(count: usize) -> Tensor {
        rng::normal(&[count, 2], &mut rng::seeded(0)).unwrap()
    }

    #[test]
    fn it_steps_like_candles() {
        // The slow twin: both start at the same point and must walk the same way, in one part and in several.
        for count in [2, 20_000] {
            let start = start(count);
            let vars = [0, 1].map(|_| Var::from_tensor(&start.copy().unwrap()).unwrap());
            let mut ours = AdamW::new(&vars[..1], &config(Some(0.9))).unwrap();
            let params = ParamsAdamW {
                lr: 0.05,
                beta1: 0.9,
                beta2: 0.97,
                weight_decay: 0.3,
                ..Default::default()
            };
            let mut slow = Slow::new(vec![vars[1].clone()], params).unwrap();
            let mut average = start.clone();
            for step in 1..=30 {
                let gradient = loss(&vars[0]).backward().unwrap().remove(&vars[0]);
                // Half of it, taken twice.
                let half = gradient.map(|g| (g * 0.5).unwrap());
                ours.step(&[half], 0.05, 2.0).unwrap();
                slow.step(&loss(&vars[1]).backward().unwrap()).unwrap();
                let keep = 0.9f64.min(step as f64 / (step as f64 + 9.0));
                let new = (vars[1].as_tensor() * (1.0 - keep)).unwrap();
                average = ((average * keep).unwrap() + new).unwrap();
            }
            let apart = |a: &Tensor, b: &Tensor| {
                let gap = (a - b).unwrap().abs().unwrap();
                gap.max_all().unwrap().to_scalar::<f32>().unwrap()
            };
            assert!(apart(&vars[0], &vars[1]) < 1e-4, "{count}");
            ours.swap().unwrap();
            assert!(apart(&vars[0], &average) < 1e-4, "{count}");
            ours.swap().unwrap();
            assert!(apart(&vars[0], &vars[1]) < 1e-4, "{count}");
        }
    }

    #[test]
    fn threads_change_no_bit() {
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| {
                let var = Var::from_tensor(&start(40_000)).unwrap();
                let mut optimizer = AdamW::new(std::slice::from_ref(&var), &config(None)).unwrap();
                let mut norms = Vec::new();
                for _ in 0..5 {
                    let gradients = [loss(&var).backward().unwrap().remove(&var)];
                    norms.push(norm(&gradients).unwrap());
                    optimizer.step(&gradients, 0.01, 1.0).unwrap();
                }
                (norms, optimizer.moments().unwrap())
            })
        };
        assert_eq!(run(1), run(3));
    }

    #[test]
    fn a_missing_gradient_counts_as_0_and_state_comes_back() {
        let var = || Var::from_tensor(&Tensor::new(&[1f32, 2.0], &Device::Cpu).unwrap()).unwrap();
        let (one, other) = (var(), var());
        let mut first = AdamW::new(std::slice::from_ref(&one), &config(Some(0.5))).unwrap();
        let gradient = Some(Tensor::new(&[0.5f32, -1.0], &Device::Cpu).unwrap());
        first
            .step(std::slice::from_ref(&gradient), 0.1, 1.0)
            .unwrap();
        let mut second = AdamW::new(std::slice::from_ref(&other), &config(Some(0.5))).unwrap();
        second.restore(1, first.moments().unwrap()).unwrap();
        for optimizer in [&mut first, &mut second] {
            optimizer.step(&[None], 0.1, 1.0).unwrap();
            optimizer
                .step(std::slice::from_ref(&gradient), 0.1, 1.0)
                .unwrap();
        }
        assert_eq!(first.moments().unwrap(), second.moments().unwrap());
        assert_ne!(values(&one).unwrap(), [1.0, 2.0]);
    }
}
