//! How much memory the process takes.

/// Its resident memory, in bytes; `None` where the system does not tell. The second number of `/proc/self/statm` is in pages.
pub fn resident_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(u64::try_from(rustix::param::page_size()).ok()?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_process_takes_memory() {
        assert!(super::resident_memory().is_some_and(|bytes| bytes > 100_000));
    }
}
