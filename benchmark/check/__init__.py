"""`python -m benchmark.check NAME`: what any method, data set or probe must keep, asked of one.

A check is a function whose name is its claim; it returns None, or what is wrong and what was expected. The project's
own tests ask the same checks of every registered method.
"""
