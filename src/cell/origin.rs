//! From lines of the generated code back to lines of cells, for panics.
//!
//! Every statement carries its origin in a comment, `/*@cell:line*/`; items keep theirs in all later cells,
//! since evcxr repeats them.

/// Where generated lines came from.
#[derive(Debug, Default, Clone)]
pub struct Lines {
    /// (generated line, cell, line in the cell), by generated line.
    marks: Vec<(u32, u32, u32)>,
}

impl Lines {
    /// Reads the marks of a generated source.
    pub fn read(source: &str) -> Self {
        let mut marks = Vec::new();
        for (generated, text) in (1..).zip(source.lines()) {
            for mark in text.split("/*@").skip(1) {
                let numbers = mark
                    .split("*/")
                    .next()
                    .and_then(|inside| inside.split_once(':'));
                if let Some((Ok(cell), Ok(line))) =
                    numbers.map(|(cell, line)| (cell.parse(), line.parse()))
                {
                    marks.push((generated, cell, line));
                }
            }
        }
        Self { marks }
    }

    /// The cell and the line in it that a generated line came from: those of the statement it lies in.
    pub fn origin(&self, generated: u32) -> Option<(u32, u32)> {
        let (from, cell, line) = self.marks.iter().rev().find(|(at, ..)| *at <= generated)?;
        Some((*cell, line + generated - from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lead_back_to_the_statement_that_they_lie_in() {
        let source = "fn/*@2:5*/ f() {\n    g()\n}\nextern \"C\" fn run() {\nlet/*@7:1*/ x = 1;\nx/*@7:3*/\n .y()\n}";
        let lines = Lines::read(source);
        assert_eq!(lines.origin(2), Some((2, 6)));
        assert_eq!(lines.origin(5), Some((7, 1)));
        assert_eq!(lines.origin(7), Some((7, 4)));
        assert_eq!(Lines::read("fn f() {}").origin(1), None);
    }
}
