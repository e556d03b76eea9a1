//! `eprint!`, `eprintln!` and `dbg!` for cells: their text keeps its place among prints and displays.
//!
//! Standard error is a pipe of its own, so what goes there directly may arrive before what was printed
//! earlier. These send it along with standard output, marked as what it is.

use std::fmt::Arguments;

use super::frame::{Frame, HUSH};
use super::{Host, host, send};

/// Prints to standard error, in order with everything else.
pub fn print(text: Arguments<'_>) {
    match host() {
        Host::Itd => {
            let text = text.to_string();
            // An error that was reported in full says nothing more.
            if text.trim_end() != HUSH {
                send(&Frame::Stderr { text });
            }
        }
        _ => std::eprint!("{text}"),
    }
}

/// [`std::eprint!`] that keeps its place in a notebook.
#[macro_export]
macro_rules! eprint {
    ($($arg:tt)*) => { $crate::stderr::print(::std::format_args!($($arg)*)) };
}

/// [`std::eprintln!`] that keeps its place in a notebook.
#[macro_export]
macro_rules! eprintln {
    () => { $crate::stderr::print(::std::format_args!("\n")) };
    ($($arg:tt)*) => {
        $crate::stderr::print(::std::format_args!("{}\n", ::std::format_args!($($arg)*)))
    };
}

/// [`std::dbg!`] that keeps its place in a notebook, and leaves out the line in the generated code.
#[macro_export]
macro_rules! dbg {
    ($value:expr $(,)?) => {
        match $value {
            value => {
                $crate::eprintln!("{} = {:#?}", ::std::stringify!($value), &value);
                value
            }
        }
    };
    ($($value:expr),+ $(,)?) => { ($($crate::dbg!($value)),+,) };
}

#[cfg(test)]
mod tests {
    #[test]
    fn dbg_gives_its_value_back() {
        assert_eq!(dbg!(1 + 1), 2);
        assert_eq!(dbg!(1, "two"), (1, "two"));
        eprint!("{}", "");
    }
}
