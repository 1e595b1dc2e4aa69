"""Refuses wording that has to be read twice, in comments and in the book, and names of this project's own for things that have one."""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
EACH = "thread|sample|pixel|patch|feature|class|weight|batch|group|row|column|entry|image|method|iteration|file|line|level|run"
BETWEEN = "and|as|at|by|ends|for|from|in|is|of|on|or|to|where|with|without"
# A pattern, and what is wrong with it.
PROSE = [
    (rf"\b(?:an?|one|\d+)(?: \w+)? (?!(?:{BETWEEN})\b)\w+ an? (?:{EACH})\b(?! of| that| which| with| is| has)", "write “per …”"),
    (r"\b[Rr]ooms?\b", "a buffer, or a workspace"),
    (r"\b[Kk]in\b", "variants"),
    (r"\bglances?\b", "a curvature probe"),
]
DOC = [(r"^(?:What|Where it|That which)\b(?!.*\?)", "begin with the subject")]
CODE = re.compile(r"`[^`\n]*`|\$\$?[^$\n]*\$\$?|\]\([^)]*\)|https?://\S+")
mistakes = []


def files(*patterns):
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split() if (ROOT / name).exists()]


def look(path, number, text, patterns):
    text = CODE.sub("·", text)
    for pattern, advice in patterns:
        for found in re.finditer(pattern, text):
            mistakes.append(f"{path.relative_to(ROOT)}:{number}: “{found[0].strip()}”: {advice}")


for path in files("*.rs"):
    fence = before = False
    for number, line in enumerate(path.read_text().split("\n"), 1):
        comment = re.match(r"\s*(//[/!]?) ?(.*)", line)
        if not comment:
            fence = before = False
            continue
        text = comment[2]
        if text.startswith("```"):
            fence = not fence
        elif not fence:
            look(path, number, text, PROSE)
            if comment[1] != "//" and not before:
                look(path, number, text, DOC)
        before = True
for path in files("*.md"):
    fence = False
    for number, line in enumerate(path.read_text().split("\n"), 1):
        if line.lstrip().startswith("```"):
            fence = not fence
        elif not fence:
            look(path, number, line, PROSE)

if mistakes:
    sys.exit("\n".join(mistakes) + f"\n{len(mistakes)} places")
print("the words are plain")
