//! Where the file of a recorded image is, and where its debug information is.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::BuildId;
use super::crc32::crc32;
use super::error::ImageProblem;
use super::image::Image;

/// Whether a recorded mapping name can be the path of a file.
///
/// The kernel also names memory that no file backs: `//anon`, `[heap]`, `[vdso]`,
/// `anon_inode:[perf_event]`, `/memfd:name (deleted)`, shared memory, devices. Such a name is never
/// opened.
#[must_use]
pub fn is_file_backed(name: &str) -> bool {
    const NOT_FILES: [&str; 6] =
        ["//anon", "/anon_hugepage", "/memfd:", "/SYSV", "/i915", "/drm mm object"];
    name.starts_with('/')
        && !name.contains('\0')
        && !NOT_FILES.iter().any(|prefix| name.starts_with(prefix))
        && (!name.starts_with("/dev/") || name.starts_with("/dev/shm/"))
}

/// The places where images and their debug files are looked for.
///
/// Nothing else is ever opened, and of these only what a recording, a debug link or a build-id
/// names.
#[derive(Debug, Clone)]
pub struct ImageFinder {
    /// A directory that stands for the root of the recorded machine.
    pub symfs: Option<PathBuf>,
    /// Roots of processes that still run and see other files than this one, such as `/proc/PID/root` of
    /// a container: looked into for images whose build-id is known, and never for others.
    pub live_roots: Vec<PathBuf>,
    /// The build-id cache that `perf` fills, usually `~/.debug`.
    pub build_id_cache: Option<PathBuf>,
    /// Roots of separate debug files, usually `/usr/lib/debug`.
    pub debug_roots: Vec<PathBuf>,
}

impl Default for ImageFinder {
    fn default() -> Self {
        Self {
            symfs: None,
            live_roots: Vec::new(),
            build_id_cache: None,
            debug_roots: vec![PathBuf::from("/usr/lib/debug")],
        }
    }
}

/// Which proof a debug file must bring besides the build-ids that both files may have.
enum Proof {
    /// It was found by the image's build-id.
    BuildId,
    /// It was found by name, and must have this checksum unless the build-ids agree.
    Checksum(u32),
}

impl ImageFinder {
    /// Opens the image recorded at the absolute path `recorded`, whose build-id is `expected`.
    ///
    /// A file at that path with another build-id, or with none, is not used: the same build is then
    /// looked for in the build-id cache and below the debug roots.
    ///
    /// # Errors
    ///
    /// Why the file at the path was not used, when no other place has the image.
    pub fn find(&self, recorded: &Path, expected: Option<&BuildId>) -> Result<Image, ImageProblem> {
        let problem = match self.open_recorded(recorded, expected) {
            Ok(image) => return Ok(image),
            Err(problem) => problem,
        };
        let elsewhere = |expected: &BuildId| {
            self.find_in_live_roots(recorded, expected).or_else(|| self.find_by_build_id(expected))
        };
        expected.and_then(elsewhere).ok_or(problem)
    }

    fn find_in_live_roots(&self, recorded: &Path, id: &BuildId) -> Option<Image> {
        let below = recorded.strip_prefix("/").ok()?;
        self.live_roots
            .iter()
            .filter_map(|root| Image::open(&root.join(below)).ok())
            .find(|image| image.build_id().is_some_and(|found| found.matches(id)))
    }

    fn open_recorded(
        &self,
        recorded: &Path,
        expected: Option<&BuildId>,
    ) -> Result<Image, ImageProblem> {
        let path = self.below_symfs(recorded)?;
        let image = Image::open(&path)?;
        match (expected, image.build_id()) {
            (Some(&expected), Some(found)) if !found.matches(&expected) => {
                Err(ImageProblem::BuildIdMismatch { path, expected, found })
            }
            (Some(&expected), None) => Err(ImageProblem::BuildIdMissing { path, expected }),
            _ => Ok(image),
        }
    }

    fn find_by_build_id(&self, id: &BuildId) -> Option<Image> {
        let cached = self.build_id_cache.iter().flat_map(|cache| {
            let entry = cache.join(".build-id").join(id.key_path(""));
            // A directory of files today; older versions of `perf` linked to the file itself.
            [entry.join("elf"), entry]
        });
        let installed =
            self.all_debug_roots().map(|root| root.join(".build-id").join(id.key_path("")));
        cached
            .chain(installed)
            .filter_map(|path| Image::open(&path).ok())
            .find(|image| image.build_id().is_some_and(|found| found.matches(id)))
    }

    /// Opens the separate debug file of `image`, which was recorded at `recorded`.
    ///
    /// `Ok(None)` when there is none.
    ///
    /// # Errors
    ///
    /// [`ImageProblem::DebugFileMismatch`] when a file has the right name and is of another build.
    pub fn find_debug_file(
        &self,
        image: &Image,
        recorded: &Path,
    ) -> Result<Option<Image>, ImageProblem> {
        let by_build_id = image.build_id().into_iter().flat_map(|id| {
            let installed = self
                .all_debug_roots()
                .map(move |root| root.join(".build-id").join(id.key_path(".debug")));
            let cached = self
                .build_id_cache
                .iter()
                .map(move |cache| cache.join(".build-id").join(id.key_path("")).join("debug"));
            installed.chain(cached).map(|path| (path, Proof::BuildId))
        });
        let by_link = self
            .linked_paths(image, recorded)
            .into_iter()
            .map(|(path, crc)| (path, Proof::Checksum(crc)));

        let mut problem = None;
        for (path, proof) in by_build_id.chain(by_link) {
            // A link may name the image itself; that brings nothing new.
            if path == image.path() {
                continue;
            }
            let Ok(candidate) = Image::open(&path) else {
                continue;
            };
            if belongs(&candidate, image, &proof) {
                return Ok(Some(candidate));
            }
            problem.get_or_insert(ImageProblem::DebugFileMismatch {
                path: image.path().to_owned(),
                debug_file: path,
            });
        }
        problem.map_or(Ok(None), Err)
    }

    /// Opens the supplementary file that `debug` (an image or its debug file) refers to, if any.
    #[must_use]
    pub fn find_supplementary(&self, debug: &Image) -> Option<Image> {
        let (name, id) = debug.supplementary_link()?;
        let name = Path::new(OsStr::from_bytes(name));
        let by_build_id =
            self.all_debug_roots().map(|root| root.join(".build-id").join(id.key_path(".debug")));
        let named = if name.is_absolute() {
            self.below_symfs(name).ok()
        } else {
            // Relative to the file that holds the link: it may climb to a sibling tree, so it is
            // taken as it is and trusted by its build-id alone.
            debug.path().parent().map(|directory| directory.join(name))
        };
        named
            .into_iter()
            .chain(by_build_id)
            .filter_map(|path| Image::open(&path).ok())
            .find(|file| file.build_id().is_some_and(|found| found.matches(&id)))
    }

    /// The paths at which a debug link is looked for, in the order debuggers use.
    fn linked_paths(&self, image: &Image, recorded: &Path) -> Vec<(PathBuf, u32)> {
        let Some(link) = image.debug_link() else {
            return Vec::new();
        };
        let name = Path::new(OsStr::from_bytes(link.name));
        // The link holds a file name; anything else could lead anywhere.
        let mut components = name.components();
        let (Some(Component::Normal(_)), None) = (components.next(), components.next()) else {
            return Vec::new();
        };
        let mut paths = Vec::new();
        if let Some(directory) = image.path().parent() {
            paths.push(directory.join(name));
            paths.push(directory.join(".debug").join(name));
        }
        if let Some(inner) = recorded.parent().and_then(relative_part) {
            paths.extend(self.all_debug_roots().map(|root| root.join(&inner).join(name)));
        }
        paths.into_iter().map(|path| (path, link.crc)).collect()
    }

    /// The debug roots of the recorded machine, if it was copied, and those of this one.
    fn all_debug_roots(&self) -> impl Iterator<Item = PathBuf> {
        let copied = self.symfs.iter().flat_map(|symfs| {
            self.debug_roots.iter().filter_map(|root| Some(symfs.join(relative_part(root)?)))
        });
        copied.chain(self.debug_roots.iter().cloned())
    }

    /// Where the recorded path is on this machine; never outside of symfs when there is one.
    fn below_symfs(&self, recorded: &Path) -> Result<PathBuf, ImageProblem> {
        let Some(symfs) = &self.symfs else {
            return Ok(recorded.to_owned());
        };
        let outside =
            || ImageProblem::OutsideSymfs { path: recorded.to_owned(), symfs: symfs.clone() };
        let path = symfs.join(relative_part(recorded).ok_or_else(outside)?);
        // A link inside of the tree may still point out of it. What cannot be resolved does not
        // exist, which opening it will say.
        if let (Ok(root), Ok(real)) = (symfs.canonicalize(), path.canonicalize())
            && !real.starts_with(root)
        {
            return Err(outside());
        }
        Ok(path)
    }
}

/// A path without its root, or `None` if it climbs with `..`.
fn relative_part(path: &Path) -> Option<PathBuf> {
    path.components()
        .filter(|component| !matches!(component, Component::RootDir | Component::CurDir))
        .map(|component| match component {
            Component::Normal(name) => Some(name),
            _ => None,
        })
        .collect()
}

/// Whether a debug file is of the same build as the image.
fn belongs(debug_file: &Image, image: &Image, proof: &Proof) -> bool {
    match (debug_file.build_id(), image.build_id()) {
        // Equal build-ids say more than a checksum does, which would read the whole file, often
        // hundreds of megabytes.
        (Some(found), Some(expected)) => found.matches(&expected),
        _ => match proof {
            Proof::BuildId => false,
            Proof::Checksum(crc) => crc32(debug_file.data()) == *crc,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_without_a_file_are_known() {
        for name in [
            "//anon",
            "[heap]",
            "[vdso]",
            "[stack]",
            "[kernel.kallsyms]",
            "anon_inode:[perf_event]",
            "/memfd:x (deleted)",
            "/SYSV00000000 (deleted)",
            "/dev/zero",
            "",
            "relative",
        ] {
            assert!(!is_file_backed(name), "{name}");
        }
        for name in ["/usr/bin/true", "/dev/shm/lib.so", "/tmp/a (deleted)"] {
            assert!(is_file_backed(name), "{name}");
        }
    }

    #[test]
    fn recorded_paths_stay_below_symfs() {
        let symfs = tempfile::tempdir().expect("a directory");
        let outside = tempfile::NamedTempFile::new().expect("a file");
        let finder = ImageFinder { symfs: Some(symfs.path().to_owned()), ..ImageFinder::default() };
        let link = symfs.path().join("link");
        std::os::unix::fs::symlink(outside.path(), &link).expect("a link");
        for path in ["/usr/../../etc/passwd", "/link"] {
            assert!(
                matches!(
                    finder.find(Path::new(path), None),
                    Err(ImageProblem::OutsideSymfs { .. })
                ),
                "{path} was opened"
            );
        }
        assert!(matches!(
            finder.find(Path::new("/usr/bin/true"), None),
            Err(ImageProblem::NotFound { .. })
        ));
    }
}
