# SPDX-License-Identifier: Apache-2.0
"""Random files that mix every verdict: few facts, written in many ways, so that rows meet each other and those of earlier files;
between them whatever a file may have wrong."""
import datetime
import gzip

from verdict_model import EXPONENT, Row

ORDERS = ("A-1", "a-1", "A_1", "B-2", "0", "x" * 32, "C-3", "D-4", "E-5", "F-6")
TYPES = ("order", "order", "order", "refund", "adjustment", "fee", "tax", "voucher")
CURRENCIES = ("SGD", "SGD", "USD", "JPY", "KWD", "TWD")
BIG = 2 ** 63 - 1
BAD_ITEM_FIELDS = {
    "shop_user_id": ("", "0", "007", "+5", "-1", " 7", "7 ", str(BIG + 1), "1" + "0" * 23, "１２", "1e3", "0x10", "abc"),
    "order_id": ("", "x" * 33, "a b", "a/b", "ü", "a,b", "a\"b", "=1+1"),
    "item_type": ("", "Order", "sale", "order ", "1"),
    "amount": ("", "-0", "-0.0", "1e3", "+1", "01", ".5", "1.", "1,5", "1.00001", "1" + "0" * 23, "10000000000000000", "NaN", "５"),
    "currency": ("", "sgd", "XYZ", "VND", "SG", "SGDX"),
    "occurred_at": ("", "2026-11-03", "2026-11-03T10:00:00", "2026-11-03 10:00:00Z", "2026-02-30T10:00:00Z", "2026-11-03T24:00:00Z",
                    "2026-06-30T23:59:60Z", "2099-01-01T00:00:00Z", "2026-11-03T10:00:00+24:00", "2026-11-03T10:00:00.Z",
                    "2026-11-03T10:00Z", "2026-11-03T10:00:00z"),
    "billing_item_id": ("0", "-1", "01", str(BIG + 1), "abc", "1.0"),
}
BAD_PAYEE_FIELDS = {
    "shop_user_id": ("", "0", "007", "abc", str(BIG + 1)),
    "name": ("", "   ", "\u3000", "a\tb", "n" * 141),
    "country": ("", "D", "DEU", "de", "D1"),
    "currency": ("", "sgd", "VND"),
    "iban": ("DE00370400440532013000", "DE8937040044053201300", "DE8937040044053201300X1", "de89370400440532013000",
             "DE89 3704 0044 0532 0130 00"),
    "bic": ("COBADEFF1", "cobadeff", "COBADEFFXXXX", "C0BADEFF"),
    "town": ("t" * 36, " "),
    "name_latin": ("l" * 141,),
}
BAD_RULE_FIELDS = {
    "shop_user_id": ("", "0", "007", "abc", str(BIG + 1)),
    "rule": ("", "Hold", "hold ", "minimum", "commission"),
    "value": ("", "Yes", "y", "-1", "-0", "1e2", "100.00001", "1,5", "+1", "maybe"),
    "currency": ("sgd", "VND"),
    "from": ("2026-11-03", "2026-13-01T00:00:00Z", "now"),
    "until": ("2026-11-03T10:00:00", "2000-01-01T00:00:00Z "),
}
# (from, until), some of them the same moments, one of them no period at all
PERIODS = (("", ""), ("", ""), ("2026-10-01T00:00:00Z", ""), ("2026-10-01T08:00:00+08:00", ""), ("", "2026-11-01T00:00:00Z"),
           ("2026-10-01T00:00:00Z", "2026-12-01T00:00:00Z"), ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00.000Z"),
           ("2026-12-01T00:00:00Z", "2026-12-01T00:00:00Z"))
NAMES = ("Tan Wei Ming", "Müller & Söhne", "O'Brien, Ltd", "สมชาย ใจดี", "王小明", "Nguyễn Thị Ánh", "Иван Петров", "n" * 140, "é" * 140)


def quoted(text, rng):
    if rng.random() < 0.1 or any(c in text for c in ",\"\r\n"):
        return '"' + text.replace('"', '""') + '"'
    return text


def broken(line, rng):
    """A line whose quoting, bytes or number of fields are wrong. Where the quoting is, it is one physical line."""
    bare = line.translate(None, b'"\r\n')
    return rng.choice((line + b",one,too,many", bare.rsplit(b",", 2)[0], b'7,"open ' + bare, b'"text"after,' + bare,
                       b'in"side,' + bare, bare + b"\xff\xfe", bare + b"\x00", bare + b"n" * 70_000))


class Writer:
    """Turns fields into a file. Remembers the line that each row begins on."""

    def __init__(self, world, rng):
        self.rng = rng
        self.columns = list(world.columns)
        self.columns += [name for name in world.optional if world.kind != "billing-items" or rng.random() < 0.85]
        rng.shuffle(self.columns)

    def row(self, fields):
        """fields: by column; those that the header lacks are left out."""
        fields = {name: fields.get(name, "") for name in self.columns}
        data = ",".join(quoted(fields[name], self.rng) for name in self.columns).encode()
        if self.rng.random() < 0.01:
            return Row(broken(data, self.rng), None)
        return Row(data, fields)

    def file(self, rows):
        """The bytes of a file with these rows; sets their lines."""
        rng = self.rng
        parts = [b"\xef\xbb\xbf" if rng.random() < 0.2 else b"", ",".join(self.columns).encode(), rng.choice((b"\n", b"\r\n"))]
        line = 2
        for row in rows:
            if rng.random() < 0.005:
                parts.append(rng.choice((b"\n", b"\r\n")))          # an empty line is no row, but is counted
                line += 1
            row.line = line
            parts += [row.data, rng.choice((b"\n", b"\n", b"\r\n"))]
            line += 1 + row.data.count(b"\n")
        if rng.random() < 0.3:
            parts.pop()                                             # the last line may lack its end
        data = b"".join(parts)
        return gzip.compress(data, 1) if rng.random() < 0.15 else data


# ---- billing items

def instants(world, rng):
    """Moments in open, closed and too old windows, and at the borders of weeks, in milliseconds."""
    monday = datetime.datetime(2026, 11, 2, tzinfo=world.zone)
    borders = [round((monday - datetime.timedelta(weeks=weeks)).timestamp() * 1000) for weeks in (0, 1, 2, 12, 13, 50)]
    moments = [border + shift for border in borders for shift in (0, -1, 1, 123)]
    return moments + [rng.randrange(borders[3], borders[0] + 6 * 86_400_000) for _ in range(40)]


def time_text(ms, rng):
    """One of the many ways to write a moment."""
    offset = rng.choice((0, 0, 8 * 60, -3 * 60, 5 * 60 + 30, -(9 * 60 + 30)))
    seconds, milliseconds = divmod(ms, 1000)
    at = datetime.datetime.fromtimestamp(seconds, datetime.timezone(datetime.timedelta(minutes=offset)))
    text = at.strftime("%Y-%m-%dT%H:%M:%S")
    if milliseconds or rng.random() < 0.3:
        text += f".{milliseconds:03d}" + rng.choice(("", "000", "9", "4711"))
    if offset == 0 and rng.random() < 0.7:
        return text + "Z"
    return text + f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02d}:{abs(offset) % 60:02d}"


def amount_text(minor, currency, rng):
    exponent = EXPONENT[currency]
    whole, part = divmod(abs(minor), 10 ** exponent)
    fraction = f"{part:0{exponent}d}" if exponent else ""
    if rng.random() < 0.5:
        fraction = fraction.rstrip("0")                             # 1.50 and 1.5 are one amount
    return ("-" if minor < 0 else "") + str(whole) + ("." + fraction if fraction else "")


class ItemFacts:
    """The facts of one region's files; each file takes old and new ones."""

    def __init__(self, world, rng):
        self.rng = rng
        self.shops = [rng.randrange(1, 10 ** 12) for _ in range(30)] + [1, BIG]
        self.moments = instants(world, rng)
        self.known = []

    def draw(self):
        rng = self.rng
        if self.known and rng.random() < 0.35:
            return rng.choice(self.known)
        currency = rng.choice(CURRENCIES)
        minor = rng.choice((0, 1, -1, 10 ** 16 - 1, -10 ** 16 + 1, rng.randrange(-10 ** 6, 10 ** 6)))
        facts = (rng.choice(self.shops), rng.choice(ORDERS), rng.choice(TYPES), minor, currency, rng.choice(self.moments))
        self.known.append(facts)
        return facts

    def fields(self):
        rng = self.rng
        shop, order, kind, minor, currency, moment = self.draw()
        fields = {"shop_user_id": str(shop), "order_id": order, "item_type": kind,
                  "amount": amount_text(minor, currency, rng), "currency": currency, "occurred_at": time_text(moment, rng)}
        chance = rng.random()
        if chance < 0.3:                                            # the id of these facts, or of others
            fields["billing_item_id"] = str(1 + self.known.index((shop, order, kind, minor, currency, moment)))
        elif chance < 0.4:
            fields["billing_item_id"] = str(rng.choice((rng.randrange(1, 60), BIG)))
        if rng.random() < 0.1:
            fields["note"] = rng.choice(("a note", "with, comma", 'with "quotes"', "of two\nlines", "of two\r\nlines", "ไทย"))
        if rng.random() < 0.04:
            column = rng.choice(sorted(BAD_ITEM_FIELDS))
            fields[column] = rng.choice(BAD_ITEM_FIELDS[column])
        return fields


def fresh_items(count):
    """Good rows that are like no others."""
    for number in range(count):
        yield {"shop_user_id": str(1 + number % 97), "order_id": f"fresh-{number}", "item_type": "order", "amount": "1", "currency": "SGD",
               "occurred_at": "2026-11-03T10:00:00Z"}


# ---- payees

def iban(number):
    bank = f"37040044{number:010d}"
    return f"DE{98 - int(bank + '131400') % 97:02d}{bank}"


class PayeeFacts:
    def __init__(self, world, rng):
        del world
        self.rng = rng
        self.shops = [rng.randrange(1, 10 ** 12) for _ in range(150)] + [BIG]

    def fields(self):
        rng = self.rng
        fields = {"shop_user_id": str(rng.choice(self.shops)), "currency": rng.choice(("SGD", "USD")), "name": rng.choice(NAMES),
                  "country": rng.choice(("SG", "DE"))}
        if rng.random() < 0.5:
            fields["iban"] = iban(rng.randrange(3))
        else:
            fields.update(account=rng.choice(("123-456", "000123", "A" * 34)), bank_code=rng.choice(("7171", "7-9")))
        if rng.random() < 0.3:
            fields.update(bic=rng.choice(("COBADEFF", "COBADEFFXXX")), town=rng.choice(("Köln", "t" * 35)))
        if rng.random() < 0.2:
            fields["name_latin"] = "Latin"
        chance = rng.random()
        if chance < 0.05:
            column = rng.choice(sorted(BAD_PAYEE_FIELDS))
            fields[column] = rng.choice(BAD_PAYEE_FIELDS[column])
        elif chance < 0.08:                                         # no account, half of one, or two
            for name in ("iban", "account", "bank_code"):
                fields.pop(name, None)
            fields.update(rng.choice(({}, {"account": "1"}, {"bank_code": "1"}, {"iban": iban(1), "account": "1", "bank_code": "2"})))
        return fields


# ---- rules of shops

class RuleFacts:
    def __init__(self, sellers, rng):
        self.rng = rng
        self.shops = sellers * 30 + [rng.randrange(1, 10 ** 12) for _ in range(40)] * 30 + [rng.randrange(1, 10 ** 12) for _ in range(3000)]

    def fields(self):
        rng = self.rng
        rule = rng.choice(("hold", "minimum_payout", "commission_percent"))
        value = {"hold": ("yes", "no"), "minimum_payout": ("0", "10", "10.0", "25.5"),
                 "commission_percent": ("0", "2.5", "2.5000", "100", "3.1234")}[rule]
        begin, end = rng.choice(PERIODS)
        fields = {"shop_user_id": str(rng.choice(self.shops)), "rule": rule, "value": rng.choice(value), "from": begin, "until": end,
                  "currency": rng.choice(("", "", "SGD", "KWD"))}
        if rng.random() < 0.04:
            column = rng.choice(sorted(BAD_RULE_FIELDS))
            fields[column] = rng.choice(BAD_RULE_FIELDS[column])
        return fields


# ---- items that are settled by hand

class ManualFacts:
    def __init__(self, world, rng):
        self.world, self.rng = world, rng

    def fields(self):
        rng = self.rng
        known = [identity for identity in self.world.items.stored if identity[0] == "id"] or [("id", 1, 1)]
        _, shop, item = rng.choice(known)
        fields = {"shop_user_id": str(shop), "billing_item_id": str(item)}
        stored = self.world.items.stored.get(("id", shop, item))
        if stored and rng.random() < 0.5:
            fields["amount"] = amount_text(stored[3], stored[4], rng) if rng.random() < 0.9 else rng.choice(("1", "0.01", "2.5"))
        if stored and rng.random() < 0.5:
            fields["currency"] = stored[4] if rng.random() < 0.9 else "BRL"
            if fields["currency"] == "BRL":
                fields.pop("amount", None)
        chance = rng.random()
        if chance < 0.1:
            fields["shop_user_id"] = str(rng.choice(known)[1])
        elif chance < 0.15:
            fields["billing_item_id"] = str(rng.randrange(10 ** 13, 10 ** 14))
        elif chance < 0.2:
            column = rng.choice(("shop_user_id", "billing_item_id", "currency"))
            fields[column] = rng.choice(BAD_ITEM_FIELDS[column][1:])
        return fields
