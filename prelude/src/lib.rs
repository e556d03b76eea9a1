//! Information-theoretic diffusion for notebook cells: densities, entropies and information as areas
//! between curves of a denoiser's squared error (Kong, Brekelmans, Ver Steeg, ICLR 2023, arXiv:2302.03792).
//!
//! Modules stand in the order in which data flows. Each imports only what stands to its left or below; a
//! test holds them to that.
//!
//! ```text
//! data → logsnr · channel · schedule → denoiser → curve → distribution → net → integral → likelihood · bound → train · sample → classifier → task · information · recommender
//! then io → plot → show → reproduce → tool, bench; under everything: units stats gauss_legendre device estimate cubature rounds per_sample_rng class_table
//! ```
//!
//! | module | takes | gives |
//! |---|---|---|
//! | [`data`] | files, seeds | [`Dataset`](data::Dataset) with [conditions](data::Condition) |
//! | [`channel`] | samples, noise, log-SNR | noisy samples |
//! | [`logsnr`] | an interval, or the shape of the errors | [`Quadrature`](logsnr::Quadrature): points whose weights sum to the integral |
//! | [`schedule`] | a number of steps | their log-SNR, a network's time |
//! | [`denoiser`] | noisy samples, log-SNR, a condition | an estimate of the noise |
//! | [`curve`] | a denoiser, data, points | [`MseCurve`](curve::MseCurve), whole or in [parts](curve::PartialCurve) |
//! | [`distribution`] | parameters, or data to fit | entropy, density, samples, the best denoiser, its curve |
//! | [`net`] | settings, or a published checkpoint | denoisers that learn |
//! | [`integral`] | curves | the area between or under them, in nats |
//! | [`likelihood`] | a curve, a reference | [`Estimate`](estimate::Estimate) of nats, with its error |
//! | [`bound`] | a network or a curve, data | variational bounds, term by term |
//! | [`train`](mod@train) | a network, data | the network, fitted |
//! | [`sample`](mod@sample) | a network, settings | [`Samples`](sample::Samples) |
//! | [`classifier`] | pictures and their classes | a small convolutional [`Classifier`](classifier::Classifier) |
//! | [`task`] | settings, seeds | pairs of samples whose mutual information is known |
//! | [`information`] | pairs of samples, or two denoisers | mutual information, in nats |
//! | [`recommender`] | who rated what | rankings, their errors, synthetic users |
//! | [`class_table`] | classes in and out | intervals, tests, the information between them |
//! | [`io`] | finished values | tables and files, and back |
//! | [`plot`], [`show`] | finished values | figures |
//! | [`reproduce`] | a folder | the paper's tables and figures on CIFAR-10, stage by stage |
//! | [`tool`], [`mod@bench`] | a command line | `itd fetch`, `itd inspect`, `itd bench compute`, `itd bench cuda` |
//! | [`hub`], [`checkpoint`] | the name of a published network, a file of weights | its weights on this disk, named tensors |
//!
//! # Example: the entropy of a Gaussian, from a denoiser's errors
//! ```
//! use itd_prelude::prelude::*;
//!
//! # fn main() -> Result<()> {
//! let data = toy::correlated_gaussian(4000, 0)?;
//! let gaussian = data.train.gaussian()?;
//! let points = Logistic::matched(&gaussian)?.quadrature(100)?;
//! let curve = mse_curve(&gaussian.denoiser(data.shape())?, &data.train, &points)?;
//! let entropy = curve.nll(gaussian.on(&data.train))?;
//! check!(entropy.within(1.2185, 4.0));
//! # Ok(()) }
//! ```

pub mod bench;
pub mod bound;
pub mod channel;
pub mod class_table;
pub mod classifier;
pub mod cubature;
pub mod curve;
pub mod data;
pub mod denoiser;
pub mod device;
pub mod distribution;
pub mod estimate;
mod gauss_legendre;
pub mod information;
pub mod integral;
pub mod io;
pub mod likelihood;
pub mod logsnr;
pub mod net;
mod per_sample_rng;
pub mod plot;
pub mod recommender;
pub mod reproduce;
mod rounds;
pub mod sample;
pub mod schedule;
pub mod show;
pub mod stats;
pub mod task;
pub mod tool;
pub mod train;
pub mod units;

pub use candle_core as candle;
pub use candle_nn as nn;
pub use itd_cell::plotters;
pub use itd_cell::{
    self as cell, check, comm, dbg, eprint, eprintln,
    error::{self, Error, Result},
    figure, input, password, progress, question, show, slices, text, widget,
};
pub use itd_files::{checkpoint, diffusers, file, hub, images, ratings};
pub use itd_kernels::{gradients, layers, memory, ops, optim, params, rng};
pub use ndarray;
pub use polars::prelude as pl;
pub use rand;

/// What a cell sees without asking.
pub mod prelude {
    #[doc(no_inline)]
    pub use crate::{
        bound::{BoundConfig, bound_of_curve, variational_bound},
        candle,
        cell::display::Show,
        channel, check,
        check::close,
        curve::{CurveConfig, Ensemble, MseCurve, mse_curve, mse_curve_with},
        data::{Condition, Dataset, Grid, Split, cifar10, digits, fashion_mnist, mnist, toy},
        denoiser::{Conditional, Denoiser, Rounding},
        device::device,
        distribution::{Component, Distribution, Gaussian, Mixture, Scalar},
        error::{Error, Result},
        estimate::Estimate,
        hub,
        information::{Mmg, attribution, mi},
        input, io,
        io::ToFrame,
        likelihood::{MapConfig, bootstrap, density_map, ode_nll},
        logsnr::{Logistic, Quadrature},
        net::{Ddpm, Iddpm, Mlp, MlpConfig, UNet, UNetConfig},
        password, pl,
        plot::{
            plot_area, plot_curves, plot_densities, plot_density, plot_functions, plot_gap,
            plot_lines, plot_points, plot_spectrum, plot_strips,
        },
        rng,
        sample::{SampleConfig, sample},
        schedule::NoiseSchedule,
        show::{Html, Latex, Markdown, table},
        stats::linspace,
        train::{TrainConfig, Validation, train},
        widget,
        widget::{interact, slider},
    };
    #[doc(no_inline)]
    pub use candle_core::{Device, Tensor};
}
