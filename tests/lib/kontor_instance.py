# SPDX-License-Identifier: Apache-2.0
"""A private Kontor for tests: MariaDB and kontord below a folder, the command line against it, and SQL beside it."""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("KONTOR_BUILD", TOP / "build" / "dev"))


class CommandFailed(Exception):
    def __init__(self, arguments, code, output, error):
        super().__init__(f"kontor {' '.join(map(str, arguments))}: exit {code}\n{error}{output}")
        self.code, self.output, self.error = code, output, error


class Instance:
    """with Instance() as kontor: kontor.json("status"). Small settings unless told otherwise."""

    def __init__(self, folder=None, pool="256M", redo="128M"):
        self.own_folder = folder is None
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="kontor-test-"))
        self.environment = dict(os.environ, KONTOR_BUILD=str(BUILD))
        if pool:
            self.environment.update(KONTOR_DB_POOL=pool, KONTOR_DB_REDO=redo)

    def control(self, command, check=True):
        done = subprocess.run([TOP / "tests/lib/instance", self.folder, command], env=self.environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if check and done.returncode != 0:
            raise RuntimeError(f"instance {command}: exit {done.returncode}\n{done.stderr}")
        return done.stdout.strip()

    def up(self):
        self.control("up")
        self.endpoint = self.control("endpoint")
        self.socket = self.control("socket")
        self.environment["KONTOR_ENDPOINT"] = self.endpoint
        return self

    def __enter__(self):
        try:
            return self.up()
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(self, *_):
        if self.own_folder:
            self.control("remove", check=False)
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            self.control("down", check=False)

    # ---- what it is configured with, written before it is up

    def add_region(self, name, zone="Asia/Singapore", first_window="2026-W01", currencies=("SGD", "USD")):
        """One more, which nothing of the samples knows; the names of these begin with other letters than X and Z."""
        folder = self.folder / "conf/regions"
        folder.mkdir(parents=True, exist_ok=True)
        quoted = ", ".join(f'"{currency}"' for currency in currencies)
        (folder / f"{name}.conf").write_text(f'region "{name}" {{\n    zone = "{zone}"\n    first_window = "{first_window}"\n'
                                             f'    home = "dev"\n    currencies = {{{quoted}}}\n}}\n')

    def set_options(self, text):
        """Beside those of the samples."""
        folder = self.folder / "conf/conf.d"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "test.conf").write_text(text)

    # ---- the command line

    def run(self, *arguments, input=None, timeout=600):
        """(exit code, stdout, stderr) of the kontor command."""
        done = subprocess.run([BUILD / "bin/kontor", *map(str, arguments)], env=self.environment, input=input,
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout,
                              **({} if input is not None else {"stdin": subprocess.DEVNULL}))
        return done.returncode, done.stdout, done.stderr

    def lines(self, *arguments, **options):
        """The JSON objects that a command prints, one a line; any other exit code than 0 raises."""
        arguments = (*arguments, "--json")
        code, output, error = self.run(*arguments, **options)
        if code != 0:
            raise CommandFailed(arguments, code, output, error)
        return [json.loads(line) for line in output.splitlines()]

    def json(self, *arguments, **options):
        """The single JSON object that a command prints."""
        answers = self.lines(*arguments, **options)
        if len(answers) != 1:
            raise AssertionError(f"kontor {' '.join(map(str, arguments))}: one object expected, got {answers[:5]}")
        return answers[0]

    # ---- independent of Kontor's code

    def sql(self, statement, database="kontor"):
        """Rows of a statement as lists of strings, by MariaDB's own client."""
        done = subprocess.run(["mariadb", "--no-defaults", f"--socket={self.socket}", "-u", "root", "-BN", database],
                              input=statement, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return [line.split("\t") for line in done.stdout.splitlines()]

    @contextlib.contextmanager
    def session(self, statements):
        """A session that has done these and then stays as it is, with what it has locked, to the end of the block."""
        with subprocess.Popen(["mariadb", "--no-defaults", f"--socket={self.socket}", "-u", "root", "-nBN", "kontor"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as beside:
            beside.stdin.write(f"{statements}; SELECT 'all of it is done';\n")
            beside.stdin.flush()
            if "all of it is done\n" not in iter(beside.stdout.readline, ""):
                raise RuntimeError(f"failed: {statements}")
            try:
                yield
            finally:
                beside.stdin.close()
