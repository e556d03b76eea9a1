//! The tasks by name.

use ndarray::array;
use rand::Rng as _;

use super::{
    AdditiveUniform, Benchmark, Bump, Correlation, Inliers, Map, Mixture, Normal, Sine, Student,
    Turn, draw,
};
use crate::cell::memory::room_for;
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use crate::rng::{self, Rng};

/// The 40 tasks of "Beyond Normal", in the order and with the names of the paper's code. All truths are closed forms.
///
/// # Example
/// ```
/// let tasks = itd_prelude::task::beyond_normal();
/// assert_eq!(tasks.len(), 40);
/// assert_eq!(tasks[9].name, "swissroll_x-normal_cdf-1v1-normal-0.75");
/// assert_eq!(tasks[9].dims, (2, 1));
/// ```
///
/// # Paper
/// Czyż, Grabowski, Vogt, Beerenwinkel, Marx, NeurIPS 2023; `cbg-ethz/bmi`, `src/bmi/benchmark/task_list.py`.
pub fn beyond_normal() -> Vec<Benchmark> {
    // A test makes them all; nothing here comes from outside.
    the_forty().expect("the settings of the paper fit")
}

fn the_forty() -> Result<Vec<Benchmark>> {
    let normal = bivariate(0.75)?;
    let uniform = normal.clone().normal_cdf()?;
    let cauchy = student((1, 1), 1.0)?;
    let mut tasks = vec![
        normal.clone(),
        uniform.clone(),
        additive(0.1)?,
        additive(0.75)?,
        bimodal(0.75)?,
        normal.clone().wiggly()?,
        normal.half_cube()?,
        cauchy.clone(),
        cauchy.asinh()?,
        uniform.swiss_roll_x()?,
    ];
    for n in [2, 3, 5, 25, 50] {
        tasks.push(dense((n, n), 0.5)?);
    }
    for n in [2, 3, 5, 25] {
        tasks.push(sparse((n, n), 2, 2.0)?);
    }
    for (n, dof) in [(2, 1.0), (2, 2.0), (3, 2.0), (3, 3.0), (5, 2.0), (5, 3.0)] {
        tasks.push(student((n, n), dof)?);
    }
    let pairs = [3, 5, 25].map(|n| sparse((n, n), 2, 2.0));
    let pairs = pairs.into_iter().collect::<Result<Vec<_>>>()?;
    let forms: [fn(Benchmark) -> Result<Benchmark>; 4] = [
        Benchmark::normal_cdf,
        Benchmark::half_cube,
        |task| task.spiral(1.0),
        |task| task.normal_cdf()?.spiral(1.0),
    ];
    for form in forms {
        for task in &pairs {
            tasks.push(form(task.clone())?);
        }
    }
    for (n, dof) in [(2, 1.0), (3, 2.0), (5, 2.0)] {
        tasks.push(student((n, n), dof)?.asinh()?);
    }
    Ok(tasks)
}

/// Two standard normal numbers of a correlation: `I = −½ ln(1 − ρ²)`.
///
/// # Errors
/// [`Error::Parameter`] unless `|ρ| < 1`.
///
/// # Example
/// ```
/// let task = itd_prelude::task::bivariate(0.999999)?;
/// assert!((task.nats - 6.5611816).abs() < 1e-6);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn bivariate(rho: f64) -> Result<Benchmark> {
    let pair = Normal::pairs((1, 1), &[Correlation::new(rho)?])?;
    Benchmark::new(format!("1v1-normal-{rho:?}"), pair)
}

/// A [`bivariate`] pair, each number stretched to have two peaks: [`Map::bimodal_x`] and [`Map::bimodal_y`] after `Φ`.
///
/// # Errors
/// As [`bivariate`].
pub fn bimodal(rho: f64) -> Result<Benchmark> {
    let x_maps = [Map::NormalCdf, Map::bimodal_x()];
    let y_maps = [Map::NormalCdf, Map::bimodal_y()];
    let mut task = bivariate(rho)?.mapped("bimodal", &x_maps, &y_maps)?;
    task.name = format!("1v1-bimodal-{rho:?}");
    Ok(task)
}

/// [`AdditiveUniform`]: a uniform number, and the same with uniform noise of half width `ε`.
///
/// # Errors
/// [`Error::Parameter`] unless `ε` is from 10⁻⁶ to 10⁶.
pub fn additive(epsilon: f64) -> Result<Benchmark> {
    Benchmark::new(
        format!("1v1-additive-{epsilon:?}"),
        AdditiveUniform::new(epsilon)?,
    )
}

/// Normal vectors of which all coordinates have one correlation: [`Normal::dense`].
///
/// # Errors
/// As [`Normal::dense`].
pub fn dense(dims: (usize, usize), rho: f64) -> Result<Benchmark> {
    let name = format!("multinormal-dense-{}-{}-{rho:?}", dims.0, dims.1);
    Benchmark::new(name, Normal::dense(dims, rho)?)
}

/// Normal vectors whose first coordinates go in pairs of one [strength](Correlation::of_strength), the others being
/// independent: `I = −(pairs/2) ln(1 − ρ²)`.
///
/// # Errors
/// [`Error::Parameter`] when there are more pairs than dimensions, or for a strength outside of 0 to 10⁶;
/// [`Error::Memory`] when they do not fit.
pub fn sparse(dims: (usize, usize), pairs: usize, strength: f64) -> Result<Benchmark> {
    let name = format!(
        "multinormal-sparse-{}-{}-{pairs}-{strength:?}",
        dims.0, dims.1
    );
    Benchmark::new(name, sparse_normal(dims, pairs, strength)?)
}

fn sparse_normal(dims: (usize, usize), pairs: usize, strength: f64) -> Result<Normal> {
    // More than fit are refused, and not made before.
    let most = dims.0.min(dims.1).saturating_add(1);
    let pair = Correlation::of_strength(strength)?;
    room_for::<[Correlation; 2]>("the pairs", &[pairs.min(most)])?;
    Normal::pairs(dims, &vec![pair; pairs.min(most)])
}

/// [`Student`] vectors whose dispersion is the identity: no two coordinates are correlated, all are dependent.
///
/// # Errors
/// [`Error::Parameter`] when a dimension is 0, or for degrees of freedom outside of 0.5 to 10⁶.
pub fn student(dims: (usize, usize), dof: f64) -> Result<Benchmark> {
    let name = format!("student-identity-{}-{}-{dof}", dims.0, dims.1);
    Benchmark::new(name, Student::new(Normal::pairs(dims, &[])?, dof)?)
}

/// The strengths of the benchmark of high information; two pairs of them share 9.9035, 12.2608, 13.3130, 13.9989 and
/// 14.5087 nats.
///
/// # Paper
/// Yu, Shi, Kong, Jia, Ver Steeg, "MMG", arXiv:2509.20609, figure 3; `fengsxy/Diffusion_MI`.
pub const STRENGTHS: [f64; 5] = [200.0, 650.0, 1100.0, 1550.0, 2000.0];

/// The forms of the tasks of high information.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As they are.
    Plain,
    /// After [`Benchmark::half_cube`].
    HalfCube,
    /// After [`Benchmark::spiral`] with speed 1.
    Spiral,
}

impl Form {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Plain, Self::HalfCube, Self::Spiral];
}

/// Two pairs of a strength in `dim` and `dim` dimensions: `I = −ln(1 − ρ²)` with `1 − ρ² = (1 + 2λ²)/(1 + λ²)²`.
///
/// # Errors
/// [`Error::Parameter`] for fewer than 2 dimensions (3 for the spiral), or a strength outside of 0 to 10⁶.
///
/// # Example
/// ```
/// use itd_prelude::task::{Form, STRENGTHS, high_mi};
///
/// let hardest = high_mi(STRENGTHS[4], 50, Form::Spiral)?;
/// assert!((hardest.nats - 14.5087).abs() < 5e-5);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn high_mi(strength: f64, dim: usize, form: Form) -> Result<Benchmark> {
    let plain = sparse((dim, dim), 2, strength)?;
    match form {
        Form::Plain => Ok(plain),
        Form::HalfCube => plain.half_cube(),
        Form::Spiral => plain.spiral(1.0),
    }
}

/// Standard normal vectors that are independent: `I = 0`. An estimate far from 0 is noise that was learned.
///
/// # Errors
/// [`Error::Parameter`] when a dimension is 0.
pub fn independent(dims: (usize, usize)) -> Result<Benchmark> {
    let name = format!("independent-{}-{}", dims.0, dims.1);
    Benchmark::new(name, Normal::pairs(dims, &[])?)
}

/// The letter X: `½ N(0, ρ = 0.9) + ½ N(0, ρ = −0.9)`, uncorrelated and of normal marginals.
///
/// The truth is a mean over `draws` pairs, as of the two below: see [`Benchmark::measured`].
///
/// # Errors
/// [`Error::Parameter`] for fewer than 2 draws, [`Error::Interrupted`] when the user stops it.
///
/// # Example
/// ```
/// let task = itd_prelude::task::x_shape(200_000)?;
/// assert!((task.nats - 0.41).abs() < 0.01);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
///
/// # Paper
/// `cbg-ethz/bmi`, `src/bmi/benchmark/tasks/mixtures.py`, as of the two below.
pub fn x_shape(draws: usize) -> Result<Benchmark> {
    let stroke = |rho| Normal::pairs((1, 1), &[Correlation::new(rho)?]);
    let letter = Mixture::new(&[0.5, 0.5], &[stroke(-0.9)?, stroke(0.9)?])?;
    Benchmark::measured("1v1-X-0.9", letter, draws)
}

/// Waves: twelve normals at `1.5·(j, 0, j mod 4)` with variances 0.1, 1 and 0.1, of which the first two coordinates are
/// `x`, bent by `x₀ + 5 sin 3x₁` and scaled to `(0.1x₀ − 0.8, 0.5x₁)`.
///
/// # Errors
/// As [`x_shape`].
pub fn waves(draws: usize) -> Result<Benchmark> {
    let covariance = array![[0.1, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.1]];
    let crest = |j: u32| {
        let mean = [1.5 * f64::from(j), 0.0, 1.5 * f64::from(j % 4)];
        Normal::new((2, 1), &mean, &covariance)
    };
    let crests = (0..12).map(crest).collect::<Result<Vec<_>>>()?;
    let base = Mixture::new(&[1.0; 12], &crests)?;
    let wave = Map::Wave {
        to: 0,
        from: 1,
        amplitude: 5.0,
        frequency: 3.0,
    };
    let scale = Map::Affine(vec![(0.1, -0.8), (0.5, 0.0)]);
    let name = "2v1-waves-12-5.0-3.0";
    let mut task = Benchmark::measured(name, base, draws)?.mapped("waves", &[wave, scale], &[])?;
    task.name = name.to_owned();
    Ok(task)
}

/// Two pairs of strength 2, of which a fraction of samples is broken: [`Inliers`].
///
/// The information is that of the two pairs, whatever the dimension.
///
/// # Errors
/// [`Error::Parameter`] for fewer than 2 dimensions or 2 draws, or a fraction outside of 0 to 1;
/// [`Error::Interrupted`] when the user stops it.
pub fn inliers(dims: (usize, usize), fraction: f64, draws: usize) -> Result<Benchmark> {
    let name = format!(
        "mult-sparse-w-inliers-{}-{}-2-2.0-{fraction:?}",
        dims.0, dims.1
    );
    Benchmark::measured(
        name,
        Inliers::new(sparse_normal(dims, 2, 2.0)?, fraction)?,
        draws,
    )
}

/// Tasks outside of the families that estimators are built on, a guard against tuning to the 40: [`x_shape`],
/// [`waves`], [`inliers`] (20 % and 50 %, in 3 and 10 dimensions), [`independent`] data in 1, 3, 10 and 50 dimensions, and
/// [`random`] tasks of the seeds 0 to 5.
///
/// With a million draws the truths have standard errors below 0.001 and take a few seconds.
///
/// # Errors
/// As [`x_shape`].
pub fn extra(draws: usize) -> Result<Vec<Benchmark>> {
    let mut tasks = vec![x_shape(draws)?, waves(draws)?];
    for n in [3, 10] {
        for fraction in [0.2, 0.5] {
            tasks.push(inliers((n, n), fraction, draws)?);
        }
    }
    for n in [1, 3, 10, 50] {
        tasks.push(independent((n, n))?);
    }
    for seed in 0..6 {
        tasks.push(random(seed)?);
    }
    Ok(tasks)
}

/// A task that nobody chose: a base, a monotone map of the coordinates of `x` and another of those of `y`, and, where
/// there are two coordinates, a spiral in a plane and of a speed of its own. The truth is a closed form.
///
/// Bases are pairs of strengths 0.5 to 4, dense normals, Student vectors of 1 to 6 degrees of freedom in 1 to 5
/// dimensions, and uniform numbers with noise. The same seed gives the same task on every machine.
///
/// # Errors
/// None for any seed; it is a `Result` as of all tasks.
///
/// # Example
/// ```
/// use itd_prelude::task;
///
/// let (a, b) = (task::random(1)?, task::random(2)?);
/// assert_ne!(a.name, b.name);
/// assert_eq!(a.nats, task::random(1)?.nats);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn random(seed: u64) -> Result<Benchmark> {
    let rng = &mut rng::stream(seed, "random task");
    let dims = (random_dim(rng), random_dim(rng));
    let kind = one_of(rng, &[0, 1, 2, 3]);
    let mut long_tails = false;
    let base = match kind {
        0 => {
            let pairs = one_of(rng, &[1, 2]).min(dims.0).min(dims.1);
            sparse(dims, pairs, hundredths(rng, 0.5, 4.0))?
        }
        1 => dense(dims, hundredths(rng, 0.1, 0.8))?,
        2 => {
            long_tails = true;
            student(dims, hundredths(rng, 1.0, 6.0))?
        }
        _ => additive(hundredths(rng, 0.05, 1.0))?,
    };
    let mut maps = |dim: usize| {
        let mut maps = random_scalar(rng, long_tails);
        if dim > 1 {
            let first = one_of(rng, &(0..dim).collect::<Vec<_>>());
            let speed = draw::between(rng, 0.3, 1.5) / dim as f64;
            maps.push(Map::Spiral(vec![Turn {
                plane: (first, (first + 1) % dim),
                speed,
            }]));
        }
        maps
    };
    let (x_maps, y_maps) = (maps(base.dims.0), maps(base.dims.1));
    base.mapped(&format!("random_{seed}"), &x_maps, &y_maps)
}

fn random_dim(rng: &mut Rng) -> usize {
    one_of(rng, &[1, 2, 3, 5])
}

/// A number that its name shows whole.
fn hundredths(rng: &mut Rng, low: f64, high: f64) -> f64 {
    (draw::between(rng, low, high) * 100.0).round() / 100.0
}

fn one_of<T: Copy>(rng: &mut Rng, all: &[T]) -> T {
    let at = rng.random::<f64>() * all.len() as f64;
    all[(at as usize).min(all.len() - 1)]
}

/// A monotone map of each coordinate. Long tails are shortened first, and go nowhere where `f64` ends.
fn random_scalar(rng: &mut Rng, long_tails: bool) -> Vec<Map> {
    let scale = Map::Affine(vec![(draw::between(rng, 0.5, 2.0), 0.0)]);
    let mut maps = match long_tails {
        true => vec![Map::Asinh, scale],
        false => vec![scale],
    };
    let kinds: &[usize] = if long_tails {
        &[0, 1]
    } else {
        &[0, 1, 2, 3, 4]
    };
    match one_of(rng, kinds) {
        0 => maps.push(Map::Power(draw::between(rng, 0.6, 1.8))),
        1 => maps.push(random_wiggles(rng)),
        2 => maps.push(Map::Asinh),
        3 => maps.push(Map::NormalCdf),
        _ => {
            let share = draw::between(rng, 0.2, 0.8);
            let gap = draw::between(rng, 2.0, 5.0);
            let bump = |share, mean| Bump {
                share,
                mean,
                std_dev: 1.0,
            };
            maps.push(Map::NormalCdf);
            maps.push(Map::Quantile(vec![
                bump(share, 0.0),
                bump(1.0 - share, gap),
            ]));
        }
    }
    maps
}

/// Three waves whose steepest slopes sum to at most 0.9.
fn random_wiggles(rng: &mut Rng) -> Map {
    let wave = |rng: &mut Rng| {
        let frequency = draw::between(rng, 0.5, 4.0);
        Sine {
            amplitude: draw::between(rng, -0.3, 0.3) / frequency,
            frequency,
            phase: draw::between(rng, -3.0, 3.0),
        }
    };
    Map::Wiggly((0..3).map(|_| wave(rng)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn settings_that_do_not_fit_are_refused() {
        assert!(bivariate(1.0).is_err() && bimodal(f64::NAN).is_err());
        assert!(additive(0.0).is_err());
        assert!(dense((0, 2), 0.5).is_err());
        assert!(sparse((2, 2), 3, 1.0).is_err());
        assert!(sparse((2, 2), usize::MAX, 1.0).is_err());
        assert!(student((1, 1), f64::NAN).is_err());
        assert!(independent((3, 0)).is_err());
        for (strength, dim, form) in [
            (200.0, 1, Form::Plain),
            (200.0, 2, Form::Spiral),
            (f64::NAN, 3, Form::Plain),
            (-1.0, 3, Form::HalfCube),
        ] {
            assert!(
                high_mi(strength, dim, form).is_err(),
                "{strength} {dim} {form:?}"
            );
        }
        for draws in [0, 1] {
            assert!(x_shape(draws).is_err());
        }
        assert!(inliers((1, 3), 0.2, 100).is_err());
        assert!(inliers((3, 3), f64::NAN, 100).is_err());
        let task = bivariate(0.5).unwrap();
        assert!(task.clone().spiral(1.0).is_err());
        assert!(sparse((3, 3), 1, 1.0).unwrap().spiral(f64::NAN).is_err());
        assert!(dense((2, 2), 0.5).unwrap().swiss_roll_x().is_err());
        assert!(task.sample(0, 0).is_err());
        assert!(matches!(task.sample(1 << 50, 0), Err(Error::Memory { .. })));
    }

    #[test]
    fn a_truth_without_closed_form_must_be_measured() {
        let signal = sparse_normal((2, 2), 2, 2.0).unwrap();
        let base = Inliers::new(signal, 0.2).unwrap();
        let error = Benchmark::new("inliers", base).unwrap_err();
        assert!(error.to_string().contains("measured"), "{error}");
    }
}
