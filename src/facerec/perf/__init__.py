"""Benchmarks of the project's claims about speed and memory, measured together with the competitors in one process.

Each section of the results is a module with a function ``cases(effort)``.
"""
