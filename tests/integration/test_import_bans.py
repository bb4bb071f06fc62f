# SPDX-License-Identifier: Apache-2.0
"""Why files are parsed and checked by Kontor, and why no session of it switches the database's checks off: what MariaDB does
to a file otherwise. A server that behaves better one day makes a test fail here; the ban may then be thought over."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import scenario                                                     # noqa: F401  (sets the path)
from kontor_instance import TOP

if "KONTOR_TEST_SOCKET" not in os.environ:
    os.execv(TOP / "tests/lib/with-mariadb", ["with-mariadb", sys.executable, "-B", *sys.argv])
SOCKET, SCHEMA = os.environ["KONTOR_TEST_SOCKET"], f"import_bans_{os.getpid()}"

KEYS = "PRIMARY KEY (shop, item), UNIQUE KEY item (item, shop)"     # as billing_item has them: one to store by, one to find by
UNCHECKED = "SET unique_checks = 0, foreign_key_checks = 0;"


def sql(statement, database=SCHEMA):
    """Rows as lists of strings, of all statements one after the other."""
    done = subprocess.run(["mariadb", "--no-defaults", f"--socket={SOCKET}", "-u", "root", "--local-infile=1", "-BN", database],
                          input=statement, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, timeout=120)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return [line.split("\t") for line in done.stdout.splitlines()]


class ImportBans(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = pathlib.Path(tempfile.mkdtemp(prefix="kontor-bans-"))
        sql(f"CREATE DATABASE {SCHEMA}", database="mysql")

    @classmethod
    def tearDownClass(cls):
        sql(f"DROP DATABASE {SCHEMA}", database="mysql")
        shutil.rmtree(cls.scratch, ignore_errors=True)

    def file(self, lines):
        path = self.scratch / self.id().rsplit(".", 1)[-1]
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    def load(self, table, path, before=""):
        """(rows that the server says it took, rows that are then in the table)."""
        rows = sql(f"{before} LOAD DATA LOCAL INFILE '{path}' INTO TABLE {table} FIELDS TERMINATED BY ',';"
                   f"SELECT ROW_COUNT(); SELECT COUNT(*) FROM {table};")
        return int(rows[0][0]), int(rows[1][0])

    def items(self):
        """100,001 rows of which one is there twice."""
        rows = [f"{shop},{1000 + shop * 7},1.00" for shop in range(1, 100_001)]
        return self.file(rows[:50_000] + [rows[25_000]] + rows[50_000:])

    # ---- unique_checks = 0

    def test_unique_checks_off_turns_one_duplicate_into_the_loss_of_all_rows(self):
        sql(f"CREATE TABLE unchecked (shop BIGINT UNSIGNED NOT NULL, item BIGINT UNSIGNED NOT NULL, amount VARCHAR(20), {KEYS})")
        said, kept = self.load("unchecked", self.items(), UNCHECKED)
        self.assertGreaterEqual(said, 100_000, "the server says that it took them all")
        self.assertLess(kept, 100_000, "no row is lost any more: has MariaDB changed?")
        self.assertEqual(sql("CHECK TABLE unchecked")[-1][-1], "OK", "nothing tells afterwards either")

    def test_with_the_checks_on_only_the_duplicate_is_missing(self):
        sql(f"CREATE TABLE checked (shop BIGINT UNSIGNED NOT NULL, item BIGINT UNSIGNED NOT NULL, amount VARCHAR(20), {KEYS})")
        self.assertEqual(self.load("checked", self.items()), (100_000, 100_000))

    # ---- the server's own parsing

    def parsed(self, *lines):
        """What LOAD DATA LOCAL makes of lines, in the default sql_mode, which is strict."""
        table = f"parsed_{self.id().rsplit('_', 1)[-1]}"
        sql(f"CREATE TABLE {table} (line INT, shop BIGINT UNSIGNED NOT NULL, amount BIGINT NOT NULL)")
        self.assertIn("STRICT_TRANS_TABLES", sql("SELECT @@sql_mode")[0][0])
        self.load(table, self.file(lines))
        return sql(f"SELECT shop, amount FROM {table} ORDER BY line")

    def test_server_side_parsing_takes_a_word_for_the_shop_zero(self):
        self.assertEqual(self.parsed("1,abc,5", "2,12abc,5"), [["0", "5"], ["12", "5"]])

    def test_server_side_parsing_takes_a_number_that_is_too_big_for_the_biggest_shop(self):
        self.assertEqual(self.parsed("1,1" + "0" * 23 + ",5"), [["18446744073709551615", "5"]])

    def test_server_side_parsing_takes_a_missing_column_for_zero_and_drops_one_too_many(self):
        self.assertEqual(self.parsed("1,7", "2,8,5,and more"), [["7", "0"], ["8", "5"]])

    def test_server_side_parsing_rounds_an_amount_to_whole_units(self):
        self.assertEqual(self.parsed("1,7,10.49", "2,7,1e3"), [["7", "10"], ["7", "1000"]])

    # ---- the ban

    def test_no_source_switches_checks_off_or_lets_the_server_parse_files(self):
        banned = re.compile(r"unique_checks|foreign_key_checks|LOAD\s+DATA|local_infile", re.IGNORECASE)
        comments = re.compile(r"/\*.*?\*/|^\s*(--|#\s).*?$", re.DOTALL | re.MULTILINE)
        found, seen = [], 0
        for folder in ("host", "plugins", "sdk", "conf"):
            for path in sorted((TOP / folder).rglob("*")):
                if path.suffix not in (".c", ".h", ".sql", ".conf") or {"tests", "node_modules"} & set(path.parts):
                    continue
                seen += 1
                found += [f"{path.relative_to(TOP)}: {line.strip()}"
                          for line in comments.sub("", path.read_text()).splitlines() if banned.search(line)]
        self.assertGreater(seen, 100)
        # the one place that names it is the one that forbids it
        allowed = [line for line in found if re.search(r"MYSQL_OPT_LOCAL_INFILE, &no_local_infile|no_local_infile = 0;", line)]
        self.assertEqual(len(allowed), 2)
        self.assertEqual([line for line in found if line not in allowed], [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
