//! How the crate's values look in a notebook: [`Show`] for each.

mod results;
mod table;

pub use crate::cell::media::{EvcxrDisplay, Html, Latex, Markdown};
pub use table::{Table, table};

use crate::bound::Bound;
use crate::cell::Bundle;
use crate::cell::display::{Show, plain};
use crate::cell::media::{inline, with, with_figure};
use crate::curve::{MseCurve, PartialCurve};
use crate::data::{Dataset, Split};
use crate::distribution::{Gaussian, Shrinkage};
use crate::error::Result;
use crate::estimate::Estimate;
use crate::figure::Figure;
use crate::information::{Attribution, Information, Readout};
use crate::likelihood::{DensityMap, OdeNll};
use crate::plot::{plot_attribution, plot_curves, plot_density, plot_points, plot_spectrum};
use crate::sample::Samples;
use crate::train::Fit;

impl Show for Estimate {
    fn bundle(&self) -> Result<Bundle> {
        let mut text = self.to_string();
        if self.dim.is_some_and(|dim| dim > 1) {
            let (value, err) = (self.bits_per_dim(), self.bits_per_dim_err());
            text += &format!(" = {value:.3} ± {err:.3} bits/dim");
        }
        if self.n > 0 {
            text += &format!(" ({} samples)", self.n);
        }
        for warning in &self.warnings {
            text += &format!("\n⚠ {warning}");
        }
        Ok(plain(text))
    }
}

impl Show for MseCurve {
    fn bundle(&self) -> Result<Bundle> {
        let (points, n, dim) = (self.points.len(), self.n, self.dim);
        let source = match n {
            0 => "closed form".to_owned(),
            n => format!("{n} samples"),
        };
        let text =
            format!("squared error at {points} points of log-SNR, {dim} dimensions, {source}");
        Ok(with_figure(plain(text), &plot_curves(&[("", self)])?))
    }
}

impl Show for Information {
    fn bundle(&self) -> Result<Bundle> {
        Ok(plain(self.to_string()))
    }
}

impl Show for Attribution {
    fn bundle(&self) -> Result<Bundle> {
        let found = self.information(Readout::Mean)?;
        let bundle = plain(format!(
            "what {:?} places of {} samples tell: together {found}",
            self.shape,
            self.data.len()
        ));
        match self.data.shape() {
            [1 | 3, _, _] => {
                let count = self.data.len().min(10);
                Ok(with_figure(
                    bundle,
                    &plot_attribution(self, Readout::Mean, count)?,
                ))
            }
            _ => Ok(bundle),
        }
    }
}

impl Show for Bound {
    fn bundle(&self) -> Result<Bundle> {
        match self.steps.len() {
            0..3 => Ok(plain(self.to_string())),
            _ => Ok(with_figure(plain(self.to_string()), &self.figure()?)),
        }
    }
}

impl Show for PartialCurve {
    fn bundle(&self) -> Result<Bundle> {
        Ok(plain(self.to_string()))
    }
}

impl Show for DensityMap {
    fn bundle(&self) -> Result<Bundle> {
        let (across, up, mass) = (self.x.len(), self.y.len(), self.mass());
        let text = format!("a density at {across} × {up} points that hold {mass:.3} of it");
        Ok(with_figure(plain(text), &plot_density(self, None)?))
    }
}

impl Show for Gaussian {
    fn bundle(&self) -> Result<Bundle> {
        let entropy = match self.entropy() {
            Ok(entropy) => format!("entropy {:.3} nats", entropy.nats),
            Err(error) => error.to_string(),
        };
        let mut text = format!("Gaussian of {} dimensions, {entropy}", self.dim());
        if self.shrinkage != Shrinkage::None {
            text += &format!(", {} (weight {:.3})", self.shrinkage, self.intensity);
        }
        Ok(with_figure(plain(text), &plot_spectrum(self)?))
    }
}

impl Show for Fit {
    fn bundle(&self) -> Result<Bundle> {
        Ok(with_figure(plain(self.to_string()), &self.figure()?))
    }
}

impl Show for Dataset {
    fn bundle(&self) -> Result<Bundle> {
        let bundle = plain(describe(self));
        let drawn = |data: &Dataset, rows, columns| data.sample(rows, columns, 0);
        Ok(match picture(self, drawn)? {
            None => bundle,
            Some(figure) => {
                let html = overview(&[self])?.remove("text/html");
                let html = html
                    .as_ref()
                    .and_then(|html| html.as_str())
                    .unwrap_or_default();
                with(bundle, "text/html", format!("{html}{}", inline(&figure)))
            }
        })
    }
}

/// Points, or some of the pictures as `tiles` arranges them; nothing for other data.
fn picture(
    data: &Dataset,
    tiles: impl Fn(&Dataset, usize, usize) -> Result<Figure>,
) -> Result<Option<Figure>> {
    Ok(match data.shape() {
        [2] => Some(plot_points(data)?),
        [1 | 3, _, _] => {
            let columns = data.len().min(12);
            Some(tiles(data, (data.len() / columns).min(3), columns)?)
        }
        _ => None,
    })
}

impl Show for Samples {
    fn bundle(&self) -> Result<Bundle> {
        let data = self.dataset("samples")?;
        let (n, shape, evaluations) = (self.len(), data.shape(), self.evaluations);
        let bundle = plain(format!(
            "{n} samples of shape {shape:?}, {evaluations} evaluations of the network each"
        ));
        let still = picture(&data, Dataset::tiles)?;
        let figure = match (still, self.trajectory.is_empty()) {
            (Some(_), false) => Some(self.animation()?),
            (still, _) => still,
        };
        Ok(match figure {
            None => bundle,
            Some(figure) => with_figure(bundle, &figure),
        })
    }
}

impl Show for OdeNll {
    fn bundle(&self) -> Result<Bundle> {
        self.mean.bundle()
    }
}

impl Show for Split {
    fn bundle(&self) -> Result<Bundle> {
        let text = format!("{}\n{}", describe(&self.train), describe(&self.test));
        let mut bundle = overview(&[&self.train, &self.test])?;
        bundle.extend(plain(text));
        Ok(bundle)
    }
}

fn levels(data: &Dataset) -> String {
    match data.grid() {
        Ok(grid) => format!("{} levels in [{}, {}]", grid.levels, grid.low, grid.high),
        Err(_) => "continuous".into(),
    }
}

fn describe(data: &Dataset) -> String {
    format!(
        "{}: {} samples of shape {:?}, {}",
        data.name,
        data.len(),
        data.shape(),
        levels(data)
    )
}

/// What there is to say of data sets, one in each row.
fn overview(parts: &[&Dataset]) -> Result<Bundle> {
    let rows = parts.iter().map(|data| {
        let condition = data
            .condition_kind()
            .map_or("—".into(), |kind| kind.to_string());
        let shape = format!("{:?}", data.shape());
        [
            data.name.clone(),
            data.len().to_string(),
            shape,
            levels(data),
            condition,
        ]
    });
    table(&["data", "samples", "shape", "values", "condition"], rows)?.bundle()
}
