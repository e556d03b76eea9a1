//! Hostile pickles: nothing is called, believed or counted that a state dict does not need.

mod support;

use std::time::Instant;

use support::Folder;
use support::pickled::{
    TWO, archive, dict, fresh, golden_bytes, int, of, one, pickle, read, refused, says, storage,
    tensor, text,
};

#[test]
fn pickles_that_call_something_else() {
    let folder = Folder::new("hostile-pickle");
    assert_eq!(
        read(&folder.write("good", &archive(&one(), &[("0", TWO)])))
            .unwrap()
            .len(),
        1
    );
    let name = "a function or class that the pickle names is";
    for (program, part) in [
        // What a hostile file does: import a function, and call it.
        ("cos\nsystem\nX\u{4}\0\0\0true\u{85}R", "\"os.system\""),
        ("cposix\nsystem\n)R", "\"posix.system\""),
        ("cbuiltins\neval\n)R", "\"builtins.eval\""),
        ("c__builtin__\ngetattr\n)R", "\"__builtin__.getattr\""),
        ("ctorch\nload\n)R", "\"torch.load\""),
        ("ctorch\nStorage\n)R", "\"torch.Storage\""),
        (
            "ctorch._utils\n_rebuild_qtensor\n)R",
            "\"torch._utils._rebuild_qtensor\"",
        ),
        (
            "ccollections\nOrderedDict.update\n)R",
            "\"collections.OrderedDict.update\"",
        ),
        ("cos\n\u{1b}[31m\n", "\"os.\\u{1b}[31m\""),
    ] {
        says(
            &folder,
            &of(program.into()),
            &format!("{name} {part}; it must be collections.OrderedDict"),
        );
    }
    // By way of the stack, as protocol 4 has it.
    let program = [text("os"), text("system"), b"\x93".to_vec()].concat();
    says(&folder, &of(program), "\"os.system\"");
    says(
        &folder,
        &of(b"K\x01K\x02\x93".to_vec()),
        "STACK_GLOBAL without two texts",
    );
    for (program, part) in [
        (&b"(S'a'\nios\nsystem\n"[..], "STRING (0x53)"),
        (b"(ios\nsystem\n", "INST (0x69)"),
        (b"(ccollections\nOrderedDict\no", "OBJ (0x6f)"),
        (b"ccollections\nOrderedDict\n)\x81", "NEWOBJ (0x81)"),
        (b"ccollections\nOrderedDict\n)}\x92", "NEWOBJ_EX (0x92)"),
        (b"\x82\x01", "EXT1 (0x82)"),
        (b"\x83\x01\x00", "EXT2 (0x83)"),
        (b"\x84\x01\x00\x00\x00", "EXT4 (0x84)"),
        (b"Pname\n", "PERSID (0x50)"),
        (b"\x97", "NEXT_BUFFER (0x97)"),
        (b"\xff", "unknown (0xff)"),
        (
            b"ccollections\nOrderedDict\n}b",
            "BUILD (0x62) of a function or class",
        ),
        (b"K\x01}b", "BUILD (0x62) of an integer"),
        (b"K\x01)R", "REDUCE of an integer with 0 arguments"),
        (
            b"ctorch\nFloatStorage\n)R",
            "REDUCE of a function or class with 0 arguments",
        ),
        (b"ccollections\nOrderedDict\nK\x01\x85R", "with 1 arguments"),
        (
            b"ctorch._utils\n_rebuild_parameter\nK\x01\x85R",
            "REDUCE of a function or class with 1",
        ),
        (
            b"ccollections\nOrderedDict\nK\x01R",
            "REDUCE without a tuple",
        ),
    ] {
        says(&folder, &of(program.to_vec()), part);
    }
    // The place is that of the opcode in the file, in the old format as in the new one.
    let text = refused(&folder, &of(b"\x82\x01".to_vec()));
    let whole = of(b"\x82\x01".to_vec());
    let at = whole
        .windows(2)
        .position(|window| window == b"\x82\x01")
        .unwrap();
    assert!(text.contains(&format!("byte {at}: an opcode")), "{text}");
    let old = golden_bytes("plain_old.pt");
    let at = old
        .windows(4)
        .position(|window| window == b"K\x06Nt")
        .unwrap();
    let hostile = [&old[..at], b"cos\nsystem\n", &old[at..]].concat();
    says(
        &folder,
        &hostile,
        &format!("byte {at}: {name} \"os.system\""),
    );
}

#[test]
fn pickles_that_promise_too_much() {
    let folder = Folder::new("huge-pickle");
    let end = "the pickle is cut off";
    for (program, part) in [
        (&b"X\xff\xff\xff\xffab"[..], end),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7fab", end),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffab", end),
        (b"\x8c\xffab", end),
        (b"\x8b\xff\xff\xff\x7fab", end),
        (b"\x8b\xff\xff\xff\xffab", end),
        (b"\x8a\xffab", end),
        (b"cos", end),
        (
            b"X\x02\0\0\0\xff\xfe",
            "a text of the pickle is invalid utf-8",
        ),
        (b"t", "closes a group which is not open"),
        (b"a", "appends to a dict"),
        (b"))s", "keys and values"),
        (b"(K\x01u", "puts 1 keys and values"),
        (b"h\x07", "recalls value 7"),
        (b"j\xff\xff\xff\xff", "recalls value 4294967295"),
        (b"0", "POP"),
        (b"\x80\x09", "the pickle's protocol is 9"),
        (b"(R", "takes more than there is"),
        (b"(Q", "takes more than there is"),
    ] {
        let body = [b"}", &text("w")[..], program].concat();
        says(&folder, &archive(&pickle(&body), &[("0", TWO)]), part);
    }
    says(
        &folder,
        &archive(&pickle(&[&b"\x8a\x20"[..], &[1; 32]].concat()), &[]),
        "an integer is 32 bytes long",
    );
    says(
        &folder,
        &archive(&[&one()[..], b"N"].concat(), &[("0", TWO)]),
        "the pickle is followed by 1 bytes",
    );
}

#[test]
fn bombs_take_neither_time_nor_memory() {
    // Each value twice in the next one: 2^n in all, for who counts them.
    let nest = |open: &[u8], close: &[u8], levels: usize| -> Vec<u8> {
        let mut program = b"]q\x00".to_vec();
        for _ in 0..levels {
            program.extend([open, b"h\x00h\x00", close, b"q\x00"].concat());
        }
        program
    };
    let folder = Folder::new("bombs");
    let start = Instant::now();
    let w = tensor(&storage("FloatStorage", "0", 2), 0, &[2], &[1]);
    for bomb in [
        nest(b"(", b"t", 50_000),
        nest(b"](", b"e", 50_000),
        nest(b"}(", b"u", 50_000),
        // A list in itself, and a hundred thousand open groups.
        b"]q\x00h\x00a".to_vec(),
        [vec![b'('; 100_000], vec![b't'; 100_000]].concat(),
        // A million values and as many names for one.
        b"]".repeat(1_000_000),
        (0..200_000u32)
            .flat_map(|key| [&b"r"[..], &key.to_le_bytes()].concat())
            .collect::<Vec<u8>>(),
    ] {
        let body = [&b"N"[..], &bomb, &dict(&[("w", w.clone())])].concat();
        let path = folder.write("bomb", &archive(&pickle(&body), &[("0", TWO)]));
        let count = read(&path).map(|tensors| tensors.len()).unwrap();
        assert_eq!(count, 1);
    }
    // A dict of ten thousand values under ten thousand names, none of which is a tensor.
    let inner = [
        &b"}q\x00("[..],
        &text("a"),
        b"N",
        &b"\x8c\x01bN".repeat(10_000),
        b"u",
    ]
    .concat();
    let names: Vec<u8> = (0..10_000)
        .flat_map(|i| [text(&format!("{i}")), b"h\x00".to_vec()].concat())
        .collect();
    let body = [&inner[..], b"}(", &names, b"u"].concat();
    says(
        &folder,
        &archive(&pickle(&body), &[]),
        "the object in the file is without a tensor",
    );
    println!("all of them in {:?}", start.elapsed());
}

#[test]
fn tensors_outside_of_their_storage() {
    let folder = Folder::new("hostile-tensor");
    let float = storage("FloatStorage", "0", 2);
    let huge = i64::MAX;
    for (offset, shape, strides, part) in [
        (
            0,
            &[3][..],
            &[1][..],
            "[3] from value 0 on with strides [1]; it must be within the 2 values",
        ),
        (1, &[2], &[1], "within the 2 values"),
        (0, &[2], &[2], "within the 2 values"),
        (0, &[2, 2], &[1, 1], "within the 2 values"),
        (3, &[0], &[1], "within the 2 values"),
        (huge, &[2], &[1], "within"),
        (0, &[huge, huge, huge], &[0, 0, 0], "within"),
        (0, &[1 << 40], &[0], "within"),
        (0, &[2], &[huge], "within"),
        (-1, &[2], &[1], "no number from 0"),
        (0, &[-2], &[1], "no number from 0"),
        (1, &[2], &[-1], "no number from 0"),
        (0, &[2], &[1, 1], "of 1 axes with 2 strides"),
        (0, &[1; 9], &[1; 9], "of 9 axes"),
    ] {
        says(&folder, &of(tensor(&float, offset, shape, strides)), part);
    }
    // An axis of one value has any stride.
    let path = folder.write("good", &of(tensor(&float, 0, &[1, 2], &[huge, 1])));
    assert_eq!(
        read(&path).unwrap()[0].to_vec2::<f32>().unwrap(),
        [[1.0, 2.0]]
    );
    for (storage, part) in [
        (storage("FloatStorage", "0", huge), "the size of a storage"),
        (storage("FloatStorage", "0", -2), "the name of a storage"),
        (
            storage("FloatStorage", "0", 3),
            "a storage of the archive is 8 bytes long",
        ),
        (
            storage("DoubleStorage", "0", 2),
            "a storage of the archive is 8 bytes long",
        ),
        (
            storage("FloatStorage", "../../0", 2),
            "not there: \"a/data/../../0\"",
        ),
        (storage("FloatStorage", "1", 2), "not there: \"a/data/1\""),
        (storage("QInt8Storage", "0", 2), "\"torch.QInt8Storage\""),
        (b"K\x01Q".to_vec(), "the name of a storage is an integer"),
        (b"N".to_vec(), "made of something else"),
    ] {
        says(&folder, &of(tensor(&storage, 0, &[2], &[1])), part);
    }
    // Numbers that are to be negated: `metadata` of PyTorch's views.
    let w = tensor(&float, 0, &[2], &[1]);
    let with = |seventh: &[u8]| of([&w[..w.len() - 2], seventh, b"tR"].concat());
    says(
        &folder,
        &with(b"}X\x03\0\0\0neg\x88s"),
        "a tensor is not as it is in the file",
    );
    assert!(read(&fresh(&folder, "plain", &with(b"}"))).is_ok());
    let two = dict(&[
        ("a", tensor(&float, 0, &[2], &[1])),
        ("b", tensor(&storage("LongStorage", "0", 2), 0, &[2], &[1])),
    ]);
    says(
        &folder,
        &archive(&pickle(&two), &[("0", TWO)]),
        "a storage is 2 values of I64 for \"0\"",
    );
    let twice = dict(&[("w", w.clone()), ("w", w.clone())]);
    says(
        &folder,
        &archive(&pickle(&twice), &[("0", TWO)]),
        "there twice: \"w\"",
    );
    let numbered = [b"}", &int(1)[..], &w, b"s"].concat();
    says(
        &folder,
        &archive(&pickle(&numbered), &[("0", TWO)]),
        "the name of a tensor is an integer",
    );
    says(
        &folder,
        &archive(&pickle(&w), &[("0", TWO)]),
        "the object in the file is a tensor",
    );
}
