# SPDX-License-Identifier: Apache-2.0
"""Asks every path that the description of the API names, and checks the answers against it.

Usage: describing.py OPENAPI URL USER
"""
import json
import sys
import urllib.request

import yaml
from openapi_schema_validator import OAS31Validator

with open(sys.argv[1], encoding="utf-8") as file:
    description = yaml.safe_load(file)
url, user = sys.argv[2:4]


def resolve(schema):
    """Puts parts in for references to them."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            return resolve(description["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]])
        return {key: resolve(value) for key, value in schema.items()}
    return [resolve(value) for value in schema] if isinstance(schema, list) else schema


pattern = json.load(urllib.request.urlopen(url + "/api/v1/patterns"))["patterns"][0]["fingerprint"]
for path, item in description["paths"].items():
    schema = resolve(item["get"]["responses"]["200"]["content"]["application/json"]["schema"])
    place = path.replace("{id}", user).replace("{fingerprint}", pattern)
    answer = json.load(urllib.request.urlopen(url + "/api/v1" + place))
    faults = [f"{list(error.path)} {error.message}"[:200] for error in OAS31Validator(schema).iter_errors(answer)]
    print(("BAD " if faults else "ok ") + path + (f": {faults[:3]}" if faults else ""), flush=True)
