//! The functions that allocate and free, by their names.

use crate::perf_data::Event;

/// The group of events that trace allocation functions, as perf writes it: `hitm_heap:malloc`.
pub const EVENT_GROUP: &str = "hitm_heap:";
/// Behind the name of the event that traces a function's return.
pub const RETURN_SUFFIX: &str = "_return";

/// What a function does with which argument, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Returns memory of so many bytes, times the other number where there is one.
    Allocate {
        /// Argument with the bytes.
        size: u8,
        /// Argument with how many.
        count: Option<u8>,
    },
    /// Leaves memory of so many bytes where the first argument points to, and returns 0.
    AllocateInto {
        /// Argument with the bytes.
        size: u8,
    },
    /// Frees the memory of the first argument, and returns memory of so many bytes, times the other
    /// number where there is one.
    Reallocate {
        /// Argument with the bytes.
        size: u8,
        /// Argument with how many.
        count: Option<u8>,
    },
    /// Frees the memory of the first argument.
    Free,
}

/// A function that allocates or frees.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AllocationFunction {
    /// Its name, without what the compiler adds.
    pub name: String,
    /// What it does.
    pub shape: Shape,
    /// Whether it is of a language, and usually calls another one of these.
    pub is_layer: bool,
}

/// Whether an event traces allocations, and so says nothing of lines.
pub fn traces_heap(event: &Event) -> bool {
    event.name.starts_with(EVENT_GROUP)
}

/// The C functions, without prefix, whether they are layers, and what they do.
#[rustfmt::skip]
const C: &[(&str, bool, Shape)] = &[
    ("malloc", false, Shape::Allocate { size: 0, count: None }),
    ("calloc", false, Shape::Allocate { size: 0, count: Some(1) }),
    ("realloc", false, Shape::Reallocate { size: 1, count: None }),
    ("reallocarray", true, Shape::Reallocate { size: 1, count: Some(2) }),
    ("free", false, Shape::Free),
    ("cfree", false, Shape::Free),
    ("aligned_alloc", false, Shape::Allocate { size: 1, count: None }),
    ("memalign", false, Shape::Allocate { size: 1, count: None }),
    ("posix_memalign", false, Shape::AllocateInto { size: 2 }),
    ("free_sized", true, Shape::Free),
    ("free_aligned_sized", true, Shape::Free),
];

/// What single allocators have besides.
#[rustfmt::skip]
const OTHERS: &[(&str, bool, Shape)] = &[
    ("mallocx", false, Shape::Allocate { size: 0, count: None }),
    ("rallocx", false, Shape::Reallocate { size: 1, count: None }),
    ("dallocx", false, Shape::Free),
    ("sdallocx", false, Shape::Free),
    ("malloc_small", true, Shape::Allocate { size: 0, count: None }),
    ("malloc_aligned", true, Shape::Allocate { size: 0, count: None }),
    ("mallocn", true, Shape::Allocate { size: 0, count: Some(1) }),
    ("zalloc", true, Shape::Allocate { size: 0, count: None }),
    ("zalloc_small", true, Shape::Allocate { size: 0, count: None }),
    ("zalloc_aligned", true, Shape::Allocate { size: 0, count: None }),
    ("calloc_aligned", true, Shape::Allocate { size: 0, count: Some(1) }),
    ("realloc_aligned", true, Shape::Reallocate { size: 1, count: None }),
    ("reallocn", true, Shape::Reallocate { size: 1, count: Some(2) }),
    ("free_size", true, Shape::Free),
    ("free_aligned", true, Shape::Free),
    ("free_size_aligned", true, Shape::Free),
    ("new", true, Shape::Allocate { size: 0, count: None }),
    ("new_nothrow", true, Shape::Allocate { size: 0, count: None }),
    ("new_aligned", true, Shape::Allocate { size: 0, count: None }),
    ("newarray", true, Shape::Allocate { size: 0, count: None }),
    ("newarray_nothrow", true, Shape::Allocate { size: 0, count: None }),
    ("delete", true, Shape::Free),
    ("delete_sized", true, Shape::Free),
    ("delete_nothrow", true, Shape::Free),
    ("deletearray", true, Shape::Free),
    ("deletearray_sized", true, Shape::Free),
];

/// What allocators that are linked under another name put before it: jemalloc (its own prefix, and
/// that of the Rust crates), tcmalloc, mimalloc. Longer ones first.
const PREFIXES: &[&str] = &["_rjem_je_", "_rjem_", "je_", "tc_", "mi_"];

/// Rust's, after `__rust_`, `__rdl_` or `__rg_`.
#[rustfmt::skip]
const RUST: &[(&str, Shape)] = &[
    ("alloc", Shape::Allocate { size: 0, count: None }),
    ("alloc_zeroed", Shape::Allocate { size: 0, count: None }),
    ("realloc", Shape::Reallocate { size: 3, count: None }),
    ("dealloc", Shape::Free),
];

impl AllocationFunction {
    /// The function that a symbol names, if it is one of these.
    pub fn of_symbol(symbol: &str) -> Option<Self> {
        // A dynamic symbol may have a version.
        let symbol = symbol.split('@').next()?;
        Self::of_c(symbol).or_else(|| Self::of_cpp(symbol)).or_else(|| Self::of_rust(symbol))
    }

    /// The function that an event traces, and whether it traces the return.
    pub fn of_event(event: &str) -> Option<(Self, bool)> {
        let name = event.strip_prefix(EVENT_GROUP)?;
        match name.strip_suffix(RETURN_SUFFIX) {
            Some(name) => Some((Self::of_symbol(name)?, true)),
            None => Some((Self::of_symbol(name)?, false)),
        }
    }

    /// The name of the event that traces it.
    pub fn event_name(&self, is_return: bool) -> String {
        let suffix = if is_return { RETURN_SUFFIX } else { "" };
        format!("{EVENT_GROUP}{}{suffix}", self.name)
    }

    fn of_c(symbol: &str) -> Option<Self> {
        let of = |name: &str, is_prefixed: bool| {
            let others = OTHERS.iter().filter(|(other, ..)| {
                // Only jemalloc has these names without a prefix; "new" and the like are anyone's.
                is_prefixed || other.ends_with("allocx")
            });
            let (_, is_layer, shape) = C.iter().chain(others).find(|(known, ..)| *known == name)?;
            Some(Self { name: symbol.to_owned(), shape: *shape, is_layer: *is_layer })
        };
        let prefix = PREFIXES.iter().find(|prefix| symbol.starts_with(**prefix));
        match prefix {
            Some(prefix) => of(&symbol[prefix.len()..], true),
            None => of(symbol, false),
        }
    }

    fn of_cpp(symbol: &str) -> Option<Self> {
        // operator new and new[] of unsigned long or unsigned int, and operator delete and delete[].
        let shape = if ["_Znwm", "_Znam", "_Znwj", "_Znaj"].iter().any(|it| symbol.starts_with(it))
        {
            Shape::Allocate { size: 0, count: None }
        } else if symbol.starts_with("_ZdlPv") || symbol.starts_with("_ZdaPv") {
            Shape::Free
        } else {
            return None;
        };
        let rest = &symbol[5..];
        // Nothing but sizes, alignments and nothrow: a member of a class is another function.
        let is_plain = ["", "v", "vm", "vj"].iter().any(|known| {
            rest.strip_prefix(known).is_some_and(|rest| {
                rest.replace("St11align_val_t", "").replace("RKSt9nothrow_t", "").is_empty()
            })
        });
        is_plain.then(|| Self { name: symbol.to_owned(), shape, is_layer: true })
    }

    fn of_rust(symbol: &str) -> Option<Self> {
        // Since Rust 1.87 they are mangled, in a crate of no name but this.
        let plain = match symbol.split_once("7___rustc") {
            Some((before, name)) if before.starts_with("_R") => {
                name.trim_start_matches(|letter: char| letter.is_ascii_digit()).get(1..)?
            }
            _ => symbol,
        };
        let (layer, rest) = ["__rust_", "__rdl_", "__rg_"]
            .iter()
            .find_map(|layer| Some((layer, plain.strip_prefix(layer)?)))?;
        let (name, shape) = RUST.iter().find(|(name, _)| *name == rest)?;
        Some(Self { name: format!("{layer}{name}"), shape: *shape, is_layer: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(symbol: &str) -> Option<(String, Shape, bool)> {
        let function = AllocationFunction::of_symbol(symbol)?;
        Some((function.name, function.shape, function.is_layer))
    }

    #[test]
    fn allocators_are_known_by_their_symbols() {
        let plain = |size| Shape::Allocate { size, count: None };
        for (symbol, name, shape, is_layer) in [
            ("malloc", "malloc", plain(0), false),
            ("malloc@@GLIBC_2.2.5", "malloc", plain(0), false),
            ("_rjem_mallocx", "_rjem_mallocx", plain(0), false),
            ("mi_zalloc_aligned", "mi_zalloc_aligned", plain(0), true),
            ("tc_new", "tc_new", plain(0), true),
            ("je_aligned_alloc", "je_aligned_alloc", plain(1), false),
            ("posix_memalign", "posix_memalign", Shape::AllocateInto { size: 2 }, false),
            ("calloc", "calloc", Shape::Allocate { size: 0, count: Some(1) }, false),
            ("_Znwm", "_Znwm", plain(0), true),
            (
                "_ZnamSt11align_val_tRKSt9nothrow_t",
                "_ZnamSt11align_val_tRKSt9nothrow_t",
                plain(0),
                true,
            ),
            ("_ZdlPv", "_ZdlPv", Shape::Free, true),
            ("_ZdaPvmSt11align_val_t", "_ZdaPvmSt11align_val_t", Shape::Free, true),
            ("__rust_realloc", "__rust_realloc", Shape::Reallocate { size: 3, count: None }, true),
            ("_RNvCs5GAyD4kr5nb_7___rustc12___rust_alloc", "__rust_alloc", plain(0), true),
            ("_RNvCs5GAyD4kr5nb_7___rustc11___rdl_alloc", "__rdl_alloc", plain(0), true),
            (
                "_RNvCs5GAyD4kr5nb_7___rustc19___rust_alloc_zeroed",
                "__rust_alloc_zeroed",
                plain(0),
                true,
            ),
        ] {
            assert_eq!(named(symbol), Some((name.to_owned(), shape, is_layer)), "{symbol}");
        }
    }

    #[test]
    fn others_are_not() {
        for symbol in [
            "new",
            "delete",
            "mallocate",
            "my_malloc",
            "_ZnwmP4Pool",
            "_Znwmx",
            "__rust_alloc_error_handler",
            "",
        ] {
            assert_eq!(named(symbol), None, "{symbol}");
        }
    }

    #[test]
    fn an_event_is_named_after_its_function() {
        let function = AllocationFunction::of_symbol("realloc").expect("known");
        for is_return in [false, true] {
            let event = function.event_name(is_return);
            assert_eq!(AllocationFunction::of_event(&event), Some((function.clone(), is_return)));
        }
        assert_eq!(AllocationFunction::of_event("cpu-clock"), None);
        assert_eq!(AllocationFunction::of_event("hitm_heap:printf"), None);
    }
}
