//! The divergence of a network's estimate: the trace of its Jacobian.

use candle_core::{Device, Tensor, Var};

use super::ode::{finite, log_snrs};
use crate::channel::NoiseLevel;
use crate::denoiser::{Denoiser, Query};
use crate::error::{Error, Result};
use crate::per_sample_rng::PerSampleRng;

/// How the trace of the Jacobian `J = ∂ε̂/∂z` is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trace {
    /// Value by value: as many products with `J` as the sample has dimensions.
    Exact,
    /// The mean of `vᵀJv` over so many probes `v` of random signs; exact where `J` is diagonal.
    ///
    /// # Paper
    /// Hutchinson (1989), doi:10.1080/03610918908812806.
    Rademacher(usize),
    /// The mean of `vᵀJv` over so many normal probes; for a symmetric `J` never better than signs.
    Normal(usize),
}

/// Where products with the Jacobian come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Derivative {
    /// Backpropagation.
    Gradient,
    /// Differences of the network's values, `(ε̂(z + hv) − ε̂(z − hv))/2h` with `h = 0.03 √σ(−α)`; right to about 10⁻³ of
    /// the divergence. For networks of which a part has no gradient, such as [`Rounded`](crate::denoiser::Rounded).
    Difference,
}

impl Trace {
    /// Estimates at each place: one, or one for each probe.
    pub(super) fn estimates(self) -> usize {
        match self {
            Trace::Exact => 1,
            Trace::Rademacher(probes) | Trace::Normal(probes) => probes,
        }
    }

    /// The `i`-th probe, `[n or 1, shape…]`.
    fn probe(self, i: usize, net: &dyn Denoiser, rng: &mut PerSampleRng) -> Result<Tensor> {
        let (shape, device) = (net.shape(), net.device());
        match self {
            Trace::Exact => unit(i, net),
            Trace::Rademacher(_) => rng.signs(shape, device),
            Trace::Normal(_) => rng.normal(shape, device),
        }
    }
}

/// The `i`-th unit vector as a sample, `[1, shape…]`.
fn unit(i: usize, net: &dyn Denoiser) -> Result<Tensor> {
    let mut values = vec![0f32; net.dim()];
    if let Some(value) = values.get_mut(i) {
        *value = 1.0;
    }
    let whole = [&[1], net.shape()].concat();
    Ok(Tensor::from_vec(values, whole, &Device::Cpu)?.to_device(net.device())?)
}

/// `ε̂`, and the trace of its Jacobian: for each estimate in turn all samples.
pub(super) fn trace_estimate(
    net: &dyn Denoiser,
    z: &Tensor,
    level: NoiseLevel,
    how: (Trace, Derivative),
    rng: &mut PerSampleRng,
    mut listen: impl FnMut() -> Result<()>,
) -> Result<(Tensor, Vec<Vec<f64>>)> {
    let (trace, derivative) = how;
    let jacobian = Jacobian::at(net, z, level, derivative)?;
    let probes = match trace {
        Trace::Exact => net.dim(),
        Trace::Rademacher(probes) | Trace::Normal(probes) => probes,
    };
    let mut products: Vec<Vec<f64>> = Vec::new();
    for i in 0..probes {
        let product = jacobian.form(&trace.probe(i, net, rng)?)?;
        match products.last_mut() {
            // The trace is the sum over the unit vectors.
            Some(sum) if trace == Trace::Exact => {
                sum.iter_mut()
                    .zip(product)
                    .for_each(|(sum, next)| *sum += next);
            }
            _ => products.push(product),
        }
        listen()?;
    }
    Ok((finite(jacobian.eps, level)?, products))
}

/// What gives products with the Jacobian at one place.
struct Jacobian<'a> {
    net: &'a dyn Denoiser,
    z: Var,
    level: NoiseLevel,
    eps: Tensor,
    derivative: Derivative,
}

impl<'a> Jacobian<'a> {
    fn at(
        net: &'a dyn Denoiser,
        z: &Tensor,
        level: NoiseLevel,
        derivative: Derivative,
    ) -> Result<Self> {
        let z = Var::from_tensor(z)?;
        let input = match derivative {
            Derivative::Gradient => z.as_tensor().clone(),
            Derivative::Difference => z.as_detached_tensor(),
        };
        let eps = net.denoise(&Query::new(&input, &log_snrs(&input, level)?))?;
        Ok(Self {
            net,
            z,
            level,
            eps,
            derivative,
        })
    }

    /// `vᵀJv` of each sample.
    fn form(&self, v: &Tensor) -> Result<Vec<f64>> {
        let v = v.broadcast_as(self.z.shape())?.contiguous()?;
        let product = match self.derivative {
            Derivative::Gradient => self.gradient(&v)?,
            Derivative::Difference => self.difference(&v)?,
        };
        let rows = (product * v)?.flatten_from(1)?.to_device(&Device::Cpu)?;
        let rows = rows.to_vec2::<f32>()?;
        Ok(rows
            .iter()
            .map(|row| row.iter().map(|&value| f64::from(value)).sum())
            .collect())
    }

    /// `Jᵀv`.
    fn gradient(&self, v: &Tensor) -> Result<Tensor> {
        let next = "set `derivative: Derivative::Difference`";
        let grads = (&self.eps * v)?.sum_all()?.backward();
        let grads = grads.map_err(|error| Error::Missing {
            what: format!("the network's estimate has no gradient ({error})"),
            next,
        })?;
        let found = grads.get(self.z.as_tensor()).cloned();
        found.ok_or_else(|| Error::Missing {
            what: "the network's estimate has no gradient with respect to its input".into(),
            next,
        })
    }

    /// `Jv`.
    fn difference(&self, v: &Tensor) -> Result<Tensor> {
        let z = self.z.as_detached_tensor();
        let log_snr = log_snrs(&z, self.level)?;
        // The score changes over lengths of about the noise, or longer ones.
        let h = 0.03 * self.level.noise;
        let there = |h: f64| self.net.denoise(&Query::new(&(&z + (v * h)?)?, &log_snr));
        let change = (there(h)?.detach() - there(-h)?.detach())?;
        Ok((change / (2.0 * h))?)
    }
}

/// Adds up the divergence of a few samples once by the gradient, once by differences: a network of which a part has
/// no gradient, for instance because it leaves candle in between, would otherwise give wrong numbers in silence.
#[derive(Default)]
pub(super) struct GradientCheck {
    gradient: f64,
    difference: f64,
    size: f64,
}

/// Samples that are compared.
pub(super) const COMPARED: usize = 4;
/// Differences are right to about 10⁻³.
const TOLERANCE: f64 = 0.01;

impl GradientCheck {
    /// Compares the first samples at one place, with a weight in nats.
    pub(super) fn add(
        &mut self,
        net: &dyn Denoiser,
        z: &Tensor,
        level: NoiseLevel,
        weight: f64,
        rng: &mut PerSampleRng,
    ) -> Result<()> {
        let n = z.dims().first().copied().unwrap_or(0).min(COMPARED);
        let z = z.narrow(0, 0, n)?.contiguous()?;
        let v = rng.signs(net.shape(), net.device())?.narrow(0, 0, n)?;
        let both = [Derivative::Gradient, Derivative::Difference];
        let [a, b] = both.map(|how| Jacobian::at(net, &z, level, how)?.form(&v));
        for (a, b) in a?.iter().zip(b?) {
            self.gradient += weight * a;
            self.difference += weight * b;
            self.size += weight * a.abs().max(b.abs());
        }
        Ok(())
    }

    /// # Errors
    /// [`Error::Mismatch`] when the two do not agree.
    pub(super) fn check(&self) -> Result<()> {
        if (self.gradient - self.difference).abs() <= TOLERANCE * self.size {
            return Ok(());
        }
        Err(Error::Mismatch {
            what: "the network's gradient and its values",
            left: format!("{:.3} nats of divergence by the gradient", self.gradient),
            right: format!("{:.3} by differences", self.difference),
            next: "a part of the network has no gradient; set `derivative: Derivative::Difference`",
        })
    }
}
