#!/usr/bin/env python3
"""tests/unit/check_spec_schema.py - the published JSON Schema and the corpus agree: what is named good_* validates,
what is named bad_* and is JSON at all does not. Duplicate keys and reals like 1e7 are JSON's own limits, listed below.

usage: check_spec_schema.py SCHEMA CORPUS
"""

import json
import os
import sys

try:
    from jsonschema import Draft202012Validator
except ImportError:
    print("python3-jsonschema with draft 2020-12 is not installed")
    sys.exit(1 if os.environ.get("BV_TESTS_MUST_RUN") == "1" else 77)

# A schema sees values: a duplicate key is gone, 1e7 is the integer 10000000, NaN is a number.
BEYOND_SCHEMA = {"bad_duplicate.json", "bad_real.json"}


def main(schema_path, corpus):
    with open(schema_path, encoding="utf-8") as stream:
        schema = json.load(stream)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    checked = wrong = 0
    for name in sorted(os.listdir(corpus)):
        with open(os.path.join(corpus, name), "rb") as stream:
            text = stream.read()
        try:
            document = json.loads(text.decode("utf-8"))
        except (ValueError, RecursionError):
            continue
        if name in BEYOND_SCHEMA:
            continue
        checked += 1
        valid = validator.is_valid(document)
        if valid != name.startswith("good_"):
            wrong += 1
            print(f"{name}: the schema says {'valid' if valid else 'invalid'}")
            for error in validator.iter_errors(document):
                print(f"  {error.json_path}: {error.message[:200]}")
    print(f"{checked} documents, {wrong} wrong")
    return 1 if wrong or checked < 10 else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
