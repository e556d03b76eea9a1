//! What may follow a step: measuring, the end, a state for the run folder.

use super::held_out::Validated;
use super::trainer::Mark;
use super::{End, Every, Fit, Trainer};
use crate::error::Result;

impl Trainer<'_> {
    /// What may follow a step.
    pub(super) fn after(&mut self) -> Result<()> {
        let step = self.fit.losses.len();
        let full = match () {
            () if step >= self.fit.planned => Some(End::Steps),
            () if self.time_share() >= 1.0 && step > 0 => Some(End::Time),
            () => None,
        };
        self.measure_if(full.is_some())?;
        if self.fit.end.is_none() {
            self.fit.end = match (full, self.impatient()) {
                (Some(end), _) => Some(end),
                (None, true) => Some(End::Patience),
                (None, false) => None,
            };
        }
        if let Some((_, course)) = &mut self.folder {
            course.tell(&self.fit)?;
        }
        match self.is_due(self.config.checkpoint, (self.saved.0.0, self.saved.1)) {
            true => self.save(),
            false => Ok(()),
        }
    }

    /// Measures the network if it is time for that, or the last chance.
    fn measure_if(&mut self, last: bool) -> Result<()> {
        let Some(watched) = &self.watched else {
            return Ok(());
        };
        let step = self.fit.losses.len();
        let due = match self.fit.validation.last() {
            Some(done) if done.step == step => false,
            Some(done) => last || self.is_due(watched.every, (done.step, done.seconds)),
            None => last || step == 0 && watched.first || self.is_due(watched.every, (0, 0.0)),
        };
        if !due {
            return Ok(());
        }
        self.optimizer.swap()?;
        let measured = watched.held_out.measure(self.net).and_then(|held_out| {
            let train = watched.train.as_ref().map(|train| train.measure(self.net));
            Ok((held_out, train.transpose()?))
        });
        self.optimizer.swap()?;
        let (held_out, train) = measured?;
        self.fit.seconds = self.seconds();
        self.fit.validation.push(Validated {
            step,
            seconds: self.fit.seconds,
            held_out,
            train,
        });
        let best = self.fit.best().is_some_and(|best| best.step == step);
        if best && self.config.patience.is_some() {
            let moments = self.optimizer.moments()?.into_iter();
            self.best = moments
                .map(|slot| match slot.average.is_empty() {
                    true => slot.value,
                    false => slot.average,
                })
                .collect();
        }
        Ok(())
    }

    /// Whether measurements have not become better for as long as the patience lasts.
    fn impatient(&self) -> bool {
        let (Some(patience), Some(best)) = (self.config.patience, self.fit.best()) else {
            return false;
        };
        let since = self.fit.validation.iter().filter(|v| v.step > best.step);
        since.count() >= patience
    }

    /// Whether something is to be done again that was last done after such a step, at such a time.
    fn is_due(&self, every: Every, (last, then): (usize, f64)) -> bool {
        let step = self.fit.losses.len();
        let rounds =
            |step: usize, count: usize| step * self.fit.batch / (count * self.fit.samples).max(1);
        match every {
            Every::Steps(count) => step / count > last / count,
            Every::Epochs(count) => rounds(step, count) > rounds(last, count),
            Every::Minutes(minutes) => self.seconds() - then >= 60.0 * minutes,
        }
    }

    pub(super) fn mark(&self) -> Mark {
        let Fit {
            losses,
            validation,
            end,
            ..
        } = &self.fit;
        (losses.len(), validation.len(), *end)
    }

    /// Writes the state to the run folder.
    pub(super) fn save(&mut self) -> Result<()> {
        if self.folder.is_none() {
            return Ok(());
        }
        self.fit.seconds = self.seconds();
        let (step, state) = (self.fit.losses.len(), self.state()?);
        if let Some((folder, course)) = &mut self.folder {
            // First, so that no step before the state is missing when the process ends between the two.
            course.flush()?;
            folder.save(step, &state)?;
        }
        self.saved = (self.mark(), self.fit.seconds);
        Ok(())
    }
}
