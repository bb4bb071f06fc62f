/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs compiled statements.
 */
#include "sql_run.h"

#include <string.h>

struct scope {
	struct sql_server *server;
	const struct statement *statement; /* the parameters */
	const struct sql_compiled *compiled;
	const struct sql_value *rows[SQL_SOURCES]; /* NULL: a row of nothing but NULL */
};

struct matches {
	size_t len;
	const struct sql_value *rows[SQL_ROWS][SQL_SOURCES];
};

static struct sql_value evaluate(const struct scope *scope, const struct sql_node *node);
static void find(const struct scope *outer, const struct sql_compiled *compiled, struct matches *ret);

/* ---- expressions ------------------------------------------------------------------------------------------------ */

static const struct sql_value null_value = {.type = SQL_NULL};

static struct sql_value number_value(int64_t number)
{
	return (struct sql_value){.type = SQL_NUMBER, .number = number};
}

static bool is_true(const struct sql_value *value)
{
	return value->type == SQL_NUMBER && value->number != 0;
}

static struct sql_value param_value(const struct scope *scope, size_t number)
{
	if (number >= scope->statement->params_len)
		sql_give_up("parameter", scope->compiled->sql, "is missing");
	const struct statement_param *param = &scope->statement->params[number];
	if (param->null)
		return null_value;
	if (!param->text)
		return number_value(param->number);
	return (struct sql_value){.type = SQL_STRING, .text = param->bytes, .size = param->size};
}

static struct sql_value first_of_select(const struct scope *scope, const struct sql_compiled *select)
{
	struct matches matches;
	struct scope inner = {.server = scope->server, .statement = scope->statement, .compiled = select};
	find(scope, select, &matches);
	if (!matches.len)
		return null_value;
	memcpy(inner.rows, matches.rows[0], sizeof(inner.rows));
	return evaluate(&inner, select->expressions[0]);
}

static struct sql_value coalesce(const struct scope *scope, const struct sql_node *node)
{
	struct sql_value value = null_value;
	for (size_t i = 0; i < node->arguments_len && value.type == SQL_NULL; i++)
		value = evaluate(scope, node->arguments[i]);
	return value;
}

static struct sql_value greatest(const struct scope *scope, const struct sql_node *node)
{
	struct sql_value largest = evaluate(scope, node->arguments[0]);
	for (size_t i = 1; i < node->arguments_len && largest.type != SQL_NULL; i++) {
		struct sql_value value = evaluate(scope, node->arguments[i]);
		if (value.type == SQL_NULL || sql_value_compare(&value, &largest) > 0)
			largest = value;
	}
	return largest;
}

/* NULL is neither true nor false, and false AND NULL is false; both count as not true, which is all that a WHERE asks.
 */
static struct sql_value both(const struct scope *scope, const struct sql_node *node)
{
	struct sql_value a = evaluate(scope, node->arguments[0]);
	if (!is_true(&a))
		return number_value(0);
	struct sql_value b = evaluate(scope, node->arguments[1]);
	return number_value(is_true(&b));
}

static struct sql_value of_two(const struct scope *scope, const struct sql_node *node)
{
	struct sql_value a = evaluate(scope, node->arguments[0]), b = evaluate(scope, node->arguments[1]);
	if (a.type == SQL_NULL || b.type == SQL_NULL)
		return null_value;
	if (a.type != b.type)
		sql_give_up("values of different types", scope->compiled->sql, "are not compared");
	if (node->operation == SQL_OP_ADD && a.type != SQL_NUMBER)
		sql_give_up("texts", scope->compiled->sql, "are not added");
	switch (node->operation) {
	case SQL_OP_ADD:
		return number_value(a.number + b.number);
	case SQL_OP_EQUAL:
		return number_value(sql_value_compare(&a, &b) == 0);
	case SQL_OP_LESS:
		return number_value(sql_value_compare(&a, &b) < 0);
	case SQL_OP_LESS_OR_EQUAL:
		return number_value(sql_value_compare(&a, &b) <= 0);
	case SQL_OP_GREATER:
		return number_value(sql_value_compare(&a, &b) > 0);
	default:
		return number_value(sql_value_compare(&a, &b) >= 0);
	}
}

static struct sql_value evaluate(const struct scope *scope, const struct sql_node *node)
{
	switch (node->operation) {
	case SQL_OP_VALUE:
		return node->value;
	case SQL_OP_PARAM:
		return param_value(scope, node->column);
	case SQL_OP_COLUMN: {
		const struct sql_value *row = scope->rows[node->source];
		return row ? row[node->column] : null_value;
	}
	case SQL_OP_NOW:
		return number_value(scope->server->clock_ms);
	case SQL_OP_IDENTITY: {
		const char *identity = scope->server->identity;
		return (struct sql_value){.type = SQL_STRING, .text = identity, .size = strlen(identity)};
	}
	case SQL_OP_COALESCE:
		return coalesce(scope, node);
	case SQL_OP_GREATEST:
		return greatest(scope, node);
	case SQL_OP_CASE: {
		struct sql_value condition = evaluate(scope, node->arguments[0]);
		return evaluate(scope, node->arguments[is_true(&condition) ? 1 : 2]);
	}
	case SQL_OP_SELECT:
		return first_of_select(scope, node->select);
	case SQL_OP_COUNT:
		sql_give_up("COUNT(*)", scope->compiled->sql, "stands in an expression");
	case SQL_OP_AND:
		return both(scope, node);
	default:
		return of_two(scope, node);
	}
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

static void add_match(const struct scope *scope, struct matches *matches)
{
	const struct sql_node *where = scope->compiled->where;
	if (where) {
		struct sql_value value = evaluate(scope, where);
		if (!is_true(&value))
			return;
	}
	if (matches->len == SQL_ROWS)
		sql_give_up("rows", scope->compiled->sql, "too many");
	memcpy(matches->rows[matches->len++], scope->rows, sizeof(scope->rows));
}

static void find_from(struct scope *scope, size_t level, struct matches *matches)
{
	if (level == scope->compiled->sources_len) {
		add_match(scope, matches);
		return;
	}
	const struct sql_source *source = &scope->compiled->sources[level];
	size_t len = source->table ? source->table->now.len : 0;
	bool any = false;
	for (size_t row = 0; row < len; row++) {
		scope->rows[level] = source->table->now.cells[row];
		struct sql_value on = source->on ? evaluate(scope, source->on) : number_value(1);
		if (!is_true(&on))
			continue;
		any = true;
		find_from(scope, level + 1, matches);
	}
	scope->rows[level] = NULL;
	if (!source->table || (source->on && !any))
		find_from(scope, level + 1, matches);
}

static bool comes_before(const struct sql_compiled *compiled, const struct sql_value *a, const struct sql_value *b)
{
	for (size_t i = 0; i < compiled->orders_len; i++) {
		int order = sql_value_compare(&a[compiled->orders[i]], &b[compiled->orders[i]]);
		if (order)
			return order < 0;
	}
	return false;
}

static void sort(const struct sql_compiled *compiled, struct matches *matches)
{
	for (size_t i = 1; i < matches->len; i++) {
		const struct sql_value *row = matches->rows[i][0];
		size_t at = i;
		for (; at && comes_before(compiled, row, matches->rows[at - 1][0]); at--)
			matches->rows[at][0] = matches->rows[at - 1][0];
		matches->rows[at][0] = row;
	}
}

static void find(const struct scope *outer, const struct sql_compiled *compiled, struct matches *ret)
{
	struct scope scope = {.server = outer->server, .statement = outer->statement, .compiled = compiled};
	ret->len = 0;
	find_from(&scope, 0, ret);
	if (compiled->orders_len)
		sort(compiled, ret);
}

/* ---- statements ------------------------------------------------------------------------------------------------- */

static void add_cell(const struct sql_compiled *compiled, size_t column, const struct sql_value *value,
		     struct answer *answer)
{
	size_t used = answer->rows * answer->columns + column;
	if (used >= ANSWER_CELLS || answer->text_len + value->size + 1 > ANSWER_TEXT)
		sql_give_up("answer", compiled->sql, "too long");
	struct answer_cell *cell = &answer->cells[used];
	*cell = (struct answer_cell){.null = value->type == SQL_NULL,
				     .number = value->number,
				     .text = answer->text_len,
				     .size = value->size};
	if (value->type == SQL_STRING) {
		memcpy(answer->text + answer->text_len, value->text, value->size);
		answer->text[answer->text_len + value->size] = '\0';
		answer->text_len += value->size + 1;
	}
}

static void select(struct scope *scope, struct answer *answer)
{
	const struct sql_compiled *compiled = scope->compiled;
	struct matches matches;
	find(scope, compiled, &matches);
	answer->columns = compiled->expressions_len;
	if (compiled->expressions[0]->operation == SQL_OP_COUNT) {
		struct sql_value count = number_value((int64_t)matches.len);
		add_cell(compiled, 0, &count, answer);
		answer->rows = 1;
		return;
	}
	for (size_t row = 0; row < matches.len; row++, answer->rows++) {
		memcpy(scope->rows, matches.rows[row], sizeof(scope->rows));
		for (size_t i = 0; i < compiled->expressions_len; i++) {
			struct sql_value value = evaluate(scope, compiled->expressions[i]);
			add_cell(compiled, i, &value, answer);
		}
	}
}

static void insert(struct scope *scope, struct answer *answer)
{
	const struct sql_compiled *compiled = scope->compiled;
	struct sql_table *table = compiled->sources[0].table;
	struct sql_value cells[SQL_COLUMNS];
	for (size_t i = 0; i < table->columns_len; i++)
		cells[i] = table->columns[i].usual;
	for (size_t i = 0; i < compiled->expressions_len; i++)
		cells[compiled->targets[i]] = evaluate(scope, compiled->expressions[i]);
	if (sql_table_insert(&scope->server->tables, table, cells)) {
		answer->affected = 1;
		return;
	}
	answer->code = KONTOR_E_CONFLICT;
	answer->mariadb_errno = 1062;
}

/* All new values are made of the old ones. */
static void update(struct scope *scope, struct answer *answer)
{
	const struct sql_compiled *compiled = scope->compiled;
	struct sql_table *table = compiled->sources[0].table;
	struct matches matches;
	find(scope, compiled, &matches);
	for (size_t i = 0; i < matches.len; i++) {
		struct sql_value values[SQL_EXPRESSIONS];
		size_t row = (size_t)(matches.rows[i][0] - table->now.cells[0]) / SQL_COLUMNS;
		scope->rows[0] = matches.rows[i][0];
		for (size_t j = 0; j < compiled->expressions_len; j++)
			values[j] = evaluate(scope, compiled->expressions[j]);
		for (size_t j = 0; j < compiled->expressions_len; j++)
			sql_table_set(&scope->server->tables, table, row, compiled->targets[j], &values[j]);
		for (size_t j = 0; j < compiled->expressions_len && scope->server->changed; j++)
			scope->server->changed(scope->server, table, table->now.cells[row], compiled->targets[j]);
	}
	answer->affected = matches.len;
}

static void delete (struct scope *scope, struct answer *answer)
{
	struct sql_table *table = scope->compiled->sources[0].table;
	struct matches matches;
	find(scope, scope->compiled, &matches);
	for (size_t i = matches.len; i-- > 0;)
		sql_table_remove(table, (size_t)(matches.rows[i][0] - table->now.cells[0]) / SQL_COLUMNS);
	answer->affected = matches.len;
}

void sql_run(struct sql_server *server, const struct sql_compiled *compiled, const struct statement *statement,
	     struct answer *ret_answer)
{
	struct scope scope = {.server = server, .statement = statement, .compiled = compiled};
	memset(ret_answer, 0, offsetof(struct answer, cells));
	switch (compiled->verb) {
	case SQL_VERB_SELECT:
		select(&scope, ret_answer);
		break;
	case SQL_VERB_INSERT:
		insert(&scope, ret_answer);
		break;
	case SQL_VERB_UPDATE:
		update(&scope, ret_answer);
		break;
	case SQL_VERB_DELETE:
		delete (&scope, ret_answer);
		break;
	case SQL_VERB_NOTHING:
		break;
	}
}
