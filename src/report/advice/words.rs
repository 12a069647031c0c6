//! How languages say that something has to start on a line of its own.

use crate::symbols::Language;

/// What makes a member, a variable or a type start on a multiple of so many bytes.
pub(super) fn aligned(language: Language, line: u64) -> String {
    match language {
        Language::C => format!("_Alignas({line})"),
        Language::Cpp => format!("alignas({line})"),
        Language::Rust => format!("#[repr(align({line}))]"),
        Language::Go => format!("_ [{line} - used]byte"),
        Language::Other => format!("an alignment of {line} bytes"),
    }
}

/// How to give a type the size and alignment of a line.
pub(super) fn padded_type(language: Language, name: &str, line: u64) -> String {
    match language {
        Language::C => format!(
            "put {} before the first member of {name}: its size is then a multiple of that",
            aligned(language, line)
        ),
        Language::Cpp => format!("declare it as struct {} {name}", aligned(language, line)),
        Language::Rust => format!(
            "put {} before {name}, or wrap it in crossbeam_utils::CachePadded",
            aligned(language, line)
        ),
        Language::Go => {
            format!("end {name} with a field _ cpu.CacheLinePad (golang.org/x/sys/cpu)")
        }
        Language::Other => format!("give {name} a size and an alignment of {line} bytes"),
    }
}

/// How to make a variable start on a line of its own.
pub(super) fn aligned_variable(language: Language, name: &str, line: u64) -> String {
    match language {
        Language::C | Language::Cpp => format!("declare {name} with {}", aligned(language, line)),
        Language::Rust => format!(
            "wrap {name} in a type with {}, such as crossbeam_utils::CachePadded",
            aligned(language, line)
        ),
        Language::Go => format!("put {name} into a struct between two fields _ cpu.CacheLinePad"),
        Language::Other => format!("give {name} {}", aligned(language, line)),
    }
}

/// How to allocate memory that starts on a line.
pub(super) fn aligned_allocation(language: Language, line: u64) -> String {
    match language {
        Language::C => {
            format!("aligned_alloc({line}, size), with a size that is a multiple of {line}")
        }
        Language::Cpp => format!(
            "a type with alignas({line}), which operator new of C++17 heeds, or std::aligned_alloc({line}, size)"
        ),
        Language::Rust => {
            format!("a type with #[repr(align({line}))], which Box, Vec and Arc heed")
        }
        Language::Go => "a struct that begins and ends with a field _ cpu.CacheLinePad".to_owned(),
        Language::Other => format!("memory that is aligned to {line} bytes"),
    }
}

/// Why a layout may not be ours to change.
pub(super) fn caution(language: Language) -> &'static str {
    match language {
        Language::Rust => {
            "offsets change for code that relies on repr(C), transmutes or writes the bytes out"
        }
        Language::Go => "offsets change for code that uses unsafe or cgo",
        _ => {
            "offsets change for everything that is compiled against the old layout, copies it by memcpy or \
             writes it to files"
        }
    }
}
