"""Keeps the structure: imports without circles but the one of `autodiff`, a bounded public surface, and files that stay short."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CRATES = {"bilevel": "src", "bilevel-problems": "problems/src", "bilevel-cli": "cli/src"}
# A loss is recorded on a tape by its numbers, and the numbers differentiate through the tape: one room with a small face.
CIRCLES = {"bilevel::autodiff"}
MOST_PUBLIC = 240
LONGEST = 400
# Files that are longer, each with its reason.
LONG = {
    "problems/src/linear/linear_model.rs": "the passes of all linear models share their buffers and kernels",
    "src/hypergradient/unrolled.rs": "three modes of one differentiation, and their errors",
}
ITEM = re.compile(r"^pub (?:const fn|fn|struct|enum|trait|type|const|static|unsafe)\b")


def without_tests(text):
    return re.split(r"^#\[cfg\(test\)\]\s*\nmod tests? \{", text, flags=re.M)[0]


def modules(folder):
    """Module path → file."""
    found = {}
    for path in sorted((ROOT / folder).rglob("*.rs")):
        parts = list(path.relative_to(ROOT / folder).with_suffix("").parts)
        if parts in (["lib"], ["main"]):
            parts = []
        if path.name != "main.rs" and "tests" not in parts:
            found[tuple(parts)] = path
    return found


def split(text):
    """The members of a group of imports, at its outermost commas."""
    depth, start = 0, 0
    for at, char in enumerate(text):
        depth += (char == "{") - (char == "}")
        if char == "," and depth == 0:
            yield text[start:at]
            start = at + 1
    yield text[start:]


def paths(tree, head=()):
    tree = re.sub(r"\s+", "", re.sub(r"\s+as\s+\w+", "", tree))
    group = re.match(r"^((?:\w+::)*)\{(.*)\}$", tree)
    if group:
        head = head + tuple(p for p in group[1].split("::") if p)
        for member in split(group[2]):
            if member:
                yield from paths(member, head)
    elif tree:
        yield head + tuple(tree.split("::"))


def absolute(path, module):
    if path[0] == "crate":
        return path[1:]
    base = module
    if path[0] == "self":
        path = path[1:]
    elif path[0] == "super":
        while path and path[0] == "super":
            base, path = base[:-1], path[1:]
    else:
        return None
    return base + path


def edges(found):
    """Module → modules that it imports from, re-exports resolved."""
    exports, imports = {}, {module: set() for module in found}
    for module, path in found.items():
        for public, tree in re.findall(r"^\s*(pub(?:\([^)]*\))? )?use ([^;]+);", without_tests(path.read_text()), flags=re.M):
            for item in paths(tree):
                local = item[0] not in ("crate", "self", "super") and module + item[:1] in found
                target = module + item if local else absolute(item, module)
                if target is None:
                    continue
                if public:
                    exports[module + (item[-1],)] = target
                else:
                    imports[module].add(target)

        # Paths that are written out where they are used.
        code = re.sub(r"^\s*(?:pub(?:\([^)]*\))? )?use [^;]+;|//[^\n]*", "", without_tests(path.read_text()), flags=re.M)
        for item in re.findall(r"\b(?:crate|super|self)(?:::\w+)+", code):
            target = absolute(tuple(item.split("::")), module)
            if not target[-1:] == ("super",):
                imports[module].add(target)

    def home(target, seen=()):
        if target in found:
            return target
        if target in exports and target not in seen:
            return home(exports[target], seen + (target,))
        for at in range(len(target) - 1, -1, -1):
            if target[:at] in found:
                return target[:at]
        return ()

    # A module uses its own children, which may use what it defines: together they are one piece.
    return {
        module: {to for to in map(home, targets) if to[: len(module)] != module}
        for module, targets in imports.items()
    }


def circles(graph):
    """Strongly connected parts of more than one module."""
    index, low, stack, parts = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph[node]:
            if other not in index:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == index[node]:
            part = []
            while not part or part[-1] != node:
                part.append(stack.pop())
            if len(part) > 1:
                parts.append(sorted(part))

    for node in graph:
        if node not in index:
            visit(node)
    return parts


mistakes, public, long = [], [], 0
for crate, folder in CRATES.items():
    found = modules(folder)
    for part in circles(edges(found)):
        names = ["::".join((crate, *module)) for module in part]
        if not all(any(name == known or name.startswith(known + "::") for known in CIRCLES) for name in names):
            mistakes.append("a circle of imports: " + ", ".join(names))
    hidden = [
        module + (name,)
        for module, path in found.items()
        for name in re.findall(r"#\[doc\(hidden\)\]\s*(?:#\[[^\]]*\]\s*)*pub mod (\w+);", path.read_text())
    ]
    for module, path in found.items():
        lines = path.read_text().split("\n")
        if len(lines) - 1 > LONGEST:
            long += 1
            if str(path.relative_to(ROOT)) not in LONG:
                mistakes.append(f"{path.relative_to(ROOT)}: {len(lines) - 1} lines, more than {LONGEST}: is it two ideas?")
        if any(module[: len(h)] == h for h in hidden):
            continue
        for at, line in enumerate(lines):
            if ITEM.match(line):
                # Attributes may run over several lines; the item before ends with a bracket or a blank line.
                above = at - 1
                while above >= 0 and lines[above] and not re.match(r"[})]$|[})];|.*;$", lines[above]):
                    above -= 1
                if not any("doc(hidden)" in attribute for attribute in lines[above + 1 : at]):
                    public.append("::".join((crate, *module)) + f": {line}")
if "--public" in sys.argv:
    print("\n".join(public))
if len(public) > MOST_PUBLIC:
    mistakes.append(
        f"{len(public)} public items outside doc(hidden), more than {MOST_PUBLIC}: hide what users do not need, or raise the number "
        "with a reason; `.ci/structure.py --public` lists them"
    )
for name in LONG:
    if not (ROOT / name).exists() or len((ROOT / name).read_text().split("\n")) - 1 <= LONGEST:
        mistakes.append(f"{name} is listed as long and is not")
if mistakes:
    sys.exit("\n".join(mistakes))
print(f"{len(public)} public items, {long} long files, no circle but that of autodiff")
