//! Parameters and inputs by formula, the twin of `golden/numbers_by_formula.py`, and what they give in PyTorch.

use itd_prelude::candle::{Device, Tensor};
use itd_prelude::checkpoint::Checkpoint;

/// Numbers in [−1, 1) from a name and a seed: SplitMix64 from the hash of both.
pub fn uniform(name: &str, seed: u64, count: usize) -> impl Iterator<Item = f64> {
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let text = format!("{seed}/{name}");
    let state = text.bytes().fold(0xcbf2_9ce4_8422_2325, hash);
    (1..=count as u64).map(move |i| {
        let mut z = state.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 40) as f64 / f64::from(1 << 23) - 1.0
    })
}

/// A parameter: weights of variance 1/inputs, scales near 1, shifts near 0.
pub fn parameter(name: &str, seed: u64, shape: &[usize]) -> Tensor {
    let inputs: usize = shape[1..].iter().product();
    let scale = (3.0 / inputs as f64).sqrt();
    let value = |u: f64| match (shape.len() > 1, name.ends_with("weight")) {
        (true, _) => u * scale,
        (false, true) => 1.0 + 0.25 * u,
        (false, false) => 0.25 * u,
    };
    let values = uniform(name, seed, shape.iter().product()).map(|u| value(u) as f32);
    Tensor::from_iter(values, &Device::Cpu)
        .unwrap()
        .reshape(shape)
        .unwrap()
}

/// An input.
pub fn picture(seed: u64, shape: &[usize]) -> Tensor {
    let values = uniform("picture", seed, shape.iter().product()).map(|u| (1.5 * u) as f32);
    Tensor::from_iter(values, &Device::Cpu)
        .unwrap()
        .reshape(shape)
        .unwrap()
}

/// The largest difference.
pub fn gap(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    (a - b)
        .unwrap()
        .abs()
        .unwrap()
        .max_all()
        .unwrap()
        .to_scalar()
        .unwrap()
}

/// One file of outputs.
pub struct Golden(Checkpoint);

impl Golden {
    pub fn open(name: &str) -> Self {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
        Self(Checkpoint::open(format!("{folder}/{name}.safetensors")).unwrap())
    }

    pub fn text(&self, name: &str) -> &str {
        &self.0.metadata()[name]
    }

    /// Input, times, output.
    pub fn case(&self, case: &str, seed: u64) -> (Tensor, Tensor, Tensor) {
        let shape: Vec<usize> = serde_json::from_str(self.text(&format!("{case}/input"))).unwrap();
        let get = |name: String| self.0.tensor(&name, &Device::Cpu).unwrap();
        let time = get(format!("{case}/{seed}/time"));
        (picture(seed, &shape), time, get(format!("{case}/{seed}")))
    }

    /// `name 1,2,3`, one a line.
    pub fn layout(&self, case: &str) -> Vec<String> {
        let text = self.text(&format!("{case}/layout"));
        text.lines().map(str::to_owned).collect()
    }
}

pub fn sorted(layout: &[(String, Vec<usize>)]) -> Vec<String> {
    let line = |(name, shape): &(String, Vec<usize>)| {
        let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
        format!("{name} {}", shape.join(","))
    };
    let mut lines: Vec<String> = layout.iter().map(line).collect();
    lines.sort();
    lines
}

/// How many numbers there are in all tensors.
pub fn count(layout: &[(String, Vec<usize>)]) -> usize {
    layout
        .iter()
        .map(|(_, shape)| shape.iter().product::<usize>())
        .sum()
}
