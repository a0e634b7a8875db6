# SPDX-License-Identifier: Apache-2.0
"""What the environment says of random tests: PGWEIR_SEED repeats a run, PGWEIR_LONG=1 asks for full counts."""
import os
import random

LONG = os.environ.get("PGWEIR_LONG") == "1"
SEED = int(os.environ.get("PGWEIR_SEED") or random.SystemRandom().randrange(1 << 32))
