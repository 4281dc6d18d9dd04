//! The allocator of the test binary: the system's, which remembers the largest request, so that tests
//! can hold readers of damaged bytes to a bound.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

struct Watching;

static LARGEST_OF_ALL: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

/// The largest single request of any thread since the tests began.
pub fn largest_of_all() -> usize {
    LARGEST_OF_ALL.load(Ordering::Relaxed)
}

/// The largest single request of this thread while `operation` ran, and what it returned.
pub fn largest_during<T>(operation: impl FnOnce() -> T) -> (usize, T) {
    LARGEST.set(0);
    let result = operation();
    (LARGEST.get(), result)
}

fn note(length: usize) {
    // Gone at a thread's very end, when nothing is watched any more.
    let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(length)));
    // Nearly always a look and no more: a lock at each request would slow all threads.
    if length > LARGEST_OF_ALL.load(Ordering::Relaxed) {
        LARGEST_OF_ALL.fetch_max(length, Ordering::Relaxed);
    }
}

// SAFETY: every call is the system allocator's own; noting a number allocates nothing.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, length: usize) -> *mut u8 {
        note(length);
        unsafe { System.realloc(pointer, layout, length) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;
