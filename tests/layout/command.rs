//! `hitm layout` as a user meets it.

use std::path::Path;

use assert_cmd::Command;

use crate::compiled::compile;

const PROGRAM: &str = r#"
struct slot { char c; long hits; unsigned low:3; unsigned high:7; };
struct table { struct slot slots[2]; int n; struct { short a; long b; } in; };
struct table table;
union value { int i; double d; } value;
int number;
typedef int number_t;
number_t other;
int main(void) { return 0; }
"#;

/// Exit code, output and errors of a run.
fn run(path: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::cargo_bin("hitm").expect("the program");
    let output = command.arg("layout").arg(path).args(arguments).output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_structure_is_shown_with_holes_lines_and_sums() {
    let directory = tempfile::tempdir().expect("a directory");
    let Some(path) = compile(directory.path(), "program.c", PROGRAM, &[]) else { return };
    let (code, out, error) = run(&path, &["struct slot"]);
    assert_eq!((code, error.as_str()), (Some(0), ""));
    let body: Vec<&str> = out.lines().skip(1).collect();
    assert_eq!(
        body,
        [
            "struct slot {",
            "\tchar                       c;                      /*     0     1 */",
            "",
            "\t/* XXX 7 bytes hole */",
            "",
            "\tlong int                   hits;                   /*     8     8 */",
            "\tunsigned int               low:3;                  /*    16: 0  4 */",
            "\tunsigned int               high:7;                 /*    16: 3  4 */",
            "",
            "\t/* size: 24, cachelines: 1, members: 4 */",
            "\t/* sum members: 9, holes: 1, sum holes: 7 */",
            "\t/* sum bitfield members: 10 bits */",
            "\t/* padding: 4 */",
            "\t/* bit_padding: 22 bits */",
            "\t/* alignment: 8 */",
            "\t/* last cacheline: 24 bytes */",
            "};",
        ]
    );
    let (_, out, _) = run(&path, &["table"]);
    assert!(
        out.contains("\t\tshort int                  a;              /*    56     2 */"),
        "{out}"
    );
    assert!(out.contains("\t\t/* --- cacheline 1 boundary (64 bytes) --- */"), "{out}");
    let (_, out, _) = run(&path, &["table", "--line-size", "128"]);
    assert!(!out.contains("boundary") && out.contains("cachelines: 1"), "{out}");
    let (_, out, _) = run(&path, &["value"]);
    assert!(out.contains("union value {"), "{out}");
}

#[test]
fn json_has_the_members_the_holes_and_the_sums() {
    let directory = tempfile::tempdir().expect("a directory");
    let Some(path) = compile(directory.path(), "program.c", PROGRAM, &[]) else { return };
    let (code, out, _) = run(&path, &["slot", "--format", "json"]);
    assert_eq!(code, Some(0));
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(json["size"], 24);
    assert_eq!(json["members"][1]["name"], "hits");
    assert_eq!(json["members"][1]["offset"], 8);
    assert_eq!(json["members"][3]["bits"]["start"], 3);
    assert_eq!(json["holes"][0]["bytes"], 7);
    assert_eq!(json["sums"]["bit_padding"], 22);
}

#[test]
fn what_cannot_be_shown_is_said() {
    let directory = tempfile::tempdir().expect("a directory");
    let Some(path) = compile(directory.path(), "program.c", PROGRAM, &[]) else { return };
    for (name, said) in [
        ("nothing", "defines no type nothing"),
        ("number_t", "number_t in"),
        ("union slot", "defines no type union slot"),
    ] {
        let (code, out, error) = run(&path, &[name]);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{name}");
        assert!(error.contains(said) && error.trim_end().ends_with('.'), "{error}");
    }
    let (code, _, error) = run(Path::new("/nowhere/at/all"), &["slot"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("was not found"), "{error}");
    let Some(bare) = compile(directory.path(), "bare.c", PROGRAM, &["-g0"]) else { return };
    let (_, _, error) = run(&bare, &["slot"]);
    assert!(error.contains("compile it with -g"), "{error}");
}

#[test]
fn ambiguous_names_list_what_they_may_mean() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = "namespace a { struct S { int x; }; S s; }\nnamespace b { struct S { long y; }; S s; }\n\
                int main() { return 0; }\n";
    let Some(path) = compile(directory.path(), "program.cc", text, &[]) else { return };
    let (code, _, error) = run(&path, &["S"]);
    assert_eq!(code, Some(2));
    for said in ["2 types", "a::S, 4 bytes", "b::S, 8 bytes", "program.cc:2"] {
        assert!(error.contains(said), "{error}");
    }
    let (code, out, _) = run(&path, &["b::S"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("struct b::S {"), "{out}");
}
