//! What stands where in the network, and what it is called.

use candle_core::Device;

use super::IddpmConfig;
use crate::error::Result;
use crate::net::published::{
    Attention, Body, Conv, Down, Layer, Linear, Norm, NormConfig, Plan, Residual, ResidualConfig,
    ResidualNames, Scope, Told, Up, Waves,
};

static NAMES: ResidualNames = ResidualNames {
    norms: ["in_layers.0", "out_layers.0"],
    convs: ["in_layers.2", "out_layers.3"],
    time: "emb_layers.1",
    shortcut: "skip_connection",
};

impl IddpmConfig {
    fn norm(&self) -> NormConfig {
        NormConfig {
            groups: self.norm_groups,
            eps: 1e-5,
        }
    }

    fn residual(&self, scope: Scope, from: usize, to: usize) -> Result<Layer> {
        let config = ResidualConfig {
            names: &NAMES,
            norm: self.norm(),
            time: 4 * self.num_channels,
            told: match self.use_scale_shift_norm {
                true => Told::ScaleShift,
                false => Told::Shift,
            },
            scale: 1.0,
            zero: true,
        };
        Ok(Layer::Residual(Residual::new(scope, from, to, &config)?))
    }

    fn attention(&self, scope: Scope, channels: usize) -> Result<Layer> {
        let attention = Attention::together(scope, channels, self.num_heads, self.norm())?;
        Ok(Layer::Attention(attention))
    }

    /// A residual block, and the attention that follows it at some sizes.
    fn block(&self, scope: &mut Scope, level: usize, from: usize, to: usize) -> Result<Vec<Layer>> {
        let mut layers = vec![self.residual(scope.at(0), from, to)?];
        if self
            .attention_resolutions
            .contains(&(self.image_size >> level))
        {
            layers.push(self.attention(scope.at(1), to)?);
        }
        Ok(layers)
    }

    /// Channels at a size.
    fn channels(&self, level: usize) -> usize {
        self.num_channels * self.channel_mult[level]
    }

    /// The way down, and how many channels are remembered at each step.
    fn down(&self, scope: &mut Scope) -> Result<(Vec<Vec<Layer>>, Vec<usize>)> {
        let mut from = self.num_channels;
        let (mut steps, mut remembered) = (Vec::new(), vec![from]);
        for level in 0..=self.halvings() {
            let to = self.channels(level);
            for _ in 0..self.num_res_blocks {
                // Block 0 is the first convolution.
                let mut scope = scope.at(steps.len() + 1);
                steps.push(self.block(&mut scope, level, from, to)?);
                remembered.push(to);
                from = to;
            }
            if level < self.halvings() {
                let name = format!("{}.0.op", steps.len() + 1);
                steps.push(vec![Layer::Down(Down::new(scope.at(name), to, true)?)]);
                remembered.push(to);
            }
        }
        Ok((steps, remembered))
    }

    fn up(&self, scope: &mut Scope, mut remembered: Vec<usize>) -> Result<Vec<Vec<Layer>>> {
        let mut from = self.channels(self.halvings());
        let mut steps = Vec::new();
        for level in (0..=self.halvings()).rev() {
            let to = self.channels(level);
            for block in 0..=self.num_res_blocks {
                let mut scope = scope.at(steps.len());
                let with = from + remembered.pop().unwrap_or(0);
                let mut layers = self.block(&mut scope, level, with, to)?;
                if level > 0 && block == self.num_res_blocks {
                    let name = format!("{}.conv", layers.len());
                    layers.push(Layer::Up(Up::new(scope.at(name), to)?));
                }
                steps.push(layers);
                from = to;
            }
        }
        Ok(steps)
    }

    fn middle(&self, mut scope: Scope) -> Result<Vec<Layer>> {
        let c = self.channels(self.halvings());
        Ok(vec![
            self.residual(scope.at(0), c, c)?,
            self.attention(scope.at(1), c)?,
            self.residual(scope.at(2), c, c)?,
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
    fn build(&self, scope: &mut Scope, device: &Device) -> Result<Body> {
        let (c, last) = (self.num_channels, self.channels(0));
        let time = [
            Linear::new(scope.at("time_embed.0"), c, 4 * c)?,
            Linear::new(scope.at("time_embed.2"), 4 * c, 4 * c)?,
        ];
        let input = Conv::new(scope.at("input_blocks.0.0"), self.in_channels, c, 3)?;
        let (down, remembered) = self.down(&mut scope.at("input_blocks"))?;
        Ok(Body {
            waves: Waves::new(c, 0.0, true, device)?,
            time,
            input,
            down,
            middle: self.middle(scope.at("middle_block"))?,
            up: self.up(&mut scope.at("output_blocks"), remembered)?,
            norm: Norm::new(scope.at("out.0"), last, self.norm())?,
            output: Conv::zero(scope.at("out.2"), last, self.out_channels(), 3)?,
        })
    }

    fn picture(&self) -> [usize; 3] {
        [self.in_channels, self.image_size, self.image_size]
    }

    fn halvings(&self) -> usize {
        self.channel_mult.len() - 1
    }
}
