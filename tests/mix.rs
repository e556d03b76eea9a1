//! A random mix of cells, interrupts, crashes, restarts and front ends that do not read: nothing hangs, nothing is
//! left, and the kernel does not grow.
//!
//! `ITD_MIX_SECONDS` says for how long (20).

mod common;

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::client::Kernel;
use jupyter_protocol::ExecuteRequest;

/// Numbers that look random and are the same each time (Marsaglia's xorshift).
fn dice(state: &mut u64, sides: u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state % sides
}

/// A front end that subscribes to everything and reads nothing.
fn stopped(port: u16) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the port answers");
    let mut bytes = vec![0; 64];
    (bytes[0], bytes[9], bytes[10]) = (0xff, 0x7f, 3);
    bytes[12..16].copy_from_slice(b"NULL");
    bytes.extend(b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB\x00\x01\x01");
    stream.write_all(&bytes).expect("it subscribes");
    stream
}

/// What a process holds in memory of its own, in kilobytes; pages of files come and go as the system likes.
fn memory(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let field = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
        number.and_then(|number| number.parse().ok()).unwrap_or(0.0)
    };
    field("RssAnon:") + field("VmSwap:")
}

/// Processes that descend from one, without those that are dead.
fn descendants(pid: u32) -> Vec<u32> {
    let all: Vec<(u32, u32)> = std::fs::read_dir("/proc")
        .expect("processes")
        .flatten()
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let (_, after) = stat.rsplit_once(')')?;
            let mut words = after.split_whitespace();
            let state = words.next()?;
            Some((pid, words.next()?.parse().ok()?)).filter(|_| state != "Z")
        })
        .collect();
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(
            all.iter()
                .filter(|(_, of)| *of == parent)
                .map(|(pid, _)| *pid),
        );
        next += 1;
    }
    found.split_off(1)
}

#[test]
fn a_long_random_mix_leaves_nothing_behind() {
    let text = std::env::var("ITD_MIX_SECONDS").ok();
    let seconds = text.and_then(|text| text.parse().ok()).unwrap_or(20);
    let mut kernel = Kernel::start();
    let pid = kernel.child.id();
    let mut readers = vec![stopped(kernel.info.iopub_port)];
    let mut state = 0x9E37_79B9_7F4A_7C15;
    let begin = Instant::now();
    let (mut cells, mut sizes) = (0, Vec::new());
    while begin.elapsed() < Duration::from_secs(seconds) {
        let n = dice(&mut state, 1000);
        let code = match dice(&mut state, 12) {
            0 => format!("let v{} = vec![{n}; 1000];", n % 20),
            1 => format!("println!(\"{{}}\", \"x\".repeat({}));", 1000 * n),
            2 => "panic!(\"p\")".to_owned(),
            3 => "\"z\".parse::<i32>()?".to_owned(),
            4 => "std::process::abort();".to_owned(),
            5 => ":clear".to_owned(),
            6 => format!("fn f{}() -> u64 {{ {n} }} f{}()", n % 5, n % 5),
            7 => format!("struct S{} {{ x: [u8; {}] }}", n % 3, n + 1),
            8 => "std::thread::spawn(|| for _ in 0..50 { println!(\"tick\"); std::thread::sleep(std::time::Duration::from_millis(5)) });".to_owned(),
            9 => "loop { if itd_prelude::cell::interrupted() { break } std::thread::sleep(std::time::Duration::from_millis(1)) }".to_owned(),
            10 => "!sleep 30".to_owned(),
            _ => format!("let other: u8 = {};", n % 300),
        };
        let endless = code.starts_with("loop") || code.starts_with("!sleep");
        let request = kernel.send(ExecuteRequest::new(code));
        if endless || dice(&mut state, 4) == 0 {
            std::thread::sleep(Duration::from_millis(dice(&mut state, 700)));
            kernel.interrupt();
        }
        // An interrupt that came while it was being built is one, too; a second one never hurts.
        if endless {
            kernel.interrupt();
        }
        let answer = kernel.collect(&request);
        assert!(!answer.status.is_empty());
        cells += 1;
        if dice(&mut state, 20) == 0 {
            readers.push(stopped(kernel.info.iopub_port));
            if readers.len() > 3 {
                readers.remove(0);
            }
        }
        // What waits for a front end that does not read is not the kernel's growth.
        if begin.elapsed().as_secs() >= (sizes.len() as u64 + 1) * seconds / 3 {
            readers.clear();
            std::thread::sleep(Duration::from_millis(500));
            sizes.push(memory(pid));
            readers.push(stopped(kernel.info.iopub_port));
        }
    }
    assert_eq!(kernel.value("1 + 1"), "2");
    let (early, late) = (sizes[0], sizes[sizes.len() - 1]);
    let children = descendants(pid);
    println!(
        "{cells} cells in {seconds} s; {early} kB after a third, {late} kB at the end; {} processes below the kernel",
        children.len()
    );
    let usual = 2..=3;
    assert!(
        usual.contains(&children.len()),
        "supervisor, runtime, and perhaps the analyst: {children:?}"
    );
    if seconds > 300 {
        assert!(late < 1.1 * early, "{early} kB, then {late} kB");
    }
    assert_eq!(kernel.shutdown(), Some(0));
    std::thread::sleep(Duration::from_millis(300));
    let left: Vec<u32> = children
        .into_iter()
        .filter(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
            stat.is_ok_and(|stat| !stat.contains(") Z"))
        })
        .collect();
    assert!(left.is_empty(), "{left:?} live on");
}
