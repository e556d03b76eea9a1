//! The hub's protocol, spoken by a small server here: what is downloaded, gone on with, and refused.
#![cfg(feature = "hub")]

mod files;
mod server;

use std::fs;
use std::path::{Path, PathBuf};

use files::Folder;
use itd_prelude::data::mnist;
use itd_prelude::hub::{self, Hub, Repository};
use itd_prelude::pl::ParquetCompression;
use server::{Server, State, sha256};

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files_in(&path)),
            path => found.push(path),
        }
    }
    found.sort();
    found
}

/// Sets a variable of the environment.
fn set(name: &str, value: &str) {
    // SAFETY: of the tests here only one reads or writes the environment after it has begun.
    unsafe { std::env::set_var(name, value) }
}

/// One test, since the environment that it sets is the whole process's.
#[test]
fn sets_and_networks_come_from_the_hub_once() {
    let shape = [1, 28, 28];
    let pictures: Vec<_> = (0..3)
        .map(|i| files::png(&vec![40 * i + 9; 784], shape))
        .collect();
    let parquet = files::parquet(
        "image",
        &pictures,
        Some(&[7, 1, 2]),
        ParquetCompression::Snappy,
    );
    let names = ["mnist/train/0000.parquet", "mnist/test/0000.parquet"];
    let sets = names
        .map(|name| (name.to_owned(), parquet.clone()))
        .to_vec();
    let server = Server::start(State::default());
    let repository = "datasets/ylecun/mnist".to_owned();
    server.set(|state| _ = state.repositories.insert(repository.clone(), sets.clone()));
    let cache = Folder::new("hub");
    set("HF_HUB_CACHE", &cache.0.display().to_string());
    set("HF_ENDPOINT", &server.address);
    set("ITD_DATA", "");
    let snapshot = cache
        .0
        .join("datasets--ylecun--mnist/snapshots/c0ffee/mnist");

    // Another checksum than announced: refused, and nothing stays.
    server.set(|state| state.wrong_sum = true);
    let error = mnist().unwrap_err().to_string();
    assert!(error.contains("not what the hub announced"), "{error}");
    assert!(
        error.contains(&server.address) && error.contains("curl"),
        "{error}"
    );
    assert_eq!(files_in(&cache.0), Vec::<PathBuf>::new());
    server.set(|state| state.wrong_sum = false);

    // The line breaks: what came stays, and the next call goes on from there.
    server.set(|state| state.cut = Some(100));
    let error = mnist().unwrap_err().to_string();
    assert!(error.contains("call again to go on"), "{error}");
    let part = snapshot.join("train/0000.parquet.part");
    assert_eq!(fs::metadata(&part).unwrap().len(), 100);
    server.set(|state| state.cut = None);
    server.asked();
    let data = mnist().unwrap();
    assert_eq!(data.train.x.dims(), [3, 1, 28, 28]);
    assert_eq!(data.test.labels().unwrap(), [7, 1, 2]);
    let log = server.asked();
    assert!(log[1].ends_with("train/0000.parquet from 100"), "{log:?}");
    assert!(log[2].ends_with("test/0000.parquet from 0"), "{log:?}");
    assert_eq!(
        fs::read(snapshot.join("train/0000.parquet")).unwrap(),
        parquet
    );

    // Now it is in the cache: the hub is not asked again.
    assert_eq!(mnist().unwrap().train.len(), 3);
    assert_eq!(server.asked(), Vec::<String>::new());

    // A name that leads out of the folder is not followed.
    fs::remove_dir_all(cache.0.join("datasets--ylecun--mnist")).unwrap();
    let mut more = sets.clone();
    more.push(("mnist/test/../../../../../escaped.parquet".into(), parquet));
    server.set(|state| _ = state.repositories.insert(repository, more));
    mnist().unwrap();
    assert!(
        files_in(&cache.0)
            .iter()
            .all(|path| path.starts_with(&snapshot) || path.ends_with("parquet"))
    );
    assert!(server.asked().iter().all(|path| !path.contains("escaped")));

    // Offline by wish, and with nobody there.
    fs::remove_dir_all(cache.0.join("datasets--ylecun--mnist")).unwrap();
    set("HF_HUB_OFFLINE", "1");
    let error = mnist().unwrap_err().to_string();
    assert!(error.contains("HF_HUB_OFFLINE"), "{error}");
    set("HF_HUB_OFFLINE", "0");
    set("HF_ENDPOINT", "http://127.0.0.1:1");
    let error = mnist().unwrap_err().to_string();
    assert!(error.contains("127.0.0.1:1"), "{error}");

    networks(&server, &cache.0);
}

fn networks(server: &Server, cache: &Path) {
    let weights: Vec<u8> = (0..5000u32).flat_map(u32::to_le_bytes).collect();
    let files = [
        ("README.md", b"words".to_vec()),
        ("diffusion_pytorch_model.bin", b"the same, pickled".to_vec()),
        ("diffusion_pytorch_model.safetensors", weights.clone()),
        ("config.json", b"{}".to_vec()),
    ];
    let files = files.map(|(name, bytes)| (name.to_owned(), bytes)).to_vec();
    let repository = "models/google/ddpm-cifar10-32".to_owned();
    let own = Folder::new("hub-own");
    set("ITD_CACHE", &own.0.display().to_string());
    set("HF_ENDPOINT", "http://127.0.0.1:1");

    // What is missing is named with every place that was tried, and with the way to get it by hand.
    assert_eq!(hub::find("ddpm-cifar10"), None);
    let error = hub::fetch("ddpm-cifar10").unwrap_err().to_string();
    let folder = cache.join("models--google--ddpm-cifar10-32");
    let folder_name = folder.display().to_string();
    for part in [
        "ITD_DATA is not set",
        &folder_name,
        "127.0.0.1:1",
        "curl",
        "config.json",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    set("HF_HUB_OFFLINE", "true");
    for model in [
        "ddpm-cifar10",
        "iddpm-cifar10-vlb",
        "someone/net",
        "https://a.example/b.pt",
    ] {
        let error = hub::fetch(model).unwrap_err().to_string();
        assert!(
            error.contains("HF_HUB_OFFLINE") && error.contains("ITD_DATA"),
            "{error}"
        );
    }
    set("HF_HUB_OFFLINE", "");

    // No such repository, and one without weights.
    set("HF_ENDPOINT", &server.address);
    let error = hub::fetch("ddpm-cifar10").unwrap_err().to_string();
    assert!(error.contains("not there (status 404)"), "{error}");
    server.set(|state| {
        _ = state
            .repositories
            .insert(repository.clone(), files[..1].to_vec())
    });
    let error = hub::fetch("ddpm-cifar10").unwrap_err().to_string();
    assert!(error.contains("nothing of use"), "{error}");

    // Settings come before weights; what broke off is gone on with; other weights are left where they are.
    server.set(|state| _ = state.repositories.insert(repository.clone(), files.clone()));
    server.set(|state| state.cut = Some(1234));
    assert!(hub::fetch("ddpm-cifar10").is_err());
    assert_eq!(hub::find("ddpm-cifar10"), None, "half a file is no network");
    server.set(|state| state.cut = None);
    server.asked();
    let fetched = hub::fetch("ddpm-cifar10").unwrap();
    let snapshot = folder.join("snapshots/c0ffee");
    let safetensors = snapshot.join("diffusion_pytorch_model.safetensors");
    assert_eq!(
        server.asked()[1..],
        ["/google/ddpm-cifar10-32/resolve/c0ffee/diffusion_pytorch_model.safetensors from 1234"]
    );
    assert_eq!(fetched.weights, safetensors);
    assert!(!fetched.was_there && fetched.doubt.is_none());
    assert_eq!((fetched.files.len(), fetched.files[0].bytes), (2, 20_000));
    assert_eq!(fetched.files[0].sha256, sha256(&weights));
    assert_eq!(fs::read(&safetensors).unwrap(), weights);
    assert_eq!(
        fs::read_to_string(folder.join("refs/main")).unwrap(),
        "c0ffee"
    );
    assert_eq!(
        files_in(&snapshot),
        [snapshot.join("config.json"), safetensors.clone()]
    );

    // Now it is found, under both names, and nobody is asked.
    assert_eq!(hub::find("ddpm-cifar10"), Some(safetensors.clone()));
    assert_eq!(
        hub::find("google/ddpm-cifar10-32"),
        Some(safetensors.clone())
    );
    let again = hub::fetch("ddpm-cifar10").unwrap();
    assert!(again.was_there && again.weights == safetensors);
    assert_eq!(again.files, fetched.files);
    assert_eq!(server.asked(), Vec::<String>::new());

    // Under the hub's name there may be more than is here, which only the hub knows; without it, there is doubt.
    let all = hub::fetch("google/ddpm-cifar10-32").unwrap();
    assert_eq!((all.weights, all.was_there), (safetensors.clone(), false));
    assert_eq!(server.asked().len(), 1);
    set("HF_ENDPOINT", "http://127.0.0.1:1");
    let offline = hub::fetch("google/ddpm-cifar10-32").unwrap();
    assert!(offline.was_there && offline.doubt.unwrap().contains("127.0.0.1:1"));

    // The folder that the user named comes first.
    let data = Folder::new("hub-data");
    let mine = data.write("ddpm-cifar10/diffusion_pytorch_model.safetensors", b"mine");
    set("ITD_DATA", &data.0.display().to_string());
    assert_eq!(hub::find("ddpm-cifar10"), Some(mine));
    set("ITD_DATA", "");

    // A file of another server.
    let url = format!("{}/march-2021/net.pt", server.address);
    assert_eq!(hub::find(&url), None);
    server.set(|state| {
        _ = state
            .files
            .insert("/march-2021/net.pt".into(), (b"net".to_vec(), None))
    });
    let fetched = hub::fetch(&url).unwrap();
    assert!(
        fetched.weights.starts_with(own.0.join("models")),
        "{fetched:?}"
    );
    assert!(
        fetched.weights.ends_with("march-2021/net.pt"),
        "{fetched:?}"
    );
    assert_eq!(hub::find(&url), Some(fetched.weights));
}

#[test]
fn a_file_that_changes_meanwhile_is_begun_anew() {
    let (one, two) = (vec![1u8; 5000], vec![2u8; 6000]);
    let server = Server::start(State::default());
    let hub = Hub::new("http://127.0.0.1:1", Some("secret".into()));
    let folder = Folder::new("hub-urls");
    let url = format!("{}/net.pt", server.address);
    let place = folder.0.join("deep/net.pt");
    let part = folder.0.join("deep/net.pt.part");
    let serve = |bytes: &[u8], tag: Option<&str>| {
        let file = (bytes.to_vec(), tag.map(str::to_owned));
        server.set(|state| _ = state.files.insert("/net.pt".into(), file));
    };
    let cut = |bytes| server.set(|state| state.cut = bytes);

    // A refusal leaves nothing behind.
    let error = hub.fetch_url(&url, &place).unwrap_err().to_string();
    assert!(error.contains("404") && error.contains(&url), "{error}");
    server.set(|state| state.status = Some("503 Busy"));
    let error = hub.fetch_url(&url, &place).unwrap_err().to_string();
    assert!(
        error.contains("503") && error.contains("try again later"),
        "{error}"
    );
    server.set(|state| state.status = None);
    assert_eq!(files_in(&folder.0), Vec::<PathBuf>::new());

    // The same file is gone on with, another one is not.
    serve(&one, Some("\"one\""));
    cut(Some(1000));
    assert!(hub.fetch_url(&url, &place).is_err());
    cut(Some(2000));
    assert!(hub.fetch_url(&url, &place).is_err());
    assert_eq!(fs::read(&part).unwrap(), one[..3000]);
    serve(&two, Some("\"two\""));
    cut(None);
    hub.fetch_url(&url, &place).unwrap();
    assert_eq!(fs::read(&place).unwrap(), two);
    assert_eq!(files_in(&folder.0), std::slice::from_ref(&place));
    let log = server.asked();
    assert!(
        log[3].ends_with("from 1000") && log[4].ends_with("from 3000"),
        "{log:?}"
    );

    // Nor is one without a tag, or of a server that begins anew whatever it is asked.
    for (tag, begins) in [
        (None, false),
        (Some("W/\"weak\""), false),
        (Some("\"two\""), true),
    ] {
        fs::remove_file(&place).unwrap();
        serve(&two, tag);
        server.set(|state| state.from_the_beginning = begins);
        cut(Some(1000));
        assert!(hub.fetch_url(&url, &place).is_err());
        cut(None);
        hub.fetch_url(&url, &place).unwrap();
        assert_eq!(fs::read(&place).unwrap(), two);
    }

    // A part that is longer than the file.
    fs::remove_file(&place).unwrap();
    fs::write(&part, vec![3u8; 7000]).unwrap();
    fs::write(folder.0.join("deep/net.pt.part.etag"), "\"two\"").unwrap();
    server.set(|state| state.from_the_beginning = false);
    hub.fetch_url(&url, &place).unwrap();
    assert_eq!(fs::read(&place).unwrap(), two);

    // A finished file is not asked for.
    server.asked();
    hub.fetch_url(&url, &place).unwrap();
    assert_eq!(server.asked(), Vec::<String>::new());
}

#[test]
fn the_token_is_told_to_the_hub_alone() {
    let other = Server::start(State::default());
    let weights = b"weights".to_vec();
    other.set(|state| _ = state.files.insert("/blob".into(), (weights.clone(), None)));
    let server = Server::start(State::default());
    let files = vec![("a.pt".to_owned(), weights.clone())];
    let path = "/someone/net/resolve/c0ffee/a.pt";
    server.set(|state| {
        state
            .repositories
            .insert("models/someone/net".into(), files);
        state.moved.insert(
            path.into(),
            format!("{}/blob", other.address).replace("127.0.0.1", "localhost"),
        );
    });
    let hub = Hub::new(&server.address, Some("secret".into()));
    let cache = Folder::new("hub-token");
    let repository = Repository::model("someone/net").unwrap();
    let choose = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let snapshot = hub.fetch(&repository, &cache.0, &choose).unwrap();
    assert_eq!(fs::read(&snapshot.files[0]).unwrap(), weights);
    server.set(|state| {
        assert!(
            state.asked.iter().all(|(_, _, token)| *token),
            "{:?}",
            state.asked
        )
    });
    other.set(|state| assert_eq!(state.asked, [("/blob".to_owned(), 0, false)]));
    // Nor to a server whose address was given.
    hub.fetch_url(&format!("{}/blob", other.address), &cache.0.join("b.pt"))
        .unwrap();
    other.set(|state| assert!(!state.asked[1].2));
}

#[test]
fn two_downloads_of_one_file_are_one() {
    let bytes: Vec<u8> = (0..2_000_000u32).map(|i| (i % 251) as u8).collect();
    let server = Server::start(State::default());
    server.set(|state| _ = state.files.insert("/net.pt".into(), (bytes.clone(), None)));
    let hub = Hub::new("http://127.0.0.1:1", None);
    let folder = Folder::new("hub-two");
    let (url, place) = (
        format!("{}/net.pt", server.address),
        folder.0.join("net.pt"),
    );
    std::thread::scope(|scope| {
        let both = [0, 1, 2].map(|_| scope.spawn(|| hub.fetch_url(&url, &place)));
        both.map(|one| one.join().unwrap().unwrap())
    });
    assert_eq!(fs::read(&place).unwrap(), bytes);
    assert_eq!(files_in(&folder.0), [place]);
    assert_eq!(server.asked().len(), 1);
}
