//! What a process has mapped.

use std::path::Path;

/// One line of `/proc/PID/maps`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MapsLine {
    /// First address.
    pub start: u64,
    /// First address after it.
    pub end: u64,
    /// Offset in the file, bytes.
    pub offset: u64,
    /// May be read.
    pub is_readable: bool,
    /// May be written.
    pub is_writable: bool,
    /// May be run.
    pub is_executable: bool,
    /// Writes are seen by other processes.
    pub is_shared: bool,
    /// Device, major and minor.
    pub device: (u32, u32),
    /// Inode; 0 for memory that is no file.
    pub inode: u64,
    /// File, `[heap]` and the like; empty for anonymous memory.
    pub name: Vec<u8>,
}

/// What a process has mapped now.
///
/// # Errors
///
/// What reading `/proc/PID/maps` below `root` answers: `EACCES` without the right to trace it.
pub fn mappings_of(root: &Path, pid: u32) -> std::io::Result<Vec<MapsLine>> {
    Ok(parse_maps(&std::fs::read(root.join(format!("proc/{pid}/maps")))?))
}

/// Reads a text of the form of `/proc/PID/maps`; lines that are none are left out.
pub fn parse_maps(text: &[u8]) -> Vec<MapsLine> {
    text.split(|byte| *byte == b'\n').filter_map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> Option<MapsLine> {
    let mut rest = line;
    let mut next = || {
        let start = rest.iter().position(|byte| *byte != b' ')?;
        let word = &rest[start..];
        let length = word.iter().position(|byte| *byte == b' ').unwrap_or(word.len());
        rest = &word[length..];
        std::str::from_utf8(&word[..length]).ok()
    };
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let (start, end) = next()?.split_once('-')?;
    let (start, end) = (hex(start)?, hex(end)?);
    let rights = next()?.as_bytes();
    let right = |at: usize, letter: u8| rights.get(at) == Some(&letter);
    let offset = hex(next()?)?;
    let (major, minor) = next()?.split_once(':')?;
    let device = (hex(major)? as u32, hex(minor)? as u32);
    let inode = next()?.parse().ok()?;
    Some(MapsLine {
        start,
        end,
        offset,
        is_readable: right(0, b'r'),
        is_writable: right(1, b'w'),
        is_executable: right(2, b'x'),
        is_shared: right(3, b's'),
        device,
        inode,
        // Names may hold blanks.
        name: rest.trim_ascii_start().to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_with_names_that_hold_blanks() {
        let text = b"7f00-7f10 r-xp 00001000 fd:01 1234                 /opt/a b (deleted)\n\
                     8000-9000 rw-s 00000000 00:00 0 \nnonsense\n";
        let lines = parse_maps(text);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].name, b"/opt/a b (deleted)");
        assert_eq!(lines[0].device, (0xfd, 1));
        assert!(lines[0].is_executable && !lines[0].is_shared && !lines[0].is_writable);
        assert!(lines[1].is_shared && lines[1].is_writable && lines[1].name.is_empty());
    }
}
