//! Finished values in, figures out.

mod attribution;
mod curve;
mod density;
mod lines;
mod spectrum;
mod strips;

pub use attribution::plot_attribution;
pub use curve::{plot_area, plot_curves, plot_gap};
pub use density::{plot_densities, plot_density, plot_points};
pub use lines::{plot_functions, plot_lines};
pub use spectrum::plot_spectrum;
pub use strips::plot_strips;
