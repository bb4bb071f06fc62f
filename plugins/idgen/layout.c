/* SPDX-License-Identifier: Apache-2.0
 *
 * The layouts.
 */
#include "layout.h"

#include <string.h>

const struct layout layouts[LAYOUTS] = {
	[LAYOUT_STD63] = {.name = "std63",
			  .unit_ms = 1,
			  .sequence_bits = 12,
			  .datacenter_bits = 4,
			  .slot_bits = 6,
			  .datacenters = 15,
			  .slots = 62,
			  .counter_limit = UINT64_C(1) << 53},
	[LAYOUT_JS53] = {.name = "js53",
			 .unit_ms = 1000,
			 .sequence_bits = 15,
			 .datacenter_bits = 3,
			 .slot_bits = 4,
			 .datacenters = 7,
			 .slots = 14,
			 .counter_limit = UINT64_C(1) << 46},
	[LAYOUT_SEGMENT] = {.name = "segment",
			    .datacenter_bits = 4,
			    .datacenters = 15,
			    .counter_limit = UINT64_C(1) << 59},
};

_Static_assert(KONTOR_ID_STRIDE == 1u << (4 + 6), "the SDK's stride is a counter step of std63");

const struct layout *layout_named(const char *name)
{
	for (size_t i = 0; i < LAYOUTS; i++)
		if (strcmp(layouts[i].name, name) == 0)
			return &layouts[i];
	return NULL;
}

_Static_assert((int)LAYOUT_STD63 == KONTOR_ID_STD63 && (int)LAYOUT_JS53 == KONTOR_ID_JS53 &&
		       (int)LAYOUT_SEGMENT == KONTOR_ID_SEGMENT,
	       "the SDK counts the layouts in the same order");

bool layout_take_apart(const struct layout *layout, uint64_t id, struct layout_parts *ret_parts)
{
	struct kontor_id_parts parts;
	if (!kontor_id_decode_layout((enum kontor_id_layout)(layout - layouts), id, &parts))
		return false;
	*ret_parts = (struct layout_parts){
		.counter = id / layout_stride(layout), .datacenter = parts.datacenter, .slot = parts.slot};
	return true;
}
