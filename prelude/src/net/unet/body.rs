//! The network inside: pictures in, pictures out.

use candle_core::{Device, Tensor};

use super::UNetConfig;
use super::layers::{Attention, Block, Conv, Dense, Norm};
use super::params::{Params, Start};
use crate::error::Result;
use crate::net::Embedding;
use crate::ops::{Activation, Tape};

/// Numbers that tell a block what log-SNR and class it works at.
const EMBEDDING: usize = 64;

/// `f(q, α | class)`.
#[derive(Debug, Clone)]
pub(super) struct Body {
    log_snr: Embedding,
    embedding: (Dense, Dense),
    /// `[classes + 1, …]`; the last row stands for no class.
    classes: Option<Tensor>,
    stem: Conv,
    encoder: Vec<Level>,
    middle: (Block, Option<Attention>, Block),
    decoder: Vec<Level>,
    norm: Norm,
    out: Conv,
}

/// The blocks at one size, and the way to the next.
#[derive(Debug, Clone)]
struct Level {
    blocks: Vec<(Block, Option<Attention>)>,
    next: Option<Conv>,
}

impl Body {
    pub(super) fn new(
        config: &UNetConfig,
        colours: usize,
        params: &mut Params,
        device: &Device,
    ) -> Result<Self> {
        let (channels, groups) = (&config.channels, config.groups);
        let (size, last) = (EMBEDDING, channels.len() - 1);
        let attention = |params: &mut Params, name: String, level: usize| {
            let new = || Attention::new(params, &name, channels[level], config.heads, groups);
            config.attends(level).then(new).transpose()
        };
        let log_snr = Embedding::of_log_snr(device)?;
        let embedding = (
            Dense::new(params, "embedding.0", (log_snr.size(), size), 1.0)?,
            Dense::new(params, "embedding.1", (size, size), 1.0)?,
        );
        let classes = match config.classes {
            Some(classes) => {
                let shape = [classes + 1, size];
                Some(params.get("classes.weight".into(), &shape, Start::Normal(1.0))?)
            }
            None => None,
        };
        let stem = Conv::new(params, "stem", (colours, channels[0]), (3, 1), 1.0)?;
        let mut from = channels[0];
        let mut encoder = Vec::new();
        for (level, &to) in channels.iter().enumerate() {
            let mut blocks = Vec::new();
            for i in 0..config.blocks {
                let name = format!("encoder.{level}.{i}");
                let block = Block::new(params, &name, (from, to), size, groups)?;
                let attention = attention(params, format!("{name}.attention"), level)?;
                blocks.push((block, attention));
                from = to;
            }
            let name = format!("encoder.{level}.down");
            let down = |params| Conv::new(params, &name, (to, to), (3, 2), 1.0);
            let next = match level < last {
                true => Some(down(params)?),
                false => None,
            };
            encoder.push(Level { blocks, next });
        }
        let middle = (
            Block::new(params, "middle.0", (from, from), size, groups)?,
            attention(params, "middle.attention".into(), last)?,
            Block::new(params, "middle.1", (from, from), size, groups)?,
        );
        let mut decoder = Vec::new();
        for level in (0..=last).rev() {
            let to = channels[level];
            let mut blocks = Vec::new();
            for i in 0..config.blocks {
                let name = format!("decoder.{level}.{i}");
                // What comes from the encoder is laid on top.
                let block = Block::new(params, &name, (from + to, to), size, groups)?;
                let attention = attention(params, format!("{name}.attention"), level)?;
                blocks.push((block, attention));
                from = to;
            }
            let mut next = None;
            if level > 0 {
                let name = format!("decoder.{level}.up");
                let below = channels[level - 1];
                next = Some(Conv::new(params, &name, (to, below), (1, 1), 1.0)?);
                from = below;
            }
            decoder.push(Level { blocks, next });
        }
        Ok(Self {
            log_snr,
            embedding,
            classes,
            stem,
            encoder,
            middle,
            decoder,
            norm: Norm::new(params, "out.norm", channels[0], groups)?,
            out: Conv::new(params, "out", (channels[0], colours), (3, 1), 0.0)?,
        })
    }

    /// `q`: `[n, colours, h, w]`, `log_snr`: `[n]`, `labels`: `[n]`, `u32`, no class for all when there are
    /// none; gives `[n, colours, h, w]`.
    pub(super) fn apply(
        &self,
        tape: &Tape,
        q: &Tensor,
        log_snr: &Tensor,
        labels: Option<&Tensor>,
    ) -> Result<Tensor> {
        let embedding = self.embed(tape, log_snr, labels)?;
        let step = |(block, attention): &(Block, Option<Attention>), x: &Tensor| {
            let h = block.apply(tape, x, &embedding)?;
            let attend = |a: &Attention| a.apply(tape, &h);
            attention.as_ref().map_or(Ok(h.clone()), attend)
        };
        let mut h = self.stem.apply(tape, q)?;
        let mut skips = Vec::new();
        for level in &self.encoder {
            for block in &level.blocks {
                h = step(block, &h)?;
                skips.push(h.clone());
            }
            if let Some(down) = &level.next {
                h = down.apply(tape, &h)?;
            }
        }
        let (first, attention, second) = &self.middle;
        h = first.apply(tape, &h, &embedding)?;
        if let Some(attention) = attention {
            h = attention.apply(tape, &h)?;
        }
        h = second.apply(tape, &h, &embedding)?;
        for level in &self.decoder {
            for block in &level.blocks {
                // There are as many as blocks.
                if let Some(skip) = skips.pop() {
                    h = step(block, &tape.stack(&h, &skip)?)?;
                }
            }
            if let (Some(up), Some(skip)) = (&level.next, skips.last()) {
                h = tape.double(&up.apply(tape, &h)?, (skip.dim(2)?, skip.dim(3)?))?;
            }
        }
        let h = self.norm.apply(tape, &h, Activation::Silu)?;
        self.out.apply(tape, &h)
    }

    /// `[n, …]`: what all blocks are told.
    fn embed(&self, tape: &Tape, log_snr: &Tensor, labels: Option<&Tensor>) -> Result<Tensor> {
        let waves = self.log_snr.embed(log_snr)?;
        let (first, second) = &self.embedding;
        let embedding = first.apply(tape, &waves, Activation::Silu)?;
        let embedding = second.apply(tape, &embedding, Activation::None)?;
        match &self.classes {
            None => tape.small([&embedding], |[e]| Ok(e.silu()?)),
            Some(classes) => tape.small([&embedding, classes], |[e, classes]| {
                let told = match labels {
                    Some(labels) => (e + classes.index_select(labels, 0)?)?,
                    None => e.broadcast_add(&classes.narrow(0, classes.dim(0)? - 1, 1)?)?,
                };
                Ok(told.silu()?)
            }),
        }
    }
}
