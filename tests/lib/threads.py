# SPDX-License-Identifier: Apache-2.0
"""The same thing several times at once."""
from concurrent.futures import ThreadPoolExecutor


def at_once(function, things):
    """What function(thing) gives for each, all at the same time; the first one's exception, once all have ended."""
    with ThreadPoolExecutor(len(things)) as pool:
        return list(pool.map(function, things))
