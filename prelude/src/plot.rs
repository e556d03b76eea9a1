//! Finished values in, figures out.

mod attribution;
mod contour;
mod curve;
mod density;
mod lines;
mod spectrum;

pub use attribution::plot_attribution;
pub use curve::plot_curves;
pub use density::{plot_density, plot_points};
pub use lines::{plot_functions, plot_lines};
pub use spectrum::plot_spectrum;
