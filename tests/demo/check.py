# SPDX-License-Identifier: Apache-2.0
"""Checks a settled window apart from Kontor's code: the input files against the tables (by SQL) and the payment file (by a
small XML reader and xmllint). Every function returns a list of what is wrong; empty is good."""
import collections
import hashlib
import io
import json
import pathlib
import re
import subprocess
import xml.etree.ElementTree as ElementTree

from make_input import EXPONENT, PAYMENT_UNIT

NS = "{urn:iso:std:iso:20022:tech:xsd:pain.001.001.09}"
EPC = re.compile(r"[A-Za-z0-9/\-?:().,'+ ]+")


def split(key):
    shop, currency = key.split("/")
    return int(shop), currency


def expected_payouts(expected):
    """{(shop, currency): (gross, net, carry_out, state, items)} by CONTRACT's arithmetic, no rules, no carry-in."""
    result = {}
    for key, gross in expected["gross"].items():
        shop, currency = split(key)
        unit = PAYMENT_UNIT.get(currency, 1)
        if gross <= 0:
            row = (gross, 0, gross, "zero" if gross == 0 else "carried")
        else:
            net = gross // unit * unit
            row = (gross, net, gross - net, "ready")
        result[shop, currency] = (*row, expected["items"][key])
    return result


def check_rejects(expected, path):
    """The rejects file: every rejected line once, with line, column, verdict and reason."""
    wrong = []
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        text = file.read()
    wanted = {line: (verdict, kind) for line, verdict, kind in expected["rejects"]}
    # a line that is no CSV comes back as it was: so the added columns are read from the end of each record
    seen = {}
    # a verdict stands just before the reason; the line number is its third last but one
    pattern = re.compile(r",(\d+),([^,\n]*),(bad_row|duplicate_in_file|conflict|already_exists),(\"(?:[^\"]|\"\")*\"|[^,\n]*)\r?$",
                         re.M)
    for match in pattern.finditer(text):
        seen[int(match[1])] = (match[3], match[2], match[4])
    for line, (verdict, kind) in wanted.items():
        if line not in seen:
            wrong.append(f"line {line} ({kind}) is missing in the rejects")
        elif seen[line][0] != verdict:
            wrong.append(f"line {line} ({kind}): verdict {seen[line][0]}, expected {verdict}")
        elif not seen[line][2].strip('"'):
            wrong.append(f"line {line} ({kind}): no reason")
    for line in seen.keys() - wanted.keys():
        wrong.append(f"line {line} was rejected ({seen[line]}) but is good")
    return wrong


def check_items(expected, kontor):
    wrong = []
    count = int(kontor.sql("SELECT COUNT(*) FROM billing_item")[0][0])
    if count != expected["verdicts"]["ok"]:
        wrong.append(f"{count} items stored, expected {expected['verdicts']['ok']}")
    rows = kontor.sql("SELECT shop_user_id, currency, COUNT(*), SUM(amount_minor) FROM billing_item FORCE INDEX(PRIMARY) "
                      "GROUP BY shop_user_id, currency")
    stored = {f"{shop}/{currency}": (int(items), int(total)) for shop, currency, items, total in rows}
    for key, gross in expected["gross"].items():
        if stored.get(key) != (expected["items"][key], gross):
            wrong.append(f"items of {key}: stored {stored.get(key)}, expected {(expected['items'][key], gross)}")
    for key in stored.keys() - expected["gross"].keys():
        wrong.append(f"items of {key} are stored, but nobody sent them")
    return wrong


def check_payouts(expected, payouts):
    """payouts: the objects of `kontor payout list --json`."""
    wrong = []
    wanted = expected_payouts(expected)
    seen = set()
    for payout in payouts:
        key = int(payout["shop_user_id"]), payout["currency"]
        if key in seen:
            wrong.append(f"{key} is paid twice")
        seen.add(key)
        got = (payout["gross_minor"], payout["net_minor"], payout["carry_out_minor"],
               "ready" if payout["state"] == "batched" else payout["state"], payout["items"])
        if got != wanted.get(key):
            wrong.append(f"payout of {key}: {got}, expected {wanted.get(key)}")
    for key in wanted.keys() - seen:
        wrong.append(f"{key} has no payout")
    return wrong


def check_control(expected, control):
    """control: the objects of `kontor payout control --json`; the equation per currency, and its figures."""
    wrong = []
    wanted = collections.defaultdict(lambda: collections.Counter())
    for (shop, currency), (gross, net, carry, state, items) in expected_payouts(expected).items():
        wanted[currency]["items_minor"] += gross
        wanted[currency]["items"] += items
        wanted[currency]["payouts_minor"] += net
        wanted[currency]["carried_minor"] += carry
    for row in control:
        left = row["items_minor"] + row["carry_in_minor"]
        right = row["payouts_minor"] + row["held_minor"] + row["carried_minor"] + row["fees_minor"] + row["reserve_minor"]
        if left != right or not row["balanced"]:
            wrong.append(f"{row['currency']}: {left} in, {right} out, balanced={row['balanced']}")
        for name, value in wanted.pop(row["currency"], {"items": 0}).items():
            if row[name] != value:
                wrong.append(f"{row['currency']}: {name} is {row[name]}, expected {value}")
    wrong += [f"{currency} is missing in the control" for currency in wanted]
    return wrong


def check_ledger(kontor):
    rows = kontor.sql("SELECT ledger_tx_id, currency, SUM(debit_minor), SUM(credit_minor) FROM ledger_entry "
                      "GROUP BY ledger_tx_id, currency HAVING SUM(debit_minor) <> SUM(credit_minor)")
    return [f"ledger transaction {tx}: {currency} debit {debit}, credit {credit}" for tx, currency, debit, credit in rows]


def minor_of(text, currency):
    match = re.fullmatch(r"(0|[1-9]\d*)(?:\.(\d+))?", text)
    exponent = EXPONENT[currency]
    if not match or len(match[2] or "") > exponent:
        return None
    return int(match[1]) * 10 ** exponent + int((match[2] or "").ljust(exponent, "0") or "0")


def iban_valid(iban):
    digits = "".join(str(int(c, 36)) for c in iban[4:] + iban[:4])
    return int(digits) % 97 == 1


def check_safefile(expected, payouts, folder, xsd=None):
    """The published folder against the payouts and the payees that were uploaded."""
    wrong = []
    folder = pathlib.Path(folder)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    by_key = {(int(p["shop_user_id"]), p["currency"]): p for p in payouts}
    wanted = {split(k) for k in expected["payees"]}
    # a payout that rounds down to nothing is ready, but there is nothing to pay
    wanted = {k for k in wanted if expected_payouts_cache(expected)[k][3] == "ready" and expected_payouts_cache(expected)[k][1]}
    seen_ids, seen_keys = set(), set()
    accounts = {}
    for key, payee in expected["payees"].items():
        accounts[split(key)[1], payee["account"]] = (split(key), payee)
    for entry in manifest["files"]:
        path = folder / entry["name"]
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != entry["sha256"] or len(data) != entry["bytes"]:
            wrong.append(f"{entry['name']}: the manifest's hash or size differs")
        if xsd:
            done = subprocess.run(["xmllint", "--noout", "--nonet", "--schema", xsd, str(path)], text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            if done.returncode != 0:
                wrong.append(f"{entry['name']}: xmllint: {done.stderr.splitlines()[:3]}")
        wrong += check_xml(data, entry, seen_ids, seen_keys, by_key, accounts)
    for key in wanted - seen_keys:
        wrong.append(f"{key} is ready and has a payee, but is not in the file")
    for key in seen_keys - wanted:
        wrong.append(f"{key} is in the file but should not be paid")
    return wrong


def expected_payouts_cache(expected, cache={}):  # pylint: disable=dangerous-default-value
    if id(expected) not in cache:
        cache[id(expected)] = expected_payouts(expected)
    return cache[id(expected)]


def check_xml(data, entry, seen_ids, seen_keys, by_key, accounts):
    wrong = []
    root = ElementTree.parse(io.BytesIO(data)).getroot()
    header = root.find(f"{NS}CstmrCdtTrfInitn/{NS}GrpHdr")
    total_count, total_sum = 0, 0                                   # sum in 1/100000 of a major unit
    sums = collections.Counter()
    for block in root.iter(f"{NS}PmtInf"):
        count, block_sum = 0, 0
        for payment in block.iter(f"{NS}CdtTrfTxInf"):
            amount = payment.find(f"{NS}Amt/{NS}InstdAmt")
            currency = amount.get("Ccy")
            minor = minor_of(amount.text, currency)
            identity = payment.find(f"{NS}PmtId/{NS}EndToEndId").text
            name = payment.find(f"{NS}Cdtr/{NS}Nm").text
            account = payment.find(f"{NS}CdtrAcct/{NS}Id")
            iban = account.find(f"{NS}IBAN")
            number = iban.text if iban is not None else account.find(f"{NS}Othr/{NS}Id").text
            if iban is not None and not iban_valid(iban.text):
                wrong.append(f"{identity}: IBAN {iban.text} has wrong check digits")
            if identity in seen_ids:
                wrong.append(f"end-to-end id {identity} is there twice")
            seen_ids.add(identity)
            if not re.fullmatch(r"[A-Z0-9]{22}", identity) or identity[:6] != "SG2645":
                wrong.append(f"end-to-end id {identity} has the wrong form")
            if not EPC.fullmatch(name) or name != name.strip() or len(name) > 70:
                wrong.append(f"{identity}: name {name!r} is not in the bank's charset")
            key, payee = accounts.get((currency, number), (None, None))
            if key is None:
                wrong.append(f"{identity}: nobody gave the account {number} for {currency}")
                continue
            if key in seen_keys:
                wrong.append(f"{key} is in the file twice")
            seen_keys.add(key)
            plain = payee["name_latin"] or payee["name"]
            if EPC.fullmatch(plain) and name != plain:
                wrong.append(f"{identity}: name {name!r}, uploaded {plain!r}")
            digits = re.search(r"\d+$", payee["name"])
            if digits and not payee["name_latin"] and not name.endswith(digits[0]):
                wrong.append(f"{identity}: name {name!r} lost the end of {payee['name']!r}")
            if minor is None or minor != by_key[key]["net_minor"] or minor <= 0:
                wrong.append(f"{identity}: amount {amount.text} {currency}, payout {by_key[key]['net_minor']}")
                continue
            count += 1
            sums[currency] += minor
            block_sum += minor * 10 ** (5 - EXPONENT[currency])
        wrong += check_totals(block, count, block_sum, f"{entry['name']}: PmtInf")
        total_count += count
        total_sum += block_sum
    wrong += check_totals(header, total_count, total_sum, f"{entry['name']}: GrpHdr")
    if total_count != entry["payments"] or dict(sums) != entry["control_sums"]:
        wrong.append(f"{entry['name']}: the manifest's count or sums differ from the file's")
    return wrong


def check_totals(element, count, scaled, where):
    wrong = []
    if int(element.find(f"{NS}NbOfTxs").text) != count:
        wrong.append(f"{where}: NbOfTxs is {element.find(f'{NS}NbOfTxs').text}, counted {count}")
    whole, _, fraction = element.find(f"{NS}CtrlSum").text.partition(".")
    if int(whole) * 100000 + int(fraction.ljust(5, "0") or "0") != scaled:
        wrong.append(f"{where}: CtrlSum is {element.find(f'{NS}CtrlSum').text}, counted {scaled}/100000")
    return wrong
