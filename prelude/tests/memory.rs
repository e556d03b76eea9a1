//! How much memory the published networks take. A test of its own, because it counts what all threads allocate.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use itd_prelude::candle::{Device, Tensor};
use itd_prelude::denoiser::{Denoiser, GradOut, Query, Trainable};
use itd_prelude::net::{Iddpm, IddpmConfig};
use itd_prelude::rng;

/// The system's allocator, which counts the bytes in use.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn grown(bytes: usize) {
    let now = IN_USE.fetch_add(bytes, Relaxed) + bytes;
    MOST.fetch_max(now, Relaxed);
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most MiB that were in use at a time while `work` ran, those before it included.
fn peak<T>(what: &str, work: impl FnOnce() -> T) -> (T, usize) {
    MOST.store(IN_USE.load(Relaxed), Relaxed);
    let result = work();
    let most = MOST.load(Relaxed) >> 20;
    println!("{what}: {most} MiB");
    (result, most)
}

fn denoise(net: &Iddpm, n: usize) -> Tensor {
    let shape = [&[n], net.shape()].concat();
    let z = rng::normal(&shape, &mut rng::seeded(0)).unwrap();
    let alpha = Tensor::zeros(n, z.dtype(), &Device::Cpu).unwrap();
    net.denoise(&Query::new(&z, &alpha)).unwrap()
}

// One test, since others at the same time would count too.
#[test]
fn memory_is_bounded_whatever_the_number_of_pictures() {
    let config = IddpmConfig::cifar10();
    let new = || Iddpm::new(&config, 0, &Device::Cpu).unwrap();
    let (net, most) = peak("the published IDDPM, made", new);
    // 200 MiB of parameters; a tensor's copies on its way.
    assert!((200..300).contains(&most), "{most}");
    let (_, most) = peak("8 pictures", || denoise(&net, 8));
    assert!(most < 2048, "{most}");
    drop(net);
    let small = IddpmConfig {
        num_channels: 32,
        num_res_blocks: 1,
        ..config
    };
    let net = Iddpm::new(&small, 0, &Device::Cpu).unwrap();
    let (_, few) = peak("16 pictures in a smaller one", || denoise(&net, 16));
    let (_, many) = peak("64 pictures", || denoise(&net, 64));
    assert!(many < few + few / 4, "{few} {many}");
    // Nor does what gradients keep for the way back; candle's graph keeps all of it.
    let before = IN_USE.load(Relaxed) >> 20;
    let by_tape = |n| {
        gradients(&net, n, |net, query, grad_out| {
            net.gradients(query, grad_out)
        })
    };
    let (_, few) = peak("gradients of 8 pictures", || by_tape(8));
    let (_, many) = peak("gradients of 24", || by_tape(24));
    assert!(
        many - before < (few - before) * 5 / 4,
        "{before} {few} {many}"
    );
    let (_, graph) = peak("gradients of 24, by candle's graph", || {
        gradients(&net, 24, |net, query, _| {
            let sum = net.forward(query)?.sum_all()?;
            sum.backward()?;
            Ok(Vec::new())
        })
    });
    assert!(
        graph - before > 2 * (many - before),
        "{before} {many} {graph}"
    );
}

type Grads = itd_prelude::Result<Vec<Option<Tensor>>>;

fn gradients(net: &Iddpm, n: usize, of: impl Fn(&Iddpm, &Query, &GradOut) -> Grads) {
    let shape = [&[n], net.shape()].concat();
    let z = rng::normal(&shape, &mut rng::seeded(0)).unwrap();
    let alpha = Tensor::zeros(n, z.dtype(), &Device::Cpu).unwrap();
    let ones = |_: usize, eps: &Tensor| Ok(eps.ones_like()?);
    of(net, &Query::new(&z, &alpha), &ones).unwrap();
}
