# SPDX-License-Identifier: Apache-2.0
"""Certificates as a hosted cluster has them, made when a test runs: an authority, and what it signed.

    made = certificates.Certificates(folder)
    made.authority                          # the path of its certificate: tlsCAFile
    made.signed("db.example")               # the path of a file with certificate and key
    made.signed("db.example", days=-1)      # expired yesterday
"""
import datetime
import pathlib
import subprocess

DAY = datetime.timedelta(days=1)


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, stdin=subprocess.DEVNULL, capture_output=True)


def date(days):
    return (datetime.datetime.now(datetime.timezone.utc) + days * DAY).strftime("%Y%m%d%H%M%SZ")


class Certificates:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.authority, self.key = self.folder / "authority.pem", self.folder / "authority.key"
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 30, "-subj", "/CN=authority",
                "-keyout", self.key, "-out", self.authority)
        # `openssl ca` is the one command of OpenSSL 3.0 that takes both dates.
        (self.folder / "index").write_text("")
        (self.folder / "index.attr").write_text("unique_subject = no\n")
        self.count = 0

    def signed(self, name, days=30):
        """For that name, until so many days from now."""
        self.count += 1
        base = self.folder / f"signed{self.count}"
        settings, request, key, both = (base.with_suffix(end) for end in (".cnf", ".csr", ".key", ".pem"))
        settings.write_text(f"[ca]\ndefault_ca=own\n[own]\ndatabase={self.folder}/index\nnew_certs_dir={self.folder}\n"
                            f"rand_serial=yes\ndefault_md=sha256\npolicy=any\nx509_extensions=alternative\n"
                            f"[any]\ncommonName=supplied\n[alternative]\nsubjectAltName=DNS:{name}\n")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        openssl("ca", "-batch", "-notext", "-config", settings, "-cert", self.authority, "-keyfile", self.key,
                "-startdate", date(-30), "-enddate", date(days), "-in", request, "-out", both)
        with open(both, "a", encoding="ascii") as file:
            file.write(key.read_text())
        return both
