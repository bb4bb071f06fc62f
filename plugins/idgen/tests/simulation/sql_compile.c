/* SPDX-License-Identifier: Apache-2.0
 *
 * Recursive descent, one function for each level of precedence.
 */
#include "sql_compile.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define NOW "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)"
#define IDENTITY "SELECT IF(@@global.wsrep_on"

struct parser {
	struct sql_tables *tables;
	const char *sql, *at;
	struct sql_compiled *statement; /* whose columns are meant */
	size_t params;
};

static _Noreturn void fail(const struct parser *p, const char *why)
{
	sql_give_up(why, p->sql, p->at);
}

static void skip_blanks(struct parser *p)
{
	p->at += strspn(p->at, " \n\t");
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* A word, a sign, or several of them with one blank between each two. */
static bool take(struct parser *p, const char *what)
{
	size_t len = strlen(what);
	skip_blanks(p);
	if (strncmp(p->at, what, len) != 0 || (is_word(what[len - 1]) && is_word(p->at[len])))
		return false;
	p->at += len;
	return true;
}

static void expect(struct parser *p, const char *what)
{
	if (!take(p, what))
		fail(p, what);
}

static size_t take_name(struct parser *p, const char **ret_name)
{
	skip_blanks(p);
	size_t len = 0;
	while (is_word(p->at[len]))
		len++;
	if (!len || isdigit((unsigned char)p->at[0]))
		fail(p, "a name is missing");
	*ret_name = p->at;
	p->at += len;
	return len;
}

static struct sql_node *new_node(enum sql_operation operation)
{
	struct sql_node *node = calloc(1, sizeof(*node));
	node->operation = operation;
	return node;
}

/* ---- expressions ------------------------------------------------------------------------------------------------ */

static const struct sql_node *expression(struct parser *p);
static struct sql_compiled *select_statement(struct parser *p);

static void add_argument(struct parser *p, struct sql_node *node, const struct sql_node *argument)
{
	if (node->arguments_len == SQL_ARGUMENTS)
		fail(p, "too many arguments");
	node->arguments[node->arguments_len++] = argument;
}

static struct sql_node *two(struct parser *p, enum sql_operation operation, const struct sql_node *a,
			    const struct sql_node *b)
{
	struct sql_node *node = new_node(operation);
	add_argument(p, node, a);
	add_argument(p, node, b);
	return node;
}

static bool find_column(const struct sql_table *table, const char *name, size_t len, size_t *ret_column)
{
	for (size_t i = 0; table && i < table->columns_len; i++)
		if (strlen(table->columns[i].name) == len && memcmp(table->columns[i].name, name, len) == 0) {
			*ret_column = i;
			return true;
		}
	return false;
}

static struct sql_node *column(struct parser *p)
{
	const char *name, *alias = NULL;
	size_t len = take_name(p, &name), alias_len = 0;
	if (*p->at == '.') {
		p->at++;
		alias = name;
		alias_len = len;
		len = take_name(p, &name);
	}
	struct sql_node *node = new_node(SQL_OP_COLUMN);
	for (size_t i = 0; i < p->statement->sources_len; i++) {
		const struct sql_source *source = &p->statement->sources[i];
		if (alias && (source->alias_len != alias_len || memcmp(source->alias, alias, alias_len) != 0))
			continue;
		if (find_column(source->table, name, len, &node->column)) {
			node->source = i;
			return node;
		}
	}
	p->at = name;
	fail(p, "there is no such column");
}

static struct sql_node *arguments_of(struct parser *p, enum sql_operation operation)
{
	struct sql_node *node = new_node(operation);
	do
		add_argument(p, node, expression(p));
	while (take(p, ","));
	expect(p, ")");
	return node;
}

static struct sql_node *number(struct parser *p)
{
	struct sql_node *node = new_node(SQL_OP_VALUE);
	char *end;
	node->value = (struct sql_value){.type = SQL_NUMBER, .number = strtoll(p->at, &end, 10)};
	p->at = end;
	return node;
}

static struct sql_node *string(struct parser *p)
{
	struct sql_node *node = new_node(SQL_OP_VALUE);
	node->value = (struct sql_value){.type = SQL_STRING, .text = p->at, .size = strcspn(p->at, "'")};
	p->at += node->value.size;
	expect(p, "'");
	return node;
}

static struct sql_node *primary(struct parser *p)
{
	struct sql_node *node;
	skip_blanks(p);
	if (isdigit((unsigned char)*p->at))
		return number(p);
	if (take(p, "'"))
		return string(p);
	if (take(p, NOW))
		return new_node(SQL_OP_NOW);
	if (take(p, "COUNT(*)"))
		return new_node(SQL_OP_COUNT);
	if (take(p, "COALESCE("))
		return arguments_of(p, SQL_OP_COALESCE);
	if (take(p, "GREATEST("))
		return arguments_of(p, SQL_OP_GREATEST);
	if (take(p, "?")) {
		node = new_node(SQL_OP_PARAM);
		node->column = p->params++;
		return node;
	}
	if (take(p, "(SELECT")) {
		node = new_node(SQL_OP_SELECT);
		node->select = select_statement(p);
		expect(p, ")");
		return node;
	}
	if (take(p, "CASE WHEN")) {
		node = new_node(SQL_OP_CASE);
		add_argument(p, node, expression(p));
		expect(p, "THEN");
		add_argument(p, node, expression(p));
		expect(p, "ELSE");
		add_argument(p, node, expression(p));
		expect(p, "END");
		return node;
	}
	return column(p);
}

static struct sql_node *sum(struct parser *p)
{
	struct sql_node *node = primary(p);
	while (take(p, "+"))
		node = two(p, SQL_OP_ADD, node, primary(p));
	return node;
}

static struct sql_node *comparison(struct parser *p)
{
	static const struct {
		const char *sign;
		enum sql_operation operation;
	} signs[] = {{"<=", SQL_OP_LESS_OR_EQUAL},
		     {">=", SQL_OP_GREATER_OR_EQUAL},
		     {"<", SQL_OP_LESS},
		     {">", SQL_OP_GREATER},
		     {"=", SQL_OP_EQUAL}};
	struct sql_node *node = sum(p);
	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
		if (take(p, signs[i].sign))
			return two(p, signs[i].operation, node, sum(p));
	return node;
}

static const struct sql_node *expression(struct parser *p)
{
	struct sql_node *node = comparison(p);
	while (take(p, "AND"))
		node = two(p, SQL_OP_AND, node, comparison(p));
	return node;
}

/* ---- statements ------------------------------------------------------------------------------------------------- */

static void add_expression(struct parser *p, const struct sql_node *node, size_t target)
{
	struct sql_compiled *statement = p->statement;
	if (statement->expressions_len == SQL_EXPRESSIONS)
		fail(p, "too many columns");
	statement->targets[statement->expressions_len] = target;
	statement->expressions[statement->expressions_len++] = node;
}

static struct sql_source *add_source(struct parser *p, struct sql_table *table)
{
	struct sql_compiled *statement = p->statement;
	if (statement->sources_len == SQL_SOURCES)
		fail(p, "too many tables");
	struct sql_source *source = &statement->sources[statement->sources_len++];
	source->table = table;
	return source;
}

static struct sql_source *table(struct parser *p)
{
	const char *name;
	size_t len = take_name(p, &name);
	struct sql_table *found = sql_tables_find(p->tables, name, len);
	if (!found)
		fail(p, "there is no such table");
	struct sql_source *source = add_source(p, found);
	if (take(p, "AS"))
		source->alias_len = take_name(p, &source->alias);
	return source;
}

static void from(struct parser *p)
{
	const char *name;
	if (take(p, "(SELECT 1 AS one) AS")) {
		take_name(p, &name);
		add_source(p, NULL);
	} else
		table(p);
	if (take(p, "LEFT JOIN")) {
		struct sql_source *source = table(p);
		expect(p, "ON");
		source->on = expression(p);
	}
}

static void order(struct parser *p)
{
	do {
		if (p->statement->orders_len == SQL_ORDERS || p->statement->sources_len != 1)
			fail(p, "too much to order by");
		p->statement->orders[p->statement->orders_len++] = column(p)->column;
	} while (take(p, ","));
}

/* What is selected comes before the tables that it is selected from: it is read after them. */
static const char *find_from(const struct parser *p)
{
	int depth = 0;
	for (const char *at = p->at; *at && depth >= 0; at++) {
		depth += (*at == '(') - (*at == ')');
		if (depth == 0 && strncmp(at, " FROM ", 6) == 0)
			return at;
	}
	return NULL;
}

static struct sql_compiled *select_statement(struct parser *p)
{
	struct sql_compiled *outer = p->statement, *statement = calloc(1, sizeof(*statement));
	const char *columns = p->at, *tables = find_from(p), *rest = NULL;
	p->statement = statement;
	statement->verb = SQL_VERB_SELECT;
	statement->sql = p->sql;
	if (tables) {
		p->at = tables;
		size_t params = p->params;
		expect(p, "FROM");
		from(p);
		if (p->params != params)
			fail(p, "a parameter before those of the columns");
		rest = p->at;
	}
	p->at = columns;
	do
		add_expression(p, expression(p), 0);
	while (take(p, ","));
	if (rest)
		p->at = rest;
	if (take(p, "WHERE"))
		statement->where = expression(p);
	if (take(p, "ORDER BY"))
		order(p);
	take(p, "FOR UPDATE");
	p->statement = outer;
	return statement;
}

static void update(struct parser *p)
{
	const struct sql_source *source = table(p);
	expect(p, "SET");
	do {
		size_t target = column(p)->column;
		for (size_t key = 0; key < source->table->keys_len; key++)
			if (source->table->keys[key] >> target & 1)
				fail(p, "a key is not changed");
		expect(p, "=");
		add_expression(p, expression(p), target);
	} while (take(p, ","));
	if (take(p, "WHERE"))
		p->statement->where = expression(p);
}

static void insert(struct parser *p)
{
	size_t targets[SQL_EXPRESSIONS], len = 0;
	table(p);
	expect(p, "(");
	do {
		if (len == SQL_EXPRESSIONS)
			fail(p, "too many columns");
		targets[len++] = column(p)->column;
	} while (take(p, ","));
	expect(p, ")");
	expect(p, "VALUES (");
	for (size_t i = 0; i < len; i++) {
		if (i)
			expect(p, ",");
		add_expression(p, expression(p), targets[i]);
	}
	expect(p, ")");
}

static struct sql_compiled *identity(const char *sql)
{
	struct sql_compiled *statement = calloc(1, sizeof(*statement));
	statement->verb = SQL_VERB_SELECT;
	statement->sql = sql;
	statement->expressions[statement->expressions_len++] = new_node(SQL_OP_IDENTITY);
	return statement;
}

struct sql_compiled *sql_compile(struct sql_tables *tables, const char *sql)
{
	struct parser parser = {.tables = tables, .sql = sql, .at = sql}, *p = &parser;
	if (strncmp(sql, IDENTITY, strlen(IDENTITY)) == 0)
		return identity(sql);
	if (take(p, "SELECT")) {
		struct sql_compiled *select = select_statement(p);
		skip_blanks(p);
		if (*p->at)
			fail(p, "something follows");
		return select;
	}
	p->statement = calloc(1, sizeof(*p->statement));
	p->statement->sql = sql;
	if (take(p, "SET SESSION"))
		return p->statement;
	if (take(p, "UPDATE")) {
		p->statement->verb = SQL_VERB_UPDATE;
		update(p);
	} else if (take(p, "INSERT INTO")) {
		p->statement->verb = SQL_VERB_INSERT;
		insert(p);
	} else if (take(p, "DELETE FROM")) {
		p->statement->verb = SQL_VERB_DELETE;
		table(p);
		if (take(p, "WHERE"))
			p->statement->where = expression(p);
	} else
		fail(p, "a statement that is not known");
	skip_blanks(p);
	if (*p->at)
		fail(p, "something follows");
	return p->statement;
}
