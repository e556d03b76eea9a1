//! How much memory it takes to load pictures: never twice that of the finished tensor. A test of its own,
//! because it counts what the whole process allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use flate2::{Compression, write::GzEncoder};
use itd_prelude::data::{Form, idx};

/// The system's allocator, with the bytes in use and the most there have been.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn grown(bytes: usize) {
    let in_use = IN_USE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    MOST.fetch_max(in_use, Ordering::Relaxed);
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn sixty_thousand_pictures_take_less_than_twice_their_tensor() {
    let (count, size) = (60_000u32, 28u32);
    let folder = std::env::temp_dir().join(format!("itd-loading-memory-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (images, labels) = (folder.join("images.gz"), folder.join("labels"));
    let mut packer = GzEncoder::new(fs::File::create(&images).unwrap(), Compression::fast());
    for number in [2051, count, size, size] {
        packer.write_all(&number.to_be_bytes()).unwrap();
    }
    let picture: Vec<u8> = (0..size * size).map(|i| (i % 251) as u8).collect();
    for _ in 0..count {
        packer.write_all(&picture).unwrap();
    }
    packer.finish().unwrap();
    let head = [2049, count].map(u32::to_be_bytes).concat();
    fs::write(&labels, [head, vec![3; count as usize]].concat()).unwrap();

    let before = IN_USE.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let data = idx::labelled(&images, &labels, &Form::default()).unwrap();
    let most = MOST.load(Ordering::Relaxed) - before;
    let tensor = 4 * data.x.elem_count();
    fs::remove_dir_all(folder).unwrap();

    assert_eq!(data.len(), count as usize);
    let ratio = most as f64 / tensor as f64;
    println!("peak {most} bytes for a tensor of {tensor}: {ratio:.3}");
    assert!(ratio < 2.0, "{ratio}");
    assert!(ratio >= 1.0, "the allocator counts nothing: {ratio}");
}
