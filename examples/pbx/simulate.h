/*
 * --simulate[=SEED]: calls that the program makes up. Each organization gets one every 2 to 6 seconds, more of them in the two peaks
 * of a day that lasts ten minutes; four of five are answered. --speed N: so many times as fast.
 */
#ifndef PBX_SIMULATE_H
#define PBX_SIMULATE_H

#include "pbx.h"

void simulate_begin(struct pbx *pbx);
void simulate_end(struct pbx *pbx);
/* What the panel asks for: "calm", "busy", "storm", "break". False if it is none of them, or nothing is simulated. */
bool simulate_do(struct pbx *pbx, const char *what);

#endif
