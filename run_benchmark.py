"""Evaluate methods on a suite and write comparison tables.

python run_benchmark.py --methods all --suite atari
"""

import sys

from benchmark.machine import tune_allocator

if __name__ == "__main__":
    tune_allocator()
    try:
        from benchmark.command import main
    except KeyboardInterrupt:
        print("\nStopped before anything began.", file=sys.stderr)
        sys.exit(130)
    sys.exit(main())
