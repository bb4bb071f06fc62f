# SPDX-License-Identifier: Apache-2.0
"""Bad rows come back with line, column and reason, and touch no other row; refused files say what is wrong with them."""
import unittest

from scenario import HEADER, Scenario, item, make_input

# where the blame of make_input.bad_rows() belongs: name -> (column, a word of the reason)
BLAME = {
    "missing field": (None, "field"), "too many fields": (None, "field"),
    "empty shop": ("shop_user_id", "empty"), "shop 007": ("shop_user_id", "007"), "shop +5": ("shop_user_id", "+5"),
    "shop 10^23": ("shop_user_id", "2^63"), "shop full-width": ("shop_user_id", ""), "shop with a blank": ("shop_user_id", ""),
    "empty order": ("order_id", "empty"), "order too long": ("order_id", "32"), "order with a slash": ("order_id", "a/b"),
    "unknown type": ("item_type", "sale"), "type upper case": ("item_type", "ORDER"),
    "empty amount": ("amount", "empty"), "amount 10^23": ("amount", ""), "amount -0": ("amount", "zero"),
    "amount 1e5": ("amount", "1e5"), "amount +5": ("amount", "+5"), "amount 007": ("amount", "007"),
    "amount full-width": ("amount", ""), "amount .5": ("amount", ".5"), "amount 1.": ("amount", "1."),
    "amount thousands": ("amount", ""), "too many decimals": ("amount", "decimal"), "decimals for JPY": ("amount", "decimal"),
    "unknown currency": ("currency", "XYZ"), "currency not in the region": ("currency", "VND"),
    "currency lower case": ("currency", "sgd"),
    "time without offset": ("occurred_at", "offset"), "Feb 30": ("occurred_at", ""), "far future": ("occurred_at", "24"),
    "leap second": ("occurred_at", ""), "hour 24": ("occurred_at", ""), "time with a blank": ("occurred_at", ""),
    "id 0": ("billing_item_id", "0"), "id 2^63": ("billing_item_id", "2^63"),
    "quoted newline in order": ("order_id", ""), "NUL byte": (None, "NUL"), "Latin-1 bytes": (None, "UTF-8"),
    "quote inside": (None, "quote"), "text after a quote": (None, "quote"), "100 KB line": (None, "64 KiB"),
}


class BadRows(Scenario):
    def test_each_kind_comes_back_with_line_column_and_reason(self):
        bad = make_input.bad_rows()
        self.assertGreaterEqual(len(bad), 30)
        self.assertEqual({name for name, _, _ in bad}, set(BLAME))
        data, wanted, line = HEADER.encode() + b"\r\n", {}, 2
        for number, (name, row, verdict) in enumerate(bad):
            good = item(order=f"G-{number}", shop=10 + number).encode()
            data += good + (b"\n" if number % 2 else b"\r\n")
            line += 1
            data += row + b"\n"
            wanted[line] = (name, verdict)
            line += 1 + row.count(b"\n")
        data += item(order="G-last").encode() + b'\n5,"open,order,1.00,SGD,2026-11-03T10:00:00Z,,\n'
        wanted[line + 1] = ("unclosed quote", "bad_row")
        data += item(order="G-after").encode() + b"\n"             # and what follows the open quote is read again
        answer = self.upload(self.file(data), region="MY")
        self.assertVerdicts(answer, ok=len(bad) + 2, bad_row=len(bad) + 1)
        self.assertEqual(answer["rows"], 2 * len(bad) + 3)
        self.assertEqual(self.count("billing_item", "region = 'MY'"), len(bad) + 2)
        rejects = {int(row["line"]): row for row in self.kontor.lines("upload", "rejects", answer["upload_id"])}
        self.assertEqual(set(rejects), set(wanted))
        for line, (name, verdict) in wanted.items():
            row = rejects[line]
            self.assertEqual(row["verdict"], verdict, name)
            column, word = BLAME.get(name, (None, "quote"))
            if column:
                self.assertEqual(row["column"], column, f"{name}: {row}")
            self.assertIn(word.lower(), row["reason"].lower(), f"{name}: {row}")
            self.assertGreater(len(row["reason"]), 10, name)

    def test_rejects_file_is_the_original_line_and_four_columns(self):
        path, out = self.items_file(item(order="ok"), item(order="=SUM(A1)"), item(order="b d", note="x")), self.scratch / "r.csv"
        self.upload(path, "--rejects", out, region="TH")
        lines = out.read_text().splitlines()
        self.assertEqual(lines[0], HEADER + ",line,column,verdict,reason")
        self.assertTrue(lines[1].startswith("880000000001,'=SUM(A1),order,10.00,SGD,2026-11-03T10:00:00Z,,,3,order_id,bad_row,"),
                        lines[1])
        self.assertTrue(lines[2].startswith("880000000001,b d,order,10.00,SGD,2026-11-03T10:00:00Z,,x,4,order_id,bad_row,"),
                        lines[2])
        self.assertEqual(len(lines), 3)

    def test_refused_files_name_the_problem(self):
        row = item()
        cases = (
            (b"", "empty"),
            (b"\xef\xbb\xbf", "empty"),
            (HEADER.encode() + b"\n", "no rows"),
            (HEADER.encode(), "no rows"),
            (HEADER.replace("amount", "amuont") + "\n" + row, "amount"),
            (HEADER.replace("amount", "Amount") + "\n" + row, "amount"),
            (HEADER.replace("amount", " amount") + "\n" + row, "amount"),
            (HEADER + ",note\n" + row + ",x", "note"),
            (HEADER.replace("order_id,", "") + "\n" + row, "order_id"),
            (HEADER.replace(",", ";") + "\n" + row, "shop_user_id"),
            (HEADER + "\n" + HEADER + "\n" + row, None),           # the header twice: the second is a bad row
            ("\0" * 50, ""),
        )
        for data, word in cases:
            path = self.file(data)
            code, output, error = self.kontor.run("upload", path, "--kind", "billing-items", "--region", "TW", "--follow")
            if word is None:
                self.assertEqual(code, 0, error)
                continue
            self.assertEqual(code, 1, f"{data[:60]}: {output}{error}")
            self.assertIn(word, error.lower() if word.islower() else error, f"{data[:60]}")
        self.assertEqual(self.count("billing_item", "region = 'TW'"), 1)
        for arguments, word in ((("--kind", "billing-itmes", "--region", "TW"), "billing-items"),
                                (("--kind", "billing-items", "--region", "XX"), "XX"),
                                (("--kind", "billing-items"), "--region")):
            code, _, error = self.kontor.run("upload", self.items_file(row), *arguments)
            self.assertIn(code, (1, 2), error)
            self.assertIn(word, error)
        self.assertIn("nowhere.csv", self.refused("upload", "/nowhere.csv", "--kind", "payees", "--region", "TW"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
