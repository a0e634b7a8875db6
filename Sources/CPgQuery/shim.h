// SPDX-License-Identifier: Apache-2.0
// Types only: the library is loaded when it is first needed.
#include <pg_query.h>
