//! Results and networks in a few words, where all their numbers would fill a page.

use crate::bound::{AsymptoticSteps, PathDivergence};
use crate::cell::Bundle;
use crate::cell::display::{Show, plain};
use crate::channel::Noisy;
use crate::class_table::{ChiSquared, ClassTable, Proportion, RankCorrelation, TableInformation};
use crate::curve::LocalDimension;
use crate::data::Condition;
use crate::denoiser::Trainable;
use crate::distribution::Mixture;
use crate::error::Result;
use crate::information::{GapCurves, Interactions, JointNet, Posterior};
use crate::integral::Area;
use crate::logsnr::Quadrature;
use crate::net::{Ddpm, Iddpm, Mlp, UNet};
use crate::recommender::{
    self, Difference, Having, Outcome, Ranking, Relevance, Score, Served, World, score,
};
use crate::schedule::NoiseSchedule;
use crate::show::table;
use crate::task::{Benchmark, Pairs};

/// [`Show`] by a text.
macro_rules! in_words {
    ($($type:ty: $words:expr),+ $(,)?) => {$(
        impl Show for $type {
            fn bundle(&self) -> Result<Bundle> {
                let words: fn(&$type) -> Result<String> = $words;
                Ok(plain(words(self)?))
            }
        }
    )+};
}

/// [`Show`] by `Display`.
macro_rules! as_displayed {
    ($($type:ty),+ $(,)?) => {
        in_words! { $($type: |value| Ok(value.to_string())),+ }
    };
}

/// [`Show`] for networks: what they are for, and their size.
macro_rules! networks {
    ($($type:ident),+ $(,)?) => {
        in_words! { $($type: |net| Ok(network(stringify!($type), net))),+ }
    };
}

as_displayed! { Proportion, ChiSquared, TableInformation, RankCorrelation, Score, Difference }

networks! { Mlp, UNet, Ddpm, Iddpm, JointNet }

fn network(name: &str, net: &dyn Trainable) -> String {
    let parameters: usize = net.vars().iter().map(|var| var.elem_count()).sum();
    let of = match net.condition() {
        Some(kind) => format!(", told {kind}"),
        None => String::new(),
    };
    format!(
        "{name}: {parameters} parameters, for samples of shape {:?}{of}",
        net.shape()
    )
}

/// The first and the last of some numbers.
fn ends(values: &[f64]) -> String {
    match (values.first(), values.last()) {
        (Some(first), Some(last)) => format!("from {first:.3} to {last:.3}"),
        _ => "none".into(),
    }
}

/// Who has what, in numbers.
fn ratings(users: usize, items: usize, count: usize, what: &str) -> String {
    let share = 100.0 * count as f64 / (users * items).max(1) as f64;
    format!("{users} users, {items} items, {count} {what} ({share:.2} % of all pairs)")
}

fn likes(rated: &recommender::Interactions) -> String {
    let count = rated.count(Relevance::Liked);
    ratings(rated.users(), rated.items(), count, "likes")
}

fn recall_and_ndcg(recall: &[f64], ndcg: &[f64]) -> String {
    format!("Recall@10 {}, NDCG@10 {}", score(recall), score(ndcg))
}

in_words! {
    Area: |area| {
        let err = match area.total_err() {
            err if err.is_nan() => "an unknown error".to_owned(),
            err => format!("{err:.4}"),
        };
        let mut text = format!("{:.4} ± {err} nats", area.nats);
        for warning in area.warnings(1.0) {
            text += &format!("\n{warning}");
        }
        Ok(text)
    },
    AsymptoticSteps: |steps| {
        let count = steps.snr.len().saturating_sub(1);
        Ok(format!("{:.4} nats for {count} steps, of SNR {}", steps.nats, ends(&steps.snr)))
    },
    Benchmark: |task| {
        let (x, y) = task.dims;
        Ok(format!("{}: {:.4} nats in truth, between {x} and {y} dimensions", task.name, task.nats))
    },
    Condition: |given| Ok(format!("conditions of {} samples: {}", given.len(), given.kind())),
    GapCurves: |gap| {
        let readings = [
            ("direct", gap.direct()?), ("orthogonal", gap.orthogonal()?), ("mean", gap.mean()?), ("scaled", gap.scaled()?),
        ];
        let points = gap.inner.points.len();
        let mut text = format!("what a condition tells, at {points} points of log-SNR, {} samples", gap.inner.n);
        for (name, nats) in readings {
            text += &format!("\n{name:>10}  {nats}");
        }
        Ok(text)
    },
    Having: |having| Ok(ratings(having.users(), having.items(), having.count(), "chosen")),
    Interactions: |found| Ok(format!(
        "total correlation       {}\ndual total correlation  {}\nO-information           {}",
        found.total_correlation, found.dual_total_correlation, found.o_information
    )),
    LocalDimension: |found| Ok(format!(
        "{:.3} ± {:.3} directions, the mean of {} samples; the curve rises by {:.3} ± {:.3}",
        found.mean, found.mean_err, found.per_sample.len(), found.rise, found.rise_err
    )),
    Mixture: |mixture| Ok(format!("mixture of Gaussians in {} dimensions", mixture.dim())),
    NoiseSchedule: |schedule| Ok(format!("{} steps, log-SNR {}", schedule.steps(), ends(&schedule.log_snr))),
    Noisy: |noisy| Ok(format!("noisy samples of shape {:?}, with their noise and log-SNR", noisy.z.dims())),
    Outcome: |run| Ok(format!(
        "{}, {}, run {}: {}", run.column, run.model, run.run, recall_and_ndcg(&run.users_recall, &run.users_ndcg)
    )),
    Pairs: |pairs| Ok(format!(
        "{} pairs of samples, of {} and {} dimensions", pairs.len(), pairs.x.ncols(), pairs.y.ncols()
    )),
    PathDivergence: |price| Ok(format!(
        "{} for {} steps: {:.4} that they are charged with, {:.4} that they are worth",
        price.total, price.steps.len(), price.rectangles, price.integral
    )),
    Posterior: |found| {
        let (samples, classes) = found.log_probs.dim();
        Ok(format!(
            "probabilities of {classes} classes for {samples} samples; the most probable one is right for {:.1} %",
            100.0 * found.accuracy()
        ))
    },
    Quadrature: |points| {
        let (low, high) = points.interval;
        Ok(format!("{} points of log-SNR in [{low:.3}, {high:.3}], {:?}", points.len(), points.rule))
    },
    Ranking: |ranking| {
        let mut lines = Vec::new();
        for &k in &ranking.ks {
            let [recall, ndcg] = ranking.scores_at(k)?;
            lines.push(format!("Recall@{k} {recall}, NDCG@{k} {ndcg}"));
        }
        Ok(lines.join("\n"))
    },
    Served: |served| Ok(format!(
        "{} runs: {}", served.runs, recall_and_ndcg(&served.recall, &served.ndcg)
    )),
    World: |world| Ok(likes(&world.interactions)),
    recommender::Interactions: |rated| Ok(likes(rated)),
}

/// One row for each input.
impl Show for ClassTable {
    fn bundle(&self) -> Result<Bundle> {
        let counts = self.counts();
        let names: Vec<String> = (0..counts.ncols()).map(|class| class.to_string()).collect();
        let mut columns = vec!["in \\ out"];
        columns.extend(names.iter().map(String::as_str));
        let rows = counts.outer_iter().enumerate().map(|(class, row)| {
            let row = row.iter().map(u64::to_string);
            std::iter::once(class.to_string())
                .chain(row)
                .collect::<Vec<_>>()
        });
        table(&columns, rows)?.bundle()
    }
}
