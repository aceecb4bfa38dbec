# SPDX-License-Identifier: Apache-2.0
"""What users think of films, below VOTES_DIR: votes.csv has every vote, votes.pkl the sums."""

import contextlib
import fcntl
import pickle
from pathlib import Path

from flask import abort, current_app, jsonify, request

from app.files import replacing


def vote(film):
    """Take one vote of 1 to 5 stars; answers with the sums."""
    stars = request.form.get("stars", type=int)
    if stars not in range(1, 6):
        abort(400, "stars: 1 to 5")
    return jsonify(summary(film, add_vote(film, stars))), 201


def votes(film):
    """The sums as they are in the file now, whoever wrote it."""
    return jsonify(summary(film, read_sums()))


def summary(film, sums):
    count, stars = sums.get(film, (0, 0))
    return {"film": film, "votes": count, "mean": round(stars / count, 2) if count else None}


def add_vote(film, stars):
    """Append the vote, then bring the sums up to date; returns them. One writer at a time."""
    directory = Path(current_app.config["VOTES_DIR"])
    with open(directory / "votes.csv", "a", encoding="ascii") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        log.write(f"{film},{stars}\n")
        sums = read_sums()
        count, total = sums.get(film, (0, 0))
        sums[film] = (count + 1, total + stars)
        with replacing(directory / "votes.pkl") as file:
            pickle.dump(sums, file)
    return sums


def read_sums():
    """{film: (votes, stars)}; empty before the first vote."""
    with contextlib.suppress(FileNotFoundError), open(Path(current_app.config["VOTES_DIR"], "votes.pkl"), "rb") as file:
        return pickle.load(file)
    return {}
