# SPDX-License-Identifier: Apache-2.0
"""What each row of an uploaded file must become, by the rules that operators are promised and by none of Kontor's code. A world
is what one region holds; judging a file changes nothing in it, committing the judged rows does."""
import collections
import datetime
import re
import zoneinfo

ITEM_TYPES = {"order", "refund", "adjustment", "fee", "tax", "voucher"}
EXPONENT = {"SGD": 2, "MYR": 2, "THB": 2, "TWD": 2, "BRL": 2, "USD": 2, "EUR": 2, "JPY": 0, "KWD": 3}
ID_LIMIT, AMOUNT_LIMIT = 2 ** 63, 10 ** 16
FUTURE_MS = 24 * 3600 * 1000
TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)", re.ASCII)
REJECTED = {"bad_row", "duplicate_in_file", "already_exists", "conflict", "not_found", "other_shop", "already_claimed",
            "already_settled", "held"}

# Total lengths of the countries' IBANs that the files use.
IBAN_LENGTH = {"DE": 22, "FR": 27, "NO": 15}


class Bad(Exception):
    """A field that no row may have."""


def parse_id(text):
    if not re.fullmatch(r"[1-9][0-9]*", text, re.ASCII) or int(text) >= ID_LIMIT:
        raise Bad(text)
    return int(text)


def parse_amount(text, currency):
    match = re.fullmatch(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?", text, re.ASCII)
    if not match:
        raise Bad(text)
    sign, whole, fraction = match[1], match[2], match[3] or ""
    exponent = EXPONENT[currency]
    if len(fraction) > exponent:
        raise Bad(text)
    minor = int(whole) * 10 ** exponent + int(fraction.ljust(exponent, "0") or 0)
    if minor >= AMOUNT_LIMIT or (sign and minor == 0):
        raise Bad(text)
    return -minor if sign else minor


def parse_time(text):
    """Milliseconds since 1970 UTC; what is finer is cut."""
    match = TIME.fullmatch(text)
    if not match:
        raise Bad(text)
    year, month, day, hour, minute, second = (int(match[i]) for i in range(1, 7))
    zone = datetime.timezone.utc
    if match[8] != "Z":
        hours, minutes = int(match[8][1:3]), int(match[8][4:6])
        if hours > 23 or minutes > 59:
            raise Bad(text)
        offset = datetime.timedelta(hours=hours, minutes=minutes)
        zone = datetime.timezone(-offset if match[8][0] == "-" else offset)
    try:
        at = datetime.datetime(year, month, day, hour, minute, second, tzinfo=zone)
    except ValueError as failure:
        raise Bad(text) from failure
    return round(at.timestamp()) * 1000 + int((match[7] or "0")[:3].ljust(3, "0"))


def week_of(day):
    year, week, _ = day.isocalendar()
    return year * 100 + week


class Row:
    """A line of a file as it was written: its bytes, and the fields that it has by the name of their column. fields None: its
    quoting is broken, or it has more or fewer fields than the header."""

    def __init__(self, data, fields):
        self.data, self.fields = data, fields
        self.line, self.verdict, self.facts, self.amount = 0, None, None, None


class World:
    """What one region holds of one kind. Files are judged by it; from the moment that their rows are stored until they count or
    are dropped they wait."""

    region = None
    takes = ()                                                      # verdicts of a row that takes what only one row can have
    yields = ()                                                     # of one that would be told first that another has it

    def wait(self, rows):
        """The rows are stored, and do not count yet."""

    def drop(self, rows):
        """Rows that waited are gone."""

    def overtaken(self, rows):
        """Whether rows that wait cannot count any more, by what was committed since they were judged."""
        return False

    def needs_approval(self, rows):
        return False


class BillingItems(World):
    kind = "billing-items"
    takes = ("ok", "late")
    columns = ("shop_user_id", "order_id", "item_type", "amount", "currency", "occurred_at")
    optional = ("billing_item_id", "note")

    def __init__(self, zone):
        self.zone = zoneinfo.ZoneInfo(zone)
        self.open_from = 202601
        self.stored = {}                                            # identity -> facts
        self.items_of_window = collections.Counter()
        self.now_ms = 0

    def read(self, fields):
        """(identity, facts, amount) of a row that is good by itself."""
        shop, order = parse_id(fields["shop_user_id"]), fields["order_id"]
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", order, re.ASCII):
            raise Bad(order)
        currency = fields["currency"]
        if fields["item_type"] not in ITEM_TYPES or currency not in EXPONENT:
            raise Bad(currency)
        minor, occurred = parse_amount(fields["amount"], currency), parse_time(fields["occurred_at"])
        if occurred > self.now_ms + FUTURE_MS:
            raise Bad(fields["occurred_at"])
        facts = (shop, order, fields["item_type"], minor, currency, occurred)
        own_id = fields.get("billing_item_id", "")
        return ("id", shop, parse_id(own_id)) if own_id else ("facts", *facts), facts, (currency, minor)

    def window_of(self, facts):
        seconds, milliseconds = divmod(facts[5], 1000)
        at = datetime.datetime.fromtimestamp(seconds, self.zone) + datetime.timedelta(milliseconds=milliseconds)
        return week_of(at)

    def judge_groups(self, groups):
        for identity, group in groups.items():
            self.judge_group(identity, sorted(group, key=lambda row: row.line))

    def judge_group(self, identity, rows):
        """Rows of one identity, in order of lines."""
        if any(row.facts != rows[0].facts for row in rows):
            for row in rows:
                row.verdict = "conflict"
            return
        for row in rows[1:]:
            row.verdict = "duplicate_in_file"
        first = rows[0]
        if identity not in self.stored:
            first.verdict = "late" if self.window_of(first.facts) < self.open_from else "ok"
        else:
            first.verdict = "already_exists" if self.stored[identity] == first.facts else "conflict"

    def come_second(self, row, first):
        row.verdict = "already_exists" if row.facts == first.facts else "conflict"

    def commit(self, rows):
        for row in rows:
            if row.verdict in ("ok", "late"):
                self.stored[row.identity] = row.facts
                self.items_of_window[max(self.window_of(row.facts), self.open_from)] += 1


def iban_valid(text):
    if not re.fullmatch(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", text, re.ASCII):
        return False
    if len(text) != IBAN_LENGTH.get(text[:2], len(text)):
        return False
    return int("".join(str(int(c, 36)) for c in text[4:] + text[:4])) % 97 == 1


class Payees(World):
    kind = "payees"
    columns = ("shop_user_id", "name", "country", "currency")
    optional = ("iban", "account", "bank_code", "bic", "town", "name_latin")

    def __init__(self):
        self.in_force = {}                                          # (shop, currency) -> where it is paid

    def read(self, fields):
        shop, currency = parse_id(fields["shop_user_id"]), fields["currency"]
        if currency not in EXPONENT or not re.fullmatch(r"[A-Z]{2}", fields["country"], re.ASCII):
            raise Bad(currency)
        for name, limit in (("name", 140), ("name_latin", 140), ("town", 35)):
            text = fields.get(name, "")
            if len(text) > limit or any(ord(c) < 32 or ord(c) == 127 for c in text):
                raise Bad(text)
            if not text.strip(" \u00a0\u3000") and (text or name == "name"):
                raise Bad(text)
        iban, account, bank = (fields.get(name, "") for name in ("iban", "account", "bank_code"))
        if iban and (account or bank):
            raise Bad(iban)
        if iban and not iban_valid(iban):
            raise Bad(iban)
        if not iban and not all(re.fullmatch(r"[A-Za-z0-9-]{1,34}", part, re.ASCII) for part in (account, bank)):
            raise Bad(account)
        bic = fields.get("bic", "")
        if bic and not re.fullmatch(r"[A-Z]{6}[A-Z0-9]{2}([A-Z0-9]{3})?", bic, re.ASCII):
            raise Bad(bic)
        facts = tuple(fields.get(name, "") for name in self.columns[1:] + self.optional)
        return (shop, currency), facts, None

    def judge_groups(self, groups):
        for identity, group in groups.items():
            self.judge_group(identity, sorted(group, key=lambda row: row.line))

    def judge_group(self, identity, rows):
        for row in rows[1:]:
            row.verdict = "duplicate_in_file"
        known = self.in_force.get(identity)
        rows[0].verdict = "ok" if known is None else "unchanged" if known == rows[0].facts else "needs_approval"

    def commit(self, rows):
        for row in rows:
            if row.verdict in ("ok", "needs_approval"):
                self.in_force[row.identity] = row.facts

    def overtaken(self, rows):
        return any(row.verdict == "ok" and row.identity in self.in_force for row in rows)

    def needs_approval(self, rows):
        return any(row.verdict == "needs_approval" for row in rows)


class ShopRules(World):
    kind = "shop-rules"
    columns = ("shop_user_id", "rule", "value")
    optional = ("currency", "from", "until")
    always, forever = -ID_LIMIT, ID_LIMIT

    def __init__(self, first_currency):
        self.first_currency = first_currency                        # of the region: minimum_payout is in it unless it says another
        self.versions = collections.defaultdict(list)               # (shop, rule, currency) -> [(from, until, number)], latest last

    def read(self, fields):
        shop, rule, value = parse_id(fields["shop_user_id"]), fields["rule"], fields["value"]
        currency = fields.get("currency", "")
        if rule not in ("hold", "minimum_payout", "commission_percent") or (currency and currency not in EXPONENT):
            raise Bad(rule)
        if rule == "hold":
            if value not in ("yes", "no"):
                raise Bad(value)
            number = value == "yes"
        elif rule == "minimum_payout":
            currency = currency or self.first_currency
            number = parse_amount(value, currency)
        else:
            if not re.fullmatch(r"(0|[1-9][0-9]*)(\.[0-9]{1,4})?", value, re.ASCII) or float(value) > 100:
                raise Bad(value)
            number = round(float(value) * 10_000)
        if number < 0:
            raise Bad(value)
        begin = parse_time(fields["from"]) if fields.get("from") else self.always
        end = parse_time(fields["until"]) if fields.get("until") else self.forever
        if begin >= end:
            raise Bad(fields["until"])
        return (shop, rule, currency, begin, end), number, None

    def judge_groups(self, groups):
        """Unchanged is what would change no instant: the latest of those that overlap it is the same already. Lines of one file
        count in their order."""
        firsts = []
        for group in groups.values():
            group.sort(key=lambda row: row.line)
            firsts.append(group[0])
            for row in group[1:]:
                row.verdict = "duplicate_in_file"
        changes = collections.defaultdict(list)
        for row in sorted(firsts, key=lambda row: row.line):
            key, mine = row.identity[:3], (*row.identity[3:], row.facts)
            same = False
            for version in self.versions[key] + changes[key]:
                if version == mine:
                    same = True
                elif version[0] < mine[1] and mine[0] < version[1]:
                    same = False
            row.verdict = "unchanged" if same else "ok"
            if not same:
                changes[key].append(mine)

    def commit(self, rows):
        for row in sorted(rows, key=lambda row: row.line):
            if row.verdict == "ok":
                self.versions[row.identity[:3]].append((*row.identity[3:], row.facts))

    def held(self, shop, currency, now_ms):
        """A rule for the currency overrules one for all of them."""
        held = False
        for key in ((shop, "hold", ""), (shop, "hold", currency)):
            for begin, end, number in self.versions[key]:
                if begin <= now_ms < end:
                    held = number
        return held


class ManualSettlement(World):
    kind = "manual-settlement"
    takes, yields = ("ok",), ("conflict",)
    columns = ("shop_user_id", "billing_item_id")
    optional = ("amount", "currency")
    amount_verdicts = ("ok",)                                       # others may name what the file says or what is stored

    def __init__(self, items, rules):
        self.items, self.rules = items, rules
        self.claimed, self.settled = set(), set()                   # claimed: by uploads that wait

    def read(self, fields):
        identity = ("id", parse_id(fields["shop_user_id"]), parse_id(fields["billing_item_id"]))
        amount, currency = fields.get("amount", ""), fields.get("currency", "")
        if currency and currency not in EXPONENT:
            raise Bad(currency)
        if amount and not re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", amount, re.ASCII):
            raise Bad(amount)
        if amount and currency:
            parse_amount(amount, currency)
        return identity, (amount, currency), None

    def differs(self, row, item):
        """Whether the amount or the currency that the row names is another one than the item's."""
        amount, currency = row.facts
        if currency and currency != item[4]:
            return True
        try:
            return bool(amount) and parse_amount(amount, item[4]) != item[3]
        except Bad:                                                 # no amount in the item's currency
            return True

    def judge_groups(self, groups):
        ids = {identity[2] for identity in self.items.stored if identity[0] == "id"}
        for identity, group in groups.items():
            group.sort(key=lambda row: row.line)
            for row in group[1:]:
                row.verdict = "duplicate_in_file"
            row, item = group[0], self.items.stored.get(identity)
            if item is None:
                row.verdict = "other_shop" if identity[2] in ids else "not_found"
            elif identity in self.claimed:
                row.verdict = "already_claimed"
            elif identity in self.settled:
                row.verdict = "already_settled"
            elif self.rules.held(identity[1], item[4], self.now_ms):
                row.verdict = "held"
            elif self.differs(row, item):
                row.verdict = "conflict"
            else:
                row.verdict, row.amount = "ok", (item[4], item[3])

    def come_second(self, row, first):
        row.verdict, row.amount = "already_claimed", None

    def wait(self, rows):
        self.claimed.update(row.identity for row in rows if row.verdict == "ok")

    def drop(self, rows):
        self.claimed.difference_update(row.identity for row in rows if row.verdict == "ok")

    def commit(self, rows):
        self.drop(rows)
        self.settled.update(row.identity for row in rows if row.verdict == "ok")

    def needs_approval(self, rows):
        return any(row.verdict == "ok" for row in rows)


def judge(world, rows):
    """Gives each row its verdict."""
    groups = collections.defaultdict(list)
    for row in rows:
        row.verdict, row.amount = "bad_row", None
        if row.fields is None:
            continue
        try:
            row.identity, row.facts, row.amount = world.read(row.fields)
        except Bad:
            continue
        groups[row.identity].append(row)
    world.judge_groups(groups)


def share(world, files, rejects):
    """Two files that were judged by the same world were uploaded at the same time. rejects: of each, the verdicts of the lines that
    came back. Of two rows that could take the same, the one that came back came second."""
    takers = [{row.identity: row for row in rows if row.verdict in world.takes} for rows in files]
    for identity in takers[0].keys() & takers[1].keys():
        one, other = takers[0][identity], takers[1][identity]
        if one.line in rejects[0]:
            world.come_second(one, other)
        else:
            world.come_second(other, one)
    for rows, others, lines in ((files[0], takers[1], rejects[0]), (files[1], takers[0], rejects[1])):
        for row in rows:
            if row.verdict in world.yields and row.identity in others and lines.get(row.line) != row.verdict:
                world.come_second(row, others[row.identity])


def totals(rows):
    """{verdict: (rows, {currency: amount})} as `upload show` has them."""
    counts, amounts = collections.Counter(), collections.defaultdict(collections.Counter)
    for row in rows:
        counts[row.verdict] += 1
        if row.amount:
            amounts[row.verdict][row.amount[0]] += row.amount[1]
    return {verdict: (count, dict(amounts[verdict])) for verdict, count in counts.items()}
