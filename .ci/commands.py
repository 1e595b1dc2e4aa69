"""Checks that the commands of the book and the README can be run as written: each program's --help knows each option, and what a command
names is there. Takes the folder of the built programs."""

import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILT = pathlib.Path(sys.argv[1])
mistakes, checked, helps = [], 0, {}


def help_of(program, *words):
    key = (program, *words)
    if key not in helps:
        shown = subprocess.run([BUILT / program, *words, "--help"], capture_output=True, text=True)
        helps[key] = shown.stdout if shown.returncode == 0 else None
    return helps[key]


def options(place, shown, words):
    for word in words:
        option = re.match(r"--[a-z][a-z0-9-]*", word)
        if option and not re.search(rf"{option[0]}\b(?!-)", shown):
            mistakes.append(f"{place}: --help does not know {option[0]}")


def bilevel(place, words):
    named = [word for word in words if not word.startswith("-")]
    if not named:
        return
    shown = help_of("bilevel", named[0])
    if shown is None:
        mistakes.append(f"{place}: `bilevel {named[0]}` is not a command")
    else:
        options(place, shown, words)
        for file in named[1:]:
            if file.startswith("experiments/") and not (ROOT / file).exists():
                mistakes.append(f"{place}: {file} is not there")


def target(place, words, kind, folder):
    name = words[words.index(kind) + 1]
    manifest = (ROOT / folder / "Cargo.toml").read_text()
    there = f'name = "{name}"' in manifest or any((ROOT / folder / "tests" / f).exists() for f in (f"{name}.rs", f"{name}/main.rs"))
    if not there:
        mistakes.append(f"{place}: {folder} has no {kind.strip('-')} {name}")


def cargo(place, words):
    split = words.index("--") if "--" in words else len(words)
    own, rest = words[:split], words[split + 1 :]
    package = own[own.index("-p") + 1] if "-p" in own else ""
    folder = {"": ".", "bilevel": ".", "bilevel-problems": "problems", "bilevel-cli": "cli", "bilevel-examples": "examples", "bilevel-benches": "benches"}
    if package not in folder:
        mistakes.append(f"{place}: there is no package {package}")
    elif own[0] == "run" and package == "bilevel-cli":
        bilevel(place, rest)
    elif "--example" in own:
        target(place, own, "--example", "examples")
        name = own[own.index("--example") + 1]
        if rest:
            shown = help_of(f"examples/{name}")
            if shown is None:
                mistakes.append(f"{place}: the example {name} takes no options")
            else:
                options(place, shown, rest)
    elif "--bench" in own:
        target(place, own, "--bench", "benches")
    elif "--test" in own:
        # The default member is the package of the examples.
        target(place, own, "--test", folder[package] if package else "examples")
    elif own[0] == "run":
        mistakes.append(f"{place}: what does it run?")
    elif own[0] == "install" and "--path" in own and not (ROOT / own[own.index("--path") + 1] / "Cargo.toml").exists():
        mistakes.append(f"{place}: there is no package at {own[own.index('--path') + 1]}")


for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs/src").glob("*.md"))]:
    text = page.read_text()
    blocks = re.findall(r"^```([^\n]*)\n(.*?)^```[ ]*$", text, flags=re.M | re.S)
    blocks = [block for language, block in blocks if language in ("", "sh", "text", "console")]
    lines = [line for block in blocks for line in re.sub(r"\\\n\s*", "", block).split("\n")]
    lines += re.findall(r"`((?:bilevel|cargo) [^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))
    for line in lines:
        line = re.sub(r"^\$ ", "", line.strip())
        line = re.sub(r"^(?:[A-Z_]+=\S+ )+", "", line)
        if not re.match(r"(?:bilevel|cargo) [a-z-]", line) or "…" in line.split("#")[0]:
            continue
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            mistakes.append(f"{page.name}: `{line}`: {error}")
            continue
        words = [w for w in words[: next((k for k, w in enumerate(words) if w in ("|", ">", "&&", ";")), len(words))]]
        checked += 1
        (bilevel if words[0] == "bilevel" else cargo)(f"{page.name}: `{line}`", words[1:])

if mistakes:
    sys.exit("\n".join(mistakes))
print(checked, "commands of the book and the README name programs, options and experiments that are there")
