# SPDX-License-Identifier: Apache-2.0
"""Uploads that workers process: the API stores what it is sent and tells a queue its name; a worker on another mount
reads it there and writes what it makes of it. Only names go through the queue: close() of the writer came before, so
whoever hears the name finds the content.

    gunicorn jobs:app          POST /uploads, GET /processed/<name>, GET /health
    python3 -m jobs            a worker

STORAGE_DIR has uploads/ and processed/; REDIS_URL names the queue.
"""

import hashlib
import os
import secrets
import signal
import sys
from pathlib import Path

import redis
from flask import Flask, jsonify, request, send_from_directory

from app.files import list_files, replacing

STORAGE = Path(os.environ.get("STORAGE_DIR", "storage"))
UPLOADS, PROCESSED = STORAGE / "uploads", STORAGE / "processed"
QUEUE = "uploads"
queue = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://localhost:6379/0"))

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 64 << 20


def make_folders():
    for folder in (UPLOADS, PROCESSED):
        folder.mkdir(exist_ok=True)


@app.post("/uploads")
def upload():
    """Stores the body under a name of its own; answers with the name."""
    make_folders()
    name = secrets.token_hex(12)
    with open(UPLOADS / name, "xb") as file:
        file.write(request.get_data())
    queue.rpush(QUEUE, name)
    return jsonify(name=name), 202


@app.get("/processed/<name>")
def processed(name):
    return send_from_directory(PROCESSED.absolute(), name, max_age=0)


@app.get("/health")
def health():
    """503 unless the storage and the queue can be used now."""
    try:
        make_folders()
        count = len(list_files(PROCESSED))
        queue.ping()
    except (OSError, redis.RedisError) as error:
        return jsonify(status="unavailable", reason=str(error)), 503
    return jsonify(status="ok", processed=count)


def process(name):
    """What stands for real work: the size and the SHA-256 of the upload."""
    content = (UPLOADS / name).read_bytes()
    with replacing(PROCESSED / name) as file:
        file.write(f"{len(content)} {hashlib.sha256(content).hexdigest()}\n".encode())


def work():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    make_folders()
    while True:
        _, name = queue.blpop(QUEUE)
        process(name.decode())


if __name__ == "__main__":
    work()
