//! From nothing to a session: compiler, prelude, evcxr.

use std::sync::Arc;

use super::workshop::Workshop;
use super::{Session, Settings};
use crate::analysis::Launch;
use crate::prelude::{Plan, Step};
use crate::reply::Failure;
use crate::toolchain::Toolchain;

/// Starts a session; builds the prelude before that if it has to be, and tells how far that is.
///
/// # Errors
/// A failure named `Start`, whose text says what to do.
pub fn session(
    workshop: Arc<Workshop>,
    settings: &Settings,
    tell: &mut dyn FnMut(Step),
) -> Result<Session, Failure> {
    let start = |error: &dyn std::fmt::Display| Failure::new("Start", error.to_string());
    let toolchain = Toolchain::find().map_err(|error| start(&error))?;
    let plan = Plan::new(toolchain.clone()).map_err(|error| start(&error))?;
    let prelude = plan.build_for_here(tell).map_err(|error| start(&error))?;
    let session = Session::start(workshop, &toolchain, &prelude, settings)?;
    if let Some(analyst) = &settings.analyst {
        analyst.start(Launch { prelude, toolchain });
    }
    Ok(session)
}
