//! The source language of a compile unit.

use std::fmt;

/// The source language of a compile unit, as its `DW_AT_language` states it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Language {
    /// C, of any year.
    C,
    /// C++, of any year.
    Cpp,
    /// Rust.
    Rust,
    /// Go.
    Go,
    /// Any other, or not stated.
    #[default]
    Other,
}

impl Language {
    pub(super) fn of(stated: gimli::DwLang) -> Self {
        match stated {
            gimli::DW_LANG_C
            | gimli::DW_LANG_C89
            | gimli::DW_LANG_C99
            | gimli::DW_LANG_C11
            | gimli::DW_LANG_C17 => Self::C,
            gimli::DW_LANG_C_plus_plus
            | gimli::DW_LANG_C_plus_plus_03
            | gimli::DW_LANG_C_plus_plus_11
            | gimli::DW_LANG_C_plus_plus_14
            | gimli::DW_LANG_C_plus_plus_17
            | gimli::DW_LANG_C_plus_plus_20 => Self::Cpp,
            gimli::DW_LANG_Rust => Self::Rust,
            gimli::DW_LANG_Go => Self::Go,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::C => "C",
            Self::Cpp => "C++",
            Self::Rust => "Rust",
            Self::Go => "Go",
            Self::Other => "other",
        })
    }
}
