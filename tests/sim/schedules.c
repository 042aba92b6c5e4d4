#include "tests/sim/schedules.h"
const struct schedule schedules[1];
const size_t schedules_count = 0;
const struct schedule *schedule_red(enum planted rule) { (void)rule; return NULL; }
const char *schedule_deferred(enum planted rule) { (void)rule; return NULL; }
