//! Blocks of samples, coordinate by coordinate, and what a swirl does to them.

use faer::{Mat, MatRef, c64};
use wide::f64x4;

use super::super::columns::column;
use super::super::widest::Work;
use super::{Spectrum, Swirl};

/// Some numbers of each sample, one line for each of them.
#[derive(Clone)]
pub(super) struct Lines {
    samples: usize,
    values: Vec<f64>,
}

impl Lines {
    #[inline(always)]
    fn zeros(count: usize, samples: usize) -> Self {
        Self {
            samples,
            values: vec![0.0; count * samples],
        }
    }

    /// The columns of `x`, `[n, d]`.
    pub fn of(x: MatRef<'_, f64>) -> Self {
        Self {
            samples: x.nrows(),
            values: (0..x.ncols()).flat_map(|j| column(x, j)).copied().collect(),
        }
    }

    #[inline(always)]
    fn iter(&self) -> std::slice::ChunksExact<'_, f64> {
        self.values.chunks_exact(self.samples)
    }

    #[inline(always)]
    pub fn line(&self, j: usize) -> &[f64] {
        &self.values[j * self.samples..(j + 1) * self.samples]
    }

    #[inline(always)]
    fn line_mut(&mut self, j: usize) -> &mut [f64] {
        &mut self.values[j * self.samples..(j + 1) * self.samples]
    }

    /// The sum of each line.
    pub fn sums(&self) -> impl Iterator<Item = f64> {
        self.iter().map(|line| {
            let (lanes, rest) = line.as_chunks::<LANES>();
            let mut sums = [0.0; LANES];
            for lane in lanes {
                sums.iter_mut()
                    .zip(lane)
                    .for_each(|(sum, value)| *sum += value);
            }
            sums.into_iter().chain(rest.iter().copied()).sum()
        })
    }
}

struct ComplexLines {
    re: Lines,
    im: Lines,
}

impl ComplexLines {
    #[inline(always)]
    fn zeros(count: usize, samples: usize) -> Self {
        Self {
            re: Lines::zeros(count, samples),
            im: Lines::zeros(count, samples),
        }
    }

    #[inline(always)]
    fn times(&self, other: &Self) -> Self {
        let (mut re, mut im) = (self.re.clone(), self.im.clone());
        let own = re.values.iter_mut().zip(&mut im.values);
        for ((re, im), (a, b)) in own.zip(other.re.values.iter().zip(&other.im.values)) {
            (*re, *im) = (*re * a - *im * b, *re * b + *im * a);
        }
        Self { re, im }
    }
}

/// `to += by · line`.
#[inline(always)]
fn add(to: &mut [f64], by: f64, line: &[f64]) {
    to.iter_mut()
        .zip(line)
        .for_each(|(to, value)| *to += by * value);
}

/// Sums that are kept side by side.
const LANES: usize = 8;

/// `Σ a b`.
#[inline(always)]
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(a, b)| a * b);
    sums.into_iter().chain(rest).sum()
}

/// `Σ a b` of line `j` of the one and line `k` of the other.
#[inline(always)]
fn complex_dot(a: &ComplexLines, j: usize, b: &ComplexLines, k: usize) -> c64 {
    let (a_re, a_im, b_re, b_im) = (a.re.line(j), a.im.line(j), b.re.line(k), b.im.line(k));
    c64::new(
        dot(a_re, b_re) - dot(a_im, b_im),
        dot(a_re, b_im) + dot(a_im, b_re),
    )
}

/// `cos(ωt)` and `sin(ωt)` of each `t`.
#[inline(always)]
fn wave(omega: f64, shells: &[f64], cos: &mut [f64], sin: &mut [f64]) {
    let (four, rest) = shells.as_chunks::<4>();
    let ((cos, cos_rest), (sin, sin_rest)) = (cos.as_chunks_mut::<4>(), sin.as_chunks_mut::<4>());
    for ((t, cos), sin) in four.iter().zip(cos).zip(sin) {
        let (own_sin, own_cos) = (f64x4::from(*t) * f64x4::splat(omega)).sin_cos();
        (*cos, *sin) = (own_cos.to_array(), own_sin.to_array());
    }
    for ((t, cos), sin) in rest.iter().zip(cos_rest).zip(sin_rest) {
        (*sin, *cos) = (omega * t).sin_cos();
    }
}

/// Samples after a swirl, and what its slope needs.
pub(super) struct Turned {
    /// What was turned.
    u: Lines,
    /// `t = ‖u‖²/d` of each.
    shells: Vec<f64>,
    /// `a = Vᴴu`.
    coordinates: ComplexLines,
    /// `e = exp(iωt)`.
    phases: ComplexLines,
    /// `a e`.
    moved: ComplexLines,
    /// `exp(tA) u`.
    pub x: Lines,
}

/// Turns samples.
pub(super) struct Turn<'a> {
    pub swirl: &'a Swirl,
    pub spectrum: &'a Spectrum,
    /// Whether the linear map comes first.
    pub straighten: bool,
    pub x: &'a Lines,
}

impl Work for Turn<'_> {
    type Out = Turned;

    #[inline(always)]
    fn run(self) -> Turned {
        let (d, n) = (self.spectrum.omega.len(), self.x.samples);
        let mut u = self.x.clone();
        if self.straighten {
            for j in 0..d {
                u.line_mut(j).fill(self.swirl.shift[(j, 0)]);
                for (k, line) in self.x.iter().enumerate() {
                    add(u.line_mut(j), self.swirl.linear[(j, k)], line);
                }
            }
        }
        let mut shells = vec![0.0; n];
        for line in u.iter() {
            let squares = shells.iter_mut().zip(line);
            squares.for_each(|(sum, value)| *sum += value * value);
        }
        shells.iter_mut().for_each(|sum| *sum /= d as f64);
        let vectors = &self.spectrum.vectors;
        let (mut coordinates, mut phases) = (ComplexLines::zeros(d, n), ComplexLines::zeros(d, n));
        for j in 0..d {
            for (k, line) in u.iter().enumerate() {
                let v = vectors[(k, j)];
                add(coordinates.re.line_mut(j), v.re, line);
                add(coordinates.im.line_mut(j), -v.im, line);
            }
            let (cos, sin) = (phases.re.line_mut(j), &mut phases.im);
            wave(self.spectrum.omega[j], &shells, cos, sin.line_mut(j));
        }
        let moved = coordinates.times(&phases);
        let mut x = Lines::zeros(d, n);
        for k in 0..d {
            for j in 0..d {
                let v = vectors[(k, j)];
                add(x.line_mut(k), v.re, moved.re.line(j));
                add(x.line_mut(k), -v.im, moved.im.line(j));
            }
        }
        Turned {
            u,
            shells,
            coordinates,
            phases,
            moved,
            x,
        }
    }
}

/// Sums of products of the coordinates of both vectors, `[d_x + d_y, d_x + d_y]`, from their means.
pub(super) struct Moments<'a> {
    pub turned: [&'a Lines; 2],
    pub mean: &'a [f64],
}

impl Work for Moments<'_> {
    type Out = Mat<f64>;

    #[inline(always)]
    fn run(self) -> Mat<f64> {
        let [x, y] = self.turned;
        let mut z = Lines::zeros(self.mean.len(), x.samples);
        for ((j, line), mean) in x.iter().chain(y.iter()).enumerate().zip(self.mean) {
            let to = z.line_mut(j).iter_mut().zip(line);
            to.for_each(|(to, value)| *to = value - mean);
        }
        let mut moments = Mat::zeros(self.mean.len(), self.mean.len());
        for i in 0..self.mean.len() {
            for j in 0..=i {
                let product = dot(z.line(i), z.line(j));
                (moments[(i, j)], moments[(j, i)]) = (product, product);
            }
        }
        moments
    }
}

/// What a block gives to the slope of something, by the entries of a swirl.
pub(super) struct Slopes {
    /// `Σ (Vᴴg)¯ Φ Vᴴu`, see [`Spectrum::slope`].
    pub turns: Mat<c64>,
    /// By the entries of the linear map and of the shift, where they are asked for.
    pub rest: Vec<f64>,
}

impl Slopes {
    pub fn plus(self, other: Self) -> Self {
        let rest = self.rest.iter().zip(&other.rest).map(|(a, b)| a + b);
        Self {
            turns: self.turns + other.turns,
            rest: rest.collect(),
        }
    }
}

/// The slope by a swirl, from that by the turned samples, which is `g = z W − c` with `z` of both vectors.
pub(super) struct Slope<'a> {
    pub swirl: &'a Swirl,
    pub spectrum: &'a Spectrum,
    pub turned: &'a Turned,
    pub both: [&'a Lines; 2],
    /// `W`, `[d_x + d_y, d]`.
    pub weights: MatRef<'a, f64>,
    /// `c`.
    pub constant: &'a [f64],
    /// What was straightened first.
    pub straightened: Option<&'a Lines>,
}

impl Work for Slope<'_> {
    type Out = Slopes;

    #[inline(always)]
    fn run(self) -> Slopes {
        /// Frequencies that differ by less turn alike: the limit of `Φ` is taken.
        const ALIKE: f64 = 1e-6;
        let (d, n) = (self.spectrum.omega.len(), self.turned.shells.len());
        let [x, y] = self.both;
        let mut g = Lines::zeros(d, n);
        for j in 0..d {
            g.line_mut(j).fill(-self.constant[j]);
            for (k, line) in x.iter().chain(y.iter()).enumerate() {
                add(g.line_mut(j), self.weights[(k, j)], line);
            }
        }
        // b̄ = Vᵀg, since g is real.
        let vectors = &self.spectrum.vectors;
        let mut b = ComplexLines::zeros(d, n);
        for j in 0..d {
            for (k, line) in g.iter().enumerate() {
                let v = vectors[(k, j)];
                add(b.re.line_mut(j), v.re, line);
                add(b.im.line_mut(j), v.im, line);
            }
        }
        let first = b.times(&self.turned.phases);
        let mut late = ComplexLines {
            re: first.re.clone(),
            im: first.im.clone(),
        };
        for j in 0..d {
            for line in [late.re.line_mut(j), late.im.line_mut(j)] {
                let all = line.iter_mut().zip(&self.turned.shells);
                all.for_each(|(value, t)| *value *= t);
            }
        }
        let (a, moved) = (&self.turned.coordinates, &self.turned.moved);
        let omega = &self.spectrum.omega;
        let mut turns = Mat::zeros(d, d);
        for j in 0..d {
            for k in 0..d {
                let apart = omega[j] - omega[k];
                turns[(j, k)] = if apart.abs() < ALIKE {
                    complex_dot(&late, j, a, k)
                } else {
                    let apart = c64::new(0.0, apart);
                    (complex_dot(&first, j, a, k) - complex_dot(&b, j, moved, k)) / apart
                };
            }
        }
        let rest = match self.straightened {
            Some(x) => self.of_linear_map(&g, &first, x),
            None => Vec::new(),
        };
        Slopes { turns, rest }
    }
}

impl Slope<'_> {
    /// By `L` and `c`, from that by `u`: `exp(−tA) g`, and what a longer `u` turns further.
    #[inline(always)]
    fn of_linear_map(&self, g: &Lines, first: &ComplexLines, x: &Lines) -> Vec<f64> {
        let (d, n) = (self.spectrum.omega.len(), g.samples);
        let (mut further, mut ahead) = (vec![0.0; n], vec![0.0; n]);
        for k in 0..d {
            ahead.fill(0.0);
            for (l, line) in self.turned.x.iter().enumerate() {
                add(&mut ahead, self.swirl.generator[(k, l)], line);
            }
            let all = further.iter_mut().zip(&ahead).zip(g.line(k));
            all.for_each(|((sum, ahead), g)| *sum += 2.0 / d as f64 * g * ahead);
        }
        let mut by_u = self.turned.u.clone();
        for k in 0..d {
            let line = by_u.line_mut(k);
            line.iter_mut()
                .zip(&further)
                .for_each(|(value, further)| *value *= further);
            for j in 0..d {
                let v = self.spectrum.vectors[(k, j)];
                add(line, v.re, first.re.line(j));
                add(line, v.im, first.im.line(j));
            }
        }
        let mut found = Vec::with_capacity(d * (d + 1));
        for line in by_u.iter() {
            found.extend(x.iter().map(|x| dot(line, x)));
        }
        found.extend(by_u.sums());
        found
    }
}
