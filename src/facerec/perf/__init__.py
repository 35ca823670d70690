"""What the project claims of its speed, measured beside the competitors in one process.

A section is a module with a function ``cases(effort)``.
"""
