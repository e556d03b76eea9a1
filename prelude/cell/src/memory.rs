//! Whether memory is there, before it is asked for.
//!
//! A process that asks for more than there is ends, and with it all variables of a notebook.

use sysinfo::{MemoryRefreshKind, RefreshKind, System};

use crate::error::{Error, Result};

/// Refuses `what`, an array of `T`, unless it fits into the memory that is free; gives the number of its values.
///
/// # Errors
/// [`Error::Memory`] when its size cannot be counted, or is more than what is free.
///
/// # Example
/// ```
/// # use itd_cell as itd_prelude;
/// use itd_prelude::memory::room_for;
///
/// assert_eq!(room_for::<f32>("a picture", &[3, 32, 32])?, 3072);
/// assert!(room_for::<f32>("a covariance", &[1 << 22, 1 << 22]).is_err());
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn room_for<T>(what: &str, shape: &[usize]) -> Result<usize> {
    let count = shape.iter().try_fold(1usize, |all, &n| all.checked_mul(n));
    let bytes = count.and_then(|count| count.checked_mul(size_of::<T>().max(1)));
    // What is small needs no look at the system.
    if let (Some(count), Some(0..=SMALL)) = (count, bytes) {
        return Ok(count);
    }
    let free = available();
    match (count, bytes) {
        (Some(count), Some(bytes)) if bytes as u64 <= free => Ok(count),
        _ => Err(Error::Memory {
            what: format!("{what} {shape:?}"),
            bytes: bytes.map(|bytes| bytes as u64),
            free,
        }),
    }
}

/// Bytes that are asked for without a look.
const SMALL: usize = 1 << 26;

/// The memory that this process may still use, in bytes: what the system has free, or what the control group leaves.
pub fn available() -> u64 {
    let kind = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(kind);
    let free = system.available_memory();
    match system.cgroup_limits() {
        // What the group's processes hold counts, and not the files that the system keeps in memory for them until
        // somebody needs it. A limit above all memory is none.
        Some(limits) if limits.total_memory > 0 => {
            free.min(limits.total_memory.saturating_sub(limits.rss))
        }
        _ => free,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_there_is_is_refused() {
        let free = available();
        assert!(free > 1 << 26, "{free}");
        let error = room_for::<u8>("bytes", &[free as usize * 2]).unwrap_err();
        assert!(error.to_string().contains("GB"), "{error}");
        assert!(room_for::<u8>("bytes", &[free as usize / 4]).is_ok());
        assert!(room_for::<u64>("words", &[usize::MAX]).is_err());
        assert!(room_for::<f32>("nothing", &[0, usize::MAX]).is_ok());
    }
}
