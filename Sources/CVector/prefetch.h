// SPDX-License-Identifier: Apache-2.0
#ifndef PGWEIR_PREFETCH_H
#define PGWEIR_PREFETCH_H

/// Asks the processor to bring a cache line near; Swift has no spelling for it. Any address will do.
static inline void pgweir_prefetch(const void *address) { __builtin_prefetch(address); }

#endif
