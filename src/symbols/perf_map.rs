//! Symbols of JIT-compiled code, as a JIT writes them to `/tmp/perf-PID.map`.

use std::fs::OpenOptions;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::error::PerfMapError;
use super::kernel_list::fields;
use super::location::{Location, SymbolName};
use super::text::text_of;
use crate::kernel::MappedFile;

/// The largest map that is read.
const MAX_SIZE: u64 = 1 << 30;

/// One function that a JIT wrote down.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    start: u64,
    end: u64,
    name: String,
}

/// The functions of one JIT-compiling process, by their address at run time.
///
/// Each line of the text is `START SIZE name`, both numbers hexadecimal, and the name the rest of
/// the line. Lines of any other form are skipped. Where functions overlap, the one that was written
/// last has replaced the others.
#[derive(Debug, Default)]
pub struct PerfMap {
    /// Sorted by address, not overlapping.
    entries: Vec<Entry>,
}

impl PerfMap {
    /// Reads the map at `path`.
    ///
    /// Anybody can create a file of this name before the JIT does, so the map is used only if it
    /// is a regular file that belongs to `owner_uid`, the user of the recorded process, or to root.
    /// `None` accepts any owner.
    ///
    /// # Errors
    ///
    /// Why the map was not used.
    pub fn open(path: &Path, owner_uid: Option<u32>) -> Result<Self, PerfMapError> {
        let unreadable = |source| PerfMapError::Unreadable { path: path.to_owned(), source };
        // Nothing here may go by the path twice: whoever owns the directory could swap the file
        // between a check and its use. A link is refused, as it could lead to anybody's file.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path)
            .map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        let owner = metadata.uid();
        if let Some(expected) = owner_uid.filter(|&uid| owner != uid && owner != 0) {
            return Err(PerfMapError::Owner { path: path.to_owned(), owner, expected });
        }
        if metadata.len() > MAX_SIZE {
            return Err(PerfMapError::TooLarge {
                path: path.to_owned(),
                size: metadata.len(),
                limit: MAX_SIZE,
            });
        }
        let text = MappedFile::from_file(&file).map_err(unreadable)?;
        Ok(Self::parse(&text))
    }

    /// Reads the text of a map.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let mut entries: Vec<Entry> = text.split(|&b| b == b'\n').filter_map(parse_line).collect();
        // Stable, so that of equal starts the one written last comes last.
        entries.sort_by_key(|entry| entry.start);
        entries.dedup_by(|later, kept| {
            let same = later.start == kept.start;
            if same {
                std::mem::swap(later, kept);
            }
            same
        });
        let mut next = u64::MAX;
        for entry in entries.iter_mut().rev() {
            entry.end = entry.end.min(next);
            next = entry.start;
        }
        Self { entries }
    }

    /// How many functions it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has no function.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The function that contains the address at run time.
    #[must_use]
    pub fn symbol(&self, address: u64) -> Option<SymbolName> {
        let after = self.entries.partition_point(|e| e.start <= address);
        let entry = self.entries.get(after.checked_sub(1)?)?;
        (address < entry.end).then(|| {
            let size = entry.end - entry.start;
            // A JIT writes names for people; demangling them would only guess.
            SymbolName {
                name: entry.name.clone(),
                raw: entry.name.clone(),
                address: entry.start,
                size,
            }
        })
    }

    /// The same as a location of one frame.
    #[must_use]
    pub fn locate(&self, address: u64) -> Location {
        Location::of_symbol(self.symbol(address), address)
    }
}

fn parse_line(line: &[u8]) -> Option<Entry> {
    let (start, rest) = fields::hex(line)?;
    let (size, rest) = fields::hex(rest)?;
    let name = rest.trim_ascii();
    let end = start.checked_add(size)?;
    (!name.is_empty() && size > 0).then(|| Entry { start, end, name: text_of(name) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_at(map: &PerfMap, address: u64) -> Option<String> {
        map.symbol(address).map(|symbol| symbol.name)
    }

    #[test]
    fn names_may_hold_spaces_and_bad_lines_are_skipped() {
        let map = PerfMap::parse(
            b"1000 20 LazyCompile:~add /srv/app.js:1\n\nnonsense\n0x2000 0x10 prefixed\r\n\
              3000\n3000 zz name\n3000 0 empty\nffffffffffffffff 2 overflow\n4000 8 \n5000 8 last",
        );
        assert_eq!(map.len(), 3);
        let add = "LazyCompile:~add /srv/app.js:1";
        assert_eq!(name_at(&map, 0xfff), None);
        assert_eq!(name_at(&map, 0x1000).as_deref(), Some(add));
        assert_eq!(name_at(&map, 0x101f).as_deref(), Some(add));
        assert_eq!(name_at(&map, 0x1020), None);
        assert_eq!(name_at(&map, 0x2000).as_deref(), Some("prefixed"));
        assert_eq!(name_at(&map, 0x5007).as_deref(), Some("last"));
    }

    #[test]
    fn recompiled_functions_replace_older_ones() {
        let map = PerfMap::parse(b"1000 100 old\n1000 40 new\n1020 10 inner\n");
        assert_eq!(name_at(&map, 0x1000).as_deref(), Some("new"));
        assert_eq!(name_at(&map, 0x1020).as_deref(), Some("inner"));
    }

    #[test]
    fn only_regular_files_of_the_right_owner_are_read() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "1000 10 f\n").expect("written");
        let own = file.as_file().metadata().expect("metadata").uid();
        assert_eq!(PerfMap::open(file.path(), Some(own)).expect("read").len(), 1);
        assert_eq!(PerfMap::open(file.path(), None).expect("read").len(), 1);
        if own != 0 {
            let error = PerfMap::open(file.path(), Some(own + 1)).expect_err("refused");
            assert!(matches!(error, PerfMapError::Owner { .. }));
        }
        let directory = tempfile::tempdir().expect("a directory");
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(file.path(), &link).expect("a link");
        assert!(PerfMap::open(&link, None).is_err());
        assert!(PerfMap::open(Path::new("/dev/zero"), None).is_err());
        assert!(PerfMap::open(directory.path(), None).is_err());
    }
}
