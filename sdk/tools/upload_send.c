/* SPDX-License-Identifier: Apache-2.0 */
#include "upload_send.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "interrupt.h"
#include "kontor/text.h"
#include "progress.h"
#include "source.h"

#define PIECE_SIZE (1u << 20)
#define SHA256_SIZE 32

/* One upload under way. */
struct sending {
	struct cli *cli;
	struct source *source;
	EVP_MD_CTX *hash; /* over the bytes that were read from the start */
	uint8_t sha256[SHA256_SIZE];
	bool hashed; /* sha256 and bytes are known before sending */
	uint64_t bytes;
	uint64_t upload_id;
	unsigned char *piece;
	struct progress progress;
	char advice[192]; /* how the same command goes on, once this one is broken off */
};

static int out_of_memory(void)
{
	complain("out of memory");
	return EXIT_REFUSED;
}

/* Reads the input to its end. */
static int hash_input(struct sending *s)
{
	size_t got = 1;
	progress_begin(&s->progress, "reading", "B");
	EVP_DigestInit_ex(s->hash, EVP_sha256(), NULL);
	while (got > 0) {
		int code = source_read(s->source, s->piece, PIECE_SIZE, &got);
		if (code != EXIT_DONE)
			return code;
		EVP_DigestUpdate(s->hash, s->piece, got);
		progress_show(&s->progress, source_offset(s->source), source_size(s->source), NULL);
	}
	progress_end(&s->progress);
	s->bytes = source_offset(s->source);
	s->hashed = true;
	EVP_DigestFinal_ex(s->hash, s->sha256, NULL);
	return EXIT_DONE;
}

/* Before sending: a file's hash finds the same bytes, sent before or half sent. */
static int hash_file(struct sending *s)
{
	int code = source_is_stream(s->source) ? EXIT_DONE : hash_input(s);
	return code == EXIT_DONE && s->hashed ? source_seek(s->source, 0) : code;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static int begin(struct sending *s, const struct command_line *line, kontor_body **ret_reply)
{
	kontor_writer *args = new_args();
	command_line_put(line, args);
	if (!source_is_stdin(s->source))
		kontor_put_string(args, "name", base_name(command_line_value(line, "FILE")));
	if (s->hashed) {
		kontor_put_bytes(args, "sha256", s->sha256, sizeof(s->sha256));
		kontor_put_uint(args, "bytes", s->bytes);
	}
	kontor_write_end(args);
	int code = call_changing(s->cli, "upload.begin", args, ret_reply);
	kontor_writer_free(args);
	return code;
}

/* Sends one piece; *ret_offset: where the unit wants to go on. */
static int send_piece(struct sending *s, uint64_t offset, size_t size, uint64_t *ret_offset)
{
	kontor_body *reply = NULL;
	kontor_writer *args = new_args();
	kontor_put_uint(args, "upload_id", s->upload_id);
	kontor_put_uint(args, "offset", offset);
	kontor_put_bytes(args, "data", s->piece, size);
	kontor_write_end(args);
	int code = call_changing(s->cli, "upload.piece", args, &reply);
	kontor_writer_free(args);
	if (code == EXIT_DONE)
		*ret_offset = kontor_get_uint(kontor_body_map(reply), "offset", offset + size);
	kontor_body_free(reply);
	return code;
}

/* A stream is hashed along the way, also what an earlier command has sent of it. */
static int pass_sent(struct sending *s, uint64_t offset)
{
	while (source_offset(s->source) < offset) {
		uint64_t left = offset - source_offset(s->source);
		size_t size = 0;
		int code = source_read(s->source, s->piece, left < PIECE_SIZE ? (size_t)left : PIECE_SIZE, &size);
		if (code != EXIT_DONE)
			return code;
		if (size == 0) {
			complain("the input ends after %llu bytes, but upload %llu has %llu of it: it is another one",
				 (unsigned long long)source_offset(s->source), (unsigned long long)s->upload_id,
				 (unsigned long long)offset);
			return EXIT_REFUSED;
		}
		EVP_DigestUpdate(s->hash, s->piece, size);
	}
	return EXIT_DONE;
}

static int go_to(struct sending *s, uint64_t offset)
{
	if (!source_is_stream(s->source))
		return source_seek(s->source, offset);
	EVP_DigestInit_ex(s->hash, EVP_sha256(), NULL);
	return pass_sent(s, offset);
}

/* Where the unit wants to go on after a piece: behind it, unless an acknowledgement was lost. */
static int check_next(struct sending *s, uint64_t offset, size_t size, uint64_t next)
{
	uint64_t sent = offset + size;
	if (next == sent)
		return EXIT_DONE;
	if (next > offset && !source_is_stream(s->source))
		return source_seek(s->source, next);
	complain("upload %llu: the unit goes on at byte %llu, although it had acknowledged %llu",
		 (unsigned long long)s->upload_id, (unsigned long long)next, (unsigned long long)sent);
	return EXIT_REFUSED;
}

/* Sends from the offset to the end. */
static int send_pieces(struct sending *s, uint64_t offset)
{
	progress_begin(&s->progress, "sending", "B");
	int code = go_to(s, offset);
	while (code == EXIT_DONE) {
		size_t size = 0;
		uint64_t next = 0;
		offset = source_offset(s->source);
		code = source_read(s->source, s->piece, PIECE_SIZE, &size);
		if (code != EXIT_DONE || size == 0)
			break;
		if (!s->hashed)
			EVP_DigestUpdate(s->hash, s->piece, size);
		code = send_piece(s, offset, size, &next);
		if (code == EXIT_DONE)
			code = check_next(s, offset, size, next);
		progress_show(&s->progress, next, s->bytes, NULL);
	}
	progress_end(&s->progress);
	if (code == EXIT_DONE && !s->hashed) {
		s->bytes = source_offset(s->source);
		EVP_DigestFinal_ex(s->hash, s->sha256, NULL);
	}
	return code;
}

/* One that was begun otherwise is another upload: its row says of what, where and what for. */
static int check_same_command(const msgpack_object *upload, const struct command_line *line)
{
	char kind[40], region[8];
	unsigned long long upload_id = kontor_get_uint(upload, "upload_id", 0);
	bool dry_run = kontor_get_bool(upload, "dry_run", false);
	kontor_get_string(upload, "kind", kind, sizeof(kind));
	kontor_get_string(upload, "region", region, sizeof(region));
	if (strcmp(kind, command_line_value(line, "--kind")) != 0 ||
	    strcmp(region, command_line_value(line, "--region")) != 0) {
		complain("upload %llu was begun with --kind %s --region %s: only the same command goes on with it",
			 upload_id, kind, region);
		return EXIT_REFUSED;
	}
	if (dry_run != command_line_flag(line, "--dry-run")) {
		complain("upload %llu was begun %s --dry-run: only the same command goes on with it", upload_id,
			 dry_run ? "with" : "without");
		return EXIT_REFUSED;
	}
	return EXIT_DONE;
}

/* Told before the first byte: bytes of two files in one upload would be of no use. */
static int check_same_file(const struct sending *s, const msgpack_object *upload)
{
	char announced[2 * SHA256_SIZE + 1], hex[2 * SHA256_SIZE + 1];
	kontor_get_string(upload, "sha256", announced, sizeof(announced));
	if (!s->hashed || !announced[0] || strcmp(announced, kontor_hex(s->sha256, SHA256_SIZE, hex)) == 0)
		return EXIT_DONE;
	complain("upload %llu was begun with another file (its SHA-256 differs), or the file was changed; without "
		 "--resume it becomes an upload of its own",
		 (unsigned long long)kontor_get_uint(upload, "upload_id", 0));
	return EXIT_REFUSED;
}

static void take_answer(struct upload_sent *ret, kontor_body *answer)
{
	const msgpack_object *map = kontor_body_map(answer);
	kontor_body_free(ret->body);
	ret->body = answer;
	ret->upload_id = kontor_get_uint(map, "upload_id", ret->upload_id);
	ret->job_id = kontor_get_uint(map, "job_id", 0);
	ret->repeated = kontor_get_bool(map, "repeated", false);
}

/* Nothing is missing of it: its file, and so what became of it, is what was asked for. */
static int take_finished(struct sending *s, const struct upload_sent *ret)
{
	const msgpack_object *upload = kontor_body_map(ret->body);
	char state[24], why[512];
	kontor_get_string(upload, "state", state, sizeof(state));
	kontor_get_string(upload, "error", why, sizeof(why));
	if (!ret->job_id || strcmp(state, "cancelled") == 0 || strcmp(state, "refused") == 0 ||
	    strcmp(state, "failed") == 0) {
		complain("upload %llu is %s, no row of it counts (without --resume the file becomes another "
			 "upload)%s%s",
			 (unsigned long long)ret->upload_id, state, why[0] ? ": " : "", why);
		return EXIT_REFUSED;
	}
	int code = s->hashed ? EXIT_DONE : hash_input(s);
	return code == EXIT_DONE ? check_same_file(s, upload) : code;
}

/* --resume: the upload's own row says how far it is. */
static int find_broken_off(struct sending *s, const struct command_line *line, uint64_t upload_id,
			   struct upload_sent *ret, uint64_t *ret_offset)
{
	kontor_body *upload = NULL;
	kontor_writer *args = new_args();
	kontor_put_uint(args, "upload_id", upload_id);
	kontor_write_end(args);
	int code = call_reading(s->cli, "upload.get", args, &upload);
	kontor_writer_free(args);
	if (code != EXIT_DONE)
		return code;
	char state[24];
	take_answer(ret, upload);
	*ret_offset = kontor_get_uint(kontor_body_map(upload), "received_bytes", 0);
	kontor_get_string(kontor_body_map(upload), "state", state, sizeof(state));
	code = check_same_command(kontor_body_map(upload), line);
	if (code != EXIT_DONE)
		return code;
	ret->repeated = strcmp(state, "receiving") != 0;
	return ret->repeated ? take_finished(s, ret) : check_same_file(s, kontor_body_map(upload));
}

static int finish(struct sending *s, kontor_body **ret_reply)
{
	kontor_writer *args = new_args();
	kontor_put_uint(args, "upload_id", s->upload_id);
	kontor_put_uint(args, "bytes", s->bytes);
	kontor_put_bytes(args, "sha256", s->sha256, sizeof(s->sha256));
	kontor_write_end(args);
	int code = call_changing(s->cli, "upload.finish", args, ret_reply);
	kontor_writer_free(args);
	return code;
}

/* A new upload, or one that is known. *ret_offset: what it has of the file. */
static int announce(struct sending *s, const struct command_line *line, struct upload_sent *ret, uint64_t *ret_offset)
{
	const char *resume = command_line_value(line, "--resume");
	uint64_t upload_id = 0;
	if (resume && kontor_parse_id(kontor_text_of(resume), &upload_id))
		return find_broken_off(s, line, upload_id, ret, ret_offset);
	kontor_body *answer = NULL;
	int code = begin(s, line, &answer);
	if (code != EXIT_DONE)
		return code;
	take_answer(ret, answer);
	*ret_offset = kontor_get_uint(kontor_body_map(answer), "offset", 0);
	return EXIT_DONE;
}

/* What is said when this command is broken off, by whatever. While it sends, the upload is found by the file's bytes.
 */
static void advise_sending(struct sending *s)
{
	if (source_is_stream(s->source))
		snprintf(s->advice, sizeof(s->advice),
			 "what was sent is kept: the same command with --resume %llu and the same input goes on there",
			 (unsigned long long)s->upload_id);
	else
		snprintf(s->advice, sizeof(s->advice), "what was sent is kept: the same command goes on there");
	s->cli->when_unknown = s->advice;
	interrupt_says("\nkontor: %s\n", s->advice);
}

/* From here on it may have become a job, and the same bytes another upload: of rules and payees they may be meant. */
static void advise_finishing(struct sending *s)
{
	snprintf(s->advice, sizeof(s->advice),
		 "the same command with --resume %llu%s finds out what became of it, and does nothing twice",
		 (unsigned long long)s->upload_id, source_is_stream(s->source) ? " and the same input" : "");
	s->cli->when_unknown = s->advice;
	interrupt_says("\nkontor: %s\n", s->advice);
}

static int send_file(struct sending *s, const struct command_line *line, struct upload_sent *ret)
{
	kontor_body *answer = NULL;
	uint64_t offset = 0;
	int code = hash_file(s);
	if (code == EXIT_DONE)
		code = announce(s, line, ret, &offset);
	if (code != EXIT_DONE || ret->repeated || ret->job_id)
		return code;
	s->upload_id = ret->upload_id;
	advise_sending(s);
	code = send_pieces(s, offset);
	if (code == EXIT_DONE) {
		advise_finishing(s);
		code = finish(s, &answer);
	}
	if (code == EXIT_DONE)
		take_answer(ret, answer);
	else if (code != EXIT_REFUSED && code != EXIT_UNKNOWN)
		complain("%s", s->advice); /* an unknown outcome has said it; a refusal would be the same again */
	s->cli->when_unknown = NULL;       /* it points into s; what follows only reads */
	return code;
}

int upload_send(struct cli *cli, const struct command_line *line, struct upload_sent *ret)
{
	struct sending s = {.cli = cli, .hash = EVP_MD_CTX_new(), .piece = malloc(PIECE_SIZE)};
	*ret = (struct upload_sent){0};
	int code = s.hash && s.piece ? source_open(command_line_value(line, "FILE"), &s.source) : out_of_memory();
	if (code == EXIT_DONE)
		code = send_file(&s, line, ret);
	progress_end(&s.progress);
	source_close(s.source);
	free(s.piece);
	EVP_MD_CTX_free(s.hash);
	return code;
}
