//! Group normalisation with what follows it.

use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp3, DType, Layout, Shape, Tensor};
use itd_cell::slices::{of as slice, stored};
use rayon::prelude::*;

use super::Activation;
use super::exp::{silu, silu_slope};
use super::lanes::{Lanes, Work, widest};
use super::reduce::{Sum, moments, pieces};
use super::shared::written;
use crate::error::{Error, Result};

/// `activation(weight · (x − μ)/√(σ² + eps) + bias)`, with mean and variance over each group of channels of
/// each sample.
///
/// # Shapes
/// `x`: `[n, c, …]`; `weight` and `bias`: both `[c]`, or both `[n, c]` for scales and shifts of each sample.
///
/// # Errors
/// [`Error::Parameter`] unless the channels can be divided into so many groups; [`Error::Shape`] when weight or
/// bias are neither for the channels nor for the samples' channels.
///
/// # Numerics
/// On the CPU, in `f32`, in one piece: the variance is that of the numbers less their mean, sums run in `f64`
/// over short sums in `f32`, and gradients are computed from `x` again, so that nothing beside input and output
/// is kept. The numbers do not depend on the number of threads.
///
/// # Cost
/// On two cores, a million numbers (16 samples of 64 channels, 32×32) with SiLU take 0.7 ms, 2.1 with gradients.
/// `docs/benchmarks.md` has the table, PyTorch's beside it.
///
/// # Example: two numbers at equal distance from their mean
/// ```
/// # use itd_kernels as itd_prelude;
/// use itd_prelude::{Error, candle::{Device, Tensor}, ops::{Activation, group_norm}};
///
/// let tensor = |v: &[f32]| Tensor::new(v, &Device::Cpu);
/// let x = tensor(&[3.0, 5.0])?.reshape((1, 2, 1))?;
/// let (w, b) = (tensor(&[1.0, 1.0])?, tensor(&[0.0, 10.0])?);
/// let y = group_norm(&x, 1, &w, &b, 0.0, Activation::None)?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [-1.0, 11.0]);
/// # Ok::<(), Error>(())
/// ```
pub fn group_norm(
    x: &Tensor,
    groups: usize,
    weight: &Tensor,
    bias: &Tensor,
    eps: f64,
    activation: Activation,
) -> Result<Tensor> {
    let (n, c) = (x.dim(0)?, x.dim(1)?);
    if groups == 0 || !c.is_multiple_of(groups) {
        return Err(Error::Parameter {
            name: "groups",
            got: format!("{groups} for {c} channels"),
            need: "a divisor of the number of channels",
        });
    }
    for (what, t) in [("the weight", weight), ("the bias", bias)] {
        if t.dims() != [c] && t.dims() != [n, c] {
            return Err(Error::Shape {
                what,
                got: t.dims().to_vec(),
                need: format!("[{c}] or [{n}, {c}], for an x of {:?}", x.dims()),
            });
        }
    }
    let fused = x.device().is_cpu()
        && x.dtype() == DType::F32
        && x.elem_count() > 0
        && weight.rank() == bias.rank();
    if !fused {
        return plain(x, groups, weight, bias, eps, activation);
    }
    let op = Norm::new(groups, eps, activation);
    let (x, weight, bias) = (x.contiguous()?, weight.contiguous()?, bias.contiguous()?);
    Ok(x.apply_op3(&weight, &bias, op)?)
}

/// The slow twin.
fn plain(
    x: &Tensor,
    groups: usize,
    weight: &Tensor,
    bias: &Tensor,
    eps: f64,
    activation: Activation,
) -> Result<Tensor> {
    let (n, c) = (x.dim(0)?, x.dim(1)?);
    let each = |t: &Tensor| t.reshape((t.elem_count() / c.max(1), c, 1));
    if x.elem_count() == 0 {
        return Ok(x.clone());
    }
    let parts = x.reshape((n, groups, ()))?;
    let centred = parts.broadcast_sub(&parts.mean_keepdim(2)?)?;
    let spread = (centred.sqr()?.mean_keepdim(2)? + eps)?.sqrt()?;
    let unit = centred.broadcast_div(&spread)?.reshape((n, c, ()))?;
    let y = unit
        .broadcast_mul(&each(weight)?)?
        .broadcast_add(&each(bias)?)?
        .reshape(x.shape())?;
    Ok(match activation {
        Activation::None => y,
        Activation::Silu => y.silu()?,
    })
}

pub(super) struct Norm {
    groups: usize,
    eps: f64,
    activation: Activation,
    /// Mean and 1/√(σ² + eps) of each group of each sample.
    moments: Mutex<Vec<(f32, f32)>>,
}

impl Norm {
    pub(super) fn new(groups: usize, eps: f64, activation: Activation) -> Self {
        Self {
            groups,
            eps,
            activation,
            moments: Mutex::default(),
        }
    }

    /// The gradients by `x`, `weight` and `bias` that are wanted, after this operation has been done with these;
    /// they are contiguous.
    pub(super) fn gradients(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        dy: &Tensor,
        wanted: [bool; 3],
    ) -> candle_core::Result<[Option<Tensor>; 3]> {
        let sizes = Sizes::of(x.shape(), weight.shape(), self.groups);
        let dy = dy.contiguous()?;
        let (stored_x, stored_w) = (x.storage_and_layout(), weight.storage_and_layout());
        let (stored_b, stored_dy) = (bias.storage_and_layout(), dy.storage_and_layout());
        let (numbers, dy) = (
            stored(&stored_x.0, stored_x.1)?,
            stored(&stored_dy.0, stored_dy.1)?,
        );
        let (w, b) = (
            stored(&stored_w.0, stored_w.1)?,
            stored(&stored_b.0, stored_b.1)?,
        );
        let moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
        let group = sizes.group();
        let mut sums = vec![(0.0, 0.0); sizes.n * sizes.c]; // by weight and by bias, of each sample
        let groups = |dx: &mut [f32]| {
            dx.par_chunks_mut(group)
                .zip(numbers.par_chunks(group).zip(dy.par_chunks(group)))
                .zip(sums.par_chunks_mut(sizes.c / sizes.groups))
                .zip(moments.par_iter())
                .enumerate()
                .with_min_len(WORTH_A_TURN.div_ceil(group))
                .for_each(|(i, (((dx, (x, dy)), sums), moments))| {
                    let channels = sizes.parameters(i);
                    widest(Backward {
                        x,
                        dy,
                        weight: &w[channels.clone()],
                        bias: &b[channels],
                        moments: *moments,
                        activation: self.activation,
                        sums,
                        dx,
                    });
                });
        };
        // SAFETY: each group is written as a whole.
        let (dx, ()) = unsafe { written(numbers.len(), groups) };
        let gradient = |wanted: bool, t: &Tensor, of: fn(&(f32, f32)) -> f32| {
            if !wanted {
                return Ok(None);
            }
            let sum = match t.rank() {
                1 => (0..sizes.c)
                    .map(|c| {
                        let samples = sums[c..].iter().step_by(sizes.c);
                        samples.map(|sum| f64::from(of(sum))).sum::<f64>() as f32
                    })
                    .collect(),
                _ => sums.iter().map(of).collect::<Vec<_>>(),
            };
            Tensor::from_vec(sum, t.shape(), t.device()).map(Some)
        };
        let (dw, db) = (
            gradient(wanted[1], weight, |sum| sum.0)?,
            gradient(wanted[2], bias, |sum| sum.1)?,
        );
        let dx = match wanted[0] {
            false => None,
            true => Some(Tensor::from_vec(dx, x.shape(), x.device())?),
        };
        Ok([dx, dw, db])
    }
}

/// Numbers of a group below which threads take several groups at once.
const WORTH_A_TURN: usize = 16_384;

impl CustomOp3 for Norm {
    fn name(&self) -> &'static str {
        "group_norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        weight: &CpuStorage,
        lw: &Layout,
        bias: &CpuStorage,
        lb: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let sizes = Sizes::of(lx.shape(), lw.shape(), self.groups);
        let (x, weight, bias) = (slice(x, lx)?, slice(weight, lw)?, slice(bias, lb)?);
        let group = sizes.group();
        let groups = |y: &mut [f32]| {
            y.par_chunks_mut(group)
                .zip(x.par_chunks(group))
                .enumerate()
                .with_min_len(WORTH_A_TURN.div_ceil(group))
                .map(|(i, (y, x))| {
                    let channels = sizes.parameters(i);
                    widest(Forward {
                        x,
                        weight: &weight[channels.clone()],
                        bias: &bias[channels],
                        eps: self.eps,
                        activation: self.activation,
                        y,
                    })
                })
                .collect()
        };
        // SAFETY: each group is written as a whole.
        let (y, moments) = unsafe { written(x.len(), groups) };
        *self.moments.lock().unwrap_or_else(PoisonError::into_inner) = moments;
        Ok((CpuStorage::F32(y), lx.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let wanted = [x, weight, bias].map(Tensor::track_op);
        Ok(self.gradients(x, weight, bias, dy, wanted)?.into())
    }
}

#[derive(Clone, Copy)]
struct Sizes {
    n: usize,
    c: usize,
    groups: usize,
    /// Numbers of a channel.
    area: usize,
    /// Whether each sample has its weight and bias.
    each: bool,
}

impl Sizes {
    fn of(x: &Shape, weight: &Shape, groups: usize) -> Self {
        let (n, c) = (x.dims()[0], x.dims()[1]);
        Self {
            n,
            c,
            groups,
            area: x.elem_count() / (n * c),
            each: weight.rank() == 2,
        }
    }

    /// Numbers of a group.
    fn group(&self) -> usize {
        self.c / self.groups * self.area
    }

    /// Where weight and bias of a group stand, the groups being counted through all samples.
    fn parameters(&self, group: usize) -> std::ops::Range<usize> {
        let channels = self.c / self.groups;
        let group = match self.each {
            true => group,
            false => group % self.groups,
        };
        group * channels..(group + 1) * channels
    }
}

/// One group of one sample; gives its mean and 1/√(σ² + eps).
struct Forward<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    eps: f64,
    activation: Activation,
    y: &'a mut [f32],
}

impl Work for Forward<'_> {
    type Out = (f32, f32);

    #[inline(always)]
    fn run<L: Lanes>(self) -> (f32, f32) {
        let (x, count) = (self.x, self.x.len() as f64);
        let mean = (moments::<L>(x, 0.0).0 / count) as f32;
        // The mean in f32 is not quite the mean: what is missing comes off the square.
        let (missing, square) = moments::<L>(x, mean);
        let (missing, square) = (missing / count, square / count);
        let variance = (square - missing * missing).max(0.0);
        let scale = ((variance + self.eps).sqrt().recip()) as f32;
        let centre = L::all(mean);
        let area = x.len() / self.weight.len();
        let planes = x.chunks_exact(area).zip(self.y.chunks_exact_mut(area));
        for ((x, y), (weight, bias)) in planes.zip(self.weight.iter().zip(self.bias)) {
            let (weight, bias) = (L::all(scale * weight), L::all(*bias));
            for (from, count) in pieces(area) {
                let t = (L::load_part(&x[from..from + count]) - centre).fma(weight, bias);
                let y = &mut y[from..from + count];
                match self.activation {
                    Activation::None => t.store_part(y),
                    Activation::Silu => silu(t).store_part(y),
                }
            }
        }
        (mean, scale)
    }
}

/// The gradients of one group of one sample.
///
/// With `u = (x − μ)/√(σ² + eps)` and `g` the gradient by `u`, that by `x` is
/// `(g − mean(g) − u · mean(g·u))/√(σ² + eps)`.
struct Backward<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    moments: (f32, f32),
    activation: Activation,
    sums: &'a mut [(f32, f32)],
    dx: &'a mut [f32],
}

impl Work for Backward<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let (mean, scale) = (L::all(self.moments.0), L::all(self.moments.1));
        let area = self.x.len() / self.weight.len();
        let (mut by_unit, mut along) = (0.0, 0.0);
        let parameters = self.weight.iter().zip(self.bias);
        for (i, ((weight, bias), place)) in parameters.zip(self.sums).enumerate() {
            let plane = i * area..(i + 1) * area;
            let (x, dy) = (&self.x[plane.clone()], &self.dy[plane.clone()]);
            let dt = &mut self.dx[plane];
            let (factor, shift) = (L::all(*weight), L::all(*bias));
            // First the gradient by t = weight · u + bias, which stands in dx until the sums are known.
            let (mut by_weight, mut by_bias) = (Sum::<L>::new(), Sum::<L>::new());
            for (from, count) in pieces(area) {
                let part = from..from + count;
                let u = (L::load_part(&x[part.clone()]) - mean) * scale;
                let dy = L::load_part(&dy[part.clone()]);
                let slope = match self.activation {
                    Activation::None => dy,
                    Activation::Silu => dy * silu_slope(u.fma(factor, shift)),
                };
                slope.store_part(&mut dt[part]);
                // Beyond the last number dy is zero.
                by_weight.add(slope * u);
                by_bias.add(slope);
            }
            let (by_weight, by_bias) = (by_weight.total(), by_bias.total());
            *place = (by_weight as f32, by_bias as f32);
            by_unit += f64::from(*weight) * by_bias;
            along += f64::from(*weight) * by_weight;
        }
        let count = self.x.len() as f64;
        let (by_unit, along) = ((by_unit / count) as f32, (along / count) as f32);
        let none = L::all(0.0);
        let (along, by_unit) = (none - L::all(along), none - L::all(by_unit));
        let planes = self
            .x
            .chunks_exact(area)
            .zip(self.dx.chunks_exact_mut(area));
        for ((x, dx), weight) in planes.zip(self.weight) {
            let weight = L::all(*weight);
            for (from, count) in pieces(area) {
                let dx = &mut dx[from..from + count];
                let u = (L::load_part(&x[from..from + count]) - mean) * scale;
                let g = L::load_part(dx).fma(weight, by_unit);
                (u.fma(along, g) * scale).store_part(dx);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::rng;

    struct Case {
        x: Var,
        weight: Var,
        bias: Var,
        loss: Tensor,
        groups: usize,
        activation: Activation,
    }

    impl Case {
        fn all() -> Vec<Self> {
            let mut rng = rng::seeded(0);
            let mut cases = Vec::new();
            for (shape, groups) in [
                (vec![1, 2, 1], 1),
                (vec![3, 6, 5, 7], 3),
                (vec![1, 64, 32, 32], 32),
                (vec![3, 8, 64], 8),
                (vec![3, 12, 33, 31], 2),
                (vec![5, 16], 4),
            ] {
                for activation in [Activation::None, Activation::Silu] {
                    for each in [false, true] {
                        let parameters = match each {
                            false => vec![shape[1]],
                            true => vec![shape[0], shape[1]],
                        };
                        let mut var = |shape: &[usize]| {
                            Var::from_tensor(&rng::normal(shape, &mut rng).unwrap()).unwrap()
                        };
                        cases.push(Self {
                            x: var(&shape),
                            weight: var(&parameters),
                            bias: var(&parameters),
                            loss: var(&shape).as_tensor().detach(),
                            groups,
                            activation,
                        });
                    }
                }
            }
            cases
        }

        /// Result and gradients, by `norm` on arguments of type `as_type`.
        fn run(
            &self,
            norm: impl Fn(&Tensor, usize, &Tensor, &Tensor, f64, Activation) -> Result<Tensor>,
            as_type: DType,
        ) -> Vec<Vec<f64>> {
            let like = |t: &Tensor| t.to_dtype(as_type).unwrap();
            let (x, weight, bias) = (like(&self.x), like(&self.weight), like(&self.bias));
            let y = norm(&x, self.groups, &weight, &bias, 1e-5, self.activation).unwrap();
            let loss = (&y * like(&self.loss)).unwrap().sum_all().unwrap();
            let grads = loss.backward().unwrap();
            let vars = [&self.x, &self.weight, &self.bias];
            let grads = vars.map(|var| grads.get(var).unwrap().clone());
            let tensors = std::iter::once(y).chain(grads);
            let numbers = |t: Tensor| t.to_dtype(DType::F64).unwrap().flatten_all().unwrap();
            tensors.map(|t| numbers(t).to_vec1().unwrap()).collect()
        }
    }

    #[test]
    fn values_and_gradients_are_those_of_the_slow_twin_in_f64() {
        for case in Case::all() {
            let fast = case.run(group_norm, DType::F32);
            let slow = case.run(plain, DType::F64);
            for (fast, slow) in fast.iter().zip(&slow) {
                // Two numbers in a group have a gradient near 0, a difference of numbers near 1.
                let largest = slow.iter().fold(1.0, |a: f64, b| a.max(b.abs()));
                for (fast, slow) in fast.iter().zip(slow) {
                    let apart = (fast - slow).abs() / largest;
                    assert!(apart < 3e-6, "{:?}: {fast} {slow}", case.x.dims());
                }
            }
        }
    }

    #[test]
    fn the_slow_twins_gradient_is_that_of_finite_differences() {
        const STEP: f64 = 1e-5;
        let case = Case::all().remove(6); // [3, 6, 5, 7] with SiLU, for each channel
        let known = case.run(plain, DType::F64).remove(1);
        let double = |t: &Tensor| t.to_dtype(DType::F64).unwrap();
        let (weight, bias) = (double(&case.weight), double(&case.bias));
        let x = double(&case.x)
            .flatten_all()
            .unwrap()
            .to_vec1::<f64>()
            .unwrap();
        let loss = |x: Vec<f64>| {
            let x = Tensor::from_vec(x, case.x.shape(), &Device::Cpu).unwrap();
            let y = plain(&x, case.groups, &weight, &bias, 1e-5, case.activation).unwrap();
            let loss = (y * double(&case.loss)).unwrap().sum_all().unwrap();
            loss.to_scalar::<f64>().unwrap()
        };
        for i in (0..x.len()).step_by(37) {
            let (mut up, mut down) = (x.clone(), x.clone());
            up[i] += STEP;
            down[i] -= STEP;
            let slope = (loss(up) - loss(down)) / (2.0 * STEP);
            assert!((slope - known[i]).abs() < 1e-7, "{i}: {slope} {}", known[i]);
        }
    }

    #[test]
    fn the_numbers_do_not_depend_on_the_number_of_threads() {
        for case in Case::all() {
            let on = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
                let run = || case.run(group_norm, DType::F32);
                pool.build().unwrap().install(run)
            };
            assert_eq!(on(1), on(2));
        }
    }

    #[test]
    fn a_mean_far_from_zero_leaves_the_variance_right() {
        // 1000 ± 1 and 1000 ± 2, which f32 holds exactly.
        let x = [999.0_f32, 1001.0, 998.0, 1002.0].repeat(500);
        let x = Tensor::from_vec(x, (1, 1, 2000), &Device::Cpu).unwrap();
        let one = Tensor::ones(1, DType::F32, &Device::Cpu).unwrap();
        let zero = one.zeros_like().unwrap();
        let y = group_norm(&x, 1, &one, &zero, 0.0, Activation::None).unwrap();
        let y = y.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!((f64::from(y[1]) - 2.5_f64.sqrt().recip()).abs() < 1e-6);
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let ones = |shape: &[usize]| Tensor::ones(shape, DType::F32, &Device::Cpu).unwrap();
        let x = ones(&[2, 6, 4]);
        let norm = |groups, weight: &[usize], bias: &[usize]| {
            let (weight, bias) = (ones(weight), ones(bias));
            group_norm(&x, groups, &weight, &bias, 1e-5, Activation::None)
        };
        assert!(norm(3, &[6], &[6]).is_ok());
        assert!(norm(3, &[2, 6], &[2, 6]).is_ok());
        assert!(norm(3, &[2, 6], &[6]).is_ok());
        assert!(matches!(norm(4, &[6], &[6]), Err(Error::Parameter { .. })));
        assert!(matches!(norm(0, &[6], &[6]), Err(Error::Parameter { .. })));
        assert!(matches!(norm(3, &[5], &[6]), Err(Error::Shape { .. })));
        assert!(matches!(norm(3, &[6], &[3, 6]), Err(Error::Shape { .. })));
        let none = group_norm(
            &ones(&[0, 6, 4]),
            3,
            &ones(&[6]),
            &ones(&[6]),
            1e-5,
            Activation::Silu,
        );
        assert_eq!(none.unwrap().dims(), [0, 6, 4]);
    }
}
