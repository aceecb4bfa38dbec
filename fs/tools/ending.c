// SPDX-License-Identifier: Apache-2.0
#include "fs/tools/ending.h"

#include <signal.h>
#include <sys/signalfd.h>

int ending_take(void) {
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGHUP);
    sigprocmask(SIG_BLOCK, &ending, NULL);
    return signalfd(-1, &ending, SFD_CLOEXEC);
}
