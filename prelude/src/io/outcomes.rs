//! Outcomes of the study of recommenders as tables.

use polars::prelude::{Column, DataFrame, IntoSeries as _, ListChunked, NamedFrom as _, Series};

use super::columns::{Columns, whole};
use super::{FromFrame, ToFrame, malformed};
use crate::error::Result;
use crate::recommender::{Outcome, Outcomes, PUBLISHED_KS};

impl ToFrame for Outcomes {
    /// One row for each, in their order.
    fn to_frame(&self) -> Result<DataFrame> {
        let text = |name: &str, of: fn(&Outcome) -> &str| {
            let values: Vec<&str> = self.0.iter().map(of).collect();
            Column::new(name.into(), values)
        };
        let float = |name: &str, of: fn(&Outcome) -> f64| {
            let values: Vec<f64> = self.0.iter().map(of).collect();
            Column::new(name.into(), values)
        };
        let list = |name: &str, of: fn(&Outcome) -> &[f64]| -> Column {
            let rows = self.0.iter().map(|one| Series::new("".into(), of(one)));
            let mut lists = ListChunked::from_iter(rows);
            lists.rename(name.into());
            lists.into_series().into()
        };
        let runs: Vec<usize> = self.0.iter().map(|one| one.run).collect();
        let frame = DataFrame::new(
            self.0.len(),
            vec![
                text("part", |one| one.part.name()),
                text("column", |one| &one.column),
                text("model", |one| &one.model),
                whole("run", &runs)?,
                list("recall", |one| &one.recall),
                list("ndcg", |one| &one.ndcg),
                list("users_recall", |one| &one.users_recall),
                list("users_ndcg", |one| &one.users_ndcg),
                float("density", |one| one.density),
                float("nearest", |one| one.nearest),
                float("auc", |one| one.auc),
                float("auc_err", |one| one.auc_err),
                float("seconds", |one| one.seconds),
            ],
        )?;
        // What cannot be read must not be written.
        Self::from_frame(&frame).map(|_| frame)
    }
}

impl FromFrame for Outcomes {
    fn from_frame(frame: &DataFrame) -> Result<Self> {
        let columns = Columns(frame);
        let parts = columns.texts("part")?;
        let (names, models) = (columns.texts("column")?, columns.texts("model")?);
        let runs = columns.counts("run")?;
        let ks = Some(PUBLISHED_KS.len());
        let (recall, ndcg) = (columns.lists("recall", ks)?, columns.lists("ndcg", ks)?);
        let users = (
            columns.lists("users_recall", None)?,
            columns.lists("users_ndcg", None)?,
        );
        let float = |name| columns.floats(name, "a number or NaN", |v| !v.is_infinite());
        let (density, nearest) = (float("density")?, float("nearest")?);
        let (auc, auc_err, seconds) = (float("auc")?, float("auc_err")?, float("seconds")?);
        let one = |i: usize| -> Result<Outcome> {
            let (users_recall, users_ndcg) = (users.0[i].clone(), users.1[i].clone());
            if users_recall.len() != users_ndcg.len() {
                return Err(malformed(format!(
                    "row {i} has recall of {} users and NDCG of {}",
                    users_recall.len(),
                    users_ndcg.len()
                )));
            }
            let part = parts[i]
                .parse()
                .map_err(|error| malformed(format!("row {i}: {error}")))?;
            Ok(Outcome {
                part,
                column: names[i].clone(),
                model: models[i].clone(),
                run: runs[i],
                recall: recall[i].clone(),
                ndcg: ndcg[i].clone(),
                users_recall,
                users_ndcg,
                density: density[i],
                nearest: nearest[i],
                auc: auc[i],
                auc_err: auc_err[i],
                seconds: seconds[i],
            })
        };
        Ok(Self((0..frame.height()).map(one).collect::<Result<_>>()?))
    }
}
