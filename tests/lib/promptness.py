# SPDX-License-Identifier: Apache-2.0
"""Whether something is done at once, judged so that a machine that stalls now and then cannot fail it."""
import time

TRIES = 20


def promptly(seconds, action):
    """What `action` gives, once it took less than `seconds`. Who waits for a time that is not shorter takes that long each time; who is late
    because the machine stood still is not."""
    for _ in range(TRIES):
        begin = time.monotonic()
        result = action()
        took = time.monotonic() - begin
        if took < seconds:
            return result
    raise AssertionError(f"{TRIES} times not done within {seconds} s, but in {took:.1f} s the last time")
