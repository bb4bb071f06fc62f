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
#define ADDRESS_PROPERTY "Peer-Address"

/* The uid in a Peer-Address; -1 when there is none. */
static int64_t peer_uid(const char *address)
{
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

/* By the uid of the process at the other end of an ipc connection. NULL: nobody, and err says why. */
static const struct user_entry *find_by_uid(const struct unit_config *config, const char *address,
					    struct kontor_error *err)
{
	int64_t uid = peer_uid(address);
	const struct user_entry *self = unit_config_uid_user(config, uid);
	if (self)
		return self;
	if (uid >= 0)
		kontor_fail(err, KONTOR_E_DENIED, "uid %lld is no user here: add it to a user block of users.conf",
			    (long long)uid);
	else
		kontor_fail(err, KONTOR_E_DENIED, "this connection does not tell who calls");
	return NULL;
}

/* By the key that the ZAP handler let in. It may be gone by now. */
static const struct user_entry *find_by_key(const struct unit_config *config, const char *key, struct kontor_error *err)
{
	const struct user_entry *self = key ? unit_config_key_user(config, key) : NULL;
	if (!key)
		kontor_fail(err, KONTOR_E_DENIED, "this connection does not tell who calls");
	else if (!self)
		kontor_fail(err, KONTOR_E_DENIED, "the key %s %s", key,
			    unit_config_key_revoked(config, key)
				    ? "is revoked"
				    : "is no user's any more: add it to the user's keys in users.conf");
	return self;
}

static int become_caller(const struct unit_config *config, const struct user_entry *self, const char *claim,
			 struct kontor_user *user, struct kontor_error *err)
{
	if (self->roles & KONTOR_ROLE_UNIT) {
		identify_unit(config, self->name, self->roles, claim, user);
		return 0;
	}
	if (claim[0] && strcmp(claim, self->name) != 0)
		return identify_as(config, self, claim, user, err);
	become(user, self->name, self->roles, true);
	return 0;
}

_Static_assert(sizeof(((struct front_identity *)0)->claim) >= sizeof(((struct kontor_frame_header *)0)->caller),
	       "any caller of a header can be remembered");

/* The message is kept because it keeps its property where it is: no other connection's can come to lie there. A routing
 * id would not do: a peer chooses it, also one that was another's. */
static void remember(struct front_identity *identity, zmq_msg_t *message, const char *property, const char *claim,
		     const struct unit_config *config, const struct kontor_user *user)
{
	if (zmq_msg_copy(&identity->message, message) < 0)
		property = NULL;
	identity->property = property;
	identity->config = config;
	identity->user = *user;
	memcpy(identity->claim, claim, strlen(claim) + 1);
}

int front_identify(struct front *front, const struct caller *caller, zmq_msg_t *message,
		   const struct kontor_frame_header *header, struct kontor_user *user, struct kontor_error *err)
{
	const struct unit_config *config = front->unit->config;
	struct front_identity *identity = &front->identity;
	if (caller->inside) {
		identify_unit(config, front->unit->args->unit, KONTOR_ROLE_UNIT, header->caller, user);
		return 0;
	}
	bool network = caller->source == &front->network;
	const char *property = network             ? zmq_msg_gets(message, ZAP_KEY_PROPERTY)
			       : front->uid_proven ? zmq_msg_gets(message, ADDRESS_PROPERTY)
						   : NULL;
	if (property && property == identity->property && config == identity->config &&
	    strcmp(header->caller, identity->claim) == 0) {
		*user = identity->user;
		return 0;
	}
	become(user, "", 0, false);
	const struct user_entry *self =
		network ? find_by_key(config, property, err) : find_by_uid(config, property, err);
	int rc = self ? become_caller(config, self, header->caller, user, err) : KONTOR_E_DENIED;
	if (rc == 0 && property)
		remember(identity, message, property, header->caller, config, user);
	return rc;
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
		      peer_uid(zmq_msg_gets(&message, ADDRESS_PROPERTY)) == (int64_t)geteuid();
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
