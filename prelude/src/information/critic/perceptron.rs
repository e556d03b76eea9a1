//! A perceptron that scores pairs, and its gradient.
//!
//! The first layer is a sum, of what `x` adds and of what `y` adds. So `k` samples of each are sent through it once, and
//! only what follows is done for all `k²` pairs.

use candle_core::{Device, Tensor, Var};
use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayView1, Axis, Zip, s};
use rayon::prelude::*;

use crate::error::Result;
use crate::layers::{Linear, Scheme};
use crate::params::Network;

/// Rows of pairs that are summed up at once: the order of sums does not depend on the number of threads.
const ROWS: usize = 16;
/// Pairs that are scored at once.
const TILE: usize = 512;

/// Samples of both vectors, `[n, d_x]` and `[n, d_y]`.
#[derive(Debug, Clone)]
pub(super) struct Sides {
    pub(super) x: Array2<f32>,
    pub(super) y: Array2<f32>,
}

impl Sides {
    pub(super) fn len(&self) -> usize {
        self.x.nrows()
    }

    pub(super) fn rows(&self, chosen: &[usize]) -> Self {
        Self {
            x: self.x.select(Axis(0), chosen),
            y: self.y.select(Axis(0), chosen),
        }
    }
}

/// Fresh parameters: of each layer the weights and then the biases.
pub(super) fn fresh(inputs: usize, hidden: &[usize], seed: u64) -> Result<Vec<Var>> {
    let sizes = [&[inputs], hidden, &[1]].concat();
    let net = Network::seeded(seed, &Device::Cpu, |vb| {
        let vb = vb.pp("critic");
        let layer =
            |(i, pair): (usize, &[usize])| Linear::new(vb.pp(i), pair[0], pair[1], Scheme::Uniform);
        sizes
            .windows(2)
            .enumerate()
            .map(layer)
            .collect::<Result<Vec<_>>>()
    })?;
    Ok(net.vars())
}

/// A dense layer: weights `[out, in]` and biases `[out]`.
type Layer = (Array2<f32>, Array1<f32>);

/// The present parameters.
#[derive(Debug, Clone)]
pub(super) struct Perceptron {
    layers: Vec<Layer>,
}

/// What each sample adds to the first layer, `[n, width]`; the biases are with `x`.
pub(super) struct Added {
    pub(super) x: Array2<f32>,
    pub(super) y: Array2<f32>,
}

impl Perceptron {
    pub(super) fn read(vars: &[Var]) -> Result<Self> {
        let layer = |pair: &[Var]| -> Result<Layer> {
            let (out, from) = pair[0].dims2()?;
            let weights: Vec<f32> = pair[0].flatten_all()?.to_vec1()?;
            Ok((
                Array2::from_shape_fn((out, from), |(i, j)| weights[i * from + j]),
                Array1::from(pair[1].to_vec1::<f32>()?),
            ))
        };
        let layers = vars.chunks_exact(2).map(layer).collect::<Result<_>>()?;
        Ok(Self { layers })
    }

    /// The first layer, before what follows it.
    pub(super) fn added(&self, data: &Sides) -> Added {
        let (weights, bias) = &self.layers[0];
        let d = data.x.ncols();
        Added {
            x: data.x.dot(&weights.slice(s![.., ..d]).t()) + bias,
            y: data.y.dot(&weights.slice(s![.., d..]).t()),
        }
    }

    /// The hidden layers of pairs whose first layer is `sum`, `[m, width]`.
    fn hidden(&self, mut sum: Array2<f32>) -> Vec<Array2<f32>> {
        rectify(&mut sum);
        let mut all = vec![sum];
        for (i, (weights, bias)) in self.inner().enumerate() {
            let mut next = all[i].dot(&weights.t()) + bias;
            rectify(&mut next);
            all.push(next);
        }
        all
    }

    /// The layers between the first and the last.
    fn inner(&self) -> impl Iterator<Item = &Layer> {
        self.layers[1..self.layers.len() - 1].iter()
    }

    /// `T` of pairs whose first layer is `sum`.
    pub(super) fn scores(&self, sum: Array2<f32>) -> Array1<f32> {
        let (weights, bias) = &self.layers[self.layers.len() - 1];
        let hidden = self.hidden(sum);
        hidden[hidden.len() - 1].dot(&weights.row(0)) + bias[0]
    }

    /// `T` of one sample, which adds `one` to the first layer, with all others, `[n, width]`: some at a time, so that
    /// they stay in the cache.
    pub(super) fn row(&self, one: ArrayView1<f32>, others: &Array2<f32>) -> Array1<f32> {
        let parts = others.axis_chunks_iter(Axis(0), TILE);
        parts
            .flat_map(|part| self.scores(&part + &one).into_raw_vec_and_offset().0)
            .collect()
    }

    /// `T` of all pairs, `[n, n]`: `T(x_i, y_j)` in row `i`, column `j`.
    pub(super) fn all(&self, data: &Sides) -> Array2<f32> {
        let added = self.added(data);
        let mut all = Array2::zeros((data.len(), data.len()));
        let rows = all.axis_iter_mut(Axis(0)).into_par_iter();
        rows.zip(added.x.axis_iter(Axis(0)))
            .for_each(|(mut row, x)| row.assign(&self.row(x, &added.y)));
        all
    }

    /// `Σ g ∂T/∂θ`, as it is added to `onto`, and `g ∂T/∂sum`.
    fn back(&self, sum: Array2<f32>, g: ArrayView1<f32>, onto: &mut [Layer]) -> Array2<f32> {
        let hidden = self.hidden(sum);
        let mut slope = g.to_owned().insert_axis(Axis(1)); // [m, 1]
        for i in (1..self.layers.len()).rev() {
            let (weights, bias) = &mut onto[i];
            general_mat_mul(1.0, &slope.t(), &hidden[i - 1], 1.0, weights);
            *bias += &slope.sum_axis(Axis(0));
            slope = slope.dot(&self.layers[i].0);
            Zip::from(&mut slope).and(&hidden[i - 1]).for_each(|g, &h| {
                if !(h > 0.0) {
                    *g = 0.0;
                }
            });
        }
        slope
    }

    fn zeros(&self) -> Vec<Layer> {
        let zero = |(w, b): &Layer| (Array2::zeros(w.dim()), Array1::zeros(b.dim()));
        self.layers.iter().map(zero).collect()
    }

    /// The gradient by the first layer's parameters, from those by what `x` and `y` add.
    fn first(data: &Sides, by_x: &Array2<f32>, by_y: &Array2<f32>, onto: &mut Layer) {
        let d = data.x.ncols();
        let weights = &mut onto.0;
        general_mat_mul(
            1.0,
            &by_x.t(),
            &data.x,
            1.0,
            &mut weights.slice_mut(s![.., ..d]),
        );
        general_mat_mul(
            1.0,
            &by_y.t(),
            &data.y,
            1.0,
            &mut weights.slice_mut(s![.., d..]),
        );
        onto.1 += &by_x.sum_axis(Axis(0));
    }

    /// `Σ_ij g_ij ∂T(x_i, y_j)/∂θ`.
    pub(super) fn gradient_of_all(&self, data: &Sides, g: &Array2<f32>) -> Gradient {
        let added = self.added(data);
        let n = data.len();
        let piece = |from: usize| {
            let mut grads = self.zeros();
            let mut by_y = Array2::zeros(added.y.dim());
            let rows = from..n.min(from + ROWS);
            let mut by_x = Array2::zeros((rows.len(), added.x.ncols()));
            for (i, mut by_x) in rows.zip(by_x.rows_mut()) {
                let slope = self.back(&added.y + &added.x.row(i), g.row(i), &mut grads);
                by_x.assign(&slope.sum_axis(Axis(0)));
                by_y += &slope;
            }
            (from, grads, by_x, by_y)
        };
        let pieces: Vec<_> = (0..n.div_ceil(ROWS))
            .into_par_iter()
            .map(|i| piece(i * ROWS))
            .collect();
        let mut grads = self.zeros();
        let (mut by_x, mut by_y) = (Array2::zeros(added.x.dim()), Array2::zeros(added.y.dim()));
        for (from, more, rows, columns) in pieces {
            add(&mut grads, &more);
            by_x.slice_mut(s![from..from + rows.nrows(), ..])
                .assign(&rows);
            by_y += &columns;
        }
        Self::first(data, &by_x, &by_y, &mut grads[0]);
        Gradient(grads)
    }

    /// `T(x_i, y_i)`.
    pub(super) fn paired(&self, data: &Sides) -> Array1<f32> {
        let added = self.added(data);
        self.scores(added.x + &added.y)
    }

    /// `Σ_i g_i ∂T(x_i, y_i)/∂θ`.
    pub(super) fn gradient_of_paired(&self, data: &Sides, g: &Array1<f32>) -> Gradient {
        let added = self.added(data);
        let mut grads = self.zeros();
        let slope = self.back(added.x + &added.y, g.view(), &mut grads);
        Self::first(data, &slope, &slope, &mut grads[0]);
        Gradient(grads)
    }
}

/// The gradient by each parameter.
pub(super) struct Gradient(Vec<Layer>);

impl Gradient {
    pub(super) fn plus(mut self, other: &Self) -> Self {
        add(&mut self.0, &other.0);
        self
    }

    /// That of what is to become small, for the optimiser: the negative of this one.
    pub(super) fn of_loss(&self) -> Result<Vec<Option<Tensor>>> {
        let mut all = Vec::with_capacity(2 * self.0.len());
        for (weights, bias) in &self.0 {
            let weights_flat: Vec<f32> = weights.iter().map(|g| -g).collect();
            let bias: Vec<f32> = bias.iter().map(|g| -g).collect();
            let n = bias.len();
            all.push(Some(Tensor::from_vec(
                weights_flat,
                weights.dim(),
                &Device::Cpu,
            )?));
            all.push(Some(Tensor::from_vec(bias, n, &Device::Cpu)?));
        }
        Ok(all)
    }
}

fn add(onto: &mut [Layer], more: &[Layer]) {
    for ((weights, bias), (w, b)) in onto.iter_mut().zip(more) {
        *weights += w;
        *bias += b;
    }
}

/// `max(t, 0)`; NaN stays.
fn rectify(values: &mut Array2<f32>) {
    values.mapv_inplace(|t| if t < 0.0 { 0.0 } else { t });
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng as _;

    /// Values that are read off by `of`, moved one parameter at a time.
    fn agrees(vars: &[Var], gradient: &Gradient, of: impl Fn(&Perceptron) -> f64) {
        let exact = gradient.of_loss().unwrap();
        for (var, exact) in vars.iter().zip(exact) {
            let exact: Vec<f32> = exact.unwrap().flatten_all().unwrap().to_vec1().unwrap();
            let before: Vec<f32> = var.flatten_all().unwrap().to_vec1().unwrap();
            for (j, exact) in exact.into_iter().enumerate() {
                let at = |by: f32| {
                    let mut moved = before.clone();
                    moved[j] += by;
                    let moved = Tensor::from_vec(moved, var.dims(), &Device::Cpu).unwrap();
                    var.set(&moved).unwrap();
                    of(&Perceptron::read(vars).unwrap())
                };
                let slope = (at(1e-3) - at(-1e-3)) / 2e-3;
                at(0.0);
                assert!((slope + f64::from(exact)).abs() < 0.02, "{slope} {exact}");
            }
        }
    }

    #[test]
    fn gradients_are_slopes() {
        let rng = &mut crate::rng::seeded(0);
        let mut draw = |n, d| Array2::from_shape_simple_fn((n, d), || rng.random_range(-1f32..1.0));
        let data = Sides {
            x: draw(20, 2),
            y: draw(20, 3),
        };
        for hidden in [vec![5], vec![4, 3]] {
            let vars = fresh(5, &hidden, 1).unwrap();
            let net = Perceptron::read(&vars).unwrap();
            let g = draw(20, 20) / 20.0;
            let found = net.gradient_of_all(&data, &g);
            agrees(&vars, &found, |net| f64::from((&net.all(&data) * &g).sum()));
            let g = draw(20, 1).remove_axis(Axis(1)) / 20.0;
            let found = net.gradient_of_paired(&data, &g);
            agrees(&vars, &found, |net| {
                f64::from((&net.paired(&data) * &g).sum())
            });
            // The diagonal of all pairs are the pairs.
            let (all, paired) = (net.all(&data), net.paired(&data));
            let gap = (&all.diag() - &paired).mapv(f32::abs).sum();
            assert!(gap < 1e-4, "{gap}");
        }
    }
}
