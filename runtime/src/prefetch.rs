//! Fetching memory before it is needed, for walks over all entities of a space: they lie in no order that a
//! processor can foresee, and of thousands most lie in no near cache.
//!
//! For single events it was tried and gained nothing.

/// Bytes that the processor fetches at once.
const LINE_BYTES: usize = 64;

/// Fetches a value, its first lines if it is large. What its pointers point to is left where it is.
#[inline]
pub(crate) fn value<T>(value: &T, lines_max: usize) {
    lines(std::ptr::from_ref(value).cast(), size_of::<T>(), lines_max);
}

/// Fetches the beginning of a slice.
#[inline]
pub(crate) fn slice<T>(slice: &[T], lines_max: usize) {
    lines(slice.as_ptr().cast(), size_of_val(slice), lines_max);
}

#[inline]
fn lines(start: *const i8, bytes: usize, lines_max: usize) {
    for line in 0..bytes.div_ceil(LINE_BYTES).min(lines_max) {
        line_at(start.wrapping_add(line * LINE_BYTES));
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn line_at(place: *const i8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a hint. It reads nothing that the program sees, and no address makes it fail.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(place) }
}

/// Other machines have no hint that stable Rust can give.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn line_at(_: *const i8) {}
