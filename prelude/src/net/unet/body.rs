//! The network inside: pictures in, pictures out.

use candle_core::{Device, Tensor};
use candle_nn::VarBuilder;

use super::UNetConfig;
use crate::denoiser::Query;
use crate::error::Result;
use crate::layers::{
    Attention, AttentionConfig, Conv2d, Downsample, Fourier, GroupNorm, GroupNormConfig, Linear,
    Modulation, Padding, Projections, Residual, ResidualConfig, ResidualNames, Scheme,
};
use crate::net::condition::ConditionEmbedding;
use crate::ops::{Activation, Tape};

/// Numbers that tell a block what log-SNR and condition it works at.
const EMBEDDING: usize = 64;

/// Added to the variance of a group.
const EPS: f64 = 1e-5;

static NAMES: ResidualNames = ResidualNames {
    norms: ["norm", ""],
    convs: ["first", "second"],
    modulation: "modulation",
    shortcut: "skip",
};

/// Blocks of one size, each with the attention that may follow it.
type Blocks = Vec<(Residual, Option<Attention>)>;

/// `f(q, α | y)`.
#[derive(Debug, Clone)]
pub(super) struct Body {
    log_snr: Fourier,
    embedding: [Linear; 2],
    condition: Option<ConditionEmbedding>,
    stem: Conv2d,
    /// With the ways to the next smaller size, and back to the next larger one.
    encoder: Vec<(Blocks, Option<Downsample>)>,
    middle: (Residual, Option<Attention>, Residual),
    decoder: Vec<(Blocks, Option<Conv2d>)>,
    norm: GroupNorm,
    out: Conv2d,
}

impl Body {
    pub(super) fn new(vb: &VarBuilder, config: &UNetConfig, colours: usize) -> Result<Self> {
        let (channels, last) = (&config.channels, config.channels.len() - 1);
        let norm = GroupNormConfig {
            groups: config.groups,
            eps: EPS,
        };
        let residual = ResidualConfig {
            names: &NAMES,
            norm,
            embedding: EMBEDDING,
            modulation: Modulation::InsteadOfAffine,
            scheme: Scheme::Normal,
            zero: true,
            scale: 1.0,
        };
        let attention = AttentionConfig {
            norm_name: "norm",
            projections: Projections::Together("qkv"),
            out: "out",
            heads: config.heads,
            norm,
            scheme: Scheme::Normal,
            zero: true,
            convs: false,
            scale: 1.0,
        };
        let block =
            |vb: &VarBuilder, from: usize, to: usize| Residual::new(vb, from, to, &residual);
        let attend = |vb: &VarBuilder, level: usize| {
            let new = || Attention::new(&vb.pp("attention"), channels[level], &attention);
            config.attends(level).then(new).transpose()
        };
        let conv = |vb: VarBuilder, sizes, kernel| Conv2d::new(vb, sizes, kernel, Scheme::Normal);
        let log_snr = Fourier::of_log_snr(vb.device())?;
        let embedding = vb.pp("embedding");
        let embedding = [
            Linear::new(embedding.pp(0), log_snr.size(), EMBEDDING, Scheme::Normal)?,
            Linear::new(embedding.pp(1), EMBEDDING, EMBEDDING, Scheme::Normal)?,
        ];
        let condition = |kind| ConditionEmbedding::new(vb.pp("condition"), kind, EMBEDDING);
        let condition = config.condition.map(condition).transpose()?;
        let stem = conv(vb.pp("stem"), (colours, channels[0]), 3)?;
        let mut from = channels[0];
        let mut encoder = Vec::new();
        for (level, &to) in channels.iter().enumerate() {
            let vb = vb.pp("encoder").pp(level);
            let mut blocks = Vec::new();
            for i in 0..config.blocks {
                let vb = vb.pp(i);
                blocks.push((block(&vb, from, to)?, attend(&vb, level)?));
                from = to;
            }
            let down = || Downsample::new(vb.pp("down"), to, Padding::Around, Scheme::Normal);
            let down = (level < last).then(down).transpose()?;
            encoder.push((blocks, down));
        }
        let there = vb.pp("middle");
        let middle = (
            block(&there.pp(0), from, from)?,
            attend(&there, last)?,
            block(&there.pp(1), from, from)?,
        );
        let mut decoder = Vec::new();
        for level in (0..=last).rev() {
            let (vb, to) = (vb.pp("decoder").pp(level), channels[level]);
            let mut blocks = Vec::new();
            for i in 0..config.blocks {
                // What comes from the encoder is laid on top.
                let vb = vb.pp(i);
                blocks.push((block(&vb, from + to, to)?, attend(&vb, level)?));
                from = to;
            }
            let mut up = None;
            if level > 0 {
                from = channels[level - 1];
                up = Some(conv(vb.pp("up"), (to, from), 1)?);
            }
            decoder.push((blocks, up));
        }
        let out = vb.pp("out");
        Ok(Self {
            log_snr,
            embedding,
            condition,
            stem,
            encoder,
            middle,
            decoder,
            norm: GroupNorm::new(out.pp("norm"), channels[0], norm)?,
            out: Conv2d::new(out, (channels[0], colours), 3, Scheme::Zeros)?,
        })
    }

    /// `q`: `[n, colours, h, w]`, for a query whose `z` it stands for; gives the same shape.
    pub(super) fn apply(&self, tape: &Tape, q: &Tensor, query: &Query) -> Result<Tensor> {
        let embedding = self.embed(tape, query, q.device())?;
        let step = |(block, attention): &(Residual, Option<Attention>), x: &Tensor| {
            let h = block.apply(tape, x, &embedding)?;
            match attention {
                Some(attention) => attention.apply(tape, &h),
                None => Ok(h),
            }
        };
        let mut h = self.stem.apply(tape, q)?;
        let mut skips = Vec::new();
        for (blocks, down) in &self.encoder {
            for block in blocks {
                h = step(block, &h)?;
                skips.push(h.clone());
            }
            if let Some(down) = down {
                h = down.apply(tape, &h)?;
            }
        }
        let (first, attention, second) = &self.middle;
        h = first.apply(tape, &h, &embedding)?;
        if let Some(attention) = attention {
            h = attention.apply(tape, &h)?;
        }
        h = second.apply(tape, &h, &embedding)?;
        for (blocks, up) in &self.decoder {
            for block in blocks {
                // There are as many as blocks.
                if let Some(skip) = skips.pop() {
                    h = step(block, &tape.concat_channels(&h, &skip)?)?;
                }
            }
            if let (Some(up), Some(skip)) = (up, skips.last()) {
                h = tape.upsample2(&up.apply(tape, &h)?, (skip.dim(2)?, skip.dim(3)?))?;
            }
        }
        let h = self.norm.apply(tape, &h, Activation::Silu)?;
        self.out.apply(tape, &h)
    }

    /// `[n, …]`: what all blocks are told.
    fn embed(&self, tape: &Tape, query: &Query, device: &Device) -> Result<Tensor> {
        let waves = self.log_snr.embed(&query.log_snr)?;
        let [first, second] = &self.embedding;
        let embedding = first.apply(tape, &waves, Activation::Silu)?;
        let embedding = second.apply(tape, &embedding, Activation::None)?;
        match &self.condition {
            None => tape.small([&embedding], |[e]| Ok(e.silu()?)),
            Some(condition) => {
                let told = condition.embed(tape, query, device)?;
                tape.small([&embedding, &told], |[e, told]| Ok((e + told)?.silu()?))
            }
        }
    }
}
