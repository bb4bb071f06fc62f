# SPDX-License-Identifier: Apache-2.0
"""Files of billing items for the proofs of uploads: the same bytes for the same arguments, with rows of every verdict that a
file by itself can have."""
import ctypes
import datetime
import random

HEADER = "shop_user_id,order_id,item_type,amount,currency,occurred_at,billing_item_id,note\n"
OWN_ID_LIMIT = 10 ** 11                                             # ids in the files are below, issued ones far above
# Monday 2026-11-02 00:00 in Singapore
MONDAY = datetime.datetime(2026, 11, 1, 16, tzinfo=datetime.timezone.utc)
TYPES = ("order", "order", "order", "order", "refund", "fee", "adjustment", "voucher")
ROWS_OF_A_MOMENT = 500


def billing_items(path, rows, seed, with_ids=0.25, faults=True, shops=20_000):
    """Returns {verdict: rows}. faults: of 1,000 rows about one is bad, one repeats an earlier one, one contradicts an earlier one
    and two are of a week before the region's first."""
    rng = random.Random(seed)
    expected = {"ok": rows}
    draw = rng.random

    def fault(verdict):
        expected[verdict] = expected.get(verdict, 0) + 1
        expected["ok"] -= 1

    with open(path, "w", buffering=1 << 20) as out:
        out.write(HEADER)
        earlier = None
        for n in range(rows):
            if n % ROWS_OF_A_MOMENT == 0:
                at = MONDAY + datetime.timedelta(seconds=n * 600_000 // rows)
                stamp = at.strftime("%Y-%m-%dT%H:%M:%SZ")
            minor = int(draw() * 50_000)
            own_id = str(1 + n) if draw() < with_ids else ""
            shop, kind = 1 + int(draw() * shops), TYPES[n & 7]
            row = f"{shop},P-{n},{kind},{minor // 100}.{minor % 100:02d},SGD,{stamp},{own_id},\n"
            chance = draw() if faults and n else 1
            if chance < 0.001:
                row = f"{shop},P-{n},{kind},1e3,SGD,{stamp},{own_id},\n"
                fault("bad_row")
            elif chance < 0.002 and earlier:
                row = earlier
                fault("duplicate_in_file")
            elif chance < 0.003:
                # both: this row and its contradiction, which has an id of its own range
                own_id = str(OWN_ID_LIMIT // 2 + n)
                row = (f"{shop},P-{n},order,1.00,SGD,{stamp},{own_id},\n{shop},P-{n},order,2.00,SGD,{stamp},{own_id},\n")
                fault("conflict")
                expected["conflict"] += 1
            elif chance < 0.005:
                row = f"{shop},P-{n},{kind},{minor // 100}.{minor % 100:02d},SGD,2025-03-04T05:06:07Z,{own_id},\n"
                fault("late")
            elif draw() < 0.0005 or not earlier:
                earlier = row                                       # repeated later, mostly in another batch
            out.write(row)
    return expected


def zstd_frames(data):
    """Two frames, by the library itself: Python 3.11 has no module for zstd."""
    zstd, packed = ctypes.CDLL("libzstd.so.1"), b""
    zstd.ZSTD_compress.restype = ctypes.c_size_t
    for part in (data[:700_000], data[700_000:]):
        out = ctypes.create_string_buffer(len(part) + 1000)
        size = zstd.ZSTD_compress(out, ctypes.c_size_t(len(out)), part, ctypes.c_size_t(len(part)), 1)
        packed += out.raw[:size]
    return packed
