//! Which files are used: debug files, other builds, and what is no image.

use super::*;

/// Splits the debug information off a program: the stripped program and the debug file.
fn split_debug(program: &Path) -> Option<(PathBuf, PathBuf)> {
    let debug = program.with_extension("debug");
    let stripped = program.with_extension("stripped");
    let copy = |options: &[&OsStr], to: &Path| {
        let paths = [program.as_os_str(), to.as_os_str()];
        run("objcopy", options.iter().copied().chain(paths))
    };
    copy(&["--only-keep-debug".as_ref()], &debug)?;
    let link = format!("--add-gnu-debuglink={}", debug.display());
    copy(&["--strip-all".as_ref(), link.as_ref()], &stripped)?;
    Some((stripped, debug))
}

fn build_id_of(path: &Path) -> BuildId {
    let image = Image::open(path).expect("an image");
    image.build_id().expect("the linker wrote a build-id")
}

/// The functions that are found at `start` of a program below a symfs.
fn located_below(symfs: &Path, start: FileOffset) -> (Location, Vec<String>) {
    let mut symbolizer = Symbolizer::new(SymbolOptions {
        finder: ImageFinder { symfs: Some(symfs.to_owned()), ..ImageFinder::default() },
        ..SymbolOptions::default()
    });
    let image = symbolizer.image(Path::new("/srv/bin/program"), None);
    let location = symbolizer.locate(image, start);
    let problems = symbolizer.problems();
    (location, problems.iter().map(|(_, p)| p.to_string()).collect())
}

#[test]
fn separate_debug_files_are_found_by_link_and_by_build_id() {
    let directory = tempfile::tempdir().expect("a directory");
    for flags in [&[][..], &["-Wl,--build-id=none"]] {
        let Some(program) = compile_c(directory.path(), flags) else {
            return;
        };
        let (start, _) = function_start(&program, "bump");
        let Some((stripped, debug)) = split_debug(&program) else {
            return;
        };
        let id = Image::open(&program).expect("an image").build_id();
        let mut places = vec![
            "srv/bin/program.debug".to_owned(),
            "srv/bin/.debug/program.debug".to_owned(),
            "usr/lib/debug/srv/bin/program.debug".to_owned(),
        ];
        places.extend(id.map(|id| {
            let key = id.key_path(".debug");
            format!("usr/lib/debug/.build-id/{}", key.display())
        }));
        for place in places {
            let symfs = tempfile::tempdir().expect("a directory");
            let put = |from: &Path, to: &str| {
                let to = symfs.path().join(to);
                fs::create_dir_all(to.parent().expect("a parent")).expect("created");
                fs::copy(from, to).expect("copied");
            };
            put(&stripped, "srv/bin/program");
            let (location, problems) = located_below(symfs.path(), start);
            assert!(location.symbol.is_none(), "a stripped program has no names");
            assert_eq!(problems.len(), 2, "{problems:?}");
            assert!(location.problem.is_some());

            put(&debug, &place);
            let (location, problems) = located_below(symfs.path(), start);
            assert_eq!(functions(&location).last(), Some(&"bump"), "from {place}");
            assert!(location.frames[0].file.is_some(), "from {place}");
            assert_eq!(problems, Vec::<String>::new());

            // Any other file under that name is refused, and that is said.
            put(&std::env::current_exe().expect("a path"), &place);
            let (location, problems) = located_below(symfs.path(), start);
            assert!(location.symbol.is_none());
            assert!(problems[0].contains("another build"), "{problems:?}");
        }
    }
}

#[test]
fn another_build_is_refused_and_the_recorded_one_is_found_in_the_cache() {
    let directory = tempfile::tempdir().expect("a directory");
    let Some(old) = compile_c(directory.path(), &[]) else {
        return;
    };
    let (start, _) = function_start(&old, "main");
    let id = build_id_of(&old);
    let cache = directory.path().join("cache");
    let cached = cache.join(".build-id").join(id.key_path("")).join("elf");
    fs::create_dir_all(cached.parent().expect("a parent")).expect("created");
    fs::copy(&old, &cached).expect("copied");
    let recorded = compile_c(directory.path(), &["-O0"]).expect("compiled before");

    let mut finder = ImageFinder::default();
    let problem = finder.find(&recorded, Some(&id)).expect_err("refused");
    let ImageProblem::BuildIdMismatch { expected, found, .. } = &problem else {
        panic!("{problem}");
    };
    assert_eq!((*expected, *found), (id, build_id_of(&recorded)));

    finder.build_id_cache = Some(cache);
    let image = finder.find(&recorded, Some(&id)).expect("found");
    assert_eq!(image.path(), cached);
    let resolved = ResolvedImage::new(image, &recorded, &finder, DemangleStyle::Short);
    assert_eq!(functions(&resolved.locate(start)).last(), Some(&"main"));

    let bare = compile_c(directory.path(), &["-Wl,--build-id=none"]).expect("compiled before");
    let problem = ImageFinder::default().find(&bare, Some(&id));
    let problem = problem.expect_err("refused");
    assert!(matches!(problem, ImageProblem::BuildIdMissing { .. }), "{problem}");
}

#[test]
fn names_that_are_no_files_and_files_that_are_no_images_are_told_apart() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = directory.path().join("text");
    fs::write(&text, "no image").expect("written");
    let mut symbolizer = Symbolizer::new(SymbolOptions::default());
    let vdso = symbolizer.image(Path::new("[vdso]"), None);
    let location = symbolizer.locate(vdso, FileOffset(0));
    assert!(matches!(location.problem.as_deref(), Some(ImageProblem::NotFileBacked { .. })));
    for path in [text.as_path(), directory.path(), Path::new("/nowhere/at/all")] {
        let image = symbolizer.image(path, None);
        assert!(symbolizer.locate(image, FileOffset(0)).symbol.is_none());
    }
    let problems = symbolizer.problems();
    let kinds: Vec<&ImageProblem> = problems.iter().map(|(_, problem)| &**problem).collect();
    assert!(matches!(
        kinds[..],
        [
            ImageProblem::NotElf { .. },
            ImageProblem::Unreadable { .. },
            ImageProblem::NotFound { .. }
        ]
    ));
}
