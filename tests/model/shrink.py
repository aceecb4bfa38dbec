# SPDX-License-Identifier: Apache-2.0
"""Makes a difference that the model found small: the fewest steps that still show it.

    shrink(history, differs)    differs(steps) -> bool runs them on two empty directories
"""


def shrink(history, differs, seconds_left=lambda: True):
    """Leaves out runs of steps, ever shorter ones, as long as the rest still differs."""
    history, size = list(history), max(1, len(history) // 2)
    while size:
        at, shorter = 0, False
        while at < len(history) and seconds_left():
            rest = history[:at] + history[at + size:]
            if differs(rest):
                history, shorter = rest, True
            else:
                at += size
        if not seconds_left():
            break
        if not shorter or size > 1:
            size = size // 2 if size > 1 or not shorter else 1
    return history
