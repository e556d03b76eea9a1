//! Checkpoints as PyTorch and safetensors write them: each number is what `golden/state_dicts.py` put there.

mod files;

use std::collections::BTreeMap;
use std::fs;

use files::Folder;
use files::pickled::{archive, dict, golden, pickle, storage, tensor};
use itd_prelude::candle::{DType as Type, Device, Tensor};
use itd_prelude::checkpoint::{Checkpoint, DType, Format};
use itd_prelude::{Error, Result};

/// `ramp` of the script: quarters from −1 on.
fn ramp(i: usize) -> f32 {
    i as f32 * 0.25 - 1.0
}

fn ramps(count: usize) -> Vec<f32> {
    (0..count).map(ramp).collect()
}

fn values(file: &Checkpoint, name: &str) -> Vec<f32> {
    let tensor = file.tensor(name, &Device::Cpu).unwrap();
    assert_eq!(tensor.dtype(), Type::F32);
    let entry = file
        .entries()
        .iter()
        .find(|entry| entry.name == name)
        .unwrap();
    assert_eq!(tensor.dims(), entry.shape, "{name}");
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Names and shapes.
fn list(file: &Checkpoint) -> Vec<(&str, &[usize])> {
    let entries = file.entries().iter();
    entries
        .map(|entry| (entry.name.as_str(), &entry.shape[..]))
        .collect()
}

#[test]
fn a_plain_dict_in_each_form() {
    for name in [
        "plain.pt",
        "plain_old.pt",
        "plain_protocol4.pt",
        "plain_old_protocol4.pt",
        "parameters.pt",
        "nested.pt",
        "two.pt",
        "no_sums.pt",
        "plain.safetensors",
    ] {
        let file = Checkpoint::open(golden(name)).unwrap();
        let pickled = name.ends_with(".pt");
        assert_eq!(file.format() == Format::Pickle, pickled);
        assert_eq!(file.path(), golden(name));
        assert!(file.metadata().is_empty());
        assert_eq!(
            list(&file),
            [("a.weight", &[2, 3][..]), ("b", &[4])],
            "{name}"
        );
        assert_eq!(file.parameters(), 10);
        assert_eq!(values(&file, "a.weight"), ramps(6), "{name}");
        assert_eq!(values(&file, "b"), ramps(4), "{name}");
        let missing = file.tensor("c", &Device::Cpu).unwrap_err();
        assert!(
            missing.to_string().contains("has no tensor \"c\""),
            "{missing}"
        );
    }
}

#[test]
fn every_type_is_listed_and_floats_are_read() {
    for name in ["types.pt", "types_old.pt", "types.safetensors"] {
        let file = Checkpoint::open(golden(name)).unwrap();
        let types: BTreeMap<&str, DType> = file
            .entries()
            .iter()
            .map(|e| (e.name.as_str(), e.dtype))
            .collect();
        let known = [
            ("bf16", DType::BF16),
            ("bool", DType::BOOL),
            ("f16", DType::F16),
            ("f32", DType::F32),
            ("f64", DType::F64),
            ("i64", DType::I64),
            ("u8", DType::U8),
        ];
        assert_eq!(types, BTreeMap::from(known), "{name}");
        for float in ["f16", "bf16", "f32", "f64"] {
            assert_eq!(values(&file, float), ramps(12), "{name} {float}");
        }
        for other in ["i64", "u8", "bool"] {
            let error = file.tensor(other, &Device::Cpu).unwrap_err().to_string();
            let says = format!(
                "a tensor's type is {} (\"{other}\"); it must be F32",
                types[other]
            );
            assert!(error.contains(&says), "{error}");
        }
    }
    let file = Checkpoint::open(golden("types.safetensors")).unwrap();
    assert_eq!(file.format(), Format::Safetensors);
    let metadata = [("format", "pt"), ("note", "made by state_dicts.py")];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(file.metadata(), &BTreeMap::from(metadata));
}

#[test]
fn the_state_dict_of_a_module() {
    // An ordered dict with attributes.
    let file = Checkpoint::open(golden("module.pt")).unwrap();
    let names: Vec<&str> = list(&file).into_iter().map(|(name, _)| name).collect();
    let norm = [
        "bias",
        "num_batches_tracked",
        "running_mean",
        "running_var",
        "weight",
    ]
    .map(|name| format!("1.{name}"));
    assert_eq!(names[..2], ["0.bias", "0.weight"]);
    assert_eq!(names[2..], norm);
    assert_eq!(values(&file, "0.weight"), ramps(6));
    assert_eq!(values(&file, "1.running_var"), [1.0, 1.0]);
    assert_eq!(file.tensor("1.bias", &Device::Cpu).unwrap().dims(), [2]);
}

#[test]
fn views_are_copied_as_pytorch_sees_them() {
    for name in ["views.pt", "views_old.pt"] {
        let file = Checkpoint::open(golden(name)).unwrap();
        let whole = |row: usize, column: usize| ramp(6 * row + column);
        let grid = |rows: usize, columns: usize, value: &dyn Fn(usize, usize) -> f32| -> Vec<f32> {
            (0..rows)
                .flat_map(|r| (0..columns).map(move |c| value(r, c)))
                .collect()
        };
        assert_eq!(values(&file, "whole"), ramps(24));
        assert_eq!(values(&file, "transposed"), grid(6, 4, &|r, c| whole(c, r)));
        assert_eq!(values(&file, "column"), grid(4, 1, &|r, _| whole(r, 2)));
        assert_eq!(
            values(&file, "steps"),
            grid(2, 2, &|r, c| whole(1 + 2 * r, 1 + 2 * c))
        );
        // [2, 3, 4] with the last axis first: place (i, j, k) holds (j, k, i).
        assert_eq!(
            values(&file, "permuted"),
            grid(4, 6, &|i, jk| ramp(4 * jk + i))
        );
        assert_eq!(values(&file, "expanded"), grid(3, 4, &|r, _| ramp(r)));
        assert_eq!(values(&file, "scalar"), [whole(2, 3)]);
        assert_eq!(
            file.tensor("scalar", &Device::Cpu).unwrap().dims(),
            [0usize; 0]
        );
        assert_eq!(file.tensor("empty", &Device::Cpu).unwrap().dims(), [0, 6]);
    }
}

#[test]
fn storages_may_be_shared() {
    let file = Checkpoint::open(golden("shared.pt")).unwrap();
    assert_eq!(values(&file, "first"), ramps(6));
    assert_eq!(values(&file, "second"), ramps(6));
    assert_eq!(values(&file, "row"), [ramp(2), ramp(3)]);
    assert_eq!(file.parameters(), 14);
}

#[test]
fn values_that_are_not_finite_are_refused_with_their_place() {
    for name in ["spoilt.pt", "spoilt.safetensors"] {
        let file = Checkpoint::open(golden(name)).unwrap();
        assert_eq!(values(&file, "good"), ramps(2));
        let error = file.tensor("nan", &Device::Cpu).unwrap_err().to_string();
        assert!(
            error.contains("a weight is NaN as f32 (\"nan\" [1, 2]); it must be finite"),
            "{error}"
        );
        // 1e300 is a number in 64 bits only.
        let error = file.tensor("huge", &Device::Cpu).unwrap_err().to_string();
        assert!(
            error.contains("a weight is inf as f32 (\"huge\" [1])"),
            "{error}"
        );
    }
    // The byte is that of the value, in a view as well: columns of [[0, 1], [inf, 3]].
    let bytes: Vec<u8> = [0.0, 1.0, f32::INFINITY, 3.0]
        .iter()
        .flat_map(|v: &f32| v.to_le_bytes())
        .collect();
    let view = tensor(&storage("FloatStorage", "0", 4), 0, &[2, 2], &[1, 2]);
    let whole = archive(&pickle(&dict(&[("w", view)])), &[("0", &bytes)]);
    let start = whole
        .windows(16)
        .position(|window| window == bytes)
        .unwrap();
    let folder = Folder::new("checkpoint-inf");
    let file = Checkpoint::open(folder.write("inf.pt", &whole)).unwrap();
    let error = file.tensor("w", &Device::Cpu).unwrap_err().to_string();
    let says = format!("byte {}: a weight is inf as f32 (\"w\" [0, 1])", start + 8);
    assert!(error.contains(&says), "{error}");
}

#[test]
fn what_is_saved_is_read_bit_for_bit() -> Result<()> {
    let folder = Folder::new("checkpoint-save");
    let path = folder.0.join("saved.safetensors");
    let odd: Vec<f32> = vec![
        f32::MIN_POSITIVE / 8.0,
        -0.0,
        f32::MAX,
        1.0 / 3.0,
        -1e-30,
        7.0,
    ];
    let tensors = [
        (
            "odd".to_owned(),
            Tensor::from_vec(odd.clone(), (2, 3), &Device::Cpu)?,
        ),
        (
            "turned".to_owned(),
            Tensor::from_vec(odd.clone(), (2, 3), &Device::Cpu)?.t()?,
        ),
        (
            "half".to_owned(),
            Tensor::from_vec(ramps(3), 3, &Device::Cpu)?.to_dtype(Type::F16)?,
        ),
        (
            "wide".to_owned(),
            Tensor::from_vec(vec![1.0 / 3.0, 2f64.powi(-1000)], 2, &Device::Cpu)?,
        ),
        ("one".to_owned(), Tensor::new(5f32, &Device::Cpu)?),
    ];
    let metadata = BTreeMap::from([
        ("a".to_owned(), "ü \"b\"".to_owned()),
        ("c".into(), String::new()),
    ]);
    Checkpoint::save(&path, &tensors, &metadata)?;
    let bytes = fs::read(&path).unwrap();
    let theirs = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(theirs.len(), 5);
    assert_eq!(
        theirs.tensor("wide").unwrap().data()[..8],
        (1.0f64 / 3.0).to_le_bytes()
    );

    let file = Checkpoint::open(&path)?;
    assert_eq!(file.metadata(), &metadata);
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    assert_eq!(bits(values(&file, "odd")), bits(odd.clone()));
    let turned = [0, 3, 1, 4, 2, 5].map(|i| odd[i]);
    assert_eq!(bits(values(&file, "turned")), bits(turned.to_vec()));
    assert_eq!(values(&file, "half"), ramps(3));
    assert_eq!(values(&file, "wide"), [1.0 / 3.0, 0.0]);
    assert_eq!(file.tensor("one", &Device::Cpu)?.to_scalar::<f32>()?, 5.0);
    Checkpoint::save(&path, &tensors, &metadata)?;
    assert_eq!(fs::read(&path).unwrap(), bytes);
    Ok(())
}

#[test]
fn what_cannot_be_saved_leaves_the_old_file() -> Result<()> {
    let folder = Folder::new("checkpoint-unsaved");
    let path = folder.write("kept", b"as it was");
    let save = |tensors: &[(String, Tensor)]| Checkpoint::save(&path, tensors, &BTreeMap::new());
    let named = |name: &str, tensor: &Tensor| (name.to_owned(), tensor.clone());
    let good = Tensor::new(&[1f32], &Device::Cpu)?;
    let wide = good.to_dtype(Type::F64)?;
    let bytes = good.to_dtype(Type::U8)?;
    let nan = Tensor::new(&[1f32, f32::NAN], &Device::Cpu)?;
    assert!(matches!(save(&[]), Err(Error::Empty { .. })));
    for (tensors, says) in [
        (
            vec![named("a", &good), named("a", &wide)],
            "one that names \"a\" once more",
        ),
        (
            vec![named("__metadata__", &good)],
            "none of which is __metadata__",
        ),
        (vec![named("a", &bytes)], "one with \"a\" of u8"),
        (
            vec![named("a", &good), named("b", &nan)],
            "a value of \"b\" is not finite",
        ),
        (
            vec![named("a", &nan.to_dtype(Type::F64)?)],
            "a value of \"a\" is not finite",
        ),
    ] {
        let error = save(&tensors).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    assert_eq!(fs::read(&path).unwrap(), b"as it was");
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
    Ok(())
}

#[test]
fn files_without_a_state_dict_say_so() {
    for (name, says) in [
        ("no_tensor.pt", "the object in the file is without a tensor"),
        (
            "undecided.pt",
            "is several state dicts: \"first\", \"ema\"; it must be one",
        ),
        (
            "object.pt",
            "is \"torch.nn.modules.linear.Linear\"; it must be collections.OrderedDict",
        ),
        ("state_dicts.py", "the file is something that begins with"),
    ] {
        let error = Checkpoint::open(golden(name)).unwrap_err();
        assert!(matches!(error, Error::Format { .. }), "{error:?}");
        assert!(error.to_string().contains(says), "{error}");
    }
    let folder = Folder::new("checkpoint-none");
    for path in [folder.0.clone(), folder.0.join("absent.pt")] {
        assert!(matches!(Checkpoint::open(path), Err(Error::File { .. })));
    }
}

#[test]
fn a_file_that_is_cut_off_after_it_was_opened_is_an_error() {
    let folder = Folder::new("checkpoint-cut-later");
    for name in ["plain_old.pt", "types.safetensors"] {
        let bytes = files::pickled::golden_bytes(name);
        let path = folder.write(name, &bytes);
        let file = Checkpoint::open(&path).unwrap();
        let last = file
            .entries()
            .iter()
            .rfind(|entry| entry.dtype == DType::F32)
            .unwrap()
            .name
            .clone();
        fs::write(&path, &bytes[..40]).unwrap();
        assert!(matches!(
            file.tensor(&last, &Device::Cpu),
            Err(Error::File { .. })
        ));
    }
}
