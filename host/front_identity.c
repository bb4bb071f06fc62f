/* SPDX-License-Identifier: Apache-2.0
 *
 * Who calls. On ipc the kernel knows: libzmq 4.3.4 reports the peer as the message property Peer-Address =
 * "localhost:UID:GID:PID". On tcp the ZAP handler says which key came in (zap.h), and each request asks the
 * configuration in force whose it is, so that a key that is gone is refused at once. The header's `caller` is only a
 * claim: believed from units, and with approvals = trusted.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "front.h"
#include "kontor/log.h"
#include "zap.h"

#define SELF_TEST_MS 2000

/* The uid in a Peer-Address; -1 when there is none. */
static int64_t peer_uid(zmq_msg_t *message)
{
	const char *address = zmq_msg_gets(message, "Peer-Address");
	uint64_t uid;
	if (!address || strncmp(address, "localhost:", 10) != 0)
		return -1;
	struct kontor_text text = {address + 10, strcspn(address + 10, ":")};
	return kontor_parse_uint(text, &uid) && uid <= UINT32_MAX ? (int64_t)uid : -1;
}

static void become(struct kontor_user *user, const char *name, unsigned roles, bool verified)
{
	size_t length = strnlen(name, sizeof(user->name) - 1);
	memcpy(user->name, name, length);
	user->name[length] = '\0';
	user->roles = roles;
	user->verified = verified;
}

/* A unit speaks for itself, or acts for one of the users. */
static void identify_unit(const struct unit_config *config, const char *name, unsigned roles, const char *claim,
			  struct kontor_user *user)
{
	if (strcmp(claim, name) == 0)
		claim = "";
	const struct user_entry *named = claim[0] ? unit_config_user(config, claim) : NULL;
	if (named)
		become(user, named->name, named->roles, true);
	else if (claim[0])
		become(user, claim, KONTOR_ROLE_UNIT, true);
	else
		become(user, name, roles, true);
}

static int identify_as(const struct unit_config *config, const struct user_entry *self, const char *claim,
		       struct kontor_user *user, struct kontor_error *err)
{
	if (!unit_config_trusts(config))
		return kontor_fail(err, KONTOR_E_DENIED,
				   "user \"%s\" may not act as \"%s\": --as is believed only with approvals = trusted, "
				   "and other units of Kontor only with the role unit",
				   self->name, claim);
	const struct user_entry *named = unit_config_user(config, claim);
	if (!named)
		return kontor_fail(
			err, KONTOR_E_DENIED,
			"there is no user \"%s\" in users.conf to act as (another unit of Kontor needs the role unit)",
			claim);
	become(user, named->name, named->roles, false);
	return 0;
}

/* By the uid of the process at the other end of an ipc connection. */
static int find_by_uid(const struct front *front, const struct unit_config *config, zmq_msg_t *message,
		       const struct user_entry **ret_self, struct kontor_error *err)
{
	int64_t uid = front->uid_proven ? peer_uid(message) : -1;
	for (size_t i = 0; i < config->users_len && uid >= 0; i++)
		if (config->users[i].uid == uid) {
			*ret_self = &config->users[i];
			return 0;
		}
	if (uid >= 0)
		return kontor_fail(err, KONTOR_E_DENIED,
				   "uid %lld is no user here: add it to a user block of users.conf", (long long)uid);
	return kontor_fail(err, KONTOR_E_DENIED, "this connection does not tell who calls");
}

/* By the key that the ZAP handler let in. It may be gone by now. */
static int find_by_key(const struct unit_config *config, zmq_msg_t *message, const struct user_entry **ret_self,
		       struct kontor_error *err)
{
	const char *key = zmq_msg_gets(message, ZAP_KEY_PROPERTY);
	if (!key)
		return kontor_fail(err, KONTOR_E_DENIED, "this connection does not tell who calls");
	*ret_self = unit_config_key_user(config, key);
	if (*ret_self)
		return 0;
	return kontor_fail(err, KONTOR_E_DENIED, "the key %s %s", key,
			   unit_config_key_revoked(config, key)
				   ? "is revoked"
				   : "is no user's any more: add it to the user's keys in users.conf");
}

int front_identify(const struct front *front, const struct caller *caller, zmq_msg_t *message,
		   const struct kontor_frame_header *header, struct kontor_user *user, struct kontor_error *err)
{
	const struct unit_config *config = front->unit->config;
	const struct user_entry *self = NULL;
	become(user, "", 0, false);
	if (caller->inside) {
		identify_unit(config, front->unit->args->unit, KONTOR_ROLE_UNIT, header->caller, user);
		return 0;
	}
	int rc = caller->source == &front->network ? find_by_key(config, message, &self, err)
						   : find_by_uid(front, config, message, &self, err);
	if (rc)
		return rc;
	if (self->roles & KONTOR_ROLE_UNIT) {
		identify_unit(config, self->name, self->roles, header->caller, user);
		return 0;
	}
	if (header->caller[0] && strcmp(header->caller, self->name) != 0)
		return identify_as(config, self, header->caller, user, err);
	become(user, self->name, self->roles, true);
	return 0;
}

/* One message from a DEALER to a ROUTER of our own. */
static bool own_uid_arrives(void *router, void *dealer, const char *endpoint)
{
	zmq_setsockopt(router, ZMQ_LINGER, &(int){0}, sizeof(int));
	zmq_setsockopt(dealer, ZMQ_LINGER, &(int){0}, sizeof(int));
	zmq_setsockopt(router, ZMQ_RCVTIMEO, &(int){SELF_TEST_MS}, sizeof(int));
	if (zmq_bind(router, endpoint) < 0 || zmq_connect(dealer, endpoint) < 0 || zmq_send(dealer, "who", 3, 0) < 0)
		return false;
	zmq_msg_t route, message;
	zmq_msg_init(&route);
	zmq_msg_init(&message);
	bool proven = zmq_msg_recv(&route, router, 0) >= 0 && zmq_msg_recv(&message, router, 0) >= 0 &&
		      peer_uid(&message) == (int64_t)geteuid();
	zmq_msg_close(&route);
	zmq_msg_close(&message);
	return proven;
}

bool front_identity_proven(struct unit *unit)
{
	char endpoint[PATH_MAX];
	snprintf(endpoint, sizeof(endpoint), "ipc://%s/%s.try", unit->args->runtime_folder, unit->args->unit);
	mode_t before = umask(0177);
	void *router = zmq_socket(unit->zmq, ZMQ_ROUTER), *dealer = zmq_socket(unit->zmq, ZMQ_DEALER);
	bool proven = router && dealer && own_uid_arrives(router, dealer, endpoint);
	umask(before);
	unlink(endpoint + strlen("ipc://"));
	if (dealer)
		zmq_close(dealer);
	if (router)
		zmq_close(router);
	if (!proven)
		kontor_log(KONTOR_LOG_ERROR, "the uid of callers cannot be told", "effect=%s",
			   KONTOR_QUOTED("all calls over ipc are denied"));
	return proven;
}
