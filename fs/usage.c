// SPDX-License-Identifier: Apache-2.0
#include "fs/usage.h"

#include "fs/options.h"
#include "fs/version.h"

static const char commands[] =
    "gridmount " GRIDMOUNT_VERSION ": mounts MongoDB GridFS as a directory\n"
    "\n"
    "  gridmount mount [URI] DIR [-o option,...] [-f]    mount; -f: stay in the foreground;\n"
    "                                                    \"mount\" may be left out\n"
    "  gridmount run   [URI] DIR [-o ...] [--warm] -- COMMAND...\n"
    "                                                    mount, wait until ready, run COMMAND, unmount; --warm: wait\n"
    "                                                    until -o warm= is done too\n"
    "  gridmount umount DIR\n"
    "  gridmount status DIR [--json] [--wait[=SECONDS]] [--watch[=SECONDS]]\n"
    "                                                    exit status 0 healthy, 1 degraded, 2 not mounted; --wait: so\n"
    "                                                    long until it is healthy, 60 s unless said; --watch: again\n"
    "                                                    and again, with what happens a second\n"
    "  gridmount warm PATH... [--jobs N] [--verify] [--json]\n"
    "                                                    read what is there and below through its mount, so that the\n"
    "                                                    caches have it; --verify: compare the SHA-256 where one is\n"
    "                                                    recorded; exit status 0 all is warm, 1 some is not, 2 usage\n"
    "  gridmount verify PATH... [--jobs N] [--sums] [--resume FILE] [--json]\n"
    "                                                    read it, and say of each file whether it is as recorded: lines\n"
    "                                                    as of sha256sum -c; --sums: as of sha256sum; --resume: note in\n"
    "                                                    FILE what was verified, and leave that out; exit status likewise\n"
    "  gridmount log PATH [--json]                       the revisions of a file, the newest first\n"
    "  gridmount restore PATH@REV                        bring one back as a new revision, a removed file too\n"
    "  gridmount diff PATH@REV [PATH@REV|FILE]           which chunks of two differ, or of one and the file; REV: an _id,\n"
    "                                                    or how a date begins; exit status 0 none, 1 some, 2 trouble\n"
    "  gridmount profile FILE|DIR [--json]               what programs did to a mount with -o trace=FILE, and which option\n"
    "                                                    would help\n"
    "  gridmount fsck  [URI] [-o bucket=NAME] [--repair] [--yes] [--json]\n"
    "                                                    look a bucket over; --repair: take away what ended mounts\n"
    "                                                    left behind, asking first unless --yes; exit status as\n"
    "                                                    fsck(8): 0 clean, 1 corrected, 4 left, 8 failed, 16 usage\n"
    "  gridmount --help | --version\n"
    "\n"
    "DIR may be /dev/fd/N: a /dev/fuse that who starts gridmount has opened, mounted (mount(2) with fd=N) and left open.\n"
    "\n"
    "URI is mongodb://host:port/database or whatever else libmongoc takes. Without it MONGODB_URL or MONGODB_URI\n"
    "is used, and DB_NAME or DBNAME when it names no database.\n"
    "\n"
    "Options:\n";

static const char modes[] =
    "\n"
    "Consistency: what is newest is asked for ...\n"
    "  strict      at every lookup, stat, listing and open\n"
    "  open        at every open and listing; names and attributes may be 1 s old\n"
    "  ttl:SECONDS when what is known is older than that\n"
    "  immutable   once: for buckets that do not change\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage; of run, that of COMMAND.\n";

void usage_put(FILE *out) {
    fputs(commands, out);
    options_help(out);
    fputs(modes, out);
}
