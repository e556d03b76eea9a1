//! Where to take K steps.

use super::path::{ErrorOf, mmse, path_divergence, without_samples};
use crate::cell::memory::room_for;
use crate::error::{Error, Result};
use crate::rounds::Rounds;
use crate::stats::linspace;

/// Places for each step that are looked at first.
const PLACES: usize = 8;
/// Places in the neighbourhood of each step that are looked at in a refinement.
const NEAR: usize = 16;
/// Refinements; each looks at a neighbourhood a quarter as wide.
const REFINEMENTS: usize = 5;
/// Points of the integral of the density of steps.
const POINTS: usize = 4000;
/// What a first place above an SNR of 0 may tell, in nats.
const FIRST: f64 = 1e-5;

/// The SNRs `γ_0 < … < γ_K` of the `count` steps from `ends.0` to `ends.1` that make the
/// [`path_divergence`](super::path_divergence) as small as it can be.
///
/// Since the integral does not depend on the steps, they minimize the rectangles `½ Σ (γ_{k+1} − γ_k) mmse(γ_k)`.
///
/// # Errors
/// [`Error::Parameter`] unless there is at least one step and `0 ≤ ends.0 < ends.1`, finite; [`Error::Mismatch`] when a
/// curve does not reach over the ends; [`Error::Memory`] when the places do not fit; [`Error::Interrupted`] when it is
/// stopped.
///
/// # Numerics
/// Dynamic programming over at least eight places for each step, half of them even in `ln γ` and half as dense as
/// [`asymptotic_steps`]; each round finds, for all places, the lowest of straight lines in `γ`. The steps are then moved
/// within ever smaller neighbourhoods. A curve that is noisy, and so does not fall, is taken as it is.
///
/// # Source
/// Dynamic programming over the steps of a trained network: Watson et al. (2021), arXiv:2106.03802.
///
/// # Example: known steps, found
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::bound::{optimal_steps, path_divergence};
///
/// # fn main() -> Result<()> {
/// let normal = Gaussian::standard(1)?;
/// let found = optimal_steps(&normal, 20, (0.0, 1e4))?;
/// // The best steps are of equal length in ln(1 + γ).
/// let best: Vec<f64> = (0..=20).map(|k| (0.05 * f64::from(k) * 1e4f64.ln_1p()).exp_m1()).collect();
/// let (found, best) = (path_divergence(&normal, &found)?.total.nats, path_divergence(&normal, &best)?.total.nats);
/// check!(found >= best && found < 1.0001 * best);
/// # Ok(()) }
/// ```
pub fn optimal_steps<'a>(
    of: impl Into<ErrorOf<'a>>,
    count: usize,
    ends: (f64, f64),
) -> Result<Vec<f64>> {
    let of = of.into();
    check(count, ends)?;
    // The samples of a curve have no part in the choice.
    let bare = match of {
        ErrorOf::Curve(curve) => Some(without_samples(curve)),
        _ => None,
    };
    let of = bare.as_ref().map_or(of, ErrorOf::Curve);
    let wanted = PLACES.saturating_mul(count).max(400);
    room_for::<u32>("the places of the steps", &[count, wanted])?;
    let density = Density::new(of, ends)?;
    let mut places = density.quantiles(wanted / 2);
    // With no more than `count` steps their own quantiles are among the places, so that they are no worse.
    places.extend(density.quantiles(count));
    let low = places.iter().copied().find(|&snr| snr > 0.0);
    let low = low.map_or(ends.1, |low| low.max(density.first)).ln();
    if low < ends.1.ln() {
        let even = linspace(low, ends.1.ln(), wanted / 2 + 2)?;
        places.extend(even[1..even.len() - 1].iter().map(|alpha| alpha.exp()));
    }
    places.sort_by(f64::total_cmp);
    places.dedup_by(|b, a| *b - *a <= 1e-12 * a.abs());
    if places.len() <= count {
        return Err(Error::Parameter {
            name: "the ends of the steps",
            got: format!("{:?} for {count} steps", ends),
            need: "further apart: so many steps cannot be told from each other between them",
        });
    }
    let errors = mmse(of, &places)?;
    let found = chosen(&places, &errors, count)?;
    let mut steps: Vec<f64> = found.into_iter().map(|i| places[i]).collect();
    let mut width = 0.5;
    for _ in 0..REFINEMENTS {
        steps = refined(of, &steps, width)?;
        width *= 0.25;
    }
    Ok(steps)
}

/// How `K` steps do when `K` is large.
#[derive(Debug, Clone, PartialEq)]
pub struct AsymptoticSteps {
    /// The SNRs of the steps, whose density is `√|mmse'(γ)|`.
    pub snr: Vec<f64>,
    /// `(∫ √|mmse'| dγ)²/4K`: what the best steps cost, in nats, for large `K`.
    pub nats: f64,
}

/// Steps whose density over the SNR is `√|mmse'(γ)|`, the best one for many steps, and what they cost then.
///
/// A step of length `h` costs `¼ h² |mmse'|` to leading order. With the density of steps `ρ` all of them cost
/// `¼ ∫ |mmse'|/ρ dγ`, which is smallest for `ρ ∝ √|mmse'|`.
///
/// # Errors
/// As [`optimal_steps`].
///
/// # Example
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::bound::asymptotic_steps;
///
/// # fn main() -> Result<()> {
/// let steps = asymptotic_steps(&Gaussian::standard(1)?, 100, (0.0, 1e4))?;
/// // Of a normal number √|mmse'| is 1/(1 + γ).
/// check!(close(steps.nats, 1e4f64.ln_1p().powi(2) / 400.0, 1e-4));
/// # Ok(()) }
/// ```
pub fn asymptotic_steps<'a>(
    of: impl Into<ErrorOf<'a>>,
    count: usize,
    ends: (f64, f64),
) -> Result<AsymptoticSteps> {
    check(count, ends)?;
    room_for::<f64>("the steps", &[count])?;
    let density = Density::new(of.into(), ends)?;
    let all = density.running[density.running.len() - 1];
    Ok(AsymptoticSteps {
        snr: density.quantiles(count),
        nats: all * all / (4.0 * count as f64),
    })
}

fn check(count: usize, (low, high): (f64, f64)) -> Result<()> {
    if count == 0 {
        return Err(Error::Parameter {
            name: "count",
            got: "0".into(),
            need: "at least 1 step",
        });
    }
    if low >= 0.0 && low < high && high.is_finite() {
        return Ok(());
    }
    Err(Error::Parameter {
        name: "the ends of the steps",
        got: format!("({low}, {high})"),
        need: "SNRs, finite and not below 0, the lower one first",
    })
}

/// The density of many steps.
struct Density {
    snr: Vec<f64>,
    /// `∫ √|mmse'|` up to each.
    running: Vec<f64>,
    /// The lowest SNR above 0 that matters.
    first: f64,
}

impl Density {
    fn new(of: ErrorOf, (low, high): (f64, f64)) -> Result<Self> {
        let first = match low > 0.0 {
            true => low,
            false => (FIRST / mmse_at_zero(of)?.max(f64::MIN_POSITIVE)).min(0.5 * high),
        };
        let mut snr: Vec<f64> = linspace(first.ln(), high.ln(), POINTS)?
            .into_iter()
            .map(f64::exp)
            .collect();
        snr[0] = first;
        snr[POINTS - 1] = high;
        if low == 0.0 {
            snr.insert(0, 0.0);
        }
        let errors = mmse(of, &snr)?;
        let mut sum = 0.0;
        let mut running = vec![0.0];
        for i in 1..snr.len() {
            // √|mmse'| dγ over a cell.
            sum += ((errors[i] - errors[i - 1]).abs() * (snr[i] - snr[i - 1])).sqrt();
            running.push(sum);
        }
        Ok(Self {
            snr,
            running,
            first,
        })
    }

    /// The `count + 1` SNRs that cut the integral into equal parts.
    fn quantiles(&self, count: usize) -> Vec<f64> {
        let last = self.snr.len() - 1;
        let all = self.running[last];
        let at = |k: usize| {
            let wanted = all * k as f64 / count as f64;
            let right = self.running.partition_point(|&sum| sum < wanted);
            let right = right.clamp(1, last);
            let (a, b) = (self.running[right - 1], self.running[right]);
            let share = match b > a {
                true => ((wanted - a) / (b - a)).clamp(0.0, 1.0),
                false => 0.5,
            };
            self.snr[right - 1] + share * (self.snr[right] - self.snr[right - 1])
        };
        let mut found: Vec<f64> = (0..=count).map(at).collect();
        found[0] = self.snr[0];
        found[count] = self.snr[last];
        // A flat stretch of the curve may bring two together.
        for k in 1..count {
            if found[k] <= found[k - 1] {
                let left = (count - k + 1) as f64;
                found[k] = found[k - 1] + (found[count] - found[k - 1]) / left;
            }
        }
        found
    }
}

/// `mmse(0)`, the trace of the covariance.
fn mmse_at_zero(of: ErrorOf) -> Result<f64> {
    match of {
        ErrorOf::Curve(curve) => Err(Error::Mismatch {
            what: "the steps and the curve",
            left: "steps from an SNR of 0".into(),
            right: format!("a curve from log-SNR {:.4} on", curve.points.interval.0),
            next: "begin the steps where the curve begins; only a distribution is known down to an SNR of 0",
        }),
        _ => Ok(mmse(of, &[0.0])?[0]),
    }
}

/// The places of `count` steps from the first to the last of `snr` that minimize `Σ (γ_{k+1} − γ_k) m_k`.
///
/// Of a step that ends at `γ` the cost is a straight line in `γ`, with the slope `m` of its start: so each round asks for
/// the lowest of all lines that start before `γ`.
fn chosen(snr: &[f64], errors: &[f64], count: usize) -> Result<Vec<usize>> {
    let n = snr.len();
    let count = count.min(n - 1);
    let work = (count * n) as f64 * (n as f64).log2() * 4.0;
    let mut rounds = Rounds::new("choosing steps", count, work);
    let mut best: Vec<f64> = vec![f64::INFINITY; n];
    best[0] = 0.0;
    let mut came_from: Vec<Vec<u32>> = Vec::with_capacity(count);
    for k in 1..=count {
        let mut lines = Lowest::new(snr);
        let mut next = vec![f64::INFINITY; n];
        let mut from = vec![0; n];
        for j in k..n {
            let i = j - 1;
            if best[i].is_finite() {
                lines.add(Line {
                    slope: errors[i],
                    offset: best[i] - errors[i] * snr[i],
                    start: i as u32,
                });
            }
            if let Some((value, start)) = lines.at(j) {
                next[j] = value;
                from[j] = start;
            }
        }
        best = next;
        came_from.push(from);
        rounds.step()?;
    }
    let mut at = n - 1;
    let mut path = vec![at];
    for from in came_from.iter().rev() {
        at = from[at] as usize;
        path.push(at);
    }
    path.reverse();
    Ok(path)
}

#[derive(Clone, Copy)]
struct Line {
    slope: f64,
    offset: f64,
    start: u32,
}

impl Line {
    fn at(&self, x: f64) -> f64 {
        self.slope * x + self.offset
    }
}

/// The lowest of straight lines at given places (a Li Chao tree): lines may come in any order and with any slope.
struct Lowest<'a> {
    x: &'a [f64],
    nodes: Vec<Option<Line>>,
}

impl<'a> Lowest<'a> {
    fn new(x: &'a [f64]) -> Self {
        Self {
            x,
            nodes: vec![None; 2 * x.len().next_power_of_two()],
        }
    }

    fn add(&mut self, mut line: Line) {
        let (mut node, mut low, mut high) = (1, 0, self.x.len() - 1);
        loop {
            let middle = low + (high - low) / 2;
            let Some(own) = &mut self.nodes[node] else {
                self.nodes[node] = Some(line);
                return;
            };
            if line.at(self.x[middle]) < own.at(self.x[middle]) {
                std::mem::swap(own, &mut line);
            }
            if low == high {
                return;
            }
            // The other one can be lower on one side only.
            if line.at(self.x[low]) < own.at(self.x[low]) {
                (node, high) = (2 * node, middle);
            } else if line.at(self.x[high]) < own.at(self.x[high]) {
                (node, low) = (2 * node + 1, middle + 1);
            } else {
                return;
            }
        }
    }

    fn at(&self, place: usize) -> Option<(f64, u32)> {
        let (mut node, mut low, mut high) = (1, 0, self.x.len() - 1);
        let mut best: Option<(f64, u32)> = None;
        while let Some(line) = &self.nodes[node] {
            let value = line.at(self.x[place]);
            if best.is_none_or(|(least, _)| value < least) {
                best = Some((value, line.start));
            }
            if low == high {
                break;
            }
            let middle = low + (high - low) / 2;
            if place <= middle {
                (node, high) = (2 * node, middle);
            } else {
                (node, low) = (2 * node + 1, middle + 1);
            }
        }
        best
    }
}

/// The steps after each was moved within a part of the way to its neighbours; what they cost does not grow.
fn refined(of: ErrorOf, steps: &[f64], width: f64) -> Result<Vec<f64>> {
    let last = steps.len() - 1;
    let mut places = Vec::with_capacity(last * (NEAR + 1));
    let mut groups = Vec::with_capacity(last + 1);
    for (k, &step) in steps.iter().enumerate() {
        let begin = places.len();
        if k > 0 && k < last {
            let (left, right) = (step - steps[k - 1], steps[k + 1] - step);
            let half = NEAR / 2;
            let part = |i: usize| width * i as f64 / (half + 1) as f64;
            places.extend((1..=half).rev().map(|i| step - part(i) * left));
            places.push(step);
            places.extend((1..=half).map(|i| step + part(i) * right));
        } else {
            places.push(step);
        }
        groups.push(begin..places.len());
    }
    if places.windows(2).any(|pair| pair[0] >= pair[1]) {
        // Rounding has left no room between two places.
        return Ok(steps.to_vec());
    }
    let errors = mmse(of, &places)?;
    let mut best = vec![0.0];
    let mut came_from = Vec::with_capacity(last);
    for pair in groups.windows(2) {
        let (before, now) = (pair[0].clone(), pair[1].clone());
        let reach = |j: usize| {
            let cost = |i: usize| best[i - before.start] + (places[j] - places[i]) * errors[i];
            let all = before.clone().map(|i| (cost(i), i));
            all.fold((f64::INFINITY, before.start), |least, one| {
                if one.0 < least.0 { one } else { least }
            })
        };
        let (costs, from): (Vec<f64>, Vec<usize>) = now.map(reach).unzip();
        best = costs;
        came_from.push(from);
    }
    let mut at = groups[last].start;
    let mut found = vec![places[at]];
    for (k, from) in came_from.iter().enumerate().rev() {
        at = from[at - groups[k + 1].start];
        found.push(places[at]);
    }
    found.reverse();
    // Sums of many terms: the new steps count only if they are the better ones.
    let cost = |steps: &[f64]| -> Result<f64> { Ok(path_divergence(of, steps)?.rectangles) };
    match cost(&found)? <= cost(steps)? {
        true => Ok(found),
        false => Ok(steps.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng as _;

    /// All ways to choose `count − 1` places between the first and the last.
    fn slow(snr: &[f64], errors: &[f64], count: usize) -> f64 {
        fn go(snr: &[f64], errors: &[f64], at: usize, left: usize) -> f64 {
            let last = snr.len() - 1;
            if left == 1 {
                return (snr[last] - snr[at]) * errors[at];
            }
            let next = (at + 1..=last - (left - 1))
                .map(|j| (snr[j] - snr[at]) * errors[at] + go(snr, errors, j, left - 1));
            next.fold(f64::INFINITY, f64::min)
        }
        go(snr, errors, 0, count)
    }

    #[test]
    fn the_fast_way_finds_what_trying_all_finds() {
        let mut rng = crate::rng::seeded(3);
        for round in 0..40 {
            let n = 6 + round % 9;
            let mut snr = vec![0.0];
            let mut errors = vec![2.0];
            for i in 1..n {
                snr.push(snr[i - 1] + rng.random::<f64>().powi(2) * 3.0 + 1e-3);
                // Noisy, so that it does not always fall.
                let noise = 0.3 * (rng.random::<f64>() - 0.5);
                errors
                    .push(2.0 / (1.0 + snr[i]) + if round.is_multiple_of(2) { 0.0 } else { noise });
            }
            for count in 1..=4 {
                let path = chosen(&snr, &errors, count).unwrap();
                assert_eq!((path[0], path[count]), (0, n - 1));
                let pairs = path.windows(2);
                let cost: f64 = pairs.map(|p| (snr[p[1]] - snr[p[0]]) * errors[p[0]]).sum();
                let known = slow(&snr, &errors, count);
                assert!((cost - known).abs() < 1e-12, "{n} {count}: {cost} {known}");
            }
        }
    }
}
