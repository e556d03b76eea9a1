//! Lines of percent scripts, in which a cell begins with `// %%` and a command stands in a comment.

use std::borrow::Cow;

/// The line with which a cell begins.
pub const MARK: &str = "// %%";

/// What stands behind `// %%`.
pub fn mark(line: &str) -> Option<&str> {
    let rest = line.strip_prefix(MARK).or(line.strip_prefix("//%%"))?;
    let whole = rest.is_empty() || rest.starts_with(char::is_whitespace);
    whole.then(|| rest.trim())
}

/// A line of code as a script has it: `// :dep x = "1"` is the command, and `// // :dep x = "1"` the comment.
pub fn read_line(line: &str) -> &str {
    match line.strip_prefix("// ") {
        Some(rest) if needs_comment(rest) => rest,
        _ => line,
    }
}

/// A line of code as it is written, so that [`read_line`] gives it back.
pub fn write_line(line: &str) -> Cow<'_, str> {
    match needs_comment(line) {
        true => format!("// {line}").trim_end().to_owned().into(),
        false => line.into(),
    }
}

/// Whether a line of code would be read as something else: a command, which is written as a comment, the comment of one,
/// or the mark of a cell.
fn needs_comment(line: &str) -> bool {
    let bare = line.trim_start_matches("// ");
    let commented = || mark(&format!("// {bare}")).is_some();
    is_command(bare) || mark(line).or(mark(bare)).is_some() || (bare != line && commented())
}

fn is_command(line: &str) -> bool {
    let name = line.strip_prefix(':').unwrap_or_default();
    name.starts_with(|c: char| c.is_ascii_alphabetic())
}
