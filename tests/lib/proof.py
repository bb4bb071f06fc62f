# SPDX-License-Identifier: Apache-2.0
"""What the proofs share: the numbers of their command lines, what they say meanwhile, and how they end."""
import random
import sys


def number(place, default):
    """The whole number that stands there on the command line, counted from 1; also as 1,000,000."""
    return int(sys.argv[place].replace(",", "")) if len(sys.argv) > place else default


def seed(place):
    """The seed that stands there, or one of its own; it is printed, so that the run can be repeated."""
    chosen = number(place, random.randrange(10 ** 6))
    say(f"seed {chosen}")
    return chosen


def say(text):
    print(text, flush=True)


def end(wrong, fine=""):
    """Prints the first of what is wrong, or that all is fine; the exit code."""
    if wrong:
        print(f"{len(wrong)} things are wrong; the first ones:", *wrong[:20], sep="\n  ")
        return 1
    if fine:
        print(fine)
    return 0
