//! What stands where in the network, and what it is called.

use candle_nn::VarBuilder;

use super::IddpmConfig;
use crate::error::Result;
use crate::layers::{
    Attention, AttentionConfig, Conv2d, Downsample, GroupNorm, GroupNormConfig, Linear, Modulation,
    Padding, Projections, Residual, ResidualConfig, ResidualNames, Scheme, Upsample,
};
use crate::net::published::{Body, Layer, Plan, TimeEmbedding};

static NAMES: ResidualNames = ResidualNames {
    norms: ["in_layers.0", "out_layers.0"],
    convs: ["in_layers.2", "out_layers.3"],
    modulation: "emb_layers.1",
    shortcut: "skip_connection",
};

impl IddpmConfig {
    fn norm(&self) -> GroupNormConfig {
        GroupNormConfig {
            groups: self.norm_groups,
            eps: 1e-5,
        }
    }

    fn residual(&self, vb: &VarBuilder, from: usize, to: usize) -> Result<Layer> {
        let config = ResidualConfig {
            names: &NAMES,
            norm: self.norm(),
            embedding: 4 * self.num_channels,
            modulation: match self.use_scale_shift_norm {
                true => Modulation::ScaleShift,
                false => Modulation::Shift,
            },
            scheme: Scheme::Uniform,
            zero: true,
            scale: 1.0,
        };
        Ok(Layer::Residual(Residual::new(vb, from, to, &config)?))
    }

    fn attention(&self, vb: &VarBuilder, channels: usize) -> Result<Layer> {
        let config = AttentionConfig {
            norm_name: "norm",
            projections: Projections::HeadByHead("qkv"),
            out: "proj_out",
            heads: self.num_heads,
            norm: self.norm(),
            scheme: Scheme::Uniform,
            zero: true,
            convs: true,
            scale: 1.0,
        };
        Ok(Layer::Attention(Attention::new(vb, channels, &config)?))
    }

    /// A residual block, and the attention that follows it at some sizes.
    fn block(&self, vb: &VarBuilder, level: usize, from: usize, to: usize) -> Result<Vec<Layer>> {
        let mut layers = vec![self.residual(&vb.pp(0), from, to)?];
        if self
            .attention_resolutions
            .contains(&(self.image_size >> level))
        {
            layers.push(self.attention(&vb.pp(1), to)?);
        }
        Ok(layers)
    }

    /// Channels at a size.
    fn channels(&self, level: usize) -> usize {
        self.num_channels * self.channel_mult[level]
    }

    /// The way down, and how many channels are remembered at each step.
    fn down(&self, vb: &VarBuilder) -> Result<(Vec<Vec<Layer>>, Vec<usize>)> {
        let mut from = self.num_channels;
        let (mut steps, mut remembered) = (Vec::new(), vec![from]);
        for level in 0..=self.halvings() {
            let to = self.channels(level);
            for _ in 0..self.num_res_blocks {
                // Block 0 is the first convolution.
                let vb = vb.pp(steps.len() + 1);
                steps.push(self.block(&vb, level, from, to)?);
                remembered.push(to);
                from = to;
            }
            if level < self.halvings() {
                let name = format!("{}.0.op", steps.len() + 1);
                let down = Downsample::new(vb.pp(name), to, Padding::Around, Scheme::Uniform)?;
                steps.push(vec![Layer::Down(down)]);
                remembered.push(to);
            }
        }
        Ok((steps, remembered))
    }

    fn up(&self, vb: &VarBuilder, mut remembered: Vec<usize>) -> Result<Vec<Vec<Layer>>> {
        let mut from = self.channels(self.halvings());
        let mut steps = Vec::new();
        for level in (0..=self.halvings()).rev() {
            let to = self.channels(level);
            for block in 0..=self.num_res_blocks {
                let vb = vb.pp(steps.len());
                let with = from + remembered.pop().unwrap_or(0);
                let mut layers = self.block(&vb, level, with, to)?;
                if level > 0 && block == self.num_res_blocks {
                    let name = format!("{}.conv", layers.len());
                    layers.push(Layer::Up(Upsample::new(vb.pp(name), to, Scheme::Uniform)?));
                }
                steps.push(layers);
                from = to;
            }
        }
        Ok(steps)
    }

    fn middle(&self, vb: &VarBuilder) -> Result<Vec<Layer>> {
        let c = self.channels(self.halvings());
        Ok(vec![
            self.residual(&vb.pp(0), c, c)?,
            self.attention(&vb.pp(1), c)?,
            self.residual(&vb.pp(2), c, c)?,
        ])
    }

    /// Channels that come out: those of the noise, and of the variance if there is one.
    fn out_channels(&self) -> usize {
        match self.learn_sigma {
            true => 2 * self.in_channels,
            false => self.in_channels,
        }
    }
}

impl Plan for IddpmConfig {
    fn build(&self, vb: &VarBuilder) -> Result<Body> {
        let (c, last) = (self.num_channels, self.channels(0));
        let linear = |name, from| Linear::new(vb.pp(name), from, 4 * c, Scheme::Uniform);
        let time = [linear("time_embed.0", c)?, linear("time_embed.2", 4 * c)?];
        let input = vb.pp("input_blocks.0.0");
        let input = Conv2d::new(input, (self.in_channels, c), 3, Scheme::Uniform)?;
        let (down, remembered) = self.down(&vb.pp("input_blocks"))?;
        let output = (last, self.out_channels());
        Ok(Body {
            embedding: TimeEmbedding::new(c, 0.0, true, vb.device())?,
            time,
            input,
            down,
            middle: self.middle(&vb.pp("middle_block"))?,
            up: self.up(&vb.pp("output_blocks"), remembered)?,
            norm: GroupNorm::new(vb.pp("out.0"), last, self.norm())?,
            output: Conv2d::new(vb.pp("out.2"), output, 3, Scheme::Zeros)?,
        })
    }

    fn picture(&self) -> [usize; 3] {
        [self.in_channels, self.image_size, self.image_size]
    }

    fn halvings(&self) -> usize {
        self.channel_mult.len() - 1
    }
}
