//! What the commands `itd bench compute` and `itd bench cuda` run.
//!
//! `itd bench compute`: operations, steps of training and curves, here and in PyTorch, turn by
//! turn in one run.
//!
//! Each side of each case is a process of its own, which waits while the other works; so both have the machine to
//! themselves, the moods of the machine hit both, and the peak of a process is that of a case. In the end PyTorch
//! computes our result with our parameters, and must get the same.

mod case;
mod contender;
mod device;
mod measure;
mod network;
mod operation;
mod peak;
mod report;
mod work;
mod worker;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::file;

pub use device::{Compared, DeviceCheck, check_device};
pub use measure::{Comparison, Measured, Times, Version, compare};

/// What is measured and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Tries of each row; heavy ones have a third.
    pub tries: usize,
    /// Threads of both sides.
    pub threads: usize,
    /// Only cases whose name or sizes contain this.
    pub only: Option<String>,
    /// A Python that has PyTorch.
    pub torch: Option<PathBuf>,
    /// A file for all single times.
    pub json: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tries: 15,
            threads: 2,
            only: None,
            torch: None,
            json: None,
        }
    }
}

impl Settings {
    /// Refuses settings that cannot be.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    ///
    /// # Example
    /// ```
    /// use itd_prelude::bench::Settings;
    ///
    /// assert!(Settings { tries: 0, ..Default::default() }.check().is_err());
    /// ```
    pub fn check(&self) -> Result<()> {
        let refuse = |name, got: usize, need| {
            let got = got.to_string();
            Err(Error::Parameter { name, got, need })
        };
        if !(1..=100_000).contains(&self.tries) {
            return refuse("tries", self.tries, "1 to 100,000");
        }
        if !(1..=1024).contains(&self.threads) {
            return refuse("threads", self.threads, "1 to 1024");
        }
        Ok(())
    }

    /// From `--tries N`, `--threads N`, `--only NAME`, `--torch PYTHON` and `--json FILE`, in any order.
    fn of(arguments: &[OsString]) -> Result<Self> {
        let mut settings = Self::default();
        for pair in arguments.chunks(2) {
            let name = pair[0].to_string_lossy();
            let refuse = |got: String| Error::Parameter {
                name: "the command",
                got,
                need: "--tries N, --threads N, --only NAME, --torch PYTHON or --json FILE",
            };
            let Some(value) = pair.get(1) else {
                return Err(refuse(format!("{name:?} alone")));
            };
            let shown = value.to_string_lossy();
            let number = || shown.parse().map_err(|_| refuse(format!("{name} {shown}")));
            match name.as_ref() {
                "--tries" => settings.tries = number()?,
                "--threads" => settings.threads = number()?,
                "--only" => settings.only = Some(shown.into_owned()),
                "--torch" => settings.torch = Some(value.into()),
                "--json" => settings.json = Some(value.into()),
                _ => return Err(refuse(format!("{name:?}"))),
            }
        }
        settings.check()?;
        Ok(settings)
    }
}

/// Runs the command that this process was called with, and gives its exit code: 0, or 1 after an error, which is
/// printed, or when the device and the CPU do not agree.
pub fn main() -> i32 {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let [first, words] = arguments.as_slice()
        && first == "worker"
    {
        let words = words.to_string_lossy();
        return worker::serve(&words, io::stdin().lock(), io::stdout().lock());
    }
    if let [only] = arguments.as_slice()
        && only == "device"
    {
        return told(check_device(&crate::device::device()), DeviceCheck::agrees);
    }
    let settings = Settings::of(&arguments);
    told(settings.and_then(|settings| run(&settings)), |_| true)
}

/// Prints what was found, and gives the exit code: 0 when it is good.
fn told<T: std::fmt::Display>(found: Result<T>, good: impl Fn(&T) -> bool) -> i32 {
    match found {
        Ok(found) => {
            // A reader that has gone away has read enough.
            let _ = write!(io::stdout(), "{found}");
            i32::from(!good(&found))
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "itd: {error}");
            1
        }
    }
}

/// Measures, and writes the file that the settings name.
fn run(settings: &Settings) -> Result<Comparison> {
    let write = |text: &str| match &settings.json {
        None => Ok(()),
        Some(path) => {
            file::replace(path, |file| file.write_all(text.as_bytes())).map_err(|cause| {
                Error::File {
                    path: path.clone(),
                    cause: cause.into(),
                }
            })
        }
    };
    // Minutes of work should not end at a file that cannot be.
    if settings.json.as_ref().is_some_and(|path| !path.exists()) {
        write("")?;
    }
    let comparison = compare(settings)?;
    let text = serde_json::to_string_pretty(&comparison);
    write(&text.map_err(|error| Error::Other(error.to_string()))?).inspect_err(|_| {
        let _ = write!(io::stdout(), "{comparison}");
    })?;
    Ok(comparison)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &str) -> Result<Settings> {
        let words: Vec<OsString> = words.split_whitespace().map(OsString::from).collect();
        Settings::of(&words)
    }

    #[test]
    fn settings_are_read() {
        assert_eq!(of("").unwrap(), Settings::default());
        let right = Settings {
            tries: 3,
            threads: 1,
            only: Some("conv2d".into()),
            torch: Some("bin/python".into()),
            json: Some("a.json".into()),
        };
        let words = "--json a.json --tries 3 --only conv2d --torch bin/python --threads 1";
        assert_eq!(of(words).unwrap(), right);
        for wrong in [
            "--tries",
            "--tries x",
            "--tries 0",
            "--threads 0",
            "--threads -1",
            "--fast yes",
            "conv2d",
        ] {
            let error = of(wrong).unwrap_err();
            assert!(matches!(error, Error::Parameter { .. }), "{wrong}: {error}");
        }
    }
}
