//! Processes that run now: `/proc/PID`.

use std::io;
use std::path::{Path, PathBuf};

use super::tree;

/// Listings of threads that differ are repeated so often at most; a process that starts threads
/// faster than that is taken as last seen (the kernel inherits the events to what comes later).
const MOST_LISTINGS: usize = 64;

/// What `/proc/PID/status` says of a process or thread.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProcessStatus {
    /// The process that the thread belongs to.
    pub process: u32,
    /// The process that started it; 0 for none.
    pub parent: u32,
    /// Real user id of its owner.
    pub user: Option<u32>,
    /// Name, at most 15 bytes.
    pub name: String,
    /// Whether it is a thread of the kernel: it has no memory of its own.
    pub is_kernel_thread: bool,
}

/// One line of `/proc/PID/maps`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MapLine {
    /// First address.
    pub start: u64,
    /// First address behind it.
    pub end: u64,
    /// `PROT_READ` 1, `PROT_WRITE` 2, `PROT_EXEC` 4.
    pub protection: u32,
    /// Shared with others that map the same object.
    pub is_shared: bool,
    /// Offset in the file, bytes.
    pub offset: u64,
    /// Major number of the device.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Inode; 0 without a file.
    pub inode: u64,
    /// Path, `[heap]` and the like, or empty; as the kernel shows it (` (deleted)` included).
    pub name: Vec<u8>,
}

/// All processes, ascending.
///
/// # Errors
///
/// `/proc` cannot be read.
pub fn process_ids(root: &Path) -> io::Result<Vec<u32>> {
    numbers(&root.join("proc"))
}

/// The threads of a process, ascending: listed again until two listings agree, since threads may
/// start in between.
///
/// # Errors
///
/// There is no such process, or it may not be looked at.
pub fn thread_ids(root: &Path, pid: u32) -> io::Result<Vec<u32>> {
    let folder = root.join(format!("proc/{pid}/task"));
    let mut last = numbers(&folder)?;
    for _ in 0..MOST_LISTINGS {
        let now = numbers(&folder)?;
        if now == last {
            break;
        }
        last = now;
    }
    Ok(last)
}

/// What the kernel says of a process, or of a thread by its own number.
///
/// # Errors
///
/// There is none, or it may not be looked at.
pub fn status(root: &Path, id: u32) -> io::Result<ProcessStatus> {
    let bytes = std::fs::read(root.join(format!("proc/{id}/status")))?;
    let text = String::from_utf8_lossy(&bytes);
    let field = |name: &str| {
        text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
    };
    let number = |name: &str| field(name)?.split_whitespace().next()?.parse().ok();
    // `comm` has the name as it is; `status` escapes line ends in it.
    let name = tree::text(root, &format!("proc/{id}/comm"));
    Ok(ProcessStatus {
        process: number("Tgid").unwrap_or(id),
        parent: number("PPid").unwrap_or(0),
        user: number("Uid"),
        name: name.unwrap_or_else(|| field("Name").unwrap_or_default().to_owned()),
        // A process that has ended and waits for its parent has no memory either.
        is_kernel_thread: field("VmSize").is_none()
            && !field("State").is_some_and(|state| state.starts_with(['Z', 'X'])),
    })
}

/// What happens to signals of a process, as sets of bits; signal 1 is bit 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SignalSets {
    /// Those with a handler.
    pub caught: u64,
    /// Those that are ignored on request; some are by default.
    pub ignored: u64,
}

/// What happens to signals of a thread's process.
///
/// # Errors
///
/// There is no such thread, or it may not be looked at.
pub fn signal_sets(tid: u32) -> io::Result<SignalSets> {
    let text = std::fs::read_to_string(format!("/proc/{tid}/status"))?;
    let set = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(0)
    };
    Ok(SignalSets { caught: set("SigCgt"), ignored: set("SigIgn") })
}

/// The program that a process runs, as its link says.
///
/// # Errors
///
/// There is no such process, it may not be looked at, or it is a thread of the kernel.
pub fn executable(root: &Path, pid: u32) -> io::Result<PathBuf> {
    std::fs::read_link(root.join(format!("proc/{pid}/exe")))
}

/// The mappings of a process. Lines that are none are left out.
///
/// # Errors
///
/// There is no such process, or it may not be looked at (that takes the right to trace it).
pub fn maps(root: &Path, pid: u32) -> io::Result<Vec<MapLine>> {
    let bytes = std::fs::read(root.join(format!("proc/{pid}/maps")))?;
    Ok(bytes.split(|&byte| byte == b'\n').filter_map(MapLine::parse).collect())
}

impl MapLine {
    /// Reads one line: `start-end rwxp offset major:minor inode   name`. The kernel writes a line
    /// end in a name as `\012`, which is undone.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let mut rest = line;
        let mut field = || {
            let from = rest.iter().position(|&byte| byte != b' ')?;
            rest = &rest[from..];
            let length = rest.iter().position(|&byte| byte == b' ').unwrap_or(rest.len());
            let (field, behind) = rest.split_at(length);
            rest = behind;
            std::str::from_utf8(field).ok()
        };
        let (start, end) = field()?.split_once('-')?;
        let rights = field()?.as_bytes();
        let offset = field()?;
        let (major, minor) = field()?.split_once(':')?;
        let inode = field()?.parse().ok()?;
        // Names begin behind blanks and may hold some.
        let name = &rest[rest.iter().position(|&byte| byte != b' ').unwrap_or(rest.len())..];
        let hexadecimal = |text| u64::from_str_radix(text, 16).ok();
        let right = |place: usize, letter, bit| match rights.get(place) {
            Some(found) if *found == letter => bit,
            _ => 0,
        };
        let (start, end) = (hexadecimal(start)?, hexadecimal(end)?);
        (start < end).then_some(Self {
            start,
            end,
            protection: right(0, b'r', 1) | right(1, b'w', 2) | right(2, b'x', 4),
            is_shared: rights.get(3) == Some(&b's'),
            offset: hexadecimal(offset)?,
            major: u32::from_str_radix(major, 16).ok()?,
            minor: u32::from_str_radix(minor, 16).ok()?,
            inode,
            name: unescape(name),
        })
    }
}

fn unescape(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&first, behind)) = rest.split_first() {
        if let Some(behind) = rest.strip_prefix(b"\\012") {
            out.push(b'\n');
            rest = behind;
        } else {
            out.push(first);
            rest = behind;
        }
    }
    out
}

fn numbers(folder: &Path) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        if let Some(number) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn map_lines_of_every_form() {
        let file = MapLine::parse(
            b"7f0000001000-7f0000003000 r-xs 00002000 fd:01 131 /tmp/a file\\012b (deleted)",
        );
        assert_eq!(
            file,
            Some(MapLine {
                start: 0x7f00_0000_1000,
                end: 0x7f00_0000_3000,
                protection: 5,
                is_shared: true,
                offset: 0x2000,
                major: 0xfd,
                minor: 1,
                inode: 131,
                name: b"/tmp/a file\nb (deleted)".to_vec(),
            })
        );
        let anonymous =
            MapLine::parse(b"00400000-00401000 rw-p 00000000 00:00 0 ").expect("a line");
        assert_eq!(
            (anonymous.protection, anonymous.is_shared, anonymous.name.len()),
            (3, false, 0)
        );
        let top = MapLine::parse(
            b"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]",
        );
        assert_eq!(top.map(|line| line.name), Some(b"[vsyscall]".to_vec()));
        for wrong in [&b""[..], b"x", b"2000-1000 r--p 0 0:0 0", b"1000-2000 r--p 0 00 0"] {
            assert_eq!(MapLine::parse(wrong), None);
        }
    }

    #[test]
    fn this_process_as_it_is() {
        let root = Path::new("/");
        let own = std::process::id();
        let (ready, wait) = std::sync::mpsc::channel();
        let (leave, stay) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let id = std::fs::read_link("/proc/thread-self").expect("a link");
            let _ = ready.send(id.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()));
            let _ = stay.recv();
        });
        let tid = wait.recv().expect("a message").expect("a number");
        let threads = thread_ids(root, own).expect("threads");
        assert!(threads.contains(&own) && threads.contains(&tid), "{threads:?}");
        assert_eq!(status(root, tid).expect("a status").process, own);
        let found = status(root, own).expect("a status");
        assert!(!found.is_kernel_thread && found.parent > 0);
        drop(leave);
        thread.join().expect("it ends");
        assert!(process_ids(root).expect("processes").contains(&own));
        assert_eq!(executable(root, own).ok(), std::env::current_exe().ok());
        let here = this_process_as_it_is as fn() as usize as u64;
        let lines = maps(root, own).expect("maps");
        let code = lines.iter().find(|line| (line.start..line.end).contains(&here));
        assert_eq!(code.map(|line| line.protection & 4), Some(4));
        assert!(thread_ids(root, u32::MAX).is_err());
    }
}
