# SPDX-License-Identifier: Apache-2.0
"""Make the files that training and design would deliver, of the sizes applications have."""

import io
import pickle
import zipfile
from pathlib import Path

import numpy
from PIL import Image, ImageDraw

FILMS, FEATURES, GENRES = 8200, 256, 96


def make_data(directory):
    """Statistics of 110 B, 20 KB and 50 KB, film vectors of 8.4 MB, genre weights of 100 KB."""
    directory = Path(directory)
    random = numpy.random.default_rng(1)
    films = random.standard_normal((FILMS, FEATURES), dtype=numpy.float32)
    numpy.save(directory / "films.npy", films)
    save_pickle(directory / "training.pkl", {
        "samples": 812_345, "epochs": 40, "loss": 0.2718, "recall": 0.9042, "finished": "2025-03-01T04:15:00Z",
    })
    save_pickle(directory / "features.pkl", {
        "mean": films.mean(axis=0, dtype=float),
        "deviation": films.std(axis=0, dtype=float),
        "quantiles": numpy.quantile(films[::10], numpy.linspace(0.1, 0.9, 8), axis=0).astype(float),
    })
    save_pickle(directory / "ratings.pkl", {
        "count": random.integers(1, 50_000, FILMS, dtype=numpy.int32),
        "mean": random.uniform(1, 5, FILMS).astype(numpy.float16),
    })
    save_archive(directory / "genres.pt", {
        "weight": random.standard_normal((FEATURES, GENRES), dtype=numpy.float32) / 8,
        "bias": random.standard_normal(GENRES, dtype=numpy.float32) / 8,
    })


def save_pickle(path, content):
    path.write_bytes(pickle.dumps(content))


def save_archive(path, arrays):
    """A .pt file: one pickle that refers to raw arrays, all in an uncompressed zip."""
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("archive/data.pkl", "w") as file:
            pickler = ArchivePickler(file)
            pickler.dump(arrays)
        for key, array in enumerate(pickler.arrays):
            archive.writestr(f"archive/data/{key}", array.tobytes())


class ArchivePickler(pickle.Pickler):
    """Leaves (type, key, shape) in place of each array and keeps the arrays for the archive."""

    def __init__(self, file):
        super().__init__(file)
        self.arrays = []

    def persistent_id(self, value):
        if not isinstance(value, numpy.ndarray):
            return None
        self.arrays.append(value)
        return value.dtype.str, str(len(self.arrays) - 1), value.shape


def make_assets(directory):
    """A logo, a banner of 67 KB, a profile photo and three posters in a folder."""
    directory = Path(directory)
    (directory / "posters").mkdir()
    draw(200, 200, "gold").quantize(64).save(directory / "logo.png")
    draw(1300, 415, "navy").save(directory / "banner.jpg")
    make_photo(directory, "teal")
    for number, colour in enumerate(("crimson", "seagreen", "indigo"), start=1):
        draw(300, 450, colour).save(directory / "posters" / f"film-{number:04}.jpg")


def make_photo(directory, colour):
    """The profile photo of a user, whose name never changes."""
    path = Path(directory, "profile_ada@example.org.jpg")
    draw(320, 320 if colour == "teal" else 380, colour).save(path)
    return path


def encode(colour):
    """The bytes of a photo that somebody sends, never twice the same."""
    content = io.BytesIO()
    draw(400, 300, colour).save(content, "JPEG")
    return content.getvalue()


def draw(width, height, colour):
    """A picture with enough detail to have the size of a photograph."""
    noise = Image.effect_noise((width, height), 24).convert("RGB")
    picture = Image.blend(Image.new("RGB", (width, height), colour), noise, 0.3)
    ImageDraw.Draw(picture).ellipse((width // 4, height // 4, width * 3 // 4, height * 3 // 4), fill="white")
    return picture
