//! Whether log-SNR in proportion to the running error (`TrainConfig::entropic`) trains faster than the standing proposal:
//! one epoch of Fashion-MNIST each, three seeds, in turns.
//!
//! `cargo run --release --manifest-path prelude/Cargo.toml --example entropic [SEEDS]`
//!
//! Told are the bits of 2,000 test images after the epoch, and, from the loss of Eq. 15 while it trains, the step at which
//! the mean of a tenth of the epoch passes 4.523 bits/dim, the value that docs/benchmarks.md times.

use itd_prelude::prelude::*;

/// What training is timed to, in bits per dimension.
const AIM: f64 = 4.523;

fn main() -> Result<()> {
    let seeds: u64 = std::env::args()
        .nth(1)
        .and_then(|word| word.parse().ok())
        .unwrap_or(3);
    let data = fashion_mnist()?;
    let noisy = data.dequantize(0)?;
    let gaussian = noisy.train.gaussian()?;
    let points = Logistic::matched(&gaussian)?;
    let (test, spacing) = (noisy.test.take(2000)?, data.grid()?.spacing());
    let bits = |nats: f64| nats / (data.dim() as f64 * std::f64::consts::LN_2) - spacing.log2();
    for seed in 0..seeds {
        let mut curves = Vec::new();
        for entropic in [false, true] {
            let config = UNetConfig {
                channels: vec![16, 32, 48],
                attention: vec![2],
                seed,
                ..UNetConfig::small()
            };
            let net = UNet::new(&config, data.shape(), &device())?;
            let settings = TrainConfig {
                epochs: 1,
                batch: 64,
                learning_rate: 2e-3,
                ema_decay: Some(0.998),
                dequantize: true,
                log_snr: Some(points),
                entropic,
                seed,
                ..Default::default()
            };
            let fit = train(&net, &data.train, &settings)?;
            let curve = mse_curve(&net, &test, &points.quadrature(50)?)?;
            let nll = curve.nll(gaussian.on(&test))?.per_bin(spacing);
            let tenth = fit.steps().div_ceil(10);
            let tenths: Vec<f64> = fit
                .loss
                .chunks(tenth)
                .map(|losses| bits(itd_prelude::stats::mean(losses)))
                .collect();
            let passed = passes(&tenths).map(|tenths| tenths * tenth as f64);
            let per_step = fit.seconds / fit.steps() as f64;
            println!(
                "seed {seed}, {}: {:.4} ± {:.4} bits/dim after {} steps, {:.3} s a step; {AIM} passed {}",
                if entropic { "entropic" } else { "standing" },
                nll.bits_per_dim(),
                nll.bits_per_dim_err(),
                fit.steps(),
                per_step,
                passed.map_or("not".into(), |step| format!(
                    "at step {step:.0}, {:.0} s",
                    step * per_step
                )),
            );
            let told: Vec<String> = tenths.iter().map(|bits| format!("{bits:.3}")).collect();
            println!("    {}", told.join(" "));
            curves.push(curve);
        }
        let gain = curves[0].minus(&curves[1])?.area()?;
        let scale = data.dim() as f64 * std::f64::consts::LN_2;
        println!(
            "seed {seed}: the entropic one is better by {:.4} ± {:.4} bits/dim on the same images and noise",
            gain.nats / scale,
            gain.std_err / scale
        );
    }
    Ok(())
}

/// Where the means of tenths pass [`AIM`], in tenths, by a line between their middles.
fn passes(tenths: &[f64]) -> Option<f64> {
    let at = tenths.iter().position(|bits| *bits <= AIM)?;
    if at == 0 {
        return Some(0.5);
    }
    let (above, below) = (tenths[at - 1], tenths[at]);
    Some(at as f64 - 0.5 + (above - AIM) / (above - below))
}
