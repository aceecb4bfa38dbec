// SPDX-License-Identifier: Apache-2.0
#include "fs/fuse/process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/base/cleanup.h"

/* The numbers of /proc/PID/stat, behind the name, which may have anything in it. */
static bool read_stat(pid_t pid, char text[1024]) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    cleanup_fd int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = file >= 0 ? read(file, text, 1023) : -1;
    if (size <= 0)
        return false;
    text[size] = '\0';
    char *behind = strrchr(text, ')');
    if (behind)
        memmove(text, behind + 1, strlen(behind + 1) + 1);
    return behind;
}

bool process_is_dying(pid_t pid) {
    enum { STATE = 3, FLAGS = 9, PENDING = 31, EXITING = 0x4 };
    char text[1024], *rest = text, *word;
    unsigned long flags = 0, pending = 0;
    if (pid <= 0 || !read_stat(pid, text))
        return false;
    for (int field = STATE; field <= PENDING && (word = strsep(&rest, " ")); field++) {
        if (!*word)
            field--; /* the first is empty */
        else if (field == FLAGS)
            flags = strtoul(word, NULL, 10);
        else if (field == PENDING)
            pending = strtoul(word, NULL, 10);
    }
    return flags & EXITING || pending & (1UL << (SIGKILL - 1));
}
