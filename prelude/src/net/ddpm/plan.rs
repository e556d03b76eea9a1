//! What stands where in the network, and what it is called.

use candle_core::Device;

use super::{Block, DdpmConfig};
use crate::error::Result;
use crate::net::published::{
    Attention, Body, Conv, Down, Layer, Linear, Norm, NormConfig, Plan, Residual, ResidualConfig,
    ResidualNames, Scope, Told, Up, Waves,
};

static NAMES: ResidualNames = ResidualNames {
    norms: ["norm1", "norm2"],
    convs: ["conv1", "conv2"],
    time: "time_emb_proj",
    shortcut: "conv_shortcut",
};

impl DdpmConfig {
    fn norm(&self) -> NormConfig {
        NormConfig {
            groups: self.norm_num_groups,
            eps: self.norm_eps,
        }
    }

    pub(super) fn residual(&self, scale: f64) -> ResidualConfig {
        ResidualConfig {
            names: &NAMES,
            norm: self.norm(),
            time: 4 * self.block_out_channels[0],
            told: Told::Shift,
            scale,
            zero: false,
        }
    }

    fn attention(&self, scope: Scope, channels: usize, scale: f64) -> Result<Layer> {
        let heads = channels / self.attention_head_dim.unwrap_or(channels);
        let attention = Attention::apart(scope, channels, heads, self.norm(), scale)?;
        Ok(Layer::Attention(attention))
    }

    /// A residual block, and the attention that may follow it.
    fn block(
        &self,
        scope: &mut Scope,
        kind: Block,
        j: usize,
        from: usize,
        to: usize,
    ) -> Result<Vec<Layer>> {
        let name = format!("resnets.{j}");
        let residual = Residual::new(scope.at(name), from, to, &self.residual(1.0))?;
        let mut layers = vec![Layer::Residual(residual)];
        if kind == Block::Attention {
            layers.push(self.attention(scope.at(format!("attentions.{j}")), to, 1.0)?);
        }
        Ok(layers)
    }

    /// The way down, and how many channels are remembered at each step.
    fn down(&self, scope: &mut Scope) -> Result<(Vec<Vec<Layer>>, Vec<usize>)> {
        let channels = &self.block_out_channels;
        let (mut from, mut steps, mut remembered) = (channels[0], Vec::new(), vec![channels[0]]);
        for (i, (&to, &kind)) in channels.iter().zip(&self.down_block_types).enumerate() {
            let mut scope = scope.at(format!("down_blocks.{i}"));
            for j in 0..self.layers_per_block {
                steps.push(self.block(&mut scope, kind, j, from, to)?);
                remembered.push(to);
                from = to;
            }
            if i + 1 < channels.len() {
                let even = self.downsample_padding == 1;
                let down = Down::new(scope.at("downsamplers.0.conv"), to, even)?;
                steps.push(vec![Layer::Down(down)]);
                remembered.push(to);
            }
        }
        Ok((steps, remembered))
    }

    fn middle(&self, mut scope: Scope) -> Result<Vec<Layer>> {
        let c = self.block_out_channels[self.halvings()];
        let scale = self.mid_block_scale_factor;
        let mut residual = |j| -> Result<Layer> {
            let scope = scope.at(format!("resnets.{j}"));
            Ok(Layer::Residual(Residual::new(
                scope,
                c,
                c,
                &self.residual(scale),
            )?))
        };
        let (first, last) = (residual(0)?, residual(1)?);
        Ok(vec![
            first,
            self.attention(scope.at("attentions.0"), c, scale)?,
            last,
        ])
    }

    fn up(&self, scope: &mut Scope, mut remembered: Vec<usize>) -> Result<Vec<Vec<Layer>>> {
        let mut from = self.block_out_channels[self.halvings()];
        let mut steps = Vec::new();
        let sizes = self.block_out_channels.iter().rev();
        for (i, (&to, &kind)) in sizes.zip(&self.up_block_types).enumerate() {
            let mut scope = scope.at(format!("up_blocks.{i}"));
            for j in 0..=self.layers_per_block {
                let with = from + remembered.pop().unwrap_or(0);
                steps.push(self.block(&mut scope, kind, j, with, to)?);
                from = to;
            }
            if i < self.halvings()
                && let Some(last) = steps.last_mut()
            {
                last.push(Layer::Up(Up::new(scope.at("upsamplers.0.conv"), to)?));
            }
        }
        Ok(steps)
    }
}

impl Plan for DdpmConfig {
    fn build(&self, scope: &mut Scope, device: &Device) -> Result<Body> {
        let c = self.block_out_channels[0];
        let time = [
            Linear::new(scope.at("time_embedding.linear_1"), c, 4 * c)?,
            Linear::new(scope.at("time_embedding.linear_2"), 4 * c, 4 * c)?,
        ];
        let input = Conv::new(scope.at("conv_in"), self.in_channels, c, 3)?;
        let (down, remembered) = self.down(scope)?;
        Ok(Body {
            waves: Waves::new(c, self.freq_shift, self.flip_sin_to_cos, device)?,
            time,
            input,
            down,
            middle: self.middle(scope.at("mid_block"))?,
            up: self.up(scope, remembered)?,
            norm: Norm::new(scope.at("conv_norm_out"), c, self.norm())?,
            output: Conv::new(scope.at("conv_out"), c, self.out_channels, 3)?,
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
