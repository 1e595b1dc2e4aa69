//! A test in a process of its own, for counts that are those of the whole process.

use std::process::Command;

/// Runs the test, whose full name this is, in another process of the same test program, where nothing else runs.
#[track_caller]
pub(crate) fn alone(name: &str, test: impl FnOnce()) {
    const CHILD: &str = "BILEVEL_TEST_ALONE";
    if std::env::var_os(CHILD).is_some_and(|child| child == name) {
        return test();
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args([name, "--exact", "--nocapture", "--include-ignored"]);
    let output = child.env(CHILD, name).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    print!("{printed}");
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name} failed");
    assert!(printed.contains("1 passed"), "{name} is no test");
}
