/* SPDX-License-Identifier: Apache-2.0
 *
 * `kontor jobs list`: for programs the jobs, newest first; for people also the lanes, and what matters first.
 */
#ifndef KONTOR_JOB_BOARD_H
#define KONTOR_JOB_BOARD_H

#include "cli.h"

int run_board(struct cli *cli, const struct command_line *line);

#endif
