#include "load/load.h"

/* splitmix64: small, fast, the same everywhere for a seed. Nothing secret comes from it. */
uint64_t chance_next(struct chance *c)
{
    uint64_t z = c->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

double chance_part(struct chance *c)
{
    return (double)(chance_next(c) >> 11) * 0x1p-53;
}
