//! How much memory the readers of pictures and checkpoints take, from good files and from broken ones. A test of its own,
//! because it counts what each thread allocates.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use itd_files::candle::Device;
use itd_files::checkpoint::{Checkpoint, DType};
use itd_files::images::{ImageSpec, Images, cifar, folder, idx, parquet};
use itd_files::table::Format;
use itd_files::{Error, Result};
use polars::prelude::ParquetCompression;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha12Rng as Rng;
use support::pickled::{golden_bytes, one as pickle_of_one, storage, tensor};
use support::{Folder, pickled, planes};

/// The system's allocator, which counts the bytes in use by each thread.
struct Counting;

thread_local! {
    static IN_USE: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn grown(bytes: isize) {
    // A thread that ends allocates when its own values are gone already.
    let _ = IN_USE.try_with(|in_use| {
        in_use.set(in_use.get() + bytes);
        let _ = MOST.try_with(|most| most.set(most.get().max(in_use.get())));
    });
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grown(layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        grown(-(layout.size() as isize));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that `work` had in use at a time, beyond those before it.
fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = IN_USE.get();
    MOST.set(before);
    let result = work();
    (result, (MOST.get() - before) as usize)
}

/// Asserts that the memory stayed below that of the tensor that the pixels become.
#[track_caller]
fn below_a_tensor(read: impl FnOnce() -> Result<Images>) {
    let (data, most) = peak(|| read().unwrap());
    let ratio = most as f64 / data.pixels.len() as f64;
    println!(
        "{}: {ratio:.3} times {} of {:?}",
        data.name,
        data.len(),
        data.shape
    );
    assert!((1.0..4.0).contains(&ratio), "{ratio}");
}

#[test]
fn sixty_thousand_pictures_take_little_more_than_their_pixels() {
    let folder = Folder::new("memory-idx");
    let known = vec![planes(1, [1, 28, 28]).remove(0); 60_000];
    let plain = support::idx_images(&known, 28, 28);
    let labels = folder.write("labels", &support::idx_labels(&[3; 60_000]));
    for (name, content) in [("plain", plain.clone()), ("packed", support::gzip(&plain))] {
        let images = folder.write(name, &content);
        below_a_tensor(|| idx::labelled(&images, &labels, &ImageSpec::default()));
    }
}

#[test]
fn the_other_formats_take_less_than_a_tensor_does() {
    let folder = Folder::new("memory-others");
    let shape = [3, 32, 32];
    let noise = |seed| {
        let mut rng = Rng::seed_from_u64(seed);
        (0..3072).map(|_| rng.random()).collect::<Vec<u8>>()
    };
    let known: Vec<Vec<u8>> = (0..500).map(noise).collect();
    let batch = folder.write("batch.bin", &support::cifar(&known, &[1; 500]));
    below_a_tensor(|| cifar::records(&[batch], &ImageSpec::default()));
    // Noise does not pack, so that these files are as large as such can be.
    let packed: Vec<_> = known
        .iter()
        .map(|planes| support::png(planes, shape))
        .collect();
    let table = support::parquet("img", &packed, Some(&[1; 500]), ParquetCompression::Snappy);
    let table = folder.write("table.parquet", &table);
    below_a_tensor(|| parquet::read(&[table], &ImageSpec::default()));
    for (i, picture) in packed.iter().enumerate() {
        folder.write(&format!("pictures/cat_{i}.png"), picture);
    }
    below_a_tensor(|| folder::read(folder.0.join("pictures"), &ImageSpec::default()));
}

/// Loads all tensors of a checkpoint and keeps them; the most memory in use, by the length of the file.
fn loading(path: &Path) -> f64 {
    let length = fs::metadata(path).unwrap().len();
    let (tensors, most) = peak(|| {
        let file = Checkpoint::open(path).unwrap();
        let names = file.entries().iter().map(|entry| &entry.name);
        let tensors: Result<Vec<_>> = names.map(|name| file.tensor(name, &Device::Cpu)).collect();
        tensors.unwrap()
    });
    let values: usize = tensors.iter().map(|tensor| tensor.elem_count()).sum();
    assert_eq!(values, 50_000_000);
    most as f64 / length as f64
}

#[test]
fn two_hundred_megabytes_of_weights_take_that_and_little_more() {
    let folder = Folder::new("memory-checkpoint");
    // As one tensor, which could be in memory twice, and as fifty.
    for count in [1, 50] {
        let values = 50_000_000 / count;
        let bytes = vec![0; 4 * values];
        let names: Vec<String> = (0..count).map(|i| format!("layer.{i}.weight")).collect();
        let infos = names.iter().enumerate().map(|(i, name)| {
            let (from, to) = (i * bytes.len(), (i + 1) * bytes.len());
            format!("\"{name}\":{{\"dtype\":\"F32\",\"shape\":[{values}],\"data_offsets\":[{from},{to}]}}")
        });
        let header = format!("{{{}}}", infos.collect::<Vec<_>>().join(","));
        let path = folder.write("weights.safetensors", &pickled::safetensors(&header, &[]));
        let mut file = fs::File::options().append(true).open(&path).unwrap();
        (0..count).for_each(|_| file.write_all(&bytes).unwrap());
        let ratio = loading(&path);
        println!("safetensors, {count} tensors: {ratio:.4} times the file");
        assert!((1.0..1.2).contains(&ratio), "{ratio}");
        fs::remove_file(path).unwrap();

        let keys: Vec<String> = (0..count).map(|i| i.to_string()).collect();
        let entries: Vec<(&str, Vec<u8>)> = names
            .iter()
            .zip(&keys)
            .map(|(name, key)| {
                let values = values as i64;
                let storage = storage("FloatStorage", key, values);
                (name.as_str(), tensor(&storage, 0, &[values], &[1]))
            })
            .collect();
        let program = pickled::pickle(&pickled::dict(&entries));
        let storages: Vec<(&str, &[u8])> =
            keys.iter().map(|key| (key.as_str(), &bytes[..])).collect();
        let path = folder.write("weights.pt", &pickled::archive(&program, &storages));
        let ratio = loading(&path);
        println!("pickle, {count} tensors: {ratio:.4} times the file");
        assert!((1.0..1.2).contains(&ratio), "{ratio}");
    }
}

#[test]
fn a_header_asks_for_no_memory() {
    let folder = Folder::new("memory-header");
    for pack in [<[u8]>::to_vec, support::gzip] {
        let content = pack(&support::idx(&[2051, 1 << 31, 28, 28], &[7; 84]));
        let path = folder.write("images", &content);
        let (outcome, most) = peak(|| idx::images(&path, &ImageSpec::default()));
        assert!(matches!(outcome, Err(Error::Format { .. })));
        assert!(most < 1 << 18, "{most} bytes");
    }
}

/// How many broken files each reader gets: `ITD_FUZZ_ROUNDS`, else 1000, some seconds for all.
fn rounds() -> u64 {
    let rounds = std::env::var("ITD_FUZZ_ROUNDS").ok();
    rounds.and_then(|text| text.parse().ok()).unwrap_or(1000)
}

/// The number of the first file, which makes its changes: `ITD_FUZZ_FIRST`, else 1.
fn first_round() -> u64 {
    let round = std::env::var("ITD_FUZZ_FIRST").ok();
    round.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Changes a few bytes of a file, or its length.
fn mutate(file: &mut Vec<u8>, rng: &mut Rng) {
    const NUMBERS: [u32; 8] = [
        0,
        1,
        0x7f,
        0xff,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_fffe,
        u32::MAX,
    ];
    for _ in 0..rng.random_range(1..5) {
        let length = file.len();
        if length == 0 {
            file.push(rng.random());
            continue;
        }
        let at = rng.random_range(0..length);
        match rng.random_range(0..10) {
            0 => file[at] ^= 1 << rng.random_range(0..8),
            1 => file[at] = rng.random(),
            2 => file[at] = file[at].wrapping_add(1),
            3 => file.truncate(at),
            4 => file.insert(at, rng.random()),
            5 => drop(file.drain(at..length.min(at + rng.random_range(1..9)))),
            6 => {
                let part = file[at..length.min(at + rng.random_range(1..40))].to_vec();
                let to = rng.random_range(0..length);
                file.splice(to..to, part);
            }
            // 2³¹ − 1 in groups of seven bits, as parquet's footer has its numbers, and a list of as many.
            7 => {
                let long = [0xfc, 0xff, 0xff, 0xff, 0xff, 0x07];
                let from = rng.random_range(0..2);
                file.splice(at..at + 1, long[from..].iter().copied());
            }
            kind => {
                let number = NUMBERS[rng.random_range(0..NUMBERS.len())];
                let bytes = match kind {
                    8 => number.to_be_bytes(),
                    _ => number.to_le_bytes(),
                };
                for (to, byte) in file[at..].iter_mut().zip(bytes) {
                    *to = byte;
                }
            }
        }
    }
}

/// Makes the checksums of a PNG file right again, so that broken chunks are not refused for theirs.
fn with_checksums(file: &mut [u8]) {
    let mut at = 8;
    while at + 12 <= file.len() {
        let length = u32::from_be_bytes([file[at], file[at + 1], file[at + 2], file[at + 3]]);
        let end = at + 8 + length as usize;
        if end + 4 > file.len() {
            return;
        }
        let mut check = flate2::Crc::new();
        check.update(&file[at + 4..end]);
        file[end..end + 4].copy_from_slice(&check.sum().to_be_bytes());
        at = end + 4;
    }
}

/// What a reader of pictures may take: three times the pixels, 1032 times the file at most, and what the libraries
/// always take.
fn of_pictures(length: usize) -> usize {
    3 * 1032 * length + (16 << 20)
}

/// Reads broken copies of good files: each is read or refused, within the memory that its size
/// allows. `read` gives how much it has read. A panic fails the test; the file stays in the folder then, and the round names the seed.
fn fuzz(
    name: &str,
    seeds: &[Vec<u8>],
    mend: impl Fn(&mut Vec<u8>, &mut Rng),
    allowed: impl Fn(usize) -> usize,
    read: impl Fn(&PathBuf) -> Result<usize>,
) {
    let folder = Folder::new(&format!("fuzz-{name}"));
    let path = folder.write(name, &seeds[0]);
    for seed in seeds {
        fs::write(&path, seed).unwrap();
        read(&path).expect("the files to break are good");
    }
    let (mut read_well, rounds, mut largest) = (0, rounds(), 0.0f64);
    for round in first_round()..first_round().saturating_add(rounds) {
        let mut rng = Rng::seed_from_u64(round);
        let mut file = seeds[rng.random_range(0..seeds.len())].clone();
        mutate(&mut file, &mut rng);
        mend(&mut file, &mut rng);
        // Some systems wait for the disk when a file is written over.
        fs::remove_file(&path).unwrap();
        fs::write(&path, &file).unwrap();
        let (outcome, most) =
            peak(|| std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| read(&path))));
        let Ok(outcome) = outcome else {
            let kept = std::env::temp_dir().join(format!("panic-{name}-{round}"));
            fs::write(&kept, &file).unwrap();
            panic!("round {round} panicked; its file is {}", kept.display());
        };
        let allowed = allowed(file.len());
        largest = largest.max(most as f64 / allowed as f64);
        if most > allowed {
            let kept = std::env::temp_dir().join(format!("memory-{name}-{round}"));
            fs::write(&kept, &file).unwrap();
            panic!(
                "round {round} took {most} bytes, {allowed} allowed; see {}",
                kept.display()
            );
        }
        match outcome {
            Ok(count) => {
                read_well += 1;
                assert!(count > 0);
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    println!(
        "{name}: {rounds} files, {read_well} still good, memory at most {largest:.3} of the bound"
    );
    assert!(rounds > read_well, "nothing was refused");
}

fn one(path: &PathBuf) -> &[PathBuf] {
    std::slice::from_ref(path)
}

#[test]
fn broken_idx_files_are_read_or_refused() {
    let plain = support::idx_images(&planes(3, [1, 4, 5]), 4, 5);
    let seeds = [plain.clone(), support::gzip(&plain)];
    // A broken file may be packed well.
    let pack = |file: &mut Vec<u8>, rng: &mut Rng| {
        if rng.random_bool(0.3) {
            *file = support::gzip(file);
        }
    };
    fuzz("idx", &seeds, pack, of_pictures, |path| {
        Ok(idx::images(path, &ImageSpec::default())?.len())
    });
    let seeds = [
        support::idx_labels(&[1, 2, 3]),
        support::gzip(&support::idx_labels(&[9; 40])),
    ];
    let folder = Folder::new("fuzz-labelled");
    let images = folder.write("images", &plain);
    fuzz("labels", &seeds, pack, of_pictures, |path| {
        let data = match idx::labels(path)?.len() {
            3 => idx::labelled(&images, path, &ImageSpec::default()),
            _ => idx::images(&images, &ImageSpec::default()),
        };
        Ok(data?.len())
    });
}

#[test]
fn broken_cifar_files_are_read_or_refused() {
    let seeds = [support::cifar(&planes(2, [3, 32, 32]), &[9, 1])];
    let form = ImageSpec {
        classes: (0..10).map(|i| i.to_string()).collect(),
        ..ImageSpec::default()
    };
    fuzz(
        "cifar",
        &seeds,
        |_, _| (),
        of_pictures,
        |path| Ok(cifar::records(one(path), &form)?.len()),
    );
}

#[test]
fn broken_png_files_are_read_or_refused() {
    use png::{BitDepth, ColorType};
    let kind = |colour, depth, bytes: &[u8], palette| {
        support::png_of(bytes, [2, 4], colour, depth, palette)
    };
    let seeds = [
        support::png(&planes(1, [1, 4, 5])[0], [1, 4, 5]),
        support::png(&planes(1, [3, 6, 5])[0], [3, 6, 5]),
        kind(
            ColorType::Indexed,
            BitDepth::Two,
            &[0b0001_1011, 0b1110_0100],
            Some(&[7; 12]),
        ),
        kind(ColorType::Rgba, BitDepth::Sixteen, &[99; 64], None),
        kind(ColorType::GrayscaleAlpha, BitDepth::Eight, &[50; 16], None),
    ];
    let mend = |file: &mut Vec<u8>, rng: &mut Rng| {
        if rng.random_bool(0.7) {
            with_checksums(file);
        }
    };
    fuzz("a_picture.png", &seeds, mend, of_pictures, |path| {
        Ok(folder::read(path.parent().unwrap(), &ImageSpec::default())?.len())
    });
}

#[test]
fn broken_parquet_files_are_read_or_refused() {
    let shape = [1, 3, 4];
    let packed: Vec<_> = planes(5, shape)
        .iter()
        .map(|p| support::png(p, shape))
        .collect();
    let labels: Option<&[i64]> = Some(&[0, 1, 2, 3, 4]);
    let seeds = [
        support::parquet("image", &packed, labels, ParquetCompression::Uncompressed),
        support::parquet("image", &packed, labels, ParquetCompression::Snappy),
        support::parquet("img", &packed, None, ParquetCompression::Zstd(None)),
        support::parquet("img", &packed, labels, ParquetCompression::Gzip(None)),
    ];
    fuzz(
        "table.parquet",
        &seeds,
        |_, _| (),
        of_pictures,
        |path| Ok(parquet::read(one(path), &ImageSpec::default())?.len()),
    );
}

#[test]
fn a_pickle_takes_memory_by_its_length() {
    let folder = Folder::new("memory-pickle");
    // One tensor of eight axes under many names.
    let w = tensor(&storage("FloatStorage", "0", 2), 0, &[1; 8], &[1; 8]);
    let names = (0..300_000)
        .flat_map(|i| [&b"\x8c\x05"[..], format!("{i:05x}").as_bytes(), b"h\0"].concat());
    let names: Vec<u8> = [&w[..], b"q\0}("]
        .concat()
        .into_iter()
        .chain(names)
        .chain(*b"u")
        .collect();
    let memo = (0..400_000u32).flat_map(|key| [&b"r"[..], &key.to_le_bytes()].concat());
    for (name, program) in [
        ("lists", b"]".repeat(2 << 20)),
        ("tuples", b")".repeat(2 << 20)),
        ("groups", b"(".repeat(2 << 20)),
        ("pairs", b"}NNs".repeat(1 << 19)),
        ("nothing", b"N".repeat(2 << 20)),
        (
            "copies",
            [&b"Nq\0"[..], &b"h\0\x85".repeat(600_000)].concat(),
        ),
        ("memo", b"N".iter().copied().chain(memo).collect()),
        ("names", names),
    ] {
        let file = pickled::archive(&pickled::pickle(&program), &[("0", pickled::TWO)]);
        let path = folder.write(name, &file);
        let (outcome, most) = peak(|| Checkpoint::open(&path));
        match name {
            "names" => assert_eq!(outcome.unwrap().parameters(), 300_000),
            _ => assert!(matches!(outcome, Err(Error::Format { .. }))),
        }
        let ratio = most as f64 / program.len() as f64;
        println!("{name}: {ratio:.0} bytes for each of the pickle");
        assert!(ratio < 128.0, "{name}: {ratio}");
    }
}

/// Reads what can be read of a checkpoint; gives how many tensors it has.
fn weights(path: &PathBuf) -> Result<usize> {
    let file = Checkpoint::open(path)?;
    let floats = [DType::F32, DType::F16, DType::BF16, DType::F64];
    for entry in file.entries() {
        let tensor = file.tensor(&entry.name, &Device::Cpu)?;
        assert!(floats.contains(&entry.dtype));
        assert_eq!(tensor.dims(), entry.shape);
    }
    Ok(file.entries().len())
}

/// What a checkpoint may take: values of four bytes, as many as the file has bytes, for each byte of a header
/// or pickle a few dozen, and a buffer.
fn of_weights(length: usize) -> usize {
    64 * length + (1 << 18)
}

#[test]
fn broken_checkpoints_are_read_or_refused() {
    let floats = "{\"w\":{\"dtype\":\"F16\",\"shape\":[2,2],\"data_offsets\":[0,8]},\
        \"v\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[8,16]},\"__metadata__\":{\"a\":\"b\"}}";
    let seeds = [
        golden_bytes("plain.safetensors"),
        pickled::safetensors(floats, &[0; 16]),
    ];
    // A header that became longer or shorter, with a length that says so.
    let mend = |file: &mut Vec<u8>, rng: &mut Rng| {
        let end = file.iter().rposition(|&byte| byte == b'}');
        if let (Some(end), true) = (end, rng.random_bool(0.7))
            && end >= 8
        {
            let length = (end - 7) as u64;
            file[..8].copy_from_slice(&length.to_le_bytes());
        }
    };
    fuzz("weights.safetensors", &seeds, mend, of_weights, weights);

    // Archives without checksums, which would refuse most changes, and the old format, which never had any.
    let seeds = [
        golden_bytes("no_sums.pt"),
        golden_bytes("views.pt"),
        golden_bytes("shared.pt"),
    ];
    fuzz("weights.pt", &seeds, |_, _| (), of_weights, weights);
    let seeds = [golden_bytes("plain_old.pt"), golden_bytes("views_old.pt")];
    let opcodes = b"(.N\x88\x89KMJ\x8a\x8bG\x8cX\x8d)\x85\x86\x87t]}aesuqr\x94hjc\x93QRb012ilopCBS\x81\x92\x95";
    let mend = |file: &mut Vec<u8>, rng: &mut Rng| {
        for _ in 0..rng.random_range(0..4) {
            let at = rng.random_range(0..=file.len());
            let code = opcodes[rng.random_range(0..opcodes.len())];
            let count = [1, 1, 1, 2, 3, 300][rng.random_range(0..6)];
            file.splice(at..at, std::iter::repeat_n(code, count));
        }
    };
    fuzz("old_weights.pt", &seeds, mend, of_weights, weights);
    // A pickle of any content in a sound archive.
    let pack = |file: &mut Vec<u8>, rng: &mut Rng| {
        let mut program = pickle_of_one();
        mutate(&mut program, rng);
        mend(&mut program, rng);
        *file = pickled::archive(&program, &[("0", &[0; 8])]);
    };
    let seeds = [pickled::archive(&pickle_of_one(), &[("0", &[0; 8])])];
    fuzz("packed_weights.pt", &seeds, pack, of_weights, weights);
}

/// A file that a script in `golden` made.
fn golden_file(name: &str) -> Vec<u8> {
    fs::read(pickled::golden(name)).unwrap()
}

#[test]
fn broken_batches_of_cifar_are_read_or_refused() {
    let seeds = [golden_file("cifar_batch")];
    // Most of the file is pixels; what matters stands at its ends.
    let mend = |file: &mut Vec<u8>, rng: &mut Rng| {
        let near = 120.min(file.len());
        if near > 0 && rng.random_bool(0.7) {
            let at = match rng.random_bool(0.5) {
                true => rng.random_range(0..near),
                false => file.len() - near + rng.random_range(0..near),
            };
            file[at] = rng.random();
        }
    };
    fuzz("data_batch_1", &seeds, mend, of_pictures, |path| {
        Ok(cifar::pickles(one(path), &ImageSpec::default())?.len())
    });
}

#[test]
#[cfg(feature = "jpeg")]
fn broken_jpeg_files_are_read_or_refused() {
    let names = ["colour.jpg", "progressive.jpg", "turned_6.jpg", "grey.jpg"];
    let seeds = names.map(golden_file);
    // Four bytes a value while it is decoded, and coefficients of two.
    let allowed = |length: usize| 16 * 1032 * length + (16 << 20);
    fuzz(
        "a_picture.jpg",
        &seeds,
        |_, _| (),
        allowed,
        |path| Ok(folder::read(path.parent().unwrap(), &ImageSpec::default())?.len()),
    );
}

#[test]
fn broken_notes_on_turning_are_no_harm() {
    let seeds: Vec<_> = (1..=8)
        .map(|turn| golden_file(&format!("turned_{turn}.png")))
        .collect();
    let mend = |file: &mut Vec<u8>, _: &mut Rng| with_checksums(file);
    fuzz("turned.png", &seeds, mend, of_pictures, |path| {
        Ok(folder::read(path.parent().unwrap(), &ImageSpec::default())?.len())
    });
}

/// Reads a table; gives how many columns it has, and one more.
fn table(path: &PathBuf) -> Result<usize> {
    let bytes = fs::read(path).unwrap();
    Ok(1 + Format::of(path)?.decode(path, bytes, false)?.width())
}

#[test]
fn broken_tables_are_read_or_refused() {
    let names = ["arrays.npz", "arrays_compressed.npz"];
    let seeds: Vec<_> = names.iter().map(|name| golden_file(name)).collect();
    // A value may be a list of one: its series takes some hundred bytes.
    let of_arrays = |length: usize| 2 * 1032 * length + (64 << 20);
    // Without checksums, which would refuse most changes.
    let mend = |file: &mut Vec<u8>, rng: &mut Rng| {
        if rng.random_bool(0.5) {
            let mut at = 0;
            while let Some(next) = file[at..].windows(4).position(|part| part == b"PK\x01\x02") {
                at += next + 4;
                if at + 16 <= file.len() {
                    file[at + 12..at + 16].fill(0);
                }
            }
        }
    };
    fuzz("arrays.npz", &seeds, mend, of_arrays, table);
    let text = b"name,nats,n\n\"U-Net, small\",1.5,30\nb,-0.25,7\nlast,1e-3,8".to_vec();
    fuzz(
        "table.csv",
        &[text.clone(), [&text[..], b"\r\n"].concat()],
        |_, _| (),
        of_arrays,
        table,
    );
    let seeds = [
        golden_file("narrow.parquet"),
        golden_file("labels_uint8.parquet"),
    ];
    // What Zstandard can make of a byte.
    let of_parquet = |length: usize| (length << 15) + (64 << 20);
    fuzz("table.parquet", &seeds, |_, _| (), of_parquet, table);
}

#[test]
fn broken_indices_and_schedulers_are_read_or_refused() {
    let shard = golden_bytes("plain.safetensors");
    let index = br#"{"metadata": {"total_size": 40}, "weight_map": {"a.weight": "s.safetensors", "b": "s.safetensors"}}"#;
    // The file lies beside the index.
    let folder = Folder::new("fuzz-shard");
    folder.write("s.safetensors", &shard);
    fuzz(
        "net.index.json",
        &[index.to_vec()],
        |_, _| (),
        of_weights,
        |path| {
            let beside = folder.0.join("net.index.json");
            fs::copy(path, &beside).unwrap();
            weights(&beside)
        },
    );
    let seeds = [
        br#"{"_class_name": "DDPMScheduler", "beta_schedule": "squaredcos_cap_v2", "num_train_timesteps": 250}"#.to_vec(),
        br#"{"trained_betas": [0.1, 0.2, 0.3], "prediction_type": "v_prediction", "beta_start": null}"#.to_vec(),
    ];
    // As many steps as are allowed, whatever the file's length.
    let allowed = |length: usize| 200 * length + (4 << 20);
    fuzz(
        "scheduler_config.json",
        &seeds,
        |_, _| (),
        allowed,
        |path| Ok(itd_files::diffusers::Scheduler::read(path)?.betas.len()),
    );
}
