"""What runs in processes of its own: ``python -m benchmarks.children MODULE ARGUMENTS``.

Each module has a function ``run`` that takes the arguments, a JSON object, as keywords and
returns what is printed as JSON. It may be as large as it likes: the harness stays small.
"""
