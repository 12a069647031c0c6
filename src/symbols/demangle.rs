//! Mangled symbol names, made readable.

use std::borrow::Cow;
use std::fmt;

/// Names longer than this are shown as they are: the demanglers' work grows with the input.
const MAX_MANGLED: usize = 16 << 10;

/// Longer results are cut off: a few substitutions can stand for gigabytes of text.
const MAX_DEMANGLED: usize = 64 << 10;

/// How deep a C++ name may nest. The parser's own default, safe on a small stack too.
const MAX_DEPTH: u32 = 96;

/// How much of a demangled C++ name is shown.
///
/// `perf report` and `perf script` print the short form: for `long ns::Op::conv<long>(long) const
/// [clone .isra.0]` they print `ns::Op::conv<long>`, that is without return type, parameters,
/// qualifiers and the compiler's clone suffix (`perf report -v` prints all of it). Rust names are
/// the same in both styles and never carry the hash.
///
/// Two spellings still differ from `perf`'s: integers in template arguments are `(unsigned long)4`
/// here and `4ul` there, and `std::ostream` is `std::basic_ostream<...>` there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DemangleStyle {
    /// As `perf` prints it, without return type, parameters, qualifiers and clone suffix.
    #[default]
    Short,
    /// With all that the mangled name states.
    Full,
}

/// Demangles a Rust or C++ symbol name the way `perf` shows it; any other name is returned as is.
#[must_use]
pub fn demangle(name: &str) -> Cow<'_, str> {
    demangle_with(name, DemangleStyle::Short)
}

/// Demangles a Rust or C++ symbol name in the given style; any other name is returned as is.
#[must_use]
pub fn demangle_with(name: &str, style: DemangleStyle) -> Cow<'_, str> {
    if name.len() > MAX_MANGLED {
        return Cow::Borrowed(name);
    }
    // Rust's legacy scheme borrows the form of C++ names, so it has to be asked first; it tells
    // its own by the hash at the end.
    demangle_rust(name)
        .or_else(|| demangle_cpp(name, style))
        .map_or(Cow::Borrowed(name), Cow::Owned)
}

fn demangle_rust(name: &str) -> Option<String> {
    use fmt::Write;
    if !(name.starts_with("_R") || name.starts_with("_ZN")) {
        return None;
    }
    let symbol = rustc_demangle::try_demangle(name).ok()?;
    let mut text = BoundedText::default();
    write!(text, "{symbol:#}").ok()?;
    Some(text.0)
}

fn demangle_cpp(name: &str, style: DemangleStyle) -> Option<String> {
    // Without this check a C function named `i` would become the type `int`.
    if !name.starts_with("_Z") {
        return None;
    }
    let parse = cpp_demangle::ParseOptions::default().recursion_limit(MAX_DEPTH);
    let symbol = cpp_demangle::Symbol::new_with_options(name, &parse).ok()?;
    let mut options = cpp_demangle::DemangleOptions::new().recursion_limit(MAX_DEPTH);
    if style == DemangleStyle::Short {
        options = options.no_params().no_return_type();
    }
    let mut text = BoundedText::default();
    symbol.structured_demangle(&mut text, &options).ok()?;
    if style == DemangleStyle::Short {
        shorten(&mut text.0);
    }
    Some(text.0)
}

/// Drops the notes and qualifiers that stand behind a name once its parameters are gone.
fn shorten(text: &mut String) {
    if let Some(clone) = text.find(" [clone ") {
        text.truncate(clone);
    }
    loop {
        let kept = [" const", " volatile", " &&", " &"]
            .iter()
            .find_map(|qualifier| text.strip_suffix(qualifier))
            // `operator &&` ends like a qualified name and is not one.
            .filter(|kept| !kept.ends_with("operator"))
            .map(str::len);
        match kept {
            Some(length) => text.truncate(length),
            None => return,
        }
    }
}

/// Text that refuses to grow past [`MAX_DEMANGLED`].
#[derive(Default)]
struct BoundedText(String);

impl fmt::Write for BoundedText {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if self.0.len() + part.len() > MAX_DEMANGLED {
            return Err(fmt::Error);
        }
        self.0.push_str(part);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_those_that_perf_prints() {
        for (raw, expected) in [
            ("_ZN2nsL2clEii.constprop.0", "ns::cl"),
            ("_ZZ4mainENKUliE_clEi", "main::{lambda(int)#1}::operator()"),
            ("_ZN2ns12_GLOBAL__N_14anonEi", "ns::(anonymous namespace)::anon"),
            ("_ZNK2ns2Op4convIlEET_S2_.isra.0", "ns::Op::conv<long>"),
            ("_ZNK2ns2OpclEi.isra.0", "ns::Op::operator()"),
            ("_ZNK2ns1SIiE4spinEiRKSt6vectorIiSaIiEE", "ns::S<int>::spin"),
            ("_RNvMNtCs6GmmlP4bgsG_1r1mINtB2_1AmE4spinB4_", "<r::m::A<u32>>::spin"),
        ] {
            assert_eq!(demangle(raw), expected);
        }
    }

    #[test]
    fn full_names_keep_parameters() {
        let full = |raw| demangle_with(raw, DemangleStyle::Full);
        assert_eq!(full("_ZN2ns7free_fnEiPKc"), "ns::free_fn(int, char const*)");
        assert_eq!(
            full("_ZNK2ns2Op4convIlEET_S2_.isra.0"),
            "long ns::Op::conv<long>(long) const [clone .isra.0]"
        );
    }

    #[test]
    fn rust_names_lose_their_hash() {
        assert_eq!(
            demangle("_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE"),
            "core::fmt::Write::write_fmt"
        );
    }

    #[test]
    fn other_names_stay() {
        for name in ["main", "i", "", "_Z", "_ZN", "_R", "malloc@plt", "π"] {
            assert_eq!(demangle(name), name);
        }
    }

    #[test]
    fn hostile_names_end() {
        let deep = format!("_Z{}i", "P".repeat(10_000));
        assert_eq!(demangle(&deep), deep);
        let long = format!("_Z1f{}", "i".repeat(MAX_MANGLED));
        assert_eq!(demangle(&long), long);
        // Each substitution doubles what the one before it stands for.
        let mut doubling = String::from("_Z1fSt4pairIiiE");
        for step in 0..40_u32 {
            let digit = char::from_digit(step % 36, 36).unwrap_or('0').to_ascii_uppercase();
            doubling.push_str(&format!("St4pairIS{digit}_S{digit}_E"));
        }
        assert!(demangle(&doubling).len() <= MAX_DEMANGLED);
    }
}
