//! The comparison as a table.

use std::fmt;

use super::case::MATMUL;
use super::measure::{Comparison, Measured, Times};
use crate::text::{Side, bytes, table};

impl Comparison {
    /// GFLOP/s of the plain product on a side.
    fn plain(&self, pick: fn(&Measured) -> Option<&Times>) -> Option<f64> {
        let row = self.rows.iter().find(|row| row.case == MATMUL.words)?;
        speed(row, pick(row)?)
    }

    fn cells(&self, row: &Measured) -> Vec<String> {
        let sides = [row.ours(), row.theirs()];
        let plain = [self.plain(Measured::ours), self.plain(Measured::theirs)];
        let missing = || "-".to_owned();
        let mut cells = vec![row.name(), row.row.clone()];
        cells.extend(sides.map(|side| side.map_or_else(missing, spread)));
        let ratio = row.ratio().map(|ratio| format!("{ratio:.2}×"));
        cells.push(ratio.unwrap_or_else(missing));
        for (side, plain) in sides.into_iter().zip(plain) {
            let speed = side.and_then(|side| speed(row, side));
            cells.push(match (speed, plain) {
                (Some(speed), Some(plain)) => {
                    format!("{speed:.0} ({:.0} %)", 100.0 * speed / plain)
                }
                _ => missing(),
            });
        }
        let peak = |side: Option<&Times>| side.and_then(|side| side.peak).map(bytes);
        cells.extend(sides.map(|side| peak(side).unwrap_or_else(missing)));
        let layout = match row.theirs() {
            Some(side) if side.name.ends_with("channels_last") => "channels_last",
            _ => "",
        };
        cells.push(layout.into());
        cells
    }
}

impl Measured {
    fn name(&self) -> String {
        let name = self.case.split(' ').next().unwrap_or_default();
        format!("{name}: {}", self.what)
    }
}

fn speed(row: &Measured, side: &Times) -> Option<f64> {
    Some(row.operations? / side.median() * 1e-6)
}

/// `3.21 [3.10, 3.62]`
fn spread(side: &Times) -> String {
    let Some((median, least, greatest)) = side.spread() else {
        return "-".into();
    };
    let digits = match median {
        big if big >= 100.0 => 0,
        middle if middle >= 10.0 => 1,
        _ => 2,
    };
    format!("{median:.digits$} [{least:.digits$}, {greatest:.digits$}]")
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cpu, threads, tries) = (&self.cpu, self.threads, self.tries);
        writeln!(f, "{cpu}, {threads} threads, {tries} tries")?;
        for version in &self.versions {
            let base = version.base.map_or_else(|| "not counted".into(), bytes);
            let (name, version) = (&version.name, &version.version);
            writeln!(f, "{name}: {version}, a process without work: {base}")?;
        }
        let apart = self.rows.iter().filter_map(|row| row.apart);
        if let Some((result, gradient)) = apart.reduce(|a, b| (a.0.max(b.0), a.1.max(b.1))) {
            writeln!(
                f,
                "The sides' results differ by {result:.0e} of the largest value at most, their gradients by {gradient:.0e}."
            )?;
        }
        writeln!(
            f,
            "Milliseconds: median [least, greatest]. GFLOP/s, and their share of the plain product's on the same side. \
             Peak memory above a process without work.\n"
        )?;
        let head = [
            "case",
            "",
            "itd",
            "PyTorch",
            "ratio",
            "GFLOP/s",
            "PyTorch's",
            "peak",
            "PyTorch's",
            "",
        ];
        let mut rows = vec![head.map(String::from).to_vec()];
        rows.extend(self.rows.iter().map(|row| self.cells(row)));
        let (left, right) = (Side::Left, Side::Right);
        let sides = [
            left, left, right, right, right, right, right, right, right, left,
        ];
        write!(f, "{}", table(&rows, &sides))
    }
}

#[cfg(test)]
mod tests {
    use super::super::measure::Version;
    use super::*;

    #[test]
    fn the_table_compares_with_the_plain_product_of_the_same_side() {
        let times = |name: &str, ms: f64| Times {
            name: name.into(),
            milliseconds: vec![ms, 2.0 * ms, 1.5 * ms],
            peak: Some(2_000_000),
        };
        let row = |case: &str, operations, ours, theirs| Measured {
            case: case.into(),
            what: "a word".into(),
            row: "forward".into(),
            operations,
            apart: Some((1e-6, 2e-5)),
            sides: vec![times("itd", ours), times("PyTorch, channels_last", theirs)],
        };
        let comparison = Comparison {
            cpu: "a processor".into(),
            threads: 2,
            tries: 3,
            versions: vec![Version {
                name: "itd".into(),
                version: "0.1.0".into(),
                base: None,
            }],
            rows: vec![
                row(MATMUL.words, Some(3e9), 10.0, 20.0),
                row("conv2d 1", Some(3e9), 20.0, 20.0),
                row("group_norm 1", None, 0.5, 200.0),
            ],
        };
        let text = comparison.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "a processor, 2 threads, 3 tries");
        assert_eq!(lines[1], "itd: 0.1.0, a process without work: not counted");
        assert!(lines[2].contains("1e-6") && lines[2].contains("2e-5"));
        // 3·10⁹ operations in 15 ms are 200 GFLOP/s.
        for (line, parts) in [
            (
                6,
                ["15.0 [10.0, 20.0]", "2.00×", "200 (100 %)", "100 (100 %)"],
            ),
            (
                7,
                ["30.0 [20.0, 40.0]", "1.00×", "100 (50 %)", "100 (100 %)"],
            ),
            (
                8,
                ["0.75 [0.50, 1.00]", "300 [200, 400]", "400.00×", " -  "],
            ),
        ] {
            for part in parts {
                assert!(lines[line].contains(part), "{part}: {text}");
            }
            assert!(lines[line].ends_with("2.0 MB  channels_last"), "{text}");
        }
    }
}
