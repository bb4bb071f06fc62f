/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal on a system that says no (full disk, no permission, refused writes), and killed at every system call.
 * Children report through shared memory and end with _exit(); what they say is checked by the parent.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define TOP "/tmp" /* a real disk, if possible */
#include "journal_fixture.h"

#define SKIPPED 77 /* a child may not do here what the test needs */

/* ---- a system that says no -------------------------------------------------------------------------------------- */

/* The child's answer: what it says in `message`, and its exit status. */
static struct shared {
	char message[512];
	volatile uint64_t acknowledged; /* the last hwm that journal_mark() returned 0 for */
	volatile bool bound;
} * shared;

static int run_child(void (*work)(void))
{
	memset(shared, 0, sizeof(*shared));
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		work();
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

#define CHILD_CHECK(condition)                                                                                         \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			snprintf(shared->message, sizeof(shared->message), "line %d: %s; last error: %.300s",          \
				 __LINE__, #condition, err.message);                                                   \
			_exit(1);                                                                                      \
		}                                                                                                      \
	} while (0)

static void assert_child(void (*work)(void))
{
	int status = run_child(work);
	if (status == SKIPPED)
		skip();
	if (status)
		fail_msg("%s", shared->message);
}

static void limit_file_size(rlim_t bytes)
{
	struct rlimit limit = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};
	signal(SIGXFSZ, SIG_IGN);
	CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

static void write_until_refused(void)
{
	struct journal j;
	limit_file_size(64 * 1024);
	CHILD_CHECK(journal_open(&j, path, &err) == KONTOR_E_STORAGE);
	CHILD_CHECK(strstr(err.message, "cannot be made"));
	CHILD_CHECK(access(path, F_OK) < 0);
	limit_file_size(RLIM_INFINITY);
	CHILD_CHECK(journal_open(&j, path, &err) == 0);
	CHILD_CHECK(journal_mark(&j, "std63/1", 1, 10, &err) == 0);
	limit_file_size((rlim_t)journal_block_offset(1, 0)); /* the first copy is written, the second is not */
	CHILD_CHECK(journal_mark(&j, "std63/1", 1, 30, &err) == KONTOR_E_STORAGE);
	CHILD_CHECK(strstr(err.message, strerror(EFBIG)) && strstr(err.message, path));
	CHILD_CHECK(journal_mark(&j, "std63/2", 1, 30, &err) == KONTOR_E_STORAGE);
	CHILD_CHECK(journal_hwm(&j, "std63/1", NULL) == 10 && journal_hwm(&j, "std63/2", NULL) == 0);
	CHILD_CHECK(journal_mark(&j, "std63/1", 1, 20, &err) == KONTOR_E_STORAGE);
	limit_file_size(RLIM_INFINITY);
	CHILD_CHECK(journal_mark(&j, "std63/3", 1, 40, &err) == 0); /* in the place that std63/2 did not get */
	CHILD_CHECK(journal_mark(&j, "std63/1", 1, 15, &err) == 0);
	journal_close(&j);
	CHILD_CHECK(journal_open(&j, path, &err) == 0);
	CHILD_CHECK(j.repaired == 0);
	CHILD_CHECK(journal_hwm(&j, "std63/1", NULL) == 15 && journal_hwm(&j, "std63/3", NULL) == 40);
	journal_close(&j);
}

static void test_a_refused_write_is_an_error_and_the_next_one_counts(void **state)
{
	(void)state;
	assert_child(write_until_refused);
}

/* A file system of its own for this process, as root or in a user namespace. */
static void mount_small_disk(void)
{
	char options[64];
	snprintf(options, sizeof(options), "size=%zuk,mode=0700", JOURNAL_FILE_SIZE / 1024 + 64);
	if (unshare(CLONE_NEWNS) && unshare(CLONE_NEWUSER | CLONE_NEWNS))
		_exit(SKIPPED);
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("none", folder, "tmpfs", 0, options))
		_exit(SKIPPED);
}

static void fill_disk(void)
{
	static const char block[4096];
	char filler[96];
	snprintf(filler, sizeof(filler), "%s/filler", folder);
	int fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	CHILD_CHECK(fd >= 0);
	while (write(fd, block, sizeof(block)) > 0)
		;
	CHILD_CHECK(errno == ENOSPC);
	close(fd);
}

static void use_full_disk(void)
{
	struct journal j, other;
	char other_path[128];
	mount_small_disk();
	CHILD_CHECK(journal_open(&j, path, &err) == 0);
	fill_disk();
	for (int i = 0; i < JOURNAL_KEYS; i++) {
		char key[32];
		snprintf(key, sizeof(key), "segment/%d", i);
		CHILD_CHECK(journal_mark(&j, key, 1, 100 + (uint64_t)i, &err) == 0);
	}
	snprintf(other_path, sizeof(other_path), "%s/other.journal", folder);
	CHILD_CHECK(journal_open(&other, other_path, &err) == KONTOR_E_STORAGE);
	CHILD_CHECK(strstr(err.message, strerror(ENOSPC)) && strstr(err.message, other_path));
	CHILD_CHECK(access(other_path, F_OK) < 0);
	journal_close(&j);
	CHILD_CHECK(journal_open(&j, path, &err) == 0);
	CHILD_CHECK(journal_hwm(&j, "segment/255", NULL) == 355);
	journal_close(&j);
}

static void test_a_full_disk_matters_only_at_the_start(void **state)
{
	(void)state;
	assert_child(use_full_disk);
}

static void use_forbidden_folder(void)
{
	struct journal j;
	if (geteuid() == 0)
		CHILD_CHECK(setgid(65534) == 0 && setuid(65534) == 0);
	CHILD_CHECK(journal_open(&j, path, &err) == KONTOR_E_STORAGE);
	CHILD_CHECK(strstr(err.message, strerror(EACCES)) && strstr(err.message, path));
}

static void test_a_folder_that_may_not_be_written_is_named(void **state)
{
	(void)state;
	assert_int_equal(chmod(folder, 0555), 0);
	int status = run_child(use_forbidden_folder);
	chmod(folder, 0700);
	if (status)
		fail_msg("%s", shared->message);
	struct journal j;
	open_journal(&j);
	journal_close(&j);
	chmod(path, 0444);
	chmod(folder, 0755);
	assert_child(use_forbidden_folder);
}

/* ---- killed ----------------------------------------------------------------------------------------------------- */

#define MARKS 3

static void make_bind_and_mark(void)
{
	struct journal j;
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(SKIPPED);
	raise(SIGSTOP);
	CHILD_CHECK(journal_open(&j, path, &err) == 0);
	CHILD_CHECK(journal_bind(&j, CLUSTER, &err) == 0);
	shared->bound = true;
	for (uint64_t hwm = 1; hwm <= MARKS; hwm++) {
		CHILD_CHECK(journal_mark(&j, "std63/1", 1, hwm, &err) == 0);
		shared->acknowledged = hwm;
	}
	journal_close(&j);
}

static void only_make(void)
{
	struct journal j;
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(SKIPPED);
	raise(SIGSTOP);
	int code = journal_open(&j, path, &err);
	CHILD_CHECK(code == 0 || code == KONTOR_E_CONFLICT);
	journal_close(&j);
}

static int chosen_stop; /* what at_stop() waits for */
static int stops_seen;  /* of the last child */

/* Runs a child that stops before and after each system call; at_stop() sees each stop and says whether it may go on. */
static int run_traced(void (*work)(void), bool (*at_stop)(pid_t pid, int stop))
{
	int status;
	memset(shared, 0, sizeof(*shared));
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		work();
		_exit(0);
	}
	for (int stop = 0; waitpid(pid, &status, 0) == pid && WIFSTOPPED(status); stops_seen = stop++)
		if (!at_stop(pid, stop) || ptrace(PTRACE_SYSCALL, pid, NULL, NULL))
			kill(pid, SIGKILL);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
		fail_msg("%s", shared->message);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
		skip();
	return status;
}

static bool kill_at_chosen_stop(pid_t pid, int stop)
{
	(void)pid;
	return stop != chosen_stop;
}

static void assert_acknowledged_is_there(void)
{
	struct journal j;
	open_journal(&j);
	uint64_t hwm = journal_hwm(&j, "std63/1", NULL);
	assert_in_range(hwm, shared->acknowledged, shared->acknowledged + 1);
	assert_int_equal(journal_bind(&j, shared->bound ? "other" : CLUSTER, &err),
			 shared->bound ? KONTOR_E_CONFLICT : 0);
	mark(&j, "std63/1", 2, hwm + 1);
	journal_close(&j);
}

static void test_nothing_acknowledged_is_lost_at_any_system_call(void **state)
{
	(void)state;
	int status = 0;
	for (chosen_stop = 1; chosen_stop == 1 || WIFSIGNALED(status); chosen_stop++) {
		unlink(path);
		status = run_traced(make_bind_and_mark, kill_at_chosen_stop);
		assert_acknowledged_is_there();
	}
	assert_true(chosen_stop > 2 * 4 * (MARKS + 1)); /* each change is at least two writes and two syncs */
}

static bool use_it_at_chosen_stop(pid_t pid, int stop)
{
	struct journal j;
	(void)pid;
	if (stop != chosen_stop)
		return true;
	int code = journal_open(&j, path, &err);
	if (code == 0) {
		shared->acknowledged = 77;
		mark(&j, "std63/1", 1, 77);
	} else
		assert_int_equal(code, KONTOR_E_CONFLICT);
	journal_close(&j);
	return true;
}

/* One maker sleeps at any system call while another one makes the journal, uses it and ends. */
static void test_two_makers_never_make_two_journals(void **state)
{
	(void)state;
	struct journal j;
	int used = 0, refused = 0;
	stops_seen = 1;
	for (chosen_stop = 1; chosen_stop <= stops_seen; chosen_stop++) {
		unlink(path);
		run_traced(only_make, use_it_at_chosen_stop);
		open_journal(&j);
		assert_int_equal(journal_hwm(&j, "std63/1", NULL), shared->acknowledged);
		*(shared->acknowledged ? &used : &refused) += 1;
		journal_close(&j);
	}
	assert_true(used > 2 && refused > 2);
}

/* What the disk is told while a change is made: the first copy, sync, the second copy, sync. Without a power cut nobody
 * notices a missing sync, so the calls themselves are looked at. */
static char calls[256];

static bool note_writes(pid_t pid, int stop)
{
	struct __ptrace_syscall_info info; /* glibc's name; <linux/ptrace.h> does not go with <sys/ptrace.h> */
	if (stop == 0)
		ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD); /* without it, a stop has no info */
	size_t length = strlen(calls);
	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0 || info.op != PTRACE_SYSCALL_INFO_ENTRY ||
	    length + 1 == sizeof(calls))
		return true;
	if (info.entry.nr == SYS_fsync)
		calls[length] = 'F'; /* the file, then its folder */
	else if (info.entry.nr == SYS_pwrite64)
		calls[length] = info.entry.args[3] < (uint64_t)journal_block_offset(1, 0) ? '1' : '2';
	else if (info.entry.nr == SYS_fdatasync)
		calls[length] = 's';
	return true;
}

static void test_each_copy_is_synced_before_the_next_is_written(void **state)
{
	(void)state;
	memset(calls, 0, sizeof(calls));
	run_traced(make_bind_and_mark, note_writes);
	assert_string_equal(calls, "1FF" /* made */ "1s2s" /* bound */ "1s2s1s2s1s2s" /* marked */);
}

static void mark_on_and_on(void)
{
	struct journal j;
	CHILD_CHECK(journal_open(&j, path, &err) == 0);
	for (uint64_t hwm = journal_hwm(&j, "std63/1", NULL) + 1;; hwm++) {
		CHILD_CHECK(journal_mark(&j, "std63/1", 1, hwm, &err) == 0);
		shared->acknowledged = hwm;
	}
}

static void wait_for_a_mark_after(uint64_t hwm, pid_t pid)
{
	siginfo_t info = {.si_pid = 0};
	while (shared->acknowledged <= hwm && info.si_pid == 0) {
		usleep(100);
		waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT);
	}
}

static void test_nothing_acknowledged_is_lost_by_kills(void **state)
{
	(void)state;
	struct journal j;
	uint64_t last = 0;
	shared->acknowledged = 0;
	for (int i = 0; i < 50; i++) {
		uint16_t wait_us = 0;
		int status;
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			mark_on_and_on();
		assert_int_equal(getrandom(&wait_us, sizeof(wait_us), 0), sizeof(wait_us));
		wait_for_a_mark_after(last, pid);
		usleep(wait_us % 5000);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status))
			fail_msg("%s", shared->message);
		open_journal(&j);
		last = journal_hwm(&j, "std63/1", NULL);
		assert_in_range(last, shared->acknowledged, shared->acknowledged + 1);
		shared->acknowledged = last;
		journal_close(&j);
	}
	assert_true(last >= 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(test_a_refused_write_is_an_error_and_the_next_one_counts),
		IN_FOLDER(test_a_full_disk_matters_only_at_the_start),
		IN_FOLDER(test_a_folder_that_may_not_be_written_is_named),
		IN_FOLDER(test_nothing_acknowledged_is_lost_at_any_system_call),
		IN_FOLDER(test_nothing_acknowledged_is_lost_by_kills),
		IN_FOLDER(test_two_makers_never_make_two_journals),
		IN_FOLDER(test_each_copy_is_synced_before_the_next_is_written),
	};
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
