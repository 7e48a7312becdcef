#!/usr/bin/env python3
"""tests/unit/check_document_schemas.py - plans, reports and refusals as bvisor writes them validate by the published
schemas; the same documents with a member taken away, added or turned into another type do not.

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


def spoiled(document):
    """Documents that a reader must not take for good: each differs from the good one in one member."""
    optional = {"signature", "disposition"}
    for key in document:
        if key not in optional:
            without = copy.deepcopy(document)
            del without[key]
            yield f"without {key}", without
        other = copy.deepcopy(document)
        other[key] = 1.5
        yield f"{key} of another type", other
    more = copy.deepcopy(document)
    more["unknown"] = True
    yield "with an unknown member", more


def main(schemas, golden):
    checked = wrong = 0
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
        bodies = [document] if kind != "report" else [document, document["body"]]
        for what, bad in spoiled(bodies[-1]):
            whole = bad if kind != "report" else {**document, "body": bad}
            checked += 1
            if validator.is_valid(whole):
                wrong += 1
                print(f"{name}: {what}: the schema says valid")
    print(f"{checked} documents, {wrong} wrong")
    return 1 if wrong or checked < 20 else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
