# SPDX-License-Identifier: Apache-2.0
"""What the gates of the ABI share: where things are, and an installation to build against."""
import os
import pathlib
import subprocess

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("KONTOR_BUILD", TOP / "build" / "dev"))
INCLUDE = TOP / "sdk/include"
LIBRARY = BUILD / "lib/libkontor.so.1"
C_COMPILER = os.environ.get("KONTOR_CC", "cc")
SANITIZED = bool(os.environ.get("KONTOR_SANITIZE"))


def run(*command, code=0, **options):
    """Output of a command that must end with `code`."""
    done = subprocess.run([str(word) for word in command], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=300, **options)
    if done.returncode != code:
        raise AssertionError(f"{' '.join(map(str, command))}: exit {done.returncode} instead of {code}\n{done.stdout}")
    return done.stdout


def exported(file):
    """Names, with their version where there is one, of the symbols that a shared object defines for others."""
    return {line.split()[-1] for line in run("nm", "-D", "--defined-only", file).splitlines() if " A " not in line}


def install(folder):
    """`DESTDIR=folder cmake --install`; returns the prefix in it."""
    run("cmake", "--install", BUILD, env=dict(os.environ, DESTDIR=str(folder)))
    return next(folder.rglob("sbin")).parent
