//! Freed memory that stays with the process.

use std::sync::Once;

/// Tells the system's allocator to keep freed memory for reuse instead of giving it back.
///
/// Each step of a network makes and frees the same tensors. By default glibc returns blocks of that size to
/// the system and asks for them anew, zeroed page by page, which takes as long as the computation. The
/// numbers are not touched; a process keeps up to 256 MB that it no longer needs.
pub fn keep() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        #[cfg(all(target_os = "linux", target_env = "gnu"))]
        // SAFETY: mallopt only sets two thresholds of the allocator.
        unsafe {
            libc::mallopt(libc::M_TRIM_THRESHOLD, 256 << 20);
            libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
        }
    });
}
