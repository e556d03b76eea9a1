//! Samples followed through the channel, while the classes' probabilities are updated.

use candle_core::{DType, Device, Tensor};
use ndarray::{Array2, ArrayView1, Axis, s};
use rand::Rng as _;
use rand_distr::StandardNormal;

use super::AttributionConfig;
use crate::cell::memory::room_for;
use crate::data::{Condition, Dataset};
use crate::denoiser::{Denoiser, Query};
use crate::error::Result;
use crate::logsnr::Quadrature;
use crate::progress::Progress;
use crate::rng::{Key, Rng};
use crate::stats::{log_sum_exp, sigmoid};

/// What following the samples tells.
pub(super) struct Followed {
    /// `½ ∫ E a_j δ_j dα`, `[n, places]`.
    pub inner: Array2<f64>,
    /// `½ ∫ E δ_j² dα`, `[n, places]`.
    pub squared: Array2<f64>,
    /// `ln p(y | x)` at the last point, `[n, classes]`, mean over the draws.
    pub log_probs: Array2<f64>,
    /// `E⟨a, δ⟩` at each point, `[n, points]`.
    pub inner_along: Array2<f64>,
    /// `E‖δ‖²` at each point, `[n, points]`.
    pub squared_along: Array2<f64>,
    /// `−ln p(y | Y)` of the own class at each point, `[n, points]`, mean over the draws.
    pub surprise: Array2<f64>,
}

/// Follows each sample along the channel `Y_γ = γx + W_γ` from one point of log-SNR to the next, asks the network for each
/// class, and weighs the answers with the classes' probabilities, which each step updates:
///
/// ```text
/// ln p(y | Y) += ⟨x̂_y, ΔY⟩ − ½ Δγ ‖x̂_y‖²,      ε̂(z) = Σ_y p(y | Y) ε̂(z, y)
/// ```
///
/// So the denoiser that is told nothing is the best one of a mixture of what the network takes the classes for.
pub(super) fn follow(
    net: &dyn Denoiser,
    data: &Dataset,
    labels: &[u32],
    log_shares: &[f64],
    points: &Quadrature,
    places: usize,
    config: &AttributionConfig,
) -> Result<Followed> {
    let (n, dim, classes) = (data.len(), data.dim(), log_shares.len());
    let k = points.len();
    room_for::<f64>(
        "the maps of all samples",
        &[n, 2 * places + classes + 3 * k],
    )?;
    let mut all = Followed {
        inner: Array2::zeros((n, places)),
        squared: Array2::zeros((n, places)),
        log_probs: Array2::zeros((n, classes)),
        inner_along: Array2::zeros((n, k)),
        squared_along: Array2::zeros((n, k)),
        surprise: Array2::zeros((n, k)),
    };
    let share = 1.0 / config.draws as f64;
    let clean = Array2::from_shape_vec(
        (n, dim),
        data.flat()?
            .to_dtype(DType::F64)?
            .flatten_all()?
            .to_vec1()?,
    )
    .unwrap_or_else(|_| unreachable!("as many values as the samples have"));
    let key = Key::new(config.seed, "paths through the channel");
    let block = (net.batch() / classes.max(1)).clamp(1, n);
    let rounds = n.div_ceil(block) * config.draws * points.len();
    let mut bar = Progress::new("following samples through the channel", rounds as u64);
    for start in (0..n).step_by(block) {
        let rows = start..n.min(start + block);
        let x = clean.slice(s![rows.clone(), ..]);
        for draw in 0..config.draws {
            let mut rngs: Vec<Rng> = rows
                .clone()
                .map(|i| key.at(i as u64, draw as u32))
                .collect();
            let mut path = Array2::<f64>::zeros(x.dim()); // W
            let mut log_probs = Array2::from_shape_fn((x.nrows(), classes), |(_, c)| log_shares[c]);
            let mut before: Option<(f64, Array2<f64>, Vec<Array2<f64>>)> = None;
            for (at, (&alpha, &weight)) in points.log_snr.iter().zip(&points.weight).enumerate() {
                let gamma = alpha.exp();
                let step = gamma - before.as_ref().map_or(0.0, |(gamma, ..)| *gamma);
                for (mut path, rng) in path.rows_mut().into_iter().zip(&mut rngs) {
                    path.iter_mut()
                        .for_each(|w| *w += step.sqrt() * rng.sample::<f64, _>(StandardNormal));
                }
                let observed = gamma * &x + &path;
                if let Some((_, last, guesses)) = &before {
                    let moved = &observed - last;
                    for (c, guess) in guesses.iter().enumerate() {
                        let gain = (guess * &moved - 0.5 * step * guess * guess).sum_axis(Axis(1));
                        let mut own = log_probs.column_mut(c);
                        own += &gain;
                    }
                    for mut row in log_probs.rows_mut() {
                        row -= log_sum_exp(&row.to_vec());
                    }
                }
                let eps = &path / gamma.sqrt();
                let z = &x * sigmoid(alpha).sqrt() + &eps * sigmoid(-alpha).sqrt();
                let guesses = by_class(net, data, &z, alpha, classes)?; // ε̂ of each class
                for (i, row) in rows.clone().enumerate() {
                    let own = guesses[labels[row] as usize].row(i);
                    let chance = log_probs.row(i).mapv(f64::exp);
                    let mut free = ndarray::Array1::zeros(dim);
                    for (p, guess) in chance.iter().zip(&guesses) {
                        free.scaled_add(*p, &guess.row(i));
                    }
                    let found = add(
                        &mut all,
                        row,
                        0.5 * weight * share,
                        eps.row(i),
                        own,
                        &free,
                        places,
                    );
                    all.inner_along[[row, at]] += share * found.0;
                    all.squared_along[[row, at]] += share * found.1;
                    all.surprise[[row, at]] -= share * log_probs[[i, labels[row] as usize]];
                }
                // x̂ = Y/γ − ε̂/√γ
                let guesses = guesses
                    .into_iter()
                    .map(|eps_hat| &observed / gamma - eps_hat / gamma.sqrt())
                    .collect();
                before = Some((gamma, observed, guesses));
                bar.step()?;
            }
            let mut sums = all.log_probs.slice_mut(s![rows.clone(), ..]);
            sums += &(log_probs / config.draws as f64);
        }
    }
    bar.finish();
    for mut row in all.log_probs.rows_mut() {
        row -= log_sum_exp(&row.to_vec());
    }
    Ok(all)
}

/// Adds a sample's terms at a point, summed over the channels of each place; the sums over all places.
fn add(
    all: &mut Followed,
    row: usize,
    half: f64,
    eps: ArrayView1<f64>,
    told: ArrayView1<f64>,
    free: &ndarray::Array1<f64>,
    places: usize,
) -> (f64, f64) {
    let (mut inner, mut squared) = (0.0, 0.0);
    for (at, ((eps, told), free)) in eps.iter().zip(told).zip(free).enumerate() {
        let change = told - free;
        all.inner[[row, at % places]] += half * (eps - free) * change;
        all.squared[[row, at % places]] += half * change * change;
        inner += (eps - free) * change;
        squared += change * change;
    }
    (inner, squared)
}

/// `ε̂(z, c)` for each class, `[samples, dim]`.
fn by_class(
    net: &dyn Denoiser,
    data: &Dataset,
    z: &Array2<f64>,
    alpha: f64,
    classes: usize,
) -> Result<Vec<Array2<f64>>> {
    let (n, dim) = z.dim();
    let shape = [&[n * classes], data.shape()].concat();
    let z: Vec<f64> = (0..classes).flat_map(|_| z.iter().copied()).collect();
    let z = Tensor::from_vec(z, shape, &Device::Cpu)?;
    let z = z.to_dtype(net.dtype())?.to_device(net.device())?;
    let alphas = Tensor::full(alpha, n * classes, &Device::Cpu)?;
    let alphas = alphas.to_dtype(net.dtype())?.to_device(net.device())?;
    let told = (0..classes as u32).flat_map(|c| std::iter::repeat_n(c, n));
    let query = Query::new(&z, &alphas).given(Condition::Class(told.collect()));
    let eps = net.denoise(&query)?.to_device(&Device::Cpu)?;
    let eps: Vec<f64> = eps.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
    let of = |c: usize| {
        let part = eps[c * n * dim..][..n * dim].to_vec();
        Array2::from_shape_vec((n, dim), part)
            .unwrap_or_else(|_| unreachable!("as many values as were asked for"))
    };
    Ok((0..classes).map(of).collect())
}
