/* SPDX-License-Identifier: Apache-2.0
 *
 * One configuration file through libconfuse.
 *
 * libconfuse stops at the first option that its table does not know, but which keys exist is known only after the
 * plugins that the files name are loaded, and `--check` has to report every error. So the table starts with the blocks
 * alone, each unknown name is added to it as a list of strings, and the text is parsed again until nothing new turns
 * up; types, ranges and unknown keys are judged later by the conf rows. libconfuse also accepts a block that the
 * end of the file leaves open: a last option put behind the text shows in which block the parser stood there.
 */
#include "config.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kontor/text.h"

#define NAMES_LIMIT 256u /* different keys in one file */
static const char end_mark[] = "__end_of_file";

const char *const config_block_names[CONFIG_BLOCKS] = {"database", "datacenter", "service", "plugin",  "lane",
						       "region",   "currency",   "user",    "profile", "fault"};

enum form { FORM_OPTION, FORM_TITLED_BLOCK, FORM_BLOCK };

struct name {
	const char *section, *key; /* section "" = top level */
	enum form form;
	unsigned line; /* where it was seen first */
};

struct parse {
	struct config *config;
	const char *file;
	struct name names[NAMES_LIMIT];
	size_t names_len;
	bool again;  /* a name was learned: parse once more */
	bool failed; /* an error that ends this file has been reported */
};

/* libconfuse's callbacks carry no argument; configuration is read by one thread. */
static struct parse *current;

static const char *section_of(const cfg_t *cfg)
{
	return strcmp(cfg->name, "root") == 0 ? "" : cfg->name;
}

static struct name *find_name(struct parse *parse, const char *section, const char *key)
{
	for (size_t i = 0; i < parse->names_len; i++)
		if (strcmp(parse->names[i].section, section) == 0 && strcmp(parse->names[i].key, key) == 0)
			return &parse->names[i];
	return NULL;
}

static void learn(struct parse *parse, const cfg_t *cfg, const char *key)
{
	if (parse->names_len == NAMES_LIMIT || find_name(parse, section_of(cfg), key)) {
		config_problem(parse->config, parse->file, (unsigned)cfg->line, "cannot read option '%s'", key);
		parse->failed = true;
		return;
	}
	parse->names[parse->names_len++] =
		(struct name){config_copy(parse->config, section_of(cfg)), config_copy(parse->config, key), FORM_OPTION,
			      (unsigned)cfg->line};
	parse->again = true;
}

/* A name that is no option after all: `name "title" {` or `name {`. False: it was not learned, or is no block either.
 */
static bool widen(struct parse *parse, const cfg_t *cfg, const char *key, enum form from)
{
	struct name *name = section_of(cfg)[0] ? NULL : find_name(parse, "", key);
	if (!name || name->form != from)
		return false;
	name->form++;
	parse->again = true;
	return true;
}

/* The name of a block that is used as an option: `datacenter = "dev"` beside `datacenter "dev" { ... }`. */
static bool narrow(struct parse *parse, const cfg_t *cfg, const char *key)
{
	if (section_of(cfg)[0] || find_name(parse, "", key))
		return false;
	learn(parse, cfg, key);
	return true;
}

__attribute__((nonnull)) static void on_error(cfg_t *cfg, const char *format, va_list args)
{
	struct parse *parse = current;
	if (parse->failed || parse->again)
		return; /* what follows the first one comes from giving up */
	char text[256];
	va_list copy;
	va_copy(copy, args);
	vsnprintf(text, sizeof(text), format, copy);
	va_end(copy);
	const char *name = strstr(format, "'%s'") ? va_arg(args, const char *) : "";
	if (strcmp(format, "no such option '%s'") == 0) {
		learn(parse, cfg, name);
		return;
	}
	if (strcmp(format, "missing equal sign after option '%s'") == 0 && widen(parse, cfg, name, FORM_OPTION))
		return;
	if (strcmp(format, "missing title for section '%s'") == 0 &&
	    (widen(parse, cfg, name, FORM_TITLED_BLOCK) || narrow(parse, cfg, name)))
		return;
	unsigned line = (unsigned)cfg->line;
	const struct name *known = find_name(parse, "", name);
	if (strcmp(name, "include") == 0)
		snprintf(text, sizeof(text), "there is no 'include': files *.conf in conf.d/ are read by themselves");
	else if (strncmp(format, "found duplicate title", 21) == 0)
		snprintf(text, sizeof(text),
			 "a block \"%s\" stands in this file already: write all its options into one", name);
	else if (strcmp(format, "unexpected closing brace") == 0)
		snprintf(text, sizeof(text), "this '}' closes no block: remove it, or write the '{' that is missing");
	else if (strcmp(format, "missing opening brace for section '%s'") == 0 && known) {
		snprintf(text, sizeof(text), "'%s' needs '= value' (an option) or '{' (a block) after it", name);
		line = known->line;
	} else if (strcmp(name, end_mark) == 0) {
		snprintf(text, sizeof(text), "the file ends in the middle of something: is a '}' missing?");
		line--;
	}
	config_problem(parse->config, parse->file, line, "%s", text);
	parse->failed = true;
}

static void at_end(struct parse *parse, const cfg_t *cfg)
{
	if (!section_of(cfg)[0])
		return;
	config_problem(parse->config, parse->file, (unsigned)cfg->line - 1,
		       "the block %s%s%s%s is still open at the end of the file: '}' is missing", cfg->name,
		       cfg->title ? " \"" : "", cfg->title ? cfg->title : "", cfg->title ? "\"" : "");
	parse->failed = true;
}

/* libconfuse calls this for each value, with the line that it stands on. */
static int on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	struct parse *parse = current;
	struct config *config = parse->config;
	*(const char **)result = value;
	if (strcmp(opt->name, end_mark) == 0) {
		at_end(parse, cfg);
		return 0;
	}
	const char *section = section_of(cfg), *title = cfg->title ? cfg->title : "";
	struct config_setting *set = NULL;
	for (size_t i = config->settings_len; i-- > 0 && config->settings[i].file == parse->file && !set;)
		if (strcmp(config->settings[i].key, opt->name) == 0 &&
		    strcmp(config->settings[i].section, section) == 0 && strcmp(config->settings[i].title, title) == 0)
			set = &config->settings[i];
	if (set && opt->nvalues == 1) /* the first value of another assignment */
		config_problem(config, parse->file, (unsigned)cfg->line,
			       "'%s' is set twice in this file, first in line %u: leave one out", opt->name, set->line);
	if (!set || opt->nvalues == 1) {
		struct config_setting fresh = {
			.section = config_copy(config, section),
			.title = config_copy(config, title),
			.key = config_copy(config, opt->name),
			.file = parse->file,
			.line = (unsigned)cfg->line,
			.layer = config->layer,
		};
		config_add_setting(config, &fresh);
		set = &config->settings[config->settings_len - 1];
	}
	const char **values = config_alloc(config, (set->values_len + 1) * sizeof(char *));
	if (set->values_len)
		memcpy(values, set->values, set->values_len * sizeof(char *));
	values[set->values_len++] = config_copy(config, value);
	set->values = values;
	return 0;
}

/* After the closing brace of a block. A name that means nothing is reported where it stands first. */
static int on_block(cfg_t *cfg, cfg_opt_t *opt)
{
	struct config *config = current->config;
	const cfg_t *block = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
	const struct name *learned = find_name(current, "", opt->name);
	config_add_block(config, config_copy(config, opt->name), config_copy(config, block->title ? block->title : ""),
			 current->file, learned ? learned->line : (unsigned)cfg->line);
	return 0;
}

/* The options known so far of one section, the end mark, and CFG_END. */
static size_t add_options(const struct parse *parse, const char *section, cfg_opt_t *table)
{
	size_t len = 0;
	for (size_t i = 0; i < parse->names_len; i++)
		if (parse->names[i].form == FORM_OPTION && strcmp(parse->names[i].section, section) == 0)
			table[len++] = (cfg_opt_t)CFG_STR_LIST_CB(parse->names[i].key, 0, CFGF_NONE, on_value);
	table[len++] = (cfg_opt_t)CFG_STR_LIST_CB(end_mark, 0, CFGF_NONE, on_value);
	return len;
}

static void add_block(struct config *config, const struct parse *parse, const char *name, enum form form,
		      cfg_opt_t *slot)
{
	cfg_opt_t *options = config_alloc(config, (NAMES_LIMIT + 2) * sizeof(*options));
	size_t len = add_options(parse, name, options);
	options[len] = (cfg_opt_t)CFG_END();
	cfg_flag_t titled = form == FORM_TITLED_BLOCK ? CFGF_TITLE | CFGF_NO_TITLE_DUPES : CFGF_NONE;
	*slot = (cfg_opt_t)CFG_SEC(name, options, CFGF_MULTI | titled);
	slot->validcb = on_block;
}

/* One pass over the text with the names known so far. */
static void parse_once(struct parse *parse, const char *text)
{
	struct config *scratch = config_new(); /* owns this pass's tables */
	cfg_opt_t *table = config_alloc(scratch, (CONFIG_BLOCKS + NAMES_LIMIT + 2) * sizeof(*table));
	size_t len = add_options(parse, "", table);
	for (size_t i = 0; i < CONFIG_BLOCKS; i++)
		if (!find_name(parse, "", config_block_names[i]))
			add_block(scratch, parse, config_block_names[i], FORM_TITLED_BLOCK, &table[len++]);
	for (size_t i = 0; i < parse->names_len; i++)
		if (parse->names[i].form != FORM_OPTION)
			add_block(scratch, parse, parse->names[i].key, parse->names[i].form, &table[len++]);
	table[len] = (cfg_opt_t)CFG_END();
	cfg_t *cfg = cfg_init(table, CFGF_NONE);
	cfg_set_error_function(cfg, on_error);
	int rc = cfg_parse_buf(cfg, text);
	if (rc != CFG_SUCCESS && !parse->failed && !parse->again) {
		config_problem(parse->config, parse->file, (unsigned)cfg->line, "cannot be read from here on");
		parse->failed = true;
	}
	cfg_free(cfg);
	config_free(scratch);
}

/* The first line that is no UTF-8, or has a NUL byte. */
static unsigned line_of_no_text(const char *text, size_t length)
{
	unsigned line = 1;
	for (size_t begin = 0, end; begin < length; begin = end + 1, line++) {
		const char *newline = memchr(text + begin, '\n', length - begin);
		end = newline ? (size_t)(newline - text) : length;
		if (memchr(text + begin, 0, end - begin) ||
		    !kontor_text_utf8((struct kontor_text){text + begin, end - begin}))
			break;
	}
	return line;
}

/* The whole file with the end mark behind it; NULL after a problem. */
static char *read_text(struct config *config, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0) {
		config_problem(config, path, 0, "cannot be read: %s: %s", strerror(errno),
			       errno == ENOENT ? "make it, or name its folder with --conf"
					       : "give the unit's user the right to read it");
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > (off_t)CONFIG_FILE_LIMIT) {
		config_problem(config, path, 0, "is no regular file of at most 1 MiB: is it really a configuration?");
		close(fd);
		return NULL;
	}
	size_t size = (size_t)st.st_size, length = 0;
	size_t room = size + sizeof(end_mark) + sizeof("\n = 1\n");
	char *text = config_alloc(config, room);
	for (ssize_t n; length < size && (n = read(fd, text + length, size - length)) > 0;)
		length += (size_t)n;
	close(fd);
	if (length != size) {
		config_problem(config, path, 0, "changed while it was read: check again");
		return NULL;
	}
	if (memchr(text, 0, length) || !kontor_text_utf8((struct kontor_text){text, length})) {
		config_problem(config, path, line_of_no_text(text, length),
			       "is no UTF-8 text here: save the file as UTF-8, without NUL bytes");
		return NULL;
	}
	bool ended = length == 0 || text[length - 1] == '\n';
	snprintf(text + length, room - length, "%s%s = 1\n", ended ? "" : "\n", end_mark);
	return text;
}

/* ---- before libconfuse sees it ---- */

struct scan {
	struct config *config;
	const char *file;
	char *at;
	unsigned line;
	bool sound;
};

static void scan_problem(struct scan *scan, unsigned line, const char *message)
{
	config_problem(scan->config, scan->file, line, "%s", message);
	scan->sound = false;
}

/* Overwrites the comment at scan->at with blanks, up to but not including what ends a line comment. */
static void blank_comment(struct scan *scan)
{
	bool block = scan->at[0] == '/' && scan->at[1] == '*';
	unsigned begun = scan->line;
	const char *end = block ? strstr(scan->at + 2, "*/") : strchr(scan->at, '\n');
	if (!end) {
		scan_problem(scan, begun, "the comment that begins here is not closed: '*/' is missing");
		end = scan->at + strlen(scan->at);
	} else if (block) {
		end += 2;
	}
	for (; scan->at < end; scan->at++) {
		scan->line += *scan->at == '\n';
		if (*scan->at != '\n')
			*scan->at = ' ';
	}
}

static void skip_string(struct scan *scan)
{
	char quote = *scan->at++;
	unsigned begun = scan->line;
	for (; *scan->at && *scan->at != quote; scan->at++) {
		if (*scan->at == '\\' && scan->at[1])
			scan->at++;
		if (quote == '"' && scan->at[0] == '$' && scan->at[1] == '{')
			scan_problem(scan, scan->line, "'${...}' is not replaced here: write the value itself");
		scan->line += *scan->at == '\n';
	}
	if (*scan->at)
		scan->at++;
	else
		scan_problem(scan, begun, "the string that begins here is not closed: its second quote is missing");
}

/* libconfuse 3.3 counts one line too many for each comment, says nothing about a comment or string that stays open, and
 * would put environment variables in; a configuration must read the same whoever starts the unit. */
static bool prepare_text(struct config *config, const char *file, char *text)
{
	struct scan scan = {config, file, text, 1, true};
	bool word = false; /* inside an unquoted value, where // is no comment */
	while (*scan.at) {
		char c = scan.at[0], next = scan.at[1];
		if (c == '#' || (c == '/' && !word && (next == '/' || next == '*'))) {
			blank_comment(&scan);
			word = false;
		} else if (c == '"' || c == '\'') {
			skip_string(&scan);
			word = false;
		} else {
			if (c == '$' && next == '{')
				scan_problem(&scan, scan.line, "'${...}' is not replaced here: write the value itself");
			scan.line += c == '\n';
			word = !strchr(" \t\r\n={}()+,", c);
			scan.at++;
		}
	}
	return scan.sound;
}

void config_read_file(struct config *config, const char *path)
{
	const char *file = config_copy(config, path);
	char *text = read_text(config, file);
	if (!text || !prepare_text(config, file, text)) {
		config->unreadable = true;
		return;
	}
	struct parse parse = {.config = config, .file = file};
	current = &parse;
	size_t settings = config->settings_len, blocks = config->blocks_len, problems = config->problems_len;
	do {
		config->settings_len = settings;
		config->blocks_len = blocks;
		config->problems_len = problems;
		parse.again = false;
		parse_once(&parse, text);
	} while (parse.again && !parse.failed);
	current = NULL;
	config->unreadable |= parse.failed;
}
