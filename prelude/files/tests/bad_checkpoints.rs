//! Broken and hostile checkpoints: each is refused with an error that names the file and the byte.

mod support;

use support::Folder;
use support::pickled::{
    TWO, archive, fresh, golden_bytes, one, pickle, read, refused, safetensors, says, zip_of,
};
use zip::CompressionMethod;

#[test]
fn files_that_were_cut_off() {
    let folder = Folder::new("cut-checkpoint");
    for name in ["plain.pt", "plain_old.pt", "plain.safetensors"] {
        let whole = golden_bytes(name);
        assert_eq!(read(&folder.write("whole", &whole)).unwrap().len(), 2);
        for length in 0..whole.len() {
            refused(&folder, &whole[..length]);
        }
        // The archive's end is looked for, so that bytes behind it are a damage too.
        refused(&folder, &[&whole[..], b"\0"].concat());
    }
}

#[test]
fn every_altered_byte_is_refused_or_does_no_harm() {
    let folder = Folder::new("flipped-checkpoint");
    for name in ["plain.pt", "plain_old.pt", "plain.safetensors"] {
        let whole = golden_bytes(name);
        let (mut read_well, mut count) = (0, 0);
        for at in 0..whole.len() {
            for bits in [1, 0x80, 0xff] {
                let mut file = whole.clone();
                file[at] ^= bits;
                let path = fresh(&folder, "flipped", &file);
                count += 1;
                match read(&path) {
                    Ok(_) => read_well += 1,
                    Err(error) => assert!(error.to_string().contains("flipped, byte "), "{error}"),
                }
            }
        }
        println!("{name}: {read_well} of {count} altered files are read");
        assert!(read_well < count);
    }
    // In an archive with checksums, no weight changes unseen: 24 bytes of the six, one of padding.
    let whole = golden_bytes("plain.pt");
    let weights: Vec<u8> = (0..6)
        .flat_map(|i| (i as f32 * 0.25 - 1.0).to_le_bytes())
        .collect();
    let start = whole
        .windows(24)
        .position(|window| window == weights)
        .unwrap();
    for at in start..start + 24 {
        let mut file = whole.clone();
        file[at] ^= 1;
        let text = refused(&folder, &file);
        assert!(
            text.contains(&format!("byte {start}: the checksum of a tensor's bytes")),
            "{text}"
        );
    }
}

#[test]
fn archives_that_are_wrong() {
    let folder = Folder::new("hostile-zip");
    let good = archive(&one(), &[("0", TWO)]);
    // The directory's entry of the storage: sizes at 20 and 24, the header's place at 42.
    let entry = good
        .windows(4)
        .rposition(|window| window == b"PK\x01\x02")
        .unwrap();
    let end = good
        .windows(4)
        .rposition(|window| window == b"PK\x05\x06")
        .unwrap();
    let with = |at: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    for (at, bytes, part) in [
        (
            entry + 24,
            &[0xff, 0xff, 0xff, 0x7f][..],
            "bytes that shall become 2147483647",
        ),
        (entry + 24, &[0xff; 4], "without its sizes of 64 bits"),
        (entry + 42, &[0, 0, 0, 0x7f], "cut off after 0 bytes"),
        (
            entry + 42,
            &[1, 0, 0, 0],
            "the header of a file in the archive",
        ),
        (entry + 8, &[1], "encrypted"),
        (entry + 10, &[8], "compressed by method 8"),
        (entry + 28, &[0xff, 0xff], "cut off"),
        (entry, b"QK", "damaged"),
        (
            end + 10,
            &[3, 0],
            "the number of files in the archive's directory is 2; it must be 3",
        ),
        (end + 10, &[0xff, 0xff], "the archive's end in 64 bits"),
        (
            end + 12,
            &[0xff, 0xff, 0xff, 0x7f],
            "the archive's directory is 2147483647 bytes",
        ),
        (
            end + 16,
            &[0xff, 0xff, 0xff, 0x7f],
            "from byte 2147483647 on",
        ),
        (
            end + 16,
            &[0, 0, 0, 0],
            "an entry of the archive's directory is damaged",
        ),
        (end, b"QK", "the end of the archive"),
    ] {
        says(&folder, &with(at, bytes), part);
    }
    // 2^40 bytes, in 64 bits.
    let size = (1u64 << 40).to_le_bytes();
    let wide = [&[1, 0, 16, 0][..], &size, &size].concat();
    let mut file = with(entry + 20, &[0xff; 8]);
    let name = usize::from(file[entry + 28]);
    assert_eq!(file[entry + 30], 0);
    file[entry + 30] = wide.len() as u8;
    file.splice(entry + 46 + name..entry + 46 + name, wide);
    let end = end + 20;
    let length = u32::from_le_bytes([
        file[end + 12],
        file[end + 13],
        file[end + 14],
        file[end + 15],
    ]) + 20;
    file[end + 12..end + 16].copy_from_slice(&length.to_le_bytes());
    says(
        &folder,
        &file,
        "a storage of the archive is 1099511627776 bytes long",
    );

    let stored = CompressionMethod::Stored;
    let pickle = one();
    for (files, part) in [
        (vec![("a/data/0", TWO)], "the pickle of the archive"),
        (vec![("data.pkl", &pickle[..])], "the pickle of the archive"),
        (
            vec![("a/data.pkl", &pickle[..]), ("b/data.pkl", &pickle)],
            "the pickle of the archive",
        ),
        (
            vec![
                ("a/data.pkl", &pickle[..]),
                ("a/byteorder", b"big"),
                ("a/data/0", TWO),
            ],
            "the order of bytes is \"big\"",
        ),
    ] {
        says(&folder, &zip_of(&files, stored), part);
    }
    // Two of one name: the last byte of the second one's name, in both places.
    let twins = zip_of(
        &[
            ("a/data.pkl", &pickle),
            ("a/data/0", TWO),
            ("a/data/1", TWO),
        ],
        stored,
    );
    let twins: Vec<u8> = {
        let mut file = twins;
        let places: Vec<usize> = file
            .windows(8)
            .enumerate()
            .filter(|(_, w)| *w == b"a/data/1")
            .map(|(at, _)| at)
            .collect();
        places.into_iter().for_each(|at| file[at + 7] = b'0');
        file
    };
    says(&folder, &twins, "the second one of \"a/data/0\"");
}

#[test]
fn old_files_that_are_wrong() {
    let folder = Folder::new("hostile-old");
    let good = golden_bytes("plain_old.pt");
    let find = |part: &[u8]| {
        good.windows(part.len())
            .position(|window| window == part)
            .unwrap()
    };
    let with = |at: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    says(
        &folder,
        &with(find(b"M\xe9\x03."), b"M\xe8\x03."),
        "the version of the file is 1000",
    );
    says(
        &folder,
        &with(find(b"q\x02\x88"), b"q\x02\x89"),
        "\"little_endian\": True",
    );
    says(
        &folder,
        &pickle(b"}"),
        "byte 0: the first pickle of the file is a dict",
    );
    says(
        &folder,
        &pickle(b"cos\nsystem\n"),
        "byte 2: a function or class that the pickle names",
    );
    says(
        &folder,
        &with(5, b"\x00"),
        "byte 0: the first pickle of the file is an integer",
    );
    // The keys are in the last pickle, and before each storage is its count of values.
    let last = good
        .windows(3)
        .rposition(|window| window == b"\x80\x02]")
        .unwrap();
    let counts = [6u64, 4].map(|count| {
        good[last..]
            .windows(8)
            .position(|window| window == count.to_le_bytes())
            .map(|at| last + at)
            .unwrap()
    });
    for count in [0, 5, 1 << 62, u64::MAX] {
        let text = refused(&folder, &with(counts[0], &u64::to_le_bytes(count)));
        assert!(
            text.contains(&format!(
                "byte {}: the size of a storage is {count} values",
                counts[0]
            )),
            "{text}"
        );
    }
    says(&folder, &good[..good.len() - 1], "cut off");
    let first = last
        + good[last..]
            .windows(1)
            .position(|window| window == b"X")
            .unwrap();
    let mut unknown = good.clone();
    unknown[first + 5] ^= 1;
    says(&folder, &unknown, "a key in the order of storages");
}

#[test]
fn safetensors_that_are_wrong() {
    let folder = Folder::new("hostile-safetensors");
    let entry = |name: &str, dtype: &str, shape: &str, from: u64, to: u64| {
        format!(
            "\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":[{from},{to}]}}"
        )
    };
    let says_of = |entries: &[String], data: usize, part: &str| {
        let header = format!("{{{}}}", entries.join(","));
        says(&folder, &safetensors(&header, &vec![0; data]), part);
    };
    let w = |shape: &str, from, to| entry("w", "F32", shape, from, to);
    let v = |shape: &str, from, to| entry("v", "F32", shape, from, to);
    // Overlapping, out of order, with a hole, beyond the end, before it, too long for the type, too large.
    says_of(
        &[w("[2]", 0, 8), v("[2]", 4, 12)],
        12,
        "invalid offset for tensor `v`",
    );
    says_of(&[w("[2]", 0, 8), v("[2]", 0, 8)], 8, "invalid offset");
    says_of(&[w("[2]", 0, 8), v("[1]", 12, 16)], 16, "invalid offset");
    says_of(&[w("[2]", 8, 0)], 8, "invalid offset");
    says_of(
        &[w("[2]", 0, 8)],
        7,
        "the data behind the header is 7 bytes",
    );
    says_of(
        &[w("[2]", 0, 8)],
        9,
        "the data behind the header is 9 bytes",
    );
    says_of(
        &[w("[1099511627776]", 0, 1 << 42)],
        8,
        "the data behind the header is 8 bytes",
    );
    says_of(&[w("[3]", 0, 8)], 8, "invalid shape, data type, or offset");
    says_of(
        &[entry("w", "F64", "[2]", 0, 8)],
        8,
        "invalid shape, data type, or offset",
    );
    says_of(&[entry("w", "F4", "[1]", 0, 1)], 1, "slice");
    says_of(
        &[w("[4294967296,4294967296,4294967296]", 0, 8)],
        8,
        "overflow",
    );
    says_of(&[w("[-2]", 0, 8)], 8, "invalid value");
    says_of(
        &[entry("w", "F99", "[2]", 0, 8)],
        8,
        "unknown variant `F99`",
    );
    says_of(&[w("[1]", 0, 4), w("[1]", 4, 8)], 8, "\"w\" is there twice");
    says_of(
        &[w("[]", 0, 4), "\"__metadata__\":{\"a\":1}".into()],
        4,
        "invalid type: integer",
    );
    says_of(
        &["\"__metadata__\":{}".into(), "\"__metadata__\":{}".into()],
        0,
        "the metadata are there twice",
    );
    says_of(
        &["\"__metadata__\":{\"a\":\"b\"}".into()],
        0,
        "the number of tensors is 0",
    );
    says_of(
        &[format!("\"w\":{}", "[".repeat(100_000))],
        0,
        "expected value",
    );
    says_of(
        &[format!("\"w\":{{\"x\":{}", "[".repeat(100_000))],
        0,
        "expected value",
    );
    // A header longer than any file; one that is not JSON, and one that is no text.
    let header = format!("{{{}}}", w("[2]", 0, 8));
    for length in [1u64 << 63, u64::MAX, 1 << 40, header.len() as u64 + 9] {
        let file = [&length.to_le_bytes()[..], header.as_bytes(), &[0; 8]].concat();
        says(
            &folder,
            &file,
            &format!("byte 0: the length of the header is {length}; it must be"),
        );
    }
    says(
        &folder,
        &safetensors("{\"w\":", b""),
        "byte 12: the header is EOF",
    );
    says(&folder, &safetensors("{]", b""), "byte 9: the header");
    let mut spoilt = safetensors(&header, &[0; 8]);
    spoilt[10] = 0xff;
    says(&folder, &spoilt, "the header");
}
