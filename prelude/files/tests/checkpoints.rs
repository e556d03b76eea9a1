//! Checkpoints as PyTorch and safetensors write them: each number is what `golden/state_dicts.py` put there.

mod support;

use std::collections::BTreeMap;
use std::fs;

use itd_files::candle::{DType as Type, Device, Tensor};
use itd_files::checkpoint::{Checkpoint, DType, Format};
use itd_files::{Error, Result};
use support::Folder;
use support::pickled::{archive, dict, golden, pickle, storage, tensor};

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
            "is several state dicts: \"first\", \"ema\"; it must be one, or one of them named \"state_dict\" or \
             \"model\"; choose one: `Checkpoint::open_state_dict(path, \"first\")`",
        ),
        (
            "object.pt",
            "is \"torch.nn.modules.linear.Linear\"; it must be collections.OrderedDict",
        ),
        (
            "state_dicts.py",
            "the file is text that begins with \"\\\"\\\"\\\"Writes",
        ),
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
        let bytes = support::pickled::golden_bytes(name);
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

/// A dict of one tensor, which is two values of a storage.
fn one_of(name: &str, key: &str) -> Vec<u8> {
    dict(&[(
        name,
        tensor(&storage("FloatStorage", key, 2), 0, &[2], &[1]),
    )])
}

/// A dot in a key is none between two keys.
#[test]
fn a_key_with_a_dot_is_as_high_as_the_others() {
    let folder = Folder::new("checkpoint-dots");
    let values_of = |numbers: [f32; 2]| numbers.map(f32::to_le_bytes).concat();
    let (first, second) = (values_of([1.0, 2.0]), values_of([3.0, 4.0]));
    let storages: [(&str, &[u8]); 2] = [("0", &first), ("1", &second)];
    let written = |names: [&str; 2]| {
        let pairs = [(names[0], one_of("w", "0")), (names[1], one_of("w", "1"))];
        folder.write("run.pt", &archive(&pickle(&dict(&pairs)), &storages))
    };
    let run = Checkpoint::open(written(["ema_0.9999", "model"])).unwrap();
    assert_eq!(values(&run, "w"), [3.0, 4.0]);
    let error = Checkpoint::open(written(["a.b", "c"]))
        .unwrap_err()
        .to_string();
    assert!(error.contains("several state dicts"), "{error}");
}

#[test]
fn one_of_several_state_dicts_is_chosen_by_name() {
    let folder = Folder::new("checkpoint-dicts");
    let inner = dict(&[("net", one_of("w", "2")), ("net_ema", one_of("w", "0"))]);
    let pairs = [
        ("model", one_of("w", "0")),
        ("ema_state_dict", one_of("w", "1")),
        ("more", inner),
    ];
    let values_of = |numbers: [f32; 2]| numbers.map(f32::to_le_bytes).concat();
    let storages = [
        values_of([1.0, 2.0]),
        values_of([3.0, 4.0]),
        values_of([5.0, 6.0]),
    ];
    let storages: Vec<(&str, &[u8])> = ["0", "1", "2"]
        .into_iter()
        .zip(storages.iter().map(Vec::as_slice))
        .collect();
    let path = folder.write("run.pt", &archive(&pickle(&dict(&pairs)), &storages));
    let run = Checkpoint::open(&path).unwrap();
    assert_eq!(
        run.state_dicts(),
        ["ema_state_dict", "model", "more.net", "more.net_ema"]
    );
    assert_eq!(values(&run, "w"), [1.0, 2.0]);
    for (name, known) in [
        ("ema_state_dict", [3.0, 4.0]),
        ("model", [1.0, 2.0]),
        ("more.net", [5.0, 6.0]),
    ] {
        let file = Checkpoint::open_state_dict(&path, name).unwrap();
        assert_eq!(
            (values(&file, "w"), file.state_dicts().len()),
            (known.to_vec(), 4),
            "{name}"
        );
    }
    let error = Checkpoint::open_state_dict(&path, "ema")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("no state dict \"ema\"; there are \"model\", \"ema_state_dict\", "),
        "{error}"
    );
    // Without a usual name, the way to choose is told, and it works.
    let chosen = Checkpoint::open_state_dict(golden("undecided.pt"), "ema").unwrap();
    assert_eq!(chosen.state_dicts(), ["ema", "first"]);
    // A file that is a state dict has no others.
    for name in ["plain.pt", "plain_old.pt", "plain.safetensors"] {
        assert!(
            Checkpoint::open(golden(name))
                .unwrap()
                .state_dicts()
                .is_empty()
        );
        let error = Checkpoint::open_state_dict(golden(name), "ema")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("no state dict \"ema\"; it is one itself"),
            "{error}"
        );
    }
    // The optimiser's tensors have no names, and are no state dict.
    assert_eq!(
        Checkpoint::open(golden("nested.pt")).unwrap().state_dicts(),
        ["state_dict"]
    );
}

fn named(names: &[&str]) -> Vec<(String, Tensor)> {
    let tensor = |(i, name): (usize, &&str)| {
        let values = Tensor::new(&[i as f32], &Device::Cpu).unwrap();
        (name.to_string(), values)
    };
    names.iter().enumerate().map(tensor).collect()
}

#[test]
fn names_behind_a_common_beginning_are_found() {
    let folder = Folder::new("checkpoint-prefix");
    let path = folder.0.join("net.safetensors");
    let save = |names: &[&str]| Checkpoint::save(&path, &named(names), &BTreeMap::new()).unwrap();
    let layout = ["a.weight", "b.bias"].map(|name| (name.to_owned(), vec![1]));
    let open = || Checkpoint::open(&path).unwrap();

    save(&["module.a.weight", "module.b.bias"]);
    let keys = open().compare(&layout);
    assert_eq!(
        (keys.fit(), keys.missing.len(), keys.unexpected.len()),
        (false, 2, 2)
    );
    assert_eq!(keys.prefixes, ["module."]);
    let text = keys.to_string();
    assert!(
        text.ends_with("all fit behind \"module.\": `under(\"module.\")` takes them"),
        "{text}"
    );
    let file = open().fitted(&layout).unwrap();
    assert_eq!(values(&file, "b.bias"), [1.0]);
    assert_eq!(values(&open().under("module.b.").unwrap(), "bias"), [1.0]);

    // One of several networks, by another kind of separator.
    save(&["model/a.weight", "model/b.bias", "vae.a.weight", "step"]);
    assert_eq!(
        list(&open().fitted(&layout).unwrap()),
        [("a.weight", &[1][..]), ("b.bias", &[1])]
    );
    // Two of them: not decided here.
    save(&["net.a.weight", "net.b.bias", "ema.a.weight", "ema.b.bias"]);
    let error = open().fitted(&layout).unwrap_err().to_string();
    assert!(
        error.contains("all fit behind \"ema.\" and behind \"net.\": `under(\"ema.\")`"),
        "{error}"
    );
    // Nearly: told, not taken.
    save(&["net.a.weight", "net.b.bias", "net.c"]);
    let error = open().fitted(&layout).unwrap_err().to_string();
    assert!(
        error.contains("behind \"net.\", 2 of 2 fit, and 1 do not"),
        "{error}"
    );
    let error = open().under("unet.").unwrap_err().to_string();
    assert!(
        error.contains("no tensor whose name begins with \"unet.\""),
        "{error}"
    );
    // Nothing alike.
    save(&["x", "y"]);
    let error = open().fitted(&layout).unwrap_err().to_string();
    assert!(error.ends_with("y         unknown  [1]"), "{error}");
}

#[test]
fn a_network_in_several_files_is_read_as_one() {
    let folder = Folder::new("checkpoint-shards");
    let write = |name: &str, names: &[&str]| {
        Checkpoint::save(folder.0.join(name), &named(names), &BTreeMap::new()).unwrap();
    };
    write("net-00001-of-00002.safetensors", &["a", "b"]);
    write("net-00002-of-00002.safetensors", &["z", "c", "d"]);
    let index = |map: &str| {
        let text = format!("{{\"metadata\": {{\"total_size\": 20}}, \"weight_map\": {map}}}");
        folder.write("net.safetensors.index.json", text.as_bytes())
    };
    let (one, two) = (
        "\"net-00001-of-00002.safetensors\"",
        "\"net-00002-of-00002.safetensors\"",
    );
    let whole = format!("{{\"a\": {one}, \"b\": {one}, \"c\": {two}, \"d\": {two}, \"z\": {two}}}");
    let path = index(&whole);
    let file = Checkpoint::open(&path).unwrap();
    assert_eq!(file.path(), path);
    let known = [("a", 0.0), ("b", 1.0), ("c", 1.0), ("d", 2.0), ("z", 0.0)];
    assert_eq!(list(&file).len(), known.len());
    for (name, value) in known {
        assert_eq!(values(&file, name), [value], "{name}");
    }
    assert_eq!(itd_files::hub::weights(&folder.0), Some(path.clone()));
    assert_eq!(itd_files::diffusers::find(&folder.0).unwrap().weights, path);

    // One of the files alone says that it is one of several.
    let layout: Vec<_> = known.map(|(name, _)| (name.to_owned(), vec![1])).into();
    let alone = Checkpoint::open(folder.0.join("net-00002-of-00002.safetensors")).unwrap();
    let error = alone.fitted(&layout).unwrap_err().to_string();
    assert!(
        error.contains("file 2 of 2: open the index of all of them"),
        "{error}"
    );

    let refused = |map: String, says: &str| {
        let error = Checkpoint::open(index(&map)).unwrap_err().to_string();
        assert!(error.contains(says), "{says} is not in: {error}");
    };
    refused(
        whole.replace(", \"z\"", ", \"y\""),
        "is without one; it must be \"y\", as ",
    );
    refused(
        whole.replace(&format!(", \"z\": {two}"), ""),
        "a tensor is \"z\"; it must be one of those that",
    );
    refused(
        "{\"a\": \"../net.safetensors\"}".into(),
        "the name of a file is \"../net.safetensors\"",
    );
    refused("{\"a\": \"/etc/passwd\"}".into(), "the name of a file is");
    refused(
        "{\"a\": \"net-00009.safetensors\"}".into(),
        "which is not beside it; put all files",
    );
    refused(
        "{\"a\": \"net.safetensors.index.json\"}".into(),
        "the file is text in JSON",
    );
    refused("{}".into(), "of 0 files");
    refused("[]".into(), "text in JSON");
    let error =
        Checkpoint::open(folder.write("config.json", b"{\"sample_size\": 32}")).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the file is text in JSON (missing field `weight_map`"),
        "{error}"
    );
    // The length of a header whose first byte is that of a brace.
    let name = "x".repeat(256 + 0x7b - 64);
    let path = folder.0.join("brace.safetensors");
    for cut in 0..64 {
        let tensors = named(&[&name[cut..]]);
        Checkpoint::save(&path, &tensors, &BTreeMap::new()).unwrap();
        assert_eq!(list(&Checkpoint::open(&path).unwrap()).len(), 1);
    }
}

#[test]
fn what_people_have_instead_of_weights_is_named() {
    let folder = Folder::new("checkpoint-others");
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:4665a5ea423c2713d436b5ee50593a9640e0018c1550b5a0\nsize 143034016\n";
    let packed = support::gzip(&fs::read(golden("plain.pt")).unwrap());
    let twice = support::gzip(&packed);
    for (content, says) in [
        (
            &lfs[..],
            "is a Git LFS pointer, a few lines that stand for the file; it must be safetensors or a state dict of `torch.save`; get the file itself with `git lfs pull`",
        ),
        (b"<!doctype html><html>", "is a web page"),
        (b"  <html>", "is a web page"),
        (
            &packed,
            "is gzip; it must be safetensors or a state dict of `torch.save`; unpack it first",
        ),
        (&twice, "is gzip"),
        (b"", "is empty"),
        (
            b"Entry not found",
            "is text that begins with \"Entry not found\"",
        ),
        (b"\x89HDF\r\n\x1a\n", "is an HDF5 file"),
    ] {
        let error = Checkpoint::open(folder.write("net.pt", content))
            .unwrap_err()
            .to_string();
        assert!(error.contains(says), "{says} is not in: {error}");
        assert!(!error.contains("anew"), "{error}");
    }
    // An archive that is no checkpoint, such as numpy's.
    let npz = support::pickled::zip_of(&[("a.npy", b"x")], zip::CompressionMethod::Stored);
    let error = Checkpoint::open(folder.write("net.npz", &npz))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`torch.save` makes such archives"),
        "{error}"
    );
}
