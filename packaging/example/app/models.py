# SPDX-License-Identifier: Apache-2.0
"""The model files: statistics (pickle), film vectors (numpy), genre weights (archive)."""

import pickle
import zipfile
from pathlib import Path

import numpy


class ModelsUnavailable(Exception):
    """The model files are missing or cannot be read."""


class Models:
    """Everything below one data directory, loaded once.

    The film vectors are mapped, not read: only the pages that a prediction touches are loaded.
    Pickles run code when loaded: the directory must be as trusted as this program.
    """

    REQUIRED = ("training.pkl", "features.pkl", "ratings.pkl", "films.npy", "genres.pt")

    def __init__(self, directory):
        self.directory = Path(directory)
        self.tables = {}
        self.films = None

    def load(self):
        """Load what is not loaded yet; returns self or raises ModelsUnavailable."""
        if self.films is not None:
            return self
        try:
            self.tables = {path.stem: load_pickle(path) for path in sorted(self.directory.glob("*.pkl"))}
            self.weights = load_archive(self.directory / "genres.pt")
            self.check_readable()
            self.films = numpy.load(self.directory / "films.npy", mmap_mode="r")
        except (OSError, EOFError, KeyError, ValueError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
            raise ModelsUnavailable(str(error)) from error
        return self

    def check_readable(self):
        """Raise ModelsUnavailable unless each required file opens and has content."""
        for name in self.REQUIRED:
            try:
                with open(self.directory / name, "rb") as file:
                    if not file.read(1):
                        raise ModelsUnavailable(f"{name}: empty")
            except OSError as error:
                raise ModelsUnavailable(str(error)) from error

    def statistics(self):
        """The statistics in numbers that fit a JSON answer."""
        features, ratings = self.tables["features"], self.tables["ratings"]
        return {
            "training": self.tables["training"],
            "features": {key: rounded(value.mean()) for key, value in features.items()},
            "ratings": {"total": int(ratings["count"].sum()), "mean": rounded(ratings["mean"].mean(dtype=float))},
        }

    def genres_of(self, film, limit=3):
        """The most probable genres of a film."""
        features = self.tables["features"]
        vector = (self.films[film] - features["mean"]) / features["deviation"]
        scores = numpy.exp(vector @ self.weights["weight"] + self.weights["bias"])
        probabilities = scores / scores.sum()
        best = numpy.argsort(-probabilities)[:limit]
        return [{"genre": int(genre), "probability": rounded(probabilities[genre])} for genre in best]

    def films_like(self, film, limit=5):
        """The films whose vectors are closest to this one's, and how well they are rated."""
        scores = self.films @ self.films[film]
        scores[film] = -numpy.inf
        best = numpy.argsort(-scores)[:limit]
        ratings = self.tables["ratings"]["mean"]
        return [{"film": int(other), "rating": rounded(ratings[other])} for other in best]


def rounded(number):
    return round(float(number), 4)


def load_pickle(path):
    with open(path, "rb") as file:
        return pickle.load(file)


def load_archive(path):
    """The arrays of a .pt file: a zip with one pickle that names the raw arrays stored beside it."""
    with zipfile.ZipFile(path) as archive, archive.open("archive/data.pkl") as file:
        return ArchiveUnpickler(file, archive).load()


class ArchiveUnpickler(pickle.Unpickler):
    """Fetches arrays by the (type, key, shape) that the pickle holds in their place."""

    def __init__(self, file, archive):
        super().__init__(file)
        self.archive = archive

    def persistent_load(self, reference):
        kind, key, shape = reference
        return numpy.frombuffer(self.archive.read(f"archive/data/{key}"), kind).reshape(shape)
