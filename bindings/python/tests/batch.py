#!/usr/bin/env python3
"""Answers what `flagver flag eval --batch --definitions FILE [--at TIME]` answers, in its format,
by this package's own contexts and getters.

    batch.py DEFINITIONS [AT]
"""

import json
import os
import sys
from datetime import datetime, timezone

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

import flagver  # noqa: E402


def answer(client, request):
    detail = client.evaluate(
        request["flag"],
        flagver.Context.from_dict(request["context"]),
        request.get("type"),
        request.get("default"),
    )
    value = detail.value
    if isinstance(value, float) and not detail.error:
        value += 0.0  # -0.0 is written as 0.0
    members = {"flag": detail.flag, "value": value, "variant": detail.variant}
    members["reason"] = detail.reason
    if detail.error:
        members["errorCode"] = detail.error
    if detail.rule is not None:
        members["ruleId"] = detail.rule
    if detail.bucket is not None:
        members["bucket"] = detail.bucket
    if detail.version:
        members["version"] = detail.version
    return json.dumps(members, ensure_ascii=False, separators=(",", ":"))


def main():
    options = {}
    if len(sys.argv) > 2:
        at = datetime.fromisoformat(sys.argv[2].replace("Z", "+00:00")).astimezone(timezone.utc)
        options["clock"] = lambda: at
    with flagver.Client("file:" + sys.argv[1], **options) as client:
        for line in sys.stdin.buffer:
            sys.stdout.buffer.write(answer(client, json.loads(line)).encode() + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
