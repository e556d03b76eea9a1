//! The kernel's ports and peers that mean harm, or just do not read.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use common::client::Kernel;
use jupyter_protocol::{ExecuteRequest, JupyterMessageContent as Content};

/// How a peer begins: signature, version 3, no encryption.
fn greeting() -> Vec<u8> {
    let mut bytes = vec![0; 64];
    (bytes[0], bytes[9], bytes[10]) = (0xff, 0x7f, 3);
    bytes[12..16].copy_from_slice(b"NULL");
    bytes
}

/// What it says of itself.
fn ready(kind: &str) -> Vec<u8> {
    let mut body = b"\x05READY\x0bSocket-Type".to_vec();
    body.extend((kind.len() as u32).to_be_bytes());
    body.extend(kind.as_bytes());
    [&[4, body.len() as u8][..], &body].concat()
}

fn ports(kernel: &Kernel) -> [(u16, &'static str); 5] {
    let info = &kernel.info;
    [
        (info.shell_port, "DEALER"),
        (info.iopub_port, "SUB"),
        (info.stdin_port, "DEALER"),
        (info.control_port, "DEALER"),
        (info.hb_port, "REQ"),
    ]
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("the port answers");
    let limit = Some(Duration::from_secs(5));
    stream.set_write_timeout(limit).expect("a limit");
    stream.set_read_timeout(limit).expect("a limit");
    stream
}

/// Bytes that look random and are the same each time.
fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// Frames as they should be, with noise in them.
fn noisy_frames(seed: u64, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, byte) in noise(seed, count / 128).into_iter().enumerate() {
        let flags = if index % 7 == 0 {
            4
        } else {
            u8::from(byte % 3 != 0)
        };
        bytes.extend([flags, byte]);
        bytes.extend(noise(seed + index as u64, byte.into()));
    }
    bytes
}

/// Memory of a process, in bytes.
fn memory(pid: u32) -> usize {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).expect("the process lives");
    let pages = text
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("a number") * 4096
}

#[test]
fn whatever_comes_in_the_kernel_answers_afterwards() {
    let mut kernel = Kernel::start();
    assert_eq!(kernel.value("let kept = vec![1, 2]; kept"), "[1, 2]");
    let before = memory(kernel.child.id());
    for (port, kind) in ports(&kernel) {
        // The kernel may hang up at any time: that is its answer.
        let _ = connect(port).write_all(&noise(u64::from(port), 1 << 20));
        let mut peer = connect(port);
        let _ = peer.write_all(&[greeting(), ready(kind)].concat());
        let _ = peer.write_all(&noisy_frames(u64::from(port), 1 << 20));
        let mut peer = connect(port);
        let _ = peer.write_all(&[greeting(), ready(kind)].concat());
        let _ = peer.write_all(&noise(u64::from(port) + 1, 1 << 20));
        let mut held = Vec::new();
        for power in [20, 28, 30, 31, 32, 40, 46, 62, 63] {
            for flags in [2_u8, 3, 6] {
                let mut peer = connect(port);
                let _ = peer.write_all(&[greeting(), ready(kind)].concat());
                let length = (1_u64 << power) - u64::from(power == 63);
                let _ = peer.write_all(&[&[flags][..], &length.to_be_bytes(), &[0; 100]].concat());
                held.push(peer);
            }
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    for (port, kind) in ports(&kernel) {
        for index in 0..400 {
            let mut peer = connect(port);
            if index % 2 == 0 {
                let _ = peer.write_all(&[greeting(), ready(kind)].concat());
            }
        }
    }
    let mut stranger = kernel.info.clone();
    stranger.key = "another".to_owned();
    assert!(!itd::client::answers(&stranger).expect("it connects"));
    assert_eq!(kernel.value("kept"), "[1, 2]");
    let grown = memory(kernel.child.id()).saturating_sub(before);
    assert!(grown < 50 << 20, "{} MB more", grown >> 20);
    println!("the kernel's memory has grown by {} kB", grown >> 10);
    assert_eq!(kernel.shutdown(), Some(0));
}

#[test]
fn a_front_end_that_does_not_read_holds_up_nobody() {
    let mut kernel = Kernel::start();
    kernel.value("1");
    let mut stopped = connect(kernel.info.iopub_port);
    stopped
        .write_all(&[&greeting()[..], &ready("SUB"), &[0, 1, 1]].concat())
        .expect("it subscribes");
    stopped.read_exact(&mut [0; 64]).expect("a greeting");
    // Reads no more from here on.
    kernel.value("2");
    let code = "for i in 0..60 { println!(\"{}\", \"x\".repeat(1_000_000)); } 3";
    let request = kernel.send(ExecuteRequest::new(code.to_owned()));
    let answer = kernel.collect(&request);
    assert_eq!(answer.status, "ok");
    assert_eq!(answer.result().as_deref(), Some("3"));
    let text: usize = answer
        .outputs
        .iter()
        .map(|(_, content)| match content {
            Content::StreamContent(text) => text.text.len(),
            _ => 0,
        })
        .sum();
    assert_eq!(text, 60 * 1_000_001);
    assert_eq!(kernel.value("4"), "4");
}
