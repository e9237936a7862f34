//! What the allocator keeps of memory that nobody uses any more, given back to the system.
//! Never looks at what is in use.

/// Gives back what this thread has freed and not taken again for about a second.
///
/// mimalloc leaves that to its user: between two calls memory only grows to what was needed at
/// most at a time, as in a crowd of clients that have long gone quiet. A call visits the thread's
/// pages, some microseconds for a worker's; nothing where another allocator serves.
#[cfg_attr(
    feature = "mimalloc",
    expect(unsafe_code, reason = "the allocator's crate has no safe name for it")
)]
pub(crate) fn give_back() {
    #[cfg(feature = "mimalloc")]
    // SAFETY: takes no pointer and may be called from any thread at any time; also where the
    // process has another allocator, since then mimalloc has nothing to give.
    unsafe {
        libmimalloc_sys::mi_collect(false);
    }
}
