/* SPDX-License-Identifier: Apache-2.0
 *
 * The pool, and the life of a session.
 */
#include <ctype.h>
#include <errmsg.h>
#include <errno.h>
#include <fcntl.h>
#include <mysqld_error.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "db_session.h"
#include "kontor/time.h"

#define CONNECT_TIMEOUT_MS 5000
#define READ_TIMEOUT_S 600 /* longer than any statement of a chunk; only ends waits for a server that vanished */
#define WRITE_TIMEOUT_S 60
/* A server behind a network that swallows packets is given up after this long, whatever it is asked. */
#define NETWORK_SILENCE_MS 20000
#define NETWORK_PROBE_S 5
#define LOCK_WAIT_TIMEOUT_S 20         /* then 1205, and the transaction runs again */
#define IDLE_TRANSACTION_TIMEOUT_S 300 /* then the server rolls back for a client that was stopped or cut off */
#define PING_AFTER_MS 5000             /* an idle session younger than this only has its socket looked at */
#define PASSWORD_LIMIT 256
#define LABEL_SIZE 64 /* so many bytes of a statement name it in a message */

#define STRING(x) #x
#define STRING_OF(x) STRING(x)
/* tx_isolation is what MariaDB 10.6 to 11 all know. */
static const char INIT_COMMAND[] =
	"SET NAMES utf8mb4, time_zone = '+00:00', autocommit = 1, tx_isolation = 'READ-COMMITTED',"
	" sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION',"
	" innodb_lock_wait_timeout = " STRING_OF(LOCK_WAIT_TIMEOUT_S) ","
								      " idle_transaction_timeout = " STRING_OF(
									      IDLE_TRANSACTION_TIMEOUT_S);

struct kontor_db {
	char *socket, *host, *user, *password_file, *database, *tls_ca; /* NULL: not given */
	unsigned port;
	unsigned connect_timeout_ms;

	pthread_mutex_t lock; /* guards idle */
	kontor_conn *idle;
};

/* ---- opening and closing the pool ---- */

static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void library_init(void)
{
	mysql_library_init(0, NULL, NULL);
}

static bool is_loopback(const char *host)
{
	return !strcmp(host, "localhost") || !strcmp(host, "::1") || !strncmp(host, "127.", 4);
}

static char *process_user(void)
{
	struct passwd entry, *found = NULL;
	char buffer[4096];
	if (getpwuid_r(geteuid(), &entry, buffer, sizeof(buffer), &found) || !found)
		return NULL;
	return strdup(found->pw_name);
}

/* Copies a string that may be NULL; false when out of memory. */
static bool keep(char **ret, const char *string)
{
	*ret = string ? strdup(string) : NULL;
	return *ret || !string;
}

int kontor_db_open(const struct kontor_db_options *options, kontor_db **ret_db, struct kontor_error *err)
{
	if (!options->socket && !options->host)
		return kontor_fail(err, KONTOR_E_BAD_REQUEST, "database: neither a socket nor a host is configured");
	if (!options->socket && !options->tls_ca && !is_loopback(options->host))
		return kontor_fail(err, KONTOR_E_BAD_REQUEST,
				   "database: host %s is not this machine, so tls_ca (a PEM file) is required",
				   options->host);
	pthread_once(&library_once, library_init);
	kontor_db *db = calloc(1, sizeof(*db));
	if (!db)
		return kontor_fail(err, KONTOR_E_INTERNAL, "database: out of memory");
	pthread_mutex_init(&db->lock, NULL);
	db->port = options->port;
	db->connect_timeout_ms = options->connect_timeout_ms ? options->connect_timeout_ms : CONNECT_TIMEOUT_MS;
	bool kept = keep(&db->socket, options->socket) && keep(&db->host, options->host) &&
		    keep(&db->password_file, options->password_file) && keep(&db->database, options->database) &&
		    keep(&db->tls_ca, options->tls_ca) && keep(&db->user, options->user);
	if (kept && !db->user)
		kept = (db->user = process_user()) != NULL;
	if (!kept) {
		kontor_db_close(db);
		return kontor_fail(err, KONTOR_E_INTERNAL,
				   "database: out of memory, or this process's user has no name");
	}
	*ret_db = db;
	return 0;
}

static void conn_free(kontor_conn *conn)
{
	session_disconnect(conn);
	free(conn->binds);
	free(conn);
}

kontor_db *kontor_db_close(kontor_db *db)
{
	if (!db)
		return NULL;
	while (db->idle) {
		kontor_conn *conn = db->idle;
		db->idle = conn->next_idle;
		conn_free(conn);
	}
	pthread_mutex_destroy(&db->lock);
	free(db->socket);
	free(db->host);
	free(db->user);
	free(db->password_file);
	free(db->database);
	free(db->tls_ca);
	free(db);
	return NULL;
}

/* ---- connecting ---- */

/* The first line of the file, read at each connect so that a changed password needs no restart. */
static int read_password(const char *path, char *ret_password, size_t size, struct kontor_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return kontor_fail(err, KONTOR_E_UNAVAILABLE, "database: password_file %s: %s", path, strerror(errno));
	ssize_t length = read(fd, ret_password, size - 1);
	int failure = errno;
	close(fd);
	if (length < 0)
		return kontor_fail(err, KONTOR_E_UNAVAILABLE, "database: password_file %s: %s", path,
				   strerror(failure));
	ret_password[length] = '\0';
	ret_password[strcspn(ret_password, "\r\n")] = '\0';
	return 0;
}

static void set_options(MYSQL *mysql, const kontor_db *db)
{
	unsigned connect_s = (db->connect_timeout_ms + 999) / 1000, read_s = READ_TIMEOUT_S, write_s = WRITE_TIMEOUT_S;
	unsigned protocol = db->socket ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP, no_local_infile = 0;
	mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
	mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &read_s);
	mysql_options(mysql, MYSQL_OPT_WRITE_TIMEOUT, &write_s);
	mysql_options(mysql, MYSQL_OPT_PROTOCOL, &protocol);
	mysql_options(mysql, MYSQL_OPT_LOCAL_INFILE, &no_local_infile);
	mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	mysql_options(mysql, MYSQL_INIT_COMMAND, INIT_COMMAND);
	if (db->tls_ca && !db->socket) {
		my_bool yes = 1;
		mysql_options(mysql, MYSQL_OPT_SSL_CA, db->tls_ca);
		mysql_options(mysql, MYSQL_OPT_SSL_ENFORCE, &yes);
		mysql_options(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
	}
}

/* A statement may run for minutes, so a read has no short timeout; the kernel's own probes tell a slow server
 * from one that is not there any more. */
static void notice_silence(MYSQL *mysql)
{
	const int socket = (int)mysql_get_socket(mysql), on = 1, probe_s = NETWORK_PROBE_S,
		  silence_ms = NETWORK_SILENCE_MS;
	const int probes = NETWORK_SILENCE_MS / 1000 / NETWORK_PROBE_S;
	setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &probe_s, sizeof(probe_s));
	setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &probe_s, sizeof(probe_s));
	setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence_ms, sizeof(silence_ms));
}

static int session_connect(kontor_conn *conn, struct kontor_error *err)
{
	const kontor_db *db = conn->db;
	session_disconnect(conn);
	char password[PASSWORD_LIMIT] = "";
	if (db->password_file) {
		int rc = read_password(db->password_file, password, sizeof(password), err);
		if (rc)
			return rc;
	}
	MYSQL *mysql = mysql_init(NULL);
	if (!mysql) {
		explicit_bzero(password, sizeof(password));
		return kontor_fail(err, KONTOR_E_INTERNAL, "database: out of memory");
	}
	set_options(mysql, db);
	/* CLIENT_FOUND_ROWS: an UPDATE tells how many rows matched, so that a compare-and-set to the same value counts.
	 */
	bool connected = mysql_real_connect(mysql, db->socket ? NULL : db->host, db->user, password, db->database,
					    db->port, db->socket, CLIENT_FOUND_ROWS) != NULL;
	explicit_bzero(password, sizeof(password));
	if (!connected) {
		conn->last_errno = mysql_errno(mysql);
		kontor_fail(err, KONTOR_E_UNAVAILABLE,
			    "database %s: %s (%u); is the server running? (./dev up, or systemctl status mariadb)",
			    db->socket ? db->socket : db->host, mysql_error(mysql), mysql_errno(mysql));
		mysql_close(mysql);
		return KONTOR_E_UNAVAILABLE;
	}
	if (!db->socket)
		notice_silence(mysql);
	conn->mysql = mysql;
	conn->lost = false;
	return 0;
}

void session_disconnect(kontor_conn *conn)
{
	if (conn->stream)
		rows_abandon(conn->stream);
	conn->stream = NULL;
	statements_close(conn);
	if (conn->mysql)
		mysql_close(conn->mysql);
	conn->mysql = NULL;
}

int session_ready(kontor_conn *conn, struct kontor_error *err)
{
	conn->last_errno = 0;
	if (conn->stream)
		return kontor_fail(
			err, KONTOR_E_INTERNAL,
			"database: a streaming read is open on this session: close it before the next statement");
	if (conn->in_transaction) {
		if (conn->doom.code)
			return kontor_fail(err, conn->doom.code, "%s", conn->doom.message);
		return 0;
	}
	return conn->lost || !conn->mysql ? session_connect(conn, err) : 0;
}

/* ---- errors ---- */

bool session_error_means_lost(unsigned number)
{
	switch (number) {
	case CR_CONNECTION_ERROR:
	case CR_CONN_HOST_ERROR:
	case CR_SERVER_GONE_ERROR:
	case CR_SERVER_LOST:
	case CR_SERVER_LOST_EXTENDED:
	case CR_COMMANDS_OUT_OF_SYNC:
	case CR_MALFORMED_PACKET:
	case ER_SERVER_SHUTDOWN:
	case ER_CONNECTION_KILLED:
	case ER_NORMAL_SHUTDOWN:
	case ER_NET_READ_ERROR:
	case ER_NET_READ_INTERRUPTED:
	case ER_NET_ERROR_ON_WRITE:
	case ER_NET_WRITE_INTERRUPTED:
		return true;
	default:
		return false;
	}
}

bool session_error_means_rerun(unsigned number)
{
	/* 1205 rolls back only the statement: a later COMMIT stored half of a transaction in a test. 1047: a Galera
	 * node that is not part of the cluster. 1020: the row changed under a snapshot. */
	return number == ER_LOCK_DEADLOCK || number == ER_LOCK_WAIT_TIMEOUT || number == ER_UNKNOWN_COM_ERROR ||
	       number == ER_CHECKREAD;
}

/* Nobody's fault and nothing was done: there is room again when somebody has made some, so a job must not die of it. */
static bool means_full(unsigned number)
{
	return number == ER_RECORD_FILE_FULL || number == ER_DISK_FULL;
}

/* As long as somebody keeps it so: a failover, or an upgrade of the server. */
static bool means_read_only(unsigned number)
{
	return number == ER_OPTION_PREVENTS_STATEMENT || number == ER_READ_ONLY_MODE;
}

/* The first words of a statement, blanks squeezed. */
static const char *statement_label(const char *sql, char *label, size_t size)
{
	size_t length = 0;
	for (const char *c = sql; *c && length + 4 < size; c++) {
		bool blank = isspace((unsigned char)*c);
		if (blank && (length == 0 || label[length - 1] == ' '))
			continue;
		label[length++] = blank ? ' ' : *c;
	}
	label[length] = '\0';
	if (strlen(sql) > length)
		snprintf(label + length, size - length, "...");
	return label;
}

/* "Duplicate entry 'x' for key 'k'": the key's name without the values, which may be somebody's account. */
static void duplicate_key_name(const char *message, char *ret_name, size_t size)
{
	static const char before[] = "for key '";
	const char *last = NULL;
	for (const char *found = strstr(message, before); found; found = strstr(found + 1, before))
		last = found;
	snprintf(ret_name, size, "%s", last ? last + sizeof(before) - 1 : "?");
	ret_name[strcspn(ret_name, "'")] = '\0';
}

/* These messages of the server quote values of rows or parameters. */
static bool message_quotes_values(unsigned number)
{
	return number == ER_TRUNCATED_WRONG_VALUE || number == ER_TRUNCATED_WRONG_VALUE_FOR_FIELD ||
	       number == ER_WRONG_VALUE_FOR_TYPE || number == ER_DATA_OUT_OF_RANGE || number == ER_WRONG_VALUE ||
	       number == ER_NO_PARTITION_FOR_GIVEN_VALUE || number == ER_DUP_ENTRY_WITH_KEY_NAME;
}

static int fail_by_number(unsigned number, const char *message, const char *sql, struct kontor_error *err)
{
	char label[LABEL_SIZE], key[LABEL_SIZE];
	statement_label(sql, label, sizeof(label));
	if (number == ER_DUP_ENTRY) {
		duplicate_key_name(message, key, sizeof(key));
		return kontor_fail(err, KONTOR_E_CONFLICT, "database: duplicate key %s in `%s`", key, label);
	}
	int code = KONTOR_E_STORAGE;
	if (session_error_means_lost(number) || number == ER_UNKNOWN_COM_ERROR || number == ER_CON_COUNT_ERROR)
		code = KONTOR_E_UNAVAILABLE;
	if (means_full(number))
		return kontor_fail(err, KONTOR_E_UNAVAILABLE,
				   "database: `%s`: its disk is full, make room there: %s (error %u)", label, message,
				   number);
	if (means_read_only(number))
		return kontor_fail(err, KONTOR_E_UNAVAILABLE,
				   "database: `%s`: the server takes no changes now, see its read_only: %s (error %u)",
				   label, message, number);
	if (message_quotes_values(number))
		return kontor_fail(err, code, "database: `%s`: a value does not fit its column (error %u)", label,
				   number);
	return kontor_fail(err, code, "database: `%s`: %s (error %u)", label, message, number);
}

int session_failed(kontor_conn *conn, unsigned number, const char *message, const char *sql, struct kontor_error *err)
{
	struct kontor_error failure = KONTOR_ERROR_INIT;
	fail_by_number(number, message, sql, &failure);
	bool lost = session_error_means_lost(number);
	conn->last_errno = number;
	conn->lost = conn->lost || lost;
	if (conn->in_transaction && (lost || session_error_means_rerun(number))) {
		conn->rerun = true;
		session_doom(conn, failure.code, failure.message);
	}
	return kontor_fail(err, failure.code, "%s", failure.message);
}

void session_doom(kontor_conn *conn, int code, const char *message)
{
	if (conn->in_transaction && !conn->doom.code)
		kontor_fail(&conn->doom, code, "%s", message);
}

unsigned kontor_db_errno(const kontor_conn *conn)
{
	return conn->last_errno;
}

/* ---- acquiring and releasing ---- */

/* A server that closed the session left an end of file (or a farewell packet) in the socket. */
static bool socket_is_quiet(kontor_conn *conn)
{
	struct pollfd fd = {.fd = mysql_get_socket(conn->mysql), .events = POLLIN};
	return poll(&fd, 1, 0) == 0;
}

static bool session_answers(kontor_conn *conn)
{
	if (!conn->mysql || conn->lost || !socket_is_quiet(conn))
		return false;
	if (kontor_monotonic_ms() - conn->idle_since_ms < PING_AFTER_MS)
		return true;
	return mysql_ping(conn->mysql) == 0;
}

static int take_session(kontor_db *db, kontor_conn **ret_conn, struct kontor_error *err)
{
	pthread_mutex_lock(&db->lock);
	kontor_conn *conn = db->idle;
	if (conn)
		db->idle = conn->next_idle;
	pthread_mutex_unlock(&db->lock);
	if (!conn)
		conn = calloc(1, sizeof(*conn));
	if (!conn)
		return kontor_fail(err, KONTOR_E_INTERNAL, "database: out of memory");
	conn->db = db;
	conn->next_idle = NULL;
	if (!session_answers(conn)) {
		int rc = session_connect(conn, err);
		if (rc) {
			conn_free(conn);
			return rc;
		}
	}
	conn->last_errno = 0;
	*ret_conn = conn;
	return 0;
}

int kontor_db_acquire(kontor_db *db, kontor_conn **ret_conn, struct kontor_error *err)
{
	struct session_ticket ticket = {NULL, false};
	int rc = session_quota_take(&ticket, err);
	if (rc)
		return rc;
	rc = take_session(db, ret_conn, err);
	if (rc)
		session_quota_give_back(&ticket);
	else
		(*ret_conn)->ticket = ticket;
	return rc;
}

void kontor_db_release(kontor_conn *conn)
{
	if (!conn)
		return;
	session_quota_give_back(&conn->ticket);
	/* Whoever left a stream or a transaction open has failed: closing the connection rolls back on the server too.
	 */
	if (conn->stream || conn->in_transaction || conn->lost || !conn->mysql) {
		conn_free(conn);
		return;
	}
	kontor_db *db = conn->db;
	conn->before_commit = NULL;
	conn->idle_since_ms = kontor_monotonic_ms();
	pthread_mutex_lock(&db->lock);
	conn->next_idle = db->idle;
	db->idle = conn;
	pthread_mutex_unlock(&db->lock);
}
