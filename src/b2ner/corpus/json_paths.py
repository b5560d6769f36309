"""Paths into JSON values: where in a row its text, its entities and their places stand.

A path is keys joined by dots: `userInput.text`, `span.0` (numbers count in arrays, `-1` is the
last). `*` stands for every element of an array and every value of an object, a key that ends in `?`
may be missing, and `$` alone is the value itself. Knows no corpus.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

Keys = tuple[str | int, ...]


class MissingError(ValueError):
    """What a path leads to is not there."""


def one(value: object, path: str) -> object:
    """What stands at a path without `*`; None where an optional key is missing.

    Raises MissingError where another key is.
    """
    for key, optional in _steps(path):
        if optional and not (isinstance(value, dict) and key in value):
            return None
        value = _member(value, key, path)
    return value


def each(value: object, path: str) -> Iterator[tuple[object, Keys]]:
    """All that stands at a path, with the keys that its `*` stood for, in order.

    Nothing where an optional key is missing or is null. Raises MissingError where another key is.
    """
    return _each(value, _steps(path), path, ())


def _each(
    value: object, steps: tuple[tuple[str, bool], ...], path: str, keys: Keys
) -> Iterator[tuple[object, Keys]]:
    for number, (key, optional) in enumerate(steps):
        if key == "*":
            members: Iterator[tuple[str | int, object]]
            match value:
                case list():
                    members = iter(enumerate(value))
                case dict():
                    members = iter(value.items())
                case _:
                    raise MissingError(f"{path}: no array or object to go through")
            for name, member in members:
                yield from _each(member, steps[number + 1 :], path, (*keys, name))
            return
        if optional and not (isinstance(value, dict) and value.get(key) is not None):
            return
        value = _member(value, key, path)
    yield value, keys


def _member(value: object, key: str, path: str) -> object:
    match value:
        case dict() if key in value:
            return value[key]
        case list() if key.removeprefix("-").isdecimal() and -len(value) <= int(key) < len(value):
            return value[int(key)]
        case _:
            raise MissingError(f"{path}: no {key!r}")


@lru_cache(maxsize=256)
def _steps(path: str) -> tuple[tuple[str, bool], ...]:
    """(key, whether it may be missing) of each step."""
    if path == "$":
        return ()
    return tuple((key.removesuffix("?"), key.endswith("?")) for key in path.split("."))
