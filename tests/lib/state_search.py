# SPDX-License-Identifier: Apache-2.0
"""Looks at every state that a protocol can get into, breadth first, for one in which something was issued twice.

A model has
  initial()         a state: hashable
  steps(state)      every step that any part of the system may take next, as (label, state after it); DUPLICATE in place of
                    the state when the step issues something for the second time
  merged(state)     the same state for all that differ only in the names of equal units
  describe(label)   a label as a sentence
"""
import collections

DUPLICATE = "duplicate"


class TooManyStates(Exception):
    """The search was not complete."""


Result = collections.namedtuple("Result", "states duplicate")   # duplicate: None, or the shortest way to it as sentences


def search(model, limit=5_000_000):
    """Visits all reachable states, or ends at the first duplicate: breadth first, so no way to one is shorter."""
    first = model.merged(model.initial())
    came_from = {first: None}
    waiting = collections.deque([first])
    steps, merged = model.steps, model.merged
    while waiting:
        state = waiting.popleft()
        for _, after in steps(state):
            if after is DUPLICATE:
                return Result(len(came_from), story(model, came_from, state))
            after = merged(after)
            if after not in came_from:
                came_from[after] = state
                waiting.append(after)
        if len(came_from) > limit:
            raise TooManyStates(f"more than {limit:,} states: the search was given up")
    return Result(len(came_from), None)


def story(model, came_from, state):
    """The steps to the duplicate that follows `state`; units keep their names, unless the model merges what is not the same."""
    way = []
    while state is not None:
        way.append(state)
        state = came_from[state]
    way.reverse()
    sentences, actual = [], model.initial()
    for before, wanted in zip(way, way[1:]):
        label, actual = step_to(model, actual, wanted) or step_to(model, before, wanted)
        sentences.append(model.describe(label))
    labels = [label for state in (actual, way[-1]) for label, after in model.steps(state) if after is DUPLICATE]
    return [*sentences, model.describe(labels[0])]


def step_to(model, state, wanted):
    for label, after in model.steps(state):
        if after is not DUPLICATE and model.merged(after) == wanted:
            return label, after
    return None
