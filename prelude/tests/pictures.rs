//! The published data sets, where this machine has them.

use std::env;
use std::path::{Path, PathBuf};

use itd_prelude::data::{Dataset, Form, fashion_mnist_in, idx};

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
    for &label in data.labels.as_ref().unwrap() {
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
    let first = &data.train.labels.as_ref().unwrap()[..10];
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
