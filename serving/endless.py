"""Which parts of a graph may run without end, so that only a timeout ends them."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Any

# Operations that repeat others, or that wait for something.
_ENDLESS = re.compile(r"While|^For$|Enter$|PyFunc|Dequeue|Unstage|TakeMany|IteratorGetNext")


def nodes(graph_def: Any) -> frozenset[str]:
    """The names of the nodes that are, or need the result of, an operation that may run without end.

    `graph_def` is a GraphDef message. A call of a function is such an operation if one is in the function.
    """
    functions = _functions(graph_def.library)
    consumers = defaultdict(list)
    for node in graph_def.node:
        for name in node.input:
            consumers[name.removeprefix("^").partition(":")[0]].append(node.name)
    found: set[str] = set()
    wave = [node.name for node in graph_def.node if _is_endless(node, functions)]
    while wave:
        found.update(wave)
        wave = [name for each in wave for name in consumers[each] if name not in found]
    return frozenset(found)


def _functions(library: Any) -> set[str]:
    """The names of the functions in which an operation may run without end, or that call such a one."""
    found: set[str] = set()
    while True:
        more = {
            function.signature.name
            for function in library.function
            if function.signature.name not in found
            and any(_is_endless(node, found) for node in function.node_def)
        }
        if not more:
            return found
        found |= more


def _is_endless(node: Any, functions: Collection[str]) -> bool:
    return bool(_ENDLESS.search(node.op)) or any(name in functions for name in _called(node))


def _called(node: Any) -> Iterator[str]:
    """The functions that a node calls: by its own name, or by its attributes."""
    yield node.op
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        for function in value.list.func:
            yield function.name
