//! What stands where in the network, and what it is called.

use candle_nn::VarBuilder;

use super::{Block, DdpmConfig};
use crate::error::Result;
use crate::layers::{
    Attention, AttentionConfig, Conv2d, Downsample, GroupNorm, GroupNormConfig, Linear, Modulation,
    Padding, Projections, Residual, ResidualConfig, ResidualNames, Scheme, Upsample,
};
use crate::net::published::{Body, Layer, Plan, TimeEmbedding};

static NAMES: ResidualNames = ResidualNames {
    norms: ["norm1", "norm2"],
    convs: ["conv1", "conv2"],
    modulation: "time_emb_proj",
    shortcut: "conv_shortcut",
};

impl DdpmConfig {
    fn norm(&self) -> GroupNormConfig {
        GroupNormConfig {
            groups: self.norm_num_groups,
            eps: self.norm_eps,
        }
    }

    pub(super) fn residual(&self, scale: f64) -> ResidualConfig {
        ResidualConfig {
            names: &NAMES,
            norm: self.norm(),
            embedding: 4 * self.block_out_channels[0],
            modulation: Modulation::Shift,
            scheme: Scheme::Uniform,
            zero: false,
            scale,
        }
    }

    fn attention(&self, vb: &VarBuilder, channels: usize, scale: f64) -> Result<Layer> {
        let config = AttentionConfig {
            norm_name: "group_norm",
            projections: Projections::Apart(["to_q", "to_k", "to_v"]),
            out: "to_out.0",
            heads: channels / self.attention_head_dim.unwrap_or(channels),
            norm: self.norm(),
            scheme: Scheme::Uniform,
            zero: false,
            convs: false,
            scale,
        };
        Ok(Layer::Attention(Attention::new(vb, channels, &config)?))
    }

    /// A residual block, and the attention that may follow it.
    fn block(
        &self,
        vb: &VarBuilder,
        kind: Block,
        j: usize,
        from: usize,
        to: usize,
    ) -> Result<Vec<Layer>> {
        let name = format!("resnets.{j}");
        let residual = Residual::new(&vb.pp(name), from, to, &self.residual(1.0))?;
        let mut layers = vec![Layer::Residual(residual)];
        if kind == Block::Attention {
            layers.push(self.attention(&vb.pp(format!("attentions.{j}")), to, 1.0)?);
        }
        Ok(layers)
    }

    /// The way down, and how many channels are remembered at each step.
    fn down(&self, vb: &VarBuilder) -> Result<(Vec<Vec<Layer>>, Vec<usize>)> {
        let channels = &self.block_out_channels;
        let (mut from, mut steps, mut remembered) = (channels[0], Vec::new(), vec![channels[0]]);
        for (i, (&to, &kind)) in channels.iter().zip(&self.down_block_types).enumerate() {
            let vb = vb.pp(format!("down_blocks.{i}"));
            for j in 0..self.layers_per_block {
                steps.push(self.block(&vb, kind, j, from, to)?);
                remembered.push(to);
                from = to;
            }
            if i + 1 < channels.len() {
                let padding = match self.downsample_padding {
                    1 => Padding::Around,
                    _ => Padding::After,
                };
                let vb = vb.pp("downsamplers.0.conv");
                let down = Downsample::new(vb, to, padding, Scheme::Uniform)?;
                steps.push(vec![Layer::Down(down)]);
                remembered.push(to);
            }
        }
        Ok((steps, remembered))
    }

    fn middle(&self, vb: &VarBuilder) -> Result<Vec<Layer>> {
        let c = self.block_out_channels[self.halvings()];
        let scale = self.mid_block_scale_factor;
        let residual = |name| -> Result<Layer> {
            let residual = Residual::new(&vb.pp(name), c, c, &self.residual(scale))?;
            Ok(Layer::Residual(residual))
        };
        Ok(vec![
            residual("resnets.0")?,
            self.attention(&vb.pp("attentions.0"), c, scale)?,
            residual("resnets.1")?,
        ])
    }

    fn up(&self, vb: &VarBuilder, mut remembered: Vec<usize>) -> Result<Vec<Vec<Layer>>> {
        let mut from = self.block_out_channels[self.halvings()];
        let mut steps = Vec::new();
        let sizes = self.block_out_channels.iter().rev();
        for (i, (&to, &kind)) in sizes.zip(&self.up_block_types).enumerate() {
            let vb = vb.pp(format!("up_blocks.{i}"));
            for j in 0..=self.layers_per_block {
                let with = from + remembered.pop().unwrap_or(0);
                steps.push(self.block(&vb, kind, j, with, to)?);
                from = to;
            }
            if i < self.halvings()
                && let Some(last) = steps.last_mut()
            {
                let up = Upsample::new(vb.pp("upsamplers.0.conv"), to, Scheme::Uniform)?;
                last.push(Layer::Up(up));
            }
        }
        Ok(steps)
    }
}

impl Plan for DdpmConfig {
    fn build(&self, vb: &VarBuilder) -> Result<Body> {
        let c = self.block_out_channels[0];
        let linear = |name, from| Linear::new(vb.pp(name), from, 4 * c, Scheme::Uniform);
        let conv = |name, from, to| Conv2d::new(vb.pp(name), (from, to), 3, Scheme::Uniform);
        let time = [
            linear("time_embedding.linear_1", c)?,
            linear("time_embedding.linear_2", 4 * c)?,
        ];
        let input = conv("conv_in", self.in_channels, c)?;
        let (down, remembered) = self.down(vb)?;
        let (shift, cosines_first) = (self.freq_shift, self.flip_sin_to_cos);
        Ok(Body {
            embedding: TimeEmbedding::new(c, shift, cosines_first, vb.device())?,
            time,
            input,
            down,
            middle: self.middle(&vb.pp("mid_block"))?,
            up: self.up(vb, remembered)?,
            norm: GroupNorm::new(vb.pp("conv_norm_out"), c, self.norm())?,
            output: conv("conv_out", c, self.out_channels)?,
        })
    }

    fn picture(&self) -> [usize; 3] {
        let [height, width] = self.sample_size;
        [self.in_channels, height, width]
    }

    fn halvings(&self) -> usize {
        self.block_out_channels.len() - 1
    }
}
