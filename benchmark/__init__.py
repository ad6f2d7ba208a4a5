"""The engine: from a data set and a method to a frozen representation, its probes, a record and the tables.

Nothing in here knows a method, a data set or a probe by name, except the table in `suites.py`.
"""
