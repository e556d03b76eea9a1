//! Tables 1 and 2, and Figures 2 and 3.

use std::path::Path;

use serde_json::{Value, json};

use super::inputs::Which;
use super::{Scale, of_file, write_json};
use crate::cell::Bundle;
use crate::cell::display::Show;
use crate::curve::{MseCurve, ensemble_as_published};
use crate::data::Dataset;
use crate::distribution::Gaussian;
use crate::error::Result;
use crate::estimate::Estimate;
use crate::figure::Figure;
use crate::file;
use crate::logsnr::Quadrature;
use crate::plot::plot_curves;
use crate::show::{Table, table};
use crate::units::bits;

/// The rows of the paper's tables, and what is printed there, in bits per dimension: of Table 1 the variational bound on
/// levels as a density (`Disc.*`), that on the density, and the integral; of Table 2 the variational bound, the integral
/// with rounding, and that of pixels with noise. NaN where nothing is printed.
#[expect(clippy::approx_constant, reason = "one of the printed numbers is 3.14")]
const PRINTED: [(&str, [f64; 6]); 5] = [
    ("DDPM", [-3.62, -3.44, -3.56, 3.37, 3.68, 3.51]),
    ("IDDPM", [-4.05, -3.58, -4.09, 2.94, 3.16, 3.17]),
    ("DDPM (tune)", [-3.55, -3.51, -3.84, 3.45, 3.48, 3.41]),
    ("IDDPM (tune)", [-3.85, -3.55, -4.28, 3.14, 3.15, 3.18]),
    (
        "Ensemble",
        [f64::NAN, f64::NAN, -4.29, f64::NAN, 2.90, 3.16],
    ),
];

/// The name of a network in the tables.
pub(super) fn name(which: Which, tuned: bool) -> String {
    let tuned = if tuned { " (tune)" } else { "" };
    format!("{}{tuned}", which.name().to_uppercase())
}

/// Its place in them.
pub(super) fn place(name: &str) -> usize {
    let found = PRINTED.iter().position(|(known, _)| *known == name);
    found.unwrap_or(PRINTED.len())
}

/// The variational bounds of a network.
pub(super) struct Bounds {
    pub levels: Estimate,
    pub density: Estimate,
}

impl Bounds {
    pub fn to_json(&self) -> Value {
        json!({"levels": to_json(&self.levels), "density": to_json(&self.density)})
    }

    pub fn read(value: &Value) -> Option<Self> {
        let read = |value: &Value| {
            let nats = value["nats"].as_f64()?;
            let n = usize::try_from(value["images"].as_u64()?).ok()?;
            let dim = usize::try_from(value["dim"].as_u64()?).ok()?;
            // What is not finite is null in JSON.
            let std_err = value["std_err"].as_f64().unwrap_or(f64::NAN);
            Some(Estimate::new(nats, std_err, n).of_dim(dim))
        };
        Some(Self {
            levels: read(&value["levels"])?,
            density: read(&value["density"])?,
        })
    }
}

fn to_json(estimate: &Estimate) -> Value {
    json!({
        "nats": estimate.nats, "std_err": estimate.std_err, "images": estimate.n, "dim": estimate.dim,
        "bits_per_dim": estimate.bits_per_dim(), "bits_per_dim_std_err": estimate.bits_per_dim_err(),
    })
}

/// What was measured of a network.
pub(super) struct Measured {
    pub name: String,
    pub plain: MseCurve,
    pub rounded: MseCurve,
    pub dequantized: MseCurve,
    pub bounds: Bounds,
}

/// A row of both tables.
#[derive(Debug, Clone)]
pub struct Row {
    /// The network.
    pub name: String,
    /// The variational bound on `−log P` of levels; none for the ensemble.
    pub variational: Option<Estimate>,
    /// The variational bound on `−log p` of the density.
    pub variational_density: Option<Estimate>,
    /// The integral for the density, Eq. 14; the Gaussian stands in where the network is worse.
    pub density: Estimate,
    /// The integral for levels, Eq. 12, with the network rounded everywhere; of the ensemble with the best of the rounded
    /// networks.
    pub rounded: Estimate,
    /// The same with whichever of plain, rounded and the Gaussian is better at each point.
    pub better: Estimate,
    /// The density of pixels with uniform noise, as a bound on `−log P`.
    pub dequantized: Estimate,
}

/// Tables 1 and 2 with the curves behind them.
#[derive(Debug)]
pub struct Tables {
    /// The four networks and the ensemble, in the paper's order.
    pub rows: Vec<Row>,
    /// The spacing of the levels.
    pub spacing: f64,
    /// Figure 2, left: errors on the density.
    pub figure_2: Figure,
    /// Figure 3, left: errors with rounding.
    pub figure_3: Figure,
}

impl Tables {
    pub(super) fn new(
        gaussian: &Gaussian,
        test: &Dataset,
        noisy: &Dataset,
        points: &Quadrature,
        measured: &[Measured],
    ) -> Result<Self> {
        let spacing = test.grid()?.spacing();
        let (own, own_noisy) = (
            gaussian.curve_on(test, points)?,
            gaussian.curve_on(noisy, points)?,
        );
        let lowest = |curves: &[&MseCurve]| ensemble_as_published(curves);
        let density =
            |curves: &[&MseCurve]| lowest(&[&[&own], curves].concat())?.nll(gaussian.on(test));
        let levels = |curves: &[&MseCurve]| lowest(curves)?.code_length(gaussian.on(test));
        let dequantized = |curves: &[&MseCurve]| -> Result<Estimate> {
            let nll = lowest(&[&[&own_noisy], curves].concat())?.nll(gaussian.on(noisy))?;
            Ok(nll.per_bin(spacing))
        };
        let mut rows = Vec::new();
        for one in measured {
            rows.push(Row {
                name: one.name.clone(),
                variational: Some(one.bounds.levels.clone()),
                variational_density: Some(one.bounds.density.clone()),
                density: density(&[&one.plain])?,
                rounded: levels(&[&one.rounded])?,
                better: levels(&[&own, &one.plain, &one.rounded])?,
                dequantized: dequantized(&[&one.dequantized])?,
            });
        }
        let all = |pick: fn(&Measured) -> &MseCurve| measured.iter().map(pick).collect::<Vec<_>>();
        let (plain, rounded) = (all(|one| &one.plain), all(|one| &one.rounded));
        let both = [vec![&own], plain.clone(), rounded.clone()].concat();
        rows.push(Row {
            name: "Ensemble".to_owned(),
            variational: None,
            variational_density: None,
            density: density(&plain)?,
            rounded: levels(&rounded)?,
            better: levels(&both)?,
            dequantized: dequantized(&all(|one| &one.dequantized))?,
        });
        let figure = |curves: Vec<&MseCurve>| {
            let names = measured.iter().map(|one| one.name.as_str());
            let named = names.zip(curves);
            let all: Vec<(&str, &MseCurve)> =
                std::iter::once(("N(μ, Σ)", &own)).chain(named).collect();
            plot_curves(&all)
        };
        Ok(Self {
            rows,
            spacing,
            figure_2: figure(plain)?,
            figure_3: figure(rounded)?,
        })
    }

    /// Table 1, in bits per dimension: each number with the printed one behind it.
    ///
    /// # Errors
    /// As [`table`].
    pub fn table_1(&self) -> Result<Table> {
        let density = bits(self.spacing.ln());
        let rows = self.rows.iter().map(|row| {
            let printed = printed(&row.name);
            // Levels as a density: the probability of a level, spread over its bin.
            let disc = row.variational.as_ref();
            let disc = disc.map(|e| (e.bits_per_dim() + density, e.bits_per_dim_err()));
            [
                row.name.clone(),
                beside(disc, printed[0]),
                beside(row.variational_density.as_ref().map(in_bits), printed[1]),
                beside(Some(in_bits(&row.density)), printed[2]),
            ]
        });
        let head = [
            "−log p, bits/dim (printed)",
            "Var. Disc.*",
            "Var. Cont.",
            "IT",
        ];
        table(&head, rows)
    }

    /// Table 2, in bits per dimension: each number with the printed one behind it. `IT, better` is not in the paper.
    ///
    /// # Errors
    /// As [`table`].
    pub fn table_2(&self) -> Result<Table> {
        let rows = self.rows.iter().map(|row| {
            let printed = printed(&row.name);
            // The printed ensemble is that of plain and rounded curves.
            let rounded = if row.variational.is_some() {
                printed[4]
            } else {
                f64::NAN
            };
            let better = if row.variational.is_some() {
                f64::NAN
            } else {
                printed[4]
            };
            [
                row.name.clone(),
                beside(row.variational.as_ref().map(in_bits), printed[3]),
                beside(Some(in_bits(&row.rounded)), rounded),
                beside(Some(in_bits(&row.better)), better),
                beside(Some(in_bits(&row.dequantized)), printed[5]),
            ]
        });
        let head = [
            "−log P, bits/dim (printed)",
            "Var.",
            "IT, rounded",
            "IT, better",
            "IT, dequantized",
        ];
        table(&head, rows)
    }

    pub(super) fn write(&self, folder: &Path, scale: Scale) -> Result<()> {
        let note = match scale {
            Scale::Smoke => {
                "Small networks with drawn parameters on drawn pictures: these numbers mean nothing.\n\n"
            }
            _ => "",
        };
        let text = format!("{note}{}\n\n{}\n", self.table_1()?, self.table_2()?);
        let path = folder.join("tables.txt");
        let write = |file: &mut std::fs::File| std::io::Write::write_all(file, text.as_bytes());
        file::replace(&path, write).map_err(of_file(&path))?;
        for (name, figure) in [
            ("figure_2.svg", &self.figure_2),
            ("figure_3.svg", &self.figure_3),
        ] {
            figure.save(&folder.join(name).to_string_lossy())?;
        }
        let rows = self.rows.iter().map(|row| {
            json!({
                "name": row.name,
                "variational": row.variational.as_ref().map(to_json),
                "variational_density": row.variational_density.as_ref().map(to_json),
                "density": to_json(&row.density),
                "rounded": to_json(&row.rounded),
                "better": to_json(&row.better),
                "dequantized": to_json(&row.dequantized),
            })
        });
        let rows: Vec<Value> = rows.collect();
        write_json(
            &folder.join("tables.json"),
            &json!({"scale": scale.name(), "rows": rows}),
        )
    }
}

impl Show for Tables {
    fn bundle(&self) -> Result<Bundle> {
        let (first, second) = (self.table_1()?.bundle()?, self.table_2()?.bundle()?);
        let mut both = Bundle::new();
        for (kind, one) in first {
            if let (Some(one), Some(two)) =
                (one.as_str(), second.get(&kind).and_then(Value::as_str))
            {
                both.insert(kind, format!("{one}\n{two}").into());
            }
        }
        Ok(both)
    }
}

fn printed(name: &str) -> [f64; 6] {
    let found = PRINTED.iter().find(|(known, _)| *known == name);
    found.map_or([f64::NAN; 6], |(_, printed)| *printed)
}

fn in_bits(estimate: &Estimate) -> (f64, f64) {
    (estimate.bits_per_dim(), estimate.bits_per_dim_err())
}

/// A number with its error, and the printed one.
fn beside(found: Option<(f64, f64)>, printed: f64) -> String {
    let printed = match printed.is_nan() {
        true => String::new(),
        false => format!(" ({printed:.2})"),
    };
    match found {
        Some((bits, error)) => format!("{bits:.3} ± {error:.3}{printed}"),
        None => String::new(),
    }
}
