/* SPDX-License-Identifier: Apache-2.0
 *
 * What an id of each layout tells.
 */
#include "kontor/ids.h"

struct layout {
	const char *name;
	int64_t unit_ms; /* of its time; 0: it has none */
	unsigned bits, sequence_bits, datacenter_bits, slot_bits;
};

static const struct layout layouts[] = {
	[KONTOR_ID_STD63] = {"std63", 1, 63, 12, 4, 6},
	[KONTOR_ID_JS53] = {"js53", 1000, 53, 15, 3, 4},
	[KONTOR_ID_SEGMENT] = {"segment", 0, 63, 59, 4, 0},
};

static uint64_t low_bits(uint64_t value, unsigned bits)
{
	return value & ((UINT64_C(1) << bits) - 1);
}

static struct kontor_id_parts take_apart(const struct layout *layout, uint64_t id)
{
	unsigned datacenter_at = layout->slot_bits, sequence_at = datacenter_at + layout->datacenter_bits;
	int64_t time = (int64_t)(id >> (sequence_at + layout->sequence_bits));
	return (struct kontor_id_parts){
		.time_ms = layout->unit_ms ? KONTOR_ID_EPOCH_MS + time * layout->unit_ms : KONTOR_ID_NO_TIME,
		.sequence = low_bits(id >> sequence_at, layout->sequence_bits),
		.datacenter = (unsigned)low_bits(id >> datacenter_at, layout->datacenter_bits),
		.slot = (unsigned)low_bits(id, layout->slot_bits),
	};
}

bool kontor_id_layout_parse(struct kontor_text name, enum kontor_id_layout *ret_layout)
{
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		if (kontor_text_is(name, layouts[i].name)) {
			*ret_layout = (enum kontor_id_layout)i;
			return true;
		}
	}
	return false;
}

bool kontor_id_decode_layout(enum kontor_id_layout layout, uint64_t id, struct kontor_id_parts *ret_parts)
{
	struct kontor_id_parts parts = take_apart(&layouts[layout], id);
	if (id >> layouts[layout].bits || parts.datacenter == 0 || (layouts[layout].slot_bits && parts.slot == 0))
		return false;
	*ret_parts = parts;
	return true;
}

struct kontor_id_parts kontor_id_decode(uint64_t id)
{
	return take_apart(&layouts[KONTOR_ID_STD63], id);
}
