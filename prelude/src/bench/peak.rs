//! How much memory a process has taken at most.

use std::fs;

/// What the system says of this process, now and at most, in bytes; `None` where it does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory {
    pub now: u64,
    pub most: u64,
}

impl Memory {
    /// Reads both, on Linux.
    pub fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/self/status").ok()?)
    }

    /// From here on, the most is what has been taken since.
    pub fn forget() {
        // Elsewhere than on Linux there is no such file, and nothing to be read either.
        let _ = fs::write("/proc/self/clear_refs", "5");
    }

    fn parse(status: &str) -> Option<Self> {
        let field = |name: &str| -> Option<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let kilobytes = line.split_whitespace().next()?.parse::<u64>().ok()?;
            Some(1024 * kilobytes)
        };
        Some(Self {
            now: field("VmRSS:")?,
            most: field("VmHWM:")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_counts_in_kilobytes() {
        let status = "Name:\titd\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        let right = Memory {
            now: 1 << 20,
            most: 2 << 20,
        };
        assert_eq!(Memory::parse(status), Some(right));
        assert_eq!(Memory::parse("Name:\titd\n"), None);
    }
}
