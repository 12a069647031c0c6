//! Types that are shown as what they wrap: atomics, cells, locked data.

use super::data_type::{DataType, Member, MemberRole, TypeKind};

/// The namespaces whose structures with one member are wrappers.
const LIBRARIES: [&str; 10] = [
    "std::",
    "core::",
    "alloc::",
    "__gnu_cxx::",
    "boost::",
    "absl::",
    "folly::",
    "lock_api::",
    "parking_lot",
    "crossbeam",
];

/// Types of POSIX and C11 that programs use as a whole.
const OPAQUE: [&str; 8] = [
    "pthread_mutex_t",
    "pthread_rwlock_t",
    "pthread_cond_t",
    "pthread_barrier_t",
    "pthread_spinlock_t",
    "sem_t",
    "mtx_t",
    "cnd_t",
];

impl DataType {
    /// The one member of a wrapper: a type of a library, an atomic type or a Rust tuple of one field,
    /// whose only part of any size fills all of it.
    #[must_use]
    pub fn wrapped(&self) -> Option<Member> {
        if self.kind() != TypeKind::Struct {
            return None;
        }
        let size = self.size()?;
        let mut parts = self.members().into_iter().filter(|member| member.size > 0);
        let only = parts
            .next()
            .filter(|only| only.offset == Some(0) && only.size == size && only.bits.is_none())?;
        let is_tuple = only.name.as_deref() == Some("0");
        let is_base = only.role == MemberRole::Base;
        (parts.next().is_none() && (is_tuple || is_base || self.is_of_a_library())).then_some(only)
    }

    /// Whether it is a lock or the like of the C library, whose inside is nobody's business: it is shown
    /// as a whole.
    #[must_use]
    pub fn is_opaque(&self) -> bool {
        let mut of = self.clone();
        for _ in 0..8 {
            match of.kind() {
                TypeKind::Typedef => {
                    let name = of.plain_name().unwrap_or_default();
                    if OPAQUE.contains(&name.as_str()) {
                        return true;
                    }
                }
                TypeKind::Qualified => {}
                _ => return false,
            }
            match of.target() {
                Some(target) => of = target,
                None => return false,
            }
        }
        false
    }

    fn is_of_a_library(&self) -> bool {
        let Some(name) = self.plain_name() else { return false };
        let end = name.find('<').unwrap_or(name.len());
        let own = name.get(..end).unwrap_or(&name);
        let last = own.rsplit("::").next().unwrap_or(own).to_ascii_lowercase();
        LIBRARIES.iter().any(|library| own.starts_with(library)) || last.contains("atomic")
    }
}
