/* SPDX-License-Identifier: Apache-2.0
 *
 * A file stands in for the device; what a hypervisor would do to the page is written to it while it is mapped. The
 * bytes are put together here by the offsets of Linux' include/uapi/linux/vmclock-abi.h, not by our struct.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "machine_generation.h"

#define SIZE_WITHOUT_COUNTER 104
#define SIZE 112
#define FLAG_COUNTER 1 /* in byte 25: bit 8 */
#define AT_SIZE 4
#define AT_VERSION 8
#define AT_DISRUPTION 16
#define AT_FLAGS 24
#define AT_GENERATION 104

static char path[64];
static int device;
static struct machine_generation generation;

static void put(off_t at, const void *bytes, size_t size)
{
	assert_int_equal(pwrite(device, bytes, size, at), size);
}

static void put_counter(off_t at, uint8_t value)
{
	put(at, (const uint8_t[]){value, 0, 0, 0, 0, 0, 0, 0x80}, 8);
}

static int device_begin(void **state)
{
	(void)state;
	strncpy(path, "/tmp/kontor-generation-test.XXXXXX", sizeof(path) - 1);
	device = mkstemp(path);
	memset(&generation, 0xff, sizeof(generation));
	return device < 0 || ftruncate(device, 4096);
}

static int device_end(void **state)
{
	(void)state;
	machine_generation_close(&generation);
	close(device);
	return unlink(path);
}

/* Version 1, of `size` bytes, with these flags in their second byte. */
static void write_device(uint8_t size, uint8_t flags)
{
	put(0, "VCLK", 4);
	put(AT_SIZE, (const uint8_t[]){size, 0, 0, 0}, 4);
	put(AT_VERSION, (const uint8_t[]){1, 0}, 2);
	put(AT_FLAGS, (const uint8_t[]){0, flags, 0, 0, 0, 0, 0, 0}, 8);
	put_counter(AT_DISRUPTION, 7);
	put_counter(AT_GENERATION, 3);
}

static void test_a_resumed_snapshot_is_seen(void **state)
{
	(void)state;
	write_device(SIZE, FLAG_COUNTER);
	machine_generation_open(&generation, path);
	assert_true(generation.present);
	uint64_t before = machine_generation_read(&generation);
	assert_true(before == machine_generation_read(&generation));
	put_counter(AT_DISRUPTION, 8); /* a live migration: still the only copy */
	assert_true(machine_generation_read(&generation) == before);
	put_counter(AT_GENERATION, 4);
	assert_true(machine_generation_read(&generation) != before);
	put_counter(AT_GENERATION, 3);
	assert_true(machine_generation_read(&generation) == before);
}

static void assert_disruptions_count(void)
{
	machine_generation_open(&generation, path);
	assert_true(generation.present);
	uint64_t before = machine_generation_read(&generation);
	put_counter(AT_GENERATION, 9);
	assert_true(machine_generation_read(&generation) == before);
	put_counter(AT_DISRUPTION, 9);
	assert_true(machine_generation_read(&generation) != before);
	machine_generation_close(&generation);
}

static void test_without_a_counter_every_disruption_counts(void **state)
{
	(void)state;
	write_device(SIZE, 0);
	assert_disruptions_count();
	write_device(SIZE_WITHOUT_COUNTER, FLAG_COUNTER); /* it says that it has one, and has no room for it */
	assert_disruptions_count();
}

static void assert_absent(const char *device_path)
{
	machine_generation_open(&generation, device_path);
	assert_false(generation.present);
	assert_non_null(generation.absent_because);
	assert_true(machine_generation_read(&generation) == 0);
	machine_generation_close(&generation);
}

static void test_what_is_no_such_device_is_absent(void **state)
{
	(void)state;
	assert_absent("/nowhere/vmclock0");
	assert_absent("/tmp");
	assert_absent("/dev/null");
	assert_absent(path); /* zeros */
	write_device(SIZE, FLAG_COUNTER);
	put(0, "VCLX", 4);
	assert_absent(path);
	write_device(SIZE, FLAG_COUNTER);
	put(AT_VERSION, (const uint8_t[]){2, 0}, 2);
	assert_absent(path);
	write_device(SIZE_WITHOUT_COUNTER - 1, FLAG_COUNTER);
	assert_absent(path);
	write_device(SIZE, FLAG_COUNTER);
	machine_generation_open(&generation, path);
	assert_true(generation.present);
}

static void test_a_short_file_is_never_touched_beyond_its_end(void **state)
{
	(void)state;
	write_device(SIZE, FLAG_COUNTER);
	for (off_t size = 0; size < SIZE; size++) {
		assert_int_equal(truncate(path, size), 0);
		assert_absent(path);
	}
}

static void test_a_closed_one_is_absent(void **state)
{
	(void)state;
	write_device(SIZE, FLAG_COUNTER);
	machine_generation_open(&generation, path);
	assert_true(machine_generation_read(&generation) != 0);
	machine_generation_close(&generation);
	assert_false(generation.present);
	assert_true(machine_generation_read(&generation) == 0);
	machine_generation_close(&generation);
}

int main(void)
{
#define WITH_DEVICE(test) cmocka_unit_test_setup_teardown(test, device_begin, device_end)
	const struct CMUnitTest tests[] = {
		WITH_DEVICE(test_a_resumed_snapshot_is_seen),
		WITH_DEVICE(test_without_a_counter_every_disruption_counts),
		WITH_DEVICE(test_what_is_no_such_device_is_absent),
		WITH_DEVICE(test_a_short_file_is_never_touched_beyond_its_end),
		WITH_DEVICE(test_a_closed_one_is_absent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
