//! Information-theoretic diffusion for notebook cells: densities, entropies and information as areas
//! between curves of a denoiser's squared error (Kong, Brekelmans, Ver Steeg, ICLR 2023, arXiv:2302.03792).
//!
//! Modules stand in the order in which data flows. Each imports only what stands to its left or below; a
//! test holds them to that.
//!
//! ```text
//! data → channel · logsnr · schedule → net → mmse → integral · ensemble → likelihood · bound → Estimate → io · plot · show
//!  └ hub                        ops ───┘ └── sample                             └── train
//! error  units  rng  stats  check  estimate  figure  device  memory  file  cell  progress  caught  parquet  text
//! checkpoint: under everything
//! ```
//!
//! | module | takes | gives |
//! |---|---|---|
//! | [`hub`] | the name of a published network | its weights on this disk |
//! | [`data`] | files, seeds | [`Dataset`](data::Dataset), [`Spectrum`](data::Spectrum) |
//! | [`channel`] | samples, noise, log-SNR | noisy samples |
//! | [`logsnr`] | a spectrum | points with weights |
//! | [`schedule`] | a number of steps | their log-SNR, a network's time |
//! | [`checkpoint`] | a file of weights | named tensors |
//! | [`net`] | noisy samples, log-SNR | an estimate of the noise |
//! | [`train`](mod@train) | a network, data | the network, fitted |
//! | [`sample`](mod@sample) | a network, settings | [`Samples`](sample::Samples), the ODE's likelihood |
//! | [`mmse`] | a network, data, points | [`MseCurve`](mmse::MseCurve), whole or in [parts](mmse::PartialCurve) |
//! | [`integral`] | curves | the area between or under them, in nats |
//! | [`ensemble`](mod@ensemble) | several curves | the best of them at each point |
//! | [`likelihood`] | a curve, a spectrum | [`Estimate`](estimate::Estimate) |
//! | [`bound`] | a network or a curve, data | variational bounds, term by term |
//! | [`io`] | finished values | tables and files, and back |
//! | [`plot`], [`show`] | finished values | figures |
//! | [`tool`] | a command line | `itd fetch`, `itd inspect` |
//! | [`bench`] | a command line | `itd bench compute` |
//!
//! # Example: the entropy of a Gaussian, from a denoiser's errors
//! ```
//! use itd_prelude::prelude::*;
//!
//! # fn main() -> Result<()> {
//! let data = scg(4000, 0)?;
//! let reference = Spectrum::standard(2)?;
//! let alphas = LogisticLogSnr::new(1.0, 2.0, 6.0)?.quadrature(100)?;
//! let exact = Gaussian::new(&data.train.spectrum()?, data.shape())?;
//! let curve = mse_curve(&exact, &data.train, &alphas)?;
//! let entropy = continuous_nll(&curve, &reference)?;
//! check!(entropy.within(1.2185, 4.0));
//! # Ok(()) }
//! ```

pub mod bench;
pub mod bound;
pub mod channel;
pub mod data;
pub mod denoiser;
pub mod device;
pub mod ensemble;
pub mod estimate;
pub mod integral;
pub mod io;
pub mod likelihood;
pub mod logsnr;
pub mod mmse;
pub mod net;
pub mod plot;
pub mod sample;
pub mod schedule;
pub mod show;
pub mod stats;
pub mod tool;
pub mod train;
pub mod units;

pub use candle_core as candle;
pub use candle_nn as nn;
pub use itd_cell::plotters;
pub use itd_cell::{
    self as cell, check, dbg, eprint, eprintln,
    error::{self, Error, Result},
    figure, progress, question, show, text,
};
pub use itd_files::{checkpoint, file, hub};
pub use itd_kernels::{memory, ops, rng};
pub use polars::prelude as pl;
pub use rand;

/// What a cell sees without asking.
pub mod prelude {
    #[doc(no_inline)]
    pub use crate::{
        bound::{
            BoundConfig, Decoder, Outcome, bound_of_curve, continuous_time_bound,
            variational_bound, variational_bound_learned,
        },
        candle,
        cell::display::Show,
        channel, check,
        data::{
            Dataset, Grid, Shrinkage, Spectrum, SpectrumConfig, Split, cifar10, cifar10_in, circle,
            digits, dino, fashion_mnist, fashion_mnist_in, line, mnist, mnist_in, moons, scg,
        },
        denoiser::{Conditional, Denoiser, FnDenoiser, Guided, Parametrization, Query, Rounding},
        device::device,
        ensemble::ensemble,
        error::{Error, Result},
        estimate::Estimate,
        figure::Figure,
        hub,
        io::{self, FromFrame, ToFrame, merge_folder, mse_curve_shard_to},
        likelihood::{
            MapConfig, continuous_nll, density_map, discrete_nll, gaussian_nll,
            pointwise_discrete_nll, pointwise_nll,
        },
        logsnr::{LogSnr, LogisticLogSnr},
        mmse::{
            CURVE_SEED, CurveConfig, MseCurve, PartialCurve, Published, Shard, ShardBy,
            gaussian_curve, merge_shards, mse_curve, mse_curve_shard, mse_curve_with, source_curve,
        },
        net::{
            Ddpm, DdpmConfig, Iddpm, IddpmConfig, Mlp, MlpConfig, UNet, UNetConfig,
            exact::{Gaussian, Mixture, Source},
            mlp::Input,
        },
        nn, pl,
        plot::{plot_curves, plot_density, plot_lines, plot_points, plot_spectrum},
        rng,
        sample::{OdeConfig, SampleConfig, Sampler, Steps, Trace, ode_nll, sample},
        schedule::{Schedule, Variance},
        show::{Html, Latex, Markdown},
        train::{Every, Objective, TrainConfig, Validation, finetune, train, train_validated},
    };
    #[doc(no_inline)]
    pub use candle_core::{Device, Tensor};
}
