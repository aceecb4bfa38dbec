"""A server that was started anew has forgotten which changes it made: the driver's second try makes one once more."""
import pytest

import relay


class Twice(relay.Relay):
    """Makes each renaming of a revision by itself before the server is asked to."""

    def __init__(self, server, files):
        super().__init__("127.0.0.1", server.port)
        self.files, self.made = files, []

    def answers(self, message, far):
        for document in relay.sections(message) if relay.HEADER.unpack_from(message)[3] == relay.OP_MSG else []:
            update = document.get("u")
            if isinstance(update, dict) and "filename" in update.get("$set", {}):
                self.made.append(self.files.update_one(document["q"], update).modified_count)
        return super().answers(message, far)


@pytest.fixture
def twice(server, bucket):
    if not server.is_ours:
        pytest.skip("the server of GRIDMOUNT_TEST_URI cannot be put behind a relay")
    opened = Twice(server, bucket.files).open()
    yield opened
    opened.close()


def test_a_rename_that_is_made_twice_is_made(twice, mount, database, bucket, stored):
    """Onto a file: it was ENOENT, with the change made."""
    mnt = mount(uri=f"mongodb://127.0.0.1:{twice.port}/{database.name}?directConnection=true", options="push=off")
    (mnt.path / "to").write_bytes(b"old")
    (mnt.path / "from").write_bytes(b"new")
    (mnt.path / "from").rename(mnt.path / "to")
    assert twice.made and twice.made[0] == 1, "the change was made before"
    assert (mnt.path / "to").read_bytes() == b"new"
    assert not (mnt.path / "from").exists()
    assert stored("to") == b"new" and stored("from") is None
