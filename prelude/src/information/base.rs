//! Closed-form models of the dependence, and the choice among them on held-out samples.

use std::sync::Arc;

use faer::{Mat, MatRef};
use ndarray::{Array2, ArrayView2};
use rand::seq::SliceRandom;

use super::canonical::{Coordinates, gaussian_log_ratios};
use super::check::{checked, heard};
use super::columns::{beside, column, rows};
use super::gaussian::{self, Canonical};
use super::ksg::Ksg;
use super::maps::{
    Mapped, NORMAL, Ranks, candidates, choose, distance, negentropy, normal_ranks, standardised,
    whitened,
};
use super::prepare::{Prepared, check_noise};
use super::special::Scores;
use super::student_copula::{StudentCopula, held_out};
use super::swirl::{NOISE, Swirl, unswirl};
use super::{Estimator, Information, ridge};
use crate::error::{Error, Result};
use crate::{rng, stats};

/// Samples that are needed at least.
const FEWEST: usize = 50;
/// Coordinates of both vectors together up to which neighbours are asked.
const SHORT: usize = 6;
/// How many neighbours.
const NEAR: usize = 5;
/// Standard errors of the difference by which neighbours must find more.
const TAKE_OVER: f64 = 3.0;
/// What they find too much of a Gaussian pair of planes, relative.
const TOO_MUCH: f64 = 0.03;
/// What 20 neighbours find less than 5, relative, from which on as much is added.
const FAR: f64 = 0.25;
/// The share of that which 1 neighbour finds more than 5, at least; by the root of their number it is 0.55.
const NEARER: f64 = 0.4;
/// Information of one direction, in units of `ln n`, from which ranks are too coarse.
const COARSE: f64 = 0.4;
/// Coordinates of a vector of which swirls are found in less than a second.
const FEW: usize = 5;
/// Samples for each entry of a swirl, at least.
const SAMPLES_PER_ENTRY: usize = 8;

/// Mutual information by the closed-form model that fits best: what a network need not learn.
///
/// 1. Each vector is mapped, alone, as nearly to a normal one as one of the maps of [`Map`](super::Map) can.
/// 2. Models of `q(x | y)` are compared by the mean of `ln q(x | y) − ln q(x)` over samples that they were not fitted to:
///    the Gaussian, the [`StudentCopula`], and a regression with Gaussian residuals whose slopes depend on the vectors'
///    lengths. The simplest one stands unless another is better in each part of the samples, and by two standard errors
///    of the difference in all. Where such slopes help, and of up to five coordinates, the Gaussian after two swirls
///    (rotations whose angle grows with the length) is tried, too.
/// 3. The value of the Gaussian and of the Student copula is that of all samples, with the bias taken off; those of the
///    regression and after swirls are of held-out samples.
/// 4. Where a direction carries so much information that ranks are too coarse, smooth maps are tried in their place,
///    if they leave each coordinate normal.
/// 5. Where a canonical coordinate that stands out is not normal, those that stand out are taken alone and mapped anew.
/// 6. Up to six coordinates in all, and up to six canonical ones that stand out, [`Ksg`] takes over where it finds more by
///    three standard errors and 3 %, which is what it finds too much of Gaussian planes. Its error bar has the scatter, and
///    what 20 neighbours find otherwise than 5. What neighbours find too little grows about as √k: where 20 find less by more
///    than a quarter of the value, and 1 more by as much as √k has it, as much is added to it. Where [`Ksg`] does not take
///    over, half of what it may find more is the least that the error bar of the model is.
///
/// # What is odd about samples
/// Columns that are sums of others, or monotone functions of one, are left out: they tell nothing more. Columns that are
/// nearly sums of each other are turned, so that a small difference can tell what it has. Other functions of the columns
/// stay, and may hide some of the information where tails are long. Ties are spread by chance within the steps of their
/// column, which changes no information, as the value can be told from where it lies then; of few coordinates neighbours
/// are asked about the values as they are. All this is told by warnings. Two vectors that share a column, a monotone map of
/// it or a linear combination without noise have infinite information, and are refused.
///
/// With exactly normal `x`, the mean of 2. is a lower bound of the information but for the samples' scatter.
///
/// # Example: independent tails that come together
/// ```
/// use itd_prelude::information::{Base, Estimator};
/// use itd_prelude::ndarray::Array2;
/// use itd_prelude::rng;
/// use rand::Rng as _;
/// use rand_distr::StandardNormal;
///
/// let rng = &mut rng::seeded(0);
/// let mut normal = || -> Array2<f64> { Array2::from_shape_simple_fn((2000, 2), || rng.sample(StandardNormal)) };
/// let x = normal();
/// let y = (0.6 * &x + 0.8 * &normal()).mapv(f64::exp);
/// let found = Base::default().information(x.view(), y.view())?;
/// assert!((found.nats + 0.64f64.ln()).abs() < 4.0 * found.std_err);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Base {
    /// Parts of the samples, each of which is held out once; at least 2.
    pub folds: usize,
    /// Which parts those are.
    pub seed: u64,
}

impl Default for Base {
    fn default() -> Self {
        Self { folds: 5, seed: 0 }
    }
}

/// A model of the dependence.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Model {
    Gaussian,
    Student(f64),
    /// Of `x` given `y`.
    Ridge,
    /// Of `y` given `x`.
    RidgeBack,
    /// Gaussian after two swirls.
    Swirled,
    Neighbours,
}

impl Model {
    fn name(self) -> &'static str {
        match self {
            Self::Gaussian => "held-out gain of the Gaussian",
            Self::Student(_) => "held-out gain of the Student copula",
            Self::Ridge => "held-out gain of the regression of x",
            Self::RidgeBack => "held-out gain of the regression of y",
            Self::Swirled => "held-out gain of swirls",
            Self::Neighbours => "KSG",
        }
    }

    fn told(self) -> String {
        match self {
            Self::Gaussian => "Gaussian".into(),
            Self::Student(dof) => format!("Student copula with {dof} degrees of freedom"),
            Self::Ridge => "regression of x on y, with slopes that depend on the lengths".into(),
            Self::RidgeBack => {
                "regression of y on x, with slopes that depend on the lengths".into()
            }
            Self::Swirled => {
                "Gaussian, after each vector is turned by angles that grow with its length".into()
            }
            Self::Neighbours => "neighbours (KSG)".into(),
        }
    }
}

/// What the models are fitted to.
struct Samples {
    x: Mat<f64>,
    y: Mat<f64>,
    mapped: [Mapped; 2],
    /// Of both vectors, as they are.
    ranks: Ranks,
    /// What the ranks become.
    scores: Arc<Scores>,
    /// For each part the samples that are in it, and those that are not.
    parts: Vec<(Vec<usize>, Vec<usize>)>,
}

impl Estimator for Base {
    fn name(&self) -> &'static str {
        "closed-form base"
    }

    /// # Errors
    /// [`Error::Parameter`] for bad settings; as [`Estimator::information`], where too few samples are fewer than 50 or
    /// than `4 (d_x + d_y)`; [`Error::NotFinite`] when the two vectors share something without noise; [`Error::Degenerate`]
    /// when no map leaves a vector that spans its space; [`Error::Interrupted`] when the user stops it.
    fn information(&self, x: ArrayView2<f64>, y: ArrayView2<f64>) -> Result<Information> {
        if self.folds < 2 {
            return Err(Error::Parameter {
                name: "folds",
                got: self.folds.to_string(),
                need: "at least 2",
            });
        }
        let needed = FEWEST.max(4 * (x.ncols() + y.ncols()));
        let seen = checked(&[("x", x), ("y", y)], needed)?;
        if self.folds > x.nrows() / 2 {
            return Err(Error::Parameter {
                name: "folds",
                got: format!("{} of {} samples", self.folds, x.nrows()),
                need: "at most half the number of samples",
            });
        }
        let own_x = Prepared::of("x", x, self.seed)?;
        let own_y = Prepared::of("y", y, self.seed)?;
        let by_ranks = check_noise(&own_x.values, &own_y.values)?;
        let scores = Arc::new(Scores::new(x.nrows()));
        let left_out = own_x.left_out + own_y.left_out;
        let warnings = [own_x.warnings("x"), own_y.warnings("y")].concat();
        let samples = self.samples(own_x.turned().values, own_y.turned().values, &scores)?;
        let (model, found) = match by_ranks {
            true => samples.smooth_or_best()?,
            false => samples.smooth(None)?.ok_or_else(gaussian::infinite)?,
        };
        let (model, found) = match model {
            // Before the swirls are undone, no coordinate stands out for what it is.
            Model::Swirled => (model, found),
            _ if !by_ranks => (model, found),
            _ => self.in_the_canonical_space(&samples, model, found)?,
        };
        let (model, found) = match x.ncols() + y.ncols() {
            0..=SHORT => by_neighbours([x, y], 0.0, model, found)?,
            _ => (model, found),
        };
        let told = format!(
            "model: {}; maps: {} of x, {} of y",
            model.told(),
            samples.mapped[0].map,
            samples.mapped[1].map
        );
        Ok(found
            .with("distance of x from normal", samples.mapped[0].distance)
            .with("distance of y from normal", samples.mapped[1].distance)
            .warned([told])
            .warned(seen.functions)
            .warned(gaussian::sums_left_out(left_out))
            .warned(warnings))
    }
}

impl Base {
    fn samples(&self, x: Mat<f64>, y: Mat<f64>, scores: &Arc<Scores>) -> Result<Samples> {
        let mapped = [choose(&x, scores)?, choose(&y, scores)?];
        let ranks = Ranks::of(&beside(x.as_ref(), y.as_ref()));
        let mut order: Vec<usize> = (0..x.nrows()).collect();
        order.shuffle(&mut rng::stream(self.seed, "folds of the base"));
        let part = |fold: usize| {
            let (mut test, mut train) = (Vec::new(), Vec::new());
            for (place, &i) in order.iter().enumerate() {
                if place % self.folds == fold {
                    test.push(i)
                } else {
                    train.push(i)
                }
            }
            (test, train)
        };
        let parts = (0..self.folds).map(part).collect();
        Ok(Samples {
            x,
            y,
            mapped,
            ranks,
            scores: Arc::clone(scores),
            parts,
        })
    }

    /// What is found in the canonical coordinates that stand out, which can tell no more than all of them.
    ///
    /// Where one of those is not normal, a Gaussian value bounds nothing: they are mapped anew. Where they are few,
    /// neighbours are counted there.
    fn in_the_canonical_space(
        &self,
        samples: &Samples,
        mut model: Model,
        mut found: Information,
    ) -> Result<(Model, Information)> {
        let [u, v] = samples.canonical()?;
        let few = u.ncols();
        if few == 0 {
            return Ok((model, found));
        }
        let (n, dx, dy) = (samples.n(), samples.x.ncols(), samples.y.ncols());
        // The coordinates were chosen for their correlation in these very samples. Of the bias of all coordinates this
        // is what neither the others nor the fit within the chosen ones make.
        let of = |dx: usize, dy: usize| gaussian::bias(n, dx, dy);
        let bias = of(dx, dy) - of(dx - few, dy - few) - of(few, few);
        if !matches!(model, Model::Student(_)) && (abnormal(&u) || abnormal(&v)) {
            let mapped = self.samples(u.clone(), v.clone(), &samples.scores)?;
            (model, found) = mapped.smooth_or_best()?;
            found.nats -= bias;
            found = found.warned([
                "a canonical coordinate is not normal: the value is that of the canonical \
                coordinates alone, mapped once more, and the truth may be more"
                    .to_owned(),
            ]);
        }
        if 2 * few <= SHORT && 2 * few < dx + dy {
            let (u, v) = (by_row(&u), by_row(&v));
            (model, found) = by_neighbours([u.view(), v.view()], bias, model, found)?;
        }
        Ok((model, found))
    }
}

impl Samples {
    fn n(&self) -> usize {
        self.x.nrows()
    }

    fn mapped(&self) -> [MatRef<'_, f64>; 2] {
        [
            self.mapped[0].values.as_ref(),
            self.mapped[1].values.as_ref(),
        ]
    }

    /// The best model, what it finds, and what the Gaussian finds in one direction.
    fn best(&self) -> Result<(Model, Information, f64)> {
        // First, because it knows where one vector is a function of the other.
        let (gaussian, most) = self.gaussian(self.mapped())?;
        let student = StudentCopula::default().fit(&self.ranks, &self.scores, self.x.ncols());
        let student = possible(student)?.filter(|(dof, ..)| dof.is_finite());
        let mut models = vec![Model::Gaussian];
        models.extend(student.iter().map(|(dof, ..)| Model::Student(*dof)));
        models.extend([Model::Ridge, Model::RidgeBack]);
        let scores = student.as_ref().map(|(_, _, scores)| scores);
        let mut best: Option<(Model, Vec<f64>)> = None;
        let mut gains = Vec::new();
        for &model in &models {
            let known = best.as_ref().map(|(_, values)| values.as_slice());
            let Some(values) = possible(self.held_out(model, scores, known))?.flatten() else {
                continue;
            };
            gains.push((model.name(), stats::mean(&values)));
            best = match best {
                Some((old, known)) if !better(&values, &known) => Some((old, known)),
                _ => Some((model, values)),
            };
        }
        let (model, values) = best.unwrap_or((Model::Gaussian, Vec::new()));
        // Slopes that depend on the lengths are what swirls look like from afar; of few coordinates they are found at
        // once, with or without.
        let ridges = [Model::Ridge.name(), Model::RidgeBack.name()];
        let likely = gains.iter().any(|(name, _)| ridges.contains(name));
        // A pair that is as strong as it stands has nothing turned.
        if most < self.coarse()
            && (likely || self.x.ncols().max(self.y.ncols()) <= FEW)
            && let Some(mut swirled) = self.swirled(&values)?
            && better(swirled.per_sample.as_deref().unwrap_or(&[]), &values)
        {
            gains.push((Model::Swirled.name(), swirled.nats));
            swirled.diagnostics.extend(gains);
            return Ok((Model::Swirled, swirled, most));
        }
        let mut found = match (model, &student) {
            (Model::Student(_), Some((_, student, scores))) => {
                let mut found = Information::of_samples(student.log_ratios(scores.as_ref()));
                found.nats -= gaussian::bias(self.n(), self.x.ncols(), self.y.ncols());
                found
            }
            (Model::Ridge | Model::RidgeBack, _) => Information::of_samples(values),
            _ => gaussian,
        };
        found.diagnostics.extend(gains);
        Ok((model, found, most))
    }

    /// The Gaussian value after swirls; nothing where there are too few samples for their entries, or no more than
    /// `known` in each half of them.
    fn swirled(&self, known: &[f64]) -> Result<Option<Information>> {
        let entries = |d: usize| d * (d - 1) / 2;
        let count = entries(self.x.ncols()) + entries(self.y.ncols());
        if count == 0 || count > self.n() / SAMPLES_PER_ENTRY {
            return Ok(None);
        }
        let (own_x, own_y) = (scaled(&self.x), scaled(&self.y));
        let raw = [own_x.as_ref(), own_y.as_ref()];
        // Maps of ranks bend the shells, if only a little: where no map is needed, none is used.
        let smooth = |x| candidates(x).next().transpose();
        let own = match smooth(&self.x)? {
            Some(x) => smooth(&self.y)?.map(|y| [x.values, y.values]),
            None => None,
        };
        let first = match &own {
            Some([x, y]) => [x.as_ref(), y.as_ref()],
            None => self.mapped(),
        };
        let search = |x: MatRef<'_, f64>, y: MatRef<'_, f64>| unswirl(x, y, &NOISE, own.is_some());
        let mut best = possible(self.after_swirls(first, search, false, known))?.flatten();
        // Where a map came before the swirl, it is undone after it. From close by, too: with noise a mild swirl about a
        // corner is lost.
        for stages in [&NOISE[..], &[0.0]] {
            let search = |x: MatRef<'_, f64>, y: MatRef<'_, f64>| unswirl(x, y, stages, false);
            let other = possible(self.after_swirls(raw, search, true, known))?.flatten();
            let known = best.as_ref().map_or(f64::NEG_INFINITY, |best| best.nats);
            best = match other {
                Some(other) if other.nats > known => Some(other),
                _ => best,
            };
        }
        Ok(best)
    }

    /// The Gaussian value after swirls. Each half of the samples is turned by the swirls of the other half, and has a
    /// Gaussian of its own; with `ranks`, of normal scores. Nothing where what comes out is not normal, since the value
    /// bounds nothing then, or where a half has no more than `known`.
    fn after_swirls(
        &self,
        [x, y]: [MatRef<'_, f64>; 2],
        search: impl Fn(MatRef<'_, f64>, MatRef<'_, f64>) -> Result<(Swirl, Swirl)>,
        ranks: bool,
        known: &[f64],
    ) -> Result<Option<Information>> {
        /// Six times what a normal vector has.
        const NORMAL: f64 = 1.0;
        let map = if ranks { normal_ranks } else { standardised };
        let parts = self.parts.iter();
        let order: Vec<usize> = parts.flat_map(|(test, _)| test.iter().copied()).collect();
        let (first, second) = order.split_at(order.len() / 2);
        let mut values = vec![0.0; self.n()];
        let mut nats = 0.0;
        for (train, test) in [(first, second), (second, first)] {
            let (of_x, of_y) = search(rows(x, train).as_ref(), rows(y, train).as_ref())?;
            let x = whitened(map(&of_x.apply(rows(x, test).as_ref())?).as_ref(), 0)?.values;
            let y = whitened(map(&of_y.apply(rows(y, test).as_ref())?).as_ref(), 0)?.values;
            if distance(x.as_ref()).max(distance(y.as_ref())) > NORMAL {
                return Ok(None);
            }
            let fit = Canonical::fit(x.as_ref(), y.as_ref())?;
            nats += (fit.nats() - fit.bias()) * test.len() as f64 / self.n() as f64;
            for (&i, value) in std::iter::zip(test, fit.per_sample()) {
                values[i] = value - fit.bias();
            }
            // What finds no more in one half is not looked for in the other.
            let known = |i: usize| known.get(i).copied().unwrap_or(f64::NEG_INFINITY);
            let gain: f64 = test.iter().map(|&i| values[i] - known(i)).sum();
            if gain <= 0.0 {
                return Ok(None);
            }
        }
        let mut found = Information::of_samples(values);
        found.nats = nats;
        Ok(Some(found))
    }

    /// The value of each sample, by the model fitted to the parts that it is not in; nothing where a part shows no more
    /// than what is known.
    fn held_out(
        &self,
        model: Model,
        scores: Option<&Mat<f64>>,
        known: Option<&[f64]>,
    ) -> Result<Option<Vec<f64>>> {
        let mut values = vec![0.0; self.n()];
        let [x, y] = self.mapped();
        let pick = |chosen: &[usize]| [rows(x, chosen), rows(y, chosen)];
        for (done, (test, train)) in self.parts.iter().enumerate() {
            heard("the comparison of models", done, self.parts.len())?;
            let found = match model {
                Model::Student(dof) => match scores {
                    Some(scores) => Some(held_out(scores, x.ncols(), dof, train, test)?),
                    None => None,
                },
                _ => {
                    let (train, test) = (pick(train), pick(test));
                    let [a, b] = [&train, &test].map(|part| [part[0].as_ref(), part[1].as_ref()]);
                    match model {
                        Model::Ridge => ridge::log_ratios(a, b)?,
                        Model::RidgeBack => ridge::log_ratios([a[1], a[0]], [b[1], b[0]])?,
                        _ => Some(gaussian_log_ratios(a, b)?),
                    }
                }
            };
            let Some(found) = found else { return Ok(None) };
            let gain = |known: &[f64]| -> f64 {
                test.iter()
                    .zip(&found)
                    .map(|(&i, own)| own - known[i])
                    .sum()
            };
            if known.is_some_and(|known| gain(known) <= 0.0) {
                return Ok(None);
            }
            test.iter()
                .zip(found)
                .for_each(|(&i, value)| values[i] = value);
        }
        Ok(Some(values))
    }

    /// What the Gaussian finds, in all and in one direction at most.
    fn gaussian(&self, [x, y]: [MatRef<'_, f64>; 2]) -> Result<(Information, f64)> {
        let fit = Canonical::fit(x, y)?;
        let mut found = Information::of_samples(fit.per_sample());
        found.nats -= fit.bias();
        Ok((found.with("most of one direction", fit.most()), fit.most()))
    }

    /// The canonical coordinates whose correlation stands out.
    fn canonical(&self) -> Result<[Mat<f64>; 2]> {
        let [x, y] = self.mapped();
        let fit = Coordinates::fit(x, y)?;
        let (u, v) = fit.of(x, y);
        Ok([u, v].map(|all| all.subcols(0, fit.significant).to_owned()))
    }

    /// Information of one direction from which ranks are too coarse.
    fn coarse(&self) -> f64 {
        COARSE * (self.n() as f64).ln()
    }

    /// The best model, or smooth maps where ranks are too coarse.
    fn smooth_or_best(&self) -> Result<(Model, Information)> {
        let (model, found, most) = self.best()?;
        if most < self.coarse() {
            return Ok((model, found));
        }
        let known = (model, found);
        Ok(self.smooth(Some(known.clone()))?.unwrap_or(known))
    }

    /// The Gaussian after smooth maps, where that finds more than is known.
    fn smooth(
        &self,
        mut best: Option<(Model, Information)>,
    ) -> Result<Option<(Model, Information)>> {
        let all = |x| candidates(x).collect::<Result<Vec<Mapped>>>();
        let (of_x, of_y) = (all(&self.x)?, all(&self.y)?);
        for x in &of_x {
            for y in &of_y {
                let (mut other, _) = self.gaussian([x.values.as_ref(), y.values.as_ref()])?;
                if best.as_ref().is_none_or(|(_, best)| other.nats > best.nats) {
                    let told = format!(
                        "ranks are too coarse for so much information: {} of x, {} of y instead",
                        x.map, y.map
                    );
                    if let Some((_, best)) = &best {
                        other.diagnostics.extend(best.diagnostics.iter().copied());
                    }
                    other.warnings = vec![told];
                    best = Some((Model::Gaussian, other));
                }
            }
        }
        Ok(best)
    }
}

/// Nothing where samples do not span the space of what is fitted to them, as with long tails.
fn possible<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Err(Error::Degenerate { .. }) => Ok(None),
        found => found.map(Some),
    }
}

/// Whether any coordinate is too far from normal for a Gaussian value to be a bound.
fn abnormal(x: &Mat<f64>) -> bool {
    (0..x.ncols()).any(|j| negentropy(column(x.as_ref(), j)) > NORMAL)
}

/// The samples by row.
fn by_row(x: &Mat<f64>) -> Array2<f64> {
    Array2::from_shape_fn((x.nrows(), x.ncols()), |(i, j)| x[(i, j)])
}

/// All columns in one unit, in which the mean square of a value is 1; from their origin.
fn scaled(x: &Mat<f64>) -> Mat<f64> {
    let count = (x.nrows() * x.ncols()) as f64;
    let unit = x.norm_l2() / count.sqrt();
    let unit = if unit > 0.0 { unit } else { 1.0 };
    Mat::from_fn(x.nrows(), x.ncols(), |i, j| x[(i, j)] / unit)
}

/// KSG, less `bias`, where it finds more than is known.
fn by_neighbours(
    [x, y]: [ArrayView2<f64>; 2],
    bias: f64,
    model: Model,
    found: Information,
) -> Result<(Model, Information)> {
    let of = |neighbours| {
        let ksg = Ksg {
            neighbours,
            ..Ksg::default()
        };
        ksg.information(x, y)
    };
    let (mut other, far) = (of(NEAR)?, of(4 * NEAR)?);
    // What k neighbours find too little grows as (k/n)^(1/d) where a density ends, and as (k/n)^(2/d) where it is smooth.
    // In so few dimensions √k stands for both: as much as four times as many find less, these find less than there is.
    let short = other.nats - far.nats;
    let plain = other.nats;
    other.nats -= bias;
    let gain = other.nats - found.nats;
    let known = found.per_sample.as_deref().unwrap_or(&[]);
    let seen = other.per_sample.as_deref().unwrap_or(&[]);
    let pairs: Vec<f64> = seen.iter().zip(known).map(|(a, b)| a - b).collect();
    if gain > TAKE_OVER * stats::std_err(&pairs) + TOO_MUCH * found.nats.abs() {
        other.std_err = other.std_err.hypot(short);
        // Groups of fewer samples than 20 are seen whole by few neighbours, and not at all by more.
        if short > FAR * other.nats.max(0.0) && of(1)?.nats - plain > NEARER * short {
            other.nats += short;
            other = other.warned([
                "the samples are too few for what neighbours see: the value is what they would find from nearby, as far as \
                 5 of them and 20 tell it, and its error bar is what was added"
                    .to_owned(),
            ]);
        }
        other.diagnostics.extend(found.diagnostics);
        return Ok((Model::Neighbours, other));
    }
    // Not enough to believe them, but as much doubt of the model.
    let mut found = found.with(Model::Neighbours.name(), other.nats);
    found.std_err = found.std_err.max(0.5 * (gain + short.max(0.0)));
    Ok((model, found))
}

/// Whether the values are larger than the known ones by two standard errors of the difference.
fn better(values: &[f64], known: &[f64]) -> bool {
    let gains: Vec<f64> = values.iter().zip(known).map(|(a, b)| a - b).collect();
    stats::mean(&gains) > 2.0 * stats::std_err(&gains)
}
