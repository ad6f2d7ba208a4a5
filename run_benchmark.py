"""Evaluate methods on a suite and write comparison tables.

python run_benchmark.py --methods all --suite atari
"""

import os
import signal
import sys
from contextlib import suppress

if __name__ == "__main__":
    listens = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if listens:  # while nothing has begun, Ctrl-C ends the process without a traceback of what is being imported
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    from benchmark.machine import tune_allocator

    tune_allocator()

    from benchmark.command import main

    if listens:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    status = main()
    if status >= 128:  # stopped by a signal: what JAX may still be compiling crashes in an orderly end
        with suppress(OSError, AttributeError):
            sys.stdout.flush()
        os._exit(status)
    sys.exit(status)
