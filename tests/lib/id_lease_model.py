# SPDX-License-Identifier: Apache-2.0
"""What others do, as models for state_search: ids made of a clock and a number that the unit leases, or counts for itself.

An id is (tick of the unit's clock, number): so the same tick issued twice under one number is a duplicate. A unit never issues a
tick twice by itself; it forgets that when it is killed.
"""
import dataclasses
from typing import NamedTuple

from state_search import DUPLICATE

NOTHING = -1


def replaced(values, index, value):
    return values[:index] + (value,) + values[index + 1:]


def unit_name(index):
    return "unit " + "ABCDEF"[index]


class Holder(NamedTuple):
    until: int = NOTHING              # end of the lease as it knows it
    last: int = NOTHING               # the tick it issued last
    reading: int = NOTHING            # of its clock, kept for the issue to come
    checked: int = 0                  # the lease was found good, for the issue to come


class LeaseState(NamedTuple):
    now: int
    owner: int
    until: int                        # in the lock's service
    issued: int                       # bits: ticks
    units: tuple


@dataclasses.dataclass(frozen=True)
class Lease:
    """One number, leased from a lock service; `issue` says what a unit does for an id."""
    issue: str                        # never check; check, then read the clock; read the clock, then check
    skews: tuple = (0, 0)             # how far each unit's clock is off, in ticks
    ticks: int = 6
    duration: int = 2
    kill: bool = True

    def initial(self):
        return LeaseState(0, NOTHING, 0, 0, (Holder(),) * len(self.skews))

    def merged(self, state):
        if len(set(self.skews)) > 1:
            return state              # units with different clocks are not equal
        order = sorted(range(len(state.units)), key=lambda index: (state.units[index], index == state.owner))
        return state._replace(owner=order.index(state.owner) if state.owner != NOTHING else NOTHING,
                              units=tuple(state.units[index] for index in order))

    def describe(self, label):
        sentence, unit, *numbers = label
        return sentence.format(*numbers, unit=unit_name(unit))

    def steps(self, state):
        if state.now < self.ticks:
            yield ("time goes on to {}", 0, state.now + 1), state._replace(now=state.now + 1)
        for index, unit in enumerate(state.units):
            if unit.until == NOTHING:
                if state.owner == NOTHING or state.now >= state.until:
                    yield ("{unit} gets the lease until {}", index, state.now + self.duration), self.leasing(state, index, unit)
                continue
            if state.owner == index:
                yield ("{unit} renews the lease until {}", index, state.now + self.duration), self.leasing(state, index, unit)
            elif state.now >= unit.until:
                yield ("{unit} sees that its lease is over", index), self.with_unit(state, index, Holder(last=unit.last))
            yield from {"never check": self.issue_unchecked, "check, then read the clock": self.check_then_read,
                        "read the clock, then check": self.read_then_check}[self.issue](state, index, unit)
            if self.kill:
                yield ("{unit} is killed and starts again", index), self.with_unit(state, index, Holder())

    def leasing(self, state, index, unit):
        until = state.now + self.duration
        return self.with_unit(state, index, unit._replace(until=until))._replace(owner=index, until=until)

    @staticmethod
    def with_unit(state, index, unit):
        return state._replace(units=replaced(state.units, index, unit))

    def clock(self, state, index):
        return max(0, state.now + self.skews[index])

    def issue_unchecked(self, state, index, unit):
        yield from self.issued(state, index, unit, self.clock(state, index))

    def check_then_read(self, state, index, unit):
        if unit.checked:
            yield from self.issued(state, index, unit, self.clock(state, index))
        elif self.clock(state, index) < unit.until:
            yield ("{unit} finds its lease good", index), self.with_unit(state, index, unit._replace(checked=1))

    def read_then_check(self, state, index, unit):
        if unit.checked:
            yield from self.issued(state, index, unit, unit.reading)
        elif unit.reading == NOTHING:
            reading = self.clock(state, index)
            yield ("{unit} reads its clock: {}", index, reading), self.with_unit(state, index, unit._replace(reading=reading))
        elif self.clock(state, index) < unit.until:
            yield ("{unit} finds its lease good", index), self.with_unit(state, index, unit._replace(checked=1))
        else:
            yield ("{unit} finds its lease over", index), self.with_unit(state, index, Holder(last=unit.last))

    def issued(self, state, index, unit, tick):
        after = unit._replace(reading=NOTHING, checked=0)
        if tick <= unit.last:
            yield ("{unit} waits for its clock", index), self.with_unit(state, index, after)
        else:
            label = ("{unit} issues tick {}", index, tick)
            if state.issued >> tick & 1:
                yield label, DUPLICATE
            yield label, self.with_unit(state, index, after._replace(last=tick))._replace(issued=state.issued | 1 << tick)


class IndexState(NamedTuple):
    now: int
    counts: tuple                     # in each database: instances so far
    units: tuple                      # (index, the tick it issued last)
    issued: tuple                     # of (datacenter id, index, tick)


@dataclasses.dataclass(frozen=True)
class InstanceIndex:
    """The old scheme: an instance gets its index from its datacenter's database, which counts from 0. No faults, true clocks."""
    datacenter_ids: tuple = (0, 0)    # what stands in the ids for each datacenter
    units: int = 2                    # they belong to the datacenters in turn
    ticks: int = 4

    def initial(self):
        return IndexState(0, (0,) * len(self.datacenter_ids), ((NOTHING, NOTHING),) * self.units, ())

    @staticmethod
    def merged(state):
        return state

    @staticmethod
    def describe(label):
        sentence, *numbers = label
        return sentence.format(*numbers)

    def steps(self, state):
        if state.now < self.ticks:
            yield ("time goes on to {}", state.now + 1), state._replace(now=state.now + 1)
        for number, (index, last) in enumerate(state.units):
            datacenter = number % len(self.datacenter_ids)
            if index == NOTHING:
                index = state.counts[datacenter]
                yield (("{} starts in datacenter {}: its database gives it index {}", unit_name(number), datacenter + 1, index),
                       state._replace(counts=replaced(state.counts, datacenter, index + 1),
                                      units=replaced(state.units, number, (index, NOTHING))))
            elif last < state.now:
                label = ("{} issues tick {} with index {}", unit_name(number), state.now, index)
                issued = (self.datacenter_ids[datacenter], index, state.now)
                if issued in state.issued:
                    yield label, DUPLICATE
                yield label, state._replace(units=replaced(state.units, number, (index, state.now)),
                                            issued=tuple(sorted((*state.issued, issued))))
