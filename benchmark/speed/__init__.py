"""How fast one training step is on this machine, where its time goes, and how it grows.

    python -m benchmark.speed scn pong --batch 64 --json --breakdown

The step is the one that runs make: the same sampler, loss, optimiser, compiler options and allocator, through
`Kernel.fit`. It stands outside the command: nothing here writes a record.
"""
