// SPDX-License-Identifier: Apache-2.0
#include <hiredis/hiredis.h>
#include <sys/eventfd.h> // which Swift's Glibc leaves out
