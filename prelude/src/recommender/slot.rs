//! Parameters with their gradient and Adam's moments, for networks whose gradient is written out.

use ndarray::Array2;
use rand::Rng as _;
use rand_distr::StandardNormal;

use crate::rng;

/// Adam's usual betas.
const BETAS: (f32, f32) = (0.9, 0.999);

/// What a step of Adam is made with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    rate: f32,
    root: f32,
    epsilon: f32,
}

impl Step {
    /// The step of this number, counted from 1.
    pub(super) fn new(number: usize, rate: f64, epsilon: f64) -> Self {
        let left = |beta: f32| 1.0 - f64::from(beta).powi(number.min(100_000) as i32);
        Self {
            rate: (rate / left(BETAS.0)) as f32,
            root: left(BETAS.1).sqrt().recip() as f32,
            epsilon: epsilon as f32,
        }
    }

    /// Moves a value by its gradient.
    #[inline(always)]
    pub(super) fn apply(self, value: &mut f32, mean: &mut f32, square: &mut f32, grad: f32) {
        *mean = BETAS.0 * *mean + (1.0 - BETAS.0) * grad;
        *square = BETAS.1 * *square + (1.0 - BETAS.1) * grad * grad;
        *value -= self.rate * *mean / (square.sqrt() * self.root + self.epsilon);
    }
}

/// A matrix of parameters.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) value: Array2<f32>,
    pub(super) grad: Array2<f32>,
    mean: Array2<f32>,
    square: Array2<f32>,
}

impl Slot {
    pub(super) fn new(value: Array2<f32>) -> Self {
        let zeros = Array2::zeros(value.dim());
        Self {
            value,
            grad: zeros.clone(),
            mean: zeros.clone(),
            square: zeros,
        }
    }

    pub(super) fn zeros(shape: (usize, usize)) -> Self {
        Self::new(Array2::zeros(shape))
    }

    pub(super) fn uniform(shape: (usize, usize), bound: f64, rng: &mut rng::Rng) -> Self {
        let bound = bound as f32;
        let draw = || bound * (2.0 * rng.random::<f32>() - 1.0);
        Self::new(Array2::from_shape_simple_fn(shape, draw))
    }

    pub(super) fn normal(shape: (usize, usize), stdev: f64, rng: &mut rng::Rng) -> Self {
        let stdev = stdev as f32;
        let draw = || stdev * rng.sample::<f32, _>(StandardNormal);
        Self::new(Array2::from_shape_simple_fn(shape, draw))
    }

    /// Makes a step, and forgets the gradient.
    pub(super) fn step(&mut self, step: Step) {
        let all = [
            &mut self.value,
            &mut self.mean,
            &mut self.square,
            &mut self.grad,
        ];
        let [Some(value), Some(mean), Some(square), Some(grad)] =
            all.map(|array| array.as_slice_mut())
        else {
            return; // all four are made here, in one piece
        };
        for (((value, mean), square), grad) in value.iter_mut().zip(mean).zip(square).zip(grad) {
            step.apply(value, mean, square, *grad);
            *grad = 0.0;
        }
    }
}

/// Glorot's bound of uniform weights.
pub(super) fn glorot(from: usize, to: usize) -> f64 {
    (6.0 / (from + to) as f64).sqrt()
}

/// `max(x, 0)`, and NaN of NaN, which `f32::max` would hide.
pub(super) fn relu(x: f32) -> f32 {
    if x <= 0.0 { 0.0 } else { x }
}

/// A dense layer with ReLU, and half of its input dropped before or of its output after.
#[derive(Debug, Clone)]
pub(super) struct Relu {
    /// `[to, from]`.
    pub(super) weight: Slot,
    /// `[1, to]`.
    pub(super) bias: Slot,
}

impl Relu {
    pub(super) fn new(from: usize, to: usize, rng: &mut rng::Rng) -> Self {
        Self {
            weight: Slot::uniform((to, from), glorot(from, to), rng),
            bias: Slot::zeros((1, to)),
        }
    }

    /// `max(x·Wᵀ + b, 0)`.
    pub(super) fn apply(&self, x: &Array2<f32>) -> Array2<f32> {
        let mut y = x.dot(&self.weight.value.t()) + &self.bias.value;
        y.mapv_inplace(relu);
        y
    }

    /// Adds the gradients by the parameters, and gives that by `x`, from the output and the gradient by it.
    pub(super) fn back(
        &mut self,
        x: &Array2<f32>,
        y: &Array2<f32>,
        mut dy: Array2<f32>,
    ) -> Array2<f32> {
        dy.zip_mut_with(y, |dy, y| {
            if *y <= 0.0 {
                *dy = 0.0;
            }
        });
        self.weight.grad += &dy.t().dot(x);
        self.bias
            .grad
            .row_mut(0)
            .scaled_add(1.0, &dy.sum_axis(ndarray::Axis(0)));
        dy.dot(&self.weight.value)
    }

    pub(super) fn step(&mut self, step: Step) {
        self.weight.step(step);
        self.bias.step(step);
    }
}

/// Twice what is kept and 0 what is dropped, each with probability ½.
pub(super) fn mask(shape: (usize, usize), rng: &mut rng::Rng) -> Array2<f32> {
    let (mut bits, mut left) = (0u64, 0);
    Array2::from_shape_simple_fn(shape, || {
        if left == 0 {
            (bits, left) = (rng.random(), 64);
        }
        let bit = bits & 1;
        (bits, left) = (bits >> 1, left - 1);
        2.0 * bit as f32
    })
}
