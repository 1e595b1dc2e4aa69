//! The program `bilevel`. See [`bilevel_cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    bilevel_cli::main()
}
