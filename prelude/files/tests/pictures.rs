//! Files of pictures: known pixels come back from each format, and the published sets are what they should
//! be, where this machine has them.

mod support;

use std::env;
use std::path::{Path, PathBuf};

use itd_files::Error;
use itd_files::images::published::{CIFAR_10, FASHION_MNIST, MNIST, in_folder};
use itd_files::images::{ImageSpec, Images, cifar, folder, idx, parquet};
use png::{BitDepth, ColorType};
use polars::prelude::ParquetCompression;
use support::{Folder, bytes, planes};

/// Where Debian's package `dataset-fashion-mnist` puts its files.
const PACKAGE: &str = "/usr/share/datasets/fashion-mnist";

/// The checksum of a picture, from its values.
fn adler32(data: &Images, picture: usize) -> u32 {
    let bytes = data.picture(picture).unwrap().iter();
    let (low, high) = bytes.fold((1, 0), |(low, high): (u32, u32), &byte| {
        let low = (low + u32::from(byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    high << 16 | low
}

fn counts(data: &Images) -> [usize; 10] {
    let mut counts = [0; 10];
    for label in labels_of(data).unwrap() {
        counts[label as usize] += 1;
    }
    counts
}

#[test]
fn fashion_mnist_is_the_published_set() {
    if !Path::new(PACKAGE).is_dir() {
        println!("skipped: install dataset-fashion-mnist to run this test");
        return;
    }
    let data = in_folder(&FASHION_MNIST, Path::new(PACKAGE)).unwrap();
    assert_eq!((data.train.len(), data.train.shape), (60_000, [1, 28, 28]));
    assert_eq!((data.test.len(), data.test.shape), (10_000, [1, 28, 28]));
    assert_eq!(counts(&data.train), [6000; 10]);
    assert_eq!(counts(&data.test), [1000; 10]);
    assert_eq!(data.train.name, "Fashion-MNIST (train)");
    // python3 -c "import gzip,zlib; b=gzip.open('train-images-idx3-ubyte.gz').read();
    //             print(zlib.adler32(b[16:800]), zlib.adler32(b[-784:]))", and with t10k.
    assert_eq!(adler32(&data.train, 0), 3_326_749_159);
    assert_eq!(adler32(&data.train, 59_999), 3_070_247_213);
    assert_eq!(adler32(&data.test, 0), 2_221_572_785);
    assert_eq!(adler32(&data.test, 9_999), 2_940_559_175);
    // print(list(gzip.open('train-labels-idx1-ubyte.gz').read()[8:18]))
    let first = &labels_of(&data.train).unwrap()[..10];
    assert_eq!(first, [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]);
    assert_eq!(data.train.classes[9], "Ankle boot");
}

#[test]
fn the_test_part_of_mnist_is_the_published_one() {
    let folders = env::var_os("ITD_DATA").map(PathBuf::from);
    let folders = folders
        .iter()
        .flat_map(|root| [root.join("mnist"), root.clone()]);
    let mut labels = folders.map(|folder| folder.join("t10k-labels-idx1-ubyte.gz"));
    // Fashion-MNIST has files of the same names, and its first label is another.
    let is_mnist = |path: &PathBuf| idx::labels(path).is_ok_and(|labels| labels[0] == 7);
    let Some(labels) = labels.find(is_mnist) else {
        println!("skipped: no t10k-labels-idx1-ubyte.gz of MNIST where ITD_DATA says");
        return;
    };
    let images = labels.with_file_name("t10k-images-idx3-ubyte.gz");
    let data = idx::labelled(images, labels, &ImageSpec::default()).unwrap();
    assert_eq!((data.len(), data.shape), (10_000, [1, 28, 28]));
    // The same one-liner as above.
    assert_eq!(adler32(&data, 0), 1_518_815_255);
    assert_eq!(adler32(&data, 9_999), 146_973_546);
    let known = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009];
    assert_eq!(counts(&data), known);
}

#[test]
fn idx_files_come_back_upright() {
    let (folder, known) = (Folder::new("idx"), planes(4, [1, 2, 3]));
    let plain = support::idx_images(&known, 2, 3);
    let labels = folder.write(
        "labels",
        &support::gzip(&support::idx_labels(&[3, 1, 4, 1])),
    );
    for (name, content) in [("plain", plain.clone()), ("packed", support::gzip(&plain))] {
        let images = folder.write(name, &content);
        let data = idx::labelled(&images, &labels, &ImageSpec::default()).unwrap();
        assert_eq!((data.len(), data.shape), (4, [1, 2, 3]));
        assert_eq!(bytes(&data), known);
        assert_eq!(labels_of(&data), Some(vec![3, 1, 4, 1]));
        assert_eq!(data.name, name);
        assert_eq!(
            labels_of(&idx::images(&images, &ImageSpec::default()).unwrap()),
            None
        );
    }
}

#[test]
fn cifar_records_come_back_upright() {
    let (folder, known) = (Folder::new("cifar"), planes(12, [3, 32, 32]));
    let labels: Vec<u8> = (0..12).map(|i| i % 10).collect();
    // Two records a file: five files to learn from, one to judge with.
    let names = (1..=5).map(|i| format!("data_batch_{i}.bin"));
    for (i, name) in names.chain(["test_batch.bin".into()]).enumerate() {
        let part = 2 * i..2 * i + 2;
        let content = support::cifar(&known[part.clone()], &labels[part]);
        folder.write(&format!("cifar-10-batches-bin/{name}"), &content);
    }
    let data = in_folder(&CIFAR_10, &folder.0).unwrap();
    assert_eq!((data.train.len(), data.train.shape), (10, [3, 32, 32]));
    assert_eq!(bytes(&data.train), known[..10]);
    assert_eq!(bytes(&data.test), known[10..]);
    assert_eq!(labels_of(&data.test), Some(vec![0, 1]));
    assert_eq!(data.test.classes[0], "airplane");
    assert_eq!(data.train.name, "CIFAR-10 (train)");

    // Cut off between two records, a file is shorter than the others.
    let short = support::cifar(&known[..1], &labels[..1]);
    let path = folder.write("cifar-10-batches-bin/data_batch_3.bin", &short);
    let alone = cifar::records(&[path], &ImageSpec::default()).unwrap();
    assert_eq!(alone.len(), 1);
    let error = in_folder(&CIFAR_10, &folder.0).unwrap_err().to_string();
    assert!(error.contains("data_batch_3.bin, byte 3073"), "{error}");
}

#[test]
fn png_files_come_back_upright() {
    for shape in [[1, 2, 3], [3, 3, 2]] {
        let (folder, known) = (Folder::new(&format!("png-{}", shape[0])), planes(3, shape));
        for (name, picture) in ["cat_2", "ape_1", "cat_1"].iter().zip(&known) {
            folder.write(&format!("{name}.png"), &support::png(picture, shape));
        }
        let data = folder::read(&folder.0, &ImageSpec::default()).unwrap();
        assert_eq!(data.shape, shape);
        // In the order of their names.
        let order = [&known[1], &known[2], &known[0]].map(Clone::clone);
        assert_eq!(bytes(&data), order);
        assert_eq!(labels_of(&data), Some(vec![0, 1, 1]));
        assert_eq!(data.classes, ["ape", "cat"]);
    }
}

#[test]
fn png_of_every_kind_becomes_eight_bits_of_grey_or_colour() {
    use BitDepth::{Eight, One, Sixteen};
    let all = |samples: &[u8], colour, depth, palette| {
        let folder = Folder::new("kinds");
        let content = support::png_of(samples, [1, 2], colour, depth, palette);
        folder.write("picture.png", &content);
        let data = folder::read(&folder.0, &ImageSpec::default()).unwrap();
        assert_eq!((labels_of(&data).is_none(), data.len()), (true, 1));
        (data.shape[0], bytes(&data).concat())
    };
    let palette = [9, 8, 7, 1, 2, 3];
    let indexed = all(&[1, 0], ColorType::Indexed, Eight, Some(&palette));
    assert_eq!(indexed, (3, vec![1, 9, 2, 8, 3, 7]));
    let clear = all(&[5, 0, 6, 255], ColorType::GrayscaleAlpha, Eight, None);
    assert_eq!(clear, (1, vec![5, 6]));
    let clear = all(&[1, 2, 3, 0, 4, 5, 6, 9], ColorType::Rgba, Eight, None);
    assert_eq!(clear, (3, vec![1, 4, 2, 5, 3, 6]));
    let deep = all(&[7, 99, 200, 1], ColorType::Grayscale, Sixteen, None);
    assert_eq!(deep, (1, vec![7, 200]));
    assert_eq!(
        all(&[0b0100_0000], ColorType::Grayscale, One, None),
        (1, vec![0, 255])
    );
}

#[test]
fn colours_are_given_as_they_are_needed() {
    let folder = Folder::new("channels");
    let grey = planes(1, [1, 2, 3]).remove(0);
    folder.write("grey.png", &support::png(&grey, [1, 2, 3]));
    let need = |channels| ImageSpec {
        shape: Some([channels, 2, 3]),
        ..ImageSpec::default()
    };
    let data = folder::read(&folder.0, &need(3)).unwrap();
    assert_eq!(bytes(&data), [grey.repeat(3)]);
    folder.write("grey.png", &support::png(&grey.repeat(3), [3, 2, 3]));
    let data = folder::read(&folder.0, &need(1)).unwrap();
    assert_eq!(bytes(&data), std::slice::from_ref(&grey));
    let coloured = planes(1, [3, 2, 3]).remove(0);
    folder.write("grey.png", &support::png(&coloured, [3, 2, 3]));
    let error = folder::read(&folder.0, &need(1)).unwrap_err();
    assert!(matches!(error, Error::Format { .. }), "{error}");
}

#[test]
fn the_class_is_read_from_the_path() {
    let classes = |names: &[&str]| {
        let folder = Folder::new("classes");
        for name in names {
            folder.write(&format!("{name}.png"), &support::png(&[1, 2], [1, 1, 2]));
        }
        let data = folder::read(&folder.0, &ImageSpec::default());
        data.map(|data| (labels_of(&data).unwrap_or_default(), data.classes.join(" ")))
    };
    let found = |labels: &[u32], names: &str| (labels.to_vec(), names.to_owned());
    let read = |names: &[&str]| classes(names).unwrap();
    assert_eq!(read(&["a/1", "a/2", "b/1"]), found(&[0, 0, 1], "a b"));
    assert_eq!(read(&["001_dog", "002_cat"]), found(&[1, 0], "cat dog"));
    assert_eq!(read(&["10/x", "2/x"]), found(&[1, 0], "2 10"));
    assert_eq!(read(&["1_0002", "3_0001"]), found(&[0, 1], "1 3"));
    assert_eq!(read(&["one", "two"]), found(&[], ""));
    assert!(classes(&["one", "cat_1"]).is_err());
    assert!(classes(&[]).is_err());
}

#[test]
fn the_export_of_cifar_10_is_read() {
    let folder = Folder::new("export");
    let known = planes(2, [3, 32, 32]);
    for part in ["cifar_train", "cifar_test"] {
        for (name, picture) in ["plane_00001", "truck_00000"].iter().zip(&known) {
            let content = support::png(picture, [3, 32, 32]);
            folder.write(&format!("{part}/{name}.png"), &content);
        }
    }
    let data = in_folder(&CIFAR_10, &folder.0).unwrap();
    assert_eq!(bytes(&data.train), known);
    assert_eq!(labels_of(&data.test), Some(vec![0, 9]));
    assert_eq!(data.test.classes[9], "truck");
}

#[test]
fn parquet_files_come_back_upright() {
    let folder = Folder::new("parquet");
    for (shape, name) in [([1, 2, 3], "image"), ([3, 3, 2], "img")] {
        for packing in [
            ParquetCompression::Uncompressed,
            ParquetCompression::Snappy,
            ParquetCompression::Zstd(None),
        ] {
            let known = planes(7, shape);
            let packed: Vec<_> = known
                .iter()
                .map(|planes| support::png(planes, shape))
                .collect();
            let labels: Vec<i64> = (0..7).collect();
            let content = support::parquet(name, &packed[..4], Some(&labels[..4]), packing);
            let first = folder.write("a.parquet", &content);
            let content = support::parquet(name, &packed[4..], Some(&labels[4..]), packing);
            let second = folder.write("b.parquet", &content);
            let data = parquet::read(&[first, second], &ImageSpec::default()).unwrap();
            assert_eq!(data.shape, shape);
            assert_eq!(bytes(&data), known);
            assert_eq!(labels_of(&data), Some((0..7).collect()));
            let content = support::parquet(name, &packed, None, packing);
            let alone = folder.write("c.parquet", &content);
            let data = parquet::read(&[alone], &ImageSpec::default()).unwrap();
            assert_eq!((bytes(&data), labels_of(&data)), (known, None));
        }
    }
}

#[test]
fn both_layouts_of_the_hub_are_read() {
    let shape = [1, 28, 28];
    let known = planes(3, shape);
    let packed: Vec<_> = known
        .iter()
        .map(|planes| support::png(planes, shape))
        .collect();
    let content = |i: usize| {
        let part = &packed[i..i + 1];
        support::parquet("image", part, Some(&[i as i64]), ParquetCompression::Snappy)
    };
    let own = Folder::new("own");
    own.write("mnist/train-00000-of-00002.parquet", &content(0));
    own.write("mnist/train-00001-of-00002.parquet", &content(1));
    own.write("mnist/test-00000-of-00001.parquet", &content(2));
    let made = Folder::new("made");
    made.write("mnist/train/0000.parquet", &content(0));
    made.write("mnist/train/0001.parquet", &content(1));
    made.write("mnist/test/0000.parquet", &content(2));
    for folder in [&own, &made] {
        let data = in_folder(&MNIST, &folder.0).unwrap();
        assert_eq!(bytes(&data.train), known[..2]);
        assert_eq!(labels_of(&data.train), Some(vec![0, 1]));
        assert_eq!(
            (bytes(&data.test), labels_of(&data.test)),
            (known[2..].to_vec(), Some(vec![2]))
        );
    }
    std::fs::remove_file(own.0.join("mnist/train-00000-of-00002.parquet")).unwrap();
    let error = in_folder(&MNIST, &own.0).unwrap_err().to_string();
    assert!(error.contains("1 of 2"), "{error}");
}

/// The labels, where there are some.
fn labels_of(data: &Images) -> Option<Vec<u32>> {
    data.labels.clone()
}

/// A file that `golden/pictures.py` made.
fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

/// The picture of that script: planes of red, green and blue.
fn known_picture() -> Vec<u8> {
    let (rows, columns) = (8usize, 12usize);
    let plane = |pixel: fn(usize, usize) -> usize| {
        (0..rows).flat_map(move |y| (0..columns).map(move |x| pixel(y, x) as u8))
    };
    let blue = |y, x| if y < 4 && x < 4 { 255 } else { 0 };
    plane(|y, _| 16 * y)
        .chain(plane(|_, x| 16 * x))
        .chain(plane(blue))
        .collect()
}

/// Asserts that a picture is the one of the script, up to what JPEG loses.
#[track_caller]
fn is_known(got: &[u8], off: u8) {
    let known = known_picture();
    assert_eq!(got.len(), known.len());
    let most = got
        .iter()
        .zip(&known)
        .map(|(got, known)| got.abs_diff(*known))
        .max();
    assert!(most <= Some(off), "{most:?}");
}

#[test]
fn pictures_are_turned_as_their_notes_say() {
    for turn in 1..=8 {
        let folder = Folder::new("turned");
        let name = format!("turned_{turn}.png");
        folder.write("a.png", &std::fs::read(golden(&name)).unwrap());
        // Alone, beside one that lies right, and where the size is known before.
        folder.write("b.png", &std::fs::read(golden("turned_1.png")).unwrap());
        for shape in [None, Some([3, 8, 12])] {
            let spec = ImageSpec {
                shape,
                ..ImageSpec::default()
            };
            let data = folder::read(&folder.0, &spec).unwrap();
            assert_eq!((data.len(), data.shape), (2, [3, 8, 12]), "{turn}");
            is_known(data.picture(0).unwrap(), 0);
            is_known(data.picture(1).unwrap(), 0);
        }
    }
}

#[test]
#[cfg(feature = "jpeg")]
fn jpeg_is_read_in_folders_and_tables() {
    let folder = Folder::new("jpeg");
    for (i, name) in ["colour.jpg", "progressive.jpg", "turned_6.jpg"]
        .iter()
        .enumerate()
    {
        folder.write(
            &format!("{i}.{}", ["jpg", "JPEG", "jpg"][i]),
            &std::fs::read(golden(name)).unwrap(),
        );
    }
    let data = folder::read(&folder.0, &ImageSpec::default()).unwrap();
    assert_eq!((data.len(), data.shape), (3, [3, 8, 12]));
    (0..3).for_each(|i| is_known(data.picture(i).unwrap(), 6));
    let grey = Folder::new("jpeg-grey");
    grey.write("a.jpg", &std::fs::read(golden("grey.jpg")).unwrap());
    let data = folder::read(&grey.0, &ImageSpec::default()).unwrap();
    assert_eq!(data.shape, [1, 8, 12]);
    let most = data
        .pixels
        .iter()
        .zip(known_picture())
        .map(|(got, known)| got.abs_diff(known))
        .max();
    assert!(most <= Some(2), "{most:?}");
    let data = parquet::read(&[golden("jpeg.parquet")], &ImageSpec::default()).unwrap();
    assert_eq!(data.labels, Some(vec![7, 3]));
    is_known(data.picture(0).unwrap(), 6);
    is_known(data.picture(1).unwrap(), 0);

    // A film behind the picture, in which anything may stand.
    let film = Folder::new("jpeg-film");
    for name in ["colour.jpg", "progressive.jpg", "grey.jpg"] {
        let mut bytes = std::fs::read(golden(name)).unwrap();
        bytes.extend([0, 1, 0xff, 0xda, 2, 3, 0xff]);
        film.write("a.jpg", &bytes);
        assert_eq!(
            folder::read(&film.0, &ImageSpec::default()).unwrap().len(),
            1,
            "{name}"
        );
    }

    // What is no whole picture, or in other colours.
    let cut = Folder::new("jpeg-cut");
    for name in ["colour.jpg", "progressive.jpg", "grey.jpg"] {
        let whole = std::fs::read(golden(name)).unwrap();
        for length in 3..whole.len() {
            cut.write("a.jpg", &whole[..length]);
            let error = folder::read(&cut.0, &ImageSpec::default()).unwrap_err();
            assert!(
                error.to_string().contains("whole and undamaged JPEG"),
                "{name} {length}: {error}"
            );
        }
    }
    cut.write("a.jpg", &std::fs::read(golden("cmyk.jpg")).unwrap());
    let error = folder::read(&cut.0, &ImageSpec::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("save it as PNG"), "{error}");
}

#[test]
fn what_systems_hide_in_folders_is_left_out() {
    let folder = Folder::new("hidden");
    let picture = support::png(&[1, 2], [1, 1, 2]);
    for class in ["a", "b"] {
        folder.write(&format!("{class}/1.png"), &picture);
        folder.write(
            &format!("{class}/._1.png"),
            b"\0\x05\x16\x07 a note of macOS",
        );
    }
    folder.write("._2.png", b"\0\x05\x16\x07");
    folder.write("__MACOSX/a/._1.png", b"\0\x05\x16\x07");
    folder.write(".ipynb_checkpoints/1-checkpoint.png", &picture);
    folder.write("Thumbs.db", b"\xd0\xcf");
    let data = folder::read(&folder.0, &ImageSpec::default()).unwrap();
    assert_eq!((data.len(), data.classes.join(" ")), (2, "a b".to_owned()));
}

#[test]
fn grey_and_colour_stand_side_by_side_in_any_order() {
    let (grey, colour) = (planes(2, [1, 2, 3]), planes(1, [3, 2, 3]).remove(0));
    let files = [
        support::png(&grey[0], [1, 2, 3]),
        support::png(&colour, [3, 2, 3]),
        support::png(&grey[1], [1, 2, 3]),
    ];
    let known = [grey[0].repeat(3), colour, grey[1].repeat(3)];
    for order in [[0, 1, 2], [1, 0, 2], [0, 2, 1]] {
        let folder = Folder::new("mixed");
        for (i, &which) in order.iter().enumerate() {
            folder.write(&format!("{i}.png"), &files[which]);
        }
        let packed = order.map(|i| files[i].clone());
        let table = support::parquet("image", &packed, None, ParquetCompression::Snappy);
        let table = folder.write("all.parquet", &table);
        let known = order.map(|i| known[i].clone());
        let data = folder::read(&folder.0, &ImageSpec::default()).unwrap();
        assert_eq!(
            (data.shape, bytes(&data)),
            ([3, 2, 3], known.to_vec()),
            "{order:?}"
        );
        let data = parquet::read(&[table], &ImageSpec::default()).unwrap();
        assert_eq!(
            (data.shape, bytes(&data)),
            ([3, 2, 3], known.to_vec()),
            "{order:?}"
        );
    }
}

#[test]
fn emnist_is_set_upright_under_its_own_names() {
    let folder = Folder::new("emnist");
    // 2 pictures of 3 columns, each of 2 rows.
    let content = support::idx(&[2051, 2, 3, 2], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    let name = "emnist-letters-train-images-idx3-ubyte";
    for (name, content) in [
        (name.to_owned(), content.clone()),
        (format!("{name}.gz"), support::gzip(&content)),
    ] {
        let path = folder.write(&name, &content);
        let spec = ImageSpec {
            shape: Some([1, 2, 3]),
            ..ImageSpec::default()
        };
        let data = idx::images(&path, &spec).unwrap();
        assert_eq!(data.shape, [1, 2, 3]);
        assert_eq!(bytes(&data), [[1, 3, 5, 2, 4, 6], [7, 9, 11, 8, 10, 12]]);
    }
    let plain = folder.write("train-images-idx3-ubyte", &content);
    let data = idx::images(&plain, &ImageSpec::default()).unwrap();
    assert_eq!((data.shape, data.pixels[1]), ([1, 3, 2], 2));
}

/// A batch of CIFAR-10 as Python 2 pickled it: texts are bytes, and so is the array.
fn python_2(pictures: &[Vec<u8>], labels: &[u8]) -> Vec<u8> {
    let short = |text: &str| [&b"U"[..], &[text.len() as u8], text.as_bytes()].concat();
    let long = |bytes: &[u8]| [&b"T"[..], &(bytes.len() as u32).to_le_bytes(), bytes].concat();
    let list: Vec<u8> = labels.iter().flat_map(|&label| [b'K', label]).collect();
    [
        &b"\x80\x02}q\x01("[..],
        &short("batch_label"),
        &short("training batch 1 of 5"),
        &short("labels"),
        b"]q\x04(",
        &list,
        b"e",
        &short("data"),
        b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85q\x09",
        &short("b"),
        b"\x87Rq\x0a(K\x01K",
        &[labels.len() as u8],
        b"M\x00\x0c\x86cnumpy\ndtype\nq\x0c",
        &short("u1"),
        b"K\x00K\x01\x87Rq\x0d(K\x03",
        &short("|"),
        b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89",
        &long(&pictures.concat()),
        b"tb",
        &short("filenames"),
        b"](",
        &short("a.png"),
        b"eu.",
    ]
    .concat()
}

#[test]
fn the_python_version_of_cifar_10_is_read_and_not_run() {
    let folder = Folder::new("cifar-py");
    let known = planes(12, [3, 32, 32]);
    let labels: Vec<u8> = (0..12).map(|i| i % 10).collect();
    let names = (1..=5).map(|i| format!("data_batch_{i}"));
    for (i, name) in names.chain(["test_batch".into()]).enumerate() {
        let part = 2 * i..2 * i + 2;
        let content = python_2(&known[part.clone()], &labels[part]);
        folder.write(&format!("cifar-10-batches-py/{name}"), &content);
    }
    folder.write("cifar-10-batches-py/batches.meta", b"\x80\x02}.");
    let data = in_folder(&CIFAR_10, &folder.0).unwrap();
    assert_eq!((data.train.len(), data.train.shape), (10, [3, 32, 32]));
    assert_eq!(
        (bytes(&data.train), bytes(&data.test)),
        (known[..10].to_vec(), known[10..].to_vec())
    );
    assert_eq!(labels_of(&data.train), Some((0..10).collect()));
    assert_eq!(data.test.name, "CIFAR-10 (test)");

    // As Python 3 pickles it anew.
    let again = cifar::pickles(&[golden("cifar_batch")], &ImageSpec::default()).unwrap();
    assert_eq!((again.len(), labels_of(&again)), (2, Some(vec![6, 9])));
    assert!(
        again
            .pixels
            .iter()
            .enumerate()
            .all(|(i, &byte)| byte == (i % 251) as u8)
    );

    let good = python_2(&known[..2], &[1, 2]);
    let with = |from: &[u8], to: &[u8]| {
        let at = good
            .windows(from.len())
            .position(|part| part == from)
            .unwrap();
        [&good[..at], to, &good[at + from.len()..]].concat()
    };
    let refused = |content: &[u8], says: &str| {
        let path = folder.write("batch", content);
        let error = cifar::pickles(&[path], &ImageSpec::default()).unwrap_err();
        assert!(matches!(error, Error::Format { .. }), "{error:?}");
        assert!(
            error.to_string().contains(says),
            "{says} is not in: {error}"
        );
    };
    refused(
        &with(b"cnumpy\nndarray", b"cos\nsystem"),
        "a function or class that the pickle names is \"os.system\"",
    );
    refused(&with(b"cnumpy\nndarray", b"cnumpy\nload"), "\"numpy.load\"");
    refused(&with(b"U\x02u1", b"U\x02i1"), "type \"i1\"");
    refused(&with(b"M\x00\x0c", b"M\x01\x0c"), "shape Some([2, 3073])");
    refused(
        &with(b"K\x01K\x02M", b"K\x01K\x03M"),
        "the array `data` is of 6144 bytes",
    );
    refused(&with(b"K\x01K\x02e", b"K\x01Ne"), "a label is None");
    refused(
        &with(b"K\x01K\x02e", b"K\x01e"),
        "the number of labels is 1; it must be 2",
    );
    refused(
        &with(b"U\x04data", b"U\x04date"),
        "with `data` and `labels`",
    );
    refused(&with(b"\x89T", b"\x88T"), "the array `data`");
    refused(&[&good[..], b"."].concat(), "followed by 1 bytes");
    refused(b"<!doctype html>", "a web page");
    refused(&support::gzip(&good), "gzip");
    for length in (1..400).chain(good.len() - 400..good.len()) {
        refused(&good[..length], "cut off");
    }
    let spec = ImageSpec {
        classes: vec!["one".into()],
        ..ImageSpec::default()
    };
    let path = folder.write("batch", &good);
    let error = cifar::pickles(&[path], &spec).unwrap_err().to_string();
    assert!(
        error.contains("row 0: a label is 1; it must be below 1"),
        "{error}"
    );
}

#[test]
fn tables_of_any_integers_and_with_other_columns_are_read() {
    for kind in [
        "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64",
    ] {
        let path = golden(&format!("labels_{kind}.parquet"));
        let data = parquet::read(&[path], &ImageSpec::default()).unwrap();
        assert_eq!(
            (data.len(), labels_of(&data)),
            (2, Some(vec![7, 3])),
            "{kind}"
        );
        is_known(data.picture(1).unwrap(), 0);
    }
    // Columns of types that cannot be read are in nobody's way.
    let data = parquet::read(&[golden("more_columns.parquet")], &ImageSpec::default()).unwrap();
    assert_eq!(labels_of(&data), Some(vec![7, 3]));
    let data = parquet::read(&[golden("plain_bytes.parquet")], &ImageSpec::default()).unwrap();
    is_known(data.picture(0).unwrap(), 0);
}

#[test]
fn what_people_have_instead_of_pictures_is_named() {
    let folder = Folder::new("instead");
    let images = support::idx_images(&planes(1, [1, 2, 3]), 2, 3);
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:4665\nsize 1337\n";
    let twice = support::gzip(&support::gzip(&images));
    for (content, says) in [
        (&lfs[..], "a Git LFS pointer"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (
            &twice,
            "gzip within gzip; it must be an IDX file of pictures; unpack it once with `gunzip`",
        ),
        (&support::gzip(lfs), "a Git LFS pointer"),
        (b"", "cut off"),
        (b"PK\x03\x04 and more than that", "a zip archive"),
    ] {
        let path = folder.write("file", content);
        let error = idx::images(&path, &ImageSpec::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains(says), "{says} is not in: {error}");
    }
    for (content, says) in [
        (&lfs[..], "a Git LFS pointer"),
        (b"<html>", "a web page"),
        (&images, "an IDX file"),
    ] {
        let path = folder.write("file", content);
        let list = std::slice::from_ref(&path);
        for outcome in [
            cifar::records(list, &ImageSpec::default()),
            cifar::pickles(list, &ImageSpec::default()),
            parquet::read(list, &ImageSpec::default()),
        ] {
            let error = outcome.unwrap_err().to_string();
            assert!(
                error.contains(says) && !error.contains("anew"),
                "{says} is not in: {error}"
            );
        }
    }
}
