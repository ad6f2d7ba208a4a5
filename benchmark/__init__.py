"""The engine: from a data set and a method to a frozen representation, its probes, a record and the tables.

What is run knows no method, data set or probe by name; only the table in `suites.py`, the choice of learning rates in
`tuning.py`, which asks the probe `decoder`, and the tables and figures of the papers in `report` name some.
"""
