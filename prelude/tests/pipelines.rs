//! Folders as diffusers saves them: what the scheduler says of a network is what the network is read with.

mod files;

use std::collections::BTreeMap;

use files::Folder;
use itd_prelude::checkpoint::Checkpoint;
use itd_prelude::prelude::*;
use itd_prelude::schedule::TimeMap;
use itd_prelude::{denoiser::Parametrization, denoiser::Query, net::DdpmConfig};

/// A small network in the folder `unet` of a pipeline, and its settings.
fn pipeline(name: &str) -> (Folder, Ddpm) {
    let config = DdpmConfig {
        block_out_channels: vec![8; 4],
        norm_num_groups: 4,
        ..DdpmConfig::cifar10()
    };
    let settings = serde_json::json!({
        "_class_name": "UNet2DModel", "sample_size": 32, "in_channels": 3, "out_channels": 3,
        "block_out_channels": [8, 8, 8, 8], "norm_num_groups": 4, "norm_eps": 1e-6, "layers_per_block": 2,
        "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
        "flip_sin_to_cos": false, "freq_shift": 1, "downsample_padding": 0, "attention_head_dim": null,
    });
    let folder = Folder::new(name);
    folder.write("unet/config.json", settings.to_string().as_bytes());
    let net = Ddpm::new(&config, 0, &Device::Cpu).unwrap();
    let path = folder.0.join("unet/diffusion_pytorch_model.safetensors");
    Checkpoint::save(&path, &net.parameters(), &BTreeMap::new()).unwrap();
    (folder, net)
}

fn query() -> Query {
    let z = rng::normal(&[2, 3, 32, 32], &mut rng::seeded(0)).unwrap();
    let log_snr = Tensor::new(&[-2f32, 1.5], &Device::Cpu).unwrap();
    Query::new(&z, &log_snr)
}

fn gap(left: &Tensor, right: &Tensor) -> f32 {
    let gap = (left - right).unwrap().abs().unwrap();
    gap.max_all().unwrap().to_scalar().unwrap()
}

#[test]
fn a_scheduler_tells_the_clock_and_what_the_network_says() -> Result<()> {
    let (folder, plain) = pipeline("pipeline-scheduler");
    let query = query();
    let load = |scheduler: &str| {
        folder.write("scheduler/scheduler_config.json", scheduler.as_bytes());
        Ddpm::from_checkpoint(&folder.0)
    };
    let eps = |net: &Ddpm| net.denoise(&query);
    // DDPM's own, said or unsaid.
    let own = load(
        r#"{"_class_name": "DDPMScheduler", "num_train_timesteps": 1000, "prediction_type": "epsilon"}"#,
    )?;
    assert!(gap(&eps(&own)?, &eps(&plain)?) < 1e-6);
    // Another clock.
    for (scheduler, schedule) in [
        (
            r#"{"beta_schedule": "squaredcos_cap_v2"}"#,
            NoiseSchedule::cosine(1000)?,
        ),
        (
            r#"{"num_train_timesteps": 250, "beta_start": 0.0004, "beta_end": 0.08}"#,
            NoiseSchedule::linear(250)?,
        ),
    ] {
        let known = plain.clone().with_clock(TimeMap::Steps {
            schedule,
            scale: 1.0,
        });
        let got = eps(&load(scheduler)?)?;
        assert!(gap(&got, &eps(&known)?) < 1e-6, "{scheduler}");
        assert!(
            gap(&got, &eps(&plain)?) > 1e-3,
            "{scheduler} changes nothing"
        );
    }
    // Another thing that is said.
    let out = eps(&plain)?;
    for (name, parametrization) in [
        ("sample", Parametrization::X0),
        ("v_prediction", Parametrization::V),
    ] {
        let known = parametrization.to_eps(&out, &query.z, &query.log_snr)?;
        let got = eps(&load(&format!(r#"{{"prediction_type": "{name}"}}"#))?)?;
        assert!(gap(&got, &known) < 1e-5, "{name}");
        assert!(gap(&got, &out) > 1e-2, "{name} changes nothing");
    }
    // The network alone, by its folder or its file, is that of the same pipeline.
    let alone = Ddpm::from_checkpoint(folder.0.join("unet"))?;
    let known = Parametrization::V.to_eps(&out, &query.z, &query.log_snr)?;
    assert!(gap(&eps(&alone)?, &known) < 1e-5);
    Ok(())
}

#[test]
fn a_scheduler_of_another_kind_is_refused_by_its_file() {
    let (folder, _) = pipeline("pipeline-refused");
    for (scheduler, says) in [
        (
            r#"{"_class_name": "ScoreSdeVeScheduler"}"#,
            "_class_name is ScoreSdeVeScheduler",
        ),
        (
            r#"{"rescale_betas_zero_snr": true}"#,
            "rescale_betas_zero_snr is true",
        ),
        ("not JSON", "the list of settings is"),
    ] {
        folder.write("scheduler/scheduler_config.json", scheduler.as_bytes());
        let error = Ddpm::from_checkpoint(&folder.0).unwrap_err().to_string();
        assert!(
            error.contains("scheduler_config.json") && error.contains(says),
            "{error}"
        );
    }
}

#[test]
fn a_network_from_within_a_wrapper_is_read() -> Result<()> {
    let (folder, plain) = pipeline("pipeline-prefix");
    let wrapped: Vec<_> = plain
        .parameters()
        .into_iter()
        .map(|(name, value)| (format!("module.{name}"), value))
        .collect();
    let path = folder.0.join("unet/diffusion_pytorch_model.safetensors");
    Checkpoint::save(&path, &wrapped, &BTreeMap::new())?;
    let net = Ddpm::from_checkpoint(&folder.0)?;
    assert_eq!(gap(&net.denoise(&query())?, &plain.denoise(&query())?), 0.0);
    // As an averaged copy beside the net's own.
    let both: Vec<_> = wrapped.iter().cloned().chain(plain.parameters()).collect();
    Checkpoint::save(&path, &both, &BTreeMap::new())?;
    let error = Ddpm::from_checkpoint(&folder.0).unwrap_err().to_string();
    assert!(error.contains("all fit behind \"module.\""), "{error}");
    let file = Checkpoint::open(&path)?.under("module.")?;
    assert!(Ddpm::from_file(file, plain.config()).is_ok());
    Ok(())
}
