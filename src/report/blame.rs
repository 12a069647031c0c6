//! Whose code an access is: the program's own, beneath runtimes and lock primitives.

use super::model::Access;
use super::names::CodeName;

/// Beginnings of names that belong to languages' runtimes, allocators and string functions.
const RUNTIME: [&str; 26] = [
    "std::",
    "core::",
    "alloc::",
    "<std::",
    "<core::",
    "<alloc::",
    "<&T as core::",
    "__gnu_cxx::",
    "__cxxabiv1::",
    "operator new",
    "operator delete",
    "__GI_",
    "__libc_",
    "_int_",
    "malloc",
    "calloc",
    "realloc",
    "free",
    "cfree",
    "__mem",
    "__str",
    "memcpy",
    "memset",
    "memmove",
    "__rust_",
    "runtime.",
];

/// Beginnings of names of functions that take, release or wait for locks.
const LOCKS: [&str; 29] = [
    "pthread_mutex_",
    "__pthread_mutex_",
    "___pthread_mutex_",
    "pthread_spin_",
    "__pthread_spin_",
    "pthread_rwlock_",
    "__pthread_rwlock_",
    "___pthread_rwlock_",
    "pthread_cond_",
    "__pthread_cond_",
    "___pthread_cond_",
    "sem_wait",
    "sem_post",
    "__new_sem_",
    "__lll_lock_",
    "lll_",
    "std::mutex::",
    "std::shared_mutex::",
    "std::lock_guard",
    "std::unique_lock",
    "std::scoped_lock",
    "std::sys::sync::",
    "std::sync::mutex::",
    "std::sync::poison::",
    "std::sync::rwlock::",
    "parking_lot",
    "lock_api::",
    "absl::Mutex",
    "sync.(*",
];

/// Whether a function takes, releases or waits for a lock.
pub(super) fn is_lock_primitive(function: &str) -> bool {
    // The C library's own name for the same function.
    let function = function.strip_prefix("__GI_").unwrap_or(function);
    LOCKS.iter().any(|start| function.starts_with(start))
}

fn is_runtime(function: &str) -> bool {
    RUNTIME.iter().any(|start| function.starts_with(start)) || is_lock_primitive(function)
}

/// The functions of an access from the innermost outwards: inlined ones, the one that exists, and the
/// most frequent callers, where call chains are there.
fn frames(access: &Access) -> impl Iterator<Item = &str> {
    let inlined = access.inlines.iter().filter_map(|frame| frame.symbol.as_deref());
    let callers = access.callers.first().into_iter().flat_map(|chain| chain.frames.iter());
    inlined.chain(access.symbol.as_deref()).chain(callers.map(String::as_str))
}

/// The innermost function that is the program's own; if all are runtime, the one that exists.
pub(super) fn blamed(access: &Access) -> Option<&str> {
    // Inlined functions are a part of the one that exists, which is named as long as it is the
    // program's own.
    let own = access.symbol.as_deref().filter(|name| !is_runtime(name));
    own.or_else(|| frames(access).find(|name| !is_runtime(name))).or(access.symbol.as_deref())
}

/// Whether it belongs to a lock, judged by the names of its functions.
pub(super) fn is_in_lock_primitive(access: &Access) -> bool {
    let inlined = access.inlines.iter().filter_map(|frame| frame.symbol.as_deref());
    inlined.chain(access.symbol.as_deref()).any(is_lock_primitive)
}

/// Whether code belongs to a lock, judged by the names of its functions.
pub(super) fn is_code_of_lock(name: &CodeName) -> bool {
    let inlined = name.inlined.iter().filter_map(|frame| frame.function.as_deref());
    inlined.chain(name.symbol.as_deref()).any(is_lock_primitive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_and_locks_are_known_by_their_names() {
        assert!(is_lock_primitive("pthread_mutex_lock"));
        assert!(is_lock_primitive("std::sys::sync::mutex::futex::Mutex::lock_contended"));
        assert!(is_lock_primitive("__GI___pthread_mutex_unlock_usercnt"));
        assert!(!is_lock_primitive("lock_the_door"));
        assert!(is_runtime("core::sync::atomic::AtomicU64::fetch_add"));
        assert!(!is_runtime("memory_pool::take"));
    }
}
