# SPDX-License-Identifier: Apache-2.0
"""Revisions of names, for the tests of .gridfs/revisions and of the commands that use it."""
import datetime
import json

import pytest

from buckets import encoded_id
from mounting import gridmount, names_in


def history(root, path="", bucket=""):
    return root / bucket / ".gridfs/revisions" / path


def named(date, files_id):
    """As a revision is called: the date as UTC with milliseconds, the _id."""
    text = date.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{date.microsecond // 1000:03}Z-{encoded_id(files_id)}"


def contents(directory):
    """Of all revisions, in the order of their dates."""
    return [(directory / name).read_bytes() for name in names_in(directory)]


def overwrite(path, *contents_of_each):
    for data in contents_of_each:
        path.write_bytes(data)


def fails(number, call, *arguments):
    with pytest.raises(OSError) as caught:
        call(*arguments)
    assert caught.value.errno == number


def ids_of(bucket, name):
    return [document["_id"] for document in bucket.files.find({"filename": name}).sort("uploadDate", 1)]


def log(path, *words):
    return gridmount("log", path, *words)


def logged(path):
    result = log(path, "--json")
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def restore(argument):
    return gridmount("restore", argument)
