//! How much memory the readers of pictures take, from good files and from broken ones. A test of its own,
//! because it counts what each thread allocates.

mod files;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use files::{Folder, planes};
use itd_prelude::data::{Dataset, Form, cifar, idx, parquet, pictures};
use itd_prelude::pl::ParquetCompression;
use itd_prelude::rand::Rng as _;
use itd_prelude::rng::{self, Rng};
use itd_prelude::{Error, Result};

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
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grown(layout.size() as isize);
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        grown(-(layout.size() as isize));
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

/// Asserts that the memory stayed below twice that of the tensor.
#[track_caller]
fn below_twice(read: impl FnOnce() -> Result<Dataset>) {
    let (data, most) = peak(|| read().unwrap());
    let ratio = most as f64 / (4 * data.x.elem_count()) as f64;
    println!(
        "{}: {ratio:.3} times the tensor of {:?}",
        data.name,
        data.x.dims()
    );
    assert!((1.0..2.0).contains(&ratio), "{ratio}");
}

#[test]
fn sixty_thousand_pictures_take_less_than_twice_their_tensor() {
    let folder = Folder::new("memory-idx");
    let known = vec![planes(1, [1, 28, 28]).remove(0); 60_000];
    let plain = files::idx_images(&known, 28, 28);
    let labels = folder.write("labels", &files::idx_labels(&[3; 60_000]));
    for (name, content) in [("plain", plain.clone()), ("packed", files::gzip(&plain))] {
        let images = folder.write(name, &content);
        below_twice(|| idx::labelled(&images, &labels, &Form::default()));
    }
}

#[test]
fn the_other_formats_take_less_than_twice_their_tensor() {
    let folder = Folder::new("memory-others");
    let shape = [3, 32, 32];
    let noise = |seed| {
        let mut rng = rng::seeded(seed);
        (0..3072).map(|_| rng.random()).collect::<Vec<u8>>()
    };
    let known: Vec<Vec<u8>> = (0..500).map(noise).collect();
    let batch = folder.write("batch.bin", &files::cifar(&known, &[1; 500]));
    below_twice(|| cifar::records(&[batch], &Form::default()));
    // Noise does not pack, so that these files are as large as such can be.
    let packed: Vec<_> = known
        .iter()
        .map(|planes| files::png(planes, shape))
        .collect();
    let table = files::parquet("img", &packed, Some(&[1; 500]), ParquetCompression::Snappy);
    let table = folder.write("table.parquet", &table);
    below_twice(|| parquet::read(&[table], &Form::default()));
    for (i, picture) in packed.iter().enumerate() {
        folder.write(&format!("pictures/cat_{i}.png"), picture);
    }
    below_twice(|| pictures::folder(folder.0.join("pictures"), &Form::default()));
}

#[test]
fn a_header_asks_for_no_memory() {
    let folder = Folder::new("memory-header");
    for pack in [<[u8]>::to_vec, files::gzip] {
        let content = pack(&files::idx(&[2051, 1 << 31, 28, 28], &[7; 84]));
        let path = folder.write("images", &content);
        let (outcome, most) = peak(|| idx::images(&path, &Form::default()));
        assert!(matches!(outcome, Err(Error::Format { .. })));
        assert!(most < 1 << 18, "{most} bytes");
    }
}

/// How long each fuzzer runs: `ITD_FUZZ_SECONDS`, else two seconds.
fn time() -> Duration {
    let seconds = std::env::var("ITD_FUZZ_SECONDS").ok();
    let seconds = seconds.and_then(|text| text.parse().ok()).unwrap_or(2.0);
    Duration::from_secs_f64(seconds)
}

/// The number of the first file, which makes its changes: `ITD_FUZZ_ROUND`, else 1.
fn first_round() -> u64 {
    let round = std::env::var("ITD_FUZZ_ROUND").ok();
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

/// Reads broken copies of good files for a while: each is read or refused, within the memory that its size
/// allows. A panic fails the test; the file stays in the folder then, and the round names the seed.
fn fuzz(
    name: &str,
    seeds: &[Vec<u8>],
    mend: impl Fn(&mut Vec<u8>, &mut Rng),
    read: impl Fn(&PathBuf) -> Result<Dataset>,
) {
    let folder = Folder::new(&format!("fuzz-{name}"));
    let path = folder.write(name, &seeds[0]);
    for seed in seeds {
        fs::write(&path, seed).unwrap();
        read(&path).expect("the files to break are good");
    }
    let (start, mut read_well, mut rounds, mut largest) = (Instant::now(), 0, 0, 0.0f64);
    for round in first_round().. {
        if start.elapsed() >= time() {
            break;
        }
        rounds += 1;
        let mut rng = rng::seeded(round);
        let mut file = seeds[rng.random_range(0..seeds.len())].clone();
        mutate(&mut file, &mut rng);
        mend(&mut file, &mut rng);
        fs::write(&path, &file).unwrap();
        let (outcome, most) =
            peak(|| std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| read(&path))));
        let Ok(outcome) = outcome else {
            let kept = std::env::temp_dir().join(format!("panic-{name}-{round}"));
            fs::write(&kept, &file).unwrap();
            panic!("round {round} panicked; its file is {}", kept.display());
        };
        // Values of four bytes, 1032 times the file at most, and what the libraries always take.
        let allowed = 4 * 1032 * file.len() + (16 << 20);
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
            Ok(data) => {
                read_well += 1;
                assert!(!data.is_empty());
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
    let plain = files::idx_images(&planes(3, [1, 4, 5]), 4, 5);
    let seeds = [plain.clone(), files::gzip(&plain)];
    // A broken file may be packed well.
    let pack = |file: &mut Vec<u8>, rng: &mut Rng| {
        if rng.random_bool(0.3) {
            *file = files::gzip(file);
        }
    };
    fuzz("idx", &seeds, pack, |path| {
        idx::images(path, &Form::default())
    });
    let seeds = [
        files::idx_labels(&[1, 2, 3]),
        files::gzip(&files::idx_labels(&[9; 40])),
    ];
    let folder = Folder::new("fuzz-labelled");
    let images = folder.write("images", &plain);
    fuzz("labels", &seeds, pack, |path| {
        match idx::labels(path)?.len() {
            3 => idx::labelled(&images, path, &Form::default()),
            _ => idx::images(&images, &Form::default()),
        }
    });
}

#[test]
fn broken_cifar_files_are_read_or_refused() {
    let seeds = [files::cifar(&planes(2, [3, 32, 32]), &[9, 1])];
    let form = Form {
        classes: (0..10).map(|i| i.to_string()).collect(),
        ..Form::default()
    };
    fuzz(
        "cifar",
        &seeds,
        |_, _| (),
        |path| cifar::records(one(path), &form),
    );
}

#[test]
fn broken_png_files_are_read_or_refused() {
    use png::{BitDepth, ColorType};
    let kind =
        |colour, depth, bytes: &[u8], palette| files::png_of(bytes, [2, 4], colour, depth, palette);
    let seeds = [
        files::png(&planes(1, [1, 4, 5])[0], [1, 4, 5]),
        files::png(&planes(1, [3, 6, 5])[0], [3, 6, 5]),
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
    fuzz("a_picture.png", &seeds, mend, |path| {
        pictures::folder(path.parent().unwrap(), &Form::default())
    });
}

#[test]
fn broken_parquet_files_are_read_or_refused() {
    let shape = [1, 3, 4];
    let packed: Vec<_> = planes(5, shape)
        .iter()
        .map(|p| files::png(p, shape))
        .collect();
    let labels: Option<&[i64]> = Some(&[0, 1, 2, 3, 4]);
    let seeds = [
        files::parquet("image", &packed, labels, ParquetCompression::Uncompressed),
        files::parquet("image", &packed, labels, ParquetCompression::Snappy),
        files::parquet("img", &packed, None, ParquetCompression::Zstd(None)),
        files::parquet("img", &packed, labels, ParquetCompression::Gzip(None)),
    ];
    fuzz(
        "table.parquet",
        &seeds,
        |_, _| (),
        |path| parquet::read(one(path), &Form::default()),
    );
}
