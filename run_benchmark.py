"""Evaluate methods on a suite and write comparison tables.

python run_benchmark.py --methods all --suite atari
"""

import signal
import sys

if __name__ == "__main__":
    listens = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if listens:  # while nothing has begun, Ctrl-C ends the process without a traceback of what is being imported
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    from benchmark.machine import tune_allocator

    tune_allocator()

    from benchmark.command import main

    if listens:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
