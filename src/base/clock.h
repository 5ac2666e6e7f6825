/* The two clocks. Only the shell reads them; the core is handed the time. */
#ifndef PORTOLAN_BASE_CLOCK_H
#define PORTOLAN_BASE_CLOCK_H

#include <stdint.h>

/* Since an unknown start; never steps back. For timeouts. */
int64_t clock_monotonic_ms(void);
int64_t clock_monotonic_us(void);

/* Since 1970, UTC; may step. For log lines and for seeds. */
int64_t clock_wall_ms(void);
int64_t clock_wall_us(void);

#endif
