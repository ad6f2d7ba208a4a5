"""The engine: from a data set and a method to a frozen representation, its probes, a record and the tables.

What is run knows no method, data set or probe by name; only the table in `suites.py`, the choice of learning rates in
`tuning.py`, which asks the probe `decoder`, and the tables and figures of the papers in `report` name some.

Where what is, in the order of a command:

- the contract: `contracts` and `types`, `registry` and `plugins` for the names, `modules` shared by plug-ins;
- the command: `options`, `command`, and what it says with `describe`, `progress`, `errors`, `loss_logs`;
- the plan: `configure`, `suites`, `grid`, `plan`, `variants`, `estimate`, `tuning`;
- where runs are done: `engines`, `worker`, `claims`, `machine`, `stopping`;
- a run: `runner`, `clock`, `program`, `precision`, `devices`, `training`, `seeds_together`, `joint`, `checkpoints`;
- what it gives: `freeze`, `asking`, `answers`, `checked`, `parameters`, `records`, `unfinished`, and `report`;
- beside the command: `check` for a new plug-in, `speed` for steps and seconds.
"""
