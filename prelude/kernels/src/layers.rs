//! The layers that networks are made of. Each takes its parameters from candle-nn's `VarBuilder`
//! ([`params`](crate::params)) and computes on a [`Tape`](crate::ops::Tape).

mod attention;
mod basic;
mod fourier;
mod residual;

pub use attention::{Attention, AttentionConfig, Projections};
pub use basic::{
    Conv2d, Downsample, GroupNorm, GroupNormConfig, Linear, Padding, Scheme, Upsample,
};
pub use fourier::Fourier;
pub use residual::{Modulation, Residual, ResidualConfig, ResidualNames};

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor, Var};
    use candle_nn::VarBuilder;

    use super::*;
    use crate::error::Result;
    use crate::ops::{Activation, Tape};
    use crate::params::Network;
    use crate::rng;

    type Apply<B> = fn(&B, &Tape, &Tensor, &Tensor) -> Result<Tensor>;

    fn most(t: &Tensor) -> f32 {
        let flat = t.flatten_all().unwrap().abs().unwrap();
        flat.max(0).unwrap().to_scalar().unwrap()
    }

    /// Value and gradients, by the parameters and both inputs, on a tape and by candle's graph.
    fn agrees<B>(
        what: &str,
        build: impl Fn(VarBuilder) -> Result<B>,
        shape: [usize; 4],
        apply: Apply<B>,
    ) {
        let net = Network::seeded(0, &Device::Cpu, build).unwrap();
        let mut random = rng::seeded(1);
        for var in net.vars() {
            let noise = rng::normal(var.dims(), &mut random).unwrap();
            var.set(&(noise * 0.3).unwrap()).unwrap();
        }
        let mut leaf =
            |shape: &[usize]| Var::from_tensor(&rng::normal(shape, &mut random).unwrap()).unwrap();
        let (x, t) = (leaf(&shape), leaf(&[shape[0], 6]));
        let leaves = [net.vars(), vec![x.clone(), t.clone()]].concat();
        let slow = apply(&net.tracked, &Tape::off(), &x, &t).unwrap();
        let weights = rng::normal(slow.dims(), &mut random).unwrap();
        let by_graph = (&slow * &weights)
            .unwrap()
            .sum_all()
            .unwrap()
            .backward()
            .unwrap();
        let tape = Tape::on(&leaves);
        let fast = apply(&net.tracked, &tape, &x, &t).unwrap();
        assert!(most(&(&fast - &slow).unwrap()) < 1e-4, "{what}");
        let silent = apply(&net.frozen, &Tape::on(&[]), &x, &t).unwrap();
        assert!(
            most(&(&fast - &silent).unwrap()) < 1e-6 && !silent.track_op(),
            "{what}"
        );
        let grads = tape.backward(&fast, weights, &leaves).unwrap();
        let names = net.parameters.iter().map(|(name, _)| name.as_str());
        for ((grad, leaf), name) in grads.iter().zip(&leaves).zip(names.chain(["x", "t"])) {
            match (grad, by_graph.get(leaf)) {
                (Some(grad), Some(slow)) => {
                    let size = most(slow).max(1e-2);
                    assert!(
                        most(&(grad - slow).unwrap()) < 1e-4 * size,
                        "{what}: {name}"
                    );
                }
                (grad, slow) => assert!(grad.is_none() && slow.is_none(), "{what}: {name}"),
            }
        }
    }

    const NORM: GroupNormConfig = GroupNormConfig {
        groups: 2,
        eps: 1e-5,
    };

    #[test]
    fn residual_blocks_of_each_kind() {
        static NAMES: ResidualNames = ResidualNames {
            norms: ["norm1", "norm2"],
            convs: ["conv1", "conv2"],
            modulation: "time",
            shortcut: "shortcut",
        };
        for modulation in [
            Modulation::Shift,
            Modulation::ScaleShift,
            Modulation::InsteadOfAffine,
        ] {
            for (to, scale) in [(4, 1.0), (6, 1.5)] {
                let config = ResidualConfig {
                    names: &NAMES,
                    norm: NORM,
                    embedding: 6,
                    modulation,
                    scheme: Scheme::Uniform,
                    zero: false,
                    scale,
                };
                let build = |vb: VarBuilder| Residual::new(&vb, 4, to, &config);
                let what = format!("{modulation:?}, {to} channels");
                agrees(&what, build, [3, 4, 5, 6], |block, tape, x, t| {
                    block.apply(tape, x, t)
                });
            }
        }
    }

    #[test]
    fn attention_of_each_kind() {
        let kinds = [
            Projections::Apart(["q", "k", "v"]),
            Projections::Together("qkv"),
            Projections::HeadByHead("qkv"),
        ];
        for projections in kinds {
            for (convs, heads) in [(false, 1), (true, 2), (false, 4)] {
                let config = AttentionConfig {
                    norm_name: "norm",
                    projections,
                    out: "out",
                    heads,
                    norm: NORM,
                    scheme: Scheme::Uniform,
                    zero: false,
                    convs,
                    scale: 1.0,
                };
                let build = |vb: VarBuilder| Attention::new(&vb, 8, &config);
                let what = format!("{projections:?}, {heads} heads");
                agrees(&what, build, [2, 8, 3, 5], |layer, tape, x, _| {
                    layer.apply(tape, x)
                });
            }
        }
    }

    #[test]
    fn ways_to_other_sizes() {
        for padding in [Padding::Around, Padding::After] {
            let build = |vb: VarBuilder| Downsample::new(vb, 4, padding, Scheme::Uniform);
            let what = format!("{padding:?}");
            agrees(&what, build, [2, 4, 6, 8], |layer, tape, x, _| {
                layer.apply(tape, x)
            });
        }
        let build = |vb: VarBuilder| Upsample::new(vb, 4, Scheme::Uniform);
        agrees("up", build, [2, 4, 3, 5], |layer, tape, x, _| {
            layer.apply(tape, x)
        });
        let build = |vb: VarBuilder| Linear::over_tokens(vb, 6, 3, Scheme::Normal);
        let apply: Apply<Linear> = |layer, tape, _, t| layer.apply(tape, t, Activation::Silu);
        agrees("linear", build, [5, 1, 1, 1], apply);
    }
}
