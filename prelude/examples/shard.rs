//! A shard of a curve into the folder `parts`, as `ITD_SHARD` names it: `ITD_SHARD=3/16 shard`. Then `shard merge`
//! makes the curve of all of them.
//!
//! What the cells of docs/scaling do, without notebooks; `tests/scaling.rs` holds the two together.

use itd_prelude::curve::PartialCurve;
use itd_prelude::curve::Shard;
use itd_prelude::prelude::*;

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("merge") => println!("{}", merge()?.mse.len()),
        _ => println!("{}", eval()?),
    }
    Ok(())
}

fn eval() -> Result<PartialCurve> {
    let raw = digits()?;
    let data = raw.dequantize(0)?;
    let gaussian = data.train.gaussian()?;
    let alphas = Logistic::matched(&gaussian)?.quadrature(100)?;
    let net = Mlp::new(&MlpConfig::default(), &gaussian, raw.shape(), &device())?;
    train(
        &net,
        &raw.train,
        &TrainConfig {
            epochs: 40,
            dequantize: true,
            ..Default::default()
        },
    )?;
    let config = CurveConfig {
        batch: 1000,
        draws: 20,
        ..Default::default()
    };
    let shard = Shard::from_env()?;
    io::mse_curve_shard_to("parts", &net, &data.test, &alphas, &config, shard)
}

fn merge() -> Result<MseCurve> {
    let curve = io::merge_folder("parts")?;
    io::write("curve.parquet", &curve)?;
    Ok(curve)
}
