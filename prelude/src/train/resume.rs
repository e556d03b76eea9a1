//! The state of training: all that it takes to go on, bit for bit.

use std::path::Path;

use super::held_out::{HeldOut, Measured, Validated};
use super::optimizer::Moments;
use super::state::{State, Values};
use super::{End, Trainer};
use crate::error::{Error, Place, Result};
use crate::rng::Rng;

/// What a state lacks that should have it.
#[derive(Debug)]
pub(super) struct Lacks(String);

impl Lacks {
    pub(super) fn of(self, run: &Path, step: usize) -> Error {
        Error::Format {
            path: run.join(format!("checkpoint-{step}.safetensors")),
            at: Place::File,
            what: "the state of training",
            got: format!("one without {}", self.0),
            need: "one of this network and of this version; use another folder".into(),
        }
    }
}

impl Trainer<'_> {
    /// All that the next steps depend on, and what was done.
    pub(super) fn state(&self) -> Result<State> {
        let mut state = State::default();
        let moments = self.optimizer.moments()?;
        for (i, slot) in moments.into_iter().enumerate() {
            let lists = [
                ("parameter", slot.value),
                ("mean", slot.mean),
                ("square", slot.square),
                ("average", slot.average),
            ];
            for (name, values) in lists {
                state
                    .values
                    .insert(format!("{name}.{i}"), Values::F32(values));
            }
        }
        for (i, values) in self.best.iter().enumerate() {
            state
                .values
                .insert(format!("best.{i}"), Values::F32(values.clone()));
        }
        state
            .values
            .insert("order".into(), Values::U32(self.feed.order.clone()));
        let fit = &self.fit;
        let mut add = |name: &str, values: Vec<f64>| {
            state.values.insert(name.to_owned(), Values::F64(values));
        };
        add("losses", fit.losses.clone());
        add("gradients", fit.gradients.clone());
        add("rates", fit.rates.clone());
        add("elapsed", fit.elapsed.clone());
        add("seconds", vec![fit.seconds]);
        let each = |pick: fn(&Validated) -> f64| fit.validation.iter().map(pick).collect();
        add("validation.step", each(|v| v.step as f64));
        add("validation.seconds", each(|v| v.seconds));
        let held_out: Vec<&Measured> = fit.validation.iter().map(|v| &v.held_out).collect();
        let train: Vec<&Measured> = fit
            .validation
            .iter()
            .filter_map(|v| v.train.as_ref())
            .collect();
        for (name, sets) in [("held_out", held_out), ("train", train)] {
            let all =
                |pick: fn(&Measured) -> Vec<f64>| sets.iter().flat_map(|set| pick(set)).collect();
            add(
                &format!("validation.{name}.mse"),
                all(|set| set.curve.mse.clone()),
            );
            add(
                &format!("validation.{name}.std_err"),
                all(|set| set.curve.std_err.clone()),
            );
            add(
                &format!("validation.{name}.nll"),
                all(|set| vec![set.nll.nats, set.nll.std_err]),
            );
        }
        let end = match fit.end {
            None => "",
            Some(End::Steps) => "steps",
            Some(End::Time) => "time",
            Some(End::Patience) => "patience",
        };
        state.words.insert("rng".into(), self.feed.rng.place());
        state.words.insert("end".into(), end.into());
        Ok(state)
    }

    /// Goes on from a state. Nothing is changed unless all of it fits.
    pub(super) fn restore(&mut self, state: &State) -> Result<(), Lacks> {
        let lacks = |name: &str| Lacks(name.to_owned());
        let floats = |name: &str| match state.values.get(name) {
            Some(Values::F64(values)) => Ok(values.as_slice()),
            _ => Err(lacks(name)),
        };
        let numbers = |name: String, count: usize| match state.values.get(&name) {
            Some(Values::F32(values)) if values.len() == count => Ok(values.clone()),
            _ => Err(Lacks(name)),
        };
        let mut moments = Vec::with_capacity(self.vars.len());
        let mut best = Vec::new();
        for (i, var) in self.vars.iter().enumerate() {
            let count = var.elem_count();
            let averaged = if self.config.average.is_some() {
                count
            } else {
                0
            };
            moments.push(Moments {
                value: numbers(format!("parameter.{i}"), count)?,
                mean: numbers(format!("mean.{i}"), count)?,
                square: numbers(format!("square.{i}"), count)?,
                average: numbers(format!("average.{i}"), averaged)?,
            });
            if state.values.contains_key("best.0") {
                best.push(numbers(format!("best.{i}"), count)?);
            }
        }
        let order = match state.values.get("order") {
            Some(Values::U32(order)) => order.clone(),
            _ => return Err(lacks("order")),
        };
        let inside = |&row: &u32| (row as usize) < self.feed.samples();
        if !order.iter().all(inside) {
            return Err(lacks("an order of these samples"));
        }
        let word = |name: &str| {
            state
                .words
                .get(name)
                .map(String::as_str)
                .ok_or_else(|| lacks(name))
        };
        let rng = Rng::at(word("rng")?).ok_or_else(|| lacks("rng"))?;
        let end = match word("end")? {
            "" => None,
            "steps" => Some(End::Steps),
            "time" => Some(End::Time),
            "patience" => Some(End::Patience),
            _ => return Err(lacks("end")),
        };
        let losses = floats("losses")?.to_vec();
        let list = |name: &str| match floats(name)? {
            values if values.len() == losses.len() => Ok(values.to_vec()),
            _ => Err(lacks(name)),
        };
        let (gradients, rates, elapsed) = (list("gradients")?, list("rates")?, list("elapsed")?);
        let seconds = floats("seconds")?
            .first()
            .copied()
            .ok_or_else(|| lacks("seconds"))?;
        let validation = self.recall(&floats)?;
        if self.optimizer.restore(losses.len(), moments).is_err() {
            return Err(lacks("parameters that the network takes"));
        }
        self.best = best;
        self.feed.order = order;
        self.feed.rng = rng;
        self.before = seconds;
        let fit = &mut self.fit;
        (fit.losses, fit.gradients, fit.rates, fit.elapsed) = (losses, gradients, rates, elapsed);
        (fit.seconds, fit.end, fit.validation) = (seconds, end, validation);
        Ok(())
    }

    /// What was measured earlier.
    fn recall<'s>(
        &self,
        floats: &impl Fn(&str) -> Result<&'s [f64], Lacks>,
    ) -> Result<Vec<Validated>, Lacks> {
        let Some(watched) = &self.watched else {
            return Ok(Vec::new());
        };
        let (steps, seconds) = (floats("validation.step")?, floats("validation.seconds")?);
        let recall = |set: &HeldOut, name: &str, i: usize| -> Result<Measured, Lacks> {
            let part = |list: &str| -> Result<&'s [f64], Lacks> {
                let name = format!("validation.{name}.{list}");
                let all = floats(&name)?;
                let length = all.len() / steps.len().max(1);
                all.get(i * length..(i + 1) * length).ok_or(Lacks(name))
            };
            set.recall(part("mse")?, part("std_err")?, part("nll")?)
                .ok_or_else(|| Lacks(format!("validation.{name}")))
        };
        let one = |(i, (&step, &seconds)): (usize, (&f64, &f64))| -> Result<Validated, Lacks> {
            let train = watched.train.as_ref().map(|set| recall(set, "train", i));
            Ok(Validated {
                step: step as usize,
                seconds,
                held_out: recall(&watched.held_out, "held_out", i)?,
                train: train.transpose()?,
            })
        };
        steps.iter().zip(seconds).enumerate().map(one).collect()
    }
}
