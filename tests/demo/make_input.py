#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The demo's input: the same files for the same arguments, and what must come out of them.

make(folder, orders, shops) writes
  billing-items.csv   `orders` good rows over `shops` shops in window 2026-W45 of SG, plus a few hundred bad ones of every kind
  payees.csv          where they are paid: names in Latin, Thai, Chinese, Vietnamese and Cyrillic; a few shops have none
  expected.json       counted while writing, with Python's integers and none of Kontor's code: rejects by line, sums per shop
"""
import collections
import datetime
import json
import pathlib
import random

REGION = "SG"
WINDOW = "2026-W45"
# Monday 2026-11-02 00:00 to Monday 2026-11-09 00:00 in Singapore (UTC+8, no daylight saving)
FROM = datetime.datetime(2026, 11, 1, 16, tzinfo=datetime.timezone.utc)
WEEK_SECONDS = 7 * 86400
EXPONENT = {"SGD": 2, "USD": 2, "JPY": 0, "KWD": 3, "TWD": 2}
PAYMENT_UNIT = {"TWD": 100}  # minor units; the others are paid to the last one
CURRENCIES = ("SGD", "USD", "JPY", "KWD", "TWD")
TYPES = ("order", "refund", "adjustment", "fee", "tax", "voucher")

NAMES = (
    "Tan Wei Ming Trading", "Müller & Söhne GmbH", "O'Brien Supplies", "José Ñandú e Filhos", "Łukasz Żółć",
    "สมชาย ใจดี", "ร้านค้าสุขใจ", "王小明", "深圳市电子商务有限公司", "陳大文商行",
    "Nguyễn Thị Ánh", "Trần Văn Đức", "Cửa hàng Phở Việt", "Иван Петров", "ООО «Ромашка»", "Анна Щербакова",
)


def shop_id(number):
    return 880000000001 + number * 7


def iban_of(number):
    """A German IBAN with right check digits (ISO 13616, mod 97)."""
    bban = f"37040044{number:010d}"
    check = 98 - int(bban + "131400") % 97
    return f"DE{check:02d}{bban}"


def amount_text(minor, currency):
    exponent = EXPONENT[currency]
    sign = "-" if minor < 0 else ""
    minor = abs(minor)
    if exponent == 0:
        return f"{sign}{minor}"
    return f"{sign}{minor // 10 ** exponent}.{minor % 10 ** exponent:0{exponent}d}"


def bad_rows():
    """(name, the row as bytes, verdict) of rows that must come back. Columns: see HEADER."""
    good = "880000000001,BAD-{n},order,1.00,SGD,2026-11-03T10:00:00Z,,"

    def with_field(index, value):
        fields = good.split(",")
        fields[index] = value
        return ",".join(fields).encode()

    rows = [
        ("missing field", b"880000000001,BAD,order,1.00,SGD"),
        ("too many fields", b"880000000001,BAD,order,1.00,SGD,2026-11-03T10:00:00Z,,,extra"),
        ("empty shop", with_field(0, "")),
        ("shop 007", with_field(0, "007")),
        ("shop +5", with_field(0, "+5")),
        ("shop 10^23", with_field(0, "1" + "0" * 23)),
        ("shop full-width", with_field(0, "１２３")),
        ("shop with a blank", with_field(0, " 12")),
        ("empty order", with_field(1, "")),
        ("order too long", with_field(1, "x" * 33)),
        ("order with a slash", with_field(1, "a/b")),
        ("unknown type", with_field(2, "sale")),
        ("type upper case", with_field(2, "ORDER")),
        ("empty amount", with_field(3, "")),
        ("amount 10^23", with_field(3, "1" + "0" * 23)),
        ("amount -0", with_field(3, "-0")),
        ("amount 1e5", with_field(3, "1e5")),
        ("amount +5", with_field(3, "+5")),
        ("amount 007", with_field(3, "007")),
        ("amount full-width", with_field(3, "５")),
        ("amount .5", with_field(3, ".5")),
        ("amount 1.", with_field(3, "1.")),
        ("amount thousands", with_field(3, "1 000.00")),
        ("too many decimals", with_field(3, "1.001")),
        ("decimals for JPY", b"880000000001,BAD,order,1.5,JPY,2026-11-03T10:00:00Z,,"),
        ("unknown currency", with_field(4, "XYZ")),
        ("currency not in the region", with_field(4, "VND")),
        ("currency lower case", with_field(4, "sgd")),
        ("time without offset", with_field(5, "2026-11-03T10:00:00")),
        ("Feb 30", with_field(5, "2026-02-30T10:00:00Z")),
        ("far future", with_field(5, "2099-01-01T00:00:00Z")),
        ("leap second", with_field(5, "2026-06-30T23:59:60Z")),
        ("hour 24", with_field(5, "2026-11-03T24:00:00Z")),
        ("time with a blank", with_field(5, "2026-11-03 10:00:00Z")),
        ("id 0", with_field(6, "0")),
        ("id 2^63", with_field(6, str(2 ** 63))),
        ("quoted newline in order", b'880000000001,"BAD\n1",order,1.00,SGD,2026-11-03T10:00:00Z,,'),
        ("NUL byte", b"880000000001,BA\0D,order,1.00,SGD,2026-11-03T10:00:00Z,,"),
        ("Latin-1 bytes", b"880000000001,BAD,order,1.00,SGD,2026-11-03T10:00:00Z,,Caf\xe9"),
        ("quote inside", b'880000000001,BA"D,order,1.00,SGD,2026-11-03T10:00:00Z,,'),
        ("text after a quote", b'880000000001,"BAD"x,order,1.00,SGD,2026-11-03T10:00:00Z,,'),
        ("100 KB line", b"880000000001,BAD,order,1.00,SGD,2026-11-03T10:00:00Z,," + b"n" * 100_000),
    ]
    return [(name, row.replace(b"{n}", b"1"), "bad_row") for name, row in rows]


HEADER = "shop_user_id,order_id,item_type,amount,currency,occurred_at,billing_item_id,note"


def make(folder, orders=1_000_000, shops=20_000, seed=2026, bad_every=None):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    bad = bad_rows() * 8
    rng.shuffle(bad)
    bad_every = bad_every or max(2, orders // (len(bad) + 1))

    gross = collections.defaultdict(int)      # (shop, currency) -> minor
    items = collections.defaultdict(int)
    rejects = []                              # [line, verdict, kind]
    verdicts = collections.Counter()
    random_ = rng.random
    with open(folder / "billing-items.csv", "wb", buffering=1 << 20) as out:
        out.write(HEADER.encode() + b"\n")
        line = 1
        number = 0
        buffer = []
        # the same second for 1,000 rows: fewer distinct strings, and rows in order of time as a marketplace writes them
        for number in range(orders):
            if number % 1000 == 0:
                moment = FROM + datetime.timedelta(seconds=number * (WEEK_SECONDS - 1) // orders)
                # seconds, a fraction, and offsets take turns
                stamp = (moment.strftime("%Y-%m-%dT%H:%M:%SZ"), moment.strftime("%Y-%m-%dT%H:%M:%S.123456Z"),
                         (moment + datetime.timedelta(hours=8)).strftime("%Y-%m-%dT%H:%M:%S+08:00"))[number // 1000 % 3]
            # every shop has rows; small numbers have more
            shop = number if number < shops else int(shops * random_() ** 2)
            draw = random_() * 100
            index = 0 if draw < 70 else 1 if draw < 82 else 2 if draw < 90 else 3 if draw < 95 else 4
            currency = CURRENCIES[index]
            draw = random_() * 100
            kind = "order" if draw < 78 else TYPES[1 + int((draw - 78) / 22 * 5)]
            minor = int(random_() * 20000) + 1
            if kind in ("refund", "fee", "tax", "voucher"):
                minor = -minor
            if shop % 100 == 99 and kind == "order":
                minor = -minor // 50              # shops that end below zero: carried
            identity = str(shop_id(0) * 4000 + number) if number % 4 == 0 else ""
            newline = "\r\n" if number % 97 == 0 else "\n"
            if number % 50 == 0:
                row = (f'{shop_id(shop)},"D-{number:09d}",{kind},"{amount_text(minor, currency)}",{currency},{stamp},'
                       f'{identity},"a ""quoted"" note, with\na second line"{newline}')
                lines = 2
            else:
                row = (f"{shop_id(shop)},D-{number:09d},{kind},{amount_text(minor, currency)},{currency},{stamp},"
                       f"{identity},{newline}")
                lines = 1
            buffer.append(row)
            gross[shop, currency] += minor
            items[shop, currency] += 1
            line += lines
            if number % 5003 == 5002:             # the same line once more
                buffer.append(row)
                rejects.append([line + 1, "duplicate_in_file", "repeated line"])
                line += lines
            if number % bad_every == bad_every - 1 and bad:
                name, data, verdict = bad.pop()
                out.write("".join(buffer).encode())
                buffer.clear()
                out.write(data + b"\n")
                rejects.append([line + 1, verdict, name])
                line += 1 + data.count(b"\n")
            if len(buffer) >= 20000:
                out.write("".join(buffer).encode())
                buffer.clear()
        out.write("".join(buffer).encode())
        # two rows of one id and different facts: both are conflicts
        for amount in ("1.00", "2.00"):
            out.write(f"{shop_id(0)},CONFLICT,order,{amount},SGD,2026-11-03T10:00:00Z,77,\n".encode())
            line += 1
            rejects.append([line, "conflict", "one id, two facts"])
        # a quote that is never closed is the last row; what stands before it is not touched
        out.write(f'{shop_id(0)},"UNCLOSED,order,1.00,SGD,2026-11-03T10:00:00Z,,\n'.encode())
        line += 1
        rejects.append([line, "bad_row", "unclosed quote at the end"])

    paid = {}
    unpayable = []
    with open(folder / "payees.csv", "w", encoding="utf-8", newline="") as out:
        out.write("shop_user_id,name,country,currency,iban,account,bank_code,bic,town,name_latin\n")
        pairs = sorted(gross)
        for shop, currency in pairs:
            if shop % 1000 == 500:                # a shop without a payee: named, not paid
                unpayable.append([shop_id(shop), currency])
                continue
            name = f"{NAMES[shop % len(NAMES)]} {shop}" if shop % 2 else NAMES[shop % len(NAMES)]
            latin = f"Shop {shop}" if shop % 64 == 5 else ""
            quoted = '"' + name.replace('"', '""') + '"'
            if shop % 3 == 0:
                account = f"{shop:012d}"
                out.write(f"{shop_id(shop)},{quoted},SG,{currency},,{account},7171,DBSSSGSGXXX,Singapore,{latin}\n")
            else:
                account = iban_of(shop)
                out.write(f"{shop_id(shop)},{quoted},DE,{currency},{account},,,COBADEFFXXX,,{latin}\n")
            paid[f"{shop_id(shop)}/{currency}"] = {"name": name, "name_latin": latin, "account": account}

    for _, verdict, _ in rejects:
        verdicts[verdict] += 1
    expected = {
        "region": REGION, "window": WINDOW, "orders": orders, "shops": shops,
        "rows": orders + len(rejects), "rejects": rejects, "verdicts": dict(verdicts, ok=orders),
        "gross": {f"{shop_id(s)}/{c}": v for (s, c), v in gross.items()},
        "items": {f"{shop_id(s)}/{c}": v for (s, c), v in items.items()},
        "payees": paid, "no_payee": unpayable,
    }
    (folder / "expected.json").write_text(json.dumps(expected), encoding="utf-8")
    return expected


def cached(folder, orders, shops):
    """make(), unless the files of just these arguments and this program are there."""
    import hashlib
    folder = pathlib.Path(folder)
    stamp = hashlib.sha256(pathlib.Path(__file__).read_bytes() + f"{orders}/{shops}".encode()).hexdigest()
    mark = folder / "made-by"
    if mark.exists() and mark.read_text() == stamp:
        return json.loads((folder / "expected.json").read_text(encoding="utf-8")), False
    expected = make(folder, orders, shops)
    mark.write_text(stamp)
    return expected, True


if __name__ == "__main__":
    import sys
    make(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000,
         int(sys.argv[3]) if len(sys.argv) > 3 else 20_000)
