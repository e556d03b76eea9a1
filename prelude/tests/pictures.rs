//! Files of pictures: known pixels come back from each format, and the published sets are what they should
//! be, where this machine has them.

mod files;

use std::env;
use std::path::{Path, PathBuf};

use files::{Folder, bytes, planes};
use itd_prelude::Error;
use itd_prelude::data::{
    Dataset, Form, cifar, cifar10_in, fashion_mnist_in, idx, mnist_in, parquet, pictures,
};
use itd_prelude::pl::ParquetCompression;
use png::{BitDepth, ColorType};

/// Where Debian's package `dataset-fashion-mnist` puts its files.
const PACKAGE: &str = "/usr/share/datasets/fashion-mnist";

/// The checksum of a picture, from its values.
fn adler32(data: &Dataset, picture: usize) -> u32 {
    let values = data.x.get(picture).unwrap().flatten_all().unwrap();
    let values: Vec<f32> = values.to_vec1().unwrap();
    let bytes = values.iter().map(|value| ((value + 1.0) * 127.5).round());
    let (low, high) = bytes.fold((1, 0), |(low, high): (u32, u32), byte| {
        let low = (low + byte as u32) % 65_521;
        (low, (high + low) % 65_521)
    });
    high << 16 | low
}

fn counts(data: &Dataset) -> [usize; 10] {
    let mut counts = [0; 10];
    for label in labels_of(data).unwrap() {
        counts[usize::from(label)] += 1;
    }
    counts
}

#[test]
fn fashion_mnist_is_the_published_set() {
    if !Path::new(PACKAGE).is_dir() {
        println!("skipped: install dataset-fashion-mnist to run this test");
        return;
    }
    let data = fashion_mnist_in(PACKAGE).unwrap();
    assert_eq!(data.train.x.dims(), [60_000, 1, 28, 28]);
    assert_eq!(data.test.x.dims(), [10_000, 1, 28, 28]);
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
    assert_eq!(data.grid().unwrap().spacing(), 2.0 / 255.0);
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
    let data = idx::labelled(images, labels, &Form::default()).unwrap();
    assert_eq!(data.x.dims(), [10_000, 1, 28, 28]);
    // The same one-liner as above.
    assert_eq!(adler32(&data, 0), 1_518_815_255);
    assert_eq!(adler32(&data, 9_999), 146_973_546);
    let known = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009];
    assert_eq!(counts(&data), known);
}

#[test]
fn idx_files_come_back_upright() {
    let (folder, known) = (Folder::new("idx"), planes(4, [1, 2, 3]));
    let plain = files::idx_images(&known, 2, 3);
    let labels = folder.write("labels", &files::gzip(&files::idx_labels(&[3, 1, 4, 1])));
    for (name, content) in [("plain", plain.clone()), ("packed", files::gzip(&plain))] {
        let images = folder.write(name, &content);
        let data = idx::labelled(&images, &labels, &Form::default()).unwrap();
        assert_eq!(data.x.dims(), [4, 1, 2, 3]);
        assert_eq!(bytes(&data), known);
        assert_eq!(labels_of(&data), Some(vec![3, 1, 4, 1]));
        assert_eq!(data.name, name);
        assert_eq!(
            labels_of(&idx::images(&images, &Form::default()).unwrap()),
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
        let content = files::cifar(&known[part.clone()], &labels[part]);
        folder.write(&format!("cifar-10-batches-bin/{name}"), &content);
    }
    let data = cifar10_in(&folder.0).unwrap();
    assert_eq!(data.train.x.dims(), [10, 3, 32, 32]);
    assert_eq!(bytes(&data.train), known[..10]);
    assert_eq!(bytes(&data.test), known[10..]);
    assert_eq!(labels_of(&data.test), Some(vec![0, 1]));
    assert_eq!(data.test.classes[0], "airplane");
    assert_eq!(data.train.name, "CIFAR-10 (train)");

    // Cut off between two records, a file is shorter than the others.
    let short = files::cifar(&known[..1], &labels[..1]);
    let path = folder.write("cifar-10-batches-bin/data_batch_3.bin", &short);
    let alone = cifar::records(&[path], &Form::default()).unwrap();
    assert_eq!(alone.len(), 1);
    let error = cifar10_in(&folder.0).unwrap_err().to_string();
    assert!(error.contains("data_batch_3.bin, byte 3073"), "{error}");
}

#[test]
fn png_files_come_back_upright() {
    for shape in [[1, 2, 3], [3, 3, 2]] {
        let (folder, known) = (Folder::new(&format!("png-{}", shape[0])), planes(3, shape));
        for (name, picture) in ["cat_2", "ape_1", "cat_1"].iter().zip(&known) {
            folder.write(&format!("{name}.png"), &files::png(picture, shape));
        }
        let data = pictures::folder(&folder.0, &Form::default()).unwrap();
        assert_eq!(data.shape(), shape);
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
        let content = files::png_of(samples, [1, 2], colour, depth, palette);
        folder.write("picture.png", &content);
        let data = pictures::folder(&folder.0, &Form::default()).unwrap();
        assert_eq!((labels_of(&data).is_none(), data.len()), (true, 1));
        (data.shape()[0], bytes(&data).concat())
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
    folder.write("grey.png", &files::png(&grey, [1, 2, 3]));
    let need = |channels| Form {
        shape: Some([channels, 2, 3]),
        ..Form::default()
    };
    let data = pictures::folder(&folder.0, &need(3)).unwrap();
    assert_eq!(bytes(&data), [grey.repeat(3)]);
    folder.write("grey.png", &files::png(&grey.repeat(3), [3, 2, 3]));
    let data = pictures::folder(&folder.0, &need(1)).unwrap();
    assert_eq!(bytes(&data), std::slice::from_ref(&grey));
    let coloured = planes(1, [3, 2, 3]).remove(0);
    folder.write("grey.png", &files::png(&coloured, [3, 2, 3]));
    let error = pictures::folder(&folder.0, &need(1)).unwrap_err();
    assert!(matches!(error, Error::Format { .. }), "{error}");
}

#[test]
fn the_class_is_read_from_the_path() {
    let classes = |names: &[&str]| {
        let folder = Folder::new("classes");
        for name in names {
            folder.write(&format!("{name}.png"), &files::png(&[1, 2], [1, 1, 2]));
        }
        let data = pictures::folder(&folder.0, &Form::default());
        data.map(|data| (labels_of(&data).unwrap_or_default(), data.classes.join(" ")))
    };
    let found = |labels: &[u8], names: &str| (labels.to_vec(), names.to_owned());
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
            let content = files::png(picture, [3, 32, 32]);
            folder.write(&format!("{part}/{name}.png"), &content);
        }
    }
    let data = cifar10_in(&folder.0).unwrap();
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
                .map(|planes| files::png(planes, shape))
                .collect();
            let labels: Vec<i64> = (0..7).collect();
            let content = files::parquet(name, &packed[..4], Some(&labels[..4]), packing);
            let first = folder.write("a.parquet", &content);
            let content = files::parquet(name, &packed[4..], Some(&labels[4..]), packing);
            let second = folder.write("b.parquet", &content);
            let data = parquet::read(&[first, second], &Form::default()).unwrap();
            assert_eq!(data.shape(), shape);
            assert_eq!(bytes(&data), known);
            assert_eq!(labels_of(&data), Some((0..7).collect()));
            let content = files::parquet(name, &packed, None, packing);
            let alone = folder.write("c.parquet", &content);
            let data = parquet::read(&[alone], &Form::default()).unwrap();
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
        .map(|planes| files::png(planes, shape))
        .collect();
    let content = |i: usize| {
        let part = &packed[i..i + 1];
        files::parquet("image", part, Some(&[i as i64]), ParquetCompression::Snappy)
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
        let data = mnist_in(&folder.0).unwrap();
        assert_eq!(bytes(&data.train), known[..2]);
        assert_eq!(labels_of(&data.train), Some(vec![0, 1]));
        assert_eq!(
            (bytes(&data.test), labels_of(&data.test)),
            (known[2..].to_vec(), Some(vec![2]))
        );
    }
    std::fs::remove_file(own.0.join("mnist/train-00000-of-00002.parquet")).unwrap();
    let error = mnist_in(&own.0).unwrap_err().to_string();
    assert!(error.contains("1 of 2"), "{error}");
}

/// The labels as the files have them.
fn labels_of(data: &Dataset) -> Option<Vec<u8>> {
    let labels = data.labels().ok()?;
    Some(labels.iter().map(|&label| label as u8).collect())
}
