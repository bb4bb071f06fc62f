# SPDX-License-Identifier: Apache-2.0
"""CONTRACT's arithmetic once more, in Python and from what was uploaded: what each run must pay to each shop. Nothing is read
from Kontor."""
import collections
import dataclasses

EXPONENT = {"SGD": 2, "MYR": 2, "JPY": 0, "KWD": 3, "TWD": 2, "USD": 2, "EUR": 2, "THB": 2, "BRL": 2}
PAYMENT_UNIT = {"TWD": 100}
COMMISSIONABLE = ("order", "refund")


@dataclasses.dataclass(frozen=True)
class Item:
    shop: int
    id: int
    kind: str
    minor: int
    currency: str


@dataclasses.dataclass(frozen=True)
class Rule:
    """number: hold 0 or 1, minimum_payout minor units, commission_percent times 10,000. currency "": all. Times are ms or None."""
    shop: int
    name: str
    number: int
    currency: str = ""
    since: int | None = None
    until: int | None = None

    def covers(self, at):
        return (self.since is None or self.since <= at) and (self.until is None or at < self.until)


def decimal_of(minor, currency):
    """Minor units as a file has them."""
    exponent = EXPONENT[currency]
    digits = str(abs(minor)).rjust(exponent + 1, "0")
    return ("-" if minor < 0 else "") + (f"{digits[:-exponent]}.{digits[-exponent:]}" if exponent else digits)


def number_in_force(rules, shop, name, currency, at):
    """rules: in the order in which they were accepted; the last one that covers the instant decides, one of the currency first."""
    for wanted in (currency, ""):
        for rule in reversed(rules):
            if (rule.shop, rule.name, rule.currency) == (shop, name, wanted) and rule.covers(at):
                return rule.number
    return 0


class Region:
    """carries: {(shop, currency): minor} that later automatic runs take up."""

    def __init__(self, first_currency="SGD"):
        self.first_currency = first_currency
        self.rules = []
        self.carries = collections.Counter()

    def run(self, items, window_end, manual=False):
        """{(shop, currency): the figures of `payout list`}; moves the carries."""
        sums = {}
        for item in items:
            entry = sums.setdefault((item.shop, item.currency), [0, 0, 0])
            entry[0] += 1
            entry[1] += item.minor
            entry[2] += item.minor if item.kind in COMMISSIONABLE else 0
        carries = {} if manual else {key: minor for key, minor in self.carries.items() if minor}
        payouts = {}
        for key in sums.keys() | carries.keys():
            payouts[key] = self.payout(key, *sums.get(key, (0, 0, 0)), carries.get(key, 0), window_end - 1, manual)
            self.carries[key] += payouts[key]["carry_out_minor"] - carries.get(key, 0)
        return payouts

    def payout(self, key, count, gross, commissionable, carry_in, at, manual):
        shop, currency = key
        percent = number_in_force(self.rules, shop, "commission_percent", currency, at)
        minimum = 0 if manual else number_in_force(self.rules, shop, "minimum_payout", currency, at)
        fees = (2 * max(0, commissionable) * percent + 1_000_000) // 2_000_000      # round half up
        due = gross - fees + carry_in
        if due <= 0 or due < minimum:
            net, state = 0, "carried" if due else "zero"
        else:
            net = due - due % PAYMENT_UNIT.get(currency, 1)
            state = "held" if number_in_force(self.rules, shop, "hold", currency, at) else "ready"
        return {"items": count, "gross_minor": gross, "fees_minor": fees, "carry_in_minor": carry_in, "net_minor": net,
                "carry_out_minor": due - net, "reserve_minor": 0, "state": state}


def differences(payouts, expected):
    """payouts: the objects of `kontor payout list --json`. What is wrong, as a list; empty is good."""
    wrong = []
    listed = {(int(payout["shop_user_id"]), payout["currency"]): payout for payout in payouts}
    if len(listed) != len(payouts):
        wrong.append("a shop and currency has more than one payout")
    for key in listed.keys() | expected.keys():
        got = listed.get(key) and {name: listed[key][name] for name in next(iter(expected.values()))} if expected else listed[key]
        if got != expected.get(key):
            wrong.append(f"payout of {key}: {got}, expected {expected.get(key)}")
    return wrong


def control_differences(control, expected):
    """control: the objects of `kontor payout control --json`."""
    wrong = []
    sums = collections.defaultdict(collections.Counter)
    for (_, currency), payout in expected.items():
        line = sums[currency]
        line["payouts"] += 1
        line["items"] += payout["items"]
        line["items_minor"] += payout["gross_minor"]
        line["carry_in_minor"] += payout["carry_in_minor"]
        line["held_minor" if payout["state"] == "held" else "payouts_minor"] += payout["net_minor"]
        line["carried_minor"] += payout["carry_out_minor"]
        line["fees_minor"] += payout["fees_minor"]
    if sums.keys() != {row["currency"] for row in control}:
        wrong.append(f"control of {[row['currency'] for row in control]}, expected {sorted(sums)}")
    for row in control:
        right = sum(row[name] for name in ("payouts_minor", "held_minor", "carried_minor", "fees_minor", "reserve_minor"))
        if not row["balanced"] or row["items_minor"] + row["carry_in_minor"] != right:
            wrong.append(f"{row['currency']} is not balanced: {row}")
        for name in ("payouts", "items", "items_minor", "carry_in_minor", "payouts_minor", "held_minor", "carried_minor",
                     "fees_minor", "reserve_minor"):
            if row[name] != sums[row["currency"]][name]:
                wrong.append(f"{row['currency']} {name}: {row[name]}, expected {sums[row['currency']][name]}")
    return wrong
