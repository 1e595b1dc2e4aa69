"""Checks the book: links, pictures and included files are there, every page is in the summary, formulas survive Markdown, and every
solver that the program knows by name has its place."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BOOK = ROOT / "docs" / "src"
HERE = "https://github.com/bilevel-rs/bilevel/blob/main/"
mistakes = []


def prose(text):
    """The text without its code blocks, and without code in a line."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "", text)


def slugs(path):
    """The anchors of the headings of a page, as mdBook makes them."""
    found, text = set(), re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S)
    for heading in re.findall(r"^#+ +(.*)$", text, flags=re.M):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("\\", "").replace("*", "")
        slug = "".join("-" if c.isspace() else c.lower() for c in heading if c.isalnum() or c in "_-" or c.isspace())
        count = sum(slug == known or re.fullmatch(re.escape(slug) + r"-\d+", known) is not None for known in found)
        found.add(f"{slug}-{count}" if count else slug)
    return found


def check_links(path, inside):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path.read_text())):
        if target.startswith(HERE):
            if not (ROOT / target.removeprefix(HERE)).exists():
                mistakes.append(f"{path.name}: {target} is not in the repository")
            continue
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.exists():
            mistakes.append(f"{path.name}: {target} does not exist")
        elif inside and not file.is_relative_to(BOOK):
            mistakes.append(f"{path.name}: {target} lies outside the book; write {HERE}…")
        elif anchor and file.suffix == ".md" and anchor not in slugs(file):
            mistakes.append(f"{path.name}: {target} names no heading")


pages = sorted(BOOK.glob("**/*.md"))
for page in pages:
    text = page.read_text()
    check_links(page, inside=True)
    for name in re.findall(r"\{\{#(?:rustdoc_)?include ([^}:\s]+)", text):
        if not (page.parent / name).exists():
            mistakes.append(f"{page.name}: {name} cannot be included")
    for formula in re.findall(r"\$\$(.*?)\$\$", prose(text), flags=re.S):
        # Markdown takes a backslash before punctuation away, and reads * and an underscore behind punctuation as emphasis.
        for eaten in re.findall(r"\\[!-/:-@\[-`{-~]|\*|[^\s\w]_", formula):
            mistakes.append(f"{page.name}: `{eaten}` in a formula does not survive Markdown")
tested = (ROOT / "src/lib.rs").read_text()
for page in pages:
    for kind in re.findall(r"^```rust(\S*)$", page.read_text(), flags=re.M):
        if kind == ",ignore" and "{{#include" not in page.read_text():
            mistakes.append(f"{page.name}: a program is not compiled")
    if "```rust\n" in page.read_text() and f'docs/src/{page.name}")' not in tested:
        mistakes.append(f"{page.name}: its programs are not compiled; name it in src/lib.rs")
for page in [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]:
    check_links(page, inside=False)

listed = {(BOOK / name).resolve() for name in re.findall(r"\]\(([^)]+\.md)\)", (BOOK / "SUMMARY.md").read_text())}
for page in pages:
    if page.name != "SUMMARY.md" and page not in listed:
        mistakes.append(f"{page.name} is not in SUMMARY.md")
used = "".join(page.read_text() for page in pages) + (ROOT / "README.md").read_text()
for picture in (BOOK / "figures").iterdir():
    if picture.name not in used:
        mistakes.append(f"figures/{picture.name} is shown nowhere")

register = ROOT / "cli/src/registry"
names = [n for file in ("solvers.rs", "methods.rs") for n in re.findall(r'^\s*entry[\w:<>]*\(\s*"([a-z0-9-]+)"', (register / file).read_text(), flags=re.M)]
assert len(names) > 30, "the register of names in cli/src/registry has moved"
for name in names:
    if f"`{name}`" not in used:
        mistakes.append(f"the solver `{name}` is not in the book")

for file in [*ROOT.glob("src/**/*.rs"), *ROOT.glob("problems/src/**/*.rs")]:
    code = file.read_text().split("#[cfg(test)]")[0]
    for name in re.findall(r"^impl\b.* (?:Method|LowerSolver|LinearSolver|Solver<O>|Oracle)\s+for\s+(\w+)", code, flags=re.M):
        public = re.search(rf"^(?<!doc\(hidden\)\]\n)pub struct {name}\b", code, flags=re.M)
        if public and not re.search(rf"`(?:\w+::)*{name}\b", used):
            mistakes.append(f"{name} of {file.relative_to(ROOT)} is not in the book")

if mistakes:
    sys.exit("\n".join(mistakes))
print(len(pages) - 1, "pages,", len(names), "solvers by name, all links resolve")
