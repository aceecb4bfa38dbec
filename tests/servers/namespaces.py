# SPDX-License-Identifier: Apache-2.0
"""Mount namespaces for what a test starts."""

# A namespace begins with copies of all mounts, and a mount is served for as long as there is a copy of it anywhere:
# those of other tests, which may run beside, would not end before this one does.
LET_GO = "umount -a -l -t fuse.gridfs 2>/dev/null\n"


def apart(script, *flags):
    """The start of a command line: a shell script in a mount namespace of its own; "sh" and arguments follow."""
    return ["unshare", "--mount", *flags, "sh", "-c", LET_GO + script]
