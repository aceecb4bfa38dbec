# SPDX-License-Identifier: Apache-2.0
"""A film service: predictions from model files, pictures and votes of its users.

It opens everything by path, below three directories:

    DATA_DIR     app/data     model statistics and weights (*.pkl, *.npy, *.pt); only read
    ASSETS_DIR   app/assets   pictures; users upload some
    VOTES_DIR    app/votes    what users think of films

FLASK_DATA_DIR, FLASK_ASSETS_DIR and FLASK_VOTES_DIR in the environment point elsewhere.
Start it with `flask --app app run`.
"""

from pathlib import Path

from flask import Flask, abort, current_app, jsonify, render_template, send_from_directory

from app import pictures, voting
from app.files import list_files
from app.models import Models, ModelsUnavailable


def create_app(settings=None):
    """Build the application. Without its data it starts all the same, and says so in /health."""
    app = Flask(__name__)
    app.config.from_mapping(
        DATA_DIR=str(Path(app.root_path, "data")),
        ASSETS_DIR=str(Path(app.root_path, "assets")),
        VOTES_DIR=str(Path(app.root_path, "votes")),
        ASSETS_MAX_AGE=300,
        MAX_CONTENT_LENGTH=8 << 20,
    )
    app.config.from_prefixed_env()
    app.config.from_mapping(settings)
    app.extensions["models"] = Models(app.config["DATA_DIR"])
    try:
        app.extensions["models"].load()
    except ModelsUnavailable as error:
        app.logger.error("starting without models: %s", error)

    app.register_error_handler(ModelsUnavailable, answer_unavailable)
    app.register_error_handler(OSError, answer_storage_failed)
    app.add_url_rule("/", view_func=index)
    app.add_url_rule("/health", view_func=health)
    app.add_url_rule("/statistics", view_func=statistics)
    app.add_url_rule("/predict/<int:film>", view_func=predict)
    app.add_url_rule("/assets/<path:name>", view_func=asset)
    app.add_url_rule("/data/<path:name>", view_func=download)
    app.add_url_rule("/photos", view_func=pictures.upload_photo, methods=["POST"])
    app.add_url_rule("/posters", view_func=pictures.upload_poster, methods=["POST"])
    app.add_url_rule("/votes/<int:film>", view_func=voting.votes)
    app.add_url_rule("/votes/<int:film>", view_func=voting.vote, methods=["POST"])
    return app


def models():
    """The loaded models of this application; loads them if they were missing at start-up."""
    return current_app.extensions["models"].load()


def answer_unavailable(error):
    return jsonify(status="unavailable", reason=str(error)), 503


def answer_storage_failed(error):
    current_app.logger.error("a file could not be read or written", exc_info=error)
    return jsonify(status="unavailable", reason=error.strerror), 503


def index():
    """The users' photos, the forms, and every file of the three directories, with its size."""
    folders = {name: list_files(current_app.config[f"{name.upper()}_DIR"]) for name in ("data", "assets", "votes")}
    return render_template("index.html", folders=folders, photos=pictures.list_photos())


def health():
    """503 unless the models are loaded and both directories can be read now."""
    loaded = models()
    loaded.check_readable()
    try:
        assets = len(list_files(current_app.config["ASSETS_DIR"]))
    except OSError as error:
        raise ModelsUnavailable(f"assets: {error}") from error
    if not assets:
        raise ModelsUnavailable("assets: no files")
    return jsonify(status="ok", films=len(loaded.films), assets=assets)


def statistics():
    """The model statistics as they were read at start-up."""
    return jsonify(models().statistics())


def predict(film):
    """Genres of a film and the films most like it."""
    loaded = models()
    if film >= len(loaded.films):
        abort(404)
    return jsonify(film=film, genres=loaded.genres_of(film), nearest=loaded.films_like(film))


def asset(name):
    """A picture, with its type, an ETag and the time it may be kept: a photo not without asking if it changed."""
    max_age = None if name.startswith("profile_") else current_app.config["ASSETS_MAX_AGE"]
    return send_from_directory(current_app.config["ASSETS_DIR"], name, max_age=max_age)


def download(name):
    """A model file as it is, for those who compute elsewhere; answers ranges."""
    return send_from_directory(
        current_app.config["DATA_DIR"], name, as_attachment=True, mimetype="application/octet-stream"
    )
