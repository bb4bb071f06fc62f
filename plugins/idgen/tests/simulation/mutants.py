#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""mutants.py BUILD [NAME]: breaks the plugin's code in copies, one guard at a time, and demands that the simulation notices.

What is not here, because it breaks nothing (the model check says the same): another target after an unknown outcome, as the
compare-and-set on the old mark lets only one of the two through; and the epoch in the window's compare-and-set, which is
no guard against duplicates (the mark is) but against a slot's owner that was evicted: that is what is demanded of it.
Nor is the end of a lease, which guards only behind quarantine, journal and marks: no run that needed it has been found.
"""
import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import time

SEEDS = 60000
LOSSES = "--losses"
BAD_DISKS = "--bad-disks"

# name: options, then (file, before, after) ...
MUTANTS = {
    "window without compare-and-set": [
        "", ("statements.h", '" + ? WHERE layout = ? AND slot = ? AND epoch = ? AND hwm = ?"\n#define SQL_RELEASE',
             '" + ? WHERE layout = ? AND slot = ? AND ? >= 0 AND ? >= 0"\n#define SQL_RELEASE'),
        ("slot_pool.c", "if (!lease->pending_hwm && (row->epoch != lease->epoch || row->hwm != lease->hwm))",
         "if (false)")],
    "window without epoch": [
        "", ("statements.h", '" + ? WHERE layout = ? AND slot = ? AND epoch = ? AND hwm = ?"\n#define SQL_RELEASE',
             '" + ? WHERE layout = ? AND slot = ? AND ? >= 0 AND hwm = ?"\n#define SQL_RELEASE'),
        ("slot_pool.c", "row->epoch != lease->epoch || row->hwm != lease->hwm", "row->hwm != lease->hwm")],
    "acquisition without compare-and-set and lease": [
        "", ("statements.h", "AND epoch = ? AND hwm = ? AND lease_until_ms < \" SQL_NOW_MS",
             "AND ? >= 0 AND ? >= 0 AND 0 < \" SQL_NOW_MS")],
    "numbers without compare-and-set": [
        "", ("statements.h", "WHERE name = ? AND max_n = ?", "WHERE name = ? AND ? >= 0")],
    "window used before it is committed": [
        "", ("slot_pool.c", "\tuint64_t affected = 0;\n\tint code =\n\t\tkontor_db_exec(reservation->conn, SQL_RESERVE,",
             "\tuint64_t affected = 0;\n\tallocator_extend(&pool->allocator, number, lease->pending_hwm);\n"
             "\tint code =\n\t\tkontor_db_exec(reservation->conn, SQL_RESERVE,")],
    "numbers used before they are committed": [
        "", ("segment.c", "\tcode = kontor_db_exec(reservation->conn, SQL_RESERVE_NUMBERS,",
             "\tallocator_add_numbers(allocator, before, end);\n"
             "\tcode = kontor_db_exec(reservation->conn, SQL_RESERVE_NUMBERS,"),
        ("segment.c", "\tallocator_add_numbers(allocator, before, end);\n\treturn 0;", "\treturn 0;")],
    "first counter of a window is the last one before it": [
        "", ("allocator.c", "later(window->last + 1, clock), last", "later(window->last, clock), last")],
    "one counter beyond the window": [
        "", ("allocator.c", "if (last > window->end)", "if (last > window->end + 1)")],
    "no journal": [
        LOSSES, ("reservation.c", "return journal ? journal_mark(journal, key, epoch, hwm, err) : 0;",
                 "(void)key, (void)epoch, (void)hwm, (void)err;\n\treturn journal ? 0 : 0;")],
    "a journal's write always begins with its first copy": [
        BAD_DISKS, ("journal.c", "first = j->first_copy[number];", "first = 0;")],
    "a window goes on after no row was changed": [
        "", ("slot_pool.c", "if (affected != 1) {\n\t\tgive_up(", "if (false) {\n\t\tgive_up("),
        ("slot_pool.c", "if (!lease->pending_hwm && (row->epoch != lease->epoch || row->hwm != lease->hwm))",
         "if (false)")],
    "no quarantine": [
        LOSSES, ("cluster.c", "if (left_ms <= 0)", "if (true)"),
        ("statements.h", '" AND (SELECT quarantine_until_ms FROM id_cluster) <= " SQL_NOW_MS', '" AND 0 <= " SQL_NOW_MS')],
    "numbers do not jump": [
        LOSSES, ("statements.h", "CASE WHEN max_n < ? THEN ? ELSE max_n + ? END", "CASE WHEN ? + ? + ? < 0 THEN 0 ELSE max_n END")],
    "peers' marks are not asked": [
        LOSSES, ("reservation.c", "if (unit->peers) {", "if (false) {")],
    "peers' contradiction is ignored": [
        "", ("reserver.c", "\tif (!code)\n\t\treturn 0;\n\tbool open", "\tif (true)\n\t\treturn 0;\n\tbool open")],
    "generation of the machine is ignored": [
        "", ("allocator.c", "now.generation != a->trusted.generation || ", "")],
    "jump of the clock is ignored": [
        "", ("allocator.c", "|| step_ms >= ALLOCATOR_STEP_MS || step_ms <= -ALLOCATOR_STEP_MS", "|| step_ms == INT64_MIN")],
    "two slots share their ids": [
        "", ("allocator.c", "layout_id(a->layout, first, a->datacenter, window->slot)",
             "layout_id(a->layout, first, a->datacenter, window->slot | 1)")],
    "datacenter is not in the id": [
        "", ("allocator.c", "layout_id(a->layout, first, a->datacenter, window->slot)",
             "layout_id(a->layout, first, 1, window->slot)")],
    "database's clock is ignored": [
        "", ("reserver.c", "visit->clock_ms = earlier(now.wall_ms, database_ms + took_ms);",
             "visit->clock_ms = now.wall_ms;")],
}


class Build:
    """What the build folder has of the simulation, to be linked with copies of single files."""

    def __init__(self, folder):
        self.folder = folder
        commands = json.loads((folder / "compile_commands.json").read_text())
        self.objects, self.commands = [], {}
        for entry in commands:
            words = shlex.split(entry["command"])
            output = words[words.index("-o") + 1]
            if "/idgen_simulat" not in output:
                continue
            self.objects.append(folder / output)
            if "/idgen_simulated.dir/" in output:
                source = pathlib.Path(entry["file"])
                self.commands[source.name] = (source, words, folder / output)
                self.plugin = source.parent

    def mutate(self, name, edits, scratch):
        """Applies the edits to copies; returns the names of the .c files to be compiled. Fails if one does not match."""
        texts = {}
        for file, before, after in edits:
            text = texts.get(file) or (self.plugin / file).read_text()
            if text.count(before) != 1:
                raise SystemExit(f"mutant \"{name}\": {file} has {text.count(before)} times, not once:\n  {before}\n"
                                 "The code has changed: bring the mutant up to date.")
            texts[file] = text.replace(before, after)
        for header in [file for file in texts if file.endswith(".h")]:
            for source, _, _ in self.commands.values():
                if f'#include "{header}"' in source.read_text():
                    texts.setdefault(source.name, source.read_text())
        for file, text in texts.items():
            (scratch / file).write_text(text)
        return [file for file in texts if file.endswith(".c")]

    def link(self, files, scratch):
        replaced, made = [], []
        for file in files:
            _, words, output = self.commands[file]
            replaced.append(output)
            made.append(scratch / (file + ".o"))
            words = [word for word in words if word not in ("-Werror", "-O2", "-g")]
            words[words.index("-o") + 1] = str(made[-1])
            words[words.index("-c") + 1] = str(scratch / file)
            subprocess.run(words + ["-O1", "-w"], cwd=self.folder, check=True)
        program = scratch / "simulation"
        objects = [str(o) for o in self.objects if o not in replaced] + [str(o) for o in made]
        subprocess.run(["cc", "-o", str(program), *objects, f"-L{self.folder}/lib", f"-Wl,-rpath,{self.folder}/lib",
                        "-lkontor", "-lsqlite3", "-lz", "-lzmq", "-lpthread"], check=True)
        return program


def kill(build, name):
    """Returns the line that says what the simulation found, or None."""
    options, *edits = MUTANTS[name]
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        program = build.link(build.mutate(name, edits, scratch), scratch)
        result = subprocess.run([program, "--seeds", f"1-{SEEDS}", "--quiet", *options.split()], text=True,
                                stdout=subprocess.PIPE)
    if result.returncode not in (0, 1):
        raise SystemExit(f"mutant \"{name}\": the simulation ended with {result.returncode}")
    return result.stdout.strip() or None


def main():
    build, begin = Build(pathlib.Path(sys.argv[1]).resolve()), time.monotonic()
    names = [name for name in MUTANTS if len(sys.argv) < 3 or sys.argv[2] in name]
    alive = []
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for name, found in zip(names, pool.map(lambda name: kill(build, name), names)):
            print(f"{'killed' if found else 'ALIVE '}  {name}{': ' + found[:150] if found else ''}", flush=True)
            alive += [] if found else [name]
    print(f"{len(names)} mutants in {time.monotonic() - begin:.0f} s")
    if alive:
        print("the simulation does not notice:", *alive, sep="\n  ")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
