//! Axes: where they end, where their labels stand.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use crate::error::{Error, Result};

/// How an axis counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// Equal steps.
    #[default]
    Linear,
    /// Equal factors; values that are not > 0 are left out.
    Log,
}

impl Scale {
    pub(super) fn of(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Log if value > 0.0 => value.log10(),
            Self::Log => f64::NAN,
        }
    }
}

/// Numbers that are written without a power of ten.
const PLAIN: Range<f64> = 1e-4..1e6;

/// Half of the shortest axis.
const LEAST: f64 = 1e-290;

/// One axis: its ends, and where its labels stand. On a log axis all of this is in powers of ten.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    scale: Scale,
    ends: (f64, f64),
    ticks: Vec<f64>,
    step: f64,
    digits: usize,
    /// The distance of the labelled numbers where a log axis is so short that it is labelled like a linear one.
    even: Option<f64>,
}

impl Axis {
    pub(super) fn new(
        scale: Scale,
        range: Option<(f64, f64)>,
        values: impl Iterator<Item = f64>,
        most: usize,
    ) -> Result<Self> {
        let (low, high) = match range {
            Some((low, high)) => {
                let ends = (scale.of(low), scale.of(high));
                if !(ends.0.is_finite() && ends.1.is_finite() && ends.0 <= ends.1) {
                    let positive = match scale {
                        Scale::Linear => "",
                        Scale::Log => ", both above 0",
                    };
                    return Err(Error::Draw(format!(
                        "an axis is to go from {low} to {high}; give two finite numbers, the lower one first{positive}"
                    )));
                }
                ends
            }
            None => values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
                (low.min(v), high.max(v))
            }),
        };
        if !(low.is_finite() && high.is_finite() && low <= high) {
            return Err(Error::Draw("no value of it is finite".into()));
        }
        // A range given by hand is kept; one found from the data gets some air. Halves, since the distance of two
        // numbers may be more than the largest one.
        let half = high / 2.0 - low / 2.0;
        let air = match range {
            _ if half <= 0.5e-12 * high.abs() || half < LEAST => high.abs().max(1.0) * 0.5,
            Some(_) => 0.0,
            None => 0.08 * half,
        };
        let ends = ((low - air).max(-f64::MAX), (high + air).min(f64::MAX));
        let step = nice_step(ends, most, scale);
        let first = (ends.0 / step - 1e-9).ceil() as i64;
        let last = (ends.1 / step + 1e-9).floor() as i64;
        let mut ticks: Vec<f64> = (first..=last).map(|i| i as f64 * step).collect();
        let mut even = None;
        if scale == Scale::Log && ends.1 - ends.0 < 1.5 {
            let round = one_two_five(ends);
            if round.len() > 1 {
                ticks = round;
            } else if let Some((step, marks)) = evenly(ends, most) {
                (even, ticks) = (Some(step), marks);
            }
        }
        Ok(Self {
            scale,
            ends,
            ticks,
            step,
            digits: places(step),
            even,
        })
    }

    fn label(&self, at: f64) -> String {
        let number = 10f64.powf(at);
        match (self.scale, self.even) {
            (Scale::Linear, _) if !PLAIN.contains(&self.ends.0.abs().max(self.ends.1.abs())) => {
                scientific(at, self.step)
            }
            // Adding 0 turns −0 into 0.
            (Scale::Linear, _) => format!("{:.*}", self.digits, at + 0.0).replace('-', "−"),
            (Scale::Log, Some(step)) if PLAIN.contains(&number) => {
                format!("{number:.*}", places(step))
            }
            (Scale::Log, Some(step)) => scientific(number, step),
            (Scale::Log, None) if at.fract() != 0.0 && PLAIN.contains(&number) => {
                three_digits(number)
            }
            (Scale::Log, None) if at.fract() != 0.0 => {
                let power = at.floor();
                let times = three_digits(10f64.powf(at - power));
                format!("{times}·10{}", superscript(power as i64))
            }
            (Scale::Log, None) if self.plain() => format!("{number}"),
            (Scale::Log, None) => format!("10{}", superscript(at as i64)),
        }
    }

    /// Whether all labels are short as they are; else each is a power of ten.
    fn plain(&self) -> bool {
        self.ticks.iter().all(|at| (-3.0..=4.0).contains(at))
    }

    pub(super) fn label_width(&self) -> f64 {
        let longest = |axis: &Self| {
            axis.ticks
                .iter()
                .map(|&at| axis.label(at).chars().count())
                .max()
        };
        longest(self).unwrap_or(1) as f64 * 6.5
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let from_first = value / 2.0 - self.ends.0 / 2.0;
        let share = from_first / (self.ends.1 / 2.0 - self.ends.0 / 2.0);
        // Far outside is as good as a few pictures away, and cannot overflow.
        from + (f64::from(to - from) * share.clamp(-3.0, 4.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.ends.0..self.ends.1
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, at: &f64) -> String {
        self.label(*at)
    }
}

/// The smallest of 1, 2 and 5 times a power of ten that needs at most `most` labels.
fn nice_step((low, high): (f64, f64), most: usize, scale: Scale) -> f64 {
    let most = most.max(2) as f64;
    // The whole length may be more than the largest number.
    let (length, least) = (high - low, high / most - low / most);
    let power = 10f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= least * (1.0 - 1e-9))
        .unwrap_or(10.0 * power);
    match scale {
        Scale::Linear => step,
        Scale::Log if length < 1.5 => step,
        Scale::Log => step.max(1.0).round(),
    }
}

/// The distance of round numbers between two powers of ten, and their logarithms; none where that cannot be said in
/// `f64`.
fn evenly((low, high): (f64, f64), most: usize) -> Option<(f64, Vec<f64>)> {
    let ends = (10f64.powf(low), 10f64.powf(high));
    let step = nice_step(ends, most, Scale::Linear);
    if !(ends.1.is_finite() && ends.0 >= f64::MIN_POSITIVE && step > f64::EPSILON * ends.1) {
        return None;
    }
    let (first, last) = (
        (ends.0 / step).ceil() as i64,
        (ends.1 / step).floor() as i64,
    );
    let marks: Vec<f64> = (first..=last).map(|i| (i as f64 * step).log10()).collect();
    (marks.len() > 1).then_some((step, marks))
}

/// Places behind the point that multiples of a step have.
fn places(step: f64) -> usize {
    (-step.log10() - 1e-9).ceil().clamp(0.0, 15.0) as usize
}

/// The logarithms of 1, 2 and 5 times powers of ten, between two ends.
fn one_two_five((low, high): (f64, f64)) -> Vec<f64> {
    let decades = low.floor() as i64..=high.ceil() as i64;
    let marks =
        decades.flat_map(|decade| [1.0f64, 2.0, 5.0].map(|factor| decade as f64 + factor.log10()));
    marks.filter(|at| (low..=high).contains(at)).collect()
}

/// A number with its power of ten, to the last digit in which it differs from one a step further.
fn scientific(value: f64, step: f64) -> String {
    let power = |value: f64| (value.abs().log10() + 1e-9).floor();
    // Multiples of a step that is not a power of ten itself are rounded ones.
    if value.abs() < step / 2.0 {
        return "0".to_owned();
    }
    let digits = (power(value) - power(step)).clamp(0.0, 15.0) as usize;
    let text = format!("{value:.digits$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mantissa = match mantissa.contains('.') {
        true => mantissa.trim_end_matches('0').trim_end_matches('.'),
        false => mantissa,
    };
    format!("{mantissa}e{exponent}").replace('-', "−")
}

/// A number > 0 with at most three digits that count.
fn three_digits(value: f64) -> String {
    let digits = (2.0 - value.log10().floor()).clamp(0.0, 12.0) as usize;
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

fn superscript(number: i64) -> String {
    let digits = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let mut text = String::new();
    for c in number.to_string().chars() {
        text.push(match c.to_digit(10) {
            Some(digit) => digits[digit as usize],
            None => '⁻',
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(low: f64, high: f64, scale: Scale) -> Vec<String> {
        let axis = Axis::new(scale, Some((low, high)), [].into_iter(), 8).unwrap();
        axis.ticks.iter().map(|&at| axis.label(at)).collect()
    }

    #[test]
    fn labels_are_round_numbers() {
        assert_eq!(
            ticks(-6.0, 18.0, Scale::Linear),
            ["−5", "0", "5", "10", "15"]
        );
        assert_eq!(
            ticks(0.0, 1.0, Scale::Linear),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(
            ticks(0.001, 100.0, Scale::Log),
            ["0.001", "0.01", "0.1", "1", "10", "100"]
        );
        assert_eq!(ticks(1e-6, 1e-4, Scale::Log), ["10⁻⁶", "10⁻⁵", "10⁻⁴"]);
        // One form for all.
        assert_eq!(
            ticks(1e-4, 1.0, Scale::Log),
            ["10⁻⁴", "10⁻³", "10⁻²", "10⁻¹", "10⁰"]
        );
        assert_eq!(ticks(60.0, 600.0, Scale::Log), ["100", "200", "500"]);
        assert_eq!(ticks(0.03, 0.11, Scale::Log), ["0.05", "0.1"]);
        assert_eq!(
            ticks(0.0, 8e6, Scale::Linear)[..4],
            ["0", "1e6", "2e6", "3e6"]
        );
        assert_eq!(
            ticks(1e6, 1e6 + 10.0, Scale::Linear)[..2],
            ["1e6", "1.000002e6"]
        );
        assert_eq!(
            ticks(-4e-7, 4e-7, Scale::Linear)[3..6],
            ["−1e−7", "0", "1e−7"]
        );
        // No 1, 2 or 5 between them: equal factors.
        assert_eq!(
            ticks(11.0, 15.0, Scale::Log),
            [
                "11.0", "11.5", "12.0", "12.5", "13.0", "13.5", "14.0", "14.5", "15.0"
            ]
        );
        assert_eq!(
            ticks(0.99, 1.01, Scale::Log),
            ["0.990", "0.995", "1.000", "1.005", "1.010"]
        );
        assert_eq!(ticks(1e-15, 4e-15, Scale::Log), ["10⁻¹⁵", "2·10⁻¹⁵"]);
        for (low, high) in [(1.0, 1.001), (3e-9, 3.1e-9), (7e20, 8e20), (1e-320, 2e-320)] {
            let labels = ticks(low, high, Scale::Log);
            let mut unlike = labels.clone();
            unlike.dedup();
            assert_eq!(labels, unlike);
            assert!(
                labels.iter().all(|label| label.chars().count() < 12),
                "{labels:?}"
            );
        }
    }
}
