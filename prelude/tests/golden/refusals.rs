//! What is refused: files, configs and pictures that are not the network's.

use itd_prelude::candle::Device;
use itd_prelude::denoiser::{Denoiser, Query};
use itd_prelude::net::ddpm::{Block, Ddpm, DdpmConfig};
use itd_prelude::net::iddpm::{self, Iddpm, IddpmConfig};
use itd_prelude::{Error, rng};

use crate::files::Folder;
use crate::{iddpm_config, iddpm_of, save};

#[test]
fn a_file_that_is_not_the_networks_is_refused_with_all_that_is_wrong() {
    let folder = Folder::new("golden-refused");
    let path = folder.0.join("weights.safetensors");
    let config = iddpm_config("small");
    let layout = iddpm::layout(&config).unwrap();
    let mut broken = layout.clone();
    broken[0].1 = vec![7, 32];
    broken[3].0 = "time_embed.9.bias".into();
    save(&path, &broken, 1, str::to_owned);
    let error = Iddpm::from_checkpoint_with(&path, &config).unwrap_err();
    assert!(matches!(error, Error::Format { .. }), "{error:?}");
    let text = error.to_string();
    println!("{text}");
    for part in [
        "weights.safetensors",
        &layout[0].0,
        "[7, 32]",
        "[128, 32]",
        &layout[3].0,
        "time_embed.9.bias",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    // One network's file for the other, and files that are not there.
    let error = Ddpm::from_checkpoint(&path).unwrap_err();
    assert!(error.to_string().contains("conv_in.weight"), "{error}");
    let error = Iddpm::from_checkpoint(folder.0.join("none.pt")).unwrap_err();
    assert!(matches!(error, Error::File { .. }), "{error:?}");
    let empty = Folder::new("golden-empty");
    let error = Iddpm::from_checkpoint(&empty.0).unwrap_err();
    assert!(matches!(error, Error::Missing { .. }), "{error:?}");
    folder.write("other.pt", b"");
    let error = Iddpm::from_checkpoint(&folder.0).unwrap_err();
    assert!(
        error.to_string().contains("other.pt, weights.safetensors"),
        "{error}"
    );
}

#[test]
fn configs_that_are_not_supported_are_refused_by_name() {
    let with = |name: &str, value: &str| {
        let text =
            format!(r#"{{"_class_name": "UNet2DModel", "sample_size": 32, "{name}": {value}}}"#);
        DdpmConfig::from_json(&text)
    };
    assert!(with("_name_or_path", "\"a/b\"").is_ok());
    assert!(with("class_embed_type", "null").is_ok());
    for (name, value, known) in [
        ("act_fn", "\"relu\"", "silu"),
        ("time_embedding_type", "\"fourier\"", "positional"),
        (
            "down_block_types",
            "[\"SkipDownBlock2D\"]",
            "AttnDownBlock2D",
        ),
        (
            "up_block_types",
            "[\"ResnetUpsampleBlock2D\"]",
            "AttnUpBlock2D",
        ),
        ("class_embed_type", "\"timestep\"", "not supported"),
        ("brand_new", "3", "not supported"),
        ("add_attention", "false", "true"),
        ("mid_block_type", "null", "UNetMidBlock2D"),
        ("downsample_padding", "2", "0 or 1"),
        ("norm_eps", "\"small\"", "a number"),
        ("norm_eps", "0", "> 0"),
        ("norm_num_groups", "33", "divisor"),
        ("attention_head_dim", "5", "divisor"),
        ("block_out_channels", "[32]", "one for each"),
        ("layers_per_block", "18446744073709551615", "1 to 64"),
        ("layers_per_block", "-1", "whole"),
        ("out_channels", "4", "in_channels"),
        ("sample_size", "[32, 20]", "halved"),
        ("sample_size", "null", "whole"),
    ] {
        let error = with(name, value).unwrap_err().to_string();
        assert!(
            error.contains(name) && error.contains(known),
            "{name}: {error}"
        );
    }
    for text in [
        "",
        "[]",
        "{",
        "{}",
        "{\"_class_name\": \"UNet3DModel\", \"sample_size\": 8}",
    ] {
        assert!(DdpmConfig::from_json(text).is_err(), "{text}");
    }
    let folder = Folder::new("golden-config");
    let path = folder.write("config.json", b"{\"sample_size\": \"big\"}");
    let error = DdpmConfig::read(path).unwrap_err().to_string();
    assert!(
        error.contains("config.json") && error.contains("sample_size"),
        "{error}"
    );
    let base = DdpmConfig::cifar10;
    for config in [
        DdpmConfig {
            norm_eps: f64::NAN,
            ..base()
        },
        DdpmConfig {
            freq_shift: f64::NAN,
            ..base()
        },
        DdpmConfig {
            freq_shift: 64.0,
            ..base()
        },
        DdpmConfig {
            mid_block_scale_factor: f64::NAN,
            ..base()
        },
        DdpmConfig {
            block_out_channels: vec![],
            ..base()
        },
        DdpmConfig {
            up_block_types: vec![Block::Plain],
            ..base()
        },
        DdpmConfig {
            attention_head_dim: Some(0),
            ..base()
        },
        DdpmConfig {
            norm_num_groups: 0,
            ..base()
        },
    ] {
        assert!(
            matches!(config.check(), Err(Error::Parameter { .. })),
            "{config:?}"
        );
        assert!(Ddpm::new(&config, 0, &Device::Cpu).is_err());
    }
    let base = IddpmConfig::cifar10;
    for config in [
        IddpmConfig {
            image_size: 20,
            ..base()
        },
        IddpmConfig {
            num_channels: 2,
            ..base()
        },
        IddpmConfig {
            channel_mult: vec![],
            ..base()
        },
        IddpmConfig {
            channel_mult: vec![1, usize::MAX],
            ..base()
        },
        IddpmConfig {
            num_heads: 3,
            ..base()
        },
        IddpmConfig {
            norm_groups: 0,
            ..base()
        },
        IddpmConfig {
            num_res_blocks: usize::MAX,
            ..base()
        },
    ] {
        assert!(
            matches!(config.check(), Err(Error::Parameter { .. })),
            "{config:?}"
        );
        assert!(iddpm::layout(&config).is_err());
    }
}

#[test]
fn pictures_that_do_not_fit_are_refused() {
    let net = iddpm_of(&iddpm_config("small"), 1)
        .with_size(16, 12)
        .unwrap();
    assert_eq!(net.shape(), [3, 16, 12]);
    let noise = |shape: &[usize]| rng::normal(shape, &mut rng::seeded(0)).unwrap();
    let alphas = |n| noise(&[n]);
    assert_eq!(
        net.denoise(&Query::new(&noise(&[2, 3, 16, 12]), &alphas(2)))
            .unwrap()
            .dims(),
        [2, 3, 16, 12]
    );
    // Any size that can be halved, once the network is told it.
    let small = net.clone().with_size(4, 2).unwrap();
    let query = Query::new(&noise(&[2, 3, 4, 2]), &alphas(2));
    assert!(small.denoise(&query).is_ok());
    for (z, n) in [
        (vec![2, 3, 4, 2], 2),
        (vec![2, 3, 16, 11], 2),
        (vec![2, 1, 16, 12], 2),
        (vec![2, 3, 16, 12], 3),
        (vec![0, 3, 16, 12], 0),
        (vec![3, 16, 12], 3),
        (vec![2, 3, 0, 12], 2),
        (vec![], 1),
    ] {
        let refused = net.denoise(&Query::new(&noise(&z), &alphas(n)));
        assert!(
            matches!(refused, Err(Error::Shape { .. })),
            "{z:?}: {refused:?}"
        );
    }
    for (height, width) in [(7, 8), (1 << 32, 1 << 32), (1 << 16, 1 << 16)] {
        let grown = net.clone().with_size(height, width);
        assert!(
            matches!(grown, Err(Error::Shape { .. })),
            "{height} × {width}"
        );
    }
}
