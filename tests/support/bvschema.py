"""tests/support/bvschema.py - the one place where a document that bvisor wrote is held against its published schema.

A document names its kind in its member "schema"; the schema is docs/schema/KIND.schema.json. Usage: problems(document)
gives a list of texts, empty for a good document; read(text) parses and raises ValueError for what is not good. Without
python3-jsonschema every document is a problem: a check that did not happen is not a passed one.
"""

import functools
import json
import os
import re

SCHEMAS = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "schema"))


@functools.lru_cache(maxsize=None)
def validator(kind):
    from jsonschema import Draft202012Validator  # pylint: disable=import-outside-toplevel
    with open(os.path.join(SCHEMAS, f"{kind}.schema.json"), encoding="utf-8") as text:
        schema = json.load(text)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def kind_of(document):
    """spec, plan, report, ...; None for what does not say that it is a document of bvisor."""
    name = document.get("schema") if isinstance(document, dict) else None
    match = re.fullmatch(r"bvisor\.([a-z]+)/1", name) if isinstance(name, str) else None
    return match.group(1) if match else None


def problems(document):
    kind = kind_of(document)
    if kind is None:
        return ["no document of bvisor: it has no member schema bvisor.KIND/1"]
    try:
        found = validator(kind).iter_errors(document)
    except ImportError:
        return ["python3-jsonschema is not installed, so no document can be checked"]
    except OSError as problem:
        return [f"there is no schema of a {kind}: {problem}"]
    return [f"{kind} {error.json_path}: {error.message[:200]}" for error in found]


def read(text):
    """The document of a text; ValueError names what its schema does not allow."""
    document = json.loads(text)
    found = problems(document)
    if found:
        raise ValueError("; ".join(found[:3]))
    return document
