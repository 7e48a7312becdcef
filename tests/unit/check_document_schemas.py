#!/usr/bin/env python3
"""tests/unit/check_document_schemas.py - plans, reports and refusals as bvisor writes them validate by the published
schemas; the same documents with one member, at any depth, taken away, added or turned into another type do not.

usage: check_document_schemas.py SCHEMA_DIRECTORY GOLDEN_DIRECTORY
"""

import copy
import json
import os
import sys

try:
    from jsonschema import Draft202012Validator
except ImportError:
    print("python3-jsonschema with draft 2020-12 is not installed")
    sys.exit(1 if os.environ.get("BV_TESTS_MUST_RUN") == "1" else 77)


# Members that a good document may lack, and the one object whose names are the machine's own.
OPTIONAL = {"signature", "disposition", "size_bytes", "digest", "interpreter", "stdout", "stderr", "requirement", "path", "content_hash", "size"}
FREE = {"probed"}


def places(value, path=()):
    """Every object of a document, by its path; the free ones left out."""
    if isinstance(value, dict) and not (path and path[-1] in FREE):
        yield path, value
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*path, index))


def changed(document, path, change):
    """A copy in which the object at path was changed."""
    other = copy.deepcopy(document)
    at = other
    for step in path:
        at = at[step]
    change(at)
    return other


def spoiled(document):
    """(what, path, change): each makes a document that a reader must not take for good, by one member anywhere."""
    for path, value in places(document):
        where = "/" + "/".join("*" if isinstance(step, int) else step for step in path)
        yield f"unknown member in {where}", path, lambda at: at.update(unknown=True)
        for key in value:
            if key not in OPTIONAL:
                yield f"{where} without {key}", path, lambda at, key=key: at.pop(key)
            yield f"{key} of {where} of another type", path, lambda at, key=key: at.update({key: 1.5})


def main(schemas, golden):
    checked = wrong = 0
    tried = set()  # the items of a list are alike: one of each shape is enough
    for name in sorted(os.listdir(golden)):
        if not name.startswith(("plan_", "report_", "refusal_")) or not name.endswith(".json"):
            continue
        with open(os.path.join(golden, name), encoding="utf-8") as stream:
            document = json.load(stream)
        kind = document["schema"].split(".")[1].split("/")[0]
        with open(os.path.join(schemas, f"{kind}.schema.json"), encoding="utf-8") as stream:
            schema = json.load(stream)
        Draft202012Validator.check_schema(schema)
        validator = Draft202012Validator(schema)
        checked += 1
        for error in validator.iter_errors(document):
            wrong += 1
            print(f"{name}: {error.json_path}: {error.message[:200]}")
        for what, path, change in spoiled(document):
            if (kind, what) in tried:
                continue
            tried.add((kind, what))
            checked += 1
            if validator.is_valid(changed(document, path, change)):
                wrong += 1
                print(f"{name}: {what}: the schema says valid")
    print(f"{checked} documents, {wrong} wrong")
    return 1 if wrong or checked < 20 else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
