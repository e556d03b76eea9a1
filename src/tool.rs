//! `itd fetch` and `itd inspect`: this process becomes the prelude's own program.

use std::convert::Infallible;
use std::error::Error;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::cli::{Fetch, Inspect};
use crate::console::BuildBar;
use crate::eval::prelude::Plan;
use crate::eval::program::program;
use crate::toolchain::Toolchain;

/// `itd fetch`.
///
/// # Errors
/// When there is no compiler, or the prelude or the program does not build; what the command itself has to say, and
/// its exit code, are the program's.
pub fn fetch(options: &Fetch) -> Result<Infallible, Box<dyn Error>> {
    let model = options.model.as_ref().map(OsString::from);
    become_program(["fetch".into()].into_iter().chain(model))
}

/// `itd inspect`.
///
/// # Errors
/// As [`fetch`].
pub fn inspect(options: &Inspect) -> Result<Infallible, Box<dyn Error>> {
    let network = options
        .network
        .map(|network| ["--as", network.name()].map(OsString::from));
    let arguments = ["inspect".into(), options.file.clone().into_os_string()];
    become_program(arguments.into_iter().chain(network.into_iter().flatten()))
}

fn become_program(arguments: impl Iterator<Item = OsString>) -> Result<Infallible, Box<dyn Error>> {
    let toolchain = Toolchain::find()?;
    let mut bar = BuildBar::default();
    let prelude = Plan::new(toolchain.clone())?.build(&mut |step| bar.tell(&step));
    bar.finish();
    let program = program(&toolchain, &prelude?)?;
    let error = Command::new(&program).args(arguments).exec();
    Err(format!("{}: {error}", program.display()).into())
}
