# SPDX-License-Identifier: Apache-2.0
"""Pictures that users send: profile photos and posters, below ASSETS_DIR."""

import os
import re
from pathlib import Path

from flask import abort, current_app, redirect, request, url_for
from PIL import Image
from werkzeug.utils import secure_filename

from app.files import replacing

EMAIL = re.compile(r"[a-z0-9][a-z0-9._+-]*@[a-z0-9][a-z0-9.-]*")
NAME_MAX = 200
MAX_BYTES = 5 << 20
MAX_PIXELS = 8192  # on a side
KINDS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}


def photo_name(email):
    """The file of a user's photo. The address is kept as it is: secure_filename would give two users one name."""
    email = email.strip().lower()
    if len(email) > NAME_MAX or not EMAIL.fullmatch(email):
        abort(400, "an email address is needed")
    return f"profile_{email}.jpg"


def list_photos():
    """(email, file) of everybody who has a photo."""
    paths = sorted(Path(current_app.config["ASSETS_DIR"]).glob("profile_*.jpg"))
    return [(path.stem.removeprefix("profile_"), path.name) for path in paths]


def upload_photo():
    """Take a user's new photo. The old one is shown until the new one is complete."""
    name = photo_name(request.form.get("email", ""))
    upload = checked_upload("photo", "JPEG")
    with replacing(Path(current_app.config["ASSETS_DIR"], name)) as file:
        upload.save(file)
    return redirect(url_for("index"), 303)


def upload_poster():
    """Take a poster under the name it comes with, and write it where it belongs, as most applications do."""
    upload = request.files.get("poster")
    name = secure_filename(upload.filename) if upload else ""
    if not name or len(name) > NAME_MAX:
        abort(400, "a picture with a name is needed")
    upload = checked_upload("poster", KINDS.get(Path(name).suffix.lower()))
    directory = Path(current_app.config["ASSETS_DIR"], "posters")
    directory.mkdir(exist_ok=True)
    upload.save(directory / name)
    return redirect(url_for("index"), 303)


def checked_upload(field, kind):
    """The file of a form's field, or 4xx: it must be a whole picture of this kind, and no larger than is sensible."""
    upload = request.files.get(field)
    if not upload:
        abort(400, f"{field}: no file was sent")
    if upload.stream.seek(0, os.SEEK_END) > MAX_BYTES:
        abort(413)
    upload.stream.seek(0)
    if not kind or not is_picture(upload.stream, kind):
        abort(415)
    upload.stream.seek(0)
    return upload


def is_picture(stream, kind):
    """Decodes it all: a header alone would let a picture pass that was cut off."""
    try:
        picture = Image.open(stream, formats=[kind])
        if max(picture.size) > MAX_PIXELS:
            return False
        picture.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False
    return True
