//! Claims that a notebook makes and that must hold: `check!`.

use std::fmt;

use crate::error::{Error, Result};

/// Two numbers and how far apart they may be.
///
/// Made by an estimate that is compared with the truth, or with another one; [`check!`](crate::check!) judges it.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// Whether it holds.
    pub holds: bool,
    /// Both numbers and the tolerance, in words.
    pub text: String,
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.holds { "✓" } else { "✗" };
        write!(f, "{mark} {}", self.text)
    }
}

/// Claims that two numbers are at most `tolerance` apart; it fails where one of them is not a number.
///
/// # Example
/// ```
/// # use itd_cell as itd_prelude;
/// use itd_prelude::{check, check::close};
///
/// check!(close(22.0 / 7.0, std::f64::consts::PI, 2e-3)); // ✓ 3.142857 is 3.141593 within 0.002
/// assert!(!close(f64::NAN, 0.0, 1.0).holds);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn close(got: f64, expected: f64, tolerance: f64) -> Claim {
    // As many digits as the tolerance has, and three more.
    let digits = match tolerance {
        small if small > 0.0 => (3.0 - small.log10().floor()).clamp(0.0, 15.0) as usize,
        _ => 15,
    };
    Claim {
        holds: (got - expected).abs() <= tolerance,
        text: format!("{got:.digits$} is {expected:.digits$} within {tolerance}"),
    }
}

/// What [`check!`](crate::check!) can judge: a `bool` or a [`Claim`].
pub trait Judge {
    /// The claim; `code` is how it was written.
    fn judge(self, code: &str) -> Claim;
}

impl Judge for bool {
    fn judge(self, code: &str) -> Claim {
        let text = code.split_whitespace().collect::<Vec<_>>().join(" ");
        Claim {
            holds: self,
            text: as_written(&text),
        }
    }
}

/// What the evaluator puts in the place of each `?`: `f()?` becomes `question!(f(), 3)`.
const QUESTION: &str = "::itd_prelude::question!(";

/// The code as the user wrote it: without [`QUESTION`] and what goes with it.
fn as_written(code: &str) -> String {
    let Some((before, rest)) = code.rsplit_once(QUESTION) else {
        return code.to_owned();
    };
    // The last one has no other inside. It ends where its parenthesis closes, after `, line`.
    let mut depth = 1;
    let end = rest.char_indices().find(|(_, c)| {
        depth += i32::from(*c == '(') - i32::from(*c == ')');
        depth == 0
    });
    let operand = end.and_then(|(end, _)| {
        let (operand, _line) = rest[..end].rsplit_once(',')?;
        Some((operand, &rest[end + 1..]))
    });
    match operand {
        Some((operand, after)) => as_written(&format!("{before}{operand}?{after}")),
        None => code.to_owned(),
    }
}

impl Judge for Claim {
    fn judge(self, _code: &str) -> Claim {
        self
    }
}

/// Prints a claim that holds; one that does not is an error.
///
/// # Errors
/// [`Error::Check`], with the text of the claim.
pub fn settle(claim: Claim) -> Result<()> {
    if !claim.holds {
        return Err(Error::Check(claim.text));
    }
    println!("{claim}");
    Ok(())
}

/// Checks a claim: prints it with a tick, or ends the cell with [`Error::Check`].
///
/// Takes a [`Claim`], or a `bool` with, if the code alone does not say enough, a text like that of
/// `format!`. It leaves with `?`, so it works wherever `?` does.
///
/// # Example
/// ```
/// # use itd_cell as itd_prelude;
/// use itd_prelude::{check, check::Claim};
///
/// let nats: f64 = 1.21;
/// check!(nats < 1.3);                         // ✓ nats < 1.3
/// check!(nats < 1.3, "{nats} < 1.3");         // ✓ 1.21 < 1.3
/// check!(Claim { holds: nats > 1.0, text: "more than a nat".into() });
/// # Ok::<(), itd_prelude::Error>(())
/// ```
#[macro_export]
macro_rules! check {
    ($claim:expr $(,)?) => {
        $crate::check!(@ $crate::check::Judge::judge($claim, ::std::stringify!($claim)))
    };
    (@ $claim:expr) => {
        match $crate::check::settle($claim) {
            ::std::result::Result::Ok(()) => {}
            ::std::result::Result::Err(error) => {
                let line = $crate::cause::Line::Generated(::std::line!());
                ::std::result::Result::Err($crate::cause::report_ours(error, line))?
            }
        }
    };
    ($holds:expr, $($text:tt)+) => {
        $crate::check!(@ $crate::check::Claim {
            holds: $holds,
            text: ::std::format!($($text)+),
        })
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    // A cell's function may return any error that is made from a printable one.
    struct CellError(String);
    impl<E: fmt::Display> From<E> for CellError {
        fn from(error: E) -> Self {
            Self(error.to_string())
        }
    }

    #[test]
    fn a_claim_reads_as_it_was_written() {
        let question = "(::itd_prelude::question!(f(&x, (1, 2)), 3) - 1.0).abs() < 0.1";
        assert_eq!(as_written(question), "(f(&x, (1, 2))? - 1.0).abs() < 0.1");
        let nested = "::itd_prelude::question!(::itd_prelude::question!(f(), 1).g(), 2)";
        assert_eq!(as_written(nested), "f()?.g()?");
        // A parenthesis in a string cannot be told from another: then all stays.
        let odd = "::itd_prelude::question!(f(\"(\"), 1) > 0";
        assert_eq!(as_written(odd), odd);
    }

    #[test]
    fn a_true_claim_passes_and_a_false_one_ends_the_cell() {
        let cell = |x: f64| -> std::result::Result<(), CellError> {
            check!(x > 1.0);
            check!(x > 2.0, "{x} is above 2");
            Ok(())
        };
        assert!(cell(3.0).is_ok());
        let text = |x| cell(x).map_err(|error| error.0).unwrap_err();
        assert_eq!(text(0.5), "Check: x > 1.0");
        assert_eq!(text(1.5), "Check: 1.5 is above 2");
        assert_eq!(text(f64::NAN), "Check: x > 1.0");
    }
}
