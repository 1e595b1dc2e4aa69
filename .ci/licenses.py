"""Checks that every normal and build dependency of the three crates is under a licence that deny.toml allows.

Reads `cargo metadata --all-features` from standard input. `cargo deny check licenses` does the same where it is installed.
"""

import json
import re
import sys
import tomllib


def allowed(expression, names):
    """Whether an SPDX expression can be met by these licences: AND binds closer than OR; a slash is an old OR."""
    tokens = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))

    def either():
        met = both()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            met = both() or met
        return met

    def both():
        met = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            met = one() and met
        return met

    def one():
        token = tokens.pop(0)
        if token == "(":
            met = either()
            tokens.pop(0)
            return met
        if tokens and tokens[0] == "WITH":
            tokens.pop(0)
            token += " WITH " + tokens.pop(0)
        return token in names

    return either()


# The reader itself: a mistake in it would allow everything.
for text, expected in {
    "MIT OR GPL-3.0": True,
    "GPL-3.0/MIT": True,
    "(MIT OR GPL-3.0) AND Zlib": False,
    "MIT AND GPL-3.0": False,
    "Apache-2.0 WITH LLVM-exception": False,
    "GPL-3.0 OR MIT AND GPL-2.0": False,
}.items():
    assert allowed(text, {"MIT", "Apache-2.0"}) is expected, text

with open("deny.toml", "rb") as file:
    names = set(tomllib.load(file)["licenses"]["allow"])
data = json.load(sys.stdin)
resolved = {node["id"]: node for node in data["resolve"]["nodes"]}
packages = {package["id"]: package for package in data["packages"]}
todo = [p["id"] for p in data["packages"] if p["name"] in ("bilevel", "bilevel-problems")]
seen = set()
while todo:
    node = todo.pop()
    if node in seen:
        continue
    seen.add(node)
    for dependency in resolved[node]["deps"]:
        if any(kind["kind"] in (None, "build") for kind in dependency["dep_kinds"]):
            todo.append(dependency["pkg"])
bad = []
for package in (packages[node] for node in seen):
    licence = package["license"]
    if not licence or not allowed(licence, names):
        bad.append(f"{package['name']} {package['version']}: {licence or 'no licence'}")
if bad:
    sys.exit("deny.toml does not allow " + "; ".join(sorted(bad)))
print(len(seen), "packages are under allowed licences")
