//! Networks that share log-SNR among them.

use candle_core::{DType, Tensor};

use crate::curve::MseCurve;
use crate::data::ConditionKind;
use crate::denoiser::{Denoiser, Query};
use crate::error::Result;
use crate::net::Mlp;

/// How log-SNR is shared among the networks of [`Mmg`](super::Mmg): a mixture of experts by SNR.
///
/// # Units
/// Log-SNR, the natural logarithm.
///
/// # Errors
/// `Mmg` refuses a cut outside of its proposal's interval, and [`Self::HalfGap`] without `adapt`.
///
/// # Source
/// Yu, Shi, Kong, Jia, Ver Steeg (2025), MMG, arXiv:2509.20609, whose code cuts at 5.
///
/// # Example: two networks, with a short training
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::{information::{Estimator, Experts}, task};
///
/// # fn main() -> Result<()> {
/// let task = task::bivariate(0.75)?;
/// let pairs = task.sample(2000, 0)?;
/// let usual = Mmg::default();
/// let train = TrainConfig { steps: Some(600), ..usual.train.clone() };
/// let two = Mmg { experts: Experts::HalfGap, train, ..usual };
/// let found = two.information(pairs.x.view(), pairs.y.view())?;
/// check!((found.nats - task.nats).abs() < 0.1, "{found}, in truth {:.4}", task.nats);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Experts {
    /// One network for all of it.
    #[default]
    One,
    /// One network below this log-SNR, and another from there on.
    At(f64),
    /// The same, where the gap after the first steps of the training has half of its area on either side.
    HalfGap,
}

/// One network, or two with a cut between them. Each sample is answered by the network of its own log-SNR.
pub(super) struct Divided {
    low: Mlp,
    high: Option<(f64, Mlp)>,
}

impl Divided {
    pub(super) fn one(net: Mlp) -> Self {
        Self {
            low: net,
            high: None,
        }
    }

    /// The network, or the one below the cut.
    pub(super) fn net(&self) -> &Mlp {
        &self.low
    }

    /// `low` below the cut and `high` from there on.
    pub(super) fn at(cut: f64, low: Mlp, high: Mlp) -> Self {
        Self {
            low,
            high: Some((cut, high)),
        }
    }
}

impl Denoiser for Divided {
    fn eps_hat(&self, query: &Query) -> Result<Tensor> {
        let Some((cut, high)) = &self.high else {
            return self.low.eps_hat(query);
        };
        let log_snr: Vec<f64> = query.log_snr.to_dtype(DType::F64)?.to_vec1()?;
        let above: Vec<u8> = log_snr.iter().map(|at| u8::from(at >= cut)).collect();
        match (above.contains(&0), above.contains(&1)) {
            (_, false) => self.low.eps_hat(query),
            (false, true) => high.eps_hat(query),
            (true, true) => {
                let (low, high) = (self.low.eps_hat(query)?, high.eps_hat(query)?);
                let above = Tensor::from_vec(above, (log_snr.len(), 1), low.device())?;
                Ok(above.broadcast_as(low.shape())?.where_cond(&high, &low)?)
            }
        }
    }

    fn shape(&self) -> &[usize] {
        self.low.shape()
    }

    fn condition(&self) -> Option<ConditionKind> {
        self.low.condition()
    }

    fn batch(&self) -> usize {
        self.low.batch()
    }
}

/// The log-SNR on both sides of which half of a curve's area lies; the middle of the interval where there is no area.
pub(super) fn half(gap: &MseCurve) -> f64 {
    let (low, high) = gap.points.interval;
    let area: Vec<f64> = std::iter::zip(&gap.points.weight, &gap.mse)
        .map(|(weight, value)| weight * value)
        .collect();
    let all: f64 = area.iter().sum();
    if !(all > 0.0) {
        return 0.5 * (low + high);
    }
    let mut left = 0.5 * all;
    for (&at, area) in std::iter::zip(&gap.points.log_snr, area) {
        left -= area;
        // Neither network is left without any.
        if left <= 0.0 && at > low && at < high {
            return at;
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::distribution::Gaussian;
    use crate::logsnr::Quadrature;
    use crate::net::MlpConfig;
    use crate::rng;

    #[test]
    fn each_sample_is_answered_by_the_network_of_its_log_snr() {
        let net = |seed| {
            let config = MlpConfig {
                seed,
                ..MlpConfig::default()
            };
            let net =
                Mlp::new(&config, &Gaussian::standard(2).unwrap(), &[2], &Device::Cpu).unwrap();
            // Fresh networks all answer as the Gaussian does.
            for var in crate::denoiser::Trainable::vars(&net) {
                let moved = rng::normal(var.dims(), &mut rng::seeded(seed)).unwrap();
                var.set(&moved).unwrap();
            }
            net
        };
        let divided = Divided::at(5.0, net(1), net(2));
        let z = rng::normal(&[4, 2], &mut rng::seeded(0)).unwrap();
        let ask = |of: &dyn Denoiser, alphas: [f32; 4]| -> Vec<Vec<f32>> {
            let alphas = Tensor::new(&alphas, &Device::Cpu).unwrap();
            let answer = of.denoise(&Query::new(&z, &alphas)).unwrap();
            answer.to_vec2().unwrap()
        };
        for alphas in [
            [4.9, 5.0, -3.0, 9.0],
            [0.0, 1.0, 2.0, 3.0],
            [5.0, 6.0, 7.0, 8.0],
        ] {
            let (found, low, high) = (
                ask(&divided, alphas),
                ask(&net(1), alphas),
                ask(&net(2), alphas),
            );
            for (i, alpha) in alphas.iter().enumerate() {
                assert_ne!(low[i], high[i]);
                let known = if *alpha < 5.0 { &low[i] } else { &high[i] };
                assert_eq!(&found[i], known, "sample {i} at {alpha}");
            }
        }
    }

    #[test]
    fn half_of_the_area_lies_on_either_side() {
        let points = Quadrature::trapezoid(-10.0, 14.0, 241).unwrap();
        let curve = |of: &dyn Fn(f64) -> f64| {
            let values = points.log_snr.iter().map(|&at| of(at)).collect();
            MseCurve::exact(&points, 1, values).unwrap()
        };
        let bump = |at: f64| (-(at - 3.0f64).powi(2)).exp();
        assert!((half(&curve(&bump)) - 3.0).abs() < 0.11);
        assert_eq!(half(&curve(&|_| 0.0)), 2.0);
        // All of it at one end.
        let at_end = |is: &dyn Fn(f64) -> bool| half(&curve(&|at| f64::from(u8::from(is(at)))));
        let left = at_end(&|at| at < -9.95);
        assert!(left > -10.0 && left < -9.8, "{left}");
        assert_eq!(at_end(&|at| at > 13.95), 2.0);
    }
}
