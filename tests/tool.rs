//! `itd fetch` and `itd inspect`, with a small server in the hub's place; `itd bench compute` without PyTorch.

mod common;
#[path = "../prelude/tests/server/mod.rs"]
mod server;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use server::{Server, State, sha256};

/// The folder in which builds of the prelude lie.
fn builds() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        common::prelude();
        let output = common::itd(&["prelude", "path"])
            .output()
            .expect("itd can be run");
        let path = String::from_utf8_lossy(&output.stdout).into_owned();
        let folder = Path::new(path.trim()).parent().expect("a folder of builds");
        folder.to_owned()
    })
}

/// `itd` with all its data in a folder of the test's own, where only the prelude is the usual one; and with the hub at
/// an address where nobody is.
fn itd(arguments: &[&str], folder: &Path) -> Command {
    let cache = folder.join("cache");
    if !cache.is_dir() {
        std::fs::create_dir(&cache).expect("a folder");
        std::os::unix::fs::symlink(builds(), cache.join("prelude")).expect("a link");
    }
    let mut command = common::itd(arguments);
    command
        .env("ITD_CACHE", cache)
        .env("HF_HUB_CACHE", folder.join("hub"))
        .env("XDG_CACHE_HOME", folder.join("user"))
        .env("HF_ENDPOINT", "http://127.0.0.1:1")
        .env("ITD_DATA", folder.join("data"))
        .env_remove("HF_HOME")
        .env_remove("HF_HUB_OFFLINE")
        .env_remove("HF_TOKEN");
    command
}

fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("itd can be run");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (status.code(), text(&stdout), text(&stderr))
}

/// A safetensors file of `f32` zeros.
fn safetensors(tensors: &[(&str, &[usize])], metadata: &[(&str, &str)]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    if !metadata.is_empty() {
        let metadata = metadata
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).into()));
        header.insert(
            "__metadata__".into(),
            serde_json::Value::Object(metadata.collect()),
        );
    }
    let mut end = 0;
    for (name, shape) in tensors {
        let start = end;
        end += 4 * shape.iter().product::<usize>();
        let tensor =
            serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [start, end]});
        header.insert((*name).to_owned(), tensor);
    }
    let header = serde_json::Value::Object(header).to_string();
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], header.as_bytes(), &vec![0; end]].concat()
}

const SMALL: &[(&str, &[usize])] = &[("out.weight", &[2, 3]), ("out.bias", &[3])];

#[test]
fn a_network_is_fetched_once_and_inspected_by_its_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let weights = safetensors(SMALL, &[("format", "pt")]);
    let files = vec![
        ("README.md".to_owned(), b"words".to_vec()),
        ("model.safetensors".to_owned(), weights.clone()),
        ("config.json".to_owned(), b"{}".to_vec()),
    ];
    let server = Server::start(State::default());
    server.set(|state| {
        _ = state
            .repositories
            .insert("models/someone/net".into(), files)
    });
    let fetch = |model: &str| {
        let mut command = itd(&["fetch", model], folder);
        run(command.env("HF_ENDPOINT", &server.address))
    };

    server.set(|state| state.cut = Some(20));
    let (code, _, stderr) = fetch("someone/net");
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stderr.contains("itd: someone/net was not found") && stderr.contains("to go on"),
        "{stderr}"
    );
    server.set(|state| state.cut = None);
    server.asked();
    let (code, stdout, stderr) = fetch("someone/net");
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        server
            .asked()
            .contains(&"/someone/net/resolve/c0ffee/model.safetensors from 20".into())
    );
    let snapshot = folder.join("hub/models--someone--net/snapshots/c0ffee");
    let shown = snapshot.display().to_string();
    for part in [
        "someone/net: downloaded",
        &shown,
        "model.safetensors",
        "config.json",
        &sha256(&weights),
        &weights.len().to_string(),
        "safetensors, 2 tensors, 9 parameters in 36 bytes",
    ] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    assert_eq!(
        std::fs::read(snapshot.join("model.safetensors")).expect("the weights"),
        weights
    );

    // Without the hub, what is here is told, and that there might be more.
    let (code, stdout, _) = run(&mut itd(&["fetch", "someone/net"], folder));
    assert_eq!(code, Some(0));
    assert!(
        stdout.contains("on this disk already") && stdout.contains("is not known"),
        "{stdout}"
    );
    let (code, stdout, stderr) = run(&mut itd(&["inspect", "someone/net"], folder));
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let table: Vec<&str> = stdout.lines().skip(3).collect();
    assert_eq!(
        table,
        [
            "tensor      shape   type  numbers",
            "out.bias    [3]     F32         3",
            "out.weight  [2, 3]  F32         6",
            "",
            "metadata",
            "format    pt",
            "",
            "These are the tensors of no network that is known here.",
        ]
    );

    // A file of any server, which is no weights: it stays, and the command says so.
    server.set(|state| {
        _ = state
            .files
            .insert("/page.pt".into(), (b"<!DOCTYPE html>".to_vec(), None))
    });
    let url = format!("{}/page.pt", server.address);
    let (code, stdout, stderr) = run(&mut itd(&["fetch", &url], folder));
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stdout.contains("page.pt") && stderr.contains("cannot be read as weights"),
        "{stdout}{stderr}"
    );
    assert!(
        stdout.contains(&folder.join("cache/models").display().to_string()),
        "{stdout}"
    );
}

#[test]
fn what_cannot_be_fetched_is_named_with_what_was_tried() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let (code, stdout, _) = run(&mut itd(&["fetch"], folder));
    assert_eq!(code, Some(0));
    for part in [
        "ddpm-cifar10",
        "iddpm-cifar10-vlb",
        "iddpm-cifar10-hybrid",
        "143 MB",
        "210 MB",
        "OWNER/NAME",
    ] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    let offline = |model: &str| run(itd(&["fetch", model], folder).env("HF_HUB_OFFLINE", "1"));
    for (model, parts) in [
        (
            "ddpm-cifar10",
            ["HF_HUB_OFFLINE", "models--google--ddpm-cifar10-32", "curl"],
        ),
        (
            "iddpm-cifar10-vlb",
            ["HF_HUB_OFFLINE", "openaipublic", "ITD_DATA"],
        ),
        (
            "nonsense",
            ["\"nonsense\"", "iddpm-cifar10-hybrid", "OWNER/NAME"],
        ),
        (
            "https://a.example/",
            ["https://a.example/", "the address", "/FILE"],
        ),
    ] {
        let (code, stdout, stderr) = offline(model);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
        assert!(stderr.starts_with("itd: "), "{stderr}");
        for part in parts {
            assert!(stderr.contains(part), "{model}, {part}: {stderr}");
        }
    }
    let (code, _, stderr) = run(&mut itd(&["fetch", "ddpm-cifar10"], folder));
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("http://127.0.0.1:1/api/models/google/ddpm-cifar10-32"),
        "{stderr}"
    );
    // A file of that name that is another network's is told.
    let place = folder.join("data/ddpm-cifar10");
    std::fs::create_dir_all(&place).expect("a folder");
    let file = place.join("diffusion_pytorch_model.safetensors");
    std::fs::write(&file, safetensors(SMALL, &[])).expect("a file");
    let (code, _, stderr) = run(&mut itd(&["fetch", "ddpm-cifar10"], folder));
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("9 parameters; the published network has 35,746,307"),
        "{stderr}"
    );
}

#[test]
fn files_of_weights_are_held_against_networks() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).expect("a file");
        path.display().to_string()
    };
    let inspect = |arguments: &[&str]| {
        let arguments = [&["inspect"], arguments].concat();
        run(&mut itd(&arguments, folder))
    };
    let other = write("other.safetensors", &safetensors(SMALL, &[]));
    let (code, stdout, stderr) = inspect(&[&other, "--as", "ddpm"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("does not fit ddpm"), "{stderr}");
    assert!(stdout.contains("missing: 328, unexpected: 2"), "{stdout}");
    let (code, stdout, _) = inspect(&[&other, "--as", "iddpm"]);
    assert_eq!(code, Some(1));
    assert!(stdout.contains("missing: 446, unexpected: 2"), "{stdout}");

    // What looks like a network is held against it unasked, which is no reason to fail.
    let tensors: &[(&str, &[usize])] = &[
        ("time_embed.0.weight", &[512, 128]),
        ("time_embed.0.bias", &[5]),
    ];
    let like = write(
        "like.safetensors",
        &safetensors(tensors, &[("evil", "\u{1b}[2J")]),
    );
    let (code, stdout, _) = inspect(&[&like]);
    assert_eq!(code, Some(0));
    assert!(
        stdout.contains("fitting: 1, missing: 444, unexpected: 0, of another shape: 1"),
        "{stdout}"
    );
    assert!(
        !stdout.contains('\u{1b}'),
        "a file does not steer the terminal"
    );

    // Broken files, and none.
    let good = safetensors(SMALL, &[]);
    for (name, bytes) in [
        ("short.safetensors", &good[..good.len() - 1]),
        ("head.safetensors", &good[..20]),
        ("empty.pt", &[]),
        ("text.bin", b"nothing of the kind"),
    ] {
        let path = write(name, bytes);
        let (code, stdout, stderr) = inspect(&[&path]);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{name}");
        assert!(
            stderr.starts_with("itd: ") && stderr.contains(name),
            "{stderr}"
        );
    }
    let (code, _, stderr) = inspect(&["missing.pt"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("itd: missing.pt: No such file"), "{stderr}");
    // A folder is the weights in it; what clap refuses is no business of the prelude's.
    let one = folder.join("one");
    std::fs::create_dir(&one).expect("a folder");
    std::fs::rename(&like, one.join("like.safetensors")).expect("a file in it");
    let (code, stdout, _) = inspect(&[&one.display().to_string()]);
    assert_eq!(code, Some(0));
    assert!(stdout.contains("like.safetensors"), "{stdout}");
    assert_eq!(inspect(&[&other, "--as", "resnet"]).0, Some(2));
    assert_eq!(inspect(&[]).0, Some(2));
}

#[test]
fn operations_are_timed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let json = folder.path().join("times.json");
    let bench = |arguments: &[&str]| {
        let arguments = [
            &["bench", "compute", "--no-torch", "--tries", "1"],
            arguments,
        ]
        .concat();
        run(&mut itd(&arguments, folder.path()))
    };
    let path = json.display().to_string();
    let (code, stdout, stderr) = bench(&["--only", "group_norm", "--json", &path]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("2 threads, 1 tries"), "{stdout}");
    let rows = |name: &str| stdout.lines().filter(|line| line.starts_with(name)).count();
    // Three sizes, forward and with gradients; and the plain product, which is always there.
    assert_eq!((rows("group_norm: "), rows("matmul: ")), (6, 1), "{stdout}");
    let told = common::read_json(&json);
    let rows = told["rows"].as_array().expect("a list of rows");
    assert_eq!(rows.len(), 7);
    for row in rows {
        let sides = row["sides"].as_array().expect("a list of sides");
        assert_eq!(sides.len(), 1, "{row}");
        let times = sides[0]["milliseconds"].as_array().expect("times");
        assert!(times.len() == 1 && times[0].as_f64() > Some(0.0), "{row}");
    }
    let (code, _, stderr) = bench(&["--only", "nonsense"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("there are matmul, conv2d"), "{stderr}");
    assert_eq!(bench(&["--threads", "0"]).0, Some(1));
}

/// A reader may close the pipe after the first lines.
#[test]
fn the_head_of_a_long_table_is_enough() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let names: Vec<String> = (0..5000).map(|i| format!("layer.{i:04}.weight")).collect();
    let tensors: Vec<(&str, &[usize])> =
        names.iter().map(|name| (name.as_str(), &[1][..])).collect();
    let path = folder.path().join("long.safetensors");
    std::fs::write(&path, safetensors(&tensors, &[])).expect("a file");
    common::prelude();
    let script = r#""$0" inspect "$1" | head -4; exit ${PIPESTATUS[0]}"#;
    let mut command = Command::new("bash");
    let (code, stdout, stderr) = run(command
        .args(["-c", script])
        .arg(common::program())
        .arg(&path));
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert_eq!(stdout.lines().count(), 4);
}
