"""Judges files by a JSON Schema, with somebody else's validator.

stdin: {"schema": ..., "files": [...]}, each file in JSON.
stdout: a list for each file, of what is wrong with it; empty where nothing is.
"""

import json
import sys

import jsonschema


def main():
    asked = json.load(sys.stdin)
    validator = jsonschema.Draft202012Validator
    # That it is a schema at all: it would let everything pass.
    validator.check_schema(asked["schema"])
    judge = validator(asked["schema"])
    told = [[f"{error.json_path}: {error.message[:200]}" for error in judge.iter_errors(file)]
            for file in asked["files"]]
    json.dump(told, sys.stdout)


main()
