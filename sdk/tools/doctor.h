/* SPDX-License-Identifier: Apache-2.0
 *
 * What `kontor doctor` finds. Its checks only read.
 */
#ifndef KONTOR_DOCTOR_H
#define KONTOR_DOCTOR_H

#include "units.h"

struct findings {
	json_t *rows; /* [{unit?, finding, why, cure}] */
};

/* unit: NULL when it concerns none of them alone. */
void finding(struct findings *findings, const char *unit, const char *why, const char *cure, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* ---- doctor_machine.c ---- */

/* `kontord --check` of each units/NAME.conf; plugin_folder may be NULL. */
void examine_configuration(const struct cli *cli, const char *plugin_folder, struct findings *findings);
/* Who could read secret keys or reach sockets that he should not; whether the clock is kept. */
void examine_files(const struct cli *cli, struct findings *findings);
void examine_clock(struct findings *findings);

#endif
