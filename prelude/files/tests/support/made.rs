//! Small files of pictures in each format, made from known pixels. The science's tests use them too.

// Each test takes what it needs of these.
#![allow(dead_code)]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::{Compression, write::GzEncoder};
use png::{BitDepth, ColorType, Encoder};
use polars::prelude::{
    BinaryChunked, DataFrame, IntoColumn as _, IntoSeries as _, NamedFrom as _,
    NewChunkedArray as _, ParquetCompression, ParquetWriter, Series, StructChunked,
};

/// A folder that goes away with the value.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("itd-files-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Writes a file, making the folders on the way to it.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Pictures without any symmetry, in the order of the tensor: channels, rows, columns.
pub fn planes(count: usize, [channels, height, width]: [usize; 3]) -> Vec<Vec<u8>> {
    let byte = |i, c, y, x| ((i * 89 + c * 61 + y * 17 + x * 5 + y * x) % 256) as u8;
    let picture = |i| {
        let rows = (0..channels).flat_map(move |c| (0..height).map(move |y| (c, y)));
        rows.flat_map(move |(c, y)| (0..width).map(move |x| byte(i, c, y, x)))
            .collect()
    };
    (0..count).map(picture).collect()
}

pub fn idx(numbers: &[u32], bytes: &[u8]) -> Vec<u8> {
    let head = numbers.iter().flat_map(|number| number.to_be_bytes());
    head.chain(bytes.iter().copied()).collect()
}

pub fn idx_images(pictures: &[Vec<u8>], height: usize, width: usize) -> Vec<u8> {
    let numbers = [2051, pictures.len() as u32, height as u32, width as u32];
    idx(&numbers, &pictures.concat())
}

pub fn idx_labels(labels: &[u8]) -> Vec<u8> {
    idx(&[2049, labels.len() as u32], labels)
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

pub fn cifar(pictures: &[Vec<u8>], labels: &[u8]) -> Vec<u8> {
    let records = labels.iter().zip(pictures);
    records
        .flat_map(|(label, bytes)| [&[*label][..], bytes].concat())
        .collect()
}

/// PNG of samples in the order of the file: rows, columns, channels.
pub fn png_of(
    samples: &[u8],
    size: [usize; 2],
    colour: ColorType,
    depth: BitDepth,
    palette: Option<&[u8]>,
) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, size[1] as u32, size[0] as u32);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    if let Some(palette) = palette {
        encoder.set_palette(palette.to_vec());
    }
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(samples).unwrap();
    writer.finish().unwrap();
    file
}

/// PNG of 8 bits a channel from planes.
pub fn png(planes: &[u8], [channels, height, width]: [usize; 3]) -> Vec<u8> {
    let size = height * width;
    let pixels: Vec<u8> = (0..size)
        .flat_map(|at| (0..channels).map(move |c| planes[c * size + at]))
        .collect();
    let colour = match channels {
        1 => ColorType::Grayscale,
        _ => ColorType::Rgb,
    };
    png_of(&pixels, [height, width], colour, BitDepth::Eight, None)
}

/// A table of one column of structs `{bytes, path}`, and one of labels.
pub fn parquet(
    name: &str,
    pictures: &[Vec<u8>],
    labels: Option<&[i64]>,
    packing: ParquetCompression,
) -> Vec<u8> {
    let bytes = BinaryChunked::from_slice("bytes".into(), pictures).into_series();
    let paths = vec!["picture.png"; pictures.len()];
    let paths = Series::new("path".into(), paths);
    let fields = [bytes, paths];
    let structs = StructChunked::from_series(name.into(), pictures.len(), fields.iter()).unwrap();
    let mut columns = vec![structs.into_series().into_column()];
    columns.extend(labels.map(|labels| Series::new("label".into(), labels).into_column()));
    table(columns, packing)
}

pub fn table(columns: Vec<polars::prelude::Column>, packing: ParquetCompression) -> Vec<u8> {
    let mut frame = DataFrame::new_infer_height(columns).unwrap();
    let mut file = Vec::new();
    ParquetWriter::new(&mut file)
        .with_compression(packing)
        .with_row_group_size(Some(3))
        .finish(&mut frame)
        .unwrap();
    file
}

/// Both parts of a set in IDX files.
pub fn write_idx_set(folder: &Folder, below: &str, pictures: &[Vec<u8>], labels: &[u8]) {
    for part in ["train", "t10k"] {
        let images = gzip(&idx_images(pictures, 28, 28));
        folder.write(&format!("{below}/{part}-images.idx3-ubyte.gz"), &images);
        let labels = idx_labels(labels);
        folder.write(&format!("{below}/{part}-labels-idx1-ubyte"), &labels);
    }
}

pub fn named(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}
