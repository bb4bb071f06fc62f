/* SPDX-License-Identifier: Apache-2.0 */
#include "upload_send.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "progress.h"
#include "source.h"

#define PIECE_SIZE (1u << 20)
#define SHA256_SIZE 32

/* One upload under way. */
struct sending {
	struct cli *cli;
	struct source *source;
	EVP_MD_CTX *hash; /* over the plain bytes that were read from the start */
	uint8_t sha256[SHA256_SIZE];
	bool hashed; /* sha256 and bytes are known before sending */
	uint64_t bytes;
	uint64_t upload_id;
	unsigned char *piece;
	struct progress progress;
};

static int out_of_memory(void)
{
	complain("out of memory");
	return EXIT_REFUSED;
}

/* Reads the file once before sending: its hash finds the same bytes, sent before or half sent. */
static int hash_file(struct sending *s)
{
	size_t got = 1;
	progress_begin(&s->progress, "reading", "B");
	EVP_DigestInit_ex(s->hash, EVP_sha256(), NULL);
	while (got > 0) {
		int code = source_read(s->source, s->piece, PIECE_SIZE, &got);
		if (code != EXIT_DONE)
			return code;
		EVP_DigestUpdate(s->hash, s->piece, got);
		progress_show(&s->progress, source_file_read(s->source), source_file_size(s->source), NULL);
	}
	progress_end(&s->progress);
	s->bytes = source_offset(s->source);
	s->hashed = true;
	EVP_DigestFinal_ex(s->hash, s->sha256, NULL);
	return source_seek(s->source, 0);
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

/* Sends from the offset to the end. Without a hash it is computed along the way (stdin always begins at 0). */
static int send_pieces(struct sending *s, uint64_t offset)
{
	int code = source_seek(s->source, offset);
	progress_begin(&s->progress, "sending", "B");
	if (!s->hashed)
		EVP_DigestInit_ex(s->hash, EVP_sha256(), NULL);
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
		if (code == EXIT_DONE && next <= offset) {
			complain("upload %llu: the unit has only %llu bytes, but had acknowledged %llu",
				 (unsigned long long)s->upload_id, (unsigned long long)next,
				 (unsigned long long)offset);
			code = EXIT_REFUSED;
		} else if (code == EXIT_DONE && next != offset + size)
			code = source_seek(s->source, next);
		progress_show(&s->progress, next, s->bytes, NULL);
	}
	progress_end(&s->progress);
	if (code == EXIT_DONE && !s->hashed) {
		s->bytes = source_offset(s->source);
		EVP_DigestFinal_ex(s->hash, s->sha256, NULL);
	}
	return code;
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

static void take_answer(struct upload_sent *ret, kontor_body *answer)
{
	const msgpack_object *map = kontor_body_map(answer);
	kontor_body_free(ret->body);
	ret->body = answer;
	ret->upload_id = kontor_get_uint(map, "upload_id", ret->upload_id);
	ret->job_id = kontor_get_uint(map, "job_id", 0);
	ret->repeated = kontor_get_bool(map, "repeated", false);
}

static int send_file(struct sending *s, const struct command_line *line, struct upload_sent *ret)
{
	kontor_body *answer = NULL;
	int code = source_is_stdin(s->source) ? EXIT_DONE : hash_file(s);
	if (code == EXIT_DONE)
		code = begin(s, line, &answer);
	if (code != EXIT_DONE)
		return code;
	take_answer(ret, answer);
	s->upload_id = ret->upload_id;
	if (ret->repeated || ret->job_id)
		return EXIT_DONE;
	code = send_pieces(s, kontor_get_uint(kontor_body_map(ret->body), "offset", 0));
	if (code == EXIT_DONE)
		code = finish(s, &answer);
	if (code == EXIT_DONE)
		take_answer(ret, answer);
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
