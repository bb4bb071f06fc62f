# SPDX-License-Identifier: Apache-2.0
"""The protocol by which units reserve windows of counters in a database, as a model for state_search.

A step is one thing that happens at once. Between any two of them a unit may be paused for any time, because any other step may
come next. With clock "any", what a clock says is chosen freely at each look: ahead, behind, backwards.

  a unit without a slot   reads a row and asks: UPDATE ... SET epoch = epoch + 1, hwm = end WHERE epoch = read AND hwm = read
  a unit with a slot      asks for more:        UPDATE ... SET hwm = end WHERE epoch = mine AND hwm = mine
  the database            executes a statement at some time, or never
  the unit hears          1 row: the counters up to `end` are its own;   0 rows: it gives the slot up for good;
                          nothing: it repeats the very same statement (without a slot: it reads again)
  a unit                  issues counters that are its own, rising, at any time

Faults: a unit is killed or cloned; a statement is executed after its client gave up; the database loses commits.
"""
import dataclasses
import functools
from typing import NamedTuple

from state_search import DUPLICATE

SENT, ONE_ROW, NO_ROW = range(3)    # what became of a statement; its unit learns it when it hears
NO_SLOT = -1


class Row(NamedTuple):
    epoch: int = 0
    hwm: int = 0                    # counters below are reserved
    lease_until: int = 0


class Statement(NamedTuple):
    """UPDATE rows[row] SET epoch = new_epoch, hwm = end WHERE epoch = epoch AND hwm = hwm"""
    row: int
    epoch: int
    hwm: int
    new_epoch: int
    start: int                      # what the unit will issue: start .. end - 1
    end: int


class Unit(NamedTuple):
    row: int = NO_SLOT
    epoch: int = 0
    hwm: int = 0
    own: int = 0                    # bits: the counters that it may issue
    lease_until: int = 0            # by its monotonic clock
    statement: tuple = ()           # whose outcome it waits for
    outcome: int = SENT
    asked_at: int = 0
    mark: int = 0                   # the highest counter in its journal, on its disk
    is_clone: int = 0               # and has not looked at the machine's generation yet


class State(NamedTuple):
    rows: tuple
    units: tuple
    issued: tuple                   # for each datacenter id and slot bits: the counters that were issued
    late: tuple = ()                # statements that nobody waits for and that may still be executed
    undo: tuple = ()                # (row, what it was before the last commit, whether a unit heard of that commit)
    marks: tuple = ()               # for each row (hwm, epoch): the highest in any journal, as peers tell each other
    losses: int = 0                 # faults that may still happen
    clones: int = 0
    other_server: int = 0           # the database is another server, and no unit has looked yet
    now: int = 0
    quarantine_until: int = 0


@dataclasses.dataclass(frozen=True)
class Windows:
    # the world
    counters: int = 6               # 0 .. counters - 1
    reach: int = 2                  # a window reaches so many counters beyond the clock
    units: int = 2
    slots: int = 1
    datacenter_ids: tuple = (1,)    # one for each database; the units belong to the databases in turn
    clock: str = "any"              # near: true time, give or take clock_error; none: dense, a window begins at hwm
    clock_error: int = 0
    ticks: int = 0                  # of true time, one counter each
    # the protocol
    check_epoch: bool = True
    check_hwm: bool = True
    wait_for_commit: bool = True
    after_no_row: str = "give up"   # or "look again": what I wanted to write stands there, so it is mine
    lease: str = ""                 # checked when used: a slot is taken only when its lease is over, a window is used only
                                    # if the lease it was reserved under goes on; checked when asked: only before asking
    # faults
    kill: bool = True
    late_statements: int = 0        # at a time
    losses: int = 0
    loses: str = "last commit"      # unheard commit: the last one, if no unit heard of it; everything: an old dump
    failover: bool = True           # a loss cuts all connections; False: a dump loaded into the running server
    clones: int = 0
    clone_when: str = "any time"    # or "between windows": all that it may issue is issued
    # guards
    quarantine: int = 0             # ticks without a new owner of any slot after another server was noticed
    skip: int = 0                   # counters that are skipped after another server was noticed
    marks: str = ""                 # own: a unit knows its own journal; all: and those of its peers; heard later: the same, but
                                    # the peers hear of a mark some time after it is used
    marks_used: str = "twice"       # when asking, and before what was got is used; or "when asking" only
    told_again: bool = False        # who finds a row below its mark writes the mark there, and begins a quarantine
    generation: str = ""            # checked: with each grant; checked before: the clone is made between check and grant
    # the search
    forget: bool = True             # what can make no difference any more; False only to prove that it does not

    # ---- for the search -----------------------------------------------------------------------------------------------

    def initial(self):
        databases, ids = len(self.datacenter_ids), len(set(self.datacenter_ids))
        return State(rows=(Row(),) * (databases * self.slots), units=(Unit(),) * self.units, issued=(0,) * (ids * self.slots),
                     marks=((0, 0),) * (databases * self.slots), losses=self.losses, clones=self.clones)

    def merged(self, state):
        """Units of one database have no order; and what can make no difference any more is forgotten."""
        return self.sorted_units(self.without_the_irrelevant(state) if self.forget else state)

    def sorted_units(self, state):
        units, databases = list(state.units), len(self.datacenter_ids)
        for database in range(databases):
            units[database::databases] = sorted(units[database::databases])
        return state._replace(units=tuple(units)) if tuple(units) != state.units else state

    def without_the_irrelevant(self, state):
        rows, units, issued, late = state[:4]
        lowest = [self.lowest_hwm(state, index) for index in range(len(rows))]
        units = [self.merged_unit(state, unit, lowest) if unit.row != NO_SLOT or unit.statement else unit for unit in units]
        if late:
            late = tuple(sorted({statement for statement in late if statement.hwm >= lowest[statement.row]}))
        if any(issued):
            may_be = self.may_be_issued(state, units, late, lowest)
            issued = tuple(bits & mask for bits, mask in zip(issued, may_be))
        undo, now, quarantine_until = state.undo, state.now, state.quarantine_until
        if self.lease:
            rows = tuple(without_old_lease(row, now) for row in rows)
            undo = undo and (undo[0], without_old_lease(undo[1], now), undo[2])
        return State(rows, tuple(units), issued, late, undo, *state[5:-1], quarantine_until if quarantine_until > now else 0)

    def lowest_hwm(self, state, index):
        """The row will never have less than this."""
        if not self.check_hwm or state.losses and self.loses == "everything":
            return 0
        hwm = state.rows[index].hwm
        return min(hwm, state.undo[1].hwm) if state.undo and state.undo[0] == index else hwm

    def merged_unit(self, state, unit, lowest):
        statement = unit.statement
        if self.after_no_row == "give up":
            if statement and unit.outcome != ONE_ROW and statement.hwm < lowest[statement.row]:
                # It will hear 0 rows, sooner or later. Should a rule use the window none the less, it shows: all counters.
                unit = unit._replace(statement=Statement(statement.row, 0, -1, 0, 0, self.counters), outcome=NO_ROW)
            if unit.row != NO_SLOT and unit.hwm < lowest[unit.row]:
                unit = unit._replace(epoch=0, hwm=-1)         # somebody else's by now: whatever it asks, it will hear 0 rows
        if self.lease:
            if unit.lease_until <= state.now:
                unit = unit._replace(lease_until=0)
            if unit.asked_at + self.reach <= state.now:
                unit = unit._replace(asked_at=-self.reach)
        return unit

    def may_be_issued(self, state, units, late, lowest):
        """For each id space bits: the counters that somebody has, asks for, or may ask for."""
        masks = [0] * len(state.issued)
        for row, space in enumerate(self.spaces):
            masks[space] |= -1 << max(lowest[row], state.marks[row][0])
        for index, unit in enumerate(units):
            space = self.spaces[self.row_of(index, unit)]
            masks[space] |= unit.own
            if unit.row != NO_SLOT and unit.hwm >= 0:
                masks[space] |= -1 << unit.hwm
            if unit.statement and unit.statement.hwm >= 0:
                masks[space] |= bits(unit.statement)
        for statement in late:
            masks[self.spaces[statement.row]] |= bits(statement)
        return masks

    def row_of(self, index, unit):
        """The row whose counters a unit has or asks for; a dense window without a row belongs to the only one."""
        return unit.row if unit.row != NO_SLOT else unit.statement.row if unit.statement else index % len(self.datacenter_ids)

    @functools.cached_property
    def spaces(self):
        """For each row its id space: rows of one datacenter id and slot share one, whatever their databases."""
        ids = sorted(set(self.datacenter_ids))
        return [ids.index(datacenter_id) * self.slots + slot for datacenter_id in self.datacenter_ids for slot in range(self.slots)]

    def describe(self, label):
        sentence, unit, *numbers = label
        return sentence.format(*numbers, unit="unit " + "ABC"[unit])

    def steps(self, state):
        for index, unit in enumerate(state.units):
            if unit.is_clone:
                yield ("{unit} sees another generation: it drops all windows and slots", index), self.with_unit(
                    state, index, self.without_slot(unit, drop=True))
                if self.generation == "checked before":
                    yield from self.issue(state, index, unit)
                continue
            if unit.statement:
                yield from self.execute(state, index, unit)
                yield from self.hear(state, index, unit)
                yield from self.hear_nothing(state, index, unit)
            elif unit.row == NO_SLOT:
                yield from self.ask_for_a_slot(state, index, unit)
            else:
                yield from self.ask_for_more(state, index, unit)
            yield from self.tell_peers(state, index, unit)
            yield from self.issue(state, index, unit)
            yield from self.kill_unit(state, index, unit)
            yield from self.clone(state, index, unit)
        yield from self.execute_late(state)
        yield from self.lose_commits(state)
        yield from self.notice_other_server(state)
        yield from self.tell_again(state)
        if state.now < self.ticks:
            yield ("time goes on to {1}", 0, 0, state.now + 1), state._replace(now=state.now + 1)

    # ---- a unit asks --------------------------------------------------------------------------------------------------

    def windows_after(self, state, first):
        """(start, end) of each window that a unit may ask for, one for each clock it may have; `first` is the first free
        counter."""
        if self.clock == "any":
            readings = range(self.counters)
        elif self.clock == "near":
            readings = range(max(0, state.now - self.clock_error), state.now + self.clock_error + 1)
        else:
            readings = [first]
        return [(max(first, reading), reading + self.reach) for reading in readings
                if first < reading + self.reach <= self.counters]

    def ask_for_a_slot(self, state, index, unit):
        if state.other_server or state.now < state.quarantine_until:
            return
        database = index % len(self.datacenter_ids)
        for row in range(database * self.slots, (database + 1) * self.slots):
            epoch, hwm, lease_until = state.rows[row]
            if self.lease and state.now < lease_until:
                continue
            new_epoch = epoch + (self.clock != "none")
            for start, end in self.windows_after(state, max(hwm, self.known_mark(state, unit, row))):
                statement = Statement(row, epoch, hwm, new_epoch, start, end)
                yield (("{unit} reads slot {}: epoch {}, hwm {}; it asks for {} to {}", index, row + 1, epoch, hwm, start, end - 1),
                       self.asking(state, index, unit, statement))

    def ask_for_more(self, state, index, unit):
        if self.lease and unit.lease_until <= state.now:
            yield ("{unit} lets its slot go: its lease is over", index), self.with_unit(state, index, self.without_slot(unit))
            return
        for start, end in self.windows_after(state, unit.hwm):
            statement = Statement(unit.row, unit.epoch, unit.hwm, unit.epoch, start, end)
            yield (("{unit} asks for more, WHERE hwm = {}: {} to {}", index, unit.hwm, start, end - 1),
                   self.asking(state, index, unit, statement))

    def asking(self, state, index, unit, statement):
        unit = unit._replace(statement=statement, outcome=SENT, asked_at=state.now if self.lease else 0)
        if not self.wait_for_commit:
            unit = unit._replace(own=unit.own | bits(statement))
        return self.with_unit(state, index, unit)

    def known_mark(self, state, unit, row):
        return max(unit.mark, state.marks[row][0])

    # ---- the database -------------------------------------------------------------------------------------------------

    def executed(self, state, statement):
        """(state after the statement, ONE_ROW or NO_ROW)"""
        row = state.rows[statement.row]
        if self.check_epoch and row.epoch != statement.epoch or self.check_hwm and row.hwm != statement.hwm:
            return state, NO_ROW
        written = Row(statement.new_epoch, statement.end, state.now + self.reach if self.lease else 0)
        undo = (statement.row, row, 0) if state.losses else ()
        return state._replace(rows=replaced(state.rows, statement.row, written), undo=undo), ONE_ROW

    def execute(self, state, index, unit):
        if unit.outcome == SENT and not state.other_server:
            after, outcome = self.executed(state, unit.statement)
            yield (("the database executes the statement of {unit}: {} rows", index, int(outcome == ONE_ROW)),
                   self.with_unit(after, index, unit._replace(outcome=outcome)))

    def execute_late(self, state):
        for statement in set(state.late):
            after, outcome = self.executed(state, statement)
            yield (("the database executes the statement that was given up, hwm {1} to {2}: {3} rows", 0, 0, statement.hwm,
                    statement.end, int(outcome == ONE_ROW)), after._replace(late=removed(state.late, statement)))

    # ---- a unit hears -------------------------------------------------------------------------------------------------

    def hear(self, state, index, unit):
        statement = unit.statement
        if unit.outcome == ONE_ROW:
            state = self.noted_as_heard(state, statement)
            if self.marks_used == "twice" and self.known_mark(state, unit, statement.row) > statement.start:
                yield (("{unit} hears: 1 row; a journal has {}, so it gives the slot up", index,
                        self.known_mark(state, unit, statement.row)), self.with_unit(state, index, self.without_slot(unit)))
            elif self.lease == "checked when used" and state.now >= self.lease_asked_under(unit):
                yield ("{unit} hears: 1 row; its lease is over, so it gives the slot up", index), self.with_unit(
                    state, index, self.without_slot(unit))
            else:
                yield ("{unit} hears: 1 row; {} to {} are its own", index, statement.start, statement.end - 1), self.owning(
                    state, index, unit)
        elif unit.outcome == NO_ROW:
            if self.after_no_row == "look again" and unit.row != NO_SLOT and state.rows[statement.row][:2] == (statement.new_epoch, statement.end):
                yield (("{unit} hears: 0 rows; it reads what it wanted to write, and takes {} to {} for its own", index,
                        statement.start, statement.end - 1), self.owning(state, index, unit))
            else:
                yield ("{unit} hears: 0 rows; it gives the slot up", index), self.with_unit(
                    state, index, self.without_slot(unit))

    def lease_asked_under(self, unit):
        return unit.asked_at + self.reach if unit.row == NO_SLOT else unit.lease_until

    def owning(self, state, index, unit):
        statement = unit.statement
        marks = state.marks
        if self.marks == "all":             # in the journal and told, before use
            marks = replaced(marks, statement.row, max(marks[statement.row], (statement.end, statement.new_epoch)))
        unit = Unit(row=statement.row, epoch=statement.new_epoch, hwm=statement.end, own=unit.own | bits(statement),
                    lease_until=unit.asked_at + self.reach if self.lease else 0,
                    mark=max(unit.mark, statement.end) if self.marks in ("own", "heard later") else 0)
        return self.with_unit(state._replace(marks=marks), index, unit)

    def tell_peers(self, state, index, unit):
        if self.marks == "heard later" and unit.row != NO_SLOT and unit.mark > state.marks[unit.row][0]:
            yield (("the peers of {unit} hear of {}", index, unit.mark),
                   state._replace(marks=replaced(state.marks, unit.row, (unit.mark, 0))))

    def hear_nothing(self, state, index, unit):
        """The answer is lost, or the statement, or the statement comes late."""
        if unit.row == NO_SLOT:
            patient = self.without_slot(unit)
            sentence = "{unit} hears nothing: it will look for a slot again"
        elif self.lease and unit.lease_until <= state.now:
            patient = self.without_slot(unit)
            sentence = "{unit} hears nothing and its lease is over: it lets the slot go"
        else:
            patient = unit._replace(outcome=SENT)
            sentence = "{unit} hears nothing: it repeats the statement"
        if patient != unit:
            yield (sentence, index), self.with_unit(state, index, patient)
        if unit.outcome == SENT and len(state.late) < self.late_statements:
            yield ((sentence + "; the old one is still on its way", index),
                   self.with_unit(state, index, patient)._replace(late=tuple(sorted(state.late + (unit.statement,)))))

    def without_slot(self, unit, drop=False):
        """Dense windows stay when a row was not written: they belong to no slot."""
        return Unit(own=unit.own if self.clock == "none" and not drop else 0, mark=unit.mark)

    # ---- a unit issues ------------------------------------------------------------------------------------------------

    def issue(self, state, index, unit):
        if not unit.own:
            return
        space = self.spaces[self.row_of(index, unit)]
        for counter in range(self.counters):
            bit = 1 << counter
            if unit.own & bit:
                label = ("{unit} issues counter {}", index, counter)
                if state.issued[space] & bit:
                    yield label, DUPLICATE
                after = unit._replace(own=unit.own & -(bit << 1))
                yield label, self.with_unit(state, index, after)._replace(
                    issued=replaced(state.issued, space, state.issued[space] | bit))

    # ---- faults -------------------------------------------------------------------------------------------------------

    def kill_unit(self, state, index, unit):
        nobody = Unit(mark=unit.mark)
        if self.kill and unit != nobody:
            yield ("{unit} is killed and starts again", index), self.with_unit(state, index, nobody)
            if unit.statement and unit.outcome == SENT and len(state.late) < self.late_statements:
                yield (("{unit} is killed and starts again; its statement is still on its way", index),
                       self.with_unit(state, index, nobody)._replace(late=tuple(sorted(state.late + (unit.statement,)))))

    def clone(self, state, index, unit):
        if not state.clones or unit.row == NO_SLOT or self.clone_when == "between windows" and unit.own:
            return
        for other, replaced_unit in enumerate(state.units):
            if replaced_unit == Unit():
                copy = unit._replace(outcome=SENT, is_clone=int(self.generation != ""))
                yield ("{unit} is cloned, to unit {}", index, "ABC"[other]), self.with_unit(state, other, copy)._replace(
                    clones=state.clones - 1)
                return

    def lose_commits(self, state):
        if not state.losses or not state.undo or self.loses == "unheard commit" and state.undo[2]:
            return
        if self.loses == "everything":
            rows = (Row(),) * len(state.rows)
        else:
            rows = replaced(state.rows, *state.undo[:2])
        after = state._replace(rows=rows, undo=(), losses=state.losses - 1)
        if self.failover:                 # a renewal will be repeated on the new server
            units = [unit if not unit.statement else self.without_slot(unit) if unit.row == NO_SLOT
                     else unit._replace(outcome=SENT) for unit in state.units]
            after = after._replace(units=tuple(units), late=(), other_server=int(bool(self.quarantine or self.skip)))
        yield (("the database loses commits; slot 1 has hwm {1} again", 0, 0, rows[0].hwm)), after

    def notice_other_server(self, state):
        if state.other_server:            # the first thing a new connection looks at
            rows = tuple(row._replace(hwm=row.hwm + self.skip) for row in state.rows)
            yield (("a unit notices that the database is another server", 0),
                   state._replace(rows=rows, other_server=0, quarantine_until=state.now + self.quarantine))

    def tell_again(self, state):
        for index, row in enumerate(state.rows if self.told_again and not state.other_server else ()):
            hwm, epoch = state.marks[index]
            if row.hwm < hwm:
                lease_until = state.now + self.quarantine if self.lease else 0
                yield (("a unit finds hwm {1} where a journal has {2}: it writes that, and nobody takes a slot", 0, 0, row.hwm, hwm),
                       state._replace(rows=replaced(state.rows, index, Row(max(epoch, row.epoch), hwm, lease_until)),
                                      quarantine_until=state.now + self.quarantine))

    # ---- bookkeeping --------------------------------------------------------------------------------------------------

    @staticmethod
    def with_unit(state, index, unit):
        return state._replace(units=replaced(state.units, index, unit))

    @staticmethod
    def noted_as_heard(state, statement):
        if state.undo and state.undo[0] == statement.row and state.rows[statement.row][:2] == (statement.new_epoch, statement.end):
            return state._replace(undo=(*state.undo[:2], 1))
        return state


def without_old_lease(row, now):
    return row if row.lease_until > now or not row.lease_until else row._replace(lease_until=0)


def bits(statement):
    return (1 << statement.end) - (1 << statement.start)


def replaced(values, index, value):
    return values[:index] + (value,) + values[index + 1:]


def removed(values, value):
    index = values.index(value)
    return values[:index] + values[index + 1:]
