//! How fast and how well a small U-Net learns the digits: `digits_unet [MINUTES] [LEARNING RATE] [BATCH]`.
//!
//! Prints the loss, the bound on the entropy that the curve on held-out digits gives, in bits per pixel, and
//! the seconds of a step. The cosine schedule is fitted to the time: a few steps are timed first.

use std::time::Instant;

use itd_prelude::prelude::*;
use itd_prelude::train::Fit;

fn main() -> Result<()> {
    let arguments: Vec<f64> = std::env::args()
        .skip(1)
        .map_while(|word| word.parse().ok())
        .collect();
    let argument = |i: usize, usual: f64| arguments.get(i).copied().unwrap_or(usual);
    let (minutes, rate, batch) = (
        argument(0, 1.0),
        argument(1, 4e-3),
        argument(2, 64.0) as usize,
    );
    let raw = digits()?;
    let data = raw.dequantize(0)?;
    let gaussian = data.train.gaussian()?;
    let alphas = Logistic::matched(&gaussian)?.quadrature(60)?;
    let unet = || UNet::new(&UNetConfig::small(), data.shape(), &device());
    let config = |epochs| TrainConfig {
        epochs,
        batch,
        learning_rate: rate,
        dequantize: true,
        ..Default::default()
    };
    let short = train(&unet()?, &raw.train, &config(2))?;
    println!("{} parameters", unet()?.parameters());
    println!("{}", pace(&short));
    let epoch = short.seconds / 2.0;
    let epochs = (60.0 * minutes / epoch).max(1.0) as usize;
    let net = unet()?;
    let fit = train(&net, &raw.train, &config(epochs))?;
    println!("{epochs} epochs in {:.0} s; {}", fit.seconds, pace(&fit));
    println!("{fit}");
    let start = Instant::now();
    let curve = mse_curve(&net, &data.test, &alphas)?;
    let seconds = start.elapsed().as_secs_f64();
    let each = seconds / (60 * data.test.len()) as f64;
    println!(
        "curve in {seconds:.1} s, {:.3} ms a sample and point",
        1e3 * each
    );
    let spacing = raw.grid()?.spacing();
    let bits = |name: &str, nll: &Estimate| {
        let nll = nll.per_bin(spacing);
        let (mean, std_err) = (nll.bits_per_dim(), nll.bits_per_dim_err());
        println!("{name}: {mean:.3} ± {std_err:.3} bits per pixel");
    };
    bits("U-Net", &curve.nll(gaussian.on(&data.test))?);
    bits("N(μ, Σ)", &gaussian.nll(&data.test)?);
    Ok(())
}

fn pace(fit: &Fit) -> String {
    let each = fit.seconds / fit.steps() as f64;
    format!("{:.1} ms a step of {} samples", 1e3 * each, fit.batch)
}
