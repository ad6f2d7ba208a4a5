"""Evaluate methods on a suite and write comparison tables.

python run_benchmark.py --methods all --suite atari
"""

import sys

from benchmark.machine import tune_allocator

if __name__ == "__main__":
    tune_allocator()
    from benchmark.command import main

    sys.exit(main())
