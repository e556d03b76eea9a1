//! Broken and hostile files of pictures: each is refused with an error that names the file and the place.

mod support;

use std::path::{Path, PathBuf};

use itd_files::images::published::{CIFAR_10, MNIST, in_folder};
use itd_files::images::{ImageSpec, Images, cifar, folder, idx, parquet};
use itd_files::{Error, Result};
use polars::prelude::{IntoColumn as _, NamedFrom as _, ParquetCompression, Series};
use support::{Folder, named, planes};

/// What pictures of 2×3 pixels in three classes must be like.
fn small() -> ImageSpec {
    ImageSpec {
        shape: Some([1, 2, 3]),
        classes: ["a", "b", "c"].map(String::from).to_vec(),
    }
}

/// Asserts that a file is refused, by an error that names it and says where; gives the text.
#[track_caller]
fn refused(path: &Path, outcome: Result<Images>) -> String {
    let error = match outcome {
        Ok(data) => panic!(
            "{} was read: {:?}",
            path.display(),
            (data.len(), data.shape)
        ),
        Err(error) => error,
    };
    assert!(matches!(error, Error::Format { .. }), "{error:?}");
    let text = error.to_string();
    let place = ["byte ", "row ", "as a whole"]
        .iter()
        .any(|place| text.contains(place));
    assert!(text.contains(&named(path)) && place, "{text}");
    text
}

/// Refuses every beginning of a file, and what is longer than it.
fn every_cut(folder: &Folder, name: &str, whole: &[u8], read: impl Fn(&PathBuf) -> Result<Images>) {
    let path = folder.write(name, whole);
    read(&path).expect("the whole file is good");
    for length in 0..whole.len() {
        let path = folder.write(name, &whole[..length]);
        refused(&path, read(&path));
    }
}

#[test]
fn idx_files_that_were_cut_off() {
    let folder = Folder::new("cut-idx");
    let known = planes(3, [1, 2, 3]);
    let (images, labels) = (
        support::idx_images(&known, 2, 3),
        support::idx_labels(&[0, 1, 2]),
    );
    let good = (
        folder.write("images", &images),
        folder.write("labels", &labels),
    );
    let form = small();
    for packed in [false, true] {
        let pack = |bytes: &[u8]| match packed {
            true => support::gzip(bytes),
            false => bytes.to_vec(),
        };
        every_cut(&folder, "cut-images", &pack(&images), |path| {
            idx::labelled(path, &good.1, &form)
        });
        every_cut(&folder, "cut-labels", &pack(&labels), |path| {
            idx::labelled(&good.0, path, &form)
        });
        let longer = folder.write("longer", &pack(&[&images[..], &[0]].concat()));
        refused(&longer, idx::labelled(&longer, &good.1, &form));
    }
    // Behind the packed data.
    let longer = folder.write("longer", &[support::gzip(&images), vec![0]].concat());
    refused(&longer, idx::labelled(&longer, &good.1, &form));
}

#[test]
fn idx_headers_that_are_wrong() {
    let folder = Folder::new("headers");
    let labels = folder.write("labels", &support::idx_labels(&[0, 1, 2]));
    let pixels = planes(3, [1, 2, 3]).concat();
    let says = |numbers: [u32; 4], part: &str| {
        for pack in [<[u8]>::to_vec, support::gzip] {
            let images = folder.write("images", &pack(&support::idx(&numbers, &pixels)));
            let text = refused(&images, idx::images(&images, &small()));
            assert!(text.contains(part), "{part} is not in: {text}");
        }
    };
    says(
        [2049, 3, 2, 3],
        "byte 0: the magic number is 2049 (labels); it must be 2051",
    );
    says(
        [0x1f8c_0000, 3, 2, 3],
        "byte 0: the file is something that begins with",
    );
    says([0x0d03, 3, 2, 3], "3331 (an IDX file of another kind)");
    says(
        [2051, 0, 2, 3],
        "byte 4: the number of pictures is 0; it must be at least 1",
    );
    says([2051, 3, 0, 3], "byte 8: the height of a picture is 0");
    says([2051, 3, 2, 0], "byte 12: the width of a picture is 0");
    says(
        [2051, 1 << 31, 2, 3],
        "12884901904 bytes, as its header says",
    );
    says([2051, u32::MAX, u32::MAX, u32::MAX], "the header is wrong");
    says(
        [2051, 3, 3, 2],
        "byte 8: the size of a picture is 3 × 2 in grey; it must be 2 × 3",
    );

    let images = folder.write("images", &support::idx(&[2051, 3, 2, 3], &pixels));
    let says = |content: &[u8], part: &str| {
        folder.write("labels", content);
        let text = refused(&labels, idx::labelled(&images, &labels, &small()));
        assert!(text.contains(part), "{part} is not in: {text}");
    };
    says(
        &support::idx_labels(&[0, 1, 3]),
        "byte 10: a label is 3; it must be below 3",
    );
    says(
        &support::idx_labels(&[0, 1]),
        "byte 4: the number of labels is 2; it must be 3",
    );
    says(
        &support::idx_labels(&[0; 4]),
        "byte 4: the number of labels is 4; it must be 3",
    );
    says(&support::idx(&[2051, 3], &[0; 3]), "2051 (pictures)");
    says(&support::idx(&[2049, 0], &[]), "the number of labels is 0");
    says(&support::idx(&[2049, 1 << 31], &[0; 3]), "byte 4: the file");
}

#[test]
fn gzip_that_grows_without_end() {
    let folder = Folder::new("bomb");
    let zeros = vec![0; 64 << 20];
    // One picture is promised, and 64 MB follow.
    let bomb = support::gzip(&support::idx(&[2051, 1, 2, 3], &zeros));
    let path = folder.write("bomb", &bomb);
    let text = refused(&path, idx::images(&path, &small()));
    assert!(
        text.contains("byte 22: the file is longer than its header says"),
        "{text}"
    );
    // More is promised than so small a file can become.
    let path = folder.write(
        "bomb",
        &support::gzip(&support::idx(&[2051, 1 << 31, 2, 3], &[])),
    );
    let text = refused(&path, idx::images(&path, &small()));
    assert!(text.contains("gzip that holds"), "{text}");
}

#[test]
fn cifar_records_that_are_wrong() {
    let folder = Folder::new("bad-cifar");
    let known = planes(2, [3, 32, 32]);
    let whole = support::cifar(&known, &[9, 1]);
    let form = ImageSpec {
        shape: Some([3, 32, 32]),
        classes: (0..10).map(|i| i.to_string()).collect(),
    };
    let read = |path: &PathBuf| cifar::records(std::slice::from_ref(path), &form);
    let path = folder.write("batch.bin", &whole);
    read(&path).unwrap();
    // All cuts but the one between the two records, which leaves a good file.
    for length in (0..3073).chain(3074..6146) {
        let path = folder.write("batch.bin", &whole[..length]);
        let text = refused(&path, read(&path));
        let start = length / 3073 * 3073;
        assert!(text.contains(&format!("byte {start}:")), "{length}: {text}");
    }
    let path = folder.write("batch.bin", &support::cifar(&known, &[9, 10]));
    let text = refused(&path, read(&path));
    assert!(
        text.contains("byte 3073: a label is 10; it must be below 10"),
        "{text}"
    );
    let path = folder.write("batch.bin", &support::gzip(&whole));
    refused(&path, read(&path));
    let grey = ImageSpec {
        shape: Some([1, 28, 28]),
        ..ImageSpec::default()
    };
    refused(&path, cifar::records(std::slice::from_ref(&path), &grey));
    assert!(matches!(
        cifar::records(&[], &form),
        Err(Error::Empty { .. })
    ));
}

#[test]
fn png_files_that_were_cut_off() {
    let folder = Folder::new("cut-png");
    let shape = [3, 4, 5];
    let whole = support::png(&planes(1, shape)[0], shape);
    every_cut(&folder, "cut.png", &whole, |path| {
        folder::read(path.parent().unwrap(), &ImageSpec::default())
    });
}

#[test]
fn png_files_that_are_wrong() {
    let read = |contents: &[(&str, &[u8])], form: &ImageSpec, part: &str| {
        let folder = Folder::new("bad-png");
        let paths: Vec<_> = contents
            .iter()
            .map(|(name, bytes)| folder.write(name, bytes))
            .collect();
        let text = refused(paths.last().unwrap(), folder::read(&folder.0, form));
        assert!(text.contains(part), "{part} is not in: {text}");
    };
    let any = ImageSpec::default();
    let grey = support::png(&[1, 2, 3, 4, 5, 6], [1, 2, 3]);
    let other = support::png(&[1, 2, 3, 4, 5, 6], [1, 3, 2]);
    let colour = support::png(&planes(1, [3, 2, 3])[0], [3, 2, 3]);
    let sizes = "byte 16: the size of a picture is 3 × 2 in grey; it must be 2 × 3 in grey";
    read(&[("a.png", &grey), ("b.png", &other)], &any, sizes);
    read(&[("a_1.png", &other)], &small(), sizes);
    let one_grey = ImageSpec {
        shape: Some([1, 2, 3]),
        ..any.clone()
    };
    read(
        &[("a.png", &grey), ("b.png", &colour)],
        &one_grey,
        "in colour",
    );
    let text =
        "byte 0: the picture is text that begins with \"no picture at al\"; it must be PNG or JPEG";
    read(&[("a.png", b"no picture at all")], &any, text);
    read(&[("a.png", b"")], &any, "byte 0: the picture is empty");
    read(
        &[("a.png", b"version https://git-lfs.github.com/spec/v1\n")],
        &any,
        "a Git LFS pointer",
    );
    read(&[("d_1.png", &grey)], &small(), "one of a, b, c");
    read(&[("1.png", &grey)], &small(), "none");
    read(&[("a_1.png", &grey), ("b.png", &grey)], &any, "the class");
    // A palette of one colour and a third.
    let bits = [0b0001_1011];
    let mut palette = support::png_of(
        &bits,
        [1, 4],
        png::ColorType::Indexed,
        png::BitDepth::Two,
        Some(&[7; 12]),
    );
    let at = palette.windows(4).position(|part| part == b"PLTE").unwrap();
    palette[at - 1] = 4;
    palette.drain(at + 8..at + 16);
    let mut check = flate2::Crc::new();
    check.update(&palette[at..at + 8]);
    palette[at + 8..at + 12].copy_from_slice(&check.sum().to_be_bytes());
    read(&[("a.png", &palette)], &any, "unreadable");
    // A header that claims 2³¹ − 1 columns, with a checksum that is right.
    let mut huge = grey.clone();
    huge[16..20].copy_from_slice(&0x7fff_ffffu32.to_be_bytes());
    let mut check = flate2::Crc::new();
    check.update(&huge[12..29]);
    huge[29..33].copy_from_slice(&check.sum().to_be_bytes());
    read(
        &[("a.png", &huge)],
        &any,
        "4294967294 bytes; it must be at most 75336 bytes, for what its file holds",
    );
    read(&[("a_1.png", &huge)], &small(), "it must be 2 × 3 in grey");
}

#[test]
fn parquet_files_that_were_cut_off() {
    let shape = [1, 2, 3];
    let packed: Vec<_> = planes(4, shape)
        .iter()
        .map(|p| support::png(p, shape))
        .collect();
    for packing in [ParquetCompression::Uncompressed, ParquetCompression::Snappy] {
        let folder = Folder::new("cut-parquet");
        let whole = support::parquet("image", &packed, Some(&[0, 1, 2, 0]), packing);
        every_cut(&folder, "cut.parquet", &whole, |path| {
            parquet::read(std::slice::from_ref(path), &small())
        });
    }
}

#[test]
fn parquet_files_that_are_wrong() {
    let folder = Folder::new("bad-parquet");
    let read = |content: Vec<u8>, form: &ImageSpec, part: &str| {
        let path = folder.write("table.parquet", &content);
        let text = refused(&path, parquet::read(std::slice::from_ref(&path), form));
        assert!(text.contains(part), "{part} is not in: {text}");
    };
    let snappy = ParquetCompression::Snappy;
    let shape = [1, 2, 3];
    let good: Vec<_> = planes(2, shape)
        .iter()
        .map(|p| support::png(p, shape))
        .collect();
    let with = |name: &str, second: &[u8], labels: &[i64]| {
        let pictures = [good[0].clone(), second.to_vec()];
        support::parquet(name, &pictures, Some(labels), snappy)
    };
    read(
        with("image", b"no picture", &[0, 1]),
        &small(),
        "row 1: the picture is text that begins with \"no picture\"",
    );
    read(
        with("image", &good[1][..50], &[0, 1]),
        &small(),
        "row 1: the picture",
    );
    let other = support::png(&[0; 6], [1, 3, 2]);
    read(
        with("image", &other, &[0, 1]),
        &small(),
        "row 1: the size of a picture is 3 × 2",
    );
    read(
        with("image", &other, &[0, 1]),
        &ImageSpec::default(),
        "row 1: the size of a picture is 3 × 2",
    );
    read(
        with("image", &good[1], &[0, 3]),
        &small(),
        "row 1: a label is 3",
    );
    read(
        with("image", &good[1], &[-1, 0]),
        &ImageSpec::default(),
        "row 0: a label is -1",
    );
    read(
        with("image", &good[1], &[0, 1 << 32]),
        &ImageSpec::default(),
        "row 1: a label is 4294967296",
    );
    read(
        with("photo", &good[1], &[0, 1]),
        &small(),
        "a column `image` or `img`",
    );
    read(
        support::parquet("image", &good, None, snappy),
        &small(),
        "the number of labels is 0",
    );
    read(
        support::parquet("image", &[], Some(&[]), snappy),
        &small(),
        "0",
    );
    let column = Series::new("image".into(), [1i64, 2]).into_column();
    read(
        support::table(vec![column], snappy),
        &small(),
        "the type of the columns is i64",
    );
    read(
        b"no table, but more than twelve bytes".to_vec(),
        &small(),
        "byte 0",
    );
    read(
        b"PAR1\x01\x02\x03\x04\xff\xff\xff\x7fPAR1".to_vec(),
        &small(),
        "byte 8: the table is a footer of 2147483647 bytes",
    );
    assert!(matches!(
        parquet::read(&[], &small()),
        Err(Error::Empty { .. })
    ));
}

#[test]
fn what_is_no_file_is_said() {
    let folder = Folder::new("no-file");
    let path = &folder.0;
    let list = std::slice::from_ref(path);
    let any = ImageSpec::default();
    let outcomes = [
        idx::images(path, &any),
        cifar::records(list, &any),
        parquet::read(list, &any),
        folder::read(path.join("none"), &any),
    ];
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert!(matches!(error, Error::File { .. }), "{error}");
        assert!(error.to_string().contains(&named(path)), "{error}");
    }
    assert!(matches!(
        folder::read(path, &any),
        Err(Error::Missing { .. })
    ));
    assert!(matches!(
        in_folder(&MNIST, path),
        Err(Error::Missing { .. })
    ));
    assert!(matches!(
        in_folder(&CIFAR_10, &path.join("none")),
        Err(Error::Missing { .. })
    ));
}

#[test]
fn a_set_that_is_not_whole_is_refused() {
    let folder = Folder::new("partly");
    let known = planes(2, [1, 28, 28]);
    support::write_idx_set(&folder, "mnist", &known, &[1, 2]);
    assert_eq!(in_folder(&MNIST, &folder.0).unwrap().train.len(), 2);
    std::fs::remove_file(folder.0.join("mnist/t10k-labels-idx1-ubyte")).unwrap();
    let error = in_folder(&MNIST, &folder.0).unwrap_err().to_string();
    assert!(error.contains("lacks t10k-labels-idx1-ubyte"), "{error}");
    support::write_idx_set(&folder, "mnist", &known, &[1, 10]);
    let error = in_folder(&MNIST, &folder.0).unwrap_err().to_string();
    assert!(error.contains("byte 9: a label is 10"), "{error}");
    support::write_idx_set(&folder, "mnist", &known, &[1]);
    let error = in_folder(&MNIST, &folder.0).unwrap_err().to_string();
    assert!(
        error.contains("the number of labels is 1; it must be 2"),
        "{error}"
    );
}
